//! Ids as types: operations, traces, spans.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The id of one operation: 128 bits laid out as a UUID of version 7 (RFC 9562, section 5.7).
///
/// It sorts by time of start. How it is made, and why two never are the same, is the collector's business.
///
/// ```
/// use taximeter_models::OperationId;
///
/// let id: OperationId = "0193a1b2-c3d4-7abc-8def-0123456789ab".parse()?;
/// assert_eq!(id.to_string(), "0193a1b2-c3d4-7abc-8def-0123456789ab");
/// assert!("qa_response_1700000000".parse::<OperationId>().is_err());
/// # Ok::<(), taximeter_models::ParseIdError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct OperationId(u128);

/// The id of a trace: 16 bytes, as W3C Trace Context has it. The root operation's id is its trace's id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TraceId(u128);

/// The id of a span: 8 bytes, as W3C Trace Context has it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SpanId(u64);

/// A text that is not an id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("reading {text:?} as an id: {expected} expected")]
pub struct ParseIdError {
    text: String,
    expected: &'static str,
}

impl OperationId {
    /// The id with these bits, the most significant first.
    pub const fn from_bits(bits: u128) -> Self {
        Self(bits)
    }

    /// The bits of the id.
    pub const fn bits(self) -> u128 {
        self.0
    }

    /// The id of the span that stands for this operation in a trace: the low 8 bytes, which hold the random part.
    #[expect(clippy::cast_possible_truncation, reason = "the low half is what is asked for")]
    pub const fn span_id(self) -> SpanId {
        SpanId(self.0 as u64)
    }
}

impl TraceId {
    /// The id with these bits, the most significant first.
    pub const fn from_bits(bits: u128) -> Self {
        Self(bits)
    }

    /// The bits of the id.
    pub const fn bits(self) -> u128 {
        self.0
    }
}

impl SpanId {
    /// The id with these bits, the most significant first.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The bits of the id.
    pub const fn bits(self) -> u64 {
        self.0
    }
}

impl From<OperationId> for TraceId {
    fn from(root: OperationId) -> Self {
        Self(root.0)
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.0;
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            id >> 96,
            (id >> 80) & 0xffff,
            (id >> 64) & 0xffff,
            (id >> 48) & 0xffff,
            id & 0xffff_ffff_ffff
        )
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for OperationId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let error = || ParseIdError {
            text: text.chars().take(64).collect(),
            expected: "a UUID with hyphens",
        };
        let bytes = text.as_bytes();
        if bytes.len() != 36 || [8, 13, 18, 23].iter().any(|&at| bytes[at] != b'-') {
            return Err(error());
        }
        hex(&text.replace('-', ""), 32).map(Self).ok_or_else(error)
    }
}

impl FromStr for TraceId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        hex(text, 32).map(Self).ok_or_else(|| ParseIdError {
            text: text.chars().take(64).collect(),
            expected: "32 hexadecimal digits",
        })
    }
}

/// A number of exactly so many hexadecimal digits; unlike the standard parser it takes no sign.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let plain = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    plain.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

/// Ids travel as text, in any format: a number of 128 bits would lose digits in most JSON readers.
macro_rules! serde_as_text {
    ($id:ty) => {
        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $id {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $id {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

impl FromStr for SpanId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let error = || ParseIdError {
            text: text.chars().take(64).collect(),
            expected: "16 hexadecimal digits",
        };
        hex(text, 16).and_then(|bits| u64::try_from(bits).ok()).map(Self).ok_or_else(error)
    }
}

serde_as_text!(OperationId);
serde_as_text!(TraceId);
serde_as_text!(SpanId);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn text_and_back(bits: u128) {
            let id = OperationId::from_bits(bits);
            prop_assert_eq!(id.to_string().parse::<OperationId>(), Ok(id));
            let trace = TraceId::from(id);
            prop_assert_eq!(trace.to_string().parse::<TraceId>(), Ok(trace));
            prop_assert_eq!(id.span_id().to_string().parse::<SpanId>(), Ok(id.span_id()));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}") {
            let _ = text.parse::<OperationId>();
            let _ = text.parse::<TraceId>();
        }
    }
}
