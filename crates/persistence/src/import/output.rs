//! Where the readers of formats put what they find, and what they remember across files.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use taximeter_models::OperationRecord;

use super::ImportOptions;
use super::error::{Counts, Rejected, Why};
use super::family::{Family, Names};
use super::frame::Place;
use super::{claude_code, codex};

/// What was found and not yet given out, and what was counted.
pub(crate) struct Output {
    queue: VecDeque<Result<OperationRecord, Rejected>>,
    pub(crate) counts: Counts,
    /// The file that is read; none where it is a stream.
    pub(crate) path: Option<Arc<Path>>,
    /// The time that is now, where what may still go on is held back: what ended long before it does not.
    pub(crate) now: Option<DateTime<Utc>>,
    pub(crate) claude_code: claude_code::Memory,
    pub(crate) codex: codex::Memory,
    family: Family,
}

impl Output {
    pub(crate) fn new(options: &ImportOptions) -> Self {
        Self {
            queue: VecDeque::new(),
            counts: Counts::default(),
            path: None,
            now: options.hold_back.then_some(options.now),
            claude_code: claude_code::Memory::default(),
            codex: codex::Memory::default(),
            family: Family::default(),
        }
    }

    pub(crate) fn record(&mut self, record: OperationRecord) {
        self.queue.push_back(Ok(record));
    }

    /// Takes a span that may have a parent, and others of which it may be the parent.
    pub(crate) fn span(&mut self, names: &Names<'_>, record: OperationRecord) {
        match self.family.add(names, record) {
            Some(ready) => self.queue.extend(ready.into_iter().map(Ok)),
            None => self.counts.duplicates += 1,
        }
    }

    /// Gives out the spans whose parents did not come, at the end of a file.
    pub(crate) fn end_family(&mut self) {
        self.queue.extend(self.family.end().into_iter().map(Ok));
    }

    pub(crate) fn reject(&mut self, place: Place, why: Why) {
        self.queue.push_back(Err(Rejected::new(self.path.clone(), place, why)));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Forgets what was found and not yet given out, and what was counted; but not of what it told.
    pub(crate) fn forget(&mut self) {
        self.queue.clear();
        self.counts = Counts::default();
    }

    /// How many were found and not yet given out.
    pub(crate) fn waiting(&self) -> u64 {
        self.queue.len() as u64
    }

    /// Gives out what was found first, and counts it.
    pub(crate) fn next(&mut self) -> Option<Result<OperationRecord, Rejected>> {
        let next = self.queue.pop_front()?;
        *(if next.is_ok() { &mut self.counts.records } else { &mut self.counts.rejected }) += 1;
        Some(next)
    }
}
