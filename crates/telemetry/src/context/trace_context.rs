//! `traceparent`: the trace, the span that asks, and whether it is recorded.

use taximeter_models::{SpanId, TraceId};

use super::{TraceState, trimmed};

/// Where a request comes from: its trace and the span that sent it.
///
/// Source: W3C Trace Context level 2, section 3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace_id: TraceId,
    /// The span that sent it.
    pub parent_id: SpanId,
    /// The flags; see [`SAMPLED`](Self::SAMPLED) and [`RANDOM`](Self::RANDOM).
    pub flags: u8,
    /// What vendors passed on.
    pub state: TraceState,
}

impl TraceContext {
    /// The flag that says that the sender records the trace.
    pub const SAMPLED: u8 = 1;
    /// The flag that says that the last seven bytes of the trace's id are random.
    pub const RANDOM: u8 = 2;

    /// A context to send: these ids, sampled.
    pub fn new(trace_id: TraceId, parent_id: SpanId) -> Self {
        Self { trace_id, parent_id, flags: Self::SAMPLED, state: TraceState::default() }
    }

    /// Whether the sender records the trace.
    pub const fn is_sampled(&self) -> bool {
        self.flags & Self::SAMPLED != 0
    }

    /// Reads the context from headers, of which `values` gives all of a name. None where there is no `traceparent`, more
    /// than one, or one that is malformed: then a new trace begins. A malformed `tracestate` is left out alone.
    pub fn extract<'h, V: IntoIterator<Item = &'h str>>(
        values: impl Fn(&str) -> V,
    ) -> Option<Self> {
        let mut parents = values("traceparent").into_iter();
        let (Some(parent), None) = (parents.next(), parents.next()) else { return None };
        let mut context = Self::read(parent)?;
        context.state = TraceState::read(values("tracestate"));
        Some(context)
    }

    /// Writes the context: names of headers and their values.
    ///
    /// ```
    /// use taximeter_models::{SpanId, TraceId};
    /// use taximeter_telemetry::context::TraceContext;
    ///
    /// let context = TraceContext::new(TraceId::from_bits(1), SpanId::from_bits(2));
    /// let headers: Vec<_> = context.inject().collect();
    /// let traceparent = "00-00000000000000000000000000000001-0000000000000002-01";
    /// assert_eq!(headers, [("traceparent", traceparent.to_owned())]);
    /// ```
    pub fn inject(&self) -> impl Iterator<Item = (&'static str, String)> {
        let Self { trace_id, parent_id, flags, state } = self;
        // Of the flags only those of level 2 are sent on: what others mean is not known.
        let flags = flags & (Self::SAMPLED | Self::RANDOM);
        let parent = format!("00-{trace_id}-{parent_id}-{flags:02x}");
        let state = (!state.is_empty()).then(|| ("tracestate", state.to_string()));
        [("traceparent", parent)].into_iter().chain(state)
    }

    /// A version that is not known is read as far as this one is (section 4.2, "Versioning of traceparent").
    fn read(header: &str) -> Option<Self> {
        let header = trimmed(header);
        let (version, rest) = (hex(header, 0, 2)?, header.get(2..)?);
        let separated = |at: usize| rest.as_bytes().get(at) == Some(&b'-');
        if !(separated(0) && separated(33) && separated(50)) {
            return None;
        }
        let trace = hex(rest, 1, 32)?;
        let (parent, flags) = (hex(rest, 34, 16)?, hex(rest, 51, 2)?);
        let ends = match version {
            0xff => false,
            0 => rest.len() == 53,
            _ => rest.len() == 53 || separated(53),
        };
        let (parent, flags) = (u64::try_from(parent).ok()?, u8::try_from(flags).ok()?);
        (ends && trace != 0 && parent != 0).then(|| Self {
            trace_id: TraceId::from_bits(trace),
            parent_id: SpanId::from_bits(parent),
            flags,
            state: TraceState::default(),
        })
    }
}

/// A number of so many hexadecimal digits in lower case.
fn hex(text: &str, at: usize, digits: usize) -> Option<u128> {
    let text = text.get(at..at + digits)?;
    let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.bytes().all(lower).then(|| u128::from_str_radix(text, 16).ok()).flatten()
}
