//! What takes long and needs no connection, on a thread of its own: blocks are put together and summed up there.
//!
//! The thread holds bytes and nothing of the store, so that nobody waits for it, not even who closes the store. What it made
//! is put in by who looks after the store the next time, in one transaction, and until then all is as it was. There is one
//! piece of work at a time, and who appends waits for it where too much would be left to do.

use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::{self, JoinHandle};

use super::SqliteStore;
use super::merge::{self, Merged, Parts};
use super::summed::{self, Summed, Unsummed};
use crate::StoreError;
use crate::store::{Maintained, Summarize};

/// The work that is being done.
#[derive(Debug, Default)]
pub(super) struct Work(Mutex<Option<Thread>>);

type Thread = JoinHandle<Option<Made>>;

/// Who looks after the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// Who has time: the work is done at once.
    Idle,
    /// Who appends: the work is done on another thread.
    Appending,
}

/// A piece of work.
#[derive(Debug)]
enum Task {
    Merge(Parts),
    Sum(Unsummed),
}

/// What was made of it.
#[derive(Debug)]
enum Made {
    Merged(Merged),
    Summed(Summed),
}

/// Puts in what was made, and begins the next piece of work.
pub(super) fn step(store: &SqliteStore, who: Who, done: &mut Maintained) -> Result<(), StoreError> {
    let Some(mut working) = store.work.lock(who) else { return Ok(()) };
    if let Some(thread) = working.take() {
        if who == Who::Appending && !thread.is_finished() && !merge::is_behind(store)? {
            *working = Some(thread);
            done.more = true;
            return Ok(());
        }
        let made = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        made.map_or(Ok(()), |made| made.put(store, done))?;
    }
    let Some(task) = next(store)? else { return Ok(()) };
    done.more = true;
    let thread = match who {
        Who::Appending => waiting(store.summarize.clone()),
        Who::Idle => None,
    };
    match thread {
        Some((hand_over, thread)) => {
            // It waits for nothing else, and so it takes it.
            let _ = hand_over.send(task);
            *working = Some(thread);
            Ok(())
        }
        None => task.make(store.summarize.as_deref()).put(store, done),
    }
}

/// A thread that waits for a piece of work, if there is one to be had.
fn waiting(summarize: Option<Arc<dyn Summarize>>) -> Option<(Sender<Task>, Thread)> {
    let (hand_over, task) = mpsc::channel::<Task>();
    let work = move || {
        give_way();
        Some(task.recv().ok()?.make(summarize.as_deref()))
    };
    let thread = thread::Builder::new().name("taximeter-store".into()).spawn(work).ok()?;
    Some((hand_over, thread))
}

/// Lets every other thread of the program go first: nobody waits for this one. Linux knows priorities of threads; elsewhere
/// they are those of processes, and nothing is done.
fn give_way() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), LAST);
}

/// The lowest priority that there is.
#[cfg(target_os = "linux")]
const LAST: i32 = 19;

fn next(store: &SqliteStore) -> Result<Option<Task>, StoreError> {
    if let Some(parts) = merge::next(store)? {
        return Ok(Some(Task::Merge(parts)));
    }
    Ok(summed::next(store)?.map(Task::Sum))
}

impl Work {
    /// None where somebody else does it just now, and one does not wait for that.
    fn lock(&self, who: Who) -> Option<MutexGuard<'_, Option<Thread>>> {
        match who {
            Who::Idle => Some(self.0.lock().unwrap_or_else(PoisonError::into_inner)),
            Who::Appending => match self.0.try_lock() {
                Ok(working) => Some(working),
                Err(TryLockError::Poisoned(panicked)) => Some(panicked.into_inner()),
                Err(TryLockError::WouldBlock) => None,
            },
        }
    }
}

impl Task {
    fn make(self, summarize: Option<&dyn Summarize>) -> Made {
        match self {
            Self::Merge(parts) => Made::Merged(parts.merge(summarize)),
            Self::Sum(block) => Made::Summed(block.sum(summarize)),
        }
    }
}

impl Made {
    fn put(self, store: &SqliteStore, done: &mut Maintained) -> Result<(), StoreError> {
        done.more = true;
        match self {
            Self::Merged(merged) => {
                done.merged += merged.put(store)?.unwrap_or_default();
                Ok(())
            }
            Self::Summed(summed) => summed.put(store),
        }
    }
}
