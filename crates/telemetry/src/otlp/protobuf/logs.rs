//! `ExportLogsServiceRequest` in protobuf.

use std::borrow::Cow;
use std::sync::Arc;

use super::{VALUE_DEPTH, any_value, attribute_into, scopes, text, within};
use crate::otlp::raw::{Id, RawLog, Resource, Scope};
use crate::otlp::slots::{Slots, Value};
use crate::otlp::wire::{Message, Payload};
use crate::otlp::{DecodeError, Limits};

/// Walks the log records of a request.
pub(crate) fn logs<'a>(
    body: &'a [u8],
    limits: &Limits,
    mut each: impl FnMut(&Arc<Resource>, &Scope, &RawLog<'a>),
) -> Result<(), DecodeError> {
    let mut raw = RawLog {
        trace: Id::Absent,
        span: Id::Absent,
        event: Cow::default(),
        time: 0,
        slots: Slots::new(),
    };
    for resource_logs in within(body, 1) {
        scopes(resource_logs?, limits, |resource, scope, bytes| {
            record_into(&mut raw, bytes, limits)?;
            each(resource, scope, &raw);
            Ok(())
        })?;
    }
    Ok(())
}

fn record_into<'a>(
    raw: &mut RawLog<'a>,
    bytes: &'a [u8],
    limits: &Limits,
) -> Result<(), DecodeError> {
    raw.slots.clear();
    (raw.trace, raw.span, raw.time, raw.event) = (Id::Absent, Id::Absent, 0, Cow::default());
    let (mut observed, mut body) = (0, None);
    for field in Message::new(bytes) {
        match field? {
            (1, Payload::Fixed64(time)) => raw.time = time,
            (5, Payload::Bytes(bytes)) => body = any_value(bytes, VALUE_DEPTH - 1, limits)?,
            (6, Payload::Bytes(bytes)) => attribute_into(&mut raw.slots, bytes, limits)?,
            (9, Payload::Bytes(bytes)) => raw.trace = Id::<u128>::from_bytes(bytes),
            (10, Payload::Bytes(bytes)) => raw.span = Id::<u64>::from_bytes(bytes),
            (11, Payload::Fixed64(time)) => observed = time,
            (12, Payload::Bytes(bytes)) => raw.event = text(bytes),
            _ => {}
        }
    }
    if raw.time == 0 {
        raw.time = observed;
    }
    if raw.event.is_empty()
        && let Some(Value::Text(body)) = body
    {
        raw.event = body;
    }
    Ok(())
}
