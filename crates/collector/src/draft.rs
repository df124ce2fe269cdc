//! A call of a tool while it is put together: its part of the record, within the limits.

use std::cell::RefCell;
use std::time::Duration;

use taximeter_models::{ErrorRecord, ToolStatus};

use crate::bounds::Bounds;
use crate::clock::Moment;
use crate::frame::{Buffer, Label, Word, Words, hot, part};
use crate::page::{Kind, Page, Part, ROOM};
use crate::place::Core;
use crate::plain;
use crate::redact::Field;
use crate::show::{Begun, Over, Shown};
use crate::value::{Hot, MetaValue};

/// A call that is put together: on the page of its operation, where it belongs; or apart, where there is no room for it,
/// where it is long, rare or shown, and where it runs while other things are recorded.
#[derive(Debug)]
pub(crate) struct ToolPart(Option<Box<Draft>>);

/// The words of a draft: enough for a call with some keys and texts.
const WORDS: usize = 32;

/// The memory of a call that is put together apart.
#[derive(Debug)]
struct Draft {
    words: [Word; WORDS],
    /// So many of the words are written; [`LONG`] where the bytes have taken their place.
    length: usize,
    keys: usize,
    /// Takes the place of the words for what is long, rare or shown.
    bytes: Buffer,
    /// How the call is shown.
    shown: Shown,
}

/// More than there are words.
const LONG: usize = WORDS + 1;

thread_local! {
    /// Memory for calls, to be used again: a few hundred bytes for each call that runs on this thread at a time.
    #[expect(clippy::vec_box, reason = "they come and go as boxes")]
    static SPARES: RefCell<Vec<Box<Draft>>> = const { RefCell::new(Vec::new()) };
}

/// So many pieces of memory are kept.
const MOST_SPARES: usize = 8;

/// And of what is long no more bytes than these.
const LARGEST: usize = 1_024;

impl Draft {
    /// An empty one, in memory that was used before, if there is any.
    #[inline]
    fn take() -> Box<Self> {
        let spare = SPARES.try_with(|spares| spares.borrow_mut().pop());
        let mut draft = spare.ok().flatten().unwrap_or_else(Self::make);
        (draft.length, draft.keys) = (0, 0);
        draft
    }

    #[cold]
    fn make() -> Box<Self> {
        Box::new(Self {
            words: [const { Word::new(0) }; WORDS],
            length: 0,
            keys: 0,
            bytes: Buffer::default(),
            shown: Shown::NOTHING,
        })
    }

    /// Keeps the memory for the next call, if there is not enough of it.
    #[inline]
    fn keep(self: Box<Self>) {
        // While a thread is torn down there is no such place any more.
        let _ = SPARES.try_with(|spares| {
            let mut spares = spares.borrow_mut();
            if spares.len() < MOST_SPARES {
                spares.push(self);
            }
        });
    }

    /// What was put together on a page so far.
    fn of(page: &Page) -> Box<Self> {
        let (mut draft, part) = (Self::take(), page.drafted());
        draft.keys = page.keys();
        if part.copy_to(&draft.words) {
            draft.length = part.length;
        } else {
            draft.long().put_words(part.whole());
        }
        page.end_draft();
        draft
    }

