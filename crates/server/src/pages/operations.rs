//! Lists of operations: how their durations spread, and single ones, some at a time.

use maud::{Markup, html};
use plotly::layout::{Axis, AxisType, BarMode};
use plotly::{Bar, Layout, Plot};
use taximeter::history::{Line, LookedAt, Spread};
use taximeter::report::{count, counted, seconds, spend};

use super::charts::figure;
use super::frame::{heading, scroll};
use super::over_time::float;
use super::words::{instant, link, narrowed, one};
use crate::questions::{Filter, LINES};

/// What comes first, and how that is told.
const ORDERS: [(&str, &str); 4] = [
    ("newest", "newest first"),
    ("slowest", "slowest first"),
    ("dearest", "dearest first"),
    ("failed", "only failed, newest first"),
];

pub(super) fn page(
    lines: &[Line],
    looked_at: LookedAt,
    spread: &Spread,
    filter: &Filter,
) -> Markup {
    let order = if filter.order.is_empty() { "newest" } else { &filter.order };
    html! {
        h1 { "Operations" }
        @if !spread.stretches.is_empty() { (histogram(spread, filter)) }
        div.periods role="group" aria-label="Which first" {
            @for (name, told) in ORDERS {
                a href=(link("/operations", filter, &[("order", name)])) aria-current=[(name == order).then_some("true")] { (told) }
            }
        }
        section.card {
            (heading("One by one", &exports(filter)))
            @if lines.is_empty() { p { "No operation is of this kind. Name a longer period, or fewer conditions." } }
            @else { div.tall { (table(lines, "Operations", filter)) } }
            (pages(lines, spread, filter))
            @if looked_at.damaged > 0 { p.failure { (counted(looked_at.damaged, "damaged record")) " left out" } }
        }
    }
}

/// The same list of the API.
fn exports(filter: &Filter) -> [(&'static str, String); 2] {
    let to = |format: &str| {
        let otherwise =
            [("format", format), ("limit", "1000"), ("by", ""), ("live", ""), ("compare", "")];
        link("/api/v1/operations", filter, &otherwise)
    };
    [("CSV", to("csv")), ("JSON", to(""))]
}

/// Which lines these are, and the way to the others.
fn pages(lines: &[Line], spread: &Spread, filter: &Filter) -> Markup {
    let skipped = filter.skip.unwrap_or(0);
    let (shown, each) = (lines.len(), filter.limit.unwrap_or(LINES));
    let to = |skip: usize| {
        let (skip, limit) = (skip.to_string(), each.to_string());
        let limit = if each == LINES { "" } else { &limit };
        let skip = if skip == "0" { "" } else { &skip };
        link("/operations", filter, &[("limit", limit), ("skip", skip)])
    };
    html! {
        nav.paging aria-label="Further operations" {
            @if skipped > 0 { a rel="prev" href=(to(skipped.saturating_sub(each))) { "‹ Before" } }
            p.note {
                @if shown > 0 { (count((skipped + 1) as u64)) " to " (count((skipped + shown) as u64)) } @else { "None" }
                @if filter.order != "failed" { " of " (counted(spread.operations, "operation")) }
            }
            @if shown >= each { a rel="next" href=(to(skipped + shown)) { "Next ›" } }
        }
    }
}

fn histogram(spread: &Spread, filter: &Filter) -> Markup {
    let edges = |from: f64, to: f64| format!("{} – {}", seconds(from), seconds(to));
    let names: Vec<_> =
        spread.stretches.iter().map(|one| edges(one.from_seconds, one.to_seconds)).collect();
    let good = spread.stretches.iter().map(|one| float(one.operations - one.failed)).collect();
    let failed = spread.stretches.iter().map(|one| float(one.failed)).collect();
    let mut plot = Plot::new();
    plot.add_trace(Bar::new(names.clone(), good).name("succeeded"));
    plot.add_trace(Bar::new(names.clone(), failed).name("did not"));
    let axis = Axis::new().type_(AxisType::Category);
    plot.set_layout(Layout::new().bar_mode(BarMode::Stack).bar_gap(0.05).x_axis(axis));
    let numbers = html! {
        thead { tr {
            th scope="col" { "Took" } th scope="col" data-only="outcome=success" { "Succeeded" } th scope="col" data-only="outcome=failure" { "Did not" }
            th scope="col" { "Operations" }
        } }
        tbody {
            @for (stretch, name) in spread.stretches.iter().zip(&names) {
                tr {
                    th scope="row" { a href=(narrowed(filter, "longer", &longer(stretch.from_seconds))) title="These, and those that took longer" { (name) } }
                    td { (count(stretch.operations - stretch.failed)) }
                    td { (count(stretch.failed)) }
                    td { (count(stretch.operations)) }
                }
            }
        }
    };
    figure("How long they took", "operations", plot, &[], &numbers)
}

/// A time as a condition takes it: whole milliseconds, rounded down.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a time of milliseconds"
)]
fn longer(seconds: f64) -> String {
    format!("{}ms", (seconds * 1e3).floor().max(0.0) as u64)
}

pub(super) fn table(lines: &[Line], label: &str, filter: &Filter) -> Markup {
    html! {
        (scroll(label, &html! {
            table {
                thead { tr {
                    th scope="col" { "Operation" } th scope="col" { "Began (UTC)" } th scope="col" { "Took" }
                    th scope="col" { "Ended" } th scope="col" { "LLM calls" } th scope="col" { "Tool calls" }
                    th scope="col" { "Tokens" } th scope="col" { "Cost" } th scope="col" { "User" } th scope="col" { "Session" }
                } }
                tbody {
                    @for line in lines {
                        tr {
                            th scope="row" { a href=(one(line.operation_id)) { (line.operation_name) } }
                            td { (instant(line.started_at)) }
                            td { (seconds(line.total_duration)) }
                            td class=(line.outcome.as_str()) {
                                (line.outcome.as_str())
                                @if let Some(error) = line.error { " (" (error) ")" }
                            }
                            td { (count(line.llm_calls)) }
                            td { (count(line.tool_calls)) }
                            td { (count(line.total_tokens)) }
                            td { (spend(line.total_cost, line.unpriced_calls)) }
                            td { @if let Some(user) = &line.user { a href=(narrowed(filter, "user", user)) { (user) } } }
                            td { @if let Some(session) = &line.session { a href=(narrowed(filter, "session", session)) { (session) } } }
                        }
                    }
                }
            }
        }))
    }
}
