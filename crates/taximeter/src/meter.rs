//! The meter: a collector, a price book and a session in one, with everything wired.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use taximeter_analysis::Window;
use taximeter_collector::{
    Clock, Collector, CollectorError, Counts, Ending, FlushError, Handle, Metered,
    OperationBuilder, SystemClock,
};
use taximeter_models::{
    LlmCall, Metadata, Name, OperationId, OperationRecord, Session, ToolCall, Totals,
};
use taximeter_persistence::SessionFiles;
use taximeter_persistence::store::Store;
use taximeter_pricing::{BookRef, LiveBook, LiveState};

use crate::budget::Counter;
use crate::pipeline::{self, Pipeline};
use crate::{Error, MeterBuilder, Settings};

/// Meters an application. Clones are the same meter; when the last is dropped, what is queued is handed over, for two
/// seconds at most.
///
/// ```
/// use taximeter::{Meter, TokenUsage};
///
/// let meter = Meter::builder().session_id("demo").build()?;
/// let op = meter.operation("qa_response").with("user_id", "123").start();
/// op.time("document_retrieval", || { /* … */ });
/// let mut call = op.llm_call("openai", "gpt-4o").start();
/// call.usage(TokenUsage::inclusive(1_200, 350).cache_read(200));
/// call.succeed();
/// op.succeed();
///
/// let totals = meter.totals();
/// assert_eq!(totals.usage.total_tokens(), 1_550);
/// assert_eq!(totals.cost.usd().to_string(), "0.00625");
/// # Ok::<(), taximeter::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Meter {
    pub(crate) collector: Collector,
    pub(crate) state: Arc<State>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) settings: Settings,
    pub(crate) session_id: Name,
    pub(crate) started_at: DateTime<Utc>,
    pub(crate) metadata: Metadata,
    pub(crate) clock: Arc<dyn Clock>,
}

/// How long a reader waits for what is in flight.
const READ_TIMEOUT: Duration = Duration::from_secs(2);

impl Meter {
    /// Starts to build a meter.
    pub fn builder() -> MeterBuilder {
        MeterBuilder::default()
    }

    /// A meter that is switched off: it has the same API and does nothing.
    pub fn off() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let (none, clock_too) = (Counter::default(), Arc::clone(&clock));
        let pipeline =
            Arc::new(Pipeline::new(LiveBook::default(), 0, None, Vec::new(), none, clock_too));
        let mut settings = Settings::default();
        settings.enabled = false;
        let (session_id, started_at) = ("off".into(), clock.wall());
        Self {
            collector: Collector::off(),
            state: Arc::new(State {
                pipeline,
                settings,
                session_id,
                started_at,
                metadata: Metadata::new(),
                clock,
            }),
        }
    }

    /// Whether operations are recorded.
    pub fn is_recording(&self) -> bool {
        self.collector.is_recording()
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.state.settings
    }

    /// The id of the session.
    pub fn session_id(&self) -> &Name {
        &self.state.session_id
    }

    /// The prices in force. What is given back stays as it is when they are reloaded.
    pub fn price_book(&self) -> BookRef {
        self.state.pipeline.prices().book()
    }

    /// Where the prices come from, when they were read, and what is wrong with their files.
    pub fn prices(&self) -> LiveState {
        self.state.pipeline.prices().state()
    }

    /// Reads the files of the prices now. Calls that end from here on are priced by them; costs that were recorded
    /// stay.
    ///
    /// # Errors
    /// Where a file cannot be read or is no price book; the prices from before stay in force.
    pub fn reload_prices(&self) -> Result<BookRef, Error> {
        // What has ended before is priced as it was then.
        self.settle();
        Ok(self.state.pipeline.prices().reload()?)
    }
}

/// Recording: the collector's own methods.
impl Meter {
    /// Prepares an operation.
    #[inline]
    pub fn operation(&self, name: impl AsRef<str>) -> OperationBuilder {
        self.collector.operation(name)
    }

    /// Meters a piece of code as one operation: a normal return is a success, an `Err` or a panic a failure that goes
    /// on. See [`Collector::scope`].
    pub fn scope<R: Ending<Kind>, Kind>(
        &self,
        name: impl AsRef<str>,
        work: impl FnOnce(&Handle) -> R,
    ) -> R {
        self.collector.scope(name, work)
    }

