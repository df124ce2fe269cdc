//! Numbers and addresses as a page shows them.

use chrono::{DateTime, Utc};
use maud::{Markup, html};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use taximeter::report::{at_least, money, seconds};
use taximeter::{Money, Rate};

use crate::questions::Filter;

/// What stands where a number is not known.
pub(super) const NONE: &str = "–";

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

/// The operations of a page and one further condition.
pub(super) fn narrowed(filter: &Filter, key: &str, value: &str) -> String {
    // A comma ends a condition, so such a value has no address of its own.
    if value.contains(',') {
        return link("/operations", filter, &[]);
    }
    let condition = format!("{key}={value}");
    let only =
        if filter.only.is_empty() { condition } else { format!("{},{condition}", filter.only) };
    link("/operations", filter, &[("only", &only), ("by", "")])
}

pub(super) fn took(value: Option<f64>) -> String {
    value.map_or_else(|| NONE.into(), seconds)
}

pub(super) fn each(amount: Option<Money>) -> String {
    amount.map_or_else(|| NONE.into(), money)
}

/// An amount, of which some is not known.
pub(super) fn spend(amount: Money, unpriced: u64) -> String {
    at_least(amount, unpriced == 0)
}

/// A share without its denominator, where that stands beside it.
pub(super) fn share(rate: Rate) -> String {
    rate.percent().map_or_else(|| NONE.into(), |percent| format!("{percent:.1} %"))
}

pub(super) fn part(value: Option<f64>) -> String {
    value.map_or_else(|| NONE.into(), |part| format!("{:.1} %", part * 100.0))
}

/// An instant, which the script shows in no other way.
pub(super) fn instant(at: DateTime<Utc>) -> Markup {
    html! { time datetime=(at.to_rfc3339()) { (at.format("%F %H:%M:%S")) } }
}

/// How much a number changed against before.
pub(super) fn change(before: Option<f64>, now: Option<f64>) -> String {
    match (before, now) {
        (Some(before), Some(now)) if before != 0.0 => {
            format!("{:+.0} %", (now / before - 1.0) * 100.0)
        }
        _ => NONE.into(),
    }
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
        assert_eq!(change(Some(2.0), Some(3.0)), "+50 %");
        assert_eq!(change(Some(0.0), Some(3.0)), NONE);
    }
}
