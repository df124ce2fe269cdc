//! Counts what each case allocates for an operation, and the bytes; prints them by case, as JSON. No time is taken here: each
//! allocation of this process is counted, which costs more than most of them.

use std::collections::BTreeMap;

use bench_collector::{CHUNK, cases, inputs};

fn main() {
    let inputs = inputs();
    let mut counts = BTreeMap::new();
    for case in cases() {
        case.warm_up(&inputs);
        let counted = allocation_counter::measure(|| case.chunk(&inputs));
        (case.flush)();
        let each = [counted.count_total, counted.bytes_total].map(|all| all as f64 / CHUNK as f64);
        counts.insert(case.what, each);
    }
    println!("{}", serde_json::json!(counts));
}
