//! From a request to the store: read, written down, acknowledged; held until its traces are whole; stored.
//!
//! One thread writes requests down, as many at once as wait; another stores what is whole. Both end with the inbox.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use taximeter::history::History;
use taximeter::otlp_in::{Address, Closed, Decoded, Format, Receiver, Refusal, Signal, Taken};
use taximeter::store::{Journal, JournalEntry, JournalTrace};
use taximeter::{OperationRecord, StoreError};
use tokio::sync::{mpsc, oneshot, watch};

use crate::{Config, ServerError};

/// How often what is whole is stored.
const EVERY: Duration = Duration::from_millis(500);
/// How often the store is looked after where there was nothing to do the last time.
const LOOK_AFTER: Duration = Duration::from_secs(10);
/// So many bytes of requests are written down in one transaction.
const AT_ONCE: usize = 8 << 20;
/// So many requests wait to be written down; further clients wait with theirs.
const WAITING: usize = 256;
/// Above so many records that could not be stored yet, nothing more is taken.
const MOST_PENDING: u64 = 200_000;

/// A request that waits to be written down.
struct Waiting {
    entry: JournalEntry,
    written: oneshot::Sender<Result<Written, String>>,
}

/// A request that is written down and not held yet. It is under way until this is dropped, by whoever has it then: a
/// client that goes before its answer was told nothing, and must not keep the journal from being cut.
#[derive(Debug)]
struct Written {
    mark: u64,
    shared: Arc<Shared>,
}

impl Drop for Written {
    fn drop(&mut self) {
        lock(&self.shared.marks).under_way.remove(&self.mark);
    }
}

/// Where requests go. Dropped, it ends at once: what is written down is stored by the next one.
#[derive(Debug)]
pub(crate) struct Inbox {
    shared: Arc<Shared>,
    /// None once it ends.
    letters: Mutex<Option<mpsc::Sender<Waiting>>>,
    threads: Mutex<Vec<thread::JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    receiver: Receiver,
    journal: Journal,
    history: History,
    marks: Mutex<Marks>,
    changed: watch::Sender<u64>,
    /// Records that could not be stored yet.
    pending: AtomicU64,
    ending: AtomicBool,
}

/// Which requests are written down and not held yet.
#[derive(Debug, Default)]
struct Marks {
    under_way: BTreeSet<u64>,
    next: u64,
}

impl Inbox {
    /// Opens the journal, stores what an earlier server acknowledged, and starts.
    pub(crate) async fn start(
        path: &Path,
        config: &Config,
        changed: watch::Sender<u64>,
    ) -> Result<Arc<Self>, ServerError> {
        let (path, config) = (path.to_owned(), config.clone());
        let begun = tokio::task::spawn_blocking(move || Self::begin(&path, config, changed));
        begun.await.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()))
    }

    fn begin(
        path: &Path,
        config: Config,
        changed: watch::Sender<u64>,
    ) -> Result<Arc<Self>, ServerError> {
        let journal = Journal::open(path, config.durability).map_err(ServerError::Journal)?;
        let (receiver, next) = replayed(&journal, &config)?;
        let shared = Arc::new(Shared {
            receiver,
            journal,
            history: config.history,
            marks: Mutex::new(Marks { under_way: BTreeSet::new(), next }),
            changed,
            pending: AtomicU64::new(0),
            ending: AtomicBool::new(false),
        });
        let (letters, requests) = mpsc::channel(WAITING);
        let inbox = Self {
            shared: Arc::clone(&shared),
            letters: Mutex::new(Some(letters)),
            threads: Mutex::default(),
        };
        let writer = Arc::clone(&shared);
        inbox.spawn("taximeter-journal", move || writer.write(requests))?;
        inbox.spawn("taximeter-store", move || shared.store())?;
        Ok(Arc::new(inbox))
    }

    fn spawn(&self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), ServerError> {
        let thread = thread::Builder::new().name(name.to_owned()).spawn(work);
        lock(&self.threads).push(thread.map_err(ServerError::Thread)?);
        Ok(())
    }

    /// The receiver, for what it says of a request.
    pub(crate) fn receiver(&self) -> &Receiver {
        &self.shared.receiver
    }

    /// Takes a request in; it is written down when this returns.
    ///
    /// # Errors
    /// Where it cannot be read, or not be written down now.
    pub(crate) async fn take(&self, address: Address, body: Vec<u8>) -> Result<Taken, Refusal> {
        let not_now = |why: &str| Err(self.receiver().not_now(why));
        if self.shared.pending.load(Ordering::Relaxed) > MOST_PENDING {
            return not_now("the store takes nothing now; send it again later");
        }
        let (decoded, body) = self.read(address, body).await?;
        let now = Utc::now();
        // What says nothing of LLMs need not outlive anything.
        if decoded.is_empty() {
            return Ok(self.receiver().hold(decoded, 0, now));
        }
        let letters = lock(&self.letters).clone();
        let Some(letters) = letters else { return not_now(ENDING) };
        let (written, answer) = oneshot::channel();
        let entry = JournalEntry { at: now, kind: kind(address), body };
        if letters.send(Waiting { entry, written }).await.is_err() {
            return not_now(ENDING);
        }
        match answer.await {
            Ok(Ok(written)) => Ok(self.receiver().hold(decoded, written.mark, now)),
            Ok(Err(why)) => not_now(&why),
            Err(_) => not_now(ENDING),
        }
    }

    /// Reads a body where it holds nobody up.
    async fn read(&self, address: Address, body: Vec<u8>) -> Result<(Decoded, Vec<u8>), Refusal> {
        let shared = Arc::clone(&self.shared);
        let read = tokio::task::spawn_blocking(move || {
            shared.receiver.decode(address, &body).map(|decoded| (decoded, body))
        });
        let gone = |_| self.receiver().not_now("the request could not be read now; send it again");
        read.await.map_err(gone)?
    }

    /// Stores all that is held, and ends.
    pub(crate) async fn finish(&self) {
        drop(lock(&self.letters).take());
        self.shared.ending.store(true, Ordering::Release);
        let threads = std::mem::take(&mut *lock(&self.threads));
        let joined = tokio::task::spawn_blocking(move || {
            for thread in threads {
                let _ = thread.join();
            }
        });
        let _ = joined.await;
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::Release);
    }
}

