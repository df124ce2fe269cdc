//! Spans that have closed and wait to be read: by the meter's worker, and not by the threads of the program. And what is
//! odd about their layer.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use taximeter_collector::Inlet;
use taximeter_models::OperationRecord;
use taximeter_telemetry::layer::{Check, Unread};

/// Spans that wait to be read.
#[derive(Debug)]
pub(crate) struct Waiting {
    queue: Mutex<Queue>,
    /// Held while one trace is taken out and read, so that the spans of each are read in their order.
    reading: Mutex<()>,
    inlet: OnceLock<Inlet>,
    process: u32,
    /// Whether somebody was told what is odd about a layer.
    told: AtomicBool,
    /// Whether a layer was looked at, and what was found.
    looked: AtomicBool,
    found: Mutex<Option<Check>>,
}

#[derive(Debug, Default)]
struct Queue {
    unread: VecDeque<Unread>,
    bytes: usize,
}

/// When so many bytes wait, who brings more reads.
const MOST: usize = 16 << 20;

impl Waiting {
    pub(crate) fn new() -> Self {
        Self {
            queue: Mutex::default(),
            reading: Mutex::default(),
            inlet: OnceLock::new(),
            process: std::process::id(),
            told: AtomicBool::new(false),
            looked: AtomicBool::new(false),
            found: Mutex::default(),
        }
    }

    /// Where to record what is read: there is one collector to a meter.
    pub(super) fn record_into(&self, inlet: &Inlet) {
        let _ = self.inlet.set(inlet.clone());
    }

    /// Takes in what is to be read.
    pub(super) fn put(&self, unread: Unread, inlet: &Inlet) {
        // In a forked child nobody comes to read, and the locks below may never come.
        if std::process::id() != self.process {
            return record(unread.read(), inlet);
        }
        let mut queue = lock(&self.queue);
        let before = queue.bytes;
        queue.bytes += unread.bytes();
        let bytes = queue.bytes;
        queue.unread.push_back(unread);
        drop(queue);
        if before < MOST / 4 && bytes >= MOST / 4 {
            inlet.press();
        }
        while lock(&self.queue).bytes > MOST {
            let Some(records) = self.read() else { return };
            record(records, inlet);
        }
    }

    /// Reads what waits. For the worker.
    pub(crate) fn gather(&self) {
        let Some(inlet) = self.inlet.get() else { return };
        // What comes meanwhile is for the next time.
        let many = lock(&self.queue).unread.len();
        for _ in 0..many {
            let Some(records) = self.read() else { return };
            record(records, inlet);
        }
    }

    fn read(&self) -> Option<Vec<OperationRecord>> {
        let _reading = lock(&self.reading);
        let mut queue = lock(&self.queue);
        let unread = queue.unread.pop_front()?;
        queue.bytes = queue.bytes.saturating_sub(unread.bytes());
        drop(queue);
        Some(unread.read())
    }

    /// Says once, as an event of `tracing`, what is odd about the layer in force here, if something is.
    pub(crate) fn tell_what_is_odd(&self) {
        if !self.told.load(Ordering::Relaxed)
            && let Some(check) = self.odd()
            && !self.told.swap(true, Ordering::Relaxed)
        {
            ::tracing::warn!(target: "taximeter", "the layer of taximeter {check}");
        }
    }

    /// What is odd about the layer in force here, if it is one of this meter: that it sees nothing of LLMs where there was
    /// much to be seen, or that it cannot see any.
    pub(crate) fn odd(&self) -> Option<Check> {
        super::seen(|layer| {
            let watch = layer.watch();
            // Whether filters leave spans out is asked at the first look, and not each time: that takes a thread.
            let asks = !watch.has_seen()
                && layer.recorder().is_of(self)
                && (watch.is_odd() || !self.looked.swap(true, Ordering::Relaxed));
            let mut found = lock(&self.found);
            if watch.has_seen() {
                *found = None;
            } else if asks {
                *found = match watch.check() {
                    check @ (Check::FilteredOut | Check::BuiltWithout) => Some(check),
                    check @ Check::NoSource if watch.is_odd() => Some(check),
                    _ => None,
                };
            }
            *found
        })?
    }
}

fn record(records: Vec<OperationRecord>, inlet: &Inlet) {
    for record in records {
        inlet.record(record);
    }
}

/// Nothing that is done under these locks can leave what they guard in halves.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
