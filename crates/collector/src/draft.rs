//! A call of a tool while it is put together and while it runs: its part of the record, within the limits.
#![expect(clippy::unnecessary_box_returns, reason = "the boxes are used again")]

use std::cell::RefCell;
use std::time::Duration;

use taximeter_models::{ErrorRecord, ToolStatus};

use crate::bounds::{BEYOND, Bounds};
use crate::frame::{Buffer, Label, Words, count_keys, hot, part};
use crate::limits::head;
use crate::page::{Kind, ROOM, Run};
use crate::place::Core;
use crate::plain;
use crate::redact::Field;
use crate::show::{Begun, Over, Shown};
use crate::value::{Hot, MetaValue};

/// A call that is put together: on the page of its operation, where it belongs, and goes so far; or apart, where there is no
/// room for it, and where it is long, rare or shown.
#[derive(Debug)]
pub(crate) enum ToolPart {
    Here(usize),
    Apart(Box<Draft>),
}

/// A call that runs: on the page of its operation, or apart.
#[derive(Debug)]
pub(crate) enum RunningTool {
    Here(Run),
    Apart(Box<Draft>),
}

/// A call that is put together apart; or the name of a component that runs, which is a part when it is over.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) bytes: Buffer,
    keys: usize,
    /// How it is shown.
    pub(crate) shown: Shown,
}

thread_local! {
    /// Memory to be used again: a few hundred bytes for each of them that there is on this thread at a time.
    #[expect(clippy::vec_box, reason = "they come and go as boxes")]
    static SPARES: RefCell<Vec<Box<Draft>>> = const { RefCell::new(Vec::new()) };
}

/// So many pieces of memory are kept.
const MOST_SPARES: usize = 8;

/// And no larger ones than of so many bytes.
const LARGEST: usize = 1_024;

impl Draft {
    /// An empty one, in memory that was used before, if there is any.
    fn take() -> Box<Self> {
        let spare = SPARES.try_with(|spares| spares.borrow_mut().pop());
        let mut draft = spare.ok().flatten().unwrap_or_default();
        draft.bytes.clear();
        draft.keys = 0;
        draft
    }

    /// The name of a component that begins, which is long or shown.
    pub(crate) fn of_component(core: &Core, name: &str) -> Box<Self> {
        let mut draft = Self::take();
        draft.shown = core.show_part(Field::Component, name, |name| Begun::Component(name));
        // More than is allowed is kept, so that the cut is seen and counted when the name is recorded.
        let most = core.shared.intake.limits().name_bytes.saturating_add(BEYOND);
        draft.bytes.put(head(name, most).as_bytes());
        draft
    }

    /// Keeps the memory for the next one, if there is not enough of it.
    pub(crate) fn keep(self: Box<Self>) {
        if self.bytes.memory() > LARGEST {
            return;
        }
        // While a thread is torn down there is no such place any more.
        let _ = SPARES.try_with(|spares| {
            let mut spares = spares.borrow_mut();
            if spares.len() < MOST_SPARES {
                spares.push(self);
            }
        });
    }

    /// What was put together on a page so far, as the page shows it word by word.
    fn of(show: impl FnOnce(&mut dyn FnMut(u64))) -> Box<Self> {
        let mut draft = Self::take();
        show(&mut |word| draft.bytes.put(&word.to_le_bytes()));
        draft.keys = count_keys(draft.bytes.as_slice());
        draft
    }

