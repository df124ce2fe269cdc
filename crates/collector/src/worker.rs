//! The one thread that takes records from the intake to the sink.

use std::sync::{Arc, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::LossReason;
use crate::chunk::{Batch, Interner};
use crate::foreign::guarded;
use crate::intake::Intake;
use crate::place::{Core, close_aged};
use crate::sink::{Sink, SinkError};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::thread::{self, ThreadId};
use crate::sync::{Condvar, Mutex, MutexGuard};

/// A flush or a shutdown did not come to its end.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FlushError {
    /// It took longer than was allowed. What is queued stays queued; the worker goes on.
    #[error("flushing the collector: {queued} operations still waited after {timeout:?}")]
    Timeout {
        /// How long it waited.
        timeout: Duration,
        /// The operations still on their way.
        queued: u64,
    },
    /// It was called by the sink itself, for which it would have had to wait.
    #[error("flushing the collector: the sink cannot wait for itself")]
    FromSink,
    /// It was called in a forked child of the collector's process, where there is no worker. Make a new collector
    /// there.
    #[error(
        "flushing the collector: this process is a forked child of the one that made it; make a new one here"
    )]
    Forked,
    /// The sink could not make safe what it had taken, or lost some of it.
    #[error("flushing the collector: {0}")]
    Sink(String),
}

/// What the worker and those who wait for it tell one another.
#[derive(Debug, Default)]
struct Orders {
    /// The number of the last flush that was asked for.
    flush_asked: u64,
    /// The number of the last flush that is done.
    flush_done: u64,
    /// How often the sink has failed, and what it said the last time.
    failures: u64,
    last_failure: Option<String>,
    /// How many of these the flushes that are done have told of.
    told: u64,
    close: bool,
    closed: bool,
}

impl Orders {
    /// What those are told who began to wait when so many failures had been told of.
    fn outcome_since(&self, told: u64) -> Result<(), FlushError> {
        match &self.last_failure {
            Some(failure) if self.failures > told => Err(FlushError::Sink(failure.clone())),
            _ => Ok(()),
        }
    }
}

/// Why the worker wakes up.
enum Wake {
    /// The interval is over.
    Tick,
    /// Much is waiting.
    Pressure,
    /// Somebody waits for this flush.
    Flush(u64),
    /// It is to end.
    Close,
}

pub(crate) struct Worker {
    orders: Mutex<Orders>,
    changed: Condvar,
    room: Condvar,
    /// Whether the worker was told that much is waiting, and has not looked yet. Changed under the lock of the orders;
    /// read without it, so that those who find no room need no lock each time.
    pressed: AtomicBool,
    names: OnceLock<Interner>,
    thread: Mutex<Option<ThreadId>>,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").finish_non_exhaustive()
    }
}

