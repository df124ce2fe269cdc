//! Two sides: this period and the one before, or another version; what became more or less, and why.

use chrono::{DateTime, Utc};
use maud::{Markup, html};
use taximeter::analysis::{Comparison, CostChange, Dimension, Driven, DurationChange};
use taximeter::history::{Compared, History, HistoryError, Period, Selection};
use taximeter::report::{NONE, count, counted, money, part, part_name, seconds, signed};
use taximeter::{Measure, StoreError};

use super::frame::{heading, scroll};
use super::words::{encoded, narrowed, spaced, stretch};
use crate::questions::{Filter, QuestionError};

/// What was compared, and with what; or why it could not be.
pub(super) enum Sides {
    /// Nothing was to be compared.
    Off,
    /// One of the two has no operations.
    Empty(String),
    /// The other side in words, and what is different.
    Found { other: String, at: String, compared: Box<Compared> },
}

pub(super) fn ask(
    history: &History,
    filter: &Filter,
    period: Period,
    now: DateTime<Utc>,
) -> Result<Sides, QuestionError> {
    let both = |period: Period| Some(stretch(period.since?, period.until?));
    let Some(this) = both(period).filter(|_| filter.compare != "off") else {
        return Ok(Sides::Off);
    };
    let side = |only: &str, during: &str| {
        if only.is_empty() { during.to_owned() } else { format!("{only},{during}") }
    };
    let (a, other) = match filter.compare.as_str() {
        "" => {
            let Some(before) = period.previous().and_then(both) else { return Ok(Sides::Off) };
            (side(&filter.only, &before), "the period before".to_owned())
        }
        // Another side may name a time of its own.
        only => (side(&this, only), only.to_owned()),
    };
    let b = side(&filter.only, &this);
    let at = format!("/api/v1/compare?a={}&b={}", encoded(&a), encoded(&b));
    match history.compare(&Selection::read(&a, now)?, &Selection::read(&b, now)?, period) {
        Ok(compared) => Ok(Sides::Found { other, at, compared: Box::new(compared) }),
        Err(HistoryError::EmptySide { side }) if side == a => Ok(Sides::Empty(other)),
        Err(HistoryError::EmptySide { .. }) => Ok(Sides::Empty("this page".into())),
        Err(HistoryError::Store(error)) => Err(StoreError::into(error)),
        Err(error) => Err(error.into()),
    }
}

/// The table of all measures.
pub(super) fn measures(sides: &Sides) -> Markup {
    let Sides::Found { other, at, compared } = sides else { return none(sides) };
    html! {
        section.card {
            (heading(&format!("Compared with {other}"), &[("JSON", at.clone())]))
            p.note { (other) ": " (compared.looked_at_a) "; this page: " (compared.looked_at_b) "." }
            (scroll("Comparison", &html! {
                table {
                    thead { tr {
                        th scope="col" { "Of an operation" } th scope="col" { "p50 there" } th scope="col" { "p50 here" }
                        th scope="col" { "Mean there" } th scope="col" { "Mean here" } th scope="col" { "Difference (95 %)" }
                        th scope="col" { "By chance (p)" } th scope="col" { "Sure" }
                    } }
                    tbody { @for one in &compared.measures { (measure(one.measure, one.comparison.as_ref())) } }
                }
            }))
            @for why in compared.why_duration.iter().filter(|why| why.parts.iter().any(|part| part.change_seconds.abs() > 1e-3)).take(3) { (why_duration(why)) }
        }
    }
}

/// Why one of the sides is missing.
fn none(sides: &Sides) -> Markup {
    html! {
        @if let Sides::Empty(which) = sides {
            section.card { p { "There is nothing to compare: no operation is of " (which) "." } }
        }
    }
}

fn measure(measure: Measure, found: Option<&Comparison>) -> Markup {
    let value = |value: f64| words(measure, value);
    html! {
        tr {
            th scope="row" { (spaced(measure.as_str())) }
            @match found {
                None => { @for _ in 0..7 { td { (NONE) } } }
                Some(found) => {
                    @let (low, high) = found.difference_interval;
                    td { (value(found.before.p50)) } td { (value(found.after.p50)) }
                    td { (value(found.before.mean)) } td { (value(found.after.mean)) }
                    td { (value(found.difference)) " (" (value(low)) " to " (value(high)) ")" }
                    td { (chance(found.p_value)) }
                    @if low > 0.0 { td.failure { "more" } } @else if high < 0.0 { td.good { "less" } } @else { td { "not sure" } }
                }
            }
        }
    }
}

