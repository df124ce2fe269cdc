//! The field's conventions and wire formats: what others say about LLM calls, read into the values of taximeter.
//!
//! Each format is a folder of its own behind a feature of its own. Nothing here opens a socket or starts a thread: an
//! HTTP or gRPC server hands its requests over and sends the answers back, a client lets its replies be looked at.
//!
//! | You want | It is | Feature |
//! |---|---|---|
//! | spans, metrics and logs of any OpenTelemetry client as operations | [`otlp::Receiver`] | `otlp` (default) |
//! | the same from bodies compressed with zstd | | `zstd` (default) |
//! | usage, cost and errors out of a provider's reply, plain or streamed | [`reply::read`], [`reply::Accumulator`] | `reply` |

#[cfg(feature = "otlp")]
pub mod otlp;
#[cfg(feature = "reply")]
pub mod reply;
