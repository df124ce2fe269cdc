//! The spans of one trace that is not closed yet.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use foldhash::fast::RandomState;

use super::Window;
use crate::otlp::span::{Source, Span};

/// The spans of one trace, each once.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) opened: DateTime<Utc>,
    last: DateTime<Utc>,
    /// The mark of the last request that had a span of it.
    pub(super) mark: u64,
    has_root: bool,
    pub(super) spans: Vec<Span>,
    /// About how many bytes all of it takes.
    pub(super) bytes: usize,
    /// Where each span is, once there are too many to look through.
    places: HashMap<u64, usize, RandomState>,
}

/// What became of a span.
pub(super) enum Insert<'a> {
    New(&'a Span),
    /// It took the place of the log record that repeats it, which was of this size.
    Replaced(&'a Span, usize),
    Duplicate,
}

/// Up to so many spans are looked through, which costs less than to hash them.
const FEW: usize = 24;

impl Held {
    /// About how many bytes a trace takes beside its spans: its places in the tables, which are half full, and what its
    /// vector takes of the allocator.
    pub(super) const BYTES: usize = 2 * (size_of::<Self>() + 48);

    pub(super) fn new(now: DateTime<Utc>, mark: u64) -> Self {
        Self {
            opened: now,
            last: now,
            mark,
            has_root: false,
            spans: Vec::with_capacity(1),
            bytes: Self::BYTES,
            places: HashMap::default(),
        }
    }

    pub(super) fn insert(&mut self, span: Span, size: usize, now: DateTime<Utc>) -> Insert<'_> {
        self.last = self.last.max(now);
        if let Some(place) = self.place(span.id) {
            let held = &mut self.spans[place];
            if held.source == Source::Span || span.source == Source::Log {
                return Insert::Duplicate;
            }
            let old = held.size();
            self.bytes = self.bytes + size - old.min(self.bytes);
            self.has_root |= span.parent == 0;
            *held = span;
            return Insert::Replaced(held, old);
        }
        // A log record does not know its parent, and so cannot be the root.
        self.has_root |= span.parent == 0 && span.source == Source::Span;
        self.bytes += size;
        if self.spans.len() >= FEW {
            if self.places.is_empty() {
                self.places =
                    self.spans.iter().enumerate().map(|(at, span)| (span.id, at)).collect();
            }
            self.places.insert(span.id, self.spans.len());
        }
        let at = self.spans.len();
        self.spans.push(span);
        Insert::New(&self.spans[at])
    }

    fn place(&self, id: u64) -> Option<usize> {
        if self.spans.len() <= FEW {
            self.spans.iter().position(|span| span.id == id)
        } else {
            self.places.get(&id).copied()
        }
    }

    /// Whether it is to be closed by now.
    pub(super) fn is_whole(&self, window: &Window, now: DateTime<Utc>) -> bool {
        let quiet = if self.has_root { window.settle } else { window.wait };
        since(self.last, now) >= quiet || since(self.opened, now) >= window.most_age
    }
}

/// How long ago an instant was; nothing where the clock went back.
fn since(then: DateTime<Utc>, now: DateTime<Utc>) -> Duration {
    (now - then).to_std().unwrap_or_default()
}