/// How likely so large a change is by chance.
pub(super) fn chance(p: f64) -> String {
    if p < 0.0001 { "below 0.0001".into() } else { format!("{p:.4}") }
}

pub(super) fn words(measure: Measure, value: f64) -> String {
    let (sign, size) = if value < 0.0 { ("-", -value) } else { ("", value) };
    match measure {
        Measure::Duration => format!("{sign}{}", seconds(size)),
        Measure::Cost => format!("{sign}${size:.6}"),
        Measure::ErrorRate => format!("{sign}{:.1} %", size * 100.0),
        _ => format!("{sign}{size:.0}"),
    }
}

/// Why it costs more or less than on the other side.
pub(super) fn why_cost(sides: &Sides, filter: &Filter) -> Markup {
    let Sides::Found { other, at, compared } = sides else { return none(sides) };
    html! {
        section.card {
            (heading("Why did it change?", &[("JSON", at.clone())]))
            p.note { "Against " (other) ": " (compared.looked_at_a) " there, " (compared.looked_at_b) " here." }
            (cost(&compared.why_cost, filter))
        }
    }
}

/// The causes of a change in money, which sum to it exactly, and what drives it.
pub(super) fn cost(why: &CostChange, filter: &Filter) -> Markup {
    let left_out = why.left_out_before.hits + why.left_out_after.hits;
    html! {
        p { "It cost " strong { (money(why.after)) } " and not " (money(why.before)) ": " strong { (signed(why.after - why.before)) } }
        (scroll("Why it costs another amount", &html! {
            table.small {
                thead { tr { th scope="col" { "Cause" } th scope="col" { "Change" } } }
                tbody {
                    @for (cause, usd) in why.parts.iter().filter(|(_, usd)| !usd.is_zero()) {
                        tr { th scope="row" { (spaced(cause.as_str())) } td { (signed(*usd)) } }
                    }
                    tr { th scope="row" { strong { "all" } } td { strong { (signed(why.after - why.before)) } } }
                }
            }
        }))
        @if left_out > 0 { p.note { (counted(left_out, "call")) " without a known cost in dollars are in no part." } }
        (driven(&why.drivers, filter))
    }
}

fn driven<V>(drivers: &[Driven<V>], filter: &Filter) -> Markup {
    html! {
        @if !drivers.is_empty() {
            ul {
                @for driven in drivers.iter().take(3) {
                    @for driver in driven.by.iter().take(2) {
                        li {
                            "driven by " (spaced(&driven.dimension.to_string())) " "
                            @match &driver.key {
                                // Some tools together are no condition.
                                Some(key) if driven.dimension != Dimension::Tool || !key.contains(" + ") => {
                                    a href=(narrowed(filter, &driven.dimension.to_string(), key)) { (key) }
                                }
                                Some(key) => (key),
                                None => "(not told)",
                            }
                            ": " (part(Some(driver.share_of_change))) " of the change"
                        }
                    }
                }
            }
        }
    }
}

/// Why operations of a name take longer, or less long.
pub(super) fn why_duration(why: &DurationChange) -> Markup {
    html! {
        h3 { "Why " (why.operation) " takes " (seconds(why.after_seconds)) " and not " (seconds(why.before_seconds)) }
        p.note { "In the mean of " (counted(why.operations_after, "operation")) " after and " (count(why.operations_before)) " before." }
        (scroll("Why it takes another time", &html! {
            table.small {
                thead { tr {
                    th scope="col" { "Part of the critical path" } th scope="col" { "Before" } th scope="col" { "After" } th scope="col" { "Change" }
                } }
                tbody {
                    @for one in why.parts.iter().take(6) {
                        tr {
                            th scope="row" { (part_name(&one.part)) }
                            td { (seconds(one.before_seconds)) } td { (seconds(one.after_seconds)) }
                            td { (if one.change_seconds < 0.0 { "-" } else { "+" }) (seconds(one.change_seconds.abs())) }
                        }
                    }
                }
            }
        }))
    }
}
