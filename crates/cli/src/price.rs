//! `taximeter price`: the cost of one call with its lines and its reasons.

use std::error::Error;
use std::io::Write;

use chrono::{DateTime, Utc};
use clap::Args;
use serde_json::{Value, json};
use taximeter::history::VERSION;
use taximeter::pricing::{Query, Selector, Selectors};
use taximeter::report::{Style, count};
use taximeter::{CostEstimate, CostOutcome, TokenUsage, Unit, UsageBuilder};

use crate::Ended;
use crate::book::BookArguments;
use crate::context::Context;
use crate::draw::{Column, Grid, fit};
use crate::shield;

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    taximeter price --provider openai --model gpt-4o --input 12345 --cache-read 2345 --output 678\n  \
    taximeter price --provider anthropic --model claude-opus-4-5 --exclusive --input 8007 \\\n    \
    --cache-read 7001 --cache-write-1h 5003 --output 907 --at 2026-01-01T00:00:00Z --json\n  \
    taximeter price --batch < rows.jsonl > results.jsonl")]
pub(crate) struct Arguments {
    /// Who serves the LLM; inferred from its name where that is certain
    #[arg(long)]
    provider: Option<String>,
    /// The LLM
    #[arg(long, required_unless_present = "batch")]
    model: Option<String>,
    /// Input tokens; cached ones are among them, unless --exclusive is given
    #[arg(long, default_value_t = 0, value_name = "TOKENS")]
    input: u64,
    /// Input tokens read from a cache
    #[arg(long, default_value_t = 0, value_name = "TOKENS")]
    cache_read: u64,
    /// Input tokens written to a cache of five minutes
    #[arg(long, default_value_t = 0, value_name = "TOKENS")]
    cache_write_5m: u64,
    /// Input tokens written to a cache of one hour
    #[arg(long, default_value_t = 0, value_name = "TOKENS")]
    cache_write_1h: u64,
    /// Output tokens, reasoning included
    #[arg(long, default_value_t = 0, value_name = "TOKENS")]
    output: u64,
    /// How many of the output tokens were reasoning
    #[arg(long, default_value_t = 0, value_name = "TOKENS")]
    reasoning: u64,
    /// Something else that was consumed, such as `web_search=3`
    #[arg(long = "unit", value_name = "UNIT=COUNT", value_parser = unit)]
    units: Vec<(Unit, u64)>,
    /// Cached tokens are counted beside the input, as Anthropic does
    #[arg(long)]
    exclusive: bool,
    /// When it was called [default: now]
    #[arg(long, value_name = "RFC 3339")]
    at: Option<DateTime<Utc>>,
    /// The service tier that served it
    #[arg(long, value_name = "TIER")]
    tier: Option<String>,
    /// How else it was served, such as processing=batch or region=us
    #[arg(long = "select", value_name = "KEY=VALUE", value_parser = selection)]
    selections: Vec<(String, String)>,
    /// Price rows of JSON from standard input, one result a line
    #[arg(long, conflicts_with_all = ["model", "provider"])]
    pub(crate) batch: bool,
    #[command(flatten)]
    pub(crate) book: BookArguments,
}

fn unit(text: &str) -> Result<(Unit, u64), String> {
    let (name, quantity) =
        text.split_once('=').ok_or("UNIT=COUNT expected, such as web_search=3")?;
    let unit = Unit::ALL.iter().find(|unit| unit.as_str() == name).ok_or_else(|| {
        let names: Vec<_> = Unit::ALL.iter().map(|unit| unit.as_str()).collect();
        format!("there is no unit {name}; the units are {}", names.join(", "))
    })?;
    Ok((*unit, quantity.parse().map_err(|error| format!("{quantity}: {error}"))?))
}

fn selection(text: &str) -> Result<(String, String), String> {
    let (key, value) =
        text.split_once('=').ok_or("KEY=VALUE expected, such as processing=batch")?;
    Ok((key.to_owned(), value.to_owned()))
}

pub(crate) fn run(
    arguments: &Arguments,
    context: &Context,
    output: &mut impl Write,
) -> Result<Ended, Box<dyn Error>> {
    let book = arguments.book.open()?;
    let usage = usage(arguments).build()?;
    let mut selectors = Selectors::new();
    if let Some(tier) = &arguments.tier {
        selectors = selectors.service_tier(tier);
    }
    for (key, value) in &arguments.selections {
        selectors = selectors.with(Selector::from(key.as_str()), value);
    }
    let model = arguments.model.as_deref().unwrap_or_default();
    let at = arguments.at.unwrap_or_else(Utc::now);
    let provider = arguments.provider.as_deref();
    let cost = book.price(&Query { provider, model, at, usage: &usage, selectors: &selectors });
    if context.json {
        shield::print(output, &document(&cost))?;
    } else {
        let text = text(&cost, model, context.style);
        write!(output, "{}", fit(&text, context.style.width))?;
    }
    Ok(if cost.is_known() { Ended::Done } else { Ended::NoPrice })
}

