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
//! A call of a tool is put together where it belongs, behind what is written. Until it begins or is over, `written` has a
//! sign that leaves no room for other parts: those go beside the page, and so does the call then. While it runs, `written`
//! has another sign: a part that comes meanwhile is put in behind the call, which is passed over, and put in once more, at
//! its end. So the parts are in the order in which they were over.
//!
//! The bytes are there for whoever has read `written` (a release store, an acquire load). The writer may have read that it
//! is the writer just before it ceased to be: then it writes on for a moment, behind all that was read before, where it is
//! found by the next look at `written`. A page is begun anew only when nobody holds a handle to it, the writer included.

use taximeter_models::{OperationId, Outcome};

use crate::frame::{HEADER, Word, Words, halves, head, hot, put_text};
use crate::limits::Limits;
use crate::slots::{NOBODY, is_own, token};
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// A part begins at one of so many words, which are enough for an operation of some ten calls and components. A power of
/// two: to find its place in it, no number needs to be compared.
const PLACES: usize = 64;

/// The words that a part is given to be put together in.
pub(crate) const ROOM: usize = 16;

/// The words of a page: there is room for a part at each place.
const WORDS: usize = PLACES + ROOM;

/// The bytes of a page.
pub(crate) const PAGE: usize = WORDS * 8;

/// The sign that a call is being put together on the page: further than any part may begin, so that meanwhile there is room
/// for none.
const DRAFT: usize = 1 << 31;

/// The sign that a call runs behind what is written.
const RUNNING: usize = 1 << 30;

const SIGNS: usize = DRAFT | RUNNING;

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

/// Where a call that runs stands on the page: its first byte, and the one behind its last, as one number.
#[derive(Debug, Clone, Copy)]
struct Span(usize);

impl Span {
    /// More bits than the bytes of a page have.
    const BITS: u32 = 12;

    #[inline]
    fn new(from: usize, to: usize) -> Self {
        Self(from << Self::BITS | to)
    }

    #[inline]
    fn from(self) -> usize {
        self.0 >> Self::BITS
    }

    #[inline]
    fn to(self) -> usize {
        self.0 & ((1 << Self::BITS) - 1)
    }

    /// The span that ends where who is told its end says, if he does.
    #[inline]
    fn longer_by(self, put: impl FnOnce(usize) -> Option<usize>) -> Option<Self> {
        put(self.to()).map(|to| Self::new(self.from(), to))
    }
}

/// A call that runs on the page: where, and its first word, in whose place something else stands when it is passed over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    span: Span,
    first: u64,
}

#[derive(Debug)]
pub(crate) struct Page {
    writer: AtomicU64,
    /// So many bytes are written; above them, one of the signs.
    written: AtomicUsize,
    /// So far the call goes that runs behind what is written.
    running: AtomicUsize,
    /// No part begins beyond so many bytes: there is no room for it, the record is as long as it may be, or there may be as
    /// many parts as there are of a kind.
    full: usize,
    /// And none that is put together on the page; there is such a place only where short names and texts are [plain].
    ///
    /// [plain]: crate::plain
    plain: usize,
    words: [Word; WORDS],
}

impl Page {
    pub(crate) fn new(limits: &Limits, is_plain: bool) -> Self {
        // A part takes a word at least, and so does the name before it: that no kind has too many needs no counting.
        let fewest = Kind::ALL.iter().map(|kind| kind.most(limits)).min().unwrap_or_default();
        let few = fewest.saturating_mul(8).saturating_add(HEADER);
        let full = limits.record_bytes.saturating_sub(1).min((PLACES - 1) * 8).min(few);
        Self {
            writer: AtomicU64::new(NOBODY),
            written: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            full,
            plain: if is_plain { full } else { 0 },
            words: [const { Word::new(0) }; WORDS],
        }
    }

    /// Begins anew, behind the header, as this thread's; only for who alone knows the operation.
    #[inline]
    pub(crate) fn begin(&self) {
        self.written.store(HEADER, Ordering::Relaxed);
        self.writer.store(token(), Ordering::Relaxed);
    }