    /// Puts words in; says whether there was room.
    #[inline]
    fn write(&mut self, compose: impl FnOnce(&mut Words<'_, ROOM>)) -> bool {
        let room = self.words.get(self.length..).and_then(|room| room.first_chunk());
        let Some(room) = room else { return false };
        let mut words = Words::new(room);
        compose(&mut words);
        self.length += words.len();
        true
    }

    /// Its bytes, behind which anything can be put.
    #[cold]
    fn long(&mut self) -> &mut Buffer {
        if self.length != LONG {
            self.bytes.clear();
            self.bytes.put_words(self.words.get(..self.length).unwrap_or_default());
            self.length = LONG;
        }
        &mut self.bytes
    }
}

impl ToolPart {
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "of a text that the compiler knows, numbers are left; of a kind, nothing"
    )]
    pub(crate) fn new(core: &Core, name: &str) -> Self {
        match Label::of(name) {
            Some(name) => Self::plain(core, name),
            None => Self::any(core, name),
        }
    }

    #[inline(never)]
    fn plain(core: &Core, name: Label) -> Self {
        if core.plain.is_name(name) && core.page.begin_draft(|to| hot::tool(to, name)) {
            return Self(None);
        }
        Self::plain_apart(core, name)
    }

    #[cold]
    #[inline(never)]
    fn plain_apart(core: &Core, name: Label) -> Self {
        if !core.plain.is_name(name) {
            return name.show(|name| Self::any(core, name));
        }
        let mut draft = Draft::take();
        draft.write(|to| hot::tool(to, name));
        Self(Some(draft))
    }

    #[cold]
    fn any(core: &Core, name: &str) -> Self {
        let mut part = Self(Some(Draft::take()));
        part.put(core, |bytes, bounds| {
            part::tool_begin(bytes, &bounds.name(Field::Tool, name));
        });
        part.draft(core).shown = core.show_part(Field::Tool, name, |name| Begun::Tool(name));
        part
    }

    /// Takes it off the page, so that other parts have room there while it runs.
    #[inline]
    pub(crate) fn set_apart(&mut self, core: &Core) {
        self.draft(core);
    }

    /// It apart.
    #[inline]
    fn draft(&mut self, core: &Core) -> &mut Draft {
        self.0.get_or_insert_with(|| Draft::of(&core.page))
    }

    /// Lets it go unrecorded.
    #[inline]
    pub(crate) fn let_go(self, core: &Core) {
        if self.0.is_none() {
            core.page.end_draft();
        }
    }

    /// Puts words in; says whether there was room.
    #[inline]
    fn write(&mut self, core: &Core, compose: impl FnOnce(&mut Words<'_, ROOM>)) -> bool {
        match &mut self.0 {
            None => core.page.draft(compose),
            Some(draft) => draft.write(compose),
        }
    }

    fn put(&mut self, core: &Core, put: impl FnOnce(&mut Buffer, &mut Bounds<'_>)) {
        let mut bounds = core.bounds();
        put(self.draft(core).long(), &mut bounds);
        bounds.report(&core.shared.intake);
    }

    /// As [`put`](ToolPart::put), for what is kept under a key.
    fn put_key(&mut self, core: &Core, put: impl FnOnce(&mut Buffer, &mut Bounds<'_>)) {
        let draft = self.draft(core);
        draft.keys += 1;
        let keys = draft.keys;
        self.put(core, |bytes, bounds| {
            if keys <= bounds.limits.keys { put(bytes, bounds) } else { bounds.left_out() }
        });
    }

    /// Keeps a value with it. As for operations, the most frequent kinds go straight to their place.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "of a text that the compiler knows, numbers are left; of a kind, nothing"
    )]
    pub(crate) fn set(&mut self, core: &Core, key: &str, value: MetaValue<'_>) {
        match value.hot() {
            Ok(Hot::Text(text)) => match plain::key(key) {
                Some(key) => self.plain_text(core, key, text),
                None => self.with(core, key, MetaValue::Text(text)),
            },
            Ok(Hot::Unsigned(number)) => match plain::key(key) {
                Some(key) => self.plain_unsigned(core, key, number),
                None => self.with(core, key, MetaValue::Unsigned(number)),
            },
            Err(value) => self.with(core, key, value),
        }
    }

    #[inline]
    fn plain_text(&mut self, core: &Core, key: Label, text: &str) {
        let on_page = |drafted| core.put_plain_text(drafted, key, text);
        if self.0.is_none() && self.takes(core) && core.page.draft_by(on_page) {
            core.page.one_more_key();
        } else {
            self.show(core, key, MetaValue::Text(text));
        }
    }

    #[cold]
    #[inline(never)]
    fn show(&mut self, core: &Core, key: Label, value: MetaValue<'_>) {
        key.show(|key| self.with(core, key, value));
    }

    #[inline(never)]
    fn plain_unsigned(&mut self, core: &Core, key: Label, number: u64) {
        let is_plain = self.takes(core) && core.plain.is_key(key);
        if is_plain && self.write(core, |to| hot::unsigned(to, key, number)) {
            self.one_more_key(core);
        } else {
            self.show(core, key, MetaValue::Unsigned(number));
        }
    }

    /// Whether there may be one more key.
    #[inline]
    fn takes(&self, core: &Core) -> bool {
        let keys = self.0.as_ref().map_or_else(|| core.page.keys(), |draft| draft.keys);
        keys < core.plain.keys
    }

    #[inline]
    fn one_more_key(&mut self, core: &Core) {
        match &mut self.0 {
            None => core.page.one_more_key(),
            Some(draft) => draft.keys += 1,
        }
    }

    #[inline(never)]
    fn with(&mut self, core: &Core, key: &str, value: MetaValue<'_>) {
        self.put_key(core, |bytes, bounds| {
            if let Some((key, value)) = bounds.entry(key, value) {
                part::metadata(bytes, &key, &value);
            }
        });
    }

    pub(crate) fn attempt(&mut self, core: &Core, attempt: u32) {
        part::attempt(self.draft(core).long(), attempt);
    }

    pub(crate) fn arguments_hash(&mut self, core: &Core, hash: u64) {
        part::arguments_hash(self.draft(core).long(), hash);
    }

    /// Records it: it took so many nanoseconds, and may be known to have begun at so many after 1970.
    #[inline(never)]
    pub(crate) fn record(mut self, core: &Core, began: Option<i64>, took: u64, status: ToolStatus) {
        let is_whole =
            hot::is_short(took) && self.write(core, |to| hot::tool_end(to, began, took, status));
        match self.0 {
            None if is_whole => core.page.publish(),
            Some(draft) if is_whole => {
                core.fill_words(Kind::Tool, Part { words: &draft.words, length: draft.length });
                draft.keep();
            }
            _ => self.record_long(core, began, took, status),
        }
    }

    #[cold]
    #[inline(never)]
    fn record_long(self, core: &Core, began: Option<i64>, took: u64, status: ToolStatus) {
        let mut draft = self.0.unwrap_or_else(|| Draft::of(&core.page));
        // What is shown is long from its beginning. Where it failed, that was said before.
        draft.shown.take().end(&core.shared, Over::Tool(status, None));
        let bytes = draft.long();
        if let Some(began) = began {
            part::started_nanos(bytes, began);
        }
        part::duration(bytes, Duration::from_nanos(took));
        part::tool_end(bytes, status);
        core.fill(Kind::Tool, bytes.padded(), core.bounds());
        if bytes.memory() > LARGEST {
            *bytes = Buffer::default();
        }
        draft.keep();
    }

    /// Records it as over now.
    #[inline(never)]
    pub(crate) fn end(
        mut self,
        core: &Core,
        began: Moment,
        status: ToolStatus,
        error: Option<ErrorRecord>,
    ) {
        let took = core.now().saturating_sub(began.monotonic);
        if let Some(error) = error {
            let over = Over::Tool(status, Some(&error));
            self.draft(core).shown.take().end(&core.shared, over);
            self.put(core, |bytes, bounds| part::error(bytes, &bounds.error(error)));
        }
        self.record(core, Some(began.wall), took, status);
    }
}

