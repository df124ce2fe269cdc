//! OTLP in JSON: the rules of its own that it has, and the messages of a request, one at a time.
//!
//! Ids are hexadecimal in either case, numbers of 64 bits are texts or numbers, enums are numbers (names are taken
//! too), names are in lowerCamelCase and no other, unknown ones are ignored, `null` is as good as absent.
//! Source: <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>.

mod logs;
mod metrics;
mod scalars;
mod traces;
mod walk;

pub(crate) use logs::logs;
pub(crate) use metrics::metrics;
pub(crate) use traces::traces;

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use self::scalars::{Double, Int, Text};
use super::raw::{Resource, Scope};
use super::slots::{Slots, Value};
use super::{DecodeError, Limits};

/// A list that is walked when its place is known; its items are not read before.
type List<'a> = Option<Vec<&'a RawValue>>;

/// A request of whatever signal.
#[derive(Deserialize, Default)]
struct Request<'a> {
    #[serde(borrow, rename = "resourceSpans")]
    spans: List<'a>,
    #[serde(borrow, rename = "resourceMetrics")]
    metrics: List<'a>,
    #[serde(borrow, rename = "resourceLogs")]
    logs: List<'a>,
}

impl<'a> Request<'a> {
    fn read(body: &'a [u8], limits: &Limits) -> Result<Self, DecodeError> {
        Ok(serde_json::from_str(checked(body, limits)?)?)
    }

    /// What is sent under the names of other signals than the path's is not ignored, but refused.
    fn only(
        list: List<'a>,
        expected: &'static str,
        others: [(&'static str, &List<'a>); 2],
    ) -> Result<Vec<&'a RawValue>, DecodeError> {
        match others.into_iter().find(|(_, list)| list.is_some()) {
            Some((found, _)) => Err(DecodeError::WrongSignal(found, expected)),
            None => Ok(list.unwrap_or_default()),
        }
    }
}

/// The text of a body, if it is one and its structure is no deeper than allowed.
fn checked<'a>(body: &'a [u8], limits: &Limits) -> Result<&'a str, DecodeError> {
    let text = std::str::from_utf8(body)
        .map_err(|error| DecodeError::Json(format!("it is not UTF-8: {error}")))?;
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => depth += 1,
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > limits.nesting {
            return Err(DecodeError::TooDeep(limits.nesting));
        }
    }
    Ok(text)
}

/// Reads an item of a list; `null` is as good as an empty one.
fn item<'a, T: Deserialize<'a> + Default>(raw: &'a RawValue) -> Result<T, DecodeError> {
    Ok(serde_json::from_str::<Option<T>>(raw.get())?.unwrap_or_default())
}

#[derive(Deserialize, Default)]
struct WithAttributes<'a> {
    #[serde(borrow)]
    attributes: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
struct ScopeName<'a> {
    #[serde(borrow, default)]
    name: Text<'a>,
}

fn resource(raw: Option<&RawValue>, limits: &Limits) -> Result<Arc<Resource>, DecodeError> {
    let mut slots = Slots::new();
    if let Some(raw) = raw {
        attributes_into(&mut slots, item::<WithAttributes<'_>>(raw)?.attributes, limits)?;
    }
    Ok(Resource::of(&slots))
}

fn scope(raw: Option<&RawValue>) -> Result<Scope, DecodeError> {
    let name = raw.map(item::<ScopeName<'_>>).transpose()?.unwrap_or_default();
    Ok(Scope::named(&name.name))
}

fn attributes_into<'a>(
    slots: &mut Slots<'a>,
    raw: Option<&'a RawValue>,
    limits: &Limits,
) -> Result<(), DecodeError> {
    if let Some(raw) = raw {
        let mut json = serde_json::Deserializer::from_str(raw.get());
        Attributes { slots, limits }.deserialize(&mut json)?;
    }
    Ok(())
}

/// Puts a list of `KeyValue` where it belongs, one at a time.
struct Attributes<'s, 'a> {
    slots: &'s mut Slots<'a>,
    limits: &'s Limits,
}

#[derive(Deserialize)]
struct KeyValue<'a> {
    #[serde(borrow, default)]
    key: Text<'a>,
    #[serde(borrow)]
    value: Option<AnyValue<'a>>,
}

#[derive(Deserialize, Default)]
struct AnyValue<'a> {
    #[serde(borrow, rename = "stringValue")]
    text: Option<Text<'a>>,
    #[serde(rename = "boolValue")]
    flag: Option<bool>,
    #[serde(rename = "intValue")]
    int: Option<Int>,
    #[serde(rename = "doubleValue")]
    double: Option<Double>,
    #[serde(borrow, rename = "arrayValue")]
    list: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
struct ArrayValue<'a> {
    #[serde(borrow)]
    values: List<'a>,
}

impl<'a> AnyValue<'a> {
    /// A list stands as its first value, and a map or bytes as none.
    fn read(self) -> Result<Option<Value<'a>>, DecodeError> {
        let plain = if let Some(text) = self.text {
            Some(Value::Text(text.0))
        } else if let Some(value) = self.flag {
            Some(Value::Bool(value))
        } else if let Some(value) = self.int {
            Some(Value::Int(value.0))
        } else {
            self.double.map(|value| Value::Double(value.0))
        };
        let Some(list) = self.list.filter(|_| plain.is_none()) else { return Ok(plain) };
        let first = item::<ArrayValue<'a>>(list)?.values.unwrap_or_default().into_iter().next();
        let Some(first) = first else { return Ok(None) };
        let first = item::<AnyValue<'a>>(first)?;
        // A list within a list is nothing that is read.
        if first.list.is_some() { Ok(None) } else { first.read() }
    }
}

impl<'a> DeserializeSeed<'a> for Attributes<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'a> Visitor<'a> for Attributes<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list of attributes")
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(attribute) = list.next_element::<Option<KeyValue<'a>>>()? {
            self.slots.seen += 1;
            let Some(KeyValue { key, value: Some(value) }) = attribute else { continue };
            let value = value.read().map_err(serde::de::Error::custom)?;
            if let Some(value) = value.filter(|_| self.slots.seen <= self.limits.attributes) {
                self.slots.put_named(key.as_bytes(), value);
            }
        }
        Ok(())
    }
}

/// Takes the name or the text that stands for an event, wherever it stands.
fn event_name<'a>(name: Text<'a>, body: Option<AnyValue<'a>>) -> Result<Cow<'a, str>, DecodeError> {
    if !name.is_empty() {
        return Ok(name.0);
    }
    Ok(match body.map(AnyValue::read).transpose()?.flatten() {
        Some(Value::Text(text)) => text,
        _ => Cow::default(),
    })
}
