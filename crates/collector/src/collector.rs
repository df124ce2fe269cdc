//! The front door: building a collector, starting operations, ending it all.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use dashmap::DashMap;
use foldhash::fast::RandomState;
use taximeter_models::{ErrorRecord, OperationId, OperationRecord, Outcome};
use thiserror::Error;

use crate::clock::{Clock, SystemClock, Time};
use crate::closed::Closed;
use crate::counts::{Counts, CountsReader, LossReason};
use crate::ending::Ending;
use crate::foreign::guarded;
use crate::handle::Handle;
use crate::ids::{IdSource, Ids, SystemIds};
use crate::intake::{Intake, Taken};
use crate::limits::{Limits, WhenFull};
use crate::operation::{Operation, OperationBuilder};
use crate::place::Core;
use crate::redact::Redaction;
use crate::show::{Show, Shown};
use crate::sink::{NullSink, Sink};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use crate::worker::{FlushError, Worker, after};

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
    pub(crate) inner: Option<Arc<Inner>>,
}

/// What operations need: they may outlive the collector, but do not keep its worker alive.
pub(crate) struct Shared {
    pub(crate) intake: Arc<Intake>,
    pub(crate) time: Time,
    ids: Ids,
    sink: Arc<dyn Sink>,
    /// Where all operations are shown while they run.
    pub(crate) show: Shown,
    worker: Arc<Worker>,
    /// Every place for an operation that there is, to find those that have been open for too long.
    pub(crate) places: Arc<Mutex<Vec<Weak<Core>>>>,
    // Relaxed: it bounds memory; each place is counted before it is made and when it is gone.
    place_count: AtomicUsize,
    sample: AtomicU64,
    // Relaxed: who sees it late waits for room once more.
    ending: AtomicBool,
    pub(crate) by_id: DashMap<OperationId, Operation, RandomState>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) shared: Arc<Shared>,
}

/// Builds a [`Collector`].
#[derive(Debug, Clone)]
#[must_use = "the collector is there after `build()`"]
pub struct Builder {
    limits: Limits,
    redaction: Redaction,
    clock: Option<Arc<dyn Clock>>,
    ids: Ids,
    sink: SinkBox,
    show: Shown,
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

    /// What is masked and left out before anything is kept. Default: [`Redaction::default`].
    pub fn redaction(mut self, redaction: Redaction) -> Self {
        self.redaction = redaction;
        self
    }

    /// Where times come from. Default: the clocks of the operating system.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Where ids come from. Default: [`SystemIds`].
    pub fn ids(mut self, ids: Arc<dyn IdSource>) -> Self {
        self.ids = Ids::Other(ids);
        self
    }

    /// Where operations and their parts are shown while they run. Default: nowhere.
    pub fn show(mut self, show: Arc<dyn Show>) -> Self {
        self.show = Shown::new(show);
        self
    }

    /// Starts the collector.
    ///
    /// # Errors
    /// Where the operating system gives no thread for its worker.
    pub fn build(self) -> Result<Collector, CollectorError> {
        let intake = Arc::new(Intake::new(self.limits, self.redaction, self.show.is_something()));
        let worker = Worker::new();
        let places = Arc::<Mutex<Vec<Weak<Core>>>>::default();
        worker
            .spawn(Arc::clone(&intake), Arc::clone(&self.sink.0), Arc::clone(&places))
            .map_err(CollectorError::Spawn)?;
        let time = match self.clock {
            Some(clock) => Time::other(clock, &intake),
            None => Time::System(SystemClock::default()),
        };
        let shared = Shared {
            intake,
            time,
            ids: self.ids,
            sink: self.sink.0,
            show: self.show,
            worker,
            places,
            place_count: AtomicUsize::new(0),
            sample: AtomicU64::new(0),
            ending: AtomicBool::new(false),
            by_id: DashMap::default(),
        };
        Ok(Collector { inner: Some(Arc::new(Inner { shared: Arc::new(shared) })) })
    }
}

