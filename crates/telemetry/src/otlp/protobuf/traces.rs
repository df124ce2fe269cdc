//! `ExportTraceServiceRequest` in protobuf.

use std::borrow::Cow;
use std::sync::Arc;

use super::{attribute_into, last_within, scopes, text, within};
use crate::otlp::raw::{Id, RawSpan, Resource, Scope};
use crate::otlp::slots::Slots;
use crate::otlp::wire::{Message, Payload};
use crate::otlp::{DecodeError, Limits, events};

/// Walks the spans of a request.
pub(crate) fn traces<'a>(
    body: &'a [u8],
    limits: &Limits,
    mut each: impl FnMut(&Arc<Resource>, &Scope, &RawSpan<'a>),
) -> Result<(), DecodeError> {
    let mut raw = RawSpan {
        trace: Id::Absent,
        id: Id::Absent,
        parent: Id::Absent,
        name: Cow::default(),
        start: 0,
        end: 0,
        failed: false,
        status_message: Cow::default(),
        slots: Slots::new(),
    };
    for resource_spans in within(body, 1) {
        scopes(resource_spans?, limits, |resource, scope, bytes| {
            span_into(&mut raw, bytes, limits)?;
            each(resource, scope, &raw);
            Ok(())
        })?;
    }
    Ok(())
}

fn span_into<'a>(
    raw: &mut RawSpan<'a>,
    bytes: &'a [u8],
    limits: &Limits,
) -> Result<(), DecodeError> {
    raw.slots.clear();
    (raw.trace, raw.id, raw.parent) = (Id::Absent, Id::Absent, Id::Absent);
    (raw.start, raw.end, raw.failed) = (0, 0, false);
    (raw.name, raw.status_message) = (Cow::default(), Cow::default());
    for field in Message::new(bytes) {
        match field? {
            (1, Payload::Bytes(bytes)) => raw.trace = Id::<u128>::from_bytes(bytes),
            (2, Payload::Bytes(bytes)) => raw.id = Id::<u64>::from_bytes(bytes),
            (4, Payload::Bytes(bytes)) => raw.parent = Id::<u64>::from_bytes(bytes),
            (5, Payload::Bytes(bytes)) => raw.name = text(bytes),
            (7, Payload::Fixed64(time)) => raw.start = time,
            (8, Payload::Fixed64(time)) => raw.end = time,
            (9, Payload::Bytes(bytes)) => attribute_into(&mut raw.slots, bytes, limits)?,
            (11, Payload::Bytes(bytes)) => event_into(&mut raw.slots, bytes, limits)?,
            (15, Payload::Bytes(bytes)) => {
                for field in Message::new(bytes) {
                    match field? {
                        (2, Payload::Bytes(bytes)) => raw.status_message = text(bytes),
                        (3, Payload::Varint(code)) => raw.failed = code == 2,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Of events, those that tell of an error or of the first token are read.
fn event_into<'a>(
    slots: &mut Slots<'a>,
    bytes: &'a [u8],
    limits: &Limits,
) -> Result<(), DecodeError> {
    let name = last_within(bytes, 2)?.unwrap_or_default();
    let reads_attributes = events::is_exception(name);
    // An event's attributes are counted by themselves.
    let seen = std::mem::take(&mut slots.seen);
    for field in Message::new(bytes) {
        match field? {
            (1, Payload::Fixed64(time)) => events::first_token(slots, name, time),
            (3, Payload::Bytes(bytes)) if reads_attributes => {
                attribute_into(slots, bytes, limits)?;
            }
            _ => {}
        }
    }
    slots.seen = seen;
    Ok(())
}