    fn put(&mut self, core: &Core, put: impl FnOnce(&mut Buffer, &mut Bounds<'_>)) {
        let mut bounds = core.bounds();
        put(&mut self.bytes, &mut bounds);
        bounds.report(&core.shared.intake);
    }

    /// Keeps a value with the call.
    fn with(&mut self, core: &Core, key: &str, value: MetaValue<'_>) {
        self.keys += 1;
        let keys = self.keys;
        self.put(core, |bytes, bounds| {
            if keys > bounds.limits.keys {
                return bounds.left_out();
            }
            if let Some((key, value)) = bounds.entry(key, value) {
                part::metadata(bytes, &key, &value);
            }
        });
    }

    /// Records the call, of which it is known when it began and how long it took.
    fn ran(mut self: Box<Self>, core: &Core, [began, took]: [u64; 2], status: ToolStatus) {
        part::started_nanos(&mut self.bytes, core.wall_at(began));
        self.record(core, took, status);
    }

    /// Records the call: it took so many nanoseconds.
    fn record(mut self: Box<Self>, core: &Core, took: u64, status: ToolStatus) {
        // Where it failed, that was said before.
        self.shown.take().end(&core.shared, Over::Tool(status, None));
        part::duration(&mut self.bytes, Duration::from_nanos(took));
        part::tool_end(&mut self.bytes, status);
        core.fill(Kind::Tool, self.bytes.padded(), core.bounds());
        self.keep();
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

    #[inline]
    fn plain(core: &Core, name: Label) -> Self {
        match core.page.begin_call(|to| hot::tool(to, name)) {
            Some(to) => Self::Here(to),
            None => Self::plain_behind(core, name),
        }
    }

    #[cold]
    #[inline(never)]
    fn plain_behind(core: &Core, name: Label) -> Self {
        core.page.pass_over();
        match core.page.begin_call(|to| hot::tool(to, name)) {
            Some(to) => Self::Here(to),
            None => name.show(|name| Self::any(core, name)),
        }
    }

    #[cold]
    fn any(core: &Core, name: &str) -> Self {
        let mut draft = Draft::take();
        draft.put(core, |bytes, bounds| {
            part::tool_begin(bytes, &bounds.name(Field::Tool, name));
        });
        draft.shown = core.show_part(Field::Tool, name, |name| Begun::Tool(name));
        Self::Apart(draft)
    }

    /// It apart.
    #[cold]
    fn apart(self, core: &Core) -> Box<Draft> {
        match self {
            Self::Here(to) => Draft::of(|see| core.page.take_off(to, see)),
            Self::Apart(draft) => draft,
        }
    }

    /// Lets it go unrecorded.
    #[inline]
    pub(crate) fn let_go(self, core: &Core) {
        if let Self::Here(_) = self {
            core.page.let_go();
        }
    }

    /// Puts a piece in where it is on the page, by who says where it ends; gives it back as it is where it is apart, or where
    /// there is no room.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "what is done is known where it is put in")]
    fn longer_by(self, put: impl FnOnce(usize) -> Option<usize>) -> Result<Self, Self> {
        if let Self::Here(to) = &self
            && let Some(to) = put(*to)
        {
            return Ok(Self::Here(to));
        }
        Err(self)
    }

    /// Keeps a value with it. As for operations, the most frequent kinds go straight to their place.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "of a text that the compiler knows, numbers are left; of a kind, nothing"
    )]
    pub(crate) fn set(self, core: &Core, key: &str, value: MetaValue<'_>) -> Self {
        match value.hot() {
            Ok(Hot::Text(text)) => match plain::key(key) {
                Some(key) => match self.longer_by(|to| core.put_plain_text(to, key, text)) {
                    Ok(call) => call,
                    Err(call) => call.show_text(core, key, text),
                },
                None => self.with(core, key, MetaValue::Text(text)),
            },
            Ok(Hot::Unsigned(number)) => match plain::key(key) {
                Some(key) => match self.longer_by(|to| core.put_plain_unsigned(to, key, number)) {
                    Ok(call) => call,
                    Err(call) => call.show_number(core, key, number),
                },
                None => self.with(core, key, MetaValue::Unsigned(number)),
            },
            Err(value) => self.with(core, key, value),
        }
    }

    // Each takes what it needs as numbers: nobody has to put anything into memory before he knows that he calls it.

    #[cold]
    #[inline(never)]
    fn show_text(self, core: &Core, key: Label, text: &str) -> Self {
        key.show(|key| self.with(core, key, MetaValue::Text(text)))
    }

