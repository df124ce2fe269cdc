//! How the tools do: success with its interval, errors by category, retries, time, what failures cost, and the trend.

use std::collections::BTreeMap;

use maud::{Markup, html};
use taximeter::Name;
use taximeter::history::{Failures, LookedAt, OverTime, ToolRow, ToolStretch, Tools};
use taximeter::report::{NONE, count, part, seconds, share, spend, took};

use super::charts::{Chart, Look, SERIES, Series, spark};
use super::frame::{groups, heading, looked, missing, scroll};
use super::over_time::float;
use super::words::{narrowed, ordered};
use crate::questions::Filter;

pub(super) fn page(
    tools: &Tools,
    over_time: &OverTime,
    at: Option<LookedAt>,
    filter: &Filter,
) -> Markup {
    html! {
        h1 { "Tools" }
        p.period { (tools.period) }
        (looked(at))
        @if tools.by_tool.is_empty() { (nothing()) } @else {
            (table(&tools.by_tool, &lines(tools, over_time), filter))
            p.note {
                "Success stands with the interval in which the true share lies with 95 % confidence. Failures cost what the operations "
                "cost that failed with the tool, of " (tools.looked_at) "."
            }
            div.two {
                (chart("Calls", "count", tools, over_time, filter, |at| Some(float(at.calls)), |value| value.map_or_else(String::new, |n| format!("{n:.0}"))))
                (chart("Failed calls", "% of the calls of a tool", tools, over_time, filter, failing, |value| part(value.map(|v| v / 100.0))))
                (chart("p95 of a call", "seconds", tools, over_time, filter, |at| at.p95_seconds, took))
            }
            (errors(&tools.by_tool, filter))
        }
    }
}

pub(super) fn nothing() -> Markup {
    missing("no tool call was recorded", "op.tool(\"web_search\").run(|| search(question));")
}

fn failing(at: &ToolStretch) -> Option<f64> {
    (at.calls > 0).then(|| float(at.failed) / float(at.calls) * 100.0)
}

/// What a tool did in each step of a period.
type Lines<'a> = BTreeMap<&'a Name, Vec<Option<&'a ToolStretch>>>;

fn lines<'a>(tools: &'a Tools, over_time: &OverTime) -> Lines<'a> {
    let mut lines = Lines::new();
    for at in &tools.over_time {
        let line = lines.entry(&at.tool).or_insert_with(|| vec![None; over_time.moments.len()]);
        let place = over_time.moments.binary_search_by_key(&at.start, |moment| moment.start);
        if let Some(place) = place.ok().and_then(|place| line.get_mut(place)) {
            *place = Some(at);
        }
    }
    lines
}

fn chart(
    title: &str,
    unit: &str,
    tools: &Tools,
    over_time: &OverTime,
    filter: &Filter,
    value: fn(&ToolStretch) -> Option<f64>,
    cell: fn(Option<f64>) -> String,
) -> Markup {
    let lines = lines(tools, over_time);
    let series = tools.by_tool.iter().take(SERIES).filter_map(|row| {
        let line = lines.get(&row.tool)?.iter();
        let values: Vec<_> = line.map(|at| at.and_then(value)).collect();
        let series = Series::new(row.tool.as_str(), values, |value| *value, |value| cell(*value));
        Some(series.only("tool", row.tool.as_str()))
    });
    Chart::new(title, unit, Look::Lines, over_time)
        .with(series)
        .exported(groups(filter, "tool"))
        .draw(filter)
}

fn table(rows: &[ToolRow], lines: &Lines<'_>, filter: &Filter) -> Markup {
    html! {
        section.card {
            (heading("Every tool, the one that takes the most time first", &groups(filter, "tool")))
            (scroll("Tools", &html! {
                table.dense {
                    thead { tr {
                        th scope="col" { "Tool" } th scope="col" { "Calls" } th scope="col" { "Success (95 %)" }
                        th scope="col" { "Most errors" } th scope="col" { "Timeouts" } th scope="col" { "Retries" }
                        th scope="col" { "p50" } th scope="col" { "p95" } th scope="col" { "Of the time" }
                        th scope="col" { "Failures took (calls)" } th scope="col" { "Failures cost (operations)" }
                        @if !lines.is_empty() { th scope="col" { "p95 over time" } }
                    } }
                    tbody {
                        @for tool in rows {
                            tr {
                                th scope="row" { a href=(narrowed(filter, "tool", &tool.tool)) { (tool.tool) } }
                                td { a href=(narrowed(filter, "tool", &tool.tool)) { (count(tool.success.rate.of)) } }
                                td {
                                    (share(tool.success.rate))
                                    @if let Some(interval) = &tool.success.interval_95 {
                                        span.quiet { (format!(" ({:.0}–{:.0})", interval.low * 100.0, interval.high * 100.0)) }
                                    }
                                }
                                td {
                                    @match tool.top_error {
                                        Some((category, errors)) => a href=(ordered(filter, "tool", &tool.tool, "failed")) { (category) " (" (count(errors)) ")" },
                                        None => (NONE),
                                    }
                                }
                                td { (count(tool.timeouts)) }
                                td { (share(tool.retries)) }
                                td { (took(tool.p50_seconds)) }
                                td { a href=(ordered(filter, "tool", &tool.tool, "slowest")) { (took(tool.p95_seconds)) } }
                                td { (part(tool.share_of_time)) }
                                (failures(&tool.failures))
                                @if !lines.is_empty() {
                                    td.line { @if let Some(line) = lines.get(&tool.tool) { (spark(&line.iter().map(|at| at.and_then(|at| at.p95_seconds)).collect::<Vec<_>>())) } }
                                }
                            }
                        }
                    }
                }
            }))
        }
    }
}

fn failures(failures: &Failures) -> Markup {
    html! {
        @if failures.calls == 0 { td { (NONE) } td { (NONE) } } @else {
            td { (seconds(failures.seconds)) " (" (count(failures.calls)) ")" }
            td { (spend(failures.total_cost, failures.unpriced_calls)) " (" (count(failures.operations)) ")" }
        }
    }
}

/// The table of the first screen: each tool in a line, without the charts.
pub(super) fn brief(rows: &[ToolRow], filter: &Filter) -> Markup {
    if rows.is_empty() { nothing() } else { table(rows, &Lines::new(), filter) }
}

/// The errors of each tool by category.
fn errors(rows: &[ToolRow], filter: &Filter) -> Markup {
    let mut categories: Vec<_> =
        rows.iter().flat_map(|row| row.errors_by_category.keys()).collect();
    categories.sort_unstable();
    categories.dedup();
    html! {
        section.card {
            (heading("Errors by category", &[]))
            @if categories.is_empty() { p.good { "No tool call failed." } } @else {
                (scroll("Errors by category", &html! {
                    table {
                        thead { tr { th scope="col" { "Tool" } @for category in &categories { th scope="col" { (category) } } th scope="col" { "Calls" } } }
                        tbody {
                            @for row in rows {
                                tr {
                                    th scope="row" { a href=(ordered(filter, "tool", &row.tool, "failed")) { (row.tool) } }
                                    @for category in &categories { td { (row.errors_by_category.get(category).map_or_else(|| NONE.into(), |n| count(*n))) } }
                                    td { (count(row.success.rate.of)) }
                                }
                            }
                        }
                    }
                }))
            }
        }
    }
}
