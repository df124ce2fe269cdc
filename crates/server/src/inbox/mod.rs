//! From a request to the store: read, written down, acknowledged; held until its traces are whole; stored.
//!
//! One thread writes requests down, as many at once as wait; another stores what is whole; a third looks after the store.
//! All end with the inbox. Where the store is slower than the clients, these wait: all that is between the socket and the
//! store is bounded in bytes.

mod keeper;
mod receiving;
mod replay;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use taximeter::StoreError;
use taximeter::history::History;
use taximeter::metrics::Instruments;
use taximeter::otlp_in::{Address, Decoded, Receiver, Refusal, Taken};
use taximeter::store::{Journal, JournalEntry};
use tokio::sync::{Notify, Semaphore, SemaphorePermit, mpsc, oneshot, watch};
use tokio::time::timeout;

use self::keeper::{Keeper, Step};
pub(crate) use self::receiving::Receiving;
use self::receiving::Requests;
use self::replay::{kind, replayed};
use crate::{Config, ServerError};

/// How often what is whole is stored.
const EVERY: Duration = Duration::from_millis(500);
/// How often the store is looked after where there was nothing to do the last time.
const LOOK_AFTER: Duration = Duration::from_secs(10);
/// The store is looked after sooner where so many operations were stored: about a block.
const MUCH: u64 = 32_768;
/// So many bytes of requests are written down in one transaction.
const AT_ONCE: usize = 8 << 20;
/// So many requests wait to be written down; further clients wait with theirs.
const WAITING: usize = 256;
/// So many bytes of requests, unpacked, are between being read and being held; further requests wait for these.
const MOST_UNDER_WAY: u32 = 16 << 20;
/// How many times as large a compressed body is taken to be when it is unpacked.
const UNPACKED: usize = 8;

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
    /// Who may read a body.
    reading: Arc<Semaphore>,
    /// A permit for each byte that may be between being read and being held.
    under_way: Semaphore,
    /// How long a request waits for room.
    room_time: Duration,
}

#[derive(Debug)]
struct Shared {
    receiver: Receiver,
    journal: Journal,
    history: History,
    marks: Mutex<Marks>,
    changed: watch::Sender<u64>,
    /// When it began.
    since: DateTime<Utc>,
    requests: Requests,
    /// Told whenever there is more room with the receiver.
    taken: Notify,
    /// The thread that stores.
    keeper: OnceLock<thread::Thread>,
    /// The metrics of all operations that were stored.
    instruments: Mutex<Instruments>,
    /// Records that could not be stored yet.
    pending: AtomicU64,
    /// Records that no store can hold.
    unstorable: AtomicU64,
    /// Records that were stored since the store was looked after.
    stored: AtomicU64,
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
        let room_time = config.limits.room_time;
        let shared = Arc::new(Shared {
            receiver,
            journal,
            history: config.history,
            marks: Mutex::new(Marks { under_way: BTreeSet::new(), next }),
            changed,
            since: Utc::now(),
            requests: Requests::default(),
            taken: Notify::new(),
            keeper: OnceLock::new(),
            instruments: Mutex::default(),
            pending: AtomicU64::new(0),
            unstorable: AtomicU64::new(0),
            stored: AtomicU64::new(0),
            ending: AtomicBool::new(false),
        });
        let (letters, requests) = mpsc::channel(WAITING);
        let inbox = Self {
            shared: Arc::clone(&shared),
            letters: Mutex::new(Some(letters)),
            threads: Mutex::default(),
            reading: Arc::new(Semaphore::new(
                thread::available_parallelism().map_or(2, usize::from),
            )),
            under_way: Semaphore::new(MOST_UNDER_WAY as usize),
            room_time,
        };
        let writer = Arc::clone(&shared);
        inbox.spawn("taximeter-journal", move || writer.write(requests))?;
        let upkeep = Arc::clone(&shared);
        inbox.spawn("taximeter-store", move || shared.store())?;
        inbox.spawn("taximeter-upkeep", move || upkeep.look_after())?;
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

