//! Numbers of operations' own, such as `answer_relevance` in their metadata, and the metrics of programs' own.

use chrono::{DateTime, Utc};
use maud::{Markup, html};
use plotly::common::Mode;
use plotly::layout::{Axis, AxisType};
use plotly::{Layout, Plot, Scatter};
use taximeter::analysis::statistics::Distribution;
use taximeter::analysis::{Dimension, Forecast};
use taximeter::history::{History, Metric, MetricValue, Metrics, OwnMetric, Period, Selection};
use taximeter::report::{NONE, count, counted, goes, number};
use taximeter::{MeasureTrend, StoreError};

use super::charts::{figure, mark, shown};
use super::compare::chance;
use super::frame::{heading, missing, scroll};
use super::words::{encoded, instant, link, narrowed};
use crate::questions::Filter;

/// What the page shows.
pub(super) struct Found {
    all: Metrics,
    /// The one that is shown over time, of operations.
    one: Option<Metric>,
}

/// By what operations' numbers are told apart.
const BY: [&str; 6] =
    ["operation", "user", "session", "tag:version", super::asked::ENVIRONMENT, "tag:service.name"];

pub(super) fn ask(
    history: &History,
    only: &Selection,
    period: Period,
    by: &Dimension,
    name: &str,
    now: DateTime<Utc>,
) -> Result<Found, StoreError> {
    let all = history.metrics(only, period, now)?;
    // Without a name, the first one: a page that shows nothing teaches nothing.
    let name = if name.is_empty() {
        all.metrics.first().map_or("", |metric| metric.name.as_str())
    } else {
        name
    };
    let is_own = all.own.iter().any(|own| *own.name == *name)
        && !all.metrics.iter().any(|metric| *metric.name == *name);
    let one = if name.is_empty() || is_own {
        None
    } else {
        Some(history.metric(name, only, period, by, now)?)
    };
    Ok(Found { all, one })
}

pub(super) fn page(found: &Found, filter: &Filter) -> Markup {
    let all = &found.all;
    html! {
        h1 { "Metrics" }
        p.period { (all.period) ", by " (all.looked_at) }
        @if all.metrics.is_empty() {
            (missing("no operation has a number in its metadata",
                "taximeter::operation(\"qa_response\").with(\"answer_relevance\", 0.83)"))
        } @else { (of_operations(all, filter)) }
        @if let Some(one) = &found.one { (over_time(one, filter)) }
        @if all.own.is_empty() {
            (missing("no program recorded a metric of its own", "meter.registry().counter(\"app.cache_hits\", \"{hit}\", \"Answers out of the cache.\")?.add(1);"))
        } @else {
            (own(&all.own))
            @for metric in all.own.iter().take(12) { (own_over_time(metric)) }
        }
    }
}

