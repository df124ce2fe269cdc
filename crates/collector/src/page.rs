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
//! The bytes are there for whoever has read `written` (a release store, an acquire load). The writer may have read that it
//! is the writer just before it ceased to be: then it writes on for a moment, behind all that was read before, where it is
//! found by the next look at `written`. A page is begun anew only when nobody holds a handle to it, the writer included.

use taximeter_models::OperationId;

use crate::frame::{Buffer, Ended, HEADER, Word, Words, header};
use crate::limits::Limits;
use crate::slots::{NOBODY, is_own, token};
use crate::sync::atomic::{AtomicU64, Ordering};

/// The words of a page: enough for an operation of some ten calls and components.
const WORDS: usize = 64;

/// The bytes of a page.
pub(crate) const PAGE: usize = WORDS * 8;

/// The words that a part is given to be put together in.
const ROOM: usize = 16;

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

/// How far a page is written: its bytes, and how many parts of each kind they hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Written(u64);

/// The low bits are the bytes; above them are so many bits for each kind.
const LENGTH_BITS: u32 = 10;
const COUNT_BITS: u32 = 6;

/// So many parts of a kind can be counted.
const MOST: usize = (1 << COUNT_BITS) - 1;

impl Written {
    #[inline]
    pub(crate) fn bytes(self) -> usize {
        // The mask leaves no more than fits.
        (self.0 & ((1 << LENGTH_BITS) - 1)) as usize
    }

    /// How many parts of a kind there are.
    #[inline]
    pub(crate) fn of(self, kind: Kind) -> usize {
        (self.0 >> Self::place(kind) & ((1 << COUNT_BITS) - 1)) as usize
    }

    /// How many parts of any kind came since.
    pub(crate) fn parts_since(self, before: Self) -> u64 {
        let all =
            |written: Self| Kind::ALL.iter().map(|kind| written.of(*kind) as u64).sum::<u64>();
        all(self).saturating_sub(all(before))
    }

    /// As many parts of each kind as there may be.
    fn most(limits: &Limits) -> Self {
        let most = |kind: &Kind| (kind.most(limits).min(MOST) as u64) << Self::place(*kind);
        Self(Kind::ALL.iter().map(most).fold(0, |all, most| all | most))
    }

    /// Whether there are fewer parts of a kind.
    #[inline]
    fn is_below(self, most: Self, kind: Kind) -> bool {
        let bits = ((1 << COUNT_BITS) - 1) << Self::place(kind);
        self.0 & bits < most.0 & bits
    }

