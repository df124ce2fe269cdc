//! What metadata can hold, borrowed where it can be: a value that is only recorded needs no memory of its own.

use std::borrow::Cow;

use serde_json::Value;

/// A value of metadata on its way into a record. It is made by `into()` from texts, numbers, truth values and JSON.
///
/// ```
/// use taximeter_collector::{Collector, MetaValue};
///
/// let op = Collector::off().operation("qa_response").start();
/// op.set("user_id", "123"); // borrowed
/// op.set("passages", 4);
/// op.set("sources", vec!["a.md", "b.md"]);
/// let none: MetaValue<'_> = f64::NAN.into(); // JSON has no such number: it is recorded as null, and counted
/// # let _ = none;
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum MetaValue<'a> {
    /// A text.
    Text(&'a str),
    /// A text that was given away.
    Owned(String),
    /// A whole number that is not negative.
    Unsigned(u64),
    /// A whole number below zero.
    Signed(i64),
    /// A number with a fraction.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// Anything else.
    Json(Value),
}

/// The two most frequent kinds of a value: nothing is to be done when they go away.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Hot<'a> {
    Text(&'a str),
    Unsigned(u64),
}

impl<'a> MetaValue<'a> {
    /// The value, if it is one of the two most frequent kinds. Where the kind is known to the compiler, so is the
    /// answer.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "of a kind that is known, nothing is left")]
    pub(crate) fn hot(self) -> Result<Hot<'a>, Self> {
        let hot = match &self {
            Self::Text(text) => Hot::Text(text),
            Self::Unsigned(number) => Hot::Unsigned(*number),
            _ => return Err(self),
        };
        // These kinds own nothing; said so, no code is made to look for it.
        std::mem::forget(self);
        Ok(hot)
    }
}

impl MetaValue<'_> {
    /// The value with a text of its own.
    pub(crate) fn into_value(self) -> Value {
        match self {
            Self::Text(text) => text.into(),
            Self::Owned(text) => text.into(),
            Self::Unsigned(number) => number.into(),
            Self::Signed(number) => number.into(),
            Self::Float(number) => number.into(),
            Self::Bool(value) => value.into(),
            Self::Json(value) => value,
        }
    }
}

impl<'a> From<&'a str> for MetaValue<'a> {
    #[inline]
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for MetaValue<'a> {
    #[inline]
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a taximeter_models::Name> for MetaValue<'a> {
    #[inline]
    fn from(name: &'a taximeter_models::Name) -> Self {
        Self::Text(name)
    }
}

impl From<String> for MetaValue<'_> {
    #[inline]
    fn from(text: String) -> Self {
        Self::Owned(text)
    }
}

impl<'a> From<Cow<'a, str>> for MetaValue<'a> {
    #[inline]
    fn from(text: Cow<'a, str>) -> Self {
        match text {
            Cow::Borrowed(text) => Self::Text(text),
            Cow::Owned(text) => Self::Owned(text),
        }
    }
}

macro_rules! from_whole_numbers {
    ($($kind:ty)+) => {
        $(impl From<$kind> for MetaValue<'_> {
            #[inline]
    fn from(number: $kind) -> Self {
                // Neither conversion fails for a number of 64 bits: what is not negative fits the first.
                match u64::try_from(number) {
                    Ok(number) => Self::Unsigned(number),
                    Err(_) => i64::try_from(number).map_or(Self::Json(Value::Null), Self::Signed),
                }
            }
        })+
    };
}

from_whole_numbers!(u8 u16 u32 u64 usize i8 i16 i32 i64 isize);

impl From<f64> for MetaValue<'_> {
    #[inline]
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl From<f32> for MetaValue<'_> {
    #[inline]
    fn from(number: f32) -> Self {
        Self::Float(number.into())
    }
}

impl From<bool> for MetaValue<'_> {
    #[inline]
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<()> for MetaValue<'_> {
    #[inline]
    fn from((): ()) -> Self {
        Self::Json(Value::Null)
    }
}

impl From<Value> for MetaValue<'_> {
    #[inline]
    fn from(value: Value) -> Self {
        match value {
            Value::String(text) => text.into(),
            other => Self::Json(other),
        }
    }
}

impl From<&Value> for MetaValue<'_> {
    #[inline]
    fn from(value: &Value) -> Self {
        value.clone().into()
    }
}

impl From<serde_json::Map<String, Value>> for MetaValue<'_> {
    #[inline]
    fn from(map: serde_json::Map<String, Value>) -> Self {
        Self::Json(map.into())
    }
}

impl<T: Into<Value>> From<Vec<T>> for MetaValue<'_> {
    #[inline]
    fn from(list: Vec<T>) -> Self {
        Self::Json(list.into())
    }
}

impl<T: Into<Value> + Clone> From<&[T]> for MetaValue<'_> {
    #[inline]
    fn from(list: &[T]) -> Self {
        Self::Json(list.into())
    }
}

impl<T: Into<Value>, const N: usize> From<[T; N]> for MetaValue<'_> {
    #[inline]
    fn from(list: [T; N]) -> Self {
        Self::Json(list.into())
    }
}

impl<'a, T: Into<MetaValue<'a>>> From<Option<T>> for MetaValue<'a> {
    #[inline]
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Json(Value::Null), Into::into)
    }
}
