//! What waits to be sent, within its bound; and what became of it.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use taximeter::OperationRecord;

/// What became of the operations that were handed to an exporter.
///
/// `offered = sent + queued + every loss`, in each look at them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
    /// Operations that were handed over.
    pub offered: u64,
    /// Operations that wait, or are under way.
    pub queued: u64,
    /// Operations that a receiver took.
    pub sent: u64,
    /// Operations that were lost because the queue was full.
    pub queue_full: u64,
    /// Operations that were lost because a receiver refused them for good.
    pub refused: u64,
    /// Operations that were lost because no receiver took them in time.
    pub given_up: u64,
    /// Operations that were lost because the exporter had ended.
    pub ended: u64,
    /// Spans that a receiver said it left out of what it took.
    pub rejected_spans: u64,
    /// Requests with metrics that were taken.
    pub metrics_sent: u64,
    /// Requests with metrics that were lost; the next one has the same sums.
    pub metrics_lost: u64,
    /// Tries after the first.
    pub retries: u64,
}

#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    most: usize,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<OperationRecord>,
    /// How many are under way.
    taken: u64,
    counts: Counts,
    /// Send at once, whatever there is, metrics too: as many times as it was asked for.
    flushes: u64,
    flushed: u64,
    ended: bool,
}

/// What there is to do.
#[derive(Debug)]
pub(crate) enum Work {
    /// Send these.
    Spans(Vec<OperationRecord>),
    /// Nothing waits: send the metrics if it is time, or if somebody waits for it.
    Nothing {
        /// Whether somebody waits; then to be told.
        flush: Option<u64>,
    },
    /// There will be no more.
    End,
}

impl Queue {
    pub(crate) fn new(most: usize) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), most }
    }

    /// Puts in what fits; what does not is counted.
    pub(crate) fn put(&self, records: Vec<OperationRecord>) {
        let mut state = self.lock();
        let offered = records.len() as u64;
        state.counts.offered += offered;
        if state.ended {
            state.counts.ended += offered;
            return;
        }
        let room = self.most.saturating_sub(state.waiting.len());
        state.counts.queue_full += offered.saturating_sub(room as u64);
        state.waiting.extend(records.into_iter().take(room));
        drop(state);
        self.changed.notify_all();
    }

    /// Waits for something to do: a whole batch, whatever there is after a delay, or when somebody asks for it.
    pub(crate) fn take(&self, batch: usize, delay: Duration, until: Instant) -> Work {
        let mut state = self.lock();
        let deadline = (Instant::now() + delay).min(until);
        loop {
            let due = Instant::now() >= deadline;
            let hurry = state.ended || state.flushes > state.flushed;
            if state.waiting.len() >= batch || ((due || hurry) && !state.waiting.is_empty()) {
                let many = state.waiting.len().min(batch);
                state.taken = many as u64;
                return Work::Spans(state.waiting.drain(..many).collect());
            }
            if hurry && !state.ended {
                return Work::Nothing { flush: Some(state.flushes) };
            }
            if state.ended {
                return Work::End;
            }
            if due {
                return Work::Nothing { flush: None };
            }
            let left = deadline.saturating_duration_since(Instant::now());
            state = self.wait(state, left);
        }
    }

    /// Says what became of what was taken.
    pub(crate) fn done(&self, count: impl FnOnce(&mut Counts, u64)) {
        let mut state = self.lock();
        let taken = std::mem::take(&mut state.taken);
        count(&mut state.counts, taken);
        drop(state);
        self.changed.notify_all();
    }

    /// Says that everything up to that flush is done.
    pub(crate) fn flushed(&self, flush: u64) {
        self.lock().flushed = flush;
        self.changed.notify_all();
    }

    /// Waits before a further try; false where the exporter ends meanwhile and there is no time for one.
    pub(crate) fn pause(&self, pause: Duration) -> bool {
        let deadline = Instant::now() + pause;
        let mut state = self.lock();
        state.counts.retries += 1;
        while !state.ended {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            state = self.wait(state, left);
        }
        false
    }

    /// Asks for all to be sent now, and waits for it; says whether it was in time.
    pub(crate) fn flush(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut state = self.lock();
        state.flushes += 1;
        let asked = state.flushes;
        self.changed.notify_all();
        while state.flushed < asked && !state.ended {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.wait(state, left);
        }
        state.flushed >= asked || state.ended
    }

    /// Lets nothing more in. What waits is tried once more.
    pub(crate) fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_all();
    }

    /// Gives up what is left: nobody sends any more.
    pub(crate) fn give_up(&self) {
        let mut state = self.lock();
        state.ended = true;
        state.counts.ended += state.waiting.len() as u64;
        state.waiting.clear();
        drop(state);
        self.changed.notify_all();
    }

    pub(crate) fn counts(&self) -> Counts {
        let state = self.lock();
        let queued = state.waiting.len() as u64 + state.taken;
        Counts { queued, ..state.counts }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'q>(&self, state: MutexGuard<'q, State>, most: Duration) -> MutexGuard<'q, State> {
        self.changed.wait_timeout(state, most).unwrap_or_else(PoisonError::into_inner).0
    }
}
