//! `taximeter price --batch`: rows of JSON in, one result a line out; a row that cannot be read stops nobody.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufRead, Write};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use taximeter::pricing::{Query, Selector, Selectors};
use taximeter::{CostOutcome, Currency, Money, PriceBook, TokenUsage, Unit, UsageError};

use crate::Ended;
use crate::price::{Arguments, word};

/// The significant digits of an amount whose decimal has no end.
const SIGNIFICANT: u8 = 28;

/// A row: the shape of the files that price tables are checked with.
#[derive(Deserialize)]
struct Row {
    #[serde(default)]
    provider: Option<String>,
    model: String,
    at: DateTime<Utc>,
    #[serde(default)]
    context: BTreeMap<String, String>,
    usage: Usage,
}

/// Counts may be negative in a row that is wrong on purpose; they are refused as a usage, and not as a row.
#[derive(Deserialize)]
struct Usage {
    #[serde(default)]
    input_tokens_including_cached: Option<i64>,
    #[serde(default)]
    input_tokens_excluding_cached: Option<i64>,
    #[serde(default)]
    cache_read_tokens: i64,
    #[serde(default)]
    cache_write_5m_tokens: i64,
    #[serde(default)]
    cache_write_1h_tokens: i64,
    #[serde(default)]
    output_tokens: i64,
    #[serde(default)]
    other_units: BTreeMap<String, serde_json::Number>,
}

/// A result. Its fields are there in every line; what there is not is null.
#[derive(Serialize, Default)]
struct Answer {
    id: Value,
    outcome: &'static str,
    cost_usd: Option<String>,
    provider: Option<String>,
    model: Option<String>,
    r#match: Option<String>,
    card_from: Option<DateTime<Utc>>,
    source: Option<String>,
    /// The cost of the part that has a price, where another part has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    priced_part_usd: Option<String>,
    /// The cost in another currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<Currency>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

pub(crate) fn run(
    arguments: &Arguments,
    input: &mut impl BufRead,
    output: &mut impl Write,
) -> Result<Ended, Box<dyn Error>> {
    let book = arguments.book.open()?;
    let mut ended = Ended::Done;
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        if !line.trim_ascii().is_empty() {
            let result = priced(&book, &line);
            if result.error.is_some() {
                ended = Ended::SomeRowsUnread;
            }
            serde_json::to_writer(&mut *output, &result)?;
            writeln!(output)?;
        }
        line.clear();
    }
    Ok(ended)
}

fn priced(book: &PriceBook, line: &[u8]) -> Answer {
    let row = match serde_json::from_slice::<Value>(line) {
        Ok(row) => row,
        Err(error) => return unread(Value::Null, &error),
    };
    let id = row.get("id").cloned().unwrap_or_default();
    match serde_json::from_value::<Row>(row) {
        Ok(row) => match usage(&row.usage) {
            Ok(usage) => result(id, &price(book, &row, &usage)),
            Err(UsageOrError::Usage) => {
                Answer { id, outcome: "invalid_usage", ..Answer::default() }
            }
            Err(UsageOrError::Row(error)) => unread(id, &error),
        },
        Err(error) => unread(id, &error),
    }
}

fn unread(id: Value, error: &dyn ToString) -> Answer {
    Answer { id, outcome: "error", error: Some(error.to_string()), ..Answer::default() }
}

/// Why a row has no usage: its numbers cannot be, or it names what is not known here.
enum UsageOrError {
    Usage,
    Row(String),
}

impl From<UsageError> for UsageOrError {
    fn from(_: UsageError) -> Self {
        Self::Usage
    }
}

fn usage(row: &Usage) -> Result<TokenUsage, UsageOrError> {
    let tokens = |count: i64| u64::try_from(count).map_err(|_| UsageOrError::Usage);
    let output = tokens(row.output_tokens)?;
    let start = match (row.input_tokens_including_cached, row.input_tokens_excluding_cached) {
        (Some(inclusive), _) => TokenUsage::inclusive(tokens(inclusive)?, output),
        (None, exclusive) => TokenUsage::exclusive(tokens(exclusive.unwrap_or_default())?, output),
    };
    let mut usage = start
        .cache_read(tokens(row.cache_read_tokens)?)
        .cache_write_5m(tokens(row.cache_write_5m_tokens)?)
        .cache_write_1h(tokens(row.cache_write_1h_tokens)?);
    for (name, quantity) in &row.other_units {
        let (unit, thousandths) = other_unit(name)
            .ok_or_else(|| UsageOrError::Row(format!("other_units: there is no unit {name}")))?;
        let mut quantity = scaled(quantity, thousandths)?;
        if unit == Unit::AudioMillisecond {
            // All audio holds the part that went in and the part that came out.
            for part in ["input_audio_seconds", "output_audio_seconds"] {
                let part = row.other_units.get(part).map_or(Ok(0), |part| scaled(part, true))?;
                quantity = quantity.checked_sub(part).ok_or(UsageOrError::Usage)?;
            }
        }
        usage = usage.unit(unit, quantity);
    }
    Ok(usage.build()?)
}

