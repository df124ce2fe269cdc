//! The meter and [`tracing`](https://docs.rs/tracing): an application on instrumented libraries is metered by one layer,
//! with no further code. Needs the feature `tracing`.
//!
//! ```
//! use taximeter::Meter;
//! use tracing_subscriber::prelude::*;
//!
//! let meter = Meter::builder().build()?;
//! let subscriber = tracing_subscriber::registry().with(taximeter::tracing::layer(&meter));
//! # let library = || {
//! #     let span = tracing::info_span!(
//! #         "chat",
//! #         gen_ai.operation.name = "chat",
//! #         gen_ai.provider.name = "openai",
//! #         gen_ai.request.model = "gpt-4o-mini",
//! #         gen_ai.usage.input_tokens = tracing::field::Empty,
//! #         gen_ai.usage.output_tokens = tracing::field::Empty,
//! #     );
//! #     span.record("gen_ai.usage.input_tokens", 1_200);
//! #     span.record("gen_ai.usage.output_tokens", 300);
//! # };
//! // In a program: `subscriber.init()`.
//! tracing::subscriber::with_default(subscriber, || {
//!     library(); // makes a span: gen_ai.operation.name = "chat", gen_ai.request.model = "gpt-4o-mini", …
//!     assert!(taximeter::tracing::check().is_well());
//! });
//! assert_eq!(meter.totals().usage.total_tokens(), 1_500);
//! assert_eq!(meter.totals().cost.usd().to_string(), "0.00036");
//!
//! // Where nothing is seen, the check says why.
//! let silenced = tracing_subscriber::registry()
//!     .with(taximeter::tracing::layer(&meter))
//!     .with(tracing_subscriber::filter::LevelFilter::WARN);
//! tracing::subscriber::with_default(silenced, || {
//!     let check = taximeter::tracing::check();
//!     assert!(check.to_string().contains("a filter over all layers leaves them out"));
//! });
//! # Ok::<(), taximeter::Error>(())
//! ```
//!
//! The subscriber does not keep the meter: keep it for as long as the program runs. When the last of its clones is dropped,
//! it hands over what it has, and what the layer sees from then on is lost, and [counted](Counts::lost_spans).
//!
//! # What it costs
//!
//! The threads of the program put the fields of spans beside each other, and no more. They are read, and become operations,
//! on the meter's worker. [`Meter::flush`] waits for that, and so does everything that reads a meter.
//!
//! # What becomes of spans
//!
//! The outermost span becomes an operation if there is anything of LLMs within it, and each agent one of its own. Where a
//! guard of the meter is in force, its operation takes in what runs within; a call that has an LLM guard of its own is
//! counted by that guard alone. So is one that `taximeter-http` meters: where that has no operation to put it into, it makes
//! one within the trace of the span. Which libraries say what stands in `docs/FORMATS.md`, "Spans of `tracing`".
//!
//! # The other way round
//!
//! By [`MeterBuilder::tracing_spans`](crate::MeterBuilder::tracing_spans) operations and their calls are spans
//! themselves, for logs and flame graphs.

mod spans;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use ::tracing::{Dispatch, Subscriber, dispatcher};
use taximeter_collector::{Clock, Handle, Inlet, current};
use taximeter_models::{OperationId, OperationRecord};
use taximeter_telemetry::layer::{self, Recorder, Unread};
use tracing_subscriber::registry::LookupSpan;

pub use taximeter_telemetry::layer::{Check, Counts};

pub(crate) use self::spans::AsSpans;
pub(crate) use self::waiting::Waiting;
use crate::Meter;

/// The layer that meters spans; [`layer()`] gives it with its filter.
pub type TaximeterLayer = layer::TaximeterLayer<ToMeter>;

/// That layer behind its filter.
pub type FilteredLayer<S> = layer::FilteredLayer<ToMeter, S>;

/// A layer that meters what instrumented libraries do.
///
/// It has a filter of its own, and other layers see what they see without it. A filter over all layers, as
/// `registry().with(EnvFilter)` is one, is over this one as well, and the spans of libraries are of the level `INFO`:
/// give such a filter to the layer it is meant for, by `.with_filter()`.
pub fn layer<S>(meter: &Meter) -> FilteredLayer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    layer::layer(ToMeter::new(meter))
}

/// Like [`layer()`], without the spans that have nothing to do with LLMs: each call and each agent is an operation of its
/// own, whatever runs around it, and other spans cost nothing.
pub fn layer_without_ambient<S>(meter: &Meter) -> FilteredLayer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    layer::layer_without_ambient(ToMeter::new(meter))
}

