//! The filter bar: of when, of what and against what a page is. All of it is in the address, and works without a script.

use chrono::{DateTime, TimeDelta, Utc};
use maud::{Markup, html};
use taximeter::Outcome;
use taximeter::history::{Period, Selection};

use super::asked::{CHOICES, Choice, Fields, TAG, without};
use super::words::{link, stretch};
use crate::questions::{Filter, PERIOD};

/// Periods that are one click away.
const PERIODS: [&str; 6] = ["15m", "1h", "24h", "7d", "30d", "all"];

pub(super) fn bar(path: &str, filter: &Filter, now: DateTime<Utc>) -> Markup {
    let since = if filter.since.is_empty() { PERIOD } else { &filter.since };
    let period = Period::read(since, now).unwrap_or(Period::ALL);
    let is_live = filter.live != "off";
    let turned = if is_live { "off" } else { "" };
    html! {
        section.bar aria-label="What this page is of" {
            div.when {
                div.periods role="group" aria-label="Period" {
                    @for one in PERIODS {
                        a href=(link(path, filter, &[("since", one)])) aria-current=[(one == since).then_some("true")] { (one) }
                    }
                }
                (moves(path, filter, period, now))
                (compared(path, filter))
                a.live href=(link(path, filter, &[("live", turned)])) data-live=(if is_live { "on" } else { "off" })
                    title="Whether the page follows what is stored" {
                    "Live: " (if is_live { "on" } else { "off" })
                }
            }
            (chips(path, filter))
            details.filter {
                summary { "Filter and compare" }
                (form(path, filter, since))
            }
        }
    }
}

/// Whether the page is compared with the period before, by one click.
fn compared(path: &str, filter: &Filter) -> Markup {
    let is_on = filter.compare != "off";
    let turned = if is_on { "off" } else { "" };
    html! {
        a.compared href=(link(path, filter, &[("compare", turned)])) title="Whether the numbers stand against those of before" {
            "Compare: " (if is_on { "on" } else { "off" })
        }
    }
}

/// Earlier, later, wider, narrower; nothing where a period has no end of its own.
fn moves(path: &str, filter: &Filter, period: Period, now: DateTime<Utc>) -> Markup {
    let (Some(since), Some(until)) = (period.since, period.until) else { return html! {} };
    let long = until - since;
    let to = |shift: i32, numerator: i32| -> Option<String> {
        let (length, half) = (long.checked_mul(numerator)? / 2, long / 2);
        let middle =
            since.checked_add_signed(half)?.checked_add_signed(half.checked_mul(shift)?)?;
        let start = middle.checked_sub_signed(length / 2)?;
        let end = start.checked_add_signed(length.max(TimeDelta::minutes(1)))?;
        Some(link(path, filter, &[("since", &stretch(start, end))]))
    };
    html! {
        div.moves role="group" aria-label="Another stretch of time" {
            @if let Some(to) = to(-2, 2) { a href=(to) title="The stretch before" { "‹ Earlier" } }
            @if let (Some(to), true) = (to(2, 2), until < now) { a href=(to) title="The stretch after" { "Later ›" } }
            @if let Some(to) = to(0, 4) { a href=(to) title="Twice as long" { "Zoom out" } }
            @if let (Some(to), true) = (to(0, 1), long > TimeDelta::minutes(2)) { a href=(to) title="Half as long" { "Zoom in" } }
        }
    }
}

/// The conditions, each of which goes by a click.
fn chips(path: &str, filter: &Filter) -> Markup {
    let parts = Selection::parts(&filter.only);
    html! {
        @if !parts.is_empty() || !filter.compare.is_empty() {
            ul.chips aria-label="Conditions" {
                @for (place, part) in parts.iter().enumerate() {
                    li {
                        a href=(link(path, filter, &[("only", &without(&filter.only, place))])) aria-label=(format!("Without {part}")) {
                            (part) span aria-hidden="true" { " ×" }
                        }
                    }
                }
                @if !filter.compare.is_empty() {
                    @let told = if filter.compare == "off" { "not compared".to_owned() } else { format!("compared with {}", filter.compare) };
                    li {
                        a href=(link(path, filter, &[("compare", "")])) aria-label=(format!("No longer {told}")) {
                            (told) span aria-hidden="true" { " ×" }
                        }
                    }
                }
            }
        }
    }
}

fn form(path: &str, filter: &Filter, since: &str) -> Markup {
    let fields = Fields::of(&filter.only);
    html! {
        form method="get" action=(path) {
            label { "Period" input name="since" value=(since) placeholder="24h, 2026-11-01..2026-11-08"; }
            label { "From (UTC)" input type="datetime-local" name="from"; }
            label { "To (UTC)" input type="datetime-local" name="to"; }
            @for (choice, value) in CHOICES.iter().zip(&fields.values) { (field(*choice, value)) }
            label { "Tag" input name=(TAG) value=(fields.tag) placeholder="version=2"; }
            label {
                "Compare with"
                input name="compare" value=(filter.compare) placeholder="the period before" list="comparisons";
            }
            datalist #comparisons { option value="off" {} option value="tag:version=1" {} option value="llm=openai/gpt-4o" {} }
            label { "Further conditions" input name="only" value=(fields.others) placeholder="longer=2s,error=timeout"; }
            @for (name, value) in [
                ("by", &filter.by), ("order", &filter.order), ("budget", &filter.budget), ("live", &filter.live),
                ("spend", &filter.spend), ("latency", &filter.latency), ("q", &filter.q),
            ] {
                @if !value.is_empty() { input type="hidden" name=(name) value=(value); }
            }
            div.buttons { button { "Show" } a href=(path) { "Clear all" } }
        }
    }
}

fn field(choice: Choice, value: &str) -> Markup {
    html! {
        label {
            (choice.label)
            @if choice.field == "status" {
                select name="status" {
                    option value="" selected[value.is_empty()] { "any" }
                    @for outcome in [Outcome::Success, Outcome::Failure, Outcome::Abandoned].map(Outcome::as_str) {
                        option value=(outcome) selected[outcome == value] { (outcome) }
                    }
                }
            } @else {
                input name=(choice.field) value=(value) list=(format!("known-{}", choice.field)) data-suggest=(choice.by);
                datalist id=(format!("known-{}", choice.field)) {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_moves_by_addresses() {
        let now = "2026-11-26T12:00:00Z".parse().unwrap();
        let filter = Filter {
            since: "2026-11-26T08:00:00Z..2026-11-26T10:00:00Z".into(),
            ..Filter::default()
        };
        let shown = bar("/costs", &filter, now).into_string();
        for (words, since) in [
            ("‹ Earlier", "2026-11-26T06:00:00Z..2026-11-26T08:00:00Z"),
            ("Later ›", "2026-11-26T10:00:00Z..2026-11-26T12:00:00Z"),
            ("Zoom out", "2026-11-26T07:00:00Z..2026-11-26T11:00:00Z"),
            ("Zoom in", "2026-11-26T08:30:00Z..2026-11-26T09:30:00Z"),
        ] {
            let before = shown.split(words).next().unwrap();
            let address = before.rsplit("href=\"").next().unwrap();
            let meant = super::super::words::encoded(since);
            assert!(address.starts_with(&format!("/costs?since={meant}")), "{words}: {address}");
        }
        // What is not over has no later, and what has no beginning does not move.
        let day = bar("/", &Filter::default(), now).into_string();
        assert!(day.contains("Earlier") && !day.contains("Later"));
        let all = Filter { since: "all".into(), ..Filter::default() };
        assert!(!bar("/", &all, now).into_string().contains("Earlier"));
    }
}
