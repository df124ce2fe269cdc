//! Addresses and moments as a page shows them; numbers are those of [`taximeter::report`].

use chrono::{DateTime, Utc};
use maud::{Markup, html};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use taximeter::OperationId;
use taximeter::history::Selection;
pub(super) use taximeter::report::NONE;

use crate::questions::Filter;

/// What need not be encoded in an address.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

/// The address of a page of the same operations, but for what is to be otherwise.
pub(super) fn link(path: &str, filter: &Filter, otherwise: &[(&str, &str)]) -> String {
    let kept = [
        ("since", filter.since.as_str()),
        ("only", &filter.only),
        ("by", &filter.by),
        ("order", &filter.order),
        ("budget", &filter.budget),
        ("compare", &filter.compare),
        ("live", &filter.live),
        // Only the first screen has charts that are one of several.
        ("spend", if path == "/" { &filter.spend } else { "" }),
        ("latency", if path == "/" { &filter.latency } else { "" }),
        ("q", if path == "/search" { &filter.q } else { "" }),
    ];
    let mut address = path.to_owned();
    let kept = kept.iter().filter(|(key, _)| !otherwise.iter().any(|(other, _)| other == key));
    for (key, value) in kept.chain(otherwise).filter(|(_, value)| !value.is_empty()) {
        address.push(if address.contains('?') { '&' } else { '?' });
        address.push_str(key);
        address.push('=');
        address.push_str(&encoded(value));
    }
    address
}

/// The conditions of a page and one further.
pub(super) fn also(filter: &Filter, key: &str, value: &str) -> String {
    let condition = Selection::part(key, value);
    // By the last condition of a kind it is told which one is meant.
    if Selection::parts(&filter.only).contains(&format!("{key}={value}")) {
        return filter.only.clone();
    }
    if filter.only.is_empty() { condition } else { format!("{},{condition}", filter.only) }
}

/// The operations of a page and one further condition.
pub(super) fn narrowed(filter: &Filter, key: &str, value: &str) -> String {
    ordered(filter, key, value, "")
}

/// The same, with those first that an order puts first.
pub(super) fn ordered(filter: &Filter, key: &str, value: &str, order: &str) -> String {
    let only = also(filter, key, value);
    link("/operations", filter, &[("only", &only), ("by", ""), ("order", order)])
}

/// The operations of a page that began within a time.
pub(super) fn during(filter: &Filter, start: DateTime<Utc>, end: DateTime<Utc>) -> String {
    link("/operations", filter, &[("since", &stretch(start, end)), ("by", ""), ("order", "")])
}

/// A stretch of time as an address says it.
pub(super) fn stretch(start: DateTime<Utc>, end: DateTime<Utc>) -> String {
    format!("{}..{}", start.format("%FT%TZ"), end.format("%FT%TZ"))
}

/// The page of one operation.
pub(super) fn one(id: OperationId) -> String {
    format!("/operations/{}", encoded(&id.to_string()))
}

/// An instant, which the script shows in no other way.
pub(super) fn instant(at: DateTime<Utc>) -> Markup {
    html! { time datetime=(at.to_rfc3339()) { (at.format("%F %H:%M:%S")) } }
}

/// How much a number changed against before.
pub(super) fn change(before: Option<f64>, now: Option<f64>) -> String {
    let told = now.map(|now| taximeter::report::change(before, now)).unwrap_or_default();
    match (before, now) {
        (Some(0.0), Some(0.0)) => "0 %".into(),
        _ if told.is_empty() => NONE.into(),
        _ => told,
    }
}

/// A word of a document as a page shows it: `error_rate` is `error rate`, `llm_mix` is `LLM mix`.
pub(super) fn spaced(word: &str) -> String {
    word.replace('_', " ").replace("llm", "LLM")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_keep_what_is_asked_for_and_nothing_breaks_out_of_them() {
        let filter = Filter { since: "7d".into(), only: "user=a&b".into(), ..Filter::default() };
        assert_eq!(link("/", &filter, &[]), "/?since=7d&only=user%3Da%26b");
        assert_eq!(link("/", &filter, &[("since", "1h"), ("only", "")]), "/?since=1h");
        assert_eq!(
            narrowed(&Filter::default(), "tool", "\"><script>"),
            "/operations?only=tool%3D%22%3E%3Cscript%3E"
        );
        assert_eq!(also(&filter, "tool", "a,b"), r"user=a&b,tool=a\,b");
        assert_eq!(also(&filter, "user", "a&b"), "user=a&b");
        assert_eq!(change(Some(2.0), Some(3.0)), "+50 %");
        assert_eq!(change(Some(0.0), Some(3.0)), "–");
    }
}