    /// What was done with all that came.
    pub(crate) fn receiving(&self) -> Receiving {
        Receiving::of(&self.shared)
    }

    /// The metrics of all operations that were stored since it began, as they are now.
    pub(crate) fn instruments(&self) -> Instruments {
        lock(&self.shared.instruments).clone()
    }

    /// Takes a request in; it is written down when this returns.
    ///
    /// # Errors
    /// Where it cannot be read, or not be written down now.
    pub(crate) async fn take(&self, address: Address, body: Vec<u8>) -> Result<Taken, Refusal> {
        let bytes = body.len() as u64;
        let answer = self.try_take(address, body).await;
        self.shared.requests.count(bytes, &answer);
        answer
    }

    async fn try_take(&self, address: Address, body: Vec<u8>) -> Result<Taken, Refusal> {
        let not_now = |why: &str| Err(self.receiver().not_now(why));
        let Ok(_room) = timeout(self.room_time, self.room(address, body.len())).await else {
            return not_now("the store is busy; send it again later");
        };
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

    /// Waits for room for a request, which it has until what is given here is dropped.
    async fn room(&self, address: Address, body: usize) -> Option<SemaphorePermit<'_>> {
        let packed = address.encoding() != "identity";
        let bytes = if packed { body.saturating_mul(UNPACKED) } else { body };
        let bytes = u32::try_from(bytes).map_or(MOST_UNDER_WAY, |bytes| bytes.min(MOST_UNDER_WAY));
        let room = self.under_way.acquire_many(bytes).await.ok();
        loop {
            let taken = self.shared.taken.notified();
            if self.receiver().has_room() {
                return room;
            }
            self.shared.wake_keeper();
            taken.await;
        }
    }

    /// Reads a body where it holds nobody up.
    async fn read(&self, address: Address, body: Vec<u8>) -> Result<(Decoded, Vec<u8>), Refusal> {
        let shared = Arc::clone(&self.shared);
        // More at a time than there are cores would take memory, and no time less.
        let turn = Arc::clone(&self.reading).acquire_owned().await.ok();
        let read = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            shared.receiver.decode(address, &body).map(|decoded| (decoded, body))
        });
        let gone = |_| self.receiver().not_now("the request could not be read now; send it again");
        read.await.map_err(gone)?
    }

    /// Stores all that is held, and ends.
    pub(crate) async fn finish(&self) {
        drop(lock(&self.letters).take());
        self.shared.ending.store(true, Ordering::Release);
        self.shared.wake_keeper();
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
        let _ = self.keeper.set(thread::current());
        let mut keeper = Keeper::default();
        while !self.ending.load(Ordering::Acquire) {
            let begun = Instant::now();
            match keeper.step(self, Utc::now()) {
                Step::More => {}
                Step::Done => thread::park_timeout(EVERY.saturating_sub(begun.elapsed())),
                // Who waits for room does not make it come sooner.
                Step::Failed => thread::sleep(EVERY),
            }
        }
        // All that is held is whole by then.
        while matches!(keeper.step(self, Utc::now() + TimeDelta::hours(1)), Step::More) {}
    }

    fn wake_keeper(&self) {
        if let Some(keeper) = self.keeper.get() {
            keeper.unpark();
        }
    }

    /// Looks after the store, again and again, until the inbox ends. Blocks are sealed beside what is stored meanwhile.
    fn look_after(&self) {
        let mut next = Instant::now() + LOOK_AFTER;
        while !self.ending.load(Ordering::Acquire) {
            let much = self.stored.load(Ordering::Relaxed) >= MUCH;
            if !much && Instant::now() < next {
                thread::sleep(EVERY);
                continue;
            }
            self.stored.store(0, Ordering::Relaxed);
            let more = self.history.store().maintain(Utc::now()).is_ok_and(|done| done.more);
            next = Instant::now() + if more { Duration::ZERO } else { LOOK_AFTER };
        }
    }
}

const ENDING: &str = "the server is ending; send it again later";

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
