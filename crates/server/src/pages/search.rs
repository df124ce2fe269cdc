//! What a text leads to: straight to the one thing that it names, else to all that has it.

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use taximeter::history::{Found, FoundName};
use taximeter::report::{count, counted};

use super::frame::{Page, heading, scroll};
use super::words::{link, narrowed, one};
use super::{Shared, operations, shown};
use crate::questions::Filter;

pub(super) async fn search(State(questions): Shared, Query(filter): Query<Filter>) -> Response {
    match questions.search(&filter).await {
        Ok(found) => match straight(&found, &filter) {
            Some(to) => Redirect::to(&to).into_response(),
            None => shown(&questions, Page::Search, &filter, Ok(page(&found, &filter))),
        },
        Err(why) => shown(&questions, Page::Search, &filter, Err(why)),
    }
}

/// Where there is but one thing that can be meant.
fn straight(found: &Found, filter: &Filter) -> Option<String> {
    if let Some(id) = found.operation {
        return Some(one(id));
    }
    let named = named(&found.names);
    match (named, found.by_id.as_slice(), found.by_error.as_slice()) {
        (Some(name), [], []) => Some(to(name, filter)),
        (None, [line], []) if found.names.is_empty() => Some(one(line.operation_id)),
        _ => None,
    }
}

/// The only name, or the only one that is the whole text.
fn named(names: &[FoundName]) -> Option<&FoundName> {
    match names {
        [name] => Some(name),
        [name, next, ..] => (name.exact && !next.exact).then_some(name),
        [] => None,
    }
}

fn to(name: &FoundName, filter: &Filter) -> String {
    narrowed(&Filter { only: String::new(), ..filter.clone() }, &name.by.to_string(), &name.key)
}

fn page(found: &Found, filter: &Filter) -> Markup {
    html! {
        h1 { @if found.text.is_empty() { "Search" } @else { "Search: " (found.text) } }
        p.period { (found.period) " · ids, traces and errors of " (found.looked_at) }
        @if found.text.is_empty() {
            section.card { p { "Write an operation's id, a trace's, a name, a user, a session, or words of an error into the box above." } }
        } @else if found.is_empty() {
            (nothing(filter))
        }
        @if !found.names.is_empty() { (names(found, filter)) }
        @for (title, lines) in [("By id or trace", &found.by_id), ("By the text of an error", &found.by_error)] {
            @if !lines.is_empty() { section.card { h2 { (title) } (operations::table(lines, title, filter)) } }
        }
    }
}

/// What was not found now may be of another time.
fn nothing(filter: &Filter) -> Markup {
    let all = link("/search", filter, &[("since", "all")]);
    html! {
        section.card {
            p { "Nothing is called so in this period, and no error says it." }
            @if filter.since != "all" { p { a href=(all) { "Look in all that is stored" } } }
        }
    }
}

fn names(found: &Found, filter: &Filter) -> Markup {
    let json = link("/api/v1/search", filter, &[("q", &found.text), ("only", ""), ("live", "")]);
    html! {
        section.card {
            (heading("Names", &[("JSON", json)]))
            (scroll("Names", &html! {
                table {
                    thead { tr { th scope="col" { "Name" } th scope="col" { "Of" } th scope="col" { "Count" } } }
                    tbody {
                        @for name in &found.names {
                            tr {
                                th scope="row" { a href=(to(name, filter)) { (name.key) } }
                                td { (name.by) }
                                td { (count(name.count)) }
                            }
                        }
                    }
                }
            }))
            @if found.more_names > 0 { p.note { (counted(found.more_names, "more name")) } }
        }
    }
}
