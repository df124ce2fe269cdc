//! What the readers of other programs' JSON share.

use std::borrow::Cow;
use std::ops::Deref;
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use taximeter_models::Money;

/// A text that is borrowed from the line where it has no escapes, within an option too.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// The text of an option, where it is not empty.
pub(crate) fn some<'a>(text: Option<&'a Text<'_>>) -> Option<&'a str> {
    text.map(|text| &**text).filter(|text| !text.is_empty())
}

/// An HTTP status, as a number or as text; anything else is none.
#[derive(Default)]
pub(crate) struct Status(pub(crate) Option<u16>);

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
        Ok(Self(number.and_then(|number| u16::try_from(number).ok())))
    }
}

/// The beginning of a text that was written elsewhere, for an error: it is not known how long it is.
pub(crate) fn shortened(text: &str) -> String {
    text.chars().take(300).collect()
}

/// A time: RFC 3339, or without a zone, which is read as UTC; or a number of milliseconds since 1970, of microseconds
/// or nanoseconds where it is too large for that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) Option<DateTime<Utc>>);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let moment = match &value {
            Value::Null => return Ok(Self(None)),
            Value::String(text) if text.is_empty() => return Ok(Self(None)),
            Value::String(text) => moment(text),
            Value::Number(number) => number.as_i64().and_then(moment_of_number),
            _ => None,
        };
        let wrong =
            || serde::de::Error::custom(format!("{} is no time", shortened(&value.to_string())));
        moment.map(Some).map(Self).ok_or_else(wrong)
    }
}

/// Reads a time as text.
pub(crate) fn moment(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(exact) = DateTime::parse_from_rfc3339(text) {
        return Some(exact.to_utc());
    }
    let mut formats = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"].iter();
    formats
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .map(|at| at.and_utc())
}

fn moment_of_number(number: i64) -> Option<DateTime<Utc>> {
    match number.unsigned_abs() {
        0..100_000_000_000_000 => DateTime::from_timestamp_millis(number),
        100_000_000_000_000..100_000_000_000_000_000 => DateTime::from_timestamp_micros(number),
        _ => Some(DateTime::from_timestamp_nanos(number)),
    }
}

/// A count: a whole number, as a number or as text. Absent or null it is none.
pub(crate) fn count(value: Option<&Value>) -> Result<Option<u64>, String> {
    let count = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.parse().ok(),
        // Data frames turn whole numbers into floats where some are missing.
        Some(Value::Number(number)) => number.as_u64().or_else(|| whole(number.as_f64()?)),
        Some(_) => None,
    };
    let wrong = || {
        format!("{} is no count", shortened(&value.map(ToString::to_string).unwrap_or_default()))
    };
    count.map(Some).ok_or_else(wrong)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is whole and within the range just before"
)]
fn whole(number: f64) -> Option<u64> {
    let is_whole = number.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&number);
    is_whole.then_some(number as u64)
}

/// An amount of money, as a number or as text; absent, null, zero and what is none are none. Zero is how programs say
/// that they had no price.
pub(crate) fn money(value: Option<&Value>) -> Option<Money> {
    let money: Option<Money> = serde_json::from_value(value?.clone()).ok();
    money.filter(|money| !money.is_zero())
}

/// How long it is from one time to a later one; none where it is not later.
pub(crate) fn between(from: DateTime<Utc>, to: DateTime<Utc>) -> Option<Duration> {
    (to - from).to_std().ok()
}

/// A value that may be an object, or an object written as text.
pub(crate) fn object(value: Value) -> Value {
    match value {
        Value::String(text) => serde_json::from_str(&text).unwrap_or_default(),
        other => other,
    }
}

/// A field that may be a text.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer)?.as_str().filter(|text| !text.is_empty())
}