impl Shared {
    /// Writes requests down, as many at once as wait, until nobody can send one any more.
    fn write(self: &Arc<Self>, mut requests: mpsc::Receiver<Waiting>) {
        while let Some(first) = requests.blocking_recv() {
            let mut bytes = first.entry.body.len();
            let (mut entries, mut senders) = (vec![first.entry], vec![first.written]);
            while bytes < AT_ONCE
                && let Ok(next) = requests.try_recv()
            {
                bytes += next.entry.body.len();
                entries.push(next.entry);
                senders.push(next.written);
            }
            let written = self.append(&entries).map_err(|error| error.to_string());
            for (at, sender) in (0..).zip(senders) {
                let written = written.clone();
                let _ = sender.send(
                    written.map(|first| Written { mark: first + at, shared: Arc::clone(self) }),
                );
            }
        }
    }

    /// Writes down, and notes that what was written is not held yet, in one step as seen by [`floor`](Self::floor).
    fn append(&self, entries: &[JournalEntry]) -> Result<u64, StoreError> {
        let mut marks = lock(&self.marks);
        let first = self.journal.append(entries)?;
        marks.next = first + entries.len() as u64;
        let next = marks.next;
        marks.under_way.extend(first..next);
        Ok(first)
    }

    /// Below this mark, everything is held or was.
    fn floor(&self) -> u64 {
        let marks = lock(&self.marks);
        marks.under_way.first().copied().unwrap_or(marks.next)
    }

    /// Stores what is whole, again and again, until the inbox ends.
    fn store(&self) {
        let mut keeper = Keeper::default();
        let mut look_after = Instant::now() + LOOK_AFTER;
        while !self.ending.load(Ordering::Acquire) {
            thread::sleep(EVERY);
            keeper.step(self, Utc::now());
            if Instant::now() >= look_after {
                let more = self.history.store().maintain(Utc::now()).is_ok_and(|done| done.more);
                look_after = Instant::now() + if more { Duration::ZERO } else { LOOK_AFTER };
            }
        }
        // All that is held is whole by then.
        keeper.step(self, Utc::now() + TimeDelta::hours(1));
    }
}

const ENDING: &str = "the server is ending; send it again later";

/// What waits to be stored, and what of the journal goes once it is.
#[derive(Debug, Default)]
struct Keeper {
    records: Vec<OperationRecord>,
    closed: Vec<Closed>,
    /// Whether it was said that nothing can be stored now.
    told: bool,
}

