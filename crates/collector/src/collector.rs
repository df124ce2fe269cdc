//! The front door: building a collector, starting operations, addressing them by id, ending it all.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use taximeter_models::{
    ErrorRecord, LlmCall, Metadata, Name, OperationId, OperationRecord, Outcome, TokenUsage,
    ToolCall,
};
use thiserror::Error;

use crate::clock::{Clock, SystemClock};
use crate::counts::{Counts, LossReason};
use crate::ending::Ending;
use crate::ids::{IdSource, SystemIds};
use crate::intake::{Flaw, Intake, Taken};
use crate::limits::Limits;
use crate::operation::{Handle, Operation, OperationBuilder};
use crate::sink::{NullSink, Sink};
use crate::worker::{FlushError, Worker};

/// Something that the collector could not do. Recording through guards and handles never meets with it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CollectorError {
    /// There is no open operation of that id.
    #[error("operation {id} is not open: it was not started by this collector, or it has ended")]
    NotOpen {
        /// The id.
        id: OperationId,
    },
    /// The worker thread could not be started.
    #[error("starting the worker thread of the collector; record without it by `Collector::off()`")]
    Spawn(#[source] std::io::Error),
}

/// Collects operations from many threads and tasks, and hands them to one sink. Clones are the same collector; when
/// the last is dropped, what is queued is handed over, for two seconds at most.
///
/// There may be many collectors in one process.
#[derive(Debug, Clone)]
pub struct Collector {
    inner: Option<Arc<Inner>>,
}

/// What operations need: they may outlive the collector, but do not keep its worker alive.
pub(crate) struct Shared {
    pub(crate) intake: Arc<Intake>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdSource>,
    sink: Arc<dyn Sink>,
    worker: Arc<Worker>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    by_id: DashMap<OperationId, Operation>,
}

/// Builds a [`Collector`].
#[derive(Debug, Clone)]
#[must_use = "the collector is there after `build()`"]
pub struct Builder {
    limits: Limits,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    sink: SinkBox,
}

#[derive(Clone)]
struct SinkBox(Arc<dyn Sink>);

impl Builder {
    /// Where finished operations go. Default: nowhere.
    pub fn sink(mut self, sink: impl Sink + 'static) -> Self {
        self.sink = SinkBox(Arc::new(sink));
        self
    }

    /// How much it may hold. Default: [`Limits::default`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Where times come from. Default: the clocks of the operating system.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Where ids come from. Default: [`SystemIds`].
    pub fn ids(mut self, ids: Arc<dyn IdSource>) -> Self {
        self.ids = ids;
        self
    }

    /// Starts the collector.
    ///
    /// # Errors
    /// Where the operating system gives no thread for its worker.
    pub fn build(self) -> Result<Collector, CollectorError> {
        let intake = Arc::new(Intake::new(self.limits));
        let worker = Worker::new();
        worker
            .spawn(Arc::clone(&intake), Arc::clone(&self.sink.0))
            .map_err(CollectorError::Spawn)?;
        let shared = Shared { intake, clock: self.clock, ids: self.ids, sink: self.sink.0, worker };
        Ok(Collector {
            inner: Some(Arc::new(Inner { shared: Arc::new(shared), by_id: DashMap::new() })),
        })
    }
}

impl Collector {
    /// Starts to build a collector.
    pub fn builder() -> Builder {
        Builder {
            limits: Limits::default(),
            clock: Arc::new(SystemClock::default()),
            ids: Arc::new(SystemIds),
            sink: SinkBox(Arc::new(NullSink)),
        }
    }

    /// A collector that is switched off: it has the same API and does nothing.
    pub fn off() -> Self {
        Self { inner: None }
    }

    /// Whether operations are recorded.
    pub fn is_recording(&self) -> bool {
        self.inner.is_some()
    }

    /// Prepares an operation.
    pub fn operation(&self, name: impl Into<Name>) -> OperationBuilder {
        match &self.inner {
            Some(inner) => OperationBuilder::new(Some(Arc::clone(&inner.shared)), name.into()),
            None => OperationBuilder::new(None, Name::default()),
        }
    }

