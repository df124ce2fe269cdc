//! `taximeter models`: what the price book knows, with prices, dates and sources.

use std::error::Error;
use std::io::Write;

use chrono::{DateTime, Utc};
use clap::Args;
use serde_json::{Value, json};
use taximeter::Unit;
use taximeter::history::VERSION;
use taximeter::pricing::{Model, RateCard, Selectors};
use taximeter::report::Style;

use crate::Ended;
use crate::book::BookArguments;
use crate::context::Context;
use crate::draw::{Column, Grid, fit};
use crate::price::word;
use crate::shield;

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    taximeter models --search opus\n  \
    taximeter models --provider openai --at 2026-01-01T00:00:00Z --json")]
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
    #[command(flatten)]
    book: BookArguments,
}

pub(crate) fn run(
    arguments: &Arguments,
    context: &Context,
    output: &mut impl Write,
) -> Result<Ended, Box<dyn Error>> {
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
    if context.json {
        let rows: Vec<_> = models.iter().map(|model| row(model, at)).collect();
        let document = json!({
            "taximeter_version": VERSION,
            "document": "models",
            "as_of": book.as_of(),
            "models": rows,
        });
        shield::print(output, &document)?;
    } else {
        write!(output, "{}", table(&models, at, context.style))?;
        let as_of = book.as_of().map_or_else(|| "an unknown day".into(), |day| day.to_string());
        let note = format!(
            "{} LLMs; prices in US dollars per million tokens, as of {as_of}.",
            models.len()
        );
        write!(output, "\n{}", fit(&note, context.style.width))?;
    }
    Ok(Ended::Done)
}

fn card(model: &Model, at: DateTime<Utc>) -> Option<&RateCard> {
    model.card_at(at, &Selectors::new())
}

fn table(models: &[&Model], at: DateTime<Utc>, style: Style) -> String {
    let mut grid = Grid::new([
        Column::name("provider"),
        Column::beginning("LLM", 28),
        Column::number("input", 1),
        Column::number("cache read", 3),
        Column::number("output", 0),
        Column::text("since", 4),
        Column::text("status", 5),
    ]);
    for model in models {
        let card = card(model, at);
        let price =
            |unit| card.and_then(|card| per_million(card, unit)).unwrap_or_else(|| "–".into());
        let since = card
            .and_then(|card| card.from)
            .map_or_else(|| "–".into(), |from| from.date_naive().to_string());
        grid.row([
            model.provider.to_string(),
            model.id.to_string(),
            price(Unit::Input),
            price(Unit::CacheRead),
            price(Unit::Output),
            since,
            word(&model.status),
        ]);
    }
    grid.draw(style)
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