impl Worker {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            orders: Mutex::default(),
            changed: Condvar::new(),
            room: Condvar::new(),
            pressed: AtomicBool::new(false),
            names: OnceLock::new(),
            thread: Mutex::default(),
        })
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// Where the operating system gives no thread.
    pub(crate) fn spawn(
        self: &Arc<Self>,
        intake: Arc<Intake>,
        sink: Arc<dyn Sink>,
        places: Arc<Mutex<Vec<Weak<Core>>>>,
    ) -> std::io::Result<()> {
        let worker = Arc::clone(self);
        let _ = self.names.set(Interner::new(intake.limits().names));
        let handle = thread::Builder::new()
            .name("taximeter".into())
            .spawn(move || worker.run(&intake, &*sink, &places))?;
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(handle.thread().id());
        Ok(())
    }

    /// Tells the worker that much is waiting. It never waits itself: should the lock be taken, the worker is awake.
    pub(crate) fn press(&self) {
        if !self.pressed.load(Ordering::Relaxed)
            && let Ok(_orders) = self.orders.try_lock()
        {
            self.pressed.store(true, Ordering::Relaxed);
            self.changed.notify_all();
        }
    }

    /// How often a name was above the limit of names.
    pub(crate) fn names_above_limit(&self) -> u64 {
        self.names.get().map_or(0, Interner::overflowed)
    }

    pub(crate) fn is_this_thread(&self) -> bool {
        self.not_from_sink().is_err()
    }

    /// Waits for the worker to make room, a moment at most; says whether it is worth another try.
    pub(crate) fn wait_for_room(&self, timeout: Duration) -> bool {
        // A moment: room that was made just before the wait began is found after that.
        const MOMENT: Duration = Duration::from_millis(5);
        let orders = self.orders();
        if timeout.is_zero() || orders.closed {
            return false;
        }
        drop(self.room.wait_timeout(orders, timeout.min(MOMENT)));
        true
    }

    /// Waits until all that was queued before is with the sink and flushed.
    pub(crate) fn flush(
        &self,
        timeout: Duration,
        queued: impl Fn() -> u64,
    ) -> Result<(), FlushError> {
        self.not_from_sink()?;
        let mut orders = self.orders();
        orders.flush_asked += 1;
        let (ticket, told) = (orders.flush_asked, orders.told);
        self.changed.notify_all();
        let waiting = |orders: &mut Orders| orders.flush_done < ticket && !orders.closed;
        let (orders, result) = self
            .changed
            .wait_timeout_while(orders, timeout, waiting)
            .unwrap_or_else(PoisonError::into_inner);
        if result.timed_out() {
            drop(orders);
            return Err(FlushError::Timeout { timeout, queued: queued() });
        }
        let (done, outcome) = (orders.flush_done >= ticket, orders.outcome_since(told));
        drop(orders);
        // A worker that has ended takes nothing more; after a shutdown nothing waits.
        match queued() {
            waiting if !done && waiting > 0 => Err(FlushError::Sink(format!(
                "the worker has ended, and {waiting} operations still wait"
            ))),
            _ => outcome,
        }
    }

    /// Ends the worker once it has handed over all that is queued.
    pub(crate) fn close(
        &self,
        timeout: Duration,
        queued: impl Fn() -> u64,
    ) -> Result<(), FlushError> {
        let mut orders = self.orders();
        orders.close = true;
        let told = orders.told;
        self.changed.notify_all();
        // The last collector may be dropped by the sink: the worker then ends by itself when the sink returns.
        self.not_from_sink()?;
        let open = |orders: &mut Orders| !orders.closed;
        let (orders, result) = self
            .changed
            .wait_timeout_while(orders, timeout, open)
            .unwrap_or_else(PoisonError::into_inner);
        if result.timed_out() {
            drop(orders);
            return Err(FlushError::Timeout { timeout, queued: queued() });
        }
        orders.outcome_since(told)
    }

    fn not_from_sink(&self) -> Result<(), FlushError> {
        let worker = *self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if worker == Some(thread::current().id()) { Err(FlushError::FromSink) } else { Ok(()) }
    }

    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, intake: &Intake, sink: &dyn Sink, places: &Mutex<Vec<Weak<Core>>>) {
        // Whatever happens in here, those who wait must not wait for ever.
        let _closed = Closed(self);
        let mut looked = Instant::now();
        loop {
            let wake = self.wait(intake.limits().interval);
            guarded(intake, || sink.gather());
            self.drain(intake, sink);
            if looked.elapsed() >= Self::between_looks(intake) {
                close_aged(places, |shared| shared.time.monotonic(&shared.intake));
                looked = Instant::now();
            }
            match wake {
                Wake::Tick => intake.shrink(),
                Wake::Pressure => {}
                Wake::Flush(ticket) => {
                    self.note(flush(intake, sink));
                    let mut orders = self.orders();
                    (orders.flush_done, orders.told) = (ticket, orders.failures);
                    self.changed.notify_all();
                }
                Wake::Close => {
                    intake.close();
                    self.drain(intake, sink);
                    self.note(flush(intake, sink));
                    return;
                }
            }
        }
    }

    /// Remembers what the sink failed with, for the flushes that wait and the one that comes next.
    fn note(&self, failure: Option<String>) {
        if failure.is_some() {
            let mut orders = self.orders();
            orders.failures += 1;
            orders.last_failure = failure;
        }
    }

    /// Operations that have been open for too long are looked for this often.
    fn between_looks(intake: &Intake) -> Duration {
        (intake.limits().open_age / 8).min(Duration::from_secs(10))
    }

    /// Hands all that waits to the sink, and counts what became of it.
    fn drain(&self, intake: &Intake, sink: &dyn Sink) {
        let Some(names) = self.names.get() else { return };
        for chunk in intake.drain() {
            self.note(hand_over(intake, sink, &Batch::new(&chunk, names)));
            intake.done_with(chunk);
            self.room.notify_all();
        }
    }

    fn wait(&self, interval: Duration) -> Wake {
        let until = after(interval);
        let mut orders = self.orders();
        loop {
            if orders.close {
                return Wake::Close;
            }
            if orders.flush_asked > orders.flush_done {
                return Wake::Flush(orders.flush_asked);
            }
            if self.pressed.swap(false, Ordering::Relaxed) {
                return Wake::Pressure;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Wake::Tick;
            }
            orders =
                self.changed.wait_timeout(orders, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Says that the worker has ended, also when it unwinds.
struct Closed<'a>(&'a Worker);

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        self.0.orders().closed = true;
        self.0.changed.notify_all();
    }
}

fn hand_over(intake: &Intake, sink: &dyn Sink, batch: &Batch<'_>) -> Option<String> {
    let size = batch.len() as u64;
    match guarded(intake, || sink.accept_packed(batch)) {
        Some(Ok(())) => {
            intake.settled(size, 0, None);
            None
        }
        Some(Err(error)) => {
            let lost = error.lost.min(size);
            intake.settled(size - lost, lost, Some(error.reason));
            Some(words(intake, error))
        }
        None => {
            intake.settled(0, size, Some(LossReason::InternalPanic));
            Some(format!("the sink panicked; {size} operations were lost"))
        }
    }
}

fn flush(intake: &Intake, sink: &dyn Sink) -> Option<String> {
    match guarded(intake, || sink.flush()) {
        Some(Ok(())) => None,
        Some(Err(error)) => Some(words(intake, error)),
        None => Some("the sink panicked while it flushed".into()),
    }
}

/// What the error of a sink says; that, and letting it go, is the program's own code.
fn words(intake: &Intake, error: SinkError) -> String {
    let words = guarded(intake, move || format!("{error}: {}", error.source));
    words.unwrap_or_else(|| "the sink failed, and panicked when it was to say how".into())
}

/// As long from now as can be: a year is as good as for ever.
pub(crate) fn after(timeout: Duration) -> Instant {
    const LONG: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    Instant::now() + timeout.min(LONG)
}