fn usage(arguments: &Arguments) -> UsageBuilder {
    let start = if arguments.exclusive { TokenUsage::exclusive } else { TokenUsage::inclusive };
    let usage = start(arguments.input, arguments.output)
        .cache_read(arguments.cache_read)
        .cache_write_5m(arguments.cache_write_5m)
        .cache_write_1h(arguments.cache_write_1h)
        .reasoning(arguments.reasoning);
    arguments.units.iter().fold(usage, |usage, (unit, quantity)| usage.unit(*unit, *quantity))
}

/// The outcome as the library writes it, with the total beside it.
fn document(cost: &CostOutcome) -> Value {
    let mut document = serde_json::to_value(cost).unwrap_or_default();
    if let Value::Object(fields) = &mut document {
        fields.insert("taximeter_version".into(), json!(VERSION));
        fields.insert("document".into(), json!("price"));
        let total = cost.amount().map(|(amount, _)| amount);
        fields.insert("total".into(), json!(total));
        fields.insert("known".into(), json!(cost.is_known()));
        fields.insert("estimated".into(), json!(cost.is_estimated()));
    }
    document
}

pub(crate) fn text(cost: &CostOutcome, model: &str, style: Style) -> String {
    match cost {
        CostOutcome::Priced(cost) => explained(cost, style),
        CostOutcome::PartlyUnpriced { priced, missing } => {
            let missing: Vec<_> =
                missing.iter().map(|(unit, count)| format!("{count} {unit}")).collect();
            format!(
                "{}Not all of it has a price: {}.\n",
                explained(priced, style),
                missing.join(", ")
            )
        }
        CostOutcome::Free { reason } => match reason {
            taximeter::FreeReason::Local => "Free: it runs on a machine of one's own.\n".into(),
            taximeter::FreeReason::Listed => "Free: the provider lists it so.\n".into(),
        },
        CostOutcome::UnknownProvider { provider: Some(provider) } => {
            format!("No price: the book knows no provider {provider}.\n")
        }
        CostOutcome::UnknownProvider { provider: None } => {
            format!(
                "No price: {model} is not the name of just one provider's LLM; say which with --provider.\n"
            )
        }
        CostOutcome::UnknownModel { nearest } if nearest.is_empty() => {
            format!("No price: the book knows no {model} there.\n")
        }
        CostOutcome::UnknownModel { nearest } => {
            let nearest: Vec<_> = nearest.iter().map(AsRef::as_ref).collect();
            format!("No price: the book knows no {model} there. Nearest: {}.\n", nearest.join(", "))
        }
        CostOutcome::NoPriceAt { first: Some(first) } => {
            format!("No price at that time: the first one holds from {first}.\n")
        }
        CostOutcome::InvalidUsage { why } => format!("No price: {why}.\n"),
        other => format!("No price: {}.\n", other.as_str()),
    }
}

fn explained(cost: &CostEstimate, style: Style) -> String {
    let mark = if cost.currency == taximeter::Currency::USD { "$" } else { "" };
    let lines = cost.lines.iter().map(|line| {
        let factor =
            line.multiplier.map_or_else(String::new, |(above, below)| format!("{above}/{below}"));
        let unit = match line.billed_as {
            Some(other) => format!("{} (as {other})", line.unit),
            None => line.unit.to_string(),
        };
        [
            unit,
            count(line.quantity),
            format!("{mark}{} per {}", line.rate, count(line.per)),
            factor,
            format!("{mark}{}", line.amount),
        ]
    });
    let mut grid = Grid::new([
        Column::name("unit"),
        Column::number("quantity", 1),
        Column::number("rate", 2),
        Column::number("factor", 3),
        Column::number("amount", 0),
    ]);
    lines.for_each(|line| grid.row(line));
    let mut text = grid.draw(style);
    let mut say = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    let currency = if mark.is_empty() { format!(" {}", cost.currency) } else { String::new() };
    say(format!("total: {mark}{}{currency}", cost.total()));
    let from =
        cost.card.valid_from.map_or_else(|| "the beginning".into(), |from| from.to_rfc3339());
    say(format!("card: {}/{}, valid from {from}", cost.card.provider, cost.card.model));
    say(format!("source: {}", cost.card.source));
    say(format!("match: {}", word(&cost.match_kind)));
    if let Some(tier) = &cost.tier {
        say(format!(
            "tier: {} of {} is beyond {}",
            tier.metric,
            count(tier.value),
            count(tier.bound)
        ));
    }
    if cost.provider_inferred {
        say("assumed: the provider, by the LLM's name".into());
    }
    if let Some(region) = &cost.region_assumed {
        say(format!("assumed: the region {region}"));
    }
    for ignored in &cost.context_ignored {
        say(format!("ignored: {ignored}, of which the card knows nothing"));
    }
    text
}

/// The word for a value that is written as one, such as `date_stripped`.
pub(crate) fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|value| value.as_str().map(ToOwned::to_owned))
        .unwrap_or_default()
}
