//! The spans of one trace that have closed, held until the outermost of them has, which is when they become records.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use taximeter_models::OperationRecord;

use crate::otlp::span::Span;
use crate::otlp::trace::{Ghosts, close};

/// A trace: all that runs within one outermost span.
#[derive(Debug)]
pub(super) struct Trace<W> {
    pub(super) bits: u128,
    /// The outermost span.
    pub(super) top: u64,
    /// Whether that span has nothing to do with LLMs itself. It may be open as long as the process.
    pub(super) is_ambient: bool,
    /// When it began, in nanoseconds since 1970, and by the monotonic clock.
    pub(super) wall: u64,
    pub(super) began: Duration,
    /// The operation of a guard within which it runs.
    pub(super) within: Option<W>,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    spans: Vec<Span>,
    /// What became records already, to place what lies around it.
    ghosts: Ghosts,
    /// When the oldest of the spans closed.
    since: Duration,
}

/// What became of spans that were held.
#[derive(Debug, Default)]
pub(super) struct Given {
    pub(super) records: Vec<OperationRecord>,
    /// Calls that are parts of other calls.
    pub(super) nested: u64,
    /// Whether they could not wait for the outermost span.
    pub(super) early: bool,
    /// Spans of which is no longer known that they were counted.
    pub(super) forgotten: u64,
}

/// So many spans, so long, are held for an outermost span that has nothing to do with LLMs itself.
const MOST_WITHIN_AMBIENT: usize = 256;
const LONGEST_WITHIN_AMBIENT: Duration = Duration::from_secs(60);

/// So many spans of one trace are held in any case, and so many are remembered when they were given away.
const MOST: usize = 4_096;
const MOST_GHOSTS: usize = 65_536;

impl<W> Trace<W> {
    pub(super) fn new(
        bits: u128,
        (top, is_ambient): (u64, bool),
        (wall, began): (u64, Duration),
        within: Option<W>,
    ) -> Self {
        Self { bits, top, is_ambient, wall, began, within, held: Mutex::default() }
    }

    /// An instant by the monotonic clock, in nanoseconds since 1970.
    pub(super) fn nanos(&self, now: Duration) -> u64 {
        let since = now.saturating_sub(self.began).as_nanos();
        self.wall.saturating_add(u64::try_from(since).unwrap_or(u64::MAX))
    }

    /// Takes in a span that has closed; gives what can wait no longer.
    pub(super) fn hold(&self, span: Span, now: Duration) -> Option<Given> {
        let is_outer = span.parent == self.top;
        let mut held = self.lock();
        if held.spans.is_empty() {
            held.since = now;
        }
        held.spans.push(span);
        if held.spans.len() >= MOST {
            let spans = std::mem::take(&mut held.spans);
            return Some(held.give(spans, true));
        }
        let can_wait = held.spans.len() < MOST_WITHIN_AMBIENT
            && now.saturating_sub(held.since) < LONGEST_WITHIN_AMBIENT;
        if !(self.is_ambient && is_outer) || can_wait {
            return None;
        }
        let mut whole = held.take_whole(self.top);
        held.since = now;
        // They become operations of their own.
        whole.iter_mut().filter(|span| span.parent == self.top).for_each(|span| span.parent = 0);
        Some(held.give(whole, true))
    }

    /// Gives all that is held, now that the outermost span has closed.
    pub(super) fn end(&self, top: Option<Span>) -> Given {
        let mut held = self.lock();
        let mut spans = std::mem::take(&mut held.spans);
        spans.extend(top);
        held.give(spans, false)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().spans.is_empty()
    }

    /// Nothing that is done under the lock can leave the spans in halves.
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn give(&mut self, spans: Vec<Span>, early: bool) -> Given {
        let mut given = Given { early, ..Given::default() };
        let closed = close(spans, &self.ghosts, |_| false, &mut given.records, early);
        given.nested = closed.nested;
        if early {
            self.ghosts = closed.ghosts;
            let beyond = self.ghosts.len().saturating_sub(MOST_GHOSTS);
            self.ghosts.drain(..beyond);
            given.forgotten = beyond as u64;
        }
        given
    }

    /// Takes out the spans around which nothing is open but the outermost span.
    fn take_whole(&mut self, top: u64) -> Vec<Span> {
        let mut whole = vec![top];
        // A span closes after those within it, so that from the last to the first each comes after its parent.
        let mut is_whole: Vec<_> = self
            .spans
            .iter()
            .rev()
            .map(|span| {
                let is_whole = whole.contains(&span.parent);
                if is_whole {
                    whole.push(span.id);
                }
                is_whole
            })
            .collect();
        is_whole.reverse();
        let mut which = is_whole.into_iter();
        let (taken, kept) = std::mem::take(&mut self.spans)
            .into_iter()
            .partition(|_| which.next().unwrap_or_default());
        self.spans = kept;
        taken
    }
}