/// The unit of that name in a row; seconds are kept in thousandths.
fn other_unit(name: &str) -> Option<(Unit, bool)> {
    Some(match name {
        "output_reasoning_tokens" => (Unit::Reasoning, false),
        "output_citation_tokens" => (Unit::Citation, false),
        "input_audio_tokens" => (Unit::InputAudio, false),
        "cache_audio_read_tokens" => (Unit::CacheReadAudio, false),
        "output_audio_tokens" => (Unit::OutputAudio, false),
        "input_image_tokens" => (Unit::InputImage, false),
        "output_image_tokens" => (Unit::OutputImage, false),
        "input_video_tokens" => (Unit::InputVideo, false),
        "output_video_tokens" => (Unit::OutputVideo, false),
        "web_searches" => (Unit::WebSearch, false),
        "storage_searches" => (Unit::StorageSearch, false),
        "requests" => (Unit::Request, false),
        "cache_audio_write_tokens" => (Unit::CacheWriteAudio, false),
        "cache_image_read_tokens" => (Unit::CacheReadImage, false),
        "cache_video_read_tokens" => (Unit::CacheReadVideo, false),
        "input_text_messages" => (Unit::TextMessage, false),
        "input_characters" => (Unit::InputCharacter, false),
        "input_pixels" => (Unit::InputPixel, false),
        "input_document_pages" => (Unit::Page, false),
        "input_annotated_document_pages" => (Unit::AnnotatedPage, false),
        "rerank_searches" => (Unit::RerankQuery, false),
        "code_executions" => (Unit::Session, false),
        "audio_seconds" => (Unit::AudioMillisecond, true),
        "input_audio_seconds" => (Unit::InputAudioMillisecond, true),
        "output_audio_seconds" => (Unit::OutputAudioMillisecond, true),
        other => (*Unit::ALL.iter().find(|unit| unit.as_str() == other)?, false),
    })
}

/// A quantity as a whole number: of thousandths, where the unit is kept in those. Read as decimal text, so that
/// nothing is lost on the way.
fn scaled(quantity: &serde_json::Number, thousandths: bool) -> Result<u64, UsageOrError> {
    let exact: Money = quantity.to_string().parse().map_err(|_| UsageOrError::Usage)?;
    let scale = if thousandths { 1_000 } else { 1 };
    let ticks = exact.checked_mul(scale).ok_or(UsageOrError::Usage)?.ticks();
    let whole = ticks % Money::TICKS_PER_UNIT == 0;
    u64::try_from(ticks / Money::TICKS_PER_UNIT).ok().filter(|_| whole).ok_or(UsageOrError::Usage)
}

fn price(book: &PriceBook, row: &Row, usage: &TokenUsage) -> CostOutcome {
    let select = |selectors: Selectors, (key, value): (&String, &String)| {
        selectors.with(Selector::from(key.as_str()), value)
    };
    let selectors = row.context.iter().fold(Selectors::new(), select);
    let provider = row.provider.as_deref();
    book.price(&Query { provider, model: &row.model, at: row.at, usage, selectors: &selectors })
}

fn result(id: Value, cost: &CostOutcome) -> Answer {
    let mut result = Answer { id, outcome: outcome(cost), ..Answer::default() };
    if let Some(estimate) = cost.estimate() {
        result.provider = Some(estimate.card.provider.to_string());
        result.model = Some(estimate.card.model.to_string());
        result.r#match = Some(word(&estimate.match_kind));
        result.card_from = estimate.card.valid_from;
        result.source = Some(estimate.card.source.to_string());
    }
    match cost.amount() {
        Some((amount, Currency::USD)) if cost.is_known() => {
            result.cost_usd = Some(amount.to_decimal(SIGNIFICANT));
        }
        Some((amount, Currency::USD)) => {
            result.priced_part_usd = Some(amount.to_decimal(SIGNIFICANT));
        }
        Some((amount, currency)) => {
            result.cost = Some(amount.to_decimal(SIGNIFICANT));
            result.currency = Some(currency);
        }
        None => {}
    }
    result
}

fn outcome(cost: &CostOutcome) -> &'static str {
    match cost {
        CostOutcome::Priced(_) => "cost",
        CostOutcome::PartlyUnpriced { .. } => "unpriced_usage",
        other => other.as_str(),
    }
}
