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

#[cfg(test)]
mod tests {
    use super::*;

    fn id(millis: i64, parts: &[&str]) -> String {
        operation_id(DateTime::from_timestamp_millis(millis).unwrap(), parts).to_string()
    }

    /// Computed with the package `xxhash` of Python, which wraps the reference. They must never change: what was
    /// imported would be imported again.
    #[test]
    fn ids_are_frozen() {
        assert_eq!(
            id(1_772_445_600_000, &["claude-code", "msg_01A", "req_01A"]),
            "019cadfd-8900-740f-b017-3b7ad35dc0ea"
        );
        assert_eq!(id(0, &["session", "", "0"]), "00000000-0000-7a59-8324-5b24cab7a4a7");
        assert_eq!(
            id(1_772_445_600_123, &["langfuse", "t", "größe 🚕"]),
            "019cadfd-897b-7a8f-a2d7-4fc044ed738e"
        );
        assert_eq!(trace_id("chat-7").to_string(), "7637158c12d29d3f3a72ed3e1fd602d0");
        assert_eq!(hash(&["agent", "a1b2c3d"]), 0xad01_b591_19b0_faf7);
        assert_eq!(arguments_hash(r#"{"a":1}"#), 0xc5e3_762f_fc84_53c6);
    }

    #[test]
    fn ids_sort_by_time_and_parts_do_not_run_together() {
        assert!(id(1_000, &["z"]) < id(1_001, &["a"]));
        assert_ne!(id(0, &["ab", "c"]), id(0, &["a", "bc"]));
        // Before 1970 there are no milliseconds to count; the hash still tells ids apart.
        assert_ne!(id(-1, &["a"]), id(-1, &["b"]));
    }
}
