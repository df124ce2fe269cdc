//! By which prices costs are computed: how old the book is, which rules are used, what has no price and how to give it one.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use maud::{Markup, html};
use taximeter::history::{History, LlmRow, Period};
use taximeter::models::CardBasis;
use taximeter::pricing::{Model, Query, RateCard, Selectors};
use taximeter::report::{NONE, count, counted};
use taximeter::{CostOutcome, Money, Name, StoreError, TokenUsage, Unit};

use super::frame::{heading, scroll};
use super::words::{narrowed, spaced};
use crate::questions::Filter;

/// What the page shows.
pub(super) struct Prices {
    as_of: Option<chrono::NaiveDate>,
    models: usize,
    sources: BTreeSet<Name>,
    used: Vec<Used>,
    overrides: Vec<Rule>,
}

/// An LLM that was called, and what it is priced by.
struct Used {
    llm: String,
    calls: u64,
    unpriced: u64,
    rule: Option<Rule>,
    /// Why there is no price, and which names come near.
    why: Option<String>,
}

/// The prices of an LLM, in its currency for a million tokens.
struct Rule {
    name: String,
    rates: [Option<Money>; 4],
    currency: String,
    since: Option<DateTime<Utc>>,
    basis: CardBasis,
    source: Name,
}

const UNITS: [Unit; 4] = [Unit::Input, Unit::CacheRead, Unit::CacheWrite, Unit::Output];

pub(super) fn ask(
    history: &History,
    period: Period,
    now: DateTime<Utc>,
) -> Result<Prices, StoreError> {
    let book = history.price_book();
    let at = period.until.unwrap_or(now);
    let rule =
        |model: &Model| model.card_at(at, &Selectors::new()).map(|card| Rule::of(model, card));
    let used = history.llms(period)?.iter().map(|row| used(history, row, at)).collect();
    let is_own =
        |model: &&Model| model.cards.iter().any(|card| card.reference.basis == CardBasis::Override);
    Ok(Prices {
        as_of: book.as_of(),
        models: book.models().count(),
        sources: book.sources().iter().map(|source| source.id.clone()).collect::<BTreeSet<_>>(),
        used,
        overrides: book.models().filter(is_own).filter_map(rule).collect(),
    })
}

fn used(history: &History, row: &LlmRow, at: DateTime<Utc>) -> Used {
    let book = history.price_book();
    let provider = (row.provider != "unknown").then_some(row.provider.as_str());
    let (usage, selectors) = (TokenUsage::new(1, 1), Selectors::new());
    let query = Query { provider, model: &row.model, at, usage: &usage, selectors: &selectors };
    let why = match book.price(&query) {
        CostOutcome::Priced(_) | CostOutcome::ProviderReported(_) | CostOutcome::Recorded(_) => {
            None
        }
        CostOutcome::UnknownModel { nearest } if !nearest.is_empty() => {
            let near: Vec<_> = nearest.iter().take(3).map(Name::as_str).collect();
            Some(format!("the book has no LLM of that name; it has {}", near.join(", ")))
        }
        other => Some(spaced(other.as_str())),
    };
    let model = book.find(provider, &row.model);
    let card = model.and_then(|model| Some(Rule::of(model, model.card_at(at, &selectors)?)));
    Used {
        llm: format!("{}/{}", row.provider, row.model),
        calls: row.success.rate.of,
        unpriced: row.cost.unpriced_calls,
        rule: card,
        why,
    }
}

impl Rule {
    fn of(model: &Model, card: &RateCard) -> Self {
        let million = |unit: Unit| {
            let price = card.rates.iter().find(|price| price.unit == unit)?;
            let ticks = price.amount.ticks().checked_mul(1_000_000)? / i128::from(price.per);
            Some(Money::from_ticks(ticks))
        };
        Self {
            name: format!("{}/{}", model.provider, model.id),
            rates: UNITS.map(million),
            currency: card.currency.to_string(),
            since: card.from,
            basis: card.reference.basis,
            source: card.reference.source.clone(),
        }
    }
}

