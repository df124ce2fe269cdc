//! The page of an operation: the bytes of its frame, written by one thread without a lock and read by any.
//!
//! All is atomics, so that no order of events is undefined. What keeps the bytes whole is who writes what:
//!
//! | word | written by |
//! |---|---|
//! | `writer` | whoever begins the operation, who alone knows it then; after that set to nobody, under the operation's lock |
//! | the header: words 0 to 4 | whoever begins, starts or ends the operation, one after another |
//! | the bytes behind it, and `written` | the writer alone |
//!
//! Parts begin at words; what is left of a word before is zeros, which stand for nothing in a frame.
//!
//! A call of a tool is put together where it belongs, behind what is written. Until it is whole, `written` has a sign that
//! leaves no room for other parts: those go beside the page, and so does the call then.
//!
//! The bytes are there for whoever has read `written` (a release store, an acquire load). The writer may have read that it
//! is the writer just before it ceased to be: then it writes on for a moment, behind all that was read before, where it is
//! found by the next look at `written`. A page is begun anew only when nobody holds a handle to it, the writer included.

use taximeter_models::{OperationId, Outcome};

use crate::frame::{HEADER, Word, Words, halves, head};
use crate::limits::Limits;
use crate::slots::{NOBODY, is_own, token};
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The words of a page: enough for an operation of some ten calls and components.
const WORDS: usize = 64;

/// The bytes of a page.
pub(crate) const PAGE: usize = WORDS * 8;

/// The words that a part is given to be put together in.
pub(crate) const ROOM: usize = 16;

/// The sign that a call is being put together on the page: further than any part may begin, so that meanwhile there is room
/// for none.
const DRAFT: usize = 1 << 31;

/// The kinds of parts of which there may be so many and no more.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Key,
    Tag,
    Component,
    Tool,
    Llm,
    Error,
    Warning,
    /// Errors and warnings without words: one part for any number of them.
    Unlisted,
}

impl Kind {
    pub(crate) const ALL: [Self; 8] = [
        Self::Key,
        Self::Tag,
        Self::Component,
        Self::Tool,
        Self::Llm,
        Self::Error,
        Self::Warning,
        Self::Unlisted,
    ];

    /// How many there may be.
    #[inline]
    pub(crate) fn most(self, limits: &Limits) -> usize {
        match self {
            Self::Key | Self::Tag => limits.keys,
            Self::Component => limits.components,
            Self::Tool | Self::Llm => limits.calls,
            Self::Error | Self::Warning => limits.messages,
            Self::Unlisted => usize::MAX,
        }
    }
}

/// A part that is words already: so many, and what lies behind them is nobody's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part<'w> {
    pub(crate) words: &'w [Word],
    pub(crate) length: usize,
}

impl<'w> Part<'w> {
    /// The words, and nothing else.
    pub(crate) fn whole(self) -> &'w [Word] {
        self.words.get(..self.length).unwrap_or_default()
    }

    /// Copies it to places where there is room; says whether there was.
    #[inline]
    pub(crate) fn copy_to(self, places: &[Word]) -> bool {
        // Most parts are no longer than this: without a loop, a word is two instructions.
        if let (Some(places), Some(words)) = (places.first_chunk(), self.words.first_chunk())
            && self.length <= ROOM
        {
            let (places, words): (&[Word; ROOM], &[Word; ROOM]) = (places, words);
            store_each(places, words);
            return true;
        }
        let Some(places) = places.get(..self.length) else { return false };
        store_each(places, self.whole());
        true
    }
}

