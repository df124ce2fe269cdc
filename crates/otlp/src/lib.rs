//! Sends the operations and metrics of taximeter to any OpenTelemetry endpoint, by OTLP over HTTP or gRPC.
//!
//! Operations become spans of the GenAI conventions, the meter's metrics their points; see
//! [`taximeter::otlp`]. The environment variables of OpenTelemetry say where they go, and everything has a method too.
//!
//! ```no_run
//! use std::time::Duration;
//! use taximeter::Meter;
//! use taximeter_otlp::Exporter;
//!
//! // OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_SERVICE_NAME and so on; by default to http://localhost:4318.
//! let exporter = Exporter::from_env()?;
//! let meter = Meter::builder().sink(exporter.clone()).build()?;
//! exporter.send_metrics_of(&meter);
//!
//! meter.operation("answer").start().succeed();
//!
//! meter.flush(Duration::from_secs(5))?;
//! if !exporter.flush(Duration::from_secs(5)) {
//!     eprintln!("not all was sent: {:?}", exporter.counts());
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The meter's worker puts finished operations into a queue with a bound, and a thread of the exporter's own sends them;
//! neither a thread that records nor the worker ever waits for the network. What cannot be sent is tried again, with
//! growing pauses or as long as the receiver asks for, and in the end lost; every loss is in [`Exporter::counts`].

mod environment;
mod exporter;
#[cfg(feature = "grpc")]
mod grpc;
mod protocol;
mod queue;
mod sender;
mod transport;
#[cfg(feature = "tls")]
mod trust;

pub use environment::EnvironmentError;
pub use exporter::{Builder, Exporter, StartError};
pub use protocol::Protocol;
pub use queue::Counts;