    #[cold]
    #[inline(never)]
    fn show_number(self, core: &Core, key: Label, number: u64) -> Self {
        key.show(|key| self.with(core, key, MetaValue::Unsigned(number)))
    }

    #[inline(never)]
    fn with(self, core: &Core, key: &str, value: MetaValue<'_>) -> Self {
        let mut draft = self.apart(core);
        draft.with(core, key, value);
        Self::Apart(draft)
    }

    pub(crate) fn attempt(self, core: &Core, attempt: u32) -> Self {
        let mut draft = self.apart(core);
        part::attempt(&mut draft.bytes, attempt);
        Self::Apart(draft)
    }

    pub(crate) fn arguments_hash(self, core: &Core, hash: u64) -> Self {
        let mut draft = self.apart(core);
        part::arguments_hash(&mut draft.bytes, hash);
        Self::Apart(draft)
    }

    /// Records it as over: it took so many nanoseconds.
    #[inline]
    pub(crate) fn record(self, core: &Core, took: u64, status: ToolStatus) {
        let end = |to: &mut Words<'_, ROOM>| hot::tool_end(to, took, status);
        match self {
            Self::Here(to) if hot::is_short(took) && core.page.end_call(to, end) => {}
            other => other.apart(core).record(core, took, status),
        }
    }

    /// Lets it run.
    #[inline]
    pub(crate) fn run(self, core: &Core) -> RunningTool {
        match self {
            Self::Here(to) => match core.page.run(to) {
                Some(run) => RunningTool::Here(run),
                None => RunningTool::Apart(self.apart(core)),
            },
            Self::Apart(draft) => RunningTool::Apart(draft),
        }
    }
}

impl RunningTool {
    /// It apart.
    #[cold]
    fn apart(self, core: &Core) -> Box<Draft> {
        match self {
            Self::Here(run) => Draft::of(|see| core.page.take_off_run(run, see)),
            Self::Apart(draft) => draft,
        }
    }

    /// Puts a piece in where it is on the page; says whether it did.
    #[inline]
    fn write(&mut self, core: &Core, put: impl FnOnce(usize) -> Option<usize>) -> bool {
        let Self::Here(run) = self else { return false };
        let longer = core.page.extend_run(*run, put);
        *run = longer.unwrap_or(*run);
        longer.is_some()
    }

    /// Keeps a value with it, as [`ToolPart::set`] does.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "of a text that the compiler knows, numbers are left; of a kind, nothing"
    )]
    pub(crate) fn set(&mut self, core: &Core, key: &str, value: MetaValue<'_>) {
        match value.hot() {
            Ok(Hot::Text(text)) => match plain::key(key) {
                Some(key) if self.write(core, |to| core.put_plain_text(to, key, text)) => {}
                Some(key) => self.show(core, key, MetaValue::Text(text)),
                None => self.with(core, key, MetaValue::Text(text)),
            },
            Ok(Hot::Unsigned(number)) => match plain::key(key) {
                Some(key) if self.write(core, |to| core.put_plain_unsigned(to, key, number)) => {}
                Some(key) => self.show(core, key, MetaValue::Unsigned(number)),
                None => self.with(core, key, MetaValue::Unsigned(number)),
            },
            Err(value) => self.with(core, key, value),
        }
    }

    #[cold]
    #[inline(never)]
    fn show(&mut self, core: &Core, key: Label, value: MetaValue<'_>) {
        key.show(|key| self.with(core, key, value));
    }

    #[inline(never)]
    fn with(&mut self, core: &Core, key: &str, value: MetaValue<'_>) {
        if let Self::Here(run) = *self {
            *self = Self::Apart(Draft::of(|see| core.page.take_off_run(run, see)));
        }
        if let Self::Apart(draft) = self {
            draft.with(core, key, value);
        }
    }

    /// Records it as over: at what nanosecond of the monotonic clock it began, and how many it took.
    #[inline]
    pub(crate) fn record(self, core: &Core, [began, took]: [u64; 2], status: ToolStatus) {
        let end = |to: &mut Words<'_, ROOM>| {
            hot::started(to, core.wall_at(began));
            hot::tool_end(to, took, status);
        };
        match self {
            Self::Here(run) if hot::is_short(took) && core.page.end_run(run, end) => {}
            other => other.apart(core).ran(core, [began, took], status),
        }
    }

    /// As [`record`](RunningTool::record), with what it failed with.
    #[cold]
    pub(crate) fn fail(self, core: &Core, times: [u64; 2], status: ToolStatus, error: ErrorRecord) {
        let mut draft = self.apart(core);
        draft.shown.take().end(&core.shared, Over::Tool(status, Some(&error)));
        draft.put(core, |bytes, bounds| part::error(bytes, &bounds.error(error)));
        draft.ran(core, times, status);
    }
}

