//! Whether operations get slower, dearer or worse: since when, how sure, and why.

use chrono::{DateTime, Utc};
use maud::{Markup, html};
use taximeter::analysis::Dimension;
use taximeter::history::{By, History, Period, Selection, Trend};
use taximeter::report::{count, seconds};
use taximeter::{LevelChange, Measure, MeasureTrend, StoreError, TrendDirection, Window};

use super::frame::missing;
use super::words::{NONE, instant, narrowed};
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
    let groups = history.groups(&By::Dimension(Dimension::Operation), period)?;
    let names = groups.into_iter().filter_map(|group| group.key).take(MOST);
    names.map(|name| history.trend(&name, &window, only, until)).collect()
}

pub(super) fn page(trends: &[Trend], filter: &Filter) -> Markup {
    html! {
        h1 { "Trends" }
        @if trends.is_empty() {
            (missing("no operation was recorded in this period", "let op = taximeter::operation(\"qa_response\").start();"))
        }
        @for one in trends { (trend(one, filter)) }
    }
}

fn trend(found: &Trend, filter: &Filter) -> Markup {
    let trend = &found.trend;
    html! {
        section.card {
            h2 { a href=(narrowed(filter, "operation", &trend.operation_type)) { (trend.operation_type) } }
            p.note { "by " (found.looked_at) " of " (trend.time_period) }
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
                        td { (chance(trend.p_value)) }
                        td { (count(trend.data_points)) }
                    }
                    @for (measure, one) in &trend.measures { (row(*measure, one)) }
                }
            }
            (changes("duration", &trend.changes, seconds))
            @for (measure, one) in &trend.measures {
                (changes(measure.as_str(), &one.changes, |value| format!("{value:.4}")))
            }
        }
    }
}

fn row(measure: Measure, trend: &MeasureTrend) -> Markup {
    html! {
        tr {
            th scope="row" { (measure.as_str().replace('_', " ")) }
            (verdict(trend.direction))
            td { (percent(trend.change_percent)) }
            td { (chance(trend.p_value)) }
            td { (count(trend.data_points)) " of " (count(trend.operations)) }
        }
    }
}

fn verdict(direction: TrendDirection) -> Markup {
    let word = direction.as_str();
    html! { td { span.verdict class=(word) { (word.replace('_', " ")) } } }
}

fn percent(value: Option<f64>) -> String {
    value.map_or_else(|| NONE.into(), |value| format!("{value:+.1} %"))
}

fn chance(value: Option<f64>) -> String {
    match value {
        None => NONE.into(),
        Some(value) if value < 0.0001 => "below 0.0001".into(),
        Some(value) => format!("{value:.4}"),
    }
}

fn changes(what: &str, changes: &[LevelChange], shown: impl Fn(f64) -> String) -> Markup {
    html! {
        @if !changes.is_empty() {
            p { "Another " (what.replace('_', " ")) ":" }
            ul {
                @for change in changes {
                    li {
                        "since " (instant(change.since)) ": " (shown(change.before)) " before, "
                        (shown(change.after)) " after (" (percent(Some(change.change_percent))) ", p = "
                        (chance(Some(change.p_value))) ")"
                    }
                }
            }
        }
    }
}
