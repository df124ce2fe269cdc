//! The events of a span that tell something of a call.

use super::alias::Field;
use super::slots::{Slots, Value};

/// Whether an event of this name is an exception.
pub(crate) fn is_exception(name: &[u8]) -> bool {
    name == b"exception" || name == b"gen_ai.client.operation.exception"
}

/// Keeps the time of an event that marks the first token; the first of them wins.
pub(crate) fn first_token(slots: &mut Slots<'_>, name: &[u8], time: u64) {
    let marks: [&[u8]; 3] =
        [b"First Token Stream Event", b"gen_ai.content.completion.chunk", b"ai.stream.firstChunk"];
    if marks.contains(&name)
        && let Ok(time) = i64::try_from(time)
    {
        slots.put(Field::FirstTokenAt, 0, Value::Int(time));
    }
}