    const fn place(kind: Kind) -> u32 {
        LENGTH_BITS + COUNT_BITS * kind as u32
    }
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

#[derive(Debug)]
pub(crate) struct Page {
    writer: AtomicU64,
    written: AtomicU64,
    /// So many parts of each kind there may be.
    most: Written,
    /// No part begins beyond so many bytes: there is no room for it, or the record is as long as it may be.
    full: usize,
    words: [Word; WORDS],
}

impl Page {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            writer: AtomicU64::new(NOBODY),
            written: AtomicU64::new(0),
            most: Written::most(limits),
            full: limits.record_bytes.saturating_sub(1).min(PAGE),
            words: [const { Word::new(0) }; WORDS],
        }
    }

    /// Begins anew, behind the header, as this thread's; only for who alone knows the operation.
    #[inline]
    pub(crate) fn begin(&self) {
        self.written.store(HEADER as u64, Ordering::Relaxed);
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

    /// Appends what belongs to no kind. Only while it is this thread's; says whether there was room.
    #[inline]
    pub(crate) fn put(&self, bytes: &[u8]) -> bool {
        let written = self.written.load(Ordering::Relaxed);
        self.append(written, bytes, 0)
    }

    /// How far it is written, if this thread may append a part of a kind.
    #[inline]
    fn takes(&self, kind: Kind) -> Option<u64> {
        let written = self.written.load(Ordering::Relaxed);
        let has_room = Written(written).is_below(self.most, kind)
            && Written(written).bytes() <= self.full
            && self.is_own();
        has_room.then_some(written)
    }

    /// Appends a part, if this thread may; says whether it did.
    #[inline]
    pub(crate) fn put_part(&self, kind: Kind, part: &[u8]) -> bool {
        let put = |written| self.append(written, part, 1 << Written::place(kind));
        self.takes(kind).is_some_and(put)
    }

    /// Appends a part that is words already, if this thread may; says whether it did.
    #[inline]
    pub(crate) fn put_words(&self, kind: Kind, part: &[Word]) -> bool {
        let Some(written) = self.takes(kind) else { return false };
        let place = Written(written).bytes() / 8;
        let Some(words) = self.words.get(place..place + part.len()) else { return false };
        for (word, new) in words.iter().zip(part) {
            word.store(new.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        self.wrote(written, part.len() * 8, 1 << Written::place(kind));
        true
    }

    /// Puts a part together where it belongs, if this thread may and there is room; says whether it did. What is
    /// written is nobody's until it is said how far.
    #[inline]
    pub(crate) fn write(&self, kind: Kind, compose: impl FnOnce(&mut Words<'_, ROOM>)) -> bool {
        self.takes(kind)
            .is_some_and(|written| self.compose(written, 1 << Written::place(kind), compose))
    }

    /// As [`write`](Page::write), for the name, with which a page begins. Only for who alone knows the operation.
    #[inline]
    pub(crate) fn write_name(&self, compose: impl FnOnce(&mut Words<'_, ROOM>)) {
        self.compose(HEADER as u64, 0, compose);
    }

    #[inline]
    fn compose(
        &self,
        written: u64,
        count: u64,
        compose: impl FnOnce(&mut Words<'_, ROOM>),
    ) -> bool {
        let room = self.words.get(Written(written).bytes() / 8..);
        let Some(room) = room.and_then(|room| room.first_chunk()) else { return false };
        let mut words = Words::new(room, 0);
        compose(&mut words);
        self.wrote(written, words.len() * 8, count);
        true
    }

    /// Says how far it is written.
    #[inline]
    fn wrote(&self, before: u64, bytes: usize, count: u64) {
        self.written.store(before + bytes as u64 + count, Ordering::Release);
    }

    /// Appends bytes that are [padded](Buffer::padded).
    #[inline]
    fn append(&self, written: u64, bytes: &[u8], count: u64) -> bool {
        let (new, _) = bytes.as_chunks::<8>();
        let place = Written(written).bytes() / 8;
        let Some(words) = self.words.get(place..place + new.len()) else { return false };
        for (word, new) in words.iter().zip(new) {
            word.store(u64::from_le_bytes(*new), Ordering::Relaxed);
        }
        self.wrote(written, bytes.len(), count);
        true
    }

    #[inline]
    fn word(&self, place: usize) -> &Word {
        &self.words[place % WORDS]
    }

    /// How far it is written.
    #[inline]
    pub(crate) fn written(&self) -> Written {
        Written(self.written.load(Ordering::Acquire))
    }

    /// Fills in what is known at the start. Only for who alone knows the operation.
    #[inline]
    pub(crate) fn set_header(&self, ended: &Ended, length: usize) {
        let words = header(ended, length);
        self.words.iter().zip(words).for_each(|(place, word)| place.store(word, Ordering::Relaxed));
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
        // Four words at a time: atomics are not put together by the compiler.
        let (fours, rest) = place.as_chunks_mut::<32>();
        let (words, _) = self.words.as_chunks::<4>();
        for (place, words) in fours.iter_mut().zip(words) {
            copy(place, words);
        }
        copy(rest, self.words.get(fours.len() * 4..).unwrap_or_default());
    }

    /// Appends what was written between two looks.
    #[cold]
    pub(crate) fn copy_since(&self, from: Written, to: Written, buffer: &mut Buffer) {
        let mut bytes = [0; PAGE];
        self.copy_to(&mut bytes);
        buffer.put(bytes.get(from.bytes()..to.bytes()).unwrap_or_default());
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

    use crate::Collector;

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
