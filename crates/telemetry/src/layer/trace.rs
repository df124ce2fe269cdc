//! The spans of one trace that have closed, held unread until the outermost of them has.

use std::sync::{Arc, Mutex, OnceLock};

use super::brief::Brief;
use super::check::Seen;
use super::reading::Frame;
use super::unread::{Closed, Pile, Unread};
use crate::otlp::trace::Ghosts;

/// A trace: all that runs within one outermost span.
#[derive(Debug)]
pub(super) struct Trace<W> {
    pub(super) bits: u128,
    /// The outermost span.
    pub(super) top: u64,
    /// Whether that span has nothing to do with LLMs itself. It may be open as long as the process.
    pub(super) is_ambient: bool,
    /// When it began, in nanoseconds since 1970, and of the monotonic clock.
    pub(super) wall: u64,
    pub(super) began: u64,
    /// The operation of a guard within which it runs.
    pub(super) within: Option<W>,
    held: Brief<Held>,
    /// What became records already, to place what lies around it, where something could not wait. Who reads has it, and
    /// nobody else.
    ghosts: OnceLock<Arc<Mutex<Ghosts>>>,
}

#[derive(Debug)]
struct Held {
    pile: Pile,
    /// When the oldest of the spans closed, in nanoseconds of the monotonic clock.
    since: u64,
}

/// So many spans, for so many nanoseconds, are held for an outermost span that has nothing to do with LLMs itself.
const MOST_WITHIN_AMBIENT: usize = 256;
const LONGEST_WITHIN_AMBIENT: u64 = 60_000_000_000;

/// So many spans of one trace, and so many bytes of what they say, are held in any case.
const MOST: usize = 4_096;
const MOST_BYTES: usize = 8 << 20;

impl<W> Trace<W> {
    pub(super) fn new(
        bits: u128,
        (top, is_ambient): (u64, bool),
        (wall, began): (u64, u64),
        within: Option<W>,
    ) -> Self {
        let held = Brief::new(Held { pile: Pile::spare(), since: 0 });
        Self { bits, top, is_ambient, wall, began, within, held, ghosts: OnceLock::new() }
    }

    /// A moment of the monotonic clock, in nanoseconds since 1970.
    pub(super) fn at(&self, now: u64) -> u64 {
        self.wall.saturating_add(now.saturating_sub(self.began))
    }

    /// Takes in a span that has closed; gives what can wait no longer.
    pub(super) fn hold(&self, span: &Closed<'_>, now: u64, seen: &Arc<Seen>) -> Option<Unread> {
        let mut held = self.held.lock();
        if held.pile.len() == 0 {
            held.since = now;
        }
        held.pile.push(span);
        if held.pile.len() >= MOST || held.pile.bytes() >= MOST_BYTES {
            let pile = std::mem::take(&mut held.pile);
            return Some(self.unread(pile, true, seen));
        }
        if !self.is_ambient || span.frame.parent != self.top {
            return None;
        }
        let can_wait = held.pile.len() < MOST_WITHIN_AMBIENT
            && now.saturating_sub(held.since) < LONGEST_WITHIN_AMBIENT;
        if can_wait {
            return None;
        }
        held.since = now;
        // They become operations of their own.
        let whole = held.pile.take_whole(self.top);
        Some(self.unread(whole, true, seen))
    }

    /// Gives all that is held, now that the outermost span has closed.
    pub(super) fn end(&self, top: &Closed<'_>, seen: &Arc<Seen>) -> Unread {
        let mut pile = std::mem::take(&mut self.held.lock().pile);
        pile.push(top);
        self.unread(pile, false, seen)
    }

    /// The same, of an outermost span that has nothing to do with LLMs itself; none where nothing is held.
    pub(super) fn end_ambient(
        &self,
        name: &'static str,
        now: u64,
        seen: &Arc<Seen>,
    ) -> Option<Unread> {
        let pile = std::mem::take(&mut self.held.lock().pile);
        if pile.len() == 0 {
            return None;
        }
        let frame = Frame { id: self.top, parent: 0, start: self.wall, end: self.at(now) };
        let mut unread = self.unread(pile, false, seen);
        unread.around = Some((name, frame));
        Some(unread)
    }

    fn unread(&self, pile: Pile, early: bool, seen: &Arc<Seen>) -> Unread {
        // It comes into being with what could not wait, and before anything that comes later.
        let ghosts =
            if early { Some(self.ghosts.get_or_init(Arc::default)) } else { self.ghosts.get() };
        let (ghosts, seen) = (ghosts.cloned(), Arc::clone(seen));
        Unread { trace: self.bits, pile, around: None, early, ghosts, seen }
    }
}