#[inline]
fn store_each(places: &[Word], words: &[Word]) {
    for (place, word) in places.iter().zip(words) {
        place.store(word.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

#[derive(Debug)]
pub(crate) struct Page {
    writer: AtomicU64,
    /// So many bytes are written; above them the sign [`DRAFT`].
    written: AtomicUsize,
    /// So far the call goes that is put together behind what is written.
    drafted: AtomicUsize,
    /// How many keys it has.
    keys: AtomicUsize,
    /// No part begins beyond so many bytes: there is no room for it, the record is as long as it may be, or there may be as
    /// many parts as there are of a kind.
    full: usize,
    words: [Word; WORDS],
}

impl Page {
    pub(crate) fn new(limits: &Limits) -> Self {
        // A part takes a word at least, and so does the name before it: that no kind has too many needs no counting.
        let fewest = Kind::ALL.iter().map(|kind| kind.most(limits)).min().unwrap_or_default();
        let few = fewest.saturating_mul(8).saturating_add(HEADER);
        Self {
            writer: AtomicU64::new(NOBODY),
            written: AtomicUsize::new(0),
            drafted: AtomicUsize::new(0),
            keys: AtomicUsize::new(0),
            full: limits.record_bytes.saturating_sub(1).min(PAGE).min(few),
            words: [const { Word::new(0) }; WORDS],
        }
    }

    /// Begins anew, behind the header, as this thread's; only for who alone knows the operation.
    #[inline]
    pub(crate) fn begin(&self) {
        self.written.store(HEADER, Ordering::Relaxed);
        self.writer.store(token(), Ordering::Relaxed);
    }

    /// Whether this thread writes it.
    #[inline]
    pub(crate) fn is_own(&self) -> bool {
        is_own(self.writer.load(Ordering::Relaxed))
    }

    /// From here on nobody writes, but for a part that is being written. Only under the operation's lock.
    #[inline]
    pub(crate) fn close(&self) {
        self.writer.store(NOBODY, Ordering::Relaxed);
    }

    /// Appends bytes that are [padded](crate::frame::Buffer::padded), before the operation has started or while it ends. Only while it is
    /// this thread's; says whether there was room.
    #[inline]
    pub(crate) fn put(&self, bytes: &[u8]) -> bool {
        self.append(self.written.load(Ordering::Relaxed), bytes)
    }

    /// Begins a call where it belongs, if this thread may; says whether it did. Until it is published or taken off, other
    /// parts have no room on the page.
    #[inline]
    pub(crate) fn begin_draft(&self, compose: impl FnOnce(&mut Words<'_, ROOM>)) -> bool {
        let Some(written) = self.takes() else { return false };
        let drafted = self.compose(written, compose);
        if let Some(drafted) = drafted {
            self.drafted.store(drafted, Ordering::Relaxed);
            self.keys.store(0, Ordering::Relaxed);
            self.written.store(written | DRAFT, Ordering::Release);
        }
        drafted.is_some()
    }

    /// Goes on with the call that this page's writer began, if this thread is it and there is room; says whether it did.
    #[inline]
    pub(crate) fn draft(&self, compose: impl FnOnce(&mut Words<'_, ROOM>)) -> bool {
        self.draft_by(|drafted| self.compose(drafted, compose))
    }

    /// As [`draft`](Page::draft), for who says where the words end.
    #[inline]
    pub(crate) fn draft_by(&self, put: impl FnOnce(usize) -> Option<usize>) -> bool {
        if !self.is_own() {
            return false;
        }
        let drafted = put(self.drafted.load(Ordering::Relaxed));
        if let Some(drafted) = drafted {
            self.drafted.store(drafted, Ordering::Relaxed);
        }
        drafted.is_some()
    }

    /// How many keys the call has.
    #[inline]
    pub(crate) fn keys(&self) -> usize {
        self.keys.load(Ordering::Relaxed)
    }

    /// Counts one more key of the call.
    #[inline]
    pub(crate) fn one_more_key(&self) {
        self.keys.store(self.keys() + 1, Ordering::Relaxed);
    }

    /// Makes a part of the call. Only behind [`draft`](Page::draft), where that did.
    #[inline]
    pub(crate) fn publish(&self) {
        self.wrote(self.drafted.load(Ordering::Relaxed));
    }

    /// The words of the call. Only for who puts it together: the writer, or whom that gave it to.
    #[inline]
    pub(crate) fn drafted(&self) -> Part<'_> {
        let (from, to) = (self.written() / 8, self.drafted.load(Ordering::Relaxed) / 8);
        let words = self.words.get(from..).unwrap_or_default();
        Part { words, length: to.saturating_sub(from).min(words.len()) }
    }

    /// Makes room for other parts again, where the call was. On another thread than the writer's it is too late for that.
    #[inline]
    pub(crate) fn end_draft(&self) {
        if self.is_own() {
            self.wrote(self.written());
        }
    }

    /// How far it is written, if this thread may append a part.
    #[inline]
    fn takes(&self) -> Option<usize> {
        let written = self.written.load(Ordering::Relaxed);
        (written <= self.full && self.is_own()).then_some(written)
    }

    /// Appends a part that is [padded](crate::frame::Buffer::padded), if this thread may; says whether it did.
    #[inline]
    pub(crate) fn put_part(&self, part: &[u8]) -> bool {
        self.takes().is_some_and(|written| self.append(written, part))
    }

    /// Appends a part that is words already, if this thread may; says whether it did.
    #[inline]
    pub(crate) fn put_words(&self, part: Part<'_>) -> bool {
        let Some(written) = self.takes() else { return false };
        let Some(places) = self.words.get(written / 8..) else { return false };
        let fits = part.copy_to(places);
        if fits {
            self.wrote(written + part.length * 8);
        }
        fits
    }

    /// Puts a part together where it belongs, if this thread may and there is room; says whether it did. What is
    /// written is nobody's until it is said how far.
    #[inline]
    pub(crate) fn write(&self, compose: impl FnOnce(&mut Words<'_, ROOM>)) -> bool {
        self.write_by(|written| self.compose(written, compose))
    }

    /// As [`write`](Page::write), for who says where the part ends.
    #[inline]
    pub(crate) fn write_by(&self, put: impl FnOnce(usize) -> Option<usize>) -> bool {
        let written = self.takes().and_then(put);
        if let Some(written) = written {
            self.wrote(written);
        }
        written.is_some()
    }

    /// As [`write`](Page::write), for the name, with which a page begins. Only for who alone knows the operation.
    #[inline]
    pub(crate) fn write_name(&self, compose: impl FnOnce(&mut Words<'_, ROOM>)) {
        if let Some(written) = self.compose(HEADER, compose) {
            self.wrote(written);
        }
    }

    /// Puts words together behind so many bytes, where there is room; says where they end.
    #[inline]
    pub(crate) fn compose(
        &self,
        written: usize,
        compose: impl FnOnce(&mut Words<'_, ROOM>),
    ) -> Option<usize> {
        let room = self.words.get(written / 8..)?.first_chunk()?;
        let mut words = Words::new(room);
        compose(&mut words);
        Some(written + words.len() * 8)
    }

    /// Says how far it is written.
    #[inline]
    fn wrote(&self, written: usize) {
        self.written.store(written, Ordering::Release);
    }

    #[inline]
    fn append(&self, written: usize, bytes: &[u8]) -> bool {
        let (new, _) = bytes.as_chunks::<8>();
        let place = written / 8;
        let Some(words) = self.words.get(place..place + new.len()) else { return false };
        for (word, new) in words.iter().zip(new) {
            word.store(u64::from_le_bytes(*new), Ordering::Relaxed);
        }
        self.wrote(written + bytes.len());
        true
    }

    #[inline]
    fn word(&self, place: usize) -> &Word {
        &self.words[place % WORDS]
    }

    /// How many bytes are written.
    #[inline]
    pub(crate) fn written(&self) -> usize {
        self.written.load(Ordering::Acquire) & !DRAFT
    }

    /// Says what is known at the start: the id, and the nanoseconds since 1970. Only for who alone knows the operation.
    #[inline]
    pub(crate) fn start(&self, id: OperationId, started_at: i64) {
        let [low, high] = halves(id.bits());
        for (place, word) in [(1, low), (2, high), (3, started_at.cast_unsigned())] {
            self.word(place).store(word, Ordering::Relaxed);
        }
    }

    /// Says what is known at the end: the bytes of the frame, how it ended and how many nanoseconds it took.
    #[inline]
    pub(crate) fn end(&self, length: usize, outcome: Outcome, duration: u64) {
        self.word(0).store(head(length, outcome), Ordering::Relaxed);
        self.word(4).store(duration, Ordering::Relaxed);
    }

    pub(crate) fn id(&self) -> OperationId {
        let [low, high] = [1, 2].map(|place| u128::from(self.word(place).load(Ordering::Relaxed)));
        OperationId::from_bits(high << 64 | low)
    }

    /// The start, in nanoseconds since 1970.
    #[inline]
    pub(crate) fn started_at(&self) -> i64 {
        self.word(3).load(Ordering::Relaxed).cast_signed()
    }

    /// Copies its first bytes to a place of so many.
    #[inline]
    pub(crate) fn copy_to(&self, place: &mut [u8]) {
        // Eight words at a time: atomics are not put together by the compiler.
        let (eights, rest) = place.as_chunks_mut::<64>();
        let (words, _) = self.words.as_chunks::<8>();
        for (place, words) in eights.iter_mut().zip(words) {
            copy(place, words);
        }
        copy(rest, self.words.get(eights.len() * 8..).unwrap_or_default());
    }

    /// What was written between two looks.
    #[cold]
    pub(crate) fn between(&self, from: usize, to: usize) -> Vec<u8> {
        let mut bytes = [0; PAGE];
        self.copy_to(&mut bytes);
        bytes.get(from..to).unwrap_or_default().to_vec()
    }
}

/// Copies as many words as there is place for.
#[inline]
fn copy(place: &mut [u8], words: &[Word]) {
    let (places, _) = place.as_chunks_mut::<8>();
    for (place, word) in places.iter_mut().zip(words) {
        *place = word.load(Ordering::Relaxed).to_le_bytes();
    }
}

#[cfg(all(test, not(taximeter_model)))]
mod tests {
    use std::time::Duration;

    use taximeter_models::ToolStatus;

    use crate::{Collector, Limits};

    /// Records a hundred parts of two kinds, every tenth of them on another thread; says what is wrong with the record.
    fn wrong(others: bool, text: &str) -> Option<String> {
        let collector = Collector::builder().build().expect("a thread");
        let op = collector.operation("op").start();
        for number in 0..100_u32 {
            let record = || {
                op.add_component(format!("c{number}"), Duration::from_nanos(number.into()));
                op.set("last", number);
                op.set(format!("key {}", number % 40), format!("{text}{number}"));
            };
            if others && number % 10 == 7 {
                std::thread::scope(|scope| scope.spawn(record).join().expect("it does not panic"));
            } else {
                record();
            }
        }
        let record = op.finish()?;
        let mut timings = record.components.iter().enumerate();
        let in_order = timings.all(|(place, timing)| {
            timing.name == *format!("c{place}")
                && timing.duration == Duration::from_nanos(place as u64)
        });
        let keys = (60..100).all(|number| {
            record.metadata[&format!("key {}", number % 40)] == format!("{text}{number}")
        });
        let whole = in_order && keys && record.components.len() == 100;
        let counts = collector.counts();
        (!whole || record.metadata["last"] != 99 || counts.late_parts + counts.truncated > 0)
            .then(|| format!("{record:?} {counts:?}"))
    }

    #[test]
    fn what_has_no_room_on_the_page_stands_beside_it_and_in_order() {
        for text in ["", "short ", &"long ".repeat(100)] {
            assert_eq!(wrong(false, text), None);
            assert_eq!(wrong(true, text), None);
        }
    }

    #[test]
    fn there_are_as_many_parts_as_may_be_and_no_more() {
        for most in 0..8 {
            let mut limits = Limits::default();
            (limits.keys, limits.messages) = (most, most);
            let collector = Collector::builder().limits(limits).build().expect("a thread");
            let op = collector.operation("o").start();
            for key in ["a", "b", "c", "d", "e", "f", "g", "h"] {
                op.set(key, 1);
                op.warn(key);
            }
            let call = ["a", "b", "c", "d", "e", "f", "g", "h"].into_iter();
            let call = call.fold(op.tool("t"), |call, key| call.with(key, "text"));
            call.took(Duration::ZERO, ToolStatus::Success);
            let record = op.finish().expect("it is on");
            assert_eq!((record.metadata.len(), record.warnings.len()), (most, most));
            assert_eq!(record.tool_calls[0].metadata.len(), most);
            assert_eq!(record.unlisted_warnings, 8 - most as u64);
            assert_eq!(collector.counts().truncated, 2 * (8 - most as u64));
        }
    }

    #[test]
    fn a_place_is_used_again_without_what_the_last_one_left() {
        let collector = Collector::builder().build().expect("a thread");
        for number in 0..200_u64 {
            let op = collector.operation("op").with("number", number).start();
            if number % 3 == 0 {
                op.warn("a longer text than that of the next one, which is to leave nothing");
                std::thread::scope(|scope| {
                    scope.spawn(|| op.warn("beside")).join().expect("it does not panic");
                });
            }
            let record = op.finish().expect("it is on");
            assert_eq!(record.metadata["number"], number);
            assert_eq!(record.warnings.len(), if number % 3 == 0 { 2 } else { 0 });
            assert_eq!(record.metadata.len(), 1);
        }
    }
}