/// Whether the layer in force here sees what it is there for, and if not, why. To be asked after the first call.
pub fn check() -> Check {
    seen(TaximeterLayer::check).unwrap_or(Check::NoLayer)
}

/// What the layer in force here did not count as it came; none where there is no layer.
pub fn counts() -> Option<Counts> {
    seen(TaximeterLayer::counts)
}

/// See [`context::claim_call`](crate::context::claim_call).
#[cfg(feature = "context")]
pub(crate) fn claim() -> Option<taximeter_collector::RemoteParent> {
    let dispatch = dispatcher::get_default(Dispatch::clone);
    let layer = dispatch.downcast_ref::<TaximeterLayer>()?;
    let (trace, span) = layer.claim(&dispatch)?;
    Some(taximeter_collector::RemoteParent::new(trace, span))
}

fn seen<R>(ask: impl Fn(&TaximeterLayer) -> R) -> Option<R> {
    // Whoever is asked while the dispatcher is lent out finds none.
    let dispatch = dispatcher::get_default(Dispatch::clone);
    dispatch.downcast_ref::<TaximeterLayer>().map(ask)
}

/// Takes what the layer reads to a meter, which it does not keep alive.
#[derive(Debug)]
pub struct ToMeter {
    clock: Arc<dyn Clock>,
    waiting: Arc<Waiting>,
    inlet: Inlet,
    is_on: bool,
}

impl ToMeter {
    fn new(meter: &Meter) -> Self {
        let clock = Arc::clone(&meter.state.clock);
        let waiting = Arc::clone(meter.state.pipeline.waiting());
        let inlet = meter.collector.inlet();
        waiting.record_into(&inlet);
        Self { clock, waiting, inlet, is_on: meter.is_recording() }
    }

    fn is_of(&self, waiting: &Waiting) -> bool {
        std::ptr::eq(&raw const *self.waiting, waiting)
    }
}

impl Recorder for ToMeter {
    type Within = Handle;

    fn current(&self) -> Option<Handle> {
        Some(current()).filter(|handle| handle.is_recording() && !handle.has_ended())
    }

    fn llm_guards(&self, within: &Handle) -> (u64, u64) {
        within.llm_guards()
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    fn wall(&self) -> u64 {
        let now = self.clock.wall().timestamp_nanos_opt();
        now.and_then(|now| u64::try_from(now).ok()).unwrap_or_default()
    }

    fn record(&self, records: Vec<OperationRecord>, within: Option<&Handle>) {
        // What a stream tells after the guard's operation has ended would be lost there.
        match within.filter(|within| !within.has_ended()) {
            None => {
                for record in records {
                    self.inlet.record(record);
                }
            }
            Some(within) => self.put_into(records, within),
        }
    }

    fn later(&self, unread: Unread) {
        if self.has_ended() {
            unread.lose();
        } else if self.is_on {
            self.waiting.put(unread, &self.inlet);
        }
    }

    fn has_ended(&self) -> bool {
        self.is_on && self.inlet.has_ended()
    }
}

impl ToMeter {
    /// Puts the operations that are within no other into that of a guard; the others become its children.
    fn put_into(&self, records: Vec<OperationRecord>, within: &Handle) {
        let is_outer = |record: &OperationRecord| record.parent.is_none();
        let outer: Vec<OperationId> =
            records.iter().filter(|record| is_outer(record)).map(|record| record.id).collect();
        for mut record in records {
            if is_outer(&record) {
                take_in(within, record);
                continue;
            }
            if record.parent.is_some_and(|parent| outer.contains(&parent)) {
                record.parent = within.id();
            }
            if let Some(trace) = within.trace_id() {
                record.trace_id = trace;
            }
            self.inlet.record(record);
        }
    }
}

/// Takes the parts of an operation into that of a guard.
fn take_in(within: &Handle, record: OperationRecord) {
    let calls = record.llm_calls.iter().map(|call| call.duration);
    let tools = record.tool_calls.iter().map(|call| call.duration);
    // The operation that a call or a tool is by itself is nothing beside it.
    let is_itself = calls.chain(tools).any(|took| took == Some(record.duration));
    if !is_itself {
        within.add_component(&*record.name, record.duration);
        record.errors.iter().for_each(|error| within.error(error));
    }
    for timing in &record.components {
        within.add_component(&*timing.name, timing.duration);
    }
    record.tool_calls.into_iter().for_each(|call| within.record_tool_call(call));
    record.llm_calls.into_iter().for_each(|call| within.record_llm_call(call));
}