    /// Whether parts may be put together on it at all.
    #[inline]
    pub(crate) fn has_places(&self) -> bool {
        self.plain > 0
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

    /// Appends a part that is [padded](crate::frame::Buffer::padded), if this thread may; says whether it did.
    pub(crate) fn put_part(&self, part: &[u8]) -> bool {
        self.pass_over();
        let written = self.written.load(Ordering::Relaxed);
        written <= self.full && self.is_own() && self.append(written, part)
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
        let written = put(self.written.load(Ordering::Relaxed));
        if let Some(written) = written {
            self.wrote(written);
        }
        written.is_some()
    }

    /// As [`write`](Page::write), for the name, with which a page begins. Only for who alone knows the operation.
    #[inline]
    pub(crate) fn write_name(&self, compose: impl FnOnce(&mut Words<'_, ROOM>)) {
        self.wrote(self.put_together(HEADER, compose));
    }

    /// Puts words together behind so many bytes, if this thread may and there is room; says where they end.
    #[inline]
    pub(crate) fn compose(
        &self,
        at: usize,
        compose: impl FnOnce(&mut Words<'_, ROOM>),
    ) -> Option<usize> {
        (at <= self.plain && self.is_own()).then(|| self.put_together(at, compose))
    }

    #[inline]
    fn put_together(&self, at: usize, compose: impl FnOnce(&mut Words<'_, ROOM>)) -> usize {
        let room = self.words.get(at / 8 % PLACES..).and_then(|room| room.first_chunk());
        // There is room at each place.
        let Some(room) = room else { return at };
        let mut words = Words::new(room);
        compose(&mut words);
        at + words.len() * 8
    }

    /// Puts a text of no more than [`hot::TEXT`] bytes behind its key, which was put together up to here; says where it ends.
    #[inline]
    pub(crate) fn put_text(&self, at: usize, text: &str) -> Option<usize> {
        let room = self.words.get(at / 8..).and_then(|room| room.first_chunk())?;
        put_text(room, text.as_bytes())?;
        Some(at + text.len().next_multiple_of(8))
    }

    /// Begins a call where it belongs, if this thread may; says how far it goes. Until it is over, runs, or is taken off, other
    /// parts have no room on the page.
    #[inline]
    pub(crate) fn begin_call(&self, compose: impl FnOnce(&mut Words<'_, ROOM>)) -> Option<usize> {
        let from = self.written.load(Ordering::Relaxed);
        let to = self.compose(from, compose)?;
        self.wrote(from | DRAFT);
        Some(to)
    }

    /// Makes a part of a call that goes so far, and ends with this; says whether there was room.
    #[inline]
    pub(crate) fn end_call(&self, to: usize, end: impl FnOnce(&mut Words<'_, ROOM>)) -> bool {
        let to = self.compose(to, end);
        if let Some(to) = to {
            self.wrote(to);
        }
        to.is_some()
    }

    /// Where a call begins that is put together here: behind what is written.
    #[inline]
    fn draft_to(&self, to: usize) -> Span {
        Span::new(self.written.load(Ordering::Relaxed) & !SIGNS, to)
    }

    /// Lets a call run that goes so far and is not yet over, if this thread may; says how it is found again.
    #[inline]
    pub(crate) fn run(&self, to: usize) -> Option<Run> {
        if !self.is_own() {
            return None;
        }
        let span = self.draft_to(to);
        self.running.store(to, Ordering::Relaxed);
        self.wrote(span.from() | RUNNING);
        let first = self.first_of(span.from()).load(Ordering::Relaxed);
        Some(Run { span, first })
    }

    /// Goes on with a call that runs, by who says where it ends; says how it is found then, unless it was passed over.
    #[inline]
    pub(crate) fn extend_run(
        &self,
        run: Run,
        put: impl FnOnce(usize) -> Option<usize>,
    ) -> Option<Run> {
        if self.written.load(Ordering::Relaxed) != run.span.from() | RUNNING {
            return None;
        }
        let span = run.span.longer_by(put)?;
        self.running.store(span.to(), Ordering::Relaxed);
        Some(Run { span, ..run })
    }

    /// Makes a part of a call that runs, which ends with this; says whether it did: where it was passed over, it cannot.
    #[inline]
    pub(crate) fn end_run(&self, run: Run, end: impl FnOnce(&mut Words<'_, ROOM>)) -> bool {
        let runs = self.written.load(Ordering::Relaxed) == run.span.from() | RUNNING;
        runs && self.end_call(run.span.to(), end)
    }

    /// Makes room for other parts behind a call that runs.
    #[inline]
    pub(crate) fn pass_over(&self) {
        let written = self.written.load(Ordering::Relaxed);
        if written & RUNNING != 0 && self.is_own() {
            let (from, to) = (written & !SIGNS, self.running.load(Ordering::Relaxed));
            self.first_of(from).store(hot::gone((to - from) / 8), Ordering::Relaxed);
            self.wrote(to);
        }
    }

    /// Shows the words of a call that goes so far, and makes room for other parts where it was. Only for who puts it together:
    /// the writer, or whom that gave it to; on another thread than the writer's the room is lost.
    #[cold]
    pub(crate) fn take_off(&self, to: usize, see: &mut dyn FnMut(u64)) {
        self.words_of(self.draft_to(to)).for_each(|word| see(word.load(Ordering::Relaxed)));
        self.let_go();
    }

    /// As [`take_off`](Page::take_off), of one that runs.
    #[cold]
    pub(crate) fn take_off_run(&self, run: Run, see: &mut dyn FnMut(u64)) {
        see(run.first);
        self.words_of(run.span).skip(1).for_each(|word| see(word.load(Ordering::Relaxed)));
        if self.written.load(Ordering::Relaxed) == run.span.from() | RUNNING {
            self.let_go();
        }
    }

    fn words_of(&self, span: Span) -> impl Iterator<Item = &Word> {
        self.words.iter().take(span.to() / 8).skip(span.from() / 8)
    }

    /// Makes room for other parts where a call was that was put together or ran.
    #[inline]
    pub(crate) fn let_go(&self) {
        if self.is_own() {
            self.wrote(self.written.load(Ordering::Relaxed) & !SIGNS);
        }
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

    /// The first word of a part that begins at this byte.
    #[inline]
    fn first_of(&self, from: usize) -> &Word {
        &self.words[from / 8 % PLACES]
    }

    /// How many bytes are written.
    #[inline]
    pub(crate) fn written(&self) -> usize {
        self.written.load(Ordering::Acquire) & !SIGNS
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
