//! Known answers: calls with the cost that the table's own rules give them.

use std::collections::BTreeMap;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::Deserialize;
use taximeter_models::{CostOutcome, Money, TokenUsage, Unit, UsageError};
use taximeter_pricing::{PriceBook, Query, Selectors};

use super::origin;
use crate::genai;

const TABLE: &str = include_str!("../../../tests-data/genai/table.json");
const ROWS: &str = include_str!("../../../tests-data/genai/rows.jsonl");

/// Rows that do not come out, each with its reason; see the README beside the table.
const SKIPPED: &[(&str, &str)] = &[
    ("gp-06962", "needs the grammar of Bedrock"),
    ("gp-06964", "needs the grammar of Vertex AI"),
    ("gp-06968", "is held to be wrong: it is the price of another provider"),
];

#[derive(Deserialize)]
struct Row {
    id: String,
    source: String,
    provider: String,
    model: String,
    at: DateTime<Utc>,
    context: BTreeMap<String, String>,
    usage: RowUsage,
    expected_outcome: String,
    expected_cost_usd: Option<String>,
}

#[derive(Deserialize)]
struct RowUsage {
    input_tokens_including_cached: u64,
    cache_read_tokens: u64,
    cache_write_5m_tokens: u64,
    cache_write_1h_tokens: u64,
    output_tokens: u64,
    other_units: BTreeMap<String, u64>,
}

impl RowUsage {
    fn usage(&self) -> Result<TokenUsage, UsageError> {
        let start = TokenUsage::inclusive(self.input_tokens_including_cached, self.output_tokens)
            .cache_read(self.cache_read_tokens)
            .cache_write_5m(self.cache_write_5m_tokens)
            .cache_write_1h(self.cache_write_1h_tokens);
        let other = self.other_units.keys();
        other.fold(start, |usage, name| usage.unit(unit(name), self.other(name))).build()
    }

    /// The quantity of a unit. The seconds of audio include those of input, and are what is left beside them.
    fn other(&self, name: &str) -> u64 {
        let get = |name: &str| self.other_units.get(name).copied().unwrap_or_default();
        match name {
            "audio_seconds" => (get(name) - get("input_audio_seconds")) * 1_000,
            "input_audio_seconds" => get(name) * 1_000,
            _ => get(name),
        }
    }
}

fn unit(name: &str) -> Unit {
    match name {
        "web_searches" => Unit::WebSearch,
        "storage_searches" => Unit::StorageSearch,
        "input_image_tokens" => Unit::InputImage,
        "input_audio_tokens" => Unit::InputAudio,
        "input_audio_seconds" => Unit::InputAudioMillisecond,
        "audio_seconds" => Unit::AudioMillisecond,
        other => panic!("no unit {other}"),
    }
}

fn check(book: &PriceBook, row: &Row) -> Result<(), String> {
    let selectors = Selectors::from(row.context.clone());
    let outcome = row.usage.usage().map_or_else(
        |error| CostOutcome::InvalidUsage { why: error.to_string() },
        |usage| {
            book.price(&Query {
                provider: Some(&row.provider),
                model: &row.model,
                at: row.at,
                usage: &usage,
                selectors: &selectors,
            })
        },
    );
    let word = match &outcome {
        CostOutcome::Priced(_) | CostOutcome::Free { .. } => "cost",
        CostOutcome::PartlyUnpriced { .. } => "unpriced_usage",
        other => other.as_str(),
    };
    let amount = outcome.amount().map(|(amount, _)| amount);
    let expected = row.expected_cost_usd.as_deref();
    let same = expected.is_none_or(|text| amount.is_some_and(|amount| is(amount, text)));
    if same && word == row.expected_outcome {
        return Ok(());
    }
    let Row { id, provider, model, .. } = row;
    Err(format!("{id} {provider}/{model}: {word} {amount:?}, not {expected:?}"))
}

/// Whether an amount is what a row says: exactly, or where the row had to round its 28 digits, up to that.
fn is(amount: Money, expected: &str) -> bool {
    let digits = expected.trim_start_matches(['0', '.']).len();
    if digits < 28 {
        return Ok(amount) == expected.parse();
    }
    let expected = Decimal::from_str(expected).unwrap().round_dp(PLACES);
    let unit = Money::TICKS_PER_UNIT / 10_i128.pow(PLACES);
    Decimal::from_i128_with_scale((amount.ticks() + unit / 2) / unit, PLACES) == expected
}

/// Fewer decimal places than either side has.
const PLACES: u32 = 22;

/// Prices the rows, and gives their number.
fn check_all(table: &str, rows: &str) -> usize {
    let book = PriceBook::try_from(genai::read(table, &origin()).unwrap().book).unwrap();
    let rows = rows.lines().map(|line| serde_json::from_str(line).unwrap());
    let own: Vec<Row> = rows.filter(|row: &Row| row.source == "genai-prices").collect();
    let counted = own.iter().filter(|row| SKIPPED.iter().all(|(id, _)| *id != row.id));
    let wrong: Vec<String> = counted.filter_map(|row| check(&book, row).err()).collect();
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), own.len(), wrong.join("\n"));
    own.len()
}

#[test]
fn all_rows_come_out_exactly() {
    assert!(check_all(TABLE, ROWS) > 50);
}

#[test]
#[ignore = "reads files of which TAXIMETER_GENAI_TABLE and TAXIMETER_ORACLE give the paths"]
fn all_rows_of_the_full_table_come_out_exactly() {
    let read = |variable| std::fs::read_to_string(std::env::var(variable).unwrap()).unwrap();
    let rows = read("TAXIMETER_ORACLE");
    assert!(check_all(&read("TAXIMETER_GENAI_TABLE"), &rows) > 600);
}
