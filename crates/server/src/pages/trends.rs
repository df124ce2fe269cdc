//! Whether operations get slower, dearer or worse: since when, how sure, and why.

use chrono::{DateTime, Utc};
use maud::{Markup, html};
use plotly::common::{Marker, Mode};
use plotly::layout::{Axis, AxisType};
use plotly::{Layout, Plot, Scatter};
use taximeter::analysis::Dimension;
use taximeter::history::{By, History, Period, Selection, Trend};
use taximeter::report::{NONE, count, counted, seconds};
use taximeter::{LevelChange, Measure, MeasureTrend, StoreError, TrendDirection, Window};

use super::charts::{figure, level, mark};
use super::compare::{self, chance, words};
use super::frame::{heading, no_operation, scroll};
use super::words::{encoded, instant, link, spaced, stretch};
use crate::questions::Filter;

/// So many operations are looked at: those that cost the most, and then those that are the most.
const MOST: usize = 8;

pub(super) fn ask(
    history: &History,
    period: Period,
    only: &Selection,
    now: DateTime<Utc>,
) -> Result<Vec<Trend>, StoreError> {
    let length = period.length().map_or(7 * 86_400, |length| length.num_seconds().max(1));
    let Ok(window) = format!("{length}s").parse::<Window>() else { return Ok(Vec::new()) };
    let until = period.until.unwrap_or(now);
    let (part, _) = history.selected(only, period)?;
    let groups = part.groups(&By::Dimension(Dimension::Operation), period)?;
    let names = groups.into_iter().filter_map(|group| group.key).take(MOST);
    names.map(|name| part.trend(&name, &window, &Selection::default(), until)).collect()
}

pub(super) fn page(
    trends: &[Trend],
    period: Period,
    endpoint: Option<&str>,
    filter: &Filter,
) -> Markup {
    html! {
        h1 { "Trends" }
        p.period { (period) }
        @if trends.is_empty() { (no_operation(endpoint)) }
        @for one in trends { (trend(one, period, filter)) }
    }
}

fn trend(found: &Trend, period: Period, filter: &Filter) -> Markup {
    let trend = &found.trend;
    let name = &trend.operation_type;
    let path = format!("/api/v1/trend/{}", encoded(name));
    let to = |format: &str| {
        let otherwise = [("format", format), ("live", ""), ("compare", ""), ("by", "")];
        link(&path, filter, &otherwise)
    };
    let exports = [("CSV", to("csv")), ("JSON", to(""))];
    html! {
        section.trend aria-label=(name) {
            (chart(found, period, filter))
            div.card {
                (heading(&format!("{name}, by {}", found.looked_at), &exports))
                (table(found))
                div.two {
                    div {
                        (changes("duration", name, Measure::Duration, &trend.changes, period, filter))
                        @for (measure, one) in &trend.measures {
                            (changes(&spaced(measure.as_str()), name, *measure, &one.changes, period, filter))
                        }
                    }
                    div {
                        @if let Some(why) = &found.why_duration { (compare::why_duration(why)) }
                        @if let Some(why) = found.why_cost.as_ref().filter(|_| !trend.changes.is_empty()) {
                            h3 { "What the cost did since then" }
                            (compare::cost(why, filter))
                        }
                    }
                }
            }
        }
    }
}

