//! What keeping an operation costs: appending at each durability, beside plain rows of JSON, what a row takes, and whether
//! that grows with the store; what is asked of a store as a program keeps it; an import; bytes and time of sealing; and
//! questions over sealed operations, beside DuckDB on a Parquet file of the same columns and a plain loop over columns in
//! memory. At its end stands what must be reached, and whether it was.
//!
//! `--large` makes the stores as large as what must be reached says: ten million operations. `STORE=n` says how large they
//! get instead, a million operations by default. `SEED=n` draws other operations; `ROWS=n` says how many sealed ones are
//! asked, 10 million by default; `BYTES=n` how large a file is imported, 10⁹ by default; `BATCH=n` how many operations are
//! appended at once, 4,096 by default. `AT=folder` keeps the store that is asked, or asks the one that is there;
//! `FILL=1` fills it and asks nothing, `ASK=tool=web_search` asks for the report of these operations alone, of the period
//! `SINCE=24h`. `ONLY=append,maintain` runs these parts alone, of `append`, `sums`, `peer`, `maintain`, `fsync`, `import`,
//! `sealed` and `questions`.

mod hot;
mod imported;
mod kept;
mod out;
mod peers;
mod questions;
mod sealed;
mod standard;

use out::Out;

fn main() {
    let asked = |option: &str| std::env::args().any(|argument| argument == option);
    let quick = asked("--quick");
    let out = Out::new(asked("--json"));
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<usize>().ok());
    let many = if asked("--large") { 10_000_000 } else { 1_000_000 };
    let most = number("STORE").unwrap_or(if quick { 100_000 } else { many });
    let rows = number("ROWS").unwrap_or(if quick { 1_000_000 } else { 10_000_000 });
    let bytes = number("BYTES").unwrap_or(if quick { 100_000_000 } else { 1_000_000_000 });
    let only = std::env::var("ONLY").ok();
    let parts: [(&str, &dyn Fn()); 8] = [
        ("append", &|| hot::append(most, &out)),
        ("sums", &|| hot::append_with_sums(most, &out)),
        ("peer", &|| hot::rows_of_json(most.min(200_000), &out)),
        ("maintain", &|| kept::run(most, &out)),
        ("fsync", &|| kept::fill_synced(most.min(1_000_000), &out)),
        ("import", &|| imported::run(bytes as u64, &out)),
        ("sealed", &|| sealed::run(quick, &out)),
        ("questions", &|| questions::run(rows, &out)),
    ];
    for (name, run) in parts {
        if only.as_deref().is_none_or(|only| only.split(',').any(|one| one == name)) {
            run();
        }
    }
    out.end();
}
