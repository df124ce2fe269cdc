//! `taximeter models`: what the price book knows, with prices, dates and sources.

use std::error::Error;
use std::io::Write;

use chrono::{DateTime, Utc};
use clap::Args;
use serde_json::{Value, json};
use taximeter::Unit;
use taximeter::pricing::{Model, RateCard, Selectors};
use taximeter::report::Align;

use crate::Ended;
use crate::book::BookArguments;
use crate::price::{style, word};

#[derive(Args)]
pub(crate) struct Arguments {
    /// Only those of this provider
    #[arg(long)]
    provider: Option<String>,
    /// Only those with this in one of their names
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// The prices at this moment [default: now]
    #[arg(long, value_name = "RFC 3339")]
    at: Option<DateTime<Utc>>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    book: BookArguments,
}

pub(crate) fn run(arguments: &Arguments, output: &mut impl Write) -> Result<Ended, Box<dyn Error>> {
    let book = arguments.book.open()?;
    let at = arguments.at.unwrap_or_else(Utc::now);
    let provider = arguments.provider.as_ref().map(|provider| provider.to_lowercase());
    let search = arguments.search.as_ref().map(|text| text.to_lowercase());
    let wanted = |model: &&Model| {
        provider.as_ref().is_none_or(|provider| model.provider.to_lowercase() == *provider)
            && search
                .as_ref()
                .is_none_or(|text| model.names().any(|name| name.to_lowercase().contains(text)))
    };
    let mut models: Vec<_> = book.models().filter(wanted).collect();
    models.sort_by_key(|model| (model.provider.clone(), model.id.clone()));
    if arguments.json {
        let rows: Vec<_> = models.iter().map(|model| row(model, at)).collect();
        writeln!(output, "{:#}", Value::from(rows))?;
    } else {
        writeln!(output, "{}", table(&models, at))?;
        let as_of = book.as_of().map_or_else(|| "an unknown day".into(), |day| day.to_string());
        writeln!(
            output,
            "\n{} LLMs; prices in US dollars per million tokens, as of {as_of}.",
            models.len()
        )?;
    }
    Ok(Ended::Done)
}

fn card(model: &Model, at: DateTime<Utc>) -> Option<&RateCard> {
    model.card_at(at, &Selectors::new())
}

fn table(models: &[&Model], at: DateTime<Utc>) -> String {
    let rows = models.iter().map(|model| {
        let card = card(model, at);
        let price =
            |unit| card.and_then(|card| per_million(card, unit)).unwrap_or_else(|| "–".into());
        let since = card
            .and_then(|card| card.from)
            .map_or_else(|| "–".into(), |from| from.date_naive().to_string());
        [
            model.provider.to_string(),
            model.id.to_string(),
            price(Unit::Input),
            price(Unit::CacheRead),
            price(Unit::Output),
            since,
            word(&model.status),
        ]
    });
    let columns = [
        ("provider", Align::Left),
        ("LLM", Align::Left),
        ("input", Align::Right),
        ("cache read", Align::Right),
        ("output", Align::Right),
        ("since", Align::Left),
        ("status", Align::Left),
    ];
    style().table(columns, rows)
}

/// The price of a million; as a fraction where it is no finite decimal.
fn per_million(card: &RateCard, unit: Unit) -> Option<String> {
    let price = card.rates.iter().find(|price| price.unit == unit)?;
    let ticks = price.amount.ticks().checked_mul(1_000_000)? / i128::from(price.per);
    Some(taximeter::Money::from_ticks(ticks).to_string())
}

fn row(model: &Model, at: DateTime<Utc>) -> Value {
    let prices = |card: &RateCard| -> Value {
        card.rates
            .iter()
            .map(|price| {
                (price.unit.to_string(), json!({ "amount": price.amount, "per": price.per }))
            })
            .collect()
    };
    json!({
        "provider": model.provider,
        "model": model.id,
        "aliases": model.aliases,
        "status": model.status,
        "retired_at": model.retired_at,
        "cards": model.cards.len(),
        "card": card(model, at).map(|card| json!({
            "from": card.from,
            "until": card.until,
            "currency": card.currency,
            "rates": prices(card),
            "basis": card.reference.basis,
            "source": card.reference.source,
            "checked_on": card.reference.checked_on,
        })),
    })
}
