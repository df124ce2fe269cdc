//! The field's conventions and wire formats: what others say about LLM calls, read into the values of taximeter, and what
//! taximeter says to others.
//!
//! Each format is a folder of its own behind a feature of its own. Nothing here opens a socket or starts a thread: an
//! HTTP or gRPC server hands its requests over and sends the answers back, a client lets its replies be looked at.
//!
//! | You want | It is | Feature |
//! |---|---|---|
//! | spans, metrics and logs of any OpenTelemetry client as operations | [`otlp::Receiver`] | `otlp` (default) |
//! | the same from bodies compressed with zstd | | `zstd` (default) |
//! | spans of instrumented Rust libraries as operations | [`layer::layer`] | `tracing` |
//! | usage, cost and errors out of a provider's reply, plain or streamed | [`reply::read`], [`reply::Accumulator`] | `reply` |
//! | the metrics of the GenAI conventions out of operations | [`metrics::Instruments`] | `prometheus` (default) |
//! | them as text for Prometheus | [`prometheus::answer`] | `prometheus` (default) |
//! | operations and metrics as requests of OTLP, to be sent to others | [`export`] | `otlp-export` |
//! | the trace of a request, out of its headers and into the next one's | [`context::TraceContext`] | `context` (default) |

#[cfg(any(feature = "prometheus", feature = "reply"))]
mod chunks;
#[cfg(feature = "context")]
pub mod context;
#[cfg(feature = "otlp-export")]
pub mod export;
#[cfg(feature = "tracing")]
pub mod layer;
#[cfg(feature = "prometheus")]
pub mod metrics;
#[cfg(feature = "otlp")]
pub mod otlp;
#[cfg(feature = "otlp")]
mod own;
#[cfg(feature = "prometheus")]
pub mod prometheus;
#[cfg(feature = "reply")]
pub mod reply;