impl Collector {
    /// Starts to build a collector.
    pub fn builder() -> Builder {
        Builder {
            limits: Limits::default(),
            redaction: Redaction::default(),
            clock: None,
            ids: Ids::System,
            sink: SinkBox(Arc::new(NullSink)),
            show: Shown::NOTHING,
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
    #[inline]
    pub fn operation(&self, name: impl AsRef<str>) -> OperationBuilder {
        match &self.inner {
            Some(inner) => OperationBuilder::new(&inner.shared, name.as_ref()),
            None => OperationBuilder::off(),
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
        name: impl AsRef<str>,
        work: impl FnOnce(&Handle) -> R,
    ) -> R {
        run(self.operation(name).start(), work, Ending::failure)
    }

    /// Like [`scope`](Collector::scope), for a future.
    pub fn scope_async<F: Future, Kind>(
        &self,
        name: impl AsRef<str>,
        work: impl FnOnce(Handle) -> F,
    ) -> crate::Metered<F>
    where
        F::Output: Ending<Kind>,
    {
        let operation = self.operation(name).start();
        let handle = operation.handle();
        let entered = operation.enter();
        // The panic goes on just below, as in `run`.
        let future = catch_unwind(AssertUnwindSafe(|| work(handle)));
        drop(entered);
        match future {
            Ok(future) => crate::MeteredExt::metered(future, operation),
            Err(panic) => {
                operation.end_with(Some(ErrorRecord::of_panic(&*panic)));
                resume_unwind(panic)
            }
        }
    }

    /// Waits until every operation that has ended is with the sink, and the sink has made it safe.
    ///
    /// # Errors
    /// Where that takes longer than the timeout, or the sink failed. What is queued stays queued.
    pub fn flush(&self, timeout: Duration) -> Result<(), FlushError> {
        let Some(inner) = &self.inner else { return Ok(()) };
        if inner.shared.intake.is_in_child() {
            return Err(FlushError::Forked);
        }
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
        self.inner.as_ref().map(|inner| inner.shared.counts()).unwrap_or_default()
    }

    /// Reads the counts later on, without keeping the collector alive: for a sink, which is asked by the collector's own
    /// worker. None where it is switched off.
    pub fn counts_reader(&self) -> Option<CountsReader> {
        self.inner.as_ref().map(|inner| CountsReader(Arc::downgrade(&inner.shared)))
    }

    /// The time of day by the collector's clock; none where it is switched off.
    pub fn now(&self) -> Option<DateTime<Utc>> {
        let shared = &self.inner.as_ref()?.shared;
        Some(DateTime::from_timestamp_nanos(shared.time.now(&shared.intake).wall))
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
            operation.end_decided::<R>(|| failure(&returned));
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
    /// Hands an operation that has ended to the worker, or loses it by the rule for a full queue.
    pub(crate) fn hand_in(&self, mut operation: Closed<'_>, outcome: Outcome) {
        let abandoned = outcome == Outcome::Abandoned;
        if let WhenFull::Sample { one_in } = self.intake.limits().when_full
            && self.intake.is_half_full()
            && !self.sampled(one_in)
        {
            return self.intake.lost(LossReason::Sampled, abandoned);
        }
        let taken = self.intake.ended(&mut operation, abandoned);
        self.see_to(taken, operation, outcome);
    }

    /// Does what is left to be done by what became of an operation that was handed in.
    pub(crate) fn see_to(&self, taken: Taken, operation: Closed<'_>, outcome: Outcome) {
        match taken {
            Taken::Queued | Taken::Lost => {}
            Taken::Pressing | Taken::NoRoom => self.worker.press(),
            Taken::Back => self.hand_in_by_force(operation, outcome == Outcome::Abandoned),
        }
    }

    #[cold]
    fn hand_in_by_force(&self, mut operation: Closed<'_>, abandoned: bool) {
        // In a forked child nobody makes room, and the locks below may never come.
        if self.intake.is_in_child() {
            return self.intake.lost(LossReason::Fork, abandoned);
        }
        let worker = &self.worker;
        worker.press();
        let until = match self.intake.limits().when_full {
            // The worker cannot wait for itself.
            WhenFull::Block { timeout } if !worker.is_this_thread() && !self.is_ending() => {
                after(timeout)
            }
            _ => Instant::now(),
        };
        let drops_oldest = self.intake.limits().when_full == WhenFull::DropOldest;
        loop {
            let made_room = (drops_oldest && self.intake.drop_oldest())
                || worker.wait_for_room(until.saturating_duration_since(Instant::now()));
            if !made_room {
                return self.intake.lost(LossReason::QueueFull, abandoned);
            }
            match self.intake.ended(&mut operation, abandoned) {
                Taken::Queued | Taken::Lost => return,
                Taken::Pressing | Taken::NoRoom => return worker.press(),
                Taken::Back => {}
            }
        }
    }

    pub(crate) fn press(&self) {
        self.worker.press();
    }

    /// Whether the collector is being shut down: what is abandoned then waits for no room.
    fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    fn sampled(&self, one_in: u32) -> bool {
        // Relaxed: any order of numbers is as good a sample.
        let number = self.sample.fetch_add(1, Ordering::Relaxed);
        number.is_multiple_of(u64::from(one_in.max(1)))
    }

    pub(crate) fn prepare(&self, record: &mut OperationRecord) {
        guarded(&self.intake, || self.sink.prepare(record));
    }

    #[inline]
    pub(crate) fn next_id(&self, now: i64) -> OperationId {
        match &self.ids {
            Ids::System => SystemIds::next_at(now),
            Ids::Other(ids) => self.next_of(&**ids, now),
        }
    }

    #[cold]
    fn next_of(&self, ids: &dyn IdSource, now: i64) -> OperationId {
        let at = DateTime::from_timestamp_nanos(now);
        guarded(&self.intake, || ids.next(at)).unwrap_or_else(|| SystemIds::next_at(now))
    }

    /// Takes one more place for an operation, of so many bytes.
    pub(crate) fn take_place(&self, bytes: usize) -> bool {
        let most = self.intake.limits().open;
        let count = &self.place_count;
        let more = |places: usize| (places < most).then_some(places + 1);
        let taken = count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok();
        if taken && self.intake.bytes().take(bytes) {
            return true;
        }
        if taken {
            count.fetch_sub(1, Ordering::Relaxed);
        }
        self.intake.lost(LossReason::TooManyOpen, false);
        false
    }

    pub(crate) fn give_place_back(&self, bytes: usize) {
        self.place_count.fetch_sub(1, Ordering::Relaxed);
        self.intake.bytes().give_back(bytes);
    }

    pub(crate) fn counts(&self) -> Counts {
        let mut counts = self.intake.counts();
        counts.cardinality = self.worker.names_above_limit();
        counts
    }
}

impl Inner {
    fn shutdown(&self, timeout: Duration) -> Result<(), FlushError> {
        let shared = &self.shared;
        if shared.intake.is_in_child() {
            return Err(FlushError::Forked);
        }
        shared.ending.store(true, Ordering::Relaxed);
        shared.abandon_those_by_id();
        let closed = shared.worker.close(timeout, || shared.intake.counts().queued);
        // Those that began meanwhile; what begins after this finds the intake closed.
        shared.abandon_those_by_id();
        shared.intake.empty_pools();
        closed
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let timeout = self.shared.intake.limits().drop_timeout;
        // There is nobody left to tell; what did not make it is lost with the process or stored a little later.
        let _ = self.shutdown(timeout);
        self.shared.intake.close();
        self.shared.intake.empty_pools();
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
            .field("time", &self.time)
            .field("ids", &self.ids)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for SinkBox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sink")
    }
}