#[cfg(all(test, not(taximeter_model)))]
mod tests {
    use std::time::Duration;

    use taximeter_models::{OperationRecord, ToolStatus};

    use crate::{Collector, Handle};

    /// Records with calls before and behind; gives the record, of which nothing was lost.
    fn recorded(record: impl FnOnce(&Handle)) -> OperationRecord {
        let collector = Collector::builder().build().expect("a thread");
        let op = collector.operation("op").start();
        let call = |name| op.tool(name).with("k", "v").took(Duration::ZERO, ToolStatus::Success);
        call("first");
        record(&op);
        call("last");
        let record = op.finish().expect("it is on");
        let counts = collector.counts();
        assert_eq!((counts.late_parts, counts.truncated), (0, 0));
        for call in [record.tool_calls.first(), record.tool_calls.last()] {
            assert_eq!(call.map(|call| call.metadata["k"] == "v"), Some(true));
        }
        record
    }

    fn names(record: &OperationRecord) -> Vec<&str> {
        record.tool_calls.iter().map(|call| call.name.as_str()).collect()
    }

    #[test]
    fn what_is_recorded_while_a_call_is_put_together_does_not_meet_it() {
        let record = recorded(|op| {
            let (one, other) = (op.tool("one").with("n", 1), op.tool("other").with("n", 2));
            op.add_component("between", Duration::from_nanos(3));
            let one = one.with("text", "a text").attempt(7);
            other.with("number", 9).took(Duration::ZERO, ToolStatus::Failure);
            one.with("last", u64::MAX).took(Duration::from_nanos(5), ToolStatus::Success);
        });
        assert_eq!(names(&record), ["first", "other", "one", "last"]);
        assert_eq!(record.tool_calls[1].metadata["number"], 9);
        let one = &record.tool_calls[2];
        assert_eq!((one.attempt, one.duration), (7, Some(Duration::from_nanos(5))));
        assert_eq!(one.metadata["text"], "a text");
        assert_eq!(one.metadata["last"], u64::MAX);
        assert_eq!(record.components[0].duration, Duration::from_nanos(3));
    }

    #[test]
    fn a_call_that_never_begins_leaves_nothing() {
        let record = recorded(|op| drop(op.tool("never").with("k", "another")));
        assert_eq!(names(&record), ["first", "last"]);
    }

    #[test]
    fn a_call_goes_on_on_another_thread() {
        let record = recorded(|op| {
            let call = op.tool("sent").with("here", 1);
            std::thread::scope(|scope| {
                let there = || call.with("there", 2).took(Duration::ZERO, ToolStatus::Success);
                scope.spawn(there).join().expect("it does not panic");
            });
        });
        assert_eq!(names(&record), ["first", "sent", "last"]);
        let sent = &record.tool_calls[1].metadata;
        assert_eq!((&sent["here"], &sent["there"]), (&1.into(), &2.into()));
    }

    #[test]
    fn a_call_of_any_length_is_whole() {
        for length in [0, 40, 64, 65, 100, 1_000] {
            let text = "x".repeat(length);
            let record = recorded(|op| {
                let keys = ["a", "b", "c", "a key that is not short", "d"];
                let call = op.tool("call");
                let call = keys.into_iter().fold(call, |call, key| call.with(key, text.as_str()));
                call.with("n", length).start().succeed();
            });
            let call = &record.tool_calls[1];
            assert_eq!(call.metadata.len(), 6);
            assert!(call.metadata.values().filter(|value| *value == text.as_str()).count() == 5);
            assert_eq!(call.metadata["n"], length);
            assert!(call.started_at.is_some());
        }
    }
}
