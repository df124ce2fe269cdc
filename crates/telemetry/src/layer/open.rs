//! The spans that are open and matter, by their ids: in a table of the layer's own, since to look one up in that of the
//! registry costs several times as much.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;

use super::brief::Brief;
use super::heard::Heard;
use super::plan::Plan;
use super::trace::Trace;

/// What is kept of a span while it is open.
pub(super) enum Open<W> {
    /// It speaks of LLMs.
    Spoken(Spoken<W>),
    /// It is an outermost one that does not.
    Ambient(Ambient<W>),
}

/// What is kept of a span that speaks of LLMs.
pub(super) struct Spoken<W> {
    pub(super) plan: &'static Plan,
    pub(super) trace: Arc<Trace<W>>,
    /// The nearest span around it that is known; zero for none.
    pub(super) parent: u64,
    /// In nanoseconds of the monotonic clock.
    pub(super) start: u64,
    /// The guards of LLM calls when it began.
    pub(super) guards: (u64, u64),
    /// Whether a guard has said that it counts the call that runs here.
    pub(super) claimed: bool,
}

/// What is kept of an outermost span that does not speak of LLMs.
pub(super) struct Ambient<W> {
    pub(super) name: &'static str,
    /// In nanoseconds of the monotonic clock.
    pub(super) start: u64,
    /// Its trace, once there is a span within it that speaks of LLMs.
    pub(super) trace: Option<Arc<Trace<W>>>,
}

/// The open spans. Threads that have to do with different spans seldom meet.
pub(super) struct OpenSpans<W>(Box<[Brief<Shard<W>>; SHARDS]>);

/// As many as are known when this is compiled: that a shard is one of them needs no look then.
const SHARDS: usize = 128;

/// Mostly there is one span in a shard, and it lies where the one before it lay, with the memory for what is said of it.
struct Shard<W> {
    first: Place<W>,
    more: HashMap<u64, Place<W>, FixedState>,
}

struct Place<W> {
    /// Zero where it is free.
    id: u64,
    open: Option<Open<W>>,
    heard: Heard,
}

impl<W> OpenSpans<W> {
    pub(super) fn new() -> Self {
        Self(Box::new(std::array::from_fn(|_| Brief::default())))
    }

    /// Takes in a span that opens, and hears what is said of it at once. Nothing of the program may run meanwhile: it might
    /// come back here.
    #[inline]
    pub(super) fn insert<R>(
        &self,
        id: u64,
        open: Open<W>,
        hear: impl FnOnce(&mut Heard) -> R,
    ) -> R {
        let mut locked = self.shard(id).lock();
        let is_free = locked.first.id == 0;
        let Shard { first, more } = &mut *locked;
        let place = if is_free { first } else { more.entry(id).or_default() };
        (place.id, place.open) = (id, Some(open));
        hear(&mut place.heard)
    }

    /// Gives a span that has closed, and what was said of it, and keeps neither.
    pub(super) fn remove<R>(&self, id: u64, end: impl FnOnce(Open<W>, &Heard) -> R) -> Option<R> {
        let mut locked = self.shard(id).lock();
        let place = locked.place(id)?;
        let ended = place.open.take().map(|open| end(open, &place.heard));
        if locked.first.id == id {
            locked.first.id = 0;
            locked.first.heard.forget();
        } else {
            locked.more.remove(&id);
        }
        ended
    }

    /// Whether a span is here.
    #[inline]
    pub(super) fn holds(&self, id: u64) -> bool {
        self.shard(id).lock().place(id).is_some()
    }

    /// Looks at a span. Nothing of the program may run meanwhile.
    pub(super) fn with<R>(&self, id: u64, look: impl FnOnce(&mut Open<W>) -> R) -> Option<R> {
        self.shard(id).lock().place(id)?.open.as_mut().map(look)
    }

    /// Looks at a span that speaks of LLMs.
    pub(super) fn spoken<R>(&self, id: u64, look: impl FnOnce(&mut Spoken<W>) -> R) -> Option<R> {
        self.with(id, |span| match span {
            Open::Spoken(span) => Some(look(span)),
            Open::Ambient(_) => None,
        })?
    }

    /// Hears more of a span that speaks of LLMs. Nothing of the program may run meanwhile.
    #[inline]
    pub(super) fn hear<R>(
        &self,
        id: u64,
        hear: impl FnOnce(&Spoken<W>, &mut Heard) -> R,
    ) -> Option<R> {
        match self.shard(id).lock().place(id)? {
            Place { open: Some(Open::Spoken(span)), heard, .. } => Some(hear(span, heard)),
            _ => None,
        }
    }

    #[inline]
    fn shard(&self, id: u64) -> &Brief<Shard<W>> {
        // The registry counts the spans of a thread by the 38 lowest bits of their ids and the threads by the next 13.
        // Where it should count otherwise, spans meet in one shard more often.
        let at = id.wrapping_add((id >> 38).wrapping_mul(8)) % SHARDS as u64;
        &self.0[usize::try_from(at).unwrap_or(0)]
    }
}

impl<W> Shard<W> {
    #[inline]
    fn place(&mut self, id: u64) -> Option<&mut Place<W>> {
        if self.first.id == id { Some(&mut self.first) } else { self.more.get_mut(&id) }
    }
}

impl<W> Default for Shard<W> {
    fn default() -> Self {
        Self { first: Place::default(), more: HashMap::default() }
    }
}

impl<W> Default for Place<W> {
    fn default() -> Self {
        Self { id: 0, open: None, heard: Heard::default() }
    }
}
