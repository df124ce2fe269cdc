//! What keeping an operation costs: appending at each durability, beside plain rows of JSON, what a row takes, and whether
//! that grows with the store; a report and groups over a store as a program keeps it; an import; bytes and time of
//! sealing; and questions over sealed operations, beside DuckDB on a Parquet file of the same columns and a plain loop
//! over columns in memory.
//!
//! `STORE=n` says how large the store gets, a million operations by default. `SEED=n` draws other operations; `ROWS=n`
//! says how many are asked, 10 million by default; `BYTES=n` how large a file is imported, 10⁹ by default.
//! `ONLY=append,maintain` runs these parts alone, of `append`, `sums`, `peer`, `maintain`, `import`, `sealed` and
//! `questions`.

mod hot;
mod imported;
mod kept;
mod peers;
mod questions;
mod sealed;
mod standard;

fn main() {
    let asked = |option: &str| std::env::args().any(|argument| argument == option);
    let (quick, json) = (asked("--quick"), asked("--json"));
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<usize>().ok());
    let most = number("STORE").unwrap_or(if quick { 100_000 } else { 1_000_000 });
    let rows = number("ROWS").unwrap_or(if quick { 1_000_000 } else { 10_000_000 });
    let bytes = number("BYTES").unwrap_or(if quick { 100_000_000 } else { 1_000_000_000 });
    let only = std::env::var("ONLY").ok();
    let parts: [(&str, &dyn Fn()); 7] = [
        ("append", &|| hot::append(most, json)),
        ("sums", &|| hot::append_with_sums(most, json)),
        ("peer", &|| hot::rows_of_json(most.min(200_000), json)),
        ("maintain", &|| kept::run(most, json)),
        ("import", &|| imported::run(bytes as u64, json)),
        ("sealed", &|| sealed::run(quick, json)),
        ("questions", &|| questions::run(rows, json)),
    ];
    for (name, run) in parts {
        if only.as_deref().is_none_or(|only| only.split(',').any(|one| one == name)) {
            run();
        }
    }
}