    /// Like [`scope`](Meter::scope), for a future.
    pub fn scope_async<F: Future, Kind>(
        &self,
        name: impl AsRef<str>,
        work: impl FnOnce(Handle) -> F,
    ) -> Metered<F>
    where
        F::Output: Ending<Kind>,
    {
        self.collector.scope_async(name, work)
    }

    /// Starts an operation that is addressed by its id. See [`Collector::start_operation`].
    pub fn start_operation(&self, name: impl AsRef<str>, metadata: Metadata) -> OperationId {
        self.collector.start_operation(name, metadata)
    }

    /// The handle of an operation that was started by [`start_operation`](Meter::start_operation).
    ///
    /// # Errors
    /// Where there is no open operation of that id.
    pub fn handle(&self, id: OperationId) -> Result<Handle, CollectorError> {
        self.collector.handle(id)
    }

    /// Adds the time that a component took, to an operation by id.
    ///
    /// # Errors
    /// Where there is no open operation of that id.
    pub fn add_component_timing(
        &self,
        id: OperationId,
        component: impl AsRef<str>,
        duration: Duration,
    ) -> Result<(), CollectorError> {
        self.collector.add_component_timing(id, component, duration)
    }

    /// Records a call of a tool, in an operation by id.
    ///
    /// # Errors
    /// Where there is no open operation of that id.
    pub fn record_tool_call(&self, id: OperationId, call: ToolCall) -> Result<(), CollectorError> {
        self.collector.record_tool_call(id, call)
    }

    /// Records a call of an LLM, in an operation by id.
    ///
    /// # Errors
    /// Where there is no open operation of that id.
    pub fn record_llm_call(&self, id: OperationId, call: LlmCall) -> Result<(), CollectorError> {
        self.collector.record_llm_call(id, call)
    }

    /// Records plain input and output tokens, in an operation by id; the provider is inferred from the LLM's name
    /// where that is certain.
    ///
    /// # Errors
    /// Where there is no open operation of that id.
    pub fn record_token_usage(
        &self,
        id: OperationId,
        input_tokens: u64,
        output_tokens: u64,
        model_name: Option<&str>,
    ) -> Result<(), CollectorError> {
        self.collector.record_token_usage(id, input_tokens, output_tokens, model_name)
    }

    /// Ends an operation by id and gives its record back, priced; none where the meter is switched off.
    ///
    /// # Errors
    /// Where there is no open operation of that id.
    pub fn end_operation(
        &self,
        id: OperationId,
        success: bool,
        error_count: u64,
        warning_count: u64,
        metadata: Metadata,
    ) -> Result<Option<OperationRecord>, CollectorError> {
        self.collector.end_operation(id, success, error_count, warning_count, metadata)
    }

    /// Records an operation that is over, with the id, the times and the trace that it has; its LLM calls are priced. See
    /// [`Collector::record`].
    pub fn record(&self, record: OperationRecord) {
        self.collector.record(record);
    }

    /// Waits until every operation that has ended is priced, stored where there is a store, and observed. When this is
    /// well, they are as safe as the store's durability says.
    ///
    /// # Errors
    /// Where that takes longer than the timeout, or a further sink failed.
    pub fn flush(&self, timeout: Duration) -> Result<(), FlushError> {
        self.look();
        self.collector.flush(timeout)
    }

    /// Ends the meter: what is queued is handed over, what ends later is lost and counted. What was observed can be
    /// read on.
    ///
    /// # Errors
    /// Where that takes longer than the timeout, or a further sink failed.
    pub fn shutdown(&self, timeout: Duration) -> Result<(), FlushError> {
        self.look();
        self.collector.shutdown(timeout)
    }

    /// What became of every operation, and what was lost.
    pub fn counts(&self) -> Counts {
        self.collector.counts()
    }
}

/// Reading. Every method waits first, for two seconds at most, for what is in flight.
impl Meter {
    /// The totals of the session. They hold every operation, also those that are not kept in full any more.
    pub fn totals(&self) -> Totals {
        self.settle();
        self.state.pipeline.totals()
    }

    /// The last operations, the newest last.
    pub fn recent(&self, count: usize) -> Vec<OperationRecord> {
        self.settle();
        self.state.pipeline.last(count)
    }

