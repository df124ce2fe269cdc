//! What the form of the filter bar asks for, as one address: its fields become a period and conditions.
//!
//! The form sends a field for each thing that can be chosen. An address has but `since` and `only`, as the API and the
//! command line have; so whoever sends the form is sent on to that address, by a script or without.

use axum::extract::{Query, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use http::Method;
use taximeter::history::Selection;

use super::words::encoded;

/// Something that can be chosen: the field of the form, what it is called, and the condition that it becomes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choice {
    pub(super) field: &'static str,
    pub(super) label: &'static str,
    pub(super) key: &'static str,
    /// By what the values can be listed, to be suggested; empty where they cannot.
    pub(super) by: &'static str,
}

const fn choice(
    field: &'static str,
    label: &'static str,
    key: &'static str,
    by: &'static str,
) -> Choice {
    Choice { field, label, key, by }
}

/// The tag that tells where a program runs.
pub(super) const ENVIRONMENT: &str = "tag:environment";

pub(super) const CHOICES: [Choice; 8] = [
    choice("environment", "Environment", ENVIRONMENT, ENVIRONMENT),
    choice("provider", "Provider", "provider", "provider"),
    choice("llm", "LLM", "llm", "llm"),
    choice("operation", "Operation", "operation", "operation"),
    choice("tool", "Tool", "tool", "tool"),
    choice("user", "User", "user", "user"),
    choice("session", "Session", "session", "session"),
    choice("status", "Status", "outcome", ""),
];

/// The field that takes a tag and its value: `team=search`.
pub(super) const TAG: &str = "tag";

/// The values of the fields, as they stand in the conditions of an address, and the conditions that have no field.
pub(super) struct Fields {
    pub(super) values: [String; CHOICES.len()],
    pub(super) tag: String,
    pub(super) others: String,
}

impl Fields {
    pub(super) fn of(only: &str) -> Self {
        let mut fields =
            Self { values: Default::default(), tag: String::new(), others: String::new() };
        let mut others = Vec::new();
        for part in Selection::parts(only) {
            let Some((key, value)) = part.split_once('=') else {
                others.push(part);
                continue;
            };
            let place = CHOICES.iter().position(|choice| choice.key == key);
            match place.map(|place| &mut fields.values[place]) {
                Some(field) if field.is_empty() => value.clone_into(field),
                None if key.starts_with("tag:") && fields.tag.is_empty() => {
                    part["tag:".len()..].clone_into(&mut fields.tag);
                }
                _ => others.push(Selection::part(key, value)),
            }
        }
        fields.others = others.join(",");
        fields
    }
}

/// The same conditions without one of them.
pub(super) fn without(only: &str, left_out: usize) -> String {
    let parts = Selection::parts(only).into_iter().enumerate();
    let kept = parts.filter(|(place, _)| *place != left_out).map(|(_, part)| written(&part));
    kept.collect::<Vec<_>>().join(",")
}

fn written(part: &str) -> String {
    part.split_once('=').map_or_else(|| part.to_owned(), |(key, value)| Selection::part(key, value))
}

/// Sends who sent the form on to the address that means the same.
pub(super) async fn sent_on(request: Request, next: Next) -> Response {
    let is_asked = request.method() == Method::GET;
    if let Ok(Query(pairs)) = Query::<Vec<(String, String)>>::try_from_uri(request.uri())
        && is_asked
        && let Some(query) = address(&pairs)
    {
        // A path with two slashes before it would be another server's.
        let path = format!("/{}", request.uri().path().trim_start_matches('/'));
        let mark = if query.is_empty() { "" } else { "?" };
        return Redirect::to(&format!("{path}{mark}{query}")).into_response();
    }
    next.run(request).await
}

/// What a query of the form means, as one without its fields; none where it has none of them.
fn address(pairs: &[(String, String)]) -> Option<String> {
    let is_field = |key: &str| {
        ["from", "to", TAG].contains(&key) || CHOICES.iter().any(|choice| choice.field == key)
    };
    if !pairs.iter().any(|(key, _)| is_field(key)) {
        return None;
    }
    let of = |key: &str| {
        pairs.iter().find(|(other, _)| other == key).map_or("", |(_, value)| value.trim())
    };
    let (from, to) = (moment(of("from")), moment(of("to")));
    let since = match (from.is_empty(), to.is_empty()) {
        (true, true) => of("since").to_owned(),
        _ => format!("{from}..{to}"),
    };
    let mut only: Vec<String> = Vec::new();
    for choice in &CHOICES {
        let value = of(choice.field);
        if !value.is_empty() {
            only.push(Selection::part(choice.key, value));
        }
    }
    if let Some((tag, value)) = of(TAG).split_once('=') {
        only.push(Selection::part(&format!("tag:{tag}"), value));
    }
    only.extend(Selection::parts(of("only")).iter().map(|part| written(part)));
    let only = only.join(",");
    let others = pairs.iter().filter(|(key, _)| !is_field(key) && key != "since" && key != "only");
    let others = others.map(|(key, value)| (key.as_str(), value.as_str()));
    let all = [("since", since.as_str()), ("only", &only)].into_iter().chain(others);
    let said = all.filter(|(_, value)| !value.is_empty());
    let said = said.map(|(key, value)| format!("{}={}", encoded(key), encoded(value)));
    Some(said.collect::<Vec<_>>().join("&"))
}

/// A moment as a browser's field gives it, `2026-11-26T12:00`, with the zone that is meant.
fn moment(text: &str) -> String {
    let is_local = text.len() == "2026-11-26T12:00".len() && text.as_bytes().get(10) == Some(&b'T');
    if is_local { format!("{text}:00Z") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(pairs: &[(&str, &str)]) -> Option<String> {
        let pairs: Vec<_> =
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        address(&pairs)
    }

    #[test]
    fn the_fields_of_the_form_become_one_period_and_one_list_of_conditions() {
        assert_eq!(asked(&[("since", "24h"), ("only", "user=ann")]), None);
        assert_eq!(
            asked(&[
                ("since", "7d"),
                ("from", ""),
                ("llm", "openai/gpt-4o"),
                ("user", ""),
                ("by", "")
            ]),
            Some("since=7d&only=llm%3Dopenai%2Fgpt-4o".into())
        );
        assert_eq!(
            asked(&[
                ("since", "7d"),
                ("from", "2026-11-26T12:00"),
                ("to", ""),
                ("tag", "team=a,b")
            ]),
            Some("since=2026-11-26T12%3A00%3A00Z..&only=tag%3Ateam%3Da%5C%2Cb".into())
        );
        assert_eq!(asked(&[("from", ""), ("to", "")]), Some(String::new()));
    }

    #[test]
    fn conditions_stand_in_their_fields_and_go_one_by_one() {
        let only = r"llm=openai/gpt-4o,tag:team=a\,b,longer=2s,user=ann,user=bob";
        let fields = Fields::of(only);
        assert_eq!((fields.values[2].as_str(), fields.tag.as_str()), ("openai/gpt-4o", "team=a,b"));
        assert_eq!(fields.others, "longer=2s,user=bob");
        assert_eq!(without(only, 1), "llm=openai/gpt-4o,longer=2s,user=ann,user=bob");
        assert_eq!(without("user=ann", 0), "");
    }
}
