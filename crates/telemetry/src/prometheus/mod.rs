//! Metrics as text for Prometheus: the classic format 0.0.4 and OpenMetrics 1.0, and which of them was asked for.
//!
//! Names follow OpenTelemetry's translation for Prometheus (specification, "Prometheus and OpenMetrics Compatibility"):
//! dots become underscores, the unit stands at the end of the name (`s` as `seconds`), counters end in `_total`.
//! [`answer`] is all that an HTTP server needs: the value of `Accept` in, content type and body out.
//!
//! ```
//! use taximeter_telemetry::metrics::Instruments;
//! use taximeter_telemetry::prometheus::answer;
//!
//! let instruments = Instruments::default();
//! let accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
//! let (content_type, body) = answer(Some(accept), instruments.families());
//! assert_eq!(content_type, "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores");
//! assert!(body.ends_with("# EOF\n"));
//! ```

mod accept;
mod names;
mod text;

pub use accept::Format;
pub use names::{label_name, metric_name};
pub use text::{answer, render};
