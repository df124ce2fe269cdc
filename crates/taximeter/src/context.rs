//! Distributed tracing: an operation within the span of another process, and what it tells to those that it asks in its
//! turn.
//!
//! A server begins an operation with what [`extract`] reads from the headers of a request, or [`from_meta`] from the `_meta`
//! of an MCP message; the operation is then of the trace of that request. A client puts what [`inject`] gives into the
//! headers of its own requests, or calls [`to_meta`]. `taximeter-http` does both on a `HeaderMap`, and its layers and those
//! of `taximeter-mcp` do it by themselves.
//!
//! What came as `tracestate` and `baggage` is handed on unchanged, and so is the flag that says whether the trace is
//! sampled: a head that decided not to is not overruled. A trace that begins here is sampled, since every operation is
//! recorded.
//!
//! ```
//! use taximeter::{Meter, context};
//!
//! let meter = Meter::builder().build()?;
//! let headers = [
//!     ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"),
//!     ("baggage", "team=search"),
//! ];
//! let asked = context::extract(headers);
//! let op = meter.operation("answer").remote_parent(asked).start();
//! let out: Vec<_> = context::inject(&op).collect();
//! let span = op.id().expect("the meter is on").span_id();
//! assert_eq!(out[0].1, format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{span}-00"));
//! assert_eq!(out[1], ("baggage", "team=search".to_owned()));
//!
//! let record = op.finish().expect("the meter is on");
//! assert_eq!(record.trace_id.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
//! assert_eq!(record.remote_parent.map(|span| span.to_string()).as_deref(), Some("00f067aa0ba902b7"));
//!
//! // What is no traceparent is none: the operation begins a trace.
//! assert_eq!(context::extract([("traceparent", "00-1-2-03")]), None);
//! # Ok::<(), taximeter::Error>(())
//! ```

use serde_json::{Map, Value};
use taximeter_collector::{Handle, RemoteParent};
pub use taximeter_telemetry::context::{
    Baggage, Entry, HEADERS, TraceContext, TraceState, from_meta as read_meta,
};

/// Reads where a request comes from, out of the names and values of its headers; others than [`HEADERS`] are passed over.
/// None where they tell no trace, or a malformed one.
pub fn extract<'h>(headers: impl IntoIterator<Item = (&'h str, &'h str)>) -> Option<RemoteParent> {
    let mut values = HEADERS.map(|_| Vec::new());
    for (name, value) in headers {
        let known = HEADERS.iter().position(|known| known.eq_ignore_ascii_case(name));
        if let Some(values) = known.and_then(|known| values.get_mut(known)) {
            values.push(value);
        }
    }
    let [parents, states, baggage] = values;
    let of = |name: &str| if name == HEADERS[0] { parents.clone() } else { states.clone() };
    Some(remote(&TraceContext::extract(of)?, &Baggage::read(baggage)))
}

/// Reads where a message of MCP comes from, out of its `_meta`.
pub fn from_meta(meta: &Map<String, Value>) -> Option<RemoteParent> {
    let (context, baggage) = read_meta(meta);
    Some(remote(&context?, &baggage))
}

fn remote(context: &TraceContext, baggage: &Baggage) -> RemoteParent {
    let mut parent = RemoteParent::new(context.trace_id, context.parent_id);
    parent.flags = context.flags;
    parent.trace_state =
        (!context.state.is_empty()).then(|| context.state.to_string().as_str().into());
    parent.baggage = baggage.inject().map(|(_, text)| text.as_str().into());
    parent
}

/// What an operation tells to those that it asks: its trace with itself as the span that asks, and the baggage. None where
/// nothing is recorded.
pub fn of(operation: &Handle) -> Option<(TraceContext, Baggage)> {
    let mut context = TraceContext::new(operation.trace_id()?, operation.id()?.span_id());
    let mut baggage = Baggage::default();
    if let Some(parent) = operation.remote_parent() {
        context.flags = parent.flags;
        context.state = TraceState::read(parent.trace_state.as_deref());
        baggage = Baggage::read(parent.baggage.as_deref());
    }
    Some((context, baggage))
}

/// As [`of`], as names of headers and their values; nothing where nothing is recorded.
pub fn inject(operation: &Handle) -> impl Iterator<Item = (&'static str, String)> + use<> {
    let headers = |(context, baggage): (TraceContext, Baggage)| {
        context.inject().chain(baggage.inject()).collect::<Vec<_>>()
    };
    of(operation).map(headers).unwrap_or_default().into_iter()
}

/// Writes what an operation tells into the `_meta` of a message of MCP, in the place of whatever it had under these names.
/// Where nothing is recorded, it stays as it is.
pub fn to_meta(operation: &Handle, meta: &mut Map<String, Value>) {
    if let Some((context, baggage)) = of(operation) {
        taximeter_telemetry::context::to_meta(&context, &baggage, meta);
    }
}

/// Says that a guard counts the call of an LLM that runs here, so that a layer of `tracing` that is in force does not count
/// the span of a library around it too; and gives that span, for an operation of one's own to run within. None where no
/// such span is around.
///
/// It is for who meters calls that others make spans of, and has no operation in force when those begin. `taximeter-http`
/// calls it by itself.
///
/// ```
/// # #[cfg(feature = "tracing")] {
/// use taximeter::{Meter, TokenUsage, context, tracing::layer};
/// use tracing::info_span;
/// use tracing_subscriber::prelude::*;
///
/// let meter = Meter::builder().build()?;
/// tracing::subscriber::with_default(tracing_subscriber::registry().with(layer(&meter)), || {
///     // A library makes a span of its call …
///     let span = info_span!("chat", gen_ai.operation.name = "chat", gen_ai.usage.input_tokens = 12);
///     let _within = span.enter();
///     // … and within it, somebody meters the same call.
///     let op = meter.operation("chat").remote_parent(context::claim_call()).start();
///     op.record_usage("openai", "gpt-4o", TokenUsage::new(12, 3));
/// });
/// assert_eq!(meter.totals().usage.input_tokens(), 12); // and not 24
/// # }
/// # Ok::<(), taximeter::Error>(())
/// ```
pub fn claim_call() -> Option<RemoteParent> {
    #[cfg(feature = "tracing")]
    return crate::tracing::claim();
    #[cfg(not(feature = "tracing"))]
    None
}
