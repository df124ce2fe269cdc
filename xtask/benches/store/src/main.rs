//! What keeping an operation costs: appending at each durability, beside plain rows of JSON, and what a row takes; whether
//! that grows with the store; bytes and time of sealing, and questions over sealed operations, beside DuckDB on a
//! Parquet file of the same columns and a plain loop over columns in memory.
//!
//! `STORE=n` says how large the store gets, a million operations by default. `SEED=n` draws other operations; `ROWS=n` says how many are asked, 10 million by default.

mod hot;
mod peers;
mod questions;
mod sealed;
mod standard;

fn main() {
    let asked = |option: &str| std::env::args().any(|argument| argument == option);
    let (quick, json) = (asked("--quick"), asked("--json"));
    let rows = std::env::var("ROWS").ok().and_then(|rows| rows.parse().ok());
    let most = std::env::var("STORE").ok().and_then(|most| most.parse().ok());
    hot::run(most.unwrap_or(if quick { 100_000 } else { 1_000_000 }), json);
    sealed::run(quick, json);
    questions::run(rows.unwrap_or(if quick { 1_000_000 } else { 10_000_000 }), json);
}
