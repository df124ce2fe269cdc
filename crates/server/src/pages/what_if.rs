//! What the same calls would cost by the prices of today, or at another LLM. Nothing is written.

use std::ops::ControlFlow;

use chrono::{DateTime, Utc};
use maud::{Markup, html};
use taximeter::history::{History, Period, Selection};
use taximeter::pricing::reprice::{Change, Group, Kind, Repricer, Repricing, Span, Spread, Target};
use taximeter::report::{NONE, count, counted, money, signed};
use taximeter::store::{Detail, Order};
use taximeter::{Money, StoreError};

use super::frame::{heading, scroll};
use super::words::narrowed;
use crate::questions::Filter;

/// The calls of so many operations are priced again: the newest ones.
const MOST: usize = 20_000;

/// Calls priced again.
pub(super) struct Elsewhere {
    /// The LLM that was asked for, as it was written; empty for the prices of the book.
    target: String,
    operations: u64,
    report: Repricing,
}

pub(super) fn ask(
    history: &History,
    only: &Selection,
    period: Period,
    now: DateTime<Utc>,
    target: &str,
) -> Result<Elsewhere, StoreError> {
    let repricer = Repricer::new(history.price_book());
    let repricer = match target.split_once('/') {
        Some((provider, model)) => {
            repricer.target(Target::At { provider: provider.into(), model: model.into() })
        }
        // By the prices that hold now, and not those of the day of each call.
        None => repricer.prices_of(now),
    };
    let mut elsewhere =
        Elsewhere { target: target.to_owned(), operations: 0, report: Repricing::default() };
    let newest = only.query(period).order(Order::NewestFirst).limit(MOST);
    let query = newest.detail(Detail::WithoutMetadata);
    history.store().scan(&query, &mut |record| {
        elsewhere.operations += 1;
        for call in &record.llm_calls {
            repricer.count(&mut elsewhere.report, call, record.started_at);
        }
        ControlFlow::Continue(())
    })?;
    Ok(elsewhere)
}

pub(super) fn page(elsewhere: &Elsewhere, filter: &Filter) -> Markup {
    let report = &elsewhere.report;
    let title = if elsewhere.target.is_empty() {
        "Priced again, by the prices of today".to_owned()
    } else {
        format!("What if {} had been asked?", elsewhere.target)
    };
    html! {
        section.card #what-if {
            (heading(&title, &[]))
            form.inline method="get" action="/costs#what-if" {
                label { "Another LLM " input name="as" value=(elsewhere.target) placeholder="anthropic/claude-sonnet-4-5" size="28" list="known-as" data-suggest="llm"; }
                datalist #known-as {}
                @for (name, value) in [("since", &filter.since), ("only", &filter.only), ("by", &filter.by), ("compare", &filter.compare)] {
                    @if !value.is_empty() { input type="hidden" name=(name) value=(value); }
                }
                button { "What if?" }
            }
            @if !elsewhere.target.is_empty() && !elsewhere.target.contains('/') {
                p.failure { "Name the LLM with its provider, such as anthropic/claude-sonnet-4-5." }
            }
            p.note {
                (counted(report.total.calls, "LLM call")) " of " (counted(elsewhere.operations, "operation"))
                @if elsewhere.operations >= MOST as u64 { ", the newest ones" }
                "; nothing is written."
            }
            (scroll(&title, &html! {
                table {
                    thead { tr { th scope="col" { "LLM" } th scope="col" { "Calls" } th scope="col" { "Cost" } th scope="col" { "Then" } th scope="col" { "Difference" } } }
                    tbody {
                        @for ((provider, model), group) in &report.by_model {
                            @let llm = format!("{provider}/{model}");
                            tr { th scope="row" { a href=(narrowed(filter, "llm", &llm)) { (llm) } } (cells(group)) }
                        }
                        tr { th scope="row" { strong { "all" } } (cells(&report.total)) }
                    }
                }
            }))
            (notes(report))
        }
    }
}

fn cells(group: &Group) -> Markup {
    let usd = group.usd();
    let plus = |known: u64, open: u64| if known > 0 && open > 0 { "+" } else { "" };
    html! {
        td { (count(group.calls)) }
        td { @if usd.calls_before == 0 { (NONE) } @else { (money(usd.before)) (plus(usd.calls_before, group.unpriced_before)) } }
        td { @if usd.calls_after == 0 { (NONE) } @else { (span(usd.after, money)) (plus(usd.calls_after, group.unpriced_after)) } }
        td { (difference(usd)) }
    }
}

fn difference(usd: Change) -> String {
    usd.difference().map_or_else(|| NONE.into(), |difference| span(difference, signed))
}

/// An amount, or the two between which it lies.
fn span(span: Span, shown: fn(Money) -> String) -> String {
    match span.exact() {
        Some(amount) => shown(amount),
        None => format!("{} to {}", shown(span.low), shown(span.high)),
    }
}

/// What had to be assumed, and what is left open.
fn notes(report: &Repricing) -> Markup {
    html! {
        ul.note {
            @for ((from, to), (spread, calls)) in &report.tokens {
                li { "A token of " (from) " is " (spread) " of " (to) " (" (counted(*calls, "call")) ")." }
            }
            @if !report.tokens.is_empty() { li { (Spread::BEYOND) } }
            @for (reason, calls) in &report.reasons { li { "No price: " (super::words::spaced(reason)) " (" (counted(*calls, "call")) ")." } }
            @if report.calls(Kind::WithoutUsage) > 0 { li { (counted(report.calls(Kind::WithoutUsage), "call")) " told no usage." } }
            @if report.calls(Kind::LeftAlone) > 0 { li { (counted(report.calls(Kind::LeftAlone), "call")) " left alone: the provider, or another program, told the cost." } }
        }
    }
}
