//! The attributes that matter, each in the place of what it says; all others are passed over where they lie.

use std::borrow::Cow;

use super::alias::{Field, Spoken, places};

/// The value of an attribute, as far as one is read. A list stands as its first value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<'a> {
    Text(Cow<'a, str>),
    Bool(bool),
    Int(i64),
    Double(f64),
}

/// A number that is no count of anything: negative, broken, or above 2⁵³, where floats lose their units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotACount;

const MOST: u64 = 1 << 53;

impl Value<'_> {
    /// The value as a count, whatever type it was sent as.
    pub(crate) fn count(&self) -> Result<u64, NotACount> {
        let count = match self {
            Self::Int(value) => u64::try_from(*value).map_err(|_| NotACount)?,
            Self::Double(value) => whole(*value).ok_or(NotACount)?,
            Self::Text(text) => {
                let text = text.trim();
                let whole_text = text.parse::<u64>().ok();
                whole_text.or_else(|| text.parse::<f64>().ok().and_then(whole)).ok_or(NotACount)?
            }
            Self::Bool(_) => return Err(NotACount),
        };
        if count <= MOST { Ok(count) } else { Err(NotACount) }
    }

    #[expect(clippy::cast_precision_loss, reason = "it is read where fractions are sent too")]
    pub(crate) fn number(&self) -> Option<f64> {
        let number = match self {
            Self::Int(value) => *value as f64,
            Self::Double(value) => *value,
            Self::Text(text) => text.trim().parse().ok()?,
            Self::Bool(_) => return None,
        };
        number.is_finite().then_some(number)
    }

    /// The value as yes or no; some send it as a text.
    pub(crate) fn flag(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            Self::Text(text) => match text.as_ref() {
                "true" | "True" => Some(true),
                "false" | "False" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked before"
)]
#[expect(clippy::cast_precision_loss, reason = "2^53 is a float")]
fn whole(value: f64) -> Option<u64> {
    ((0.0..=MOST as f64).contains(&value) && value.fract() == 0.0).then_some(value as u64)
}

/// What was read of the attributes of one span, record or point. It is used again for the next.
#[derive(Debug)]
pub(crate) struct Slots<'a> {
    /// For each field, one more than where its value lies; 0 for none.
    at: [u8; Field::COUNT],
    values: Vec<(u8, Value<'a>)>,
    /// How many attributes there were.
    pub(crate) seen: usize,
}

impl<'a> Slots<'a> {
    pub(crate) const fn new() -> Self {
        Self { at: [0; Field::COUNT], values: Vec::new(), seen: 0 }
    }

    /// As [`new`](Slots::new), with room for so many.
    #[cfg(feature = "tracing")]
    pub(crate) fn with_capacity(values: usize) -> Self {
        Self { values: Vec::with_capacity(values), ..Self::new() }
    }

    pub(crate) fn clear(&mut self) {
        self.at = [0; Field::COUNT];
        self.values.clear();
        self.seen = 0;
    }

    /// Takes a value in, unless one with a name that wins is there. An empty text says nothing.
    pub(crate) fn put(&mut self, field: Field, rank: u8, value: Value<'a>) {
        if matches!(&value, Value::Text(text) if text.is_empty()) {
            return;
        }
        let at = &mut self.at[field as usize];
        if *at == 0 {
            self.values.push((rank, value));
            // There are fewer fields than a byte can count, and each has one value at most.
            *at = u8::try_from(self.values.len()).unwrap_or(0);
        } else {
            let held = &mut self.values[usize::from(*at) - 1];
            if rank < held.0 {
                *held = (rank, value);
            }
        }
    }

    /// Takes an attribute in, if its name is known.
    pub(crate) fn put_named(&mut self, name: &[u8], value: Value<'a>) {
        if let Some(places) = places(name) {
            self.put_at(places, value);
        }
    }

    /// Takes an attribute in whose name was looked up.
    pub(crate) fn put_at(&mut self, [first, second]: Spoken, value: Value<'a>) {
        if let Some((field, rank)) = second {
            self.put(field, rank, value.clone());
        }
        if let Some((field, rank)) = first {
            self.put(field, rank, value);
        }
    }

    pub(crate) fn get(&self, field: Field) -> Option<&Value<'a>> {
        let at = usize::from(self.at[field as usize]);
        (at > 0).then(|| &self.values[at - 1].1)
    }

    pub(crate) fn has(&self, field: Field) -> bool {
        self.at[field as usize] > 0
    }

    pub(crate) fn text(&self, field: Field) -> Option<&str> {
        match self.get(field)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn number(&self, field: Field) -> Option<f64> {
        self.get(field)?.number()
    }

    pub(crate) fn flag(&self, field: Field) -> Option<bool> {
        self.get(field)?.flag()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Value<'_> {
        Value::Text(value.into())
    }

    #[test]
    fn the_first_name_of_a_row_wins_in_any_order() {
        let mut slots = Slots::new();
        slots.put_named(b"gen_ai.usage.prompt_tokens", Value::Int(1));
        slots.put_named(b"gen_ai.usage.input_tokens", Value::Int(2));
        slots.put_named(b"input_tokens", Value::Int(3));
        assert_eq!(slots.get(Field::InputTokens), Some(&Value::Int(2)));
        slots.put_named(b"gen_ai.request.user", text(""));
        assert!(!slots.has(Field::User));
        slots.clear();
        assert!(!slots.has(Field::InputTokens));
    }

    #[test]
    fn counts_of_every_type_and_what_is_none() {
        for (value, count) in [
            (Value::Int(7), Ok(7)),
            (Value::Double(7.0), Ok(7)),
            (text("7"), Ok(7)),
            (text("1e3"), Ok(1_000)),
            (Value::Int(-1), Err(NotACount)),
            (Value::Double(f64::NAN), Err(NotACount)),
            (Value::Double(0.5), Err(NotACount)),
            (Value::Int(i64::MAX), Err(NotACount)),
            (text("many"), Err(NotACount)),
            (Value::Bool(true), Err(NotACount)),
        ] {
            assert_eq!(value.count(), count, "{value:?}");
        }
    }
}
