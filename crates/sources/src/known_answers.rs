//! Known answers: rows of calls, each with the cost that a table's own rules give it, as `taximeter price --batch`
//! reads them.

use std::collections::BTreeMap;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::Deserialize;
use taximeter_models::{CostOutcome, Money, TokenUsage, Unit, UsageError};
use taximeter_pricing::{PriceBook, Query, Selectors};

use crate::Import;

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
        "output_reasoning_tokens" => Unit::Reasoning,
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

/// Prices the rows of a source by its table alone, but for those that are `skipped`, and gives their number.
pub(crate) fn check_all(
    import: Import,
    source: &str,
    rows: &str,
    skipped: &[(&str, &str)],
) -> usize {
    let book = PriceBook::try_from(import.book).unwrap();
    let rows = rows.lines().filter(|line| line.contains(source));
    let rows = rows.map(|line| serde_json::from_str(line).unwrap());
    let own: Vec<Row> = rows.filter(|row: &Row| row.source == source).collect();
    let counted = own.iter().filter(|row| skipped.iter().all(|(id, _)| *id != row.id));
    let wrong: Vec<String> = counted.filter_map(|row| check(&book, row).err()).collect();
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), own.len(), wrong.join("\n"));
    own.len()
}

/// The text of the file of which an environment variable gives the path.
pub(crate) fn file(variable: &str) -> String {
    std::fs::read_to_string(std::env::var(variable).unwrap()).unwrap()
}
