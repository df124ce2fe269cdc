//! What a decoder hands over, whether it read protobuf or JSON: one span, one log record, one point at a time.

use std::borrow::Cow;
use std::sync::Arc;

use taximeter_models::{Name, OperationRecord};

use super::alias::Field;
use super::ids::{hash_text, join};
use super::keys;
use super::limits::cut;
use super::slots::{Slots, Value};

/// A span as it was sent. Ids that are none are told apart from ids that are absent.
#[derive(Debug)]
pub(crate) struct RawSpan<'a> {
    pub(crate) trace: Id<u128>,
    pub(crate) id: Id<u64>,
    pub(crate) parent: Id<u64>,
    pub(crate) name: Cow<'a, str>,
    /// Nanoseconds since 1970.
    pub(crate) start: u64,
    /// Nanoseconds since 1970.
    pub(crate) end: u64,
    pub(crate) failed: bool,
    pub(crate) status_message: Cow<'a, str>,
    pub(crate) slots: Slots<'a>,
}

/// A log record as it was sent.
#[derive(Debug)]
pub(crate) struct RawLog<'a> {
    pub(crate) trace: Id<u128>,
    pub(crate) span: Id<u64>,
    /// The name of the event, wherever it stands: in its own field, in `event.name`, or as the body.
    pub(crate) event: Cow<'a, str>,
    /// Nanoseconds since 1970.
    pub(crate) time: u64,
    pub(crate) slots: Slots<'a>,
}

/// One point of a metric that counts: of a sum, or the sum of a histogram.
#[derive(Debug)]
pub(crate) struct RawPoint<'a> {
    pub(crate) metric: Cow<'a, str>,
    /// Nanoseconds since 1970; 0 if it was not told.
    pub(crate) start: u64,
    /// Nanoseconds since 1970.
    pub(crate) time: u64,
    pub(crate) value: f64,
    /// Of a histogram: how many values it is the sum of.
    pub(crate) count: u64,
    pub(crate) cumulative: bool,
    /// Whether the sender said that there is no value.
    pub(crate) unrecorded: bool,
    /// A hash of all its attributes in any order, known or not: it tells series apart.
    pub(crate) series: u64,
    pub(crate) slots: Slots<'a>,
}

/// An id as it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Id<T> {
    /// None was sent.
    #[default]
    Absent,
    Is(T),
    /// It has the wrong length, is no hexadecimal text, or is all zeros.
    Invalid,
}

impl<T: Default + PartialEq> Id<T> {
    fn of(bits: T) -> Self {
        if bits == T::default() { Self::Invalid } else { Self::Is(bits) }
    }

    pub(crate) fn known(self) -> Option<T> {
        match self {
            Self::Is(bits) => Some(bits),
            Self::Absent | Self::Invalid => None,
        }
    }
}

impl Id<u128> {
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        match bytes.try_into() {
            _ if bytes.is_empty() => Self::Absent,
            Ok(bytes) => Self::of(u128::from_be_bytes(bytes)),
            Err(_) => Self::Invalid,
        }
    }

    pub(crate) fn from_hex(text: &str) -> Self {
        match hex(text, 32) {
            _ if text.is_empty() => Self::Absent,
            Some(bits) => Self::of(bits),
            None => Self::Invalid,
        }
    }
}

impl Id<u64> {
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        match bytes.try_into() {
            _ if bytes.is_empty() => Self::Absent,
            Ok(bytes) => Self::of(u64::from_be_bytes(bytes)),
            Err(_) => Self::Invalid,
        }
    }

    pub(crate) fn from_hex(text: &str) -> Self {
        match hex(text, 16).and_then(|bits| u64::try_from(bits).ok()) {
            _ if text.is_empty() => Self::Absent,
            Some(bits) => Self::of(bits),
            None => Self::Invalid,
        }
    }
}

/// A number of exactly so many hexadecimal digits, small or capital.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let plain = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    plain.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

/// Who sent it: the process and its service.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Resource {
    pub(crate) service: Option<Name>,
    /// Where it runs: `production`, `staging`.
    pub(crate) environment: Option<Name>,
    /// A hash of what tells one process from another. The signals of one process have it in common.
    pub(crate) identity: u64,
}

/// The attributes that tell one process from another, and no more: SDKs give the signals of one process others besides.
const IDENTITY: [Field; 6] = [
    Field::ServiceName,
    Field::ServiceNamespace,
    Field::ServiceInstance,
    Field::Process,
    Field::Host,
    Field::Pod,
];

impl Resource {
    pub(crate) fn of(slots: &Slots<'_>) -> Arc<Self> {
        let hash = |field| slots.get(field).map_or(0, hash_value);
        let identity = IDENTITY.into_iter().map(hash).fold(0, join);
        let name = |field| slots.text(field).map(|name| Name::from(cut(name, 256)));
        let (service, environment) = (name(Field::ServiceName), name(Field::Environment));
        Arc::new(Self { service, environment, identity })
    }

    /// Puts on an operation who sent it.
    pub(crate) fn put_on(&self, record: &mut OperationRecord) {
        if let Some(service) = &self.service {
            record.tags.insert(keys::SERVICE.into(), service.as_str().into());
        }
        if let Some(environment) = &self.environment {
            // What the operation says of itself is closer to it.
            let told = || environment.as_str().into();
            record.tags.entry(keys::ENVIRONMENT.into()).or_insert_with(told);
        }
    }
}

/// A hash of a value that is the same tomorrow: ids are made of it.
pub(crate) fn hash_value(value: &Value<'_>) -> u64 {
    match value {
        Value::Text(text) => hash_text(text),
        Value::Int(value) => join(value.cast_unsigned(), 1),
        Value::Double(value) => join(value.to_bits(), 2),
        Value::Bool(value) => join(u64::from(*value), 3),
    }
}

/// The instrumentation that made a span, as far as that changes how the span is read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Scope {
    pub(crate) name: Name,
    pub(crate) maker: Maker,
}

/// Makers of spans that need to be told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Maker {
    #[default]
    Other,
    /// It reports Anthropic's input without what is cached, and guesses the usage of streams that report none.
    Openlit,
    /// Spans of the provider's own SDK: they may stand beside those of an instrumentation, in another trace.
    ProviderSdk,
    /// It reports input without what is cached.
    ClaudeCode,
}

impl Scope {
    pub(crate) fn named(name: &str) -> Self {
        let maker = if name.starts_with("openlit") {
            Maker::Openlit
        } else if name.starts_with("com.anthropic.claude_code") {
            Maker::ClaudeCode
        } else if name.starts_with("com.anthropic.sdk") {
            Maker::ProviderSdk
        } else {
            Maker::Other
        };
        Self { name: Name::from(cut(name, 256)), maker }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_what_is_none() {
        assert_eq!(Id::<u64>::from_hex("00F067aa0ba902b7"), Id::Is(0x00f0_67aa_0ba9_02b7));
        assert_eq!(Id::<u64>::from_hex(""), Id::Absent);
        for wrong in
            ["0", "0000000000000000", "+0f067aa0ba902b7", "zzf067aa0ba902b7", "APBnqgupArc="]
        {
            assert_eq!(Id::<u64>::from_hex(wrong), Id::Invalid, "{wrong}");
        }
        assert_eq!(Id::<u128>::from_bytes(&[0; 16]), Id::Invalid);
        assert_eq!(Id::<u128>::from_bytes(&[1; 8]), Id::Invalid);
        assert_eq!(Id::<u64>::from_bytes(&[]), Id::Absent);
    }
}
