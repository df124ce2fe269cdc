//! An operation that has ended: its frame is handed in, and its place may be the next one's.

use std::sync::Arc;

use taximeter_models::{Name, OperationRecord, Outcome};

use crate::frame::{self, Ended};
use crate::open::Open;
use crate::page::Page;
use crate::place::Core;
use crate::sync::atomic::{Ordering, fence};

/// An operation that has ended, whose frame has yet to be handed in.
pub(crate) struct Closed<'c> {
    core: &'c Arc<Core>,
    /// So many bytes were on the page when it ended.
    written: usize,
    /// Holds the whole frame, where it is not all on the page.
    open: Option<Box<Open>>,
}

/// An operation that grew beyond so many bytes is not used again.
const REUSED: usize = 16 << 10;

impl<'c> Closed<'c> {
    /// What was written on the page when it ended, and what was open beside it.
    #[inline]
    pub(crate) fn new(
        core: &'c Arc<Core>,
        written: usize,
        mut open: Option<Box<Open>>,
        outcome: Outcome,
        duration: u64,
    ) -> Self {
        let page = &core.page;
        match &mut open {
            Some(open) => close(open, page, written, outcome, duration),
            None => page.end(written, outcome, duration),
        }
        Self { core, written, open }
    }

    /// The bytes of its frame.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.open.as_ref().map_or(self.written, |open| open.frame().len())
    }

    /// Copies the frame to a place of its length.
    #[inline]
    pub(crate) fn copy_to(&self, place: &mut [u8]) {
        match &self.open {
            Some(open) => place.copy_from_slice(open.frame()),
            None => self.core.page.copy_to(place),
        }
    }

    pub(crate) fn record(&self) -> Option<OperationRecord> {
        let mut frame = vec![0; self.len()];
        self.copy_to(&mut frame);
        frame::read(&frame, &mut |text: &str| Name::from(text)).map(|(record, _)| record)
    }

    /// The place, to be used again, if nobody else holds it, it did not grow large, and no part came too late.
    #[inline]
    pub(crate) fn reusable(&mut self) -> Option<Spare> {
        // Whoever asks whether it is the only holder is one: but for the worker, which looks for operations that are
        // too old and leaves those alone that are not open, nobody can come to hold it behind its back.
        if Arc::strong_count(self.core) > 1
            || self.open.as_ref().is_some_and(|open| open.memory() > REUSED)
        {
            return None;
        }
        // What the others did before they let go is seen from here on. Parts that are late are counted when the place goes.
        fence(Ordering::Acquire);
        let is_whole = self.core.page.written() == self.written;
        is_whole.then(|| Spare { core: Arc::clone(self.core), open: self.open.take() })
    }
}

#[cold]
fn close(open: &mut Open, page: &Page, written: usize, outcome: Outcome, duration: u64) {
    open.take_in(page, written);
    let (id, started_at) = (page.id(), page.started_at());
    open.close(&Ended { id, started_at, duration, outcome });
}

/// A place that waits for the next operation, and the memory that the last one had beside the page.
#[derive(Debug)]
pub(crate) struct Spare {
    pub(crate) core: Arc<Core>,
    open: Option<Box<Open>>,
}

impl Spare {
    /// A place whose memory beside the page, if it has any, was not used.
    #[inline]
    pub(crate) fn of(core: Arc<Core>) -> Self {
        Self { core, open: None }
    }

    /// The place, with its memory.
    #[inline]
    pub(crate) fn place(self) -> Arc<Core> {
        if let Some(mut open) = self.open {
            open.begin();
            self.core.give(open);
        }
        self.core
    }
}