#[cfg(all(test, not(taximeter_model)))]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use taximeter_models::{OperationRecord, ToolStatus};

    use crate::{Collector, Handle, ManualClock, ToolGuard};

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

    #[test]
    fn calls_that_run_side_by_side_are_whole_and_in_the_order_in_which_they_ended() {
        for length in [1, 30, 64, 300] {
            let text = "x".repeat(length);
            let record = recorded(|op| {
                let calls = ["a", "b", "c", "d"]
                    .map(|name| op.tool(name).with("name", name).with("text", &*text).start());
                op.add_component("between", Duration::ZERO);
                let [a, mut b, c, d] = calls;
                c.succeed();
                b.set("set", 1);
                std::thread::scope(|scope| {
                    scope.spawn(|| a.fail("a fault")).join().expect("it does not panic");
                });
                op.tool("e").with("name", "e").with("text", &*text).start().succeed();
                d.end(ToolStatus::Timeout);
                b.succeed();
            });
            assert_eq!(names(&record), ["first", "c", "a", "e", "d", "b", "last"]);
            for call in &record.tool_calls[1..6] {
                assert_eq!(call.metadata["name"], *call.name);
                assert_eq!(call.metadata["text"], text);
                assert!(call.started_at.is_some() && call.duration.is_some());
            }
            let [_, _, a, _, d, b, _] = &record.tool_calls[..] else { panic!("seven calls") };
            assert_eq!(a.error.as_ref().map(|error| &*error.message), Some("a fault"));
            assert_eq!((d.status, &b.metadata["set"]), (ToolStatus::Timeout, &1.into()));
            assert_eq!(record.components.len(), 1);
        }
    }

    #[test]
    fn a_clock_that_is_set_moves_no_call_out_of_its_operation() {
        let clock = Arc::new(ManualClock::at("2026-11-23T12:00:00Z".parse().expect("a time")));
        let collector = Collector::builder().clock(Arc::clone(&clock) as _).build();
        let op = collector.expect("a thread").operation("op").start();
        clock.advance(Duration::from_secs(2));
        clock.step_wall(-3_600);
        let calls = ["short", "of a name that is not short"].map(|name| op.tool(name).start());
        clock.advance(Duration::from_secs(3));
        calls.into_iter().for_each(ToolGuard::succeed);
        let record = op.finish().expect("it is on");
        for call in &record.tool_calls {
            assert_eq!(call.started_at, Some(record.started_at + Duration::from_secs(2)));
            assert_eq!(call.duration, Some(Duration::from_secs(3)));
        }
        assert_eq!(record.tool_calls.len(), 2);
    }

    #[test]
    fn a_call_that_outlives_its_operation_is_late() {
        let collector = Collector::builder().build().expect("a thread");
        let op = collector.operation("op").user("somebody").start();
        let call = op.tool("t").with("k", 1).start().owned();
        let record = op.finish().expect("it is on");
        assert_eq!((record.tool_calls.len(), record.user.as_deref()), (0, Some("somebody")));
        call.succeed();
        assert_eq!(collector.counts().late_parts, 1);
    }
}