    /// Meters a piece of code as one operation, which is the [current](crate::current) one within it. A normal return
    /// is a success, an `Err` or a panic a failure that goes on.
    ///
    /// ```
    /// use taximeter_collector::Collector;
    ///
    /// let collector = Collector::off();
    /// let rows = collector.scope("data_processing", |op| {
    ///     op.set("source", "orders.csv");
    ///     "7".parse::<u32>()
    /// });
    /// assert_eq!(rows, Ok(7));
    /// ```
    pub fn scope<R: Ending<Kind>, Kind>(
        &self,
        name: impl Into<Name>,
        work: impl FnOnce(&Handle) -> R,
    ) -> R {
        run(self.operation(name).start(), work, Ending::failure)
    }

    /// Like [`scope`](Collector::scope), for a future.
    pub fn scope_async<F: Future, Kind>(
        &self,
        name: impl Into<Name>,
        work: impl FnOnce(Handle) -> F,
    ) -> crate::Metered<F>
    where
        F::Output: Ending<Kind>,
    {
        let operation = self.operation(name).start();
        let future = work(operation.handle());
        crate::MeteredExt::metered(future, operation)
    }

    /// Starts an operation that is addressed by its id, for callers who cannot hold a guard. It stays open until
    /// [`end_operation`](Collector::end_operation), or until the collector ends, when it is abandoned.
    ///
    /// Above the limit of open operations it is not recorded, which is counted; its id is then not open.
    pub fn start_operation(&self, name: impl Into<Name>, metadata: Metadata) -> OperationId {
        let Some(inner) = &self.inner else { return OperationId::default() };
        if inner.by_id.len() >= inner.shared.intake.limits().open_by_id {
            inner.shared.intake.refused(LossReason::TooManyOpen);
            return inner.shared.ids.next(inner.shared.clock.wall());
        }
        let operation = self.operation(name).with_all(metadata).start();
        let id = operation.id().unwrap_or_default();
        inner.by_id.insert(id, operation);
        id
    }

    /// The handle of an open operation, to record into it.
    ///
    /// # Errors
    /// [`CollectorError::NotOpen`] where there is no open operation of that id.
    pub fn handle(&self, id: OperationId) -> Result<Handle, CollectorError> {
        let Some(inner) = &self.inner else { return Ok(Handle::off()) };
        // The entry is let go before anything is recorded: no lock of the map is held while other code runs.
        inner
            .by_id
            .get(&id)
            .map(|operation| operation.handle())
            .ok_or(CollectorError::NotOpen { id })
    }

    /// Adds the time that a component took.
    ///
    /// # Errors
    /// [`CollectorError::NotOpen`] where there is no open operation of that id.
    pub fn add_component_timing(
        &self,
        id: OperationId,
        component: impl Into<Name>,
        duration: Duration,
    ) -> Result<(), CollectorError> {
        self.handle(id).map(|handle| handle.add_component(component, duration))
    }

    /// Records a call of a tool.
    ///
    /// # Errors
    /// [`CollectorError::NotOpen`] where there is no open operation of that id.
    pub fn record_tool_call(&self, id: OperationId, call: ToolCall) -> Result<(), CollectorError> {
        self.handle(id).map(|handle| handle.record_tool_call(call))
    }

    /// Records a call of an LLM.
    ///
    /// # Errors
    /// [`CollectorError::NotOpen`] where there is no open operation of that id.
    pub fn record_llm_call(&self, id: OperationId, call: LlmCall) -> Result<(), CollectorError> {
        self.handle(id).map(|handle| handle.record_llm_call(call))
    }

    /// Records plain input and output tokens. No provider is given; a price book infers it from the LLM's name where
    /// that is certain.
    ///
    /// # Errors
    /// [`CollectorError::NotOpen`] where there is no open operation of that id.
    pub fn record_token_usage(
        &self,
        id: OperationId,
        input_tokens: u64,
        output_tokens: u64,
        model_name: Option<&str>,
    ) -> Result<(), CollectorError> {
        let mut call = LlmCall::default().using(TokenUsage::new(input_tokens, output_tokens));
        call.request_model = model_name.map(Name::from);
        self.record_llm_call(id, call)
    }