    /// One operation, if it has ended and is still kept.
    pub fn find(&self, id: OperationId) -> Option<OperationRecord> {
        self.settle();
        self.state.pipeline.find(id)
    }

    /// The session so far, with the operations that are kept, and their trends since it began.
    pub fn session(&self) -> Session {
        self.settle();
        let (operations, evicted) = self.state.pipeline.operations();
        let now = self.state.clock.wall();
        let mut session = Session::new(self.session_id(), self.state.started_at);
        session.ended_at = Some(now);
        // One second more, so that the window holds what began with the session.
        let age = (now - self.state.started_at).to_std().unwrap_or_default();
        let window = Window::from(Duration::from_secs(age.as_secs().saturating_add(1)));
        session.trends =
            taximeter_analysis::trends(&operations, &window, now, &self.trend_config());
        session.operations = operations;
        session.metadata = self.state.metadata.clone();
        if evicted > 0 {
            session.notes.push(format!(
                "{evicted} older operations are not in this document; recent_operations is {}",
                self.settings().recent_operations
            ));
        }
        if let Some(error) = self.state.pipeline.prices().last_error() {
            session.notes.push(format!("{error}; the last good prices were used"));
        }
        #[cfg(feature = "tracing")]
        if let Some(check) = self.state.pipeline.waiting().odd() {
            session.notes.push(format!("the layer of tracing {check}"));
        }
        let counts = self.counts();
        let counted = counts.by_name().filter(|(_, count)| *count > 0);
        session.collected = counted.map(|(name, count)| (name.into(), count)).collect();
        let lost = counts.dropped;
        if !lost.is_empty() {
            let words: Vec<_> =
                lost.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
            session.notes.push(format!("operations lost: {}", words.join(", ")));
        }
        session
    }

    /// Forgets every operation and total so far. Operations that are open stay open.
    pub fn clear(&self) {
        self.settle();
        self.state.pipeline.clear();
    }

    pub(crate) fn settle(&self) {
        self.look();
        // A reader that cannot wait reads what is there; the counts show what is still queued.
        let _ = self.collector.flush(READ_TIMEOUT);
    }

    /// Who looks at what was metered is told if a layer in force here sees nothing.
    #[cfg(feature = "tracing")]
    fn look(&self) {
        self.state.pipeline.waiting().tell_what_is_odd();
    }

    #[cfg(not(feature = "tracing"))]
    #[expect(clippy::unused_self, reason = "with the feature it is used")]
    fn look(&self) {}
}

/// Saving and loading.
impl Meter {
    /// The store to which every operation goes, to be asked; none where there is none. What has ended just now may be on
    /// its way there: [`flush`](Meter::flush) waits for it.
    pub fn store(&self) -> Option<Arc<dyn Store>> {
        self.state.pipeline.store()
    }

    /// Saves the session as JSON in the directory of the settings, under that file name, or under one that no other
    /// session has. Gives the path, or none where persistence is switched off.
    ///
    /// # Errors
    /// Where the name is a path or no file name, or the file cannot be written.
    pub fn save(&self, name: Option<&str>) -> Result<Option<PathBuf>, Error> {
        if !self.settings().persistence || !self.is_recording() {
            return Ok(None);
        }
        let path = self.files().save(&self.session(), name, self.state.clock.wall())?;
        Ok(Some(path))
    }

    /// Loads a session that was saved under that file name.
    ///
    /// # Errors
    /// Where there is no such file, or it is no session.
    pub fn load(&self, name: &str) -> Result<Session, Error> {
        Ok(self.files().load(name)?)
    }

    /// Loads a session from any file, ours or the original system's; LLM calls without a cost are priced.
    ///
    /// # Errors
    /// Where there is no such file, or it is no session.
    pub fn load_path(&self, path: impl AsRef<Path>) -> Result<Session, Error> {
        let mut session = self.files().load_path(path)?;
        let book = self.price_book();
        session.operations.iter_mut().for_each(|record| pipeline::price(record, &book));
        Ok(session)
    }

    fn files(&self) -> SessionFiles {
        SessionFiles::new(&self.settings().data_dir)
    }
}

// As a collector, a meter stays sound when code that uses it unwinds.
impl std::panic::UnwindSafe for Meter {}
impl std::panic::RefUnwindSafe for Meter {}
