//! What keeping an operation costs: bytes and time of sealing, and questions over sealed operations, beside DuckDB on a
//! Parquet file of the same columns and a plain loop over columns in memory.
//!
//! `SEED=n` draws other operations; `ROWS=n` says how many are asked, 10 million by default.

mod peers;
mod questions;
mod sealed;
mod standard;

fn main() {
    let asked = |option: &str| std::env::args().any(|argument| argument == option);
    let (quick, json) = (asked("--quick"), asked("--json"));
    let rows = std::env::var("ROWS").ok().and_then(|rows| rows.parse().ok());
    sealed::run(quick, json);
    questions::run(rows.unwrap_or(if quick { 1_000_000 } else { 10_000_000 }), json);
}