    /// Ends an operation and gives its record back, completed and priced; none where the collector is switched off.
    ///
    /// Errors and warnings that were recorded one by one are counted besides.
    ///
    /// # Errors
    /// [`CollectorError::NotOpen`] where there is no open operation of that id.
    pub fn end_operation(
        &self,
        id: OperationId,
        success: bool,
        error_count: u64,
        warning_count: u64,
        metadata: Metadata,
    ) -> Result<Option<OperationRecord>, CollectorError> {
        let Some(inner) = &self.inner else { return Ok(None) };
        let (_, operation) = inner.by_id.remove(&id).ok_or(CollectorError::NotOpen { id })?;
        operation.fill(|filler| {
            for (key, value) in metadata {
                filler.metadata(&key, value);
            }
            let record = &mut *filler.record;
            record.unlisted_errors = record.unlisted_errors.saturating_add(error_count);
            record.unlisted_warnings = record.unlisted_warnings.saturating_add(warning_count);
        });
        Ok(operation.finish_as(if success { Outcome::Success } else { Outcome::Failure }))
    }

    /// Waits until every operation that has ended is with the sink, and the sink has made it safe.
    ///
    /// # Errors
    /// Where that takes longer than the timeout, or the sink failed. What is queued stays queued.
    pub fn flush(&self, timeout: Duration) -> Result<(), FlushError> {
        let Some(inner) = &self.inner else { return Ok(()) };
        inner.shared.worker.flush(timeout, || self.counts().queued)
    }

    /// Ends the collector: abandons operations that are open by id, hands over all that is queued, flushes the sink
    /// and stops the worker. Operations that end later are lost, and counted.
    ///
    /// # Errors
    /// Where that takes longer than the timeout, or the sink failed.
    pub fn shutdown(&self, timeout: Duration) -> Result<(), FlushError> {
        let Some(inner) = &self.inner else { return Ok(()) };
        inner.shutdown(timeout)
    }

    /// What became of every operation.
    pub fn counts(&self) -> Counts {
        self.inner.as_ref().map(|inner| inner.shared.intake.counts()).unwrap_or_default()
    }

    /// The time of day by the collector's clock; none where it is switched off.
    pub fn now(&self) -> Option<chrono::DateTime<chrono::Utc>> {
        self.inner.as_ref().map(|inner| inner.shared.clock.wall())
    }
}

/// Runs a piece of code as an operation; how it ended is read from what it returns.
pub(crate) fn run<R>(
    operation: Operation,
    work: impl FnOnce(&Handle) -> R,
    failure: impl FnOnce(&R) -> Option<ErrorRecord>,
) -> R {
    if !operation.is_recording() {
        return work(&operation);
    }
    let entered = operation.enter();
    // The panic goes on just below: nothing is seen half done that would not be seen without the meter.
    let returned = catch_unwind(AssertUnwindSafe(|| work(&operation)));
    drop(entered);
    match returned {
        Ok(returned) => {
            operation.end_with(failure(&returned));
            returned
        }
        Err(panic) => {
            operation.end_with(Some(ErrorRecord::of_panic(&*panic)));
            resume_unwind(panic)
        }
    }
}

impl Operation {
    /// Runs a piece of code as this operation; how it ended is told by `failure`. The base of
    /// [`Collector::scope`], for values of which only you know whether they are a failure.
    pub fn run_by<R>(
        self,
        work: impl FnOnce(&Handle) -> R,
        failure: impl FnOnce(&R) -> Option<ErrorRecord>,
    ) -> R {
        run(self, work, failure)
    }
}

impl Shared {
    pub(crate) fn hand_in(&self, record: OperationRecord) {
        if self.intake.ended(record) == Taken::Pressing {
            self.worker.press();
        }
    }

    pub(crate) fn prepare(&self, record: &mut OperationRecord) {
        if catch_unwind(AssertUnwindSafe(|| self.sink.prepare(record))).is_err() {
            self.intake.flaw(Flaw::InternalPanic);
        }
    }
}

impl Inner {
    fn shutdown(&self, timeout: Duration) -> Result<(), FlushError> {
        self.by_id.clear();
        self.shared.worker.close(timeout, || self.shared.intake.counts().queued)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let timeout = self.shared.intake.limits().drop_timeout;
        // There is nobody left to tell; what did not make it is lost with the process or stored a little later.
        let _ = self.shutdown(timeout);
    }
}

// A panic while something is recorded leaves the collector sound: its locks shrug poison off, and each part of a record
// is put in whole or not at all. So code that uses it may be caught while it unwinds.
impl std::panic::UnwindSafe for Collector {}
impl std::panic::RefUnwindSafe for Collector {}
impl std::panic::UnwindSafe for Handle {}
impl std::panic::RefUnwindSafe for Handle {}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("clock", &self.clock)
            .field("ids", &self.ids)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for SinkBox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sink")
    }
}
