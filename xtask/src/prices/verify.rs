//! `cargo xtask prices verify`: that the book is what it should be.

use std::error::Error;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;
use taximeter::{Money, PriceBook};
use taximeter_sources::verify::{Coverage, coverage};

use super::import::Tables;

/// How many failures are shown of each kind.
const SHOWN: usize = 20;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    tables: Tables,
    /// The book: a file; the embedded one
    #[arg(long, value_name = "FILE")]
    book: Option<String>,
    /// Calls with their exact cost, a line of JSON each; those of `crates/pricing/tests-data`
    #[arg(long, value_name = "FILE")]
    oracle: Option<PathBuf>,
    /// Only the rows of this source, such as `consensus`
    #[arg(long)]
    source: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let book = super::open(arguments.book.as_deref().unwrap_or("embedded"))?;
    let mut right = arguments.book.is_some() || table_is_the_book()?;
    for (table, import) in arguments.tables.read()?.imports() {
        right &= show(table, &coverage(&book, import));
    }
    let known_answers = crate::root().join("crates/pricing/tests-data/oracle.jsonl");
    let oracle = arguments.oracle.clone().unwrap_or(known_answers);
    right &= rows(arguments, &oracle)?;
    if right { Ok(()) } else { Err("the book is not what it should be".into()) }
}

/// Whether the compact table is that of the reviewable book.
fn table_is_the_book() -> Result<bool, Box<dyn Error>> {
    let data = crate::root().join("crates/pricing/data");
    let book = PriceBook::from_json(&std::fs::read_to_string(data.join("book.json"))?)?;
    let same = book.to_table()? == std::fs::read(data.join("book.bin"))?;
    println!(
        "book.bin {} book.json",
        if same { "is that of" } else { "is not that of; run `cargo xtask prices pack` for" }
    );
    Ok(same)
}

fn show(table: &str, coverage: &Coverage) -> bool {
    let known = coverage.names - coverage.unknown.len();
    println!(
        "{table}: {known} of {} names are known, {} of {} with a price have one",
        coverage.names, coverage.found, coverage.priced
    );
    let failures = coverage.unknown.iter().chain(&coverage.unpriced);
    failures.take(SHOWN).for_each(|name| println!("  {name}"));
    coverage.is_complete()
}

/// Prices the rows as `taximeter price --batch` does.
fn rows(arguments: &Arguments, path: &Path) -> Result<bool, Box<dyn Error>> {
    let text = std::fs::read_to_string(path)
        .map_err(|why| format!("reading {}: {why}", path.display()))?;
    let mut rows = Vec::new();
    for line in text.lines() {
        let row: Value = serde_json::from_str(line)?;
        if arguments.source.as_ref().is_none_or(|source| row["source"] == source.as_str()) {
            rows.push(row);
        }
    }
    let input = rows.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    let mut command = vec!["taximeter", "price", "--batch"];
    command.extend(arguments.book.iter().flat_map(|book| ["--book", book.as_str()]));
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    taximeter_cli::run(command, &mut BufReader::new(input.as_bytes()), &mut output, &mut errors);
    let answers = String::from_utf8(output)?;
    let mut wrong = Vec::new();
    for (row, answer) in rows.iter().zip(answers.lines()) {
        let answer: Value = serde_json::from_str(answer)?;
        if !is_right(row, &answer) {
            let of = |value: &Value, key: &str| value[key].as_str().unwrap_or("none").to_owned();
            wrong.push(format!(
                "{} {}/{}: {} {}, not {}",
                of(row, "id"),
                of(row, "provider"),
                of(row, "model"),
                of(&answer, "outcome"),
                of(&answer, "cost_usd"),
                of(row, "expected_cost_usd")
            ));
        }
    }
    println!("{} of {} calls have their known cost", rows.len() - wrong.len(), rows.len());
    wrong.iter().take(SHOWN).for_each(|row| println!("  {row}"));
    Ok(wrong.is_empty() && !rows.is_empty() && answers.lines().count() == rows.len())
}

/// Whether the answer has the outcome and, to the last digit, the cost that the row expects.
fn is_right(row: &Value, answer: &Value) -> bool {
    let outcome = if answer["outcome"] == "free" {
        "cost"
    } else {
        answer["outcome"].as_str().unwrap_or_default()
    };
    let cost = |value: &Value| {
        let text = value.as_str()?;
        text.parse::<Money>()
            .map_or_else(|_| Some(text.to_owned()), |money| Some(money.to_string()))
    };
    let same = cost(&row["expected_cost_usd"]) == cost(&answer["cost_usd"]);
    row["expected_outcome"] == outcome && (outcome != "cost" || same)
}
