//! The spans that are open and matter, by their ids: in a table of the layer's own, since to look one up in that of the
//! registry costs several times as much.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foldhash::fast::FixedState;

use super::heard::Heard;
use super::plan::Plan;
use super::trace::Trace;
use super::voice::Voice;

/// What is kept of a span while it is open.
pub(super) enum Open<W> {
    /// It speaks of LLMs.
    Spoken(Spoken<W>),
    /// It is an outermost one that does not: when it began, and its trace once there is a span within it that does.
    Ambient(Duration, Option<Arc<Trace<W>>>),
}

/// What is kept of a span that speaks of LLMs.
pub(super) struct Spoken<W> {
    pub(super) plan: &'static Plan,
    pub(super) trace: Arc<Trace<W>>,
    /// The nearest span around it that is known; zero for none.
    pub(super) parent: u64,
    pub(super) start: Duration,
    /// The guards of LLM calls when it began.
    pub(super) guards: (u64, u64),
    /// Whether a guard has said that it counts the call that runs here.
    pub(super) claimed: bool,
    pub(super) voice: Arc<Voice>,
}

type Shard<W> = HashMap<u64, Open<W>, FixedState>;

/// The open spans. Threads that have to do with different spans seldom meet.
pub(super) struct OpenSpans<W> {
    /// Another one for every table: the ids of two registries are the same numbers.
    number: u64,
    shards: [Mutex<Shard<W>>; SHARDS],
    hasher: FixedState,
}

const SHARDS: usize = 32;

impl<W> OpenSpans<W> {
    pub(super) fn new() -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let shards = std::array::from_fn(|_| Mutex::default());
        Self { number, shards, hasher: FixedState::default() }
    }

    pub(super) fn insert(&self, id: u64, span: Open<W>) {
        self.shard(id).insert(id, span);
    }

    pub(super) fn remove(&self, id: u64) -> Option<Open<W>> {
        self.shard(id).remove(&id)
    }

    /// Looks at a span. Nothing of the program may run meanwhile: it might come back here.
    pub(super) fn with<R>(&self, id: u64, look: impl FnOnce(&mut Open<W>) -> R) -> Option<R> {
        self.shard(id).get_mut(&id).map(look)
    }

    /// Looks at a span that speaks of LLMs.
    pub(super) fn spoken<R>(&self, id: u64, look: impl FnOnce(&mut Spoken<W>) -> R) -> Option<R> {
        self.with(id, |span| match span {
            Open::Spoken(span) => Some(look(span)),
            Open::Ambient(..) => None,
        })?
    }

    /// Hears what is said of a span.
    #[inline]
    pub(super) fn hear<R>(
        &self,
        id: u64,
        hear: impl FnOnce(&mut Heard, &'static Plan) -> R,
    ) -> Option<R> {
        let mut hear = Some(hear);
        if let Some(said) = Voice::lately((self.number, id), &mut hear) {
            return Some(said);
        }
        let voice = self.voice(id)?;
        Voice::remember(&voice);
        Some(voice.hear(hear?))
    }

    /// Where it is to be put down what is said of a new span.
    pub(super) fn new_voice(
        &self,
        id: u64,
        plan: &'static Plan,
        hear: impl FnOnce(&mut Heard),
    ) -> Arc<Voice> {
        Voice::new((self.number, id), plan, hear)
    }

    fn voice(&self, id: u64) -> Option<Arc<Voice>> {
        self.spoken(id, |span| Arc::clone(&span.voice))
    }

    fn shard(&self, id: u64) -> MutexGuard<'_, Shard<W>> {
        // The table itself goes by the highest and the lowest bits.
        let at = (self.hasher.hash_one(id) >> 32) % SHARDS as u64;
        // Nothing that is done under the lock can leave the table in halves.
        self.shards[usize::try_from(at).unwrap_or(0)].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
