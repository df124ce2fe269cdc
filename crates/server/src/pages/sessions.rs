//! Sessions, or users: the dearest, the slowest and the newest of them, each with its operations.

use chrono::TimeDelta;
use maud::{Markup, html};
use taximeter::analysis::Dimension;
use taximeter::history::{Report, Session, SessionOrder, Sessions};
use taximeter::report::{count, counted, seconds, share, spend};

use super::alerts::lasting;
use super::frame::{heading, looked, missing, no_operation, scroll};
use super::words::{instant, link, narrowed};
use crate::questions::Filter;

/// What comes first, and how that is told.
const ORDERS: [(&str, &str); 3] =
    [("dearest", "dearest first"), ("slowest", "slowest first"), ("newest", "newest first")];
const ALL: [(&str, &str); 2] = [("session", "Sessions"), ("user", "Users")];

/// Which come first, by the word of an address: the dearest where it is another page's.
pub(crate) fn order(filter: &Filter) -> SessionOrder {
    match filter.order.as_str() {
        "slowest" => SessionOrder::Slowest,
        "newest" => SessionOrder::Newest,
        _ => SessionOrder::Dearest,
    }
}

/// What these are, likewise: sessions where an address does not ask for users.
pub(crate) fn by(filter: &Filter) -> Dimension {
    if filter.by == "user" { Dimension::User } else { Dimension::Session }
}

pub(super) fn page(found: &Sessions, endpoint: Option<&str>, filter: &Filter) -> Markup {
    let (by, first) = (found.by.to_string(), word(order(filter)));
    let told = ALL.iter().find(|(value, _)| *value == by).map_or("", |(_, told)| told);
    html! {
        h1 { (told) }
        p.period { (found.period) " · " (counted(found.of, &by)) }
        (looked(found.looked_at))
        div.periods role="group" aria-label="Of what" {
            @for (value, told) in ALL { a href=(link("/sessions", filter, &[("by", value)])) aria-current=[(value == by).then_some("true")] { (told) } }
        }
        div.periods role="group" aria-label="Which first" {
            @for (value, told) in ORDERS { a href=(link("/sessions", filter, &[("order", value)])) aria-current=[(value == first).then_some("true")] { (told) } }
        }
        @if found.of > 0 {
            section.card {
                (heading(told, &exports(filter)))
                (table(&found.sessions, &by, told, filter))
                p.note {
                    (count(found.sessions.len() as u64)) " of " (counted(found.of, &by)) " are shown"
                    @if found.untold > 0 { "; " (counted(found.untold, "operation")) " told none, and are in no row" }
                    ". Busy is how long their operations took, added up, those within others too."
                }
            }
        } @else {
            (no_one(&by))
            (no_operation(endpoint))
        }
    }
}

fn no_one(by: &str) -> Markup {
    let line = match by {
        "user" => "taximeter::operation(\"qa_response\").user(\"ann\")",
        _ => "taximeter::operation(\"qa_response\").session(\"s1\")",
    };
    missing(&format!("no operation told its {by}"), line)
}

fn word(order: SessionOrder) -> &'static str {
    match order {
        SessionOrder::Slowest => "slowest",
        SessionOrder::Newest => "newest",
        _ => "dearest",
    }
}

fn exports(filter: &Filter) -> [(&'static str, String); 2] {
    let to = |format: &str| {
        let otherwise = [("format", format), ("limit", "1000"), ("live", ""), ("compare", "")];
        link("/api/v1/sessions", filter, &otherwise)
    };
    [("CSV", to("csv")), ("JSON", to(""))]
}

/// Those of the first screen.
pub(super) fn top(report: &Report, filter: &Filter) -> Markup {
    let Some(top) = &report.sessions else {
        return html! {
            section.card {
                h2 { a href=(link("/sessions", filter, &[("by", ""), ("order", "")])) { "Sessions" } }
                @if report.spenders.iter().any(|one| one.by == Dimension::Session) {
                    p { "There are too many operations to look at each session here." }
                } @else { (no_one("session")) }
            }
        };
    };
    let by = top.by.to_string();
    html! {
        section.card {
            @for (order, sessions) in [("dearest", &top.dearest), ("slowest", &top.slowest)] {
                @let title = format!("The {order} {by}s");
                h2 { a href=(link("/sessions", filter, &[("by", &by), ("order", order)])) { (title) } }
                (table(sessions, &by, &title, filter))
            }
            p.note { "Of " (counted(top.of, &by)) "." }
        }
    }
}

fn table(sessions: &[Session], by: &str, label: &str, filter: &Filter) -> Markup {
    html! {
        (scroll(label, &html! {
            table {
                thead { tr {
                    th scope="col" { (by) } th scope="col" { "Cost" } th scope="col" { "Busy" }
                    th scope="col" { "Operations" } th scope="col" { "Errors" } th scope="col" { "Longest" }
                    th scope="col" { "First began (UTC)" } th scope="col" { "Until the last" }
                    th scope="col" { "Input" } th scope="col" { "Output" }
                } }
                tbody { @for one in sessions { (row(one, by, filter)) } }
            }
        }))
    }
}

fn row(one: &Session, by: &str, filter: &Filter) -> Markup {
    html! {
        tr {
            th scope="row" { a href=(narrowed(filter, by, &one.key)) { (one.key) } }
            td { (spend(one.total_cost, one.unpriced_calls)) }
            td { (seconds(one.busy_seconds)) }
            td { (count(one.errors.of)) }
            td { (share(one.errors)) }
            td { (seconds(one.longest_seconds)) }
            td { (instant(one.first_at)) }
            td { (lasting(TimeDelta::seconds((one.last_at - one.first_at).num_seconds()))) }
            td { (count(one.input_tokens)) }
            td { (count(one.output_tokens)) }
        }
    }
}
