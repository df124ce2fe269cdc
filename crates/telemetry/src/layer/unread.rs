//! Spans that have closed and that nobody has read: what was said of them lies in one list and one text.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use taximeter_models::{OperationRecord, TokenUsage};

use super::check::Seen;
use super::heard::{Facts, Said, Words, place};
use super::plan::Plan;
use super::reading::{Frame, ambient, read_closed};
use crate::otlp::alias::Spoken;
use crate::otlp::role::Role;
use crate::otlp::span::Span;
use crate::otlp::trace::{Ghosts, close};

/// Spans of one trace that have closed, to be [read](Unread::read) when there is time. Until then they are little more
/// than the bytes that were said of them.
pub struct Unread {
    pub(super) trace: u128,
    pub(super) pile: Pile,
    /// The span around all of them, which says nothing itself.
    pub(super) around: Option<(&'static str, Frame)>,
    /// Whether they could not wait for the outermost span.
    pub(super) early: bool,
    /// What was read of its trace before; none where this is all of it.
    pub(super) ghosts: Option<Arc<Mutex<Ghosts>>>,
    pub(super) seen: Arc<Seen>,
}

/// A span that has closed, with what was said of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Closed<'h> {
    pub(super) plan: &'static Plan,
    pub(super) frame: Frame,
    /// Whether a guard counts the call that it tells of, if it tells of one.
    pub(super) guarded: bool,
    pub(super) words: Words<'h>,
}

/// Spans that have closed, one after the other.
#[derive(Debug, Default)]
pub(super) struct Pile {
    spans: Vec<Kept>,
    said: Vec<(Spoken, Said)>,
    text: String,
}

/// A span of a pile, and where in it lies what was said of it.
#[derive(Debug, Clone, Copy)]
struct Kept {
    plan: &'static Plan,
    frame: Frame,
    guarded: bool,
    facts: Facts,
    said: (u32, u32),
    text: (u32, u32),
}

/// So many spans of one trace are remembered when they were read.
const MOST_GHOSTS: usize = 65_536;

impl Unread {
    /// How many spans there are.
    pub fn len(&self) -> usize {
        self.pile.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// About how many bytes they hold.
    pub fn bytes(&self) -> usize {
        self.pile.bytes()
    }

    /// Gives them up unread, and counts them as lost.
    pub fn lose(self) {
        self.seen.counts.lost.fetch_add(self.len() as u64, Ordering::Relaxed);
    }

    /// Reads them. What belongs to one trace is to be read in the order in which it came.
    pub fn read(self) -> Vec<OperationRecord> {
        let Self { trace, ref pile, around, early, ref ghosts, ref seen } = self;
        let counts = &seen.counts;
        let add = |count: &std::sync::atomic::AtomicU64, more: u64| {
            if more > 0 {
                count.fetch_add(more, Ordering::Relaxed);
            }
        };
        let mut guarded = Vec::new();
        let (mut spans, mut unread) = (Vec::with_capacity(pile.len() + 1), 0);
        for closed in pile.iter() {
            match read_closed(closed.words, closed.plan, trace, closed.frame) {
                Some(mut span) => {
                    if closed.guarded && span.role == Role::Call {
                        guarded.push(span.id);
                        count_elsewhere(&mut span);
                    }
                    spans.push(span);
                }
                None => unread += 1,
            }
        }
        add(&counts.unread, unread);
        add(&counts.guarded, guarded.len() as u64);
        add(&counts.early, u64::from(early));
        if spans.is_empty() {
            return Vec::new();
        }
        spans.extend(around.and_then(|(name, frame)| ambient(name, trace, frame)));
        let mut ghosts =
            ghosts.as_ref().map(|ghosts| ghosts.lock().unwrap_or_else(PoisonError::into_inner));
        let before = ghosts.as_deref().map(Ghosts::as_slice).unwrap_or_default();
        let mut records = Vec::new();
        let is_guarded = |span: &Span| guarded.contains(&span.id);
        let closed = close(spans, before, is_guarded, &mut records, early);
        add(&counts.nested, closed.nested);
        if let Some(ghosts) = ghosts.as_mut().filter(|_| early) {
            **ghosts = closed.ghosts;
            let beyond = ghosts.len().saturating_sub(MOST_GHOSTS);
            ghosts.drain(..beyond);
            add(&counts.forgotten, beyond as u64);
        }
        records
    }
}

/// The guard knows the usage, if anybody does: an agent around the call must not count it again.
fn count_elsewhere(span: &mut Span) {
    let call = span.calls.first_mut();
    if let Some(call) = call.filter(|call| call.usage.is_none()) {
        call.usage = Some(TokenUsage::new(0, 0));
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        std::mem::take(&mut self.pile).give_back();
    }
}

impl fmt::Debug for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unread").field("spans", &self.len()).finish_non_exhaustive()
    }
}

