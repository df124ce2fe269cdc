//! Looking into JSON that others wrote: fields that may be missing, counts that may be none.

use serde_json::{Map, Value};
use taximeter_models::{Money, Name, UsageError};

/// A place in a JSON document, which may be empty.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'v>(Option<&'v Value>);

/// Names are short; a longer one is a mistake or an attack.
const MOST_NAME_BYTES: usize = 256;
/// Floats hold every whole number up to here.
const EXACT_IN_FLOAT: f64 = 9_007_199_254_740_992.0;

impl<'v> Part<'v> {
    pub(super) const fn of(value: &'v Value) -> Self {
        Self(Some(value))
    }

    /// The place of a field in it.
    pub(super) fn at(self, field: &str) -> Self {
        Self(self.0.and_then(|value| value.get(field)).filter(|value| !value.is_null()))
    }

    pub(super) fn value(self) -> Option<&'v Value> {
        self.0
    }

    /// Whether something is there that is not `null`.
    pub(super) fn is_there(self) -> bool {
        self.0.is_some()
    }

    /// The text there, if there is one that is not empty.
    pub(super) fn text(self) -> Option<&'v str> {
        self.0.and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// The text there as a name.
    pub(super) fn name(self) -> Option<Name> {
        self.text().map(name)
    }

    /// What is in the list there.
    pub(super) fn list(self) -> &'v [Value] {
        self.0.and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// The number there, if it is a whole one that is not negative.
    pub(super) fn whole(self) -> Option<u64> {
        self.0.and_then(whole)
    }

    /// The count in a field; none if nothing is there.
    pub(super) fn count(self, field: &str) -> Result<Option<u64>, UsageError> {
        match self.at(field).0 {
            None => Ok(None),
            Some(value) => whole(value)
                .map(Some)
                .ok_or_else(|| UsageError::NotACount { field: name(field).to_string() }),
        }
    }

    /// The count in a field that may be left out where it is zero.
    pub(super) fn count_or_zero(self, field: &str) -> Result<u64, UsageError> {
        self.count(field).map(Option::unwrap_or_default)
    }

    /// The first count that is there, for what is known under several names.
    pub(super) fn first_count(self, fields: &[&str]) -> Result<Option<u64>, UsageError> {
        for field in fields {
            if let Some(count) = self.count(field)? {
                return Ok(Some(count));
            }
        }
        Ok(None)
    }

    /// The amount of money there; none if it is below zero.
    pub(super) fn money(self) -> Option<Money> {
        let value = self.0.filter(|value| value.is_number() || value.is_string())?;
        serde_json::from_value::<Money>(value.clone()).ok().filter(|amount| *amount >= Money::ZERO)
    }
}

/// A whole number that is not negative, as a number or, as Google writes 64 bits, as text.
fn whole(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64().or_else(|| whole_float(number.as_f64()?)),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is whole, not negative and exact"
)]
fn whole_float(number: f64) -> Option<u64> {
    (number.fract() == 0.0 && (0.0..=EXACT_IN_FLOAT).contains(&number)).then_some(number as u64)
}

/// A text as a name, cut where no name is so long.
pub(super) fn name(text: &str) -> Name {
    Name::from(head(text, MOST_NAME_BYTES))
}

/// The beginning of a text, at most so many bytes of it.
pub(super) fn head(text: &str, most: usize) -> &str {
    let most = most.min(text.len());
    let end = (0..=most).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or_default()]
}

/// How much of a usage is kept: so many fields in an object, so many bytes in a text, so many levels.
const MOST_FIELDS: usize = 64;
const MOST_TEXT: usize = 64;
const MOST_LEVELS: usize = 4;

/// Puts a later report of a usage over an earlier one, field by field.
///
/// Counts of a stream run up, so a later one takes the place of an earlier one. A later zero or `null` does not: it
/// says that the event at hand does not report the field.
pub(super) fn merge(into: &mut Map<String, Value>, later: &Value) {
    for (field, value) in later.as_object().into_iter().flatten() {
        let Some(value) = kept(value, MOST_LEVELS) else { continue };
        let is_zero = value.as_f64() == Some(0.0);
        let has_room = into.len() < MOST_FIELDS && field.len() <= MOST_TEXT;
        match into.get_mut(field) {
            Some(_) if is_zero => {}
            Some(earlier) => *earlier = value,
            None if has_room => {
                into.insert(field.clone(), value);
            }
            None => {}
        }
    }
}

/// What of a value is kept: counts, amounts, short texts, and lists and objects of them. Content is longer.
fn kept(value: &Value, levels: usize) -> Option<Value> {
    let inner = |value| kept(value, levels.checked_sub(1)?);
    match value {
        Value::Null => None,
        Value::Bool(_) | Value::Number(_) => Some(value.clone()),
        Value::String(text) => (text.len() <= MOST_TEXT).then(|| value.clone()),
        Value::Array(list) => Some(list.iter().take(MOST_FIELDS).filter_map(inner).collect()),
        Value::Object(fields) => {
            let short = fields.iter().take(MOST_FIELDS).filter(|(name, _)| name.len() <= MOST_TEXT);
            let kept = short.filter_map(|(name, value)| Some((name.clone(), inner(value)?)));
            Some(Value::Object(kept.collect()))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn counts_are_whole_and_not_negative() {
        let value =
            json!({"a": 7, "b": 7.0, "c": "7", "d": 7.5, "e": -1, "f": null, "g": 1e300, "h": []});
        let part = Part::of(&value);
        for (field, expected) in [("a", Ok(Some(7))), ("b", Ok(Some(7))), ("c", Ok(Some(7)))] {
            assert_eq!(part.count(field), expected);
        }
        for absent in ["f", "z"] {
            assert_eq!(part.count(absent), Ok(None));
        }
        for wrong in ["d", "e", "g", "h"] {
            let error = part.count(wrong).unwrap_err();
            assert_eq!(error, UsageError::NotACount { field: wrong.into() });
        }
    }

    #[test]
    fn a_later_report_takes_the_place_of_an_earlier_one() {
        let mut usage = Map::new();
        merge(&mut usage, &json!({"input": 10, "output": 1, "details": {"cached": 3}}));
        merge(&mut usage, &json!({"input": 0, "output": 9, "details": null}));
        assert_eq!(
            Value::Object(usage),
            json!({"input": 10, "output": 9, "details": {"cached": 3}})
        );
    }

    #[test]
    fn content_and_floods_are_not_kept() {
        let mut usage = Map::new();
        merge(&mut usage, &json!({"text": "x".repeat(1_000), "tier": "flex"}));
        for number in 0..1_000 {
            merge(&mut usage, &json!({format!("field_{number}"): 1}));
        }
        assert_eq!(usage.len(), MOST_FIELDS);
        assert!(usage.contains_key("tier") && !usage.contains_key("text"));
        let deep = (0..100).fold(json!(1), |inner, _| json!({"deeper": inner}));
        let mut levels = 0;
        let mut kept = kept(&deep, MOST_LEVELS);
        while let Some(Value::Object(mut fields)) = kept {
            (kept, levels) = (fields.remove("deeper"), levels + 1);
        }
        assert_eq!(levels, MOST_LEVELS + 1);
    }
}