/// Every operation as a point, the levels between the changes as lines, and the changes as marks.
fn chart(found: &Trend, period: Period, filter: &Filter) -> Markup {
    let name = &found.trend.operation_type;
    let Some((first, last)) = found.points.first().zip(found.points.last()) else {
        return html! {};
    };
    let at = |at: &DateTime<Utc>| at.format("%F %H:%M:%S").to_string();
    let mut plot = Plot::new();
    let (times, took) = found.points.iter().map(|(when, took)| (at(when), *took)).unzip();
    let points = Scatter::new(times, took).mode(Mode::Markers).name("one operation");
    plot.add_trace(points.marker(Marker::new().size(5).opacity(0.6)));
    let changes = &found.trend.changes;
    let mut from = first.0;
    for (place, change) in changes.iter().enumerate() {
        plot.add_trace(level(&from, &change.since, change.before));
        from = change.since;
        if place + 1 == changes.len() {
            plot.add_trace(level(&from, &last.0, change.after));
        }
    }
    let marks = changes.iter().map(|change| mark(change.since)).collect();
    plot.set_layout(Layout::new().shapes(marks).x_axis(Axis::new().type_(AxisType::Date)));
    let of = |from: DateTime<Utc>, to: DateTime<Utc>| {
        let only = super::words::also(filter, "operation", name);
        link("/operations", filter, &[("since", &stretch(from, to)), ("only", &only), ("by", "")])
    };
    let numbers = html! {
        thead { tr { th scope="col" { "Since (UTC)" } th scope="col" { "Before" } th scope="col" { "After" } } }
        tbody {
            tr { th scope="row" { a href=(of(first.0, last.0)) { (instant(first.0)) } } td {} td { (changes.first().map_or_else(|| NONE.into(), |change| seconds(change.before))) } }
            @for change in changes {
                tr { th scope="row" { a href=(of(change.since, period.until.unwrap_or(last.0))) { (instant(change.since)) } } td { (seconds(change.before)) } td { (seconds(change.after)) } }
            }
        }
    };
    figure(&format!("{name}: how long it took"), "seconds", plot, &[], &numbers)
}

fn table(found: &Trend) -> Markup {
    let trend = &found.trend;
    html! {
        (scroll(&format!("{}, measures", trend.operation_type), &html! {
            table {
                thead { tr {
                    th scope="col" { "Of" } th scope="col" { "Is" } th scope="col" { "Over this period" }
                    th scope="col" { "By chance (p)" } th scope="col" { "Known of" }
                } }
                tbody {
                    tr {
                        th scope="row" { "duration" }
                        (verdict(trend.trend_direction))
                        td { (percent(trend.change_percent)) }
                        td { (trend.p_value.map_or_else(|| NONE.into(), chance)) }
                        td { (counted(trend.data_points, "operation")) }
                    }
                    @for (measure, one) in &trend.measures { (row(*measure, one)) }
                }
            }
        }))
    }
}

fn row(measure: Measure, trend: &MeasureTrend) -> Markup {
    html! {
        tr {
            th scope="row" { (spaced(measure.as_str())) }
            (verdict(trend.direction))
            td { (percent(trend.change_percent)) }
            td { (trend.p_value.map_or_else(|| NONE.into(), chance)) }
            td { (count(trend.data_points)) " of " (count(trend.operations)) }
        }
    }
}

fn verdict(direction: TrendDirection) -> Markup {
    let word = direction.as_str();
    html! { td { span.verdict class=(word) { (spaced(word)) } } }
}

fn percent(value: Option<f64>) -> String {
    value.map_or_else(|| NONE.into(), |value| format!("{value:+.1} %"))
}

fn changes(
    what: &str,
    name: &str,
    measure: Measure,
    changes: &[LevelChange],
    period: Period,
    filter: &Filter,
) -> Markup {
    let since = |at: DateTime<Utc>| {
        let until = period.until.unwrap_or(at);
        let only = super::words::also(filter, "operation", name);
        link("/operations", filter, &[("since", &stretch(at, until)), ("only", &only), ("by", "")])
    };
    html! {
        @if !changes.is_empty() {
            p { "The " (what) " changed:" }
            ul {
                @for change in changes {
                    li {
                        "since " a href=(since(change.since)) { (instant(change.since)) } ": " (words(measure, change.before)) " before, "
                        (words(measure, change.after)) " after (" (percent(Some(change.change_percent))) ", p "
                        (chance(change.p_value)) ")"
                    }
                }
            }
        }
    }
}
