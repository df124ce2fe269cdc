//! Ids that come out the same whenever the same thing is imported.

use chrono::{DateTime, Utc};
use taximeter_models::{OperationId, TraceId};
use twox_hash::{XxHash3_64, XxHash3_128};

/// Between the parts of an id, so that `ab` and `c` are not `a` and `bc`. No source has it in an id.
const BETWEEN: &str = "\u{1f}";

/// The id of an operation that began then and bears these ids in its source, the first of which names the source.
///
/// It is laid out as a UUID of version 7: 48 bits of milliseconds since 1970, and in the 74 bits that are random there
/// the low bits of XXH3-128 (seed 0) over the parts with a byte 0x1F between them. This never changes: what was
/// imported once is found again by it.
pub(crate) fn operation_id(started_at: DateTime<Utc>, parts: &[&str]) -> OperationId {
    let millis = u128::from(u64::try_from(started_at.timestamp_millis()).unwrap_or_default());
    let hash = XxHash3_128::oneshot(parts.join(BETWEEN).as_bytes());
    let high = (hash >> 62) & 0xfff;
    let low = hash & ((1 << 62) - 1);
    let version = 0x7 << 76;
    let variant = 0b10 << 62;
    OperationId::from_bits((millis & 0xffff_ffff_ffff) << 80 | version | high << 64 | variant | low)
}

/// The id of a trace that its source calls so: the same where it is one of 32 hexadecimal digits, else its hash.
pub(crate) fn trace_id(text: &str) -> TraceId {
    text.parse().unwrap_or_else(|_| TraceId::from_bits(XxHash3_128::oneshot(text.as_bytes())))
}

/// A hash of 64 bits of these parts: for sets of what was seen, and of the arguments of calls.
pub(crate) fn hash(parts: &[&str]) -> u64 {
    XxHash3_64::oneshot(parts.join(BETWEEN).as_bytes())
}

/// The hash of the arguments of a call, as JSON text; the same calls are told by it.
pub(crate) fn arguments_hash(json: &str) -> u64 {
    XxHash3_64::oneshot(json.as_bytes())
}
