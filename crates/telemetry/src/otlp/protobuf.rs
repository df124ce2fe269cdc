//! OTLP in protobuf: the messages of a request, walked where they lie.
//!
//! Field numbers are those of <https://github.com/open-telemetry/opentelemetry-proto> 1.11. A field of an unexpected
//! wire type is passed over like an unknown one, so that a request of another signal yields parts without ids.

mod logs;
mod metrics;
mod traces;

pub(crate) use logs::logs;
pub(crate) use metrics::metrics;
pub(crate) use traces::traces;

use std::borrow::Cow;
use std::sync::Arc;

use super::alias::places;
use super::raw::{Resource, Scope};
use super::slots::{Slots, Value};
use super::wire::{Broken, Message, Payload};
use super::{DecodeError, Limits};

/// A value of an attribute of a span lies within six messages, itself among them.
const VALUE_DEPTH: usize = 6;

/// The messages in one field of a message, in order.
fn within(bytes: &[u8], number: u32) -> impl Iterator<Item = Result<&[u8], Broken>> {
    Message::new(bytes).filter_map(move |field| match field {
        Ok((found, Payload::Bytes(bytes))) if found == number => Some(Ok(bytes)),
        Ok(_) => None,
        Err(error) => Some(Err(error)),
    })
}

/// The message in one field of a message; the last, if there are several.
fn last_within(bytes: &[u8], number: u32) -> Result<Option<&[u8]>, Broken> {
    within(bytes, number).try_fold(None, |_, bytes| bytes.map(Some))
}

/// Text that is not UTF-8 costs the characters that are none, and not the whole request.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bytes),
    }
}

/// The resource and the scopes of a `Resource…` message; `number` is the field of the scopes.
fn scopes<'a>(
    bytes: &'a [u8],
    limits: &Limits,
    mut each: impl FnMut(&Arc<Resource>, &Scope, &'a [u8]) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    // The resource may stand behind what it is the resource of, so it is looked for first.
    let mut slots = Slots::new();
    if let Some(resource) = last_within(bytes, 1)? {
        for attribute in within(resource, 1) {
            attribute_into(&mut slots, attribute?, limits)?;
        }
    }
    let resource = Resource::of(&slots);
    for scope_message in within(bytes, 2) {
        let scope_message = scope_message?;
        let name = last_within(scope_message, 1)?
            .map(|scope| last_within(scope, 1))
            .transpose()?
            .flatten();
        let scope = Scope::named(&text(name.unwrap_or_default()));
        for item in within(scope_message, 2) {
            each(&resource, &scope, item?)?;
        }
    }
    Ok(())
}

/// Reads a `KeyValue`. The value of a name that is not known is checked for its depth, and no more.
fn attribute_into<'a>(
    slots: &mut Slots<'a>,
    bytes: &'a [u8],
    limits: &Limits,
) -> Result<(), DecodeError> {
    slots.seen += 1;
    let (mut key, mut value) = (&[][..], None);
    for field in Message::new(bytes) {
        match field? {
            (1, Payload::Bytes(bytes)) => key = bytes,
            (2, Payload::Bytes(bytes)) => value = Some(bytes),
            _ => {}
        }
    }
    let Some(value) = value else { return Ok(()) };
    let Some(places) = places(key).filter(|_| slots.seen <= limits.attributes) else {
        return check_depth(value, VALUE_DEPTH, limits);
    };
    if let Some(value) = any_value(value, VALUE_DEPTH, limits)? {
        slots.put_at(places, value);
    }
    Ok(())
}

/// Checks how deep the values within an `AnyValue` lie, which is all that is done with one that nobody asks for.
fn check_depth(bytes: &[u8], depth: usize, limits: &Limits) -> Result<(), DecodeError> {
    if depth > limits.nesting {
        return Err(DecodeError::TooDeep(limits.nesting));
    }
    for field in Message::new(bytes) {
        match field? {
            (5, Payload::Bytes(list)) => {
                for item in within(list, 1) {
                    check_depth(item?, depth + 2, limits)?;
                }
            }
            (6, Payload::Bytes(map)) => {
                for entry in within(map, 1) {
                    if let Some(item) = last_within(entry?, 2)? {
                        check_depth(item, depth + 3, limits)?;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Reads an `AnyValue`; a list stands as its first value, and a map or bytes as none.
fn any_value<'a>(
    bytes: &'a [u8],
    depth: usize,
    limits: &Limits,
) -> Result<Option<Value<'a>>, DecodeError> {
    let plain = scalar(bytes)?;
    if plain.is_some() {
        return Ok(plain);
    }
    check_depth(bytes, depth, limits)?;
    let first = last_within(bytes, 5)?.and_then(|list| within(list, 1).next()).transpose()?;
    Ok(first.map_or(Ok(None), scalar)?)
}

/// Reads an `AnyValue` that holds nothing else.
fn scalar(bytes: &[u8]) -> Result<Option<Value<'_>>, Broken> {
    let mut value = None;
    for field in Message::new(bytes) {
        value = match field? {
            (1, Payload::Bytes(bytes)) => Some(Value::Text(text(bytes))),
            (2, Payload::Varint(bits)) => Some(Value::Bool(bits != 0)),
            (3, Payload::Varint(bits)) => Some(Value::Int(bits.cast_signed())),
            (4, Payload::Fixed64(bits)) => Some(Value::Double(f64::from_bits(bits))),
            // Of several members of a `oneof` the last is meant.
            (5..=7, Payload::Bytes(_)) => None,
            _ => continue,
        };
    }
    Ok(value)
}
