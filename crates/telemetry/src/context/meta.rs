//! The context in the `_meta` of an MCP message, since the headers of HTTP belong to the connection and not to the message.

use serde_json::{Map, Value};

use super::{Baggage, HEADERS, TraceContext};

/// Reads the context and the baggage from the `_meta` object of the parameters of a message.
///
/// Source: OpenTelemetry semantic conventions v1.41, MCP, "Context propagation".
///
/// ```
/// use serde_json::json;
/// use taximeter_telemetry::context::from_meta;
///
/// let meta = json!({ "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "baggage": "user=ann" });
/// let (context, baggage) = from_meta(meta.as_object().expect("an object"));
/// assert_eq!(context.expect("a trace").parent_id.to_string(), "00f067aa0ba902b7");
/// assert_eq!(baggage.get("user"), Some("ann"));
/// ```
pub fn from_meta(meta: &Map<String, Value>) -> (Option<TraceContext>, Baggage) {
    let value = |name: &str| meta.get(name).and_then(Value::as_str);
    (TraceContext::extract(value), Baggage::read(value("baggage")))
}

/// Writes the context and the baggage into a `_meta` object; whatever it had under these names goes.
pub fn to_meta(context: &TraceContext, baggage: &Baggage, meta: &mut Map<String, Value>) {
    for name in HEADERS {
        meta.remove(name);
    }
    for (name, value) in context.inject().chain(baggage.inject()) {
        meta.insert(name.to_owned(), value.into());
    }
}