pub(super) fn page(prices: &Prices, period: Period, filter: &Filter) -> Markup {
    let lacking: Vec<_> = prices.used.iter().filter(|used| used.unpriced > 0).collect();
    html! {
        h1 { "Prices" }
        section.card {
            dl {
                dt { "Prices as of" } dd { (prices.as_of.map_or_else(|| NONE.into(), |day| day.to_string())) }
                dt { "LLMs in the book" } dd { (count(prices.models as u64)) }
                dt { "Out of" } dd { (prices.sources.iter().map(Name::as_str).collect::<Vec<_>>().join(", ")) }
                dt { "LLMs called" } dd { (count(prices.used.len() as u64)) ", " (period) }
                dt { "Of them without a price" } dd class=[(!lacking.is_empty()).then_some("failure")] { (count(lacking.len() as u64)) }
            }
        }
        @for used in &lacking { (unpriced(used, filter)) }
        (rules("The prices of the LLMs that were called", prices.used.iter().map(|used| (used.llm.as_str(), Some(used), used.rule.as_ref())), filter))
        (overrides(prices, filter))
    }
}

/// What has no price, and the lines that give it one.
fn unpriced(used: &Used, filter: &Filter) -> Markup {
    let (provider, model) = used.llm.split_once('/').unwrap_or(("unknown", &used.llm));
    let line = format!(
        "[[models]]\nprovider = {provider:?}\nid = {model:?}\ncards = [{{ rates = {{ input = 2.50, output = 10.00 }} }}]"
    );
    html! {
        section.card {
            h2 { a href=(narrowed(filter, "llm", &used.llm)) { (used.llm) } }
            p.failure {
                (counted(used.unpriced, "call")) " of " (count(used.calls)) " have no price"
                @if let Some(why) = &used.why { ": " (why) }
                "."
            }
            p.note { "Dollars for a million tokens, in the file that " code { "pricing.overrides" } " of taximeter.toml names:" }
            pre tabindex="0" { code { (line) } }
        }
    }
}

fn rules<'p>(
    title: &str,
    rows: impl Iterator<Item = (&'p str, Option<&'p Used>, Option<&'p Rule>)>,
    filter: &Filter,
) -> Markup {
    html! {
        section.card {
            (heading(title, &[]))
            p.note { "For a million tokens. A dash is no published price, which is not zero." }
            (scroll(title, &html! {
                table {
                    thead { tr {
                        th scope="col" { "LLM" } th scope="col" { "Calls" } th scope="col" { "Rule" } th scope="col" { "Input" }
                        th scope="col" { "Cache read" } th scope="col" { "Cache write" } th scope="col" { "Output" }
                        th scope="col" { "Currency" } th scope="col" { "Since" } th scope="col" { "Known by" } th scope="col" { "Source" }
                    } }
                    tbody {
                        @for (name, used, rule) in rows {
                            tr {
                                th scope="row" { a href=(narrowed(filter, "llm", name)) { (name) } }
                                td { (used.map_or_else(|| NONE.into(), |used| count(used.calls))) }
                                @match rule {
                                    Some(rule) => {
                                        td { (rule.name) }
                                        @for rate in &rule.rates { td { (rate.map_or_else(|| NONE.into(), |rate| rate.rounded(4))) } }
                                        td { (rule.currency) }
                                        td { (rule.since.map_or_else(|| NONE.into(), |at| at.format("%F").to_string())) }
                                        td { (basis(rule.basis)) }
                                        td.wrap { (rule.source) }
                                    }
                                    None => td.failure.wrap colspan="9" { (used.and_then(|used| used.why.clone()).unwrap_or_else(|| "no price".into())) },
                                }
                            }
                        }
                    }
                }
            }))
        }
    }
}

fn basis(basis: CardBasis) -> &'static str {
    match basis {
        CardBasis::Documented => "the provider",
        CardBasis::SourceCommit => "a change of a public table",
        CardBasis::FirstObserved => "first seen then",
        CardBasis::Unknown => "not known",
        CardBasis::Override => "your own file",
    }
}

fn overrides(prices: &Prices, filter: &Filter) -> Markup {
    if prices.overrides.is_empty() {
        return html! {
            section.card {
                (heading("Prices of your own", &[]))
                p { "None. Negotiated prices and LLMs of your own stand in a file:" }
                pre tabindex="0" { code { "[pricing]\noverrides = \"prices.toml\"" } }
            }
        };
    }
    let rows = prices.overrides.iter().map(|rule| (rule.name.as_str(), None, Some(rule)));
    rules("Prices of your own", rows, filter)
}
