//! Operations that are over: recorded as a whole by who timed them, and counted as every other.

use std::sync::{Arc, Weak};

use taximeter_models::{ComponentTiming, OperationRecord};

use crate::bounds::Bounds;
use crate::collector::Shared;
use crate::frame::{nanos, part};
use crate::handle::Handle;
use crate::page::Kind;
use crate::place::Core;
use crate::redact::Field;
use crate::{Collector, OperationBuilder};

impl Collector {
    /// Records an operation that is over, with the id, the times and the trace that it has. It takes the road of every
    /// other one: it is redacted, bounded, queued, and counted as offered, and as stored or dropped.
    ///
    /// ```
    /// use taximeter_collector::{Collector, MemorySink};
    /// use taximeter_models::{LlmCall, OperationRecord, TokenUsage};
    ///
    /// let sink = MemorySink::default();
    /// let collector = Collector::builder().sink(sink.clone()).build()?;
    /// let mut record = OperationRecord::new("qa_response");
    /// record.llm_calls.push(LlmCall::new("openai", "gpt-4o").using(TokenUsage::new(12, 3)));
    /// collector.record(record.clone());
    /// collector.shutdown(std::time::Duration::from_secs(5))?;
    /// assert_eq!(sink.records(), [record.clone()]);
    ///
    /// collector.record(record); // too late: it is lost, and counted
    /// assert_eq!((collector.counts().offered, collector.counts().dropped_total()), (2, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn record(&self, record: OperationRecord) {
        if let Some(inner) = &self.inner {
            inner.shared.record(record);
        }
    }

    /// A way into this collector for who must not keep it alive.
    pub fn inlet(&self) -> Inlet {
        Inlet(self.inner.as_ref().map_or_else(Weak::new, |inner| Arc::downgrade(&inner.shared)))
    }
}

/// Records operations that are over into a collector that it does not keep alive.
///
/// ```
/// use taximeter_collector::{Collector, MemorySink};
/// use taximeter_models::OperationRecord;
///
/// let sink = MemorySink::default();
/// let collector = Collector::builder().sink(sink.clone()).build()?;
/// let inlet = collector.inlet();
/// assert!(inlet.record(OperationRecord::new("qa_response")));
/// drop(collector); // hands over what is queued
/// assert_eq!(sink.records().len(), 1);
/// assert!(inlet.has_ended() && !inlet.record(OperationRecord::new("too late")));
/// # Ok::<(), taximeter_collector::CollectorError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Inlet(Weak<Shared>);

impl Inlet {
    /// Records an operation, as [`Collector::record`] does. Says whether the collector was there; where it is gone, nobody
    /// counts what comes.
    pub fn record(&self, record: OperationRecord) -> bool {
        let shared = self.0.upgrade();
        shared.map(|shared| shared.record(record)).is_some()
    }

    /// Asks the worker to come soon, and not when its interval is over.
    pub fn press(&self) {
        if let Some(shared) = self.0.upgrade() {
            shared.press();
        }
    }

    /// Whether the collector is gone or takes nothing more.
    pub fn has_ended(&self) -> bool {
        self.0.upgrade().is_none_or(|shared| shared.intake.is_closed())
    }
}

impl Shared {
    fn record(self: &Arc<Self>, record: OperationRecord) {
        let Some(core) = OperationBuilder::new(self, &record.name).into_core() else {
            return; // There was no place for it, which is counted.
        };
        core.start_as(&record);
        let (outcome, lasted) = (record.outcome, record.duration.min(Bounds::LONGEST));
        let handle = Handle(Some(Arc::clone(&core)));
        handle.put_whole(record);
        // Held by the core alone, the place can be used again.
        drop(handle);
        if let Some(closed) = core.end_after(outcome, || nanos(lasted)) {
            self.hand_in(closed, outcome);
        }
    }
}

impl Handle {
    /// Puts all parts of a record in.
    fn put_whole(&self, record: OperationRecord) {
        let Some(core) = &self.0 else { return };
        for (key, value) in record.metadata {
            self.set(key, value);
        }
        for (key, value) in record.tags {
            self.tag(key, value);
        }
        record.user.inspect(|user| self.set_user(user));
        record.session.inspect(|session| self.set_session(session));
        record.components.iter().for_each(|timing| core.timing(timing));
        record.tool_calls.into_iter().for_each(|call| self.record_tool_call(call));
        record.llm_calls.into_iter().for_each(|call| self.record_llm_call(call));
        record.errors.into_iter().for_each(|error| self.put_error(error));
        record.warnings.into_iter().for_each(|warning| self.warn(warning.message));
        if record.unlisted_errors > 0 || record.unlisted_warnings > 0 {
            self.add_unlisted(record.unlisted_errors, record.unlisted_warnings);
        }
    }
}

impl Core {
    /// Puts in a component as another told it.
    fn timing(&self, timing: &ComponentTiming) {
        let mut bounds = self.bounds();
        let took = bounds.duration(timing.duration);
        let name = bounds.name(Field::Component, &timing.name);
        self.compose(Kind::Component, bounds, |to| {
            part::component(to, &name, timing.offset, took, timing.count);
        });
    }
}