impl Keeper {
    fn step(&mut self, shared: &Shared, now: DateTime<Utc>) {
        let floor = shared.floor();
        let mut marked = shared.receiver.take_marked(now);
        shared.history.price(&mut marked.records);
        self.records.append(&mut marked.records);
        self.closed.append(&mut marked.closed);
        shared.pending.store(self.records.len() as u64, Ordering::Relaxed);
        if self.records.is_empty() && self.closed.is_empty() {
            return;
        }
        let below = marked.oldest.map_or(floor, |oldest| oldest.min(floor));
        match self.try_step(shared, below) {
            Ok(()) => self.told = false,
            Err(error) if !self.told => {
                self.told = true;
                say(&error);
            }
            Err(_) => {}
        }
        shared.pending.store(self.records.len() as u64, Ordering::Relaxed);
    }

    fn try_step(&mut self, shared: &Shared, below: u64) -> Result<(), StoreError> {
        shared.journal.closing(self.closed.iter().map(|closed| (closed.trace, closed.mark)))?;
        if !self.records.is_empty() {
            append(&shared.history, &self.records)?;
            self.records.clear();
            shared.changed.send_modify(|times| *times += 1);
        }
        self.closed.clear();
        shared.journal.stored(below)
    }
}

/// Stores records; what can never be stored is left out.
fn append(history: &History, records: &[OperationRecord]) -> Result<(), StoreError> {
    let mut failed = None;
    history.store().append_each(records, &mut |error| match error {
        StoreError::Unstorable { .. } => say(&error),
        other => failed = Some(other),
    })?;
    failed.map_or(Ok(()), Err)
}

/// A server says on standard error what went wrong, as other servers do.
#[expect(clippy::print_stderr, reason = "it is the server's log")]
fn say(error: &StoreError) {
    eprintln!("taximeter: {error}");
}

/// Reads the journal as an earlier server left it: stores what that one may not have stored, and gives a receiver that
/// holds all else, with the next mark.
fn replayed(journal: &Journal, config: &Config) -> Result<(Receiver, u64), ServerError> {
    let closed = journal.closed().map_err(ServerError::Journal)?;
    let (stored, closing): (Vec<_>, Vec<_>) = closed.iter().partition(|trace| trace.stored);
    let as_closed = |traces: &[&JournalTrace]| -> Vec<Closed> {
        traces.iter().map(|one| Closed::new(one.trace, one.mark)).collect()
    };
    let now = Utc::now();
    if !closing.is_empty() {
        let first = Receiver::new(config.receiver.clone(), now);
        first.only(as_closed(&closing));
        first.done(as_closed(&stored));
        replay(journal, &first)?;
        let mut records = first.finish();
        config.history.price(&mut records);
        append(&config.history, &records).map_err(ServerError::Replay)?;
        journal.stored(0).map_err(ServerError::Journal)?;
    }
    let receiver = Receiver::new(config.receiver.clone(), now);
    receiver.done(as_closed(&stored));
    receiver.done(as_closed(&closing));
    let next = replay(journal, &receiver)?;
    Ok((receiver, next))
}

/// Gives a receiver the whole journal, and gives the next mark.
fn replay(journal: &Journal, receiver: &Receiver) -> Result<u64, ServerError> {
    let mut next = 1;
    let each = |mark, entry: JournalEntry| {
        next = mark + 1;
        // What was acknowledged could be read; what can no longer be is of another version.
        if let Some(address) = address(&entry.kind)
            && let Ok(decoded) = receiver.decode(address, &entry.body)
        {
            receiver.hold(decoded, mark, entry.at);
        }
    };
    journal.replay(each).map_err(ServerError::Journal)?;
    Ok(next)
}

/// How the journal names an address: `traces protobuf gzip`.
fn kind(address: Address) -> String {
    let signal = address.signal.path().trim_start_matches("/v1/");
    let format = match address.format {
        Format::Protobuf => "protobuf",
        Format::Json => "json",
    };
    format!("{signal} {format} {}", address.encoding())
}

fn address(kind: &str) -> Option<Address> {
    let mut words = kind.split(' ');
    let (signal, format, encoding) = (words.next()?, words.next()?, words.next()?);
    let signal = [Signal::Traces, Signal::Metrics, Signal::Logs]
        .into_iter()
        .find(|one| one.path().strip_prefix("/v1/") == Some(signal))?;
    let format = [Format::Protobuf, Format::Json]
        .into_iter()
        .find(|one| one.content_type().ends_with(format))?;
    Address::of_http(signal, Some(format.content_type()), Some(encoding)).ok()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
