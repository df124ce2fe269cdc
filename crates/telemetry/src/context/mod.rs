//! Distributed tracing: which trace a request belongs to, out of its headers and into the next one's.
//!
//! [`TraceContext`] is W3C Trace Context (`traceparent` and `tracestate`), [`Baggage`] is W3C Baggage. Both are read from
//! anything that gives the values of a header by name, and written as pairs of name and value: HTTP headers, the
//! metadata of gRPC, or the `_meta` of an MCP message ([`from_meta`], [`to_meta`]).
//!
//! ```
//! use taximeter_telemetry::context::TraceContext;
//!
//! let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
//! let context = TraceContext::extract(|name| (name == "traceparent").then_some(header)).expect("a trace");
//! assert_eq!(context.trace_id.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
//! assert!(context.is_sampled());
//!
//! // What is no traceparent is none: a new trace begins.
//! assert_eq!(TraceContext::extract(|name| (name == "traceparent").then_some("00-1-2-3")), None);
//! ```

mod baggage;
mod meta;
mod trace_context;
mod trace_state;

pub use baggage::{Baggage, Entry};
pub use meta::{from_meta, to_meta};
pub use trace_context::TraceContext;
pub use trace_state::TraceState;

/// The names of the headers, in lower case.
pub const HEADERS: [&str; 3] = ["traceparent", "tracestate", "baggage"];

/// Space and tab, which may stand around the members of a list (RFC 9110, section 5.6.3).
fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}