fn exports(filter: &Filter) -> [(&'static str, String); 2] {
    let to = |format: &str| {
        let otherwise =
            [("format", format), ("by", ""), ("order", ""), ("live", ""), ("compare", "")];
        link("/api/v1/metrics", filter, &otherwise)
    };
    [("CSV", to("csv")), ("JSON", to(""))]
}

/// The page with one of them over time.
fn with(filter: &Filter, name: &str, by: &str) -> String {
    link("/own-metrics", filter, &[("by", by), ("name", name)])
}

fn of_operations(all: &Metrics, filter: &Filter) -> Markup {
    html! {
        section.card {
            (heading("Numbers of operations", &exports(filter)))
            (scroll("Numbers of operations", &html! {
                table {
                    thead { tr {
                        th scope="col" { "Metric" } th scope="col" { "Operations" } th scope="col" { "Mean" } th scope="col" { "p50" }
                        th scope="col" { "p95" } th scope="col" { "Least" } th scope="col" { "Most" } th scope="col" { "Trend" }
                    } }
                    tbody {
                        @for metric in &all.metrics {
                            tr {
                                th scope="row" { a href=(with(filter, &metric.name, &filter.by)) { (metric.name) } }
                                td { (count(metric.operations.hits)) " of " (count(metric.operations.of)) }
                                td { (number(metric.values.mean)) }
                                td { (number(metric.values.p50)) } td { (number(metric.values.p95)) }
                                td { (number(metric.values.min)) } td { (number(metric.values.max)) }
                                td { (goes(metric.trend.direction, metric.trend.change_percent)) }
                            }
                        }
                    }
                }
            }))
        }
    }
}

fn over_time(metric: &Metric, filter: &Filter) -> Markup {
    let Some(values) = &metric.values else {
        return missing(
            &format!("no operation has {} as a number in its metadata", metric.name),
            &format!("op.set({:?}, 0.83);", metric.name.as_str()),
        );
    };
    let by = metric.by.to_string();
    let json = format!("/api/v1/metrics/{}", encoded(&metric.name));
    let json = link(&json, filter, &[("order", ""), ("live", ""), ("compare", "")]);
    let steps: Vec<_> = metric.over_time.iter().map(|(at, mean)| (*at, *mean)).collect();
    let title = format!("{}, the mean of each step", metric.name);
    html! {
        (chart(&title, "mean", &steps, &metric.trend, metric.forecast.as_ref(), json.clone()))
        section.card {
            (heading(&format!("{} by {by}", metric.name), &[("JSON", json)]))
            div.periods role="group" aria-label="By" {
                @for one in BY { a href=(with(filter, &metric.name, one)) aria-current=[(one == by).then_some("true")] { (one.trim_start_matches("tag:")) } }
            }
            p.note { (metric.operations) " have it." }
            (scroll(&format!("{} by {by}", metric.name), &html! {
                table {
                    thead { tr {
                        th scope="col" { (by) } th scope="col" { "Operations" } th scope="col" { "Mean" } th scope="col" { "p50" }
                        th scope="col" { "p90" } th scope="col" { "p95" } th scope="col" { "p99" } th scope="col" { "Least" } th scope="col" { "Most" }
                    } }
                    tbody {
                        @for group in &metric.groups {
                            tr {
                                th scope="row" { @match &group.key { Some(key) => a href=(narrowed(filter, &by, key)) { (key) }, None => "(not told)" } }
                                (cells(&group.values))
                            }
                        }
                        @if metric.groups.len() > 1 { tr { th scope="row" { strong { "all" } } (cells(values)) } }
                    }
                }
            }))
            (changes(&metric.trend))
        }
    }
}

fn cells(values: &Distribution) -> Markup {
    html! {
        td { (count(values.count)) }
        @for value in [values.mean, values.p50, values.p90, values.p95, values.p99, values.min, values.max] { td { (number(value)) } }
    }
}

fn changes(trend: &MeasureTrend) -> Markup {
    html! {
        p { "Trend: " (goes(trend.direction, trend.change_percent)) @if let Some(p) = trend.p_value { ", by chance with p " (chance(p)) } "." }
        @if !trend.changes.is_empty() {
            ul {
                @for change in &trend.changes {
                    li {
                        "since " (instant(change.since)) ": " (number(change.after)) " and not " (number(change.before))
                        (format!(" ({:+.1} %, p ", change.change_percent)) (chance(change.p_value)) ")"
                    }
                }
            }
        }
    }
}

fn own(all: &[OwnMetric]) -> Markup {
    let percentile = |value: Option<f64>| value.map_or_else(|| NONE.into(), number);
    html! {
        section.card {
            (heading("Metrics of programs' own", &[]))
            (scroll("Metrics of programs' own", &html! {
                table {
                    thead { tr {
                        th scope="col" { "Metric" } th scope="col" { "Unit" } th scope="col" { "Is" } th scope="col" { "Came to" } th scope="col" { "p50" }
                        th scope="col" { "p95" } th scope="col" { "Series" } th scope="col" { "Trend" }
                    } }
                    tbody {
                        @for metric in all {
                            @let (kind, value) = came_to(&metric.value);
                            tr {
                                th scope="row" { (metric.name) }
                                td { (metric.unit) } td { (kind) } td { (value) }
                                td { (percentile(metric.p50)) } td { (percentile(metric.p95)) }
                                td { (count(metric.series.len() as u64)) }
                                td { (goes(metric.trend.direction, metric.trend.change_percent)) }
                            }
                        }
                    }
                }
            }))
        }
    }
}

/// What a metric is, and what it came to in the period.
fn came_to(value: &MetricValue) -> (&'static str, String) {
    let told = value.number().map_or_else(|| NONE.into(), number);
    match value {
        MetricValue::Counter { .. } => ("counter", format!("+{told}")),
        MetricValue::Histogram { count: of, .. } => {
            ("histogram", format!("mean {told} of {}", counted(*of, "value")))
        }
        _ => ("gauge", told),
    }
}

fn own_over_time(metric: &OwnMetric) -> Markup {
    let each = if metric.step_seconds == 60 { "minute" } else { "hour" };
    let steps: Vec<_> = metric.over_time.iter().map(|(at, value)| (*at, Some(*value))).collect();
    let json = format!("/api/v1/metrics/{}", encoded(&metric.name));
    let title = format!("{} by {each}", metric.name);
    chart(&title, &metric.unit, &steps, &metric.trend, metric.forecast.as_ref(), json)
}

/// The steps, what comes after them, and the changes as marks.
fn chart(
    title: &str,
    unit: &str,
    steps: &[(DateTime<Utc>, Option<f64>)],
    trend: &MeasureTrend,
    forecast: Option<&Forecast>,
    json: String,
) -> Markup {
    let at = |at: &DateTime<Utc>| at.format("%F %H:%M:%S").to_string();
    let mut plot = Plot::new();
    let (times, values) = steps.iter().map(|(when, value)| (at(when), *value)).unzip();
    plot.add_trace(
        Scatter::<_, Option<f64>>::new(times, values).mode(Mode::LinesMarkers).name("seen"),
    );
    let points = forecast.map_or(&[][..], |forecast| &forecast.points);
    if !points.is_empty() {
        let times = points.iter().map(|point| at(&point.at)).collect();
        let values = points.iter().map(|point| point.value).collect();
        plot.add_trace(Scatter::new(times, values).mode(Mode::Lines).name("expected"));
    }
    let marks = trend.changes.iter().map(|change| mark(change.since)).collect();
    plot.set_layout(Layout::new().shapes(marks).x_axis(Axis::new().type_(AxisType::Date)));
    let numbers = html! {
        thead { tr { th scope="col" { "From (UTC)" } th scope="col" { "Seen" } th scope="col" { "80 % from" } th scope="col" { "to" } } }
        tbody {
            @for (start, value) in steps { tr { th scope="row" { (shown(start)) } td { (value.map_or_else(|| NONE.into(), number)) } td {} td {} } }
            @for point in points { tr { th scope="row" { (shown(&point.at)) } td { "expected " (number(point.value)) } td { (number(point.low_80)) } td { (number(point.high_80)) } } }
        }
    };
    figure(title, unit, plot, &[("JSON", json)], &numbers)
}
