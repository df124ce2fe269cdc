//! The scalars of OTLP in JSON, in each of the forms that are sent.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

/// A text that is borrowed where it has no escapes; `null` is the empty one.
#[derive(Debug, Default)]
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Texts;

        impl<'de> Visitor<'de> for Texts {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }

            fn visit_unit<E: Error>(self) -> Result<Text<'de>, E> {
                Ok(Text::default())
            }
        }

        deserializer.deserialize_any(Texts)
    }
}

/// A whole number of 64 bits with a sign: a text, or a number.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Int(pub(super) i64);

/// A whole number of 64 bits without a sign: a text, or a number; `null` is zero.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Unsigned(pub(super) u64);

/// A float: a number, or a text such as `"NaN"`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Double(pub(super) f64);

/// An enum: its number, or its name.
#[derive(Debug, Default)]
pub(super) struct Enum<'a> {
    pub(super) number: i64,
    pub(super) name: Cow<'a, str>,
}

impl Enum<'_> {
    pub(super) fn is(&self, number: i64, name: &str) -> bool {
        self.number == number || self.name == name
    }
}

struct Numbers<T>(&'static str, std::marker::PhantomData<T>);

/// A number of whatever form, made into what is asked for.
enum Form {
    Signed(i64),
    Unsigned(u64),
    Float(f64),
}

/// What a number or a numeric text can be read as.
trait FromForm: Sized {
    const WHAT: &'static str;
    fn from_form(form: &Form) -> Option<Self>;
    fn from_text(text: &str) -> Option<Self>;
}

impl FromForm for Int {
    const WHAT: &'static str = "a whole number of 64 bits, as a number or a text";

    fn from_form(form: &Form) -> Option<Self> {
        match *form {
            Form::Signed(value) => Some(Self(value)),
            Form::Unsigned(value) => i64::try_from(value).ok().map(Self),
            #[expect(clippy::cast_possible_truncation, reason = "the range is checked just before")]
            Form::Float(value) => {
                (value.fract() == 0.0 && value.abs() < 9e18).then_some(Self(value as i64))
            }
        }
    }

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }
}

impl FromForm for Unsigned {
    const WHAT: &'static str = "a whole number of 64 bits without a sign, as a number or a text";

    fn from_form(form: &Form) -> Option<Self> {
        match *form {
            Form::Unsigned(value) => Some(Self(value)),
            Form::Signed(_) | Form::Float(_) => {
                u64::try_from(Int::from_form(form)?.0).ok().map(Self)
            }
        }
    }

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }
}

impl FromForm for Double {
    const WHAT: &'static str = "a number, or a text such as NaN";

    #[expect(clippy::cast_precision_loss, reason = "a float is asked for")]
    fn from_form(form: &Form) -> Option<Self> {
        Some(Self(match *form {
            Form::Signed(value) => value as f64,
            Form::Unsigned(value) => value as f64,
            Form::Float(value) => value,
        }))
    }

    fn from_text(text: &str) -> Option<Self> {
        Some(Self(match text {
            "Infinity" => f64::INFINITY,
            "-Infinity" => f64::NEG_INFINITY,
            "NaN" => f64::NAN,
            other => other.parse().ok()?,
        }))
    }
}

impl<T: FromForm + Default> Visitor<'_> for Numbers<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<T, E> {
        T::from_form(&Form::Signed(value))
            .ok_or_else(|| E::invalid_value(Unexpected::Signed(value), &self))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<T, E> {
        T::from_form(&Form::Unsigned(value))
            .ok_or_else(|| E::invalid_value(Unexpected::Unsigned(value), &self))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<T, E> {
        T::from_form(&Form::Float(value))
            .ok_or_else(|| E::invalid_value(Unexpected::Float(value), &self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::from_text(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }

    fn visit_unit<E: Error>(self) -> Result<T, E> {
        Ok(T::default())
    }
}

macro_rules! read_from_form {
    ($($number:ty),+) => {
        $(impl<'de> Deserialize<'de> for $number {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(Numbers(<$number>::WHAT, std::marker::PhantomData))
            }
        })+
    };
}

read_from_form!(Int, Unsigned, Double);

impl<'de: 'a, 'a> Deserialize<'de> for Enum<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Enums;

        impl<'de> Visitor<'de> for Enums {
            type Value = Enum<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an enum, as its number or its name")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Enum<'de>, E> {
                Ok(Enum { number, ..Enum::default() })
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Enum<'de>, E> {
                self.visit_i64(i64::try_from(number).unwrap_or(i64::MAX))
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Enum<'de>, E> {
                Ok(Enum { number: 0, name: Cow::Owned(name.to_owned()) })
            }

            fn visit_unit<E: Error>(self) -> Result<Enum<'de>, E> {
                Ok(Enum::default())
            }
        }

        deserializer.deserialize_any(Enums)
    }
}