/// Piles that were read, to be used again: threads of the program fill them, and another one reads.
static SPARE: Mutex<Vec<Pile>> = Mutex::new(Vec::new());

/// So many are kept, none of them larger.
const SPARES: usize = 64;
const LARGEST: usize = 32 << 10;

impl Pile {
    /// One to be used again, if there is one.
    pub(super) fn spare() -> Self {
        // Nobody waits for a pile: a new one is as good.
        SPARE.try_lock().ok().and_then(|mut spare| spare.pop()).unwrap_or_default()
    }

    fn give_back(mut self) {
        let bytes = self.spans.capacity() * size_of::<Kept>()
            + self.said.capacity() * size_of::<(Spoken, Said)>()
            + self.text.capacity();
        if bytes == 0 || bytes > LARGEST {
            return;
        }
        self.spans.clear();
        self.said.clear();
        self.text.clear();
        if let Ok(mut spare) = SPARE.try_lock()
            && spare.len() < SPARES
        {
            spare.push(self);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.spans.len() * size_of::<Kept>()
            + self.said.len() * size_of::<(Spoken, Said)>()
            + self.text.len()
    }

    #[inline]
    pub(super) fn push(&mut self, span: &Closed<'_>) {
        let Closed { plan, frame, guarded, ref words } = *span;
        let at = |before: usize, after: usize| (place(before), place(after));
        let (said, text) = (self.said.len(), self.text.len());
        self.said.extend_from_slice(words.said);
        self.text.push_str(words.text);
        let (said, text) = (at(said, self.said.len()), at(text, self.text.len()));
        self.spans.push(Kept { plan, frame, guarded, facts: *words.facts, said, text });
    }

    fn iter(&self) -> impl Iterator<Item = Closed<'_>> {
        self.spans.iter().map(|kept| self.closed(kept))
    }

    fn closed<'p>(&'p self, kept: &'p Kept) -> Closed<'p> {
        let Kept { plan, frame, guarded, ref facts, said, text } = *kept;
        let said = self.said.get(said.0 as usize..said.1 as usize).unwrap_or_default();
        let text = self.text.get(text.0 as usize..text.1 as usize).unwrap_or_default();
        Closed { plan, frame, guarded, words: Words { said, text, facts } }
    }

    /// Takes out the spans around which nothing is open but the outermost span. They are within nothing then.
    pub(super) fn take_whole(&mut self, top: u64) -> Self {
        let mut whole = vec![top];
        // A span closes after those within it, so that from the last to the first each comes after its parent.
        let mut is_whole: Vec<_> = self
            .spans
            .iter()
            .rev()
            .map(|span| {
                let is_whole = whole.contains(&span.frame.parent);
                if is_whole {
                    whole.push(span.frame.id);
                }
                is_whole
            })
            .collect();
        is_whole.reverse();
        let (mut taken, mut kept) = (Self::default(), Self::default());
        for (mut span, is_whole) in self.iter().zip(is_whole) {
            if is_whole && span.frame.parent == top {
                span.frame.parent = 0;
            }
            if is_whole { taken.push(&span) } else { kept.push(&span) }
        }
        *self = kept;
        taken
    }
}
