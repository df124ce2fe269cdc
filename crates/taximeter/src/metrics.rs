//! Metrics: those of the GenAI conventions out of every operation, and those of a program's own.
//!
//! The worker of the meter adds every finished operation up; a scrape reads the sums and touches no thread that records.
//! [`Meter::metrics`] answers a scrape in any HTTP server:
//!
//! ```
//! use taximeter::Meter;
//!
//! let meter = Meter::builder().build()?;
//! let op = meter.operation("answer").start();
//! op.record_usage("openai", "gpt-4o", taximeter::TokenUsage::new(1_200, 350));
//! op.succeed();
//! let cached = meter.registry().counter("app.cache_hits", "{hit}", "Answers out of the cache.")?;
//! cached.add(3, [("cache", "answers")]);
//!
//! // The value of the request's `Accept` in, type and body of the answer out.
//! let answer = meter.metrics(Some("application/openmetrics-text;version=1.0.0"));
//! assert!(answer.content_type.starts_with("application/openmetrics-text; version=1.0.0"));
//! assert!(answer.body.contains("gen_ai_client_token_usage_sum{"));
//! assert!(answer.body.contains("app_cache_hits_total{cache=\"answers\"} 3\n"));
//! assert!(meter.prometheus().contains("taximeter_collected{taximeter_what=\"stored\"} 1\n"));
//!
//! // A name that has an owner is refused.
//! assert!(meter.registry().gauge("gen_ai.mine", "1", "Mine.").is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The names of the metrics stand in `docs/FORMATS.md`; `docs/prometheus` has alert rules, `docs/grafana` a dashboard.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};

use taximeter_models::OperationRecord;
pub use taximeter_telemetry::metrics::{
    Amount, Counter, DURATION_SECONDS, Distribution, Exemplar, Family, Gauge, Histogram,
    Instruments, Kind, Labels, MetricError, Point, Registry, Scale, TOKENS, collected, target,
};
pub use taximeter_telemetry::prometheus::{Format, label_name, metric_name, render};

use crate::Meter;
use crate::pipeline::Pipeline;

/// The answer to a scrape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scrape {
    /// The value of `Content-Type`.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

/// The sums of all operations so far. Of what the meter does, only its worker waits for who reads them.
#[derive(Default)]
pub(crate) struct Metrics {
    instruments: Mutex<Instruments>,
    registry: Registry,
}

impl Metrics {
    pub(crate) fn observe(&self, records: &[OperationRecord]) {
        let mut instruments = self.instruments();
        for record in records {
            instruments.observe(record);
            self.registry.observe(record);
        }
    }

    #[cfg(feature = "store")]
    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    fn instruments(&self) -> MutexGuard<'_, Instruments> {
        self.instruments.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("registry", &self.registry).finish_non_exhaustive()
    }
}

/// Reads the metrics of a meter without keeping it alive, for who sends them away by and by.
#[derive(Debug, Clone)]
pub struct Reader(Weak<Pipeline>);

impl Reader {
    /// Every metric as it is now, those of the program's own included; none where the meter is gone. It waits for
    /// nothing that is in flight.
    pub fn families(&self) -> Vec<Family> {
        let Some(pipeline) = self.0.upgrade() else { return Vec::new() };
        let metrics = pipeline.metrics();
        let mut families: Vec<_> = metrics.instruments().families().cloned().collect();
        families.extend(metrics.registry.families());
        families
    }
}

impl Meter {
    /// A reader of the metrics that does not keep the meter alive.
    pub fn metrics_reader(&self) -> Reader {
        Reader(std::sync::Arc::downgrade(&self.state.pipeline))
    }

    /// Answers a scrape by what is asked for in `Accept`: Prometheus' text format 0.0.4, or OpenMetrics 1.0 with
    /// exemplars. Waits first, for two seconds at most, for what is in flight; no thread that records waits.
    pub fn metrics(&self, accept: Option<&str>) -> Scrape {
        let format = Format::negotiate(accept);
        Scrape { content_type: format.content_type(), body: self.rendered(format) }
    }

    /// The metrics in Prometheus' text format 0.0.4.
    pub fn prometheus(&self) -> String {
        self.rendered(Format::Text)
    }

    /// The metrics of the program's own, to make some. They are shown with the others. Where there is a store, what they did
    /// in each minute and hour is noted there with each flush, and every ten seconds at most while operations end:
    /// `taximeter metrics` and `history` ask for it.
    pub fn registry(&self) -> &Registry {
        &self.state.pipeline.metrics().registry
    }

    fn rendered(&self, format: Format) -> String {
        self.settle();
        let metrics = self.state.pipeline.metrics();
        let target = target([("service.name", service_name())]);
        let (own, collected) = (metrics.registry.families(), collected(self.counts().by_name()));
        let instruments = metrics.instruments();
        let families = [&target].into_iter().chain(instruments.families());
        render(families.chain([&collected]).chain(&own), format)
    }
}

/// What OpenTelemetry's environment calls this service; else the name of the program.
fn service_name() -> String {
    std::env::var("OTEL_SERVICE_NAME").ok().filter(|name| !name.is_empty()).unwrap_or_else(|| {
        let program = std::env::current_exe().ok();
        let program = program.as_deref().and_then(|path| path.file_stem()?.to_str());
        format!("unknown_service:{}", program.unwrap_or("taximeter"))
    })
}
