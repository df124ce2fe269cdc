//! The parts of an operation while they run: components, calls of tools, calls of LLMs.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use taximeter_models::{
    ErrorCategory, ErrorRecord, Failure, LlmCall, TokenUsage, ToolStatus, UsageError,
};

use crate::bounds::{BEYOND, Bounds};
use crate::clock::Moment;
use crate::ending::{decided, read};
use crate::frame::{Buffer, part};
use crate::handle::Handle;
use crate::limits::head;
use crate::page::Kind;
use crate::place::Core;
use crate::redact::Field;
use crate::show::{Begun, Inside, Over, Shown};
use crate::sync::atomic::Ordering;
use crate::value::{Hot, MetaValue};

/// A component that runs; its time is recorded when this is dropped.
#[derive(Debug)]
pub struct ComponentGuard {
    handle: Handle,
    name: NameText,
    /// By the monotonic clock.
    began: Duration,
    shown: Shown,
}

/// The name of a component while it runs; mostly short enough to need no memory of its own.
type NameText = smallvec::SmallVec<[u8; 40]>;

impl ComponentGuard {
    #[inline]
    pub(crate) fn start(handle: &Handle, name: &str) -> Self {
        let Some(core) = &handle.0 else {
            let (handle, name) = (Handle::off(), NameText::new());
            return Self { handle, name, began: Duration::ZERO, shown: Shown::NOTHING };
        };
        // More than is allowed is kept, so that the cut is seen and counted when the name is recorded.
        let most = core.shared.intake.limits().name_bytes.saturating_add(BEYOND);
        let kept = NameText::from_slice(head(name, most).as_bytes());
        Self {
            handle: handle.clone(),
            name: kept,
            began: core.shared.time.monotonic(&core.shared.intake),
            shown: core.show_part(Field::Component, name, |name| Begun::Component(name)),
        }
    }

    /// Enters it as it is shown, for what runs on this thread.
    pub(crate) fn enter(&self) -> Option<Inside> {
        Some(self.shown.clone()).filter(Shown::is_something).map(Shown::enter)
    }

    /// Ends it; as good as dropping it.
    pub fn stop(self) {}
}

impl Drop for ComponentGuard {
    #[inline]
    fn drop(&mut self) {
        let Some(core) = &self.handle.0 else { return };
        let took = core.shared.time.monotonic(&core.shared.intake).saturating_sub(self.began);
        self.shown.end(&core.shared, Over::Component);
        let name = std::str::from_utf8(&self.name).unwrap_or_default();
        core.component(name, Some(self.began), took);
    }
}

impl Core {
    /// Shows a part of this name, where operations are shown.
    fn show_part(
        &self,
        field: Field<'_>,
        name: &str,
        begun: impl FnOnce(&str) -> Begun<'_>,
    ) -> Shown {
        let shown = self.shown();
        if !shown.is_something() {
            return shown;
        }
        let mut bounds = self.bounds();
        let name = bounds.name(field, name);
        shown.begin(&self.shared, begun(&name))
    }
}

impl Moment {
    fn of(handle: &Handle) -> Option<Self> {
        handle.0.as_ref().map(|core| core.shared.time.now(&core.shared.intake))
    }

    fn elapsed(self, handle: &Handle) -> Option<Duration> {
        let core = handle.0.as_ref()?;
        Some(core.shared.time.monotonic(&core.shared.intake).saturating_sub(self.monotonic))
    }
}

/// What a call is recorded with that was dropped without an end.
fn dropped() -> ErrorRecord {
    ErrorRecord::new(ErrorCategory::Cancelled, "dropped before its end")
}

/// A call of a tool before it begins.
#[derive(Debug)]
#[must_use = "the call begins with `start()`"]
pub struct ToolStart<'h>(Option<(&'h Arc<Core>, ToolPart)>);

/// A call of a tool that runs. Dropped without an end it is recorded as an error, cancelled.
#[derive(Debug)]
#[must_use = "dropped at once, the call is recorded as cancelled"]
pub struct ToolGuard(Option<(Arc<Core>, ToolPart, Moment)>);

/// A call that is put together within the limits.
#[derive(Debug)]
struct ToolPart {
    // In a place of its own, so that it is moved for little.
    draft: Box<Draft>,
    shown: Shown,
}

#[derive(Debug, Default)]
struct Draft {
    bytes: Buffer,
    keys: usize,
}

thread_local! {
    #[expect(clippy::vec_box, reason = "a call is moved from hand to hand: by its place, it is for little")]
    /// Memory for calls, to be used again: a few hundred bytes for each call that runs on this thread at a time.
    static SPARE: RefCell<Vec<Box<Draft>>> = const { RefCell::new(Vec::new()) };
}

/// So many pieces of memory are kept, none of them larger.
const SPARES: (usize, usize) = (8, 1_024);

impl ToolPart {
    fn new(core: &Core, name: &str) -> Self {
        let spare = SPARE.try_with(|spare| spare.borrow_mut().pop());
        let mut draft = spare.ok().flatten().unwrap_or_default();
        draft.bytes.clear();
        draft.keys = 0;
        let shown = core.show_part(Field::Tool, name, |name| Begun::Tool(name));
        let mut part = Self { draft, shown };
        if core.plain().is_name(name) {
            part::tool_begin(&mut part.draft.bytes, name);
            return part;
        }
        part.put(core, |bytes, bounds| {
            part::tool_begin(bytes, &bounds.name(Field::Tool, name));
        });
        part
    }

    #[inline]
    fn put(&mut self, core: &Core, put: impl FnOnce(&mut Buffer, &mut Bounds<'_>)) {
        let mut bounds = core.bounds();
        put(&mut self.draft.bytes, &mut bounds);
        bounds.report(&core.shared.intake);
    }

    /// As [`put`](ToolPart::put), for what is kept under a key.
    #[inline]
    fn put_key(&mut self, core: &Core, put: impl FnOnce(&mut Buffer, &mut Bounds<'_>)) {
        self.draft.keys += 1;
        let keys = self.draft.keys;
        self.put(core, |bytes, bounds| {
            if keys <= bounds.limits.keys { put(bytes, bounds) } else { bounds.left_out() }
        });
    }

    #[inline(never)]
    fn text(&mut self, core: &Core, key: &str, text: &str) {
        if self.draft.keys < core.shared.intake.limits().keys && core.plain().is_entry(key, text) {
            self.draft.keys += 1;
            return part::text(&mut self.draft.bytes, key, text);
        }
        self.put_key(core, |bytes, bounds| {
            if let Some(name) = bounds.key(key)
                && let Some(text) = bounds.text(key, text)
            {
                part::text(bytes, &name, &text);
            }
        });
    }

    #[inline(never)]
    fn unsigned(&mut self, core: &Core, key: &str, number: u64) {
        if self.draft.keys < core.shared.intake.limits().keys && core.plain().is_key(key) {
            self.draft.keys += 1;
            return part::unsigned(&mut self.draft.bytes, key, number);
        }
        self.put_key(core, |bytes, bounds| match bounds.number_key(key) {
            Some(key) => part::unsigned(bytes, &key, number),
            None => put_entry(bytes, bounds, key, MetaValue::Unsigned(number)),
        });
    }

    #[inline(never)]
    fn with(&mut self, core: &Core, key: &str, value: MetaValue<'_>) {
        self.put_key(core, |bytes, bounds| put_entry(bytes, bounds, key, value));
    }

    #[inline(never)]
    fn record(mut self, core: &Core, took: Duration, status: ToolStatus) {
        // Where it failed, that was said before.
        std::mem::take(&mut self.shown).end(&core.shared, Over::Tool(status, None));
        if took >= Bounds::LONGEST {
            self.put(core, |_, bounds| _ = bounds.duration(took));
        }
        part::duration(&mut self.draft.bytes, took.min(Bounds::LONGEST));
        part::tool_end(&mut self.draft.bytes, status);
        core.fill_plain(Kind::Tool, self.draft.bytes.padded());
        let (most, largest) = SPARES;
        if self.draft.bytes.memory() <= largest {
            let _ = SPARE.try_with(|spare| {
                let mut spare = spare.borrow_mut();
                if spare.len() < most {
                    spare.push(self.draft);
                }
            });
        }
    }
}

fn put_entry(bytes: &mut Buffer, bounds: &mut Bounds<'_>, key: &str, value: MetaValue<'_>) {
    if let Some((key, value)) = bounds.entry(key, value) {
        part::metadata(bytes, &key, &value);
    }
}

impl<'h> ToolStart<'h> {
    #[inline]
    pub(crate) fn new(handle: &'h Handle, name: &str) -> Self {
        Self(handle.0.as_ref().map(|core| (core, ToolPart::new(core, name))))
    }

    /// Keeps a value with it.
    #[inline]
    pub fn with<'v>(mut self, key: impl AsRef<str>, value: impl Into<MetaValue<'v>>) -> Self {
        if let Some((core, call)) = &mut self.0 {
            // As for operations: the most frequent kinds go straight to their place.
            match value.into().hot() {
                Ok(Hot::Text(text)) => call.text(core, key.as_ref(), text),
                Ok(Hot::Unsigned(number)) => call.unsigned(core, key.as_ref(), number),
                Err(value) => call.with(core, key.as_ref(), value),
            }
        }
        self
    }

    /// Says which try this is, counted from 1. Default: 1.
    pub fn attempt(mut self, attempt: u32) -> Self {
        if let Some((_, call)) = &mut self.0 {
            part::attempt(&mut call.draft.bytes, attempt);
        }
        self
    }

    /// Gives a hash of the arguments, to find calls that repeat.
    pub fn arguments_hash(mut self, hash: u64) -> Self {
        if let Some((_, call)) = &mut self.0 {
            part::arguments_hash(&mut call.draft.bytes, hash);
        }
        self
    }

    /// Begins it.
    #[inline]
    pub fn start(self) -> ToolGuard {
        ToolGuard(self.0.map(|(core, call)| {
            let began = core.shared.time.now(&core.shared.intake);
            (Arc::clone(core), call, began)
        }))
    }

    /// Records a call that is over, by the time that it took.
    ///
    /// ```
    /// use std::time::Duration;
    /// use taximeter_collector::{Collector, NullSink};
    /// use taximeter_models::ToolStatus;
    ///
    /// let collector = Collector::builder().sink(NullSink).build()?;
    /// let op = collector.operation("qa_response").start();
    /// op.tool("search").with("query", "taxi").took(Duration::from_millis(3), ToolStatus::Success);
    /// op.tool("search").took(Duration::from_secs(30), ToolStatus::Timeout);
    /// assert_eq!(op.finish().expect("it is switched on").tool_calls.len(), 2);
    /// # Ok::<(), taximeter_collector::CollectorError>(())
    /// ```
    #[inline]
    pub fn took(self, duration: Duration, status: ToolStatus) {
        if let Some((core, call)) = self.0 {
            call.record(core, duration, status);
        }
    }

    /// Runs it: an `Err` is an error (or a timeout, by its category), all else a success.
    pub fn run<R: crate::Ending<Kind>, Kind>(self, work: impl FnOnce() -> R) -> R {
        let guard = self.start();
        let returned = work();
        let intake = guard.0.as_ref().map(|(core, ..)| &core.shared.intake);
        match intake.and_then(|intake| decided::<R>(intake, || returned.failure())) {
            Some(error) => guard.fail(&error),
            None => guard.succeed(),
        }
        returned
    }
}

impl ToolGuard {
    /// Keeps a value with it.
    pub fn set<'v>(&mut self, key: impl AsRef<str>, value: impl Into<MetaValue<'v>>) {
        if let Some((core, call, _)) = &mut self.0 {
            call.with(core, key.as_ref(), value.into());
        }
    }

    /// Ends it as a success.
    #[inline]
    pub fn succeed(mut self) {
        self.close(ToolStatus::Success, None);
    }

    /// Ends it by an error: a timeout if that is its category, else an error.
    pub fn fail<E: Failure<Kind> + ?Sized, Kind>(mut self, error: &E) {
        if let Some((core, ..)) = &self.0 {
            let error = read(&core.shared.intake, error);
            self.close(ToolStatus::of_error(error.category), Some(error));
        }
    }

    /// Ends it with a status, and nothing said of why.
    pub fn end(mut self, status: ToolStatus) {
        self.close(status, None);
    }

    #[inline]
    fn close(&mut self, status: ToolStatus, error: Option<ErrorRecord>) {
        if let Some((core, call, began)) = self.0.take() {
            call.end(&core, began, status, error);
        }
    }
}

impl ToolPart {
    #[inline(never)]
    fn end(mut self, core: &Core, began: Moment, status: ToolStatus, error: Option<ErrorRecord>) {
        let took = core.shared.time.monotonic(&core.shared.intake).saturating_sub(began.monotonic);
        part::started_nanos(&mut self.draft.bytes, began.wall);
        if let Some(error) = error {
            let over = Over::Tool(status, Some(&error));
            std::mem::take(&mut self.shown).end(&core.shared, over);
            self.put(core, |bytes, bounds| part::error(bytes, &bounds.error(error)));
        }
        self.record(core, took, status);
    }
}

impl Drop for ToolGuard {
    #[inline]
    fn drop(&mut self) {
        if self.0.is_some() {
            self.close(ToolStatus::Error, Some(dropped()));
        }
    }
}

/// A call of an LLM before it begins.
#[derive(Debug)]
#[must_use = "the call begins with `start()`"]
pub struct LlmStart {
    handle: Handle,
    call: Option<Box<LlmCall>>,
}

/// A call of an LLM that runs. Dropped without an end, as a stream that nobody reads on, it is recorded as cancelled,
/// with what it is known to have consumed.
#[derive(Debug)]
#[must_use = "dropped at once, the call is recorded as cancelled"]
pub struct LlmGuard {
    handle: Handle,
    call: Option<(Box<LlmCall>, Moment)>,
    shown: Shown,
}

impl LlmStart {
    pub(crate) fn new(handle: &Handle, provider: &str, model: &str) -> Self {
        let call = handle.is_recording().then(|| Box::new(LlmCall::new(provider, model)));
        Self { handle: handle.clone(), call }
    }

    fn change(mut self, change: impl FnOnce(&mut LlmCall)) -> Self {
        if let Some(call) = &mut self.call {
            change(call);
        }
        self
    }

    /// Says whether the reply is streamed. Default: no.
    pub fn streamed(self, streamed: bool) -> Self {
        self.change(|call| call.streamed = streamed)
    }

    /// Says which try this is, counted from 1. Default: 1.
    pub fn attempt(self, attempt: u32) -> Self {
        self.change(|call| call.attempt = attempt)
    }

    /// Gives a hash of the beginning of the prompt, to see what a prompt cache could hold.
    pub fn prompt_prefix_hash(self, hash: u64) -> Self {
        self.change(|call| call.prompt_prefix_hash = Some(hash))
    }

    /// Gives a hash of the whole request, to find calls that repeat.
    pub fn arguments_hash(self, hash: u64) -> Self {
        self.change(|call| call.arguments_hash = Some(hash))
    }

    /// Says how many tokens the LLM's context window holds.
    pub fn context_window(self, tokens: u64) -> Self {
        self.change(|call| call.context_window = Some(tokens))
    }

    /// Keeps a value with it.
    pub fn with<'v>(self, key: impl AsRef<str>, value: impl Into<MetaValue<'v>>) -> Self {
        self.change(|call| {
            call.metadata.insert(key.as_ref().to_owned(), value.into().into_value());
        })
    }

    /// Begins it.
    pub fn start(self) -> LlmGuard {
        let call = self.call.zip(Moment::of(&self.handle));
        if let Some(core) = &self.handle.0 {
            core.llm_guards.iter().for_each(|guards| _ = guards.fetch_add(1, Ordering::Relaxed));
        }
        let shown = self
            .handle
            .0
            .as_ref()
            .zip(call.as_ref())
            .map(|(core, (call, _))| core.shown().begin(&core.shared, Begun::Llm(call)));
        LlmGuard { handle: self.handle, call, shown: shown.unwrap_or_default() }
    }
}

impl LlmGuard {
    /// Marks the first token; later marks change nothing.
    pub fn first_token(&mut self) {
        if let Some((call, began)) = &mut self.call {
            call.time_to_first_token =
                call.time_to_first_token.or_else(|| began.elapsed(&self.handle));
        }
    }

    /// Says what was consumed; a later report takes the place of an earlier one, for providers report running
    /// totals. Numbers that cannot be are counted, and the call is kept without them.
    pub fn usage<U>(&mut self, usage: U)
    where
        U: TryInto<TokenUsage>,
        UsageError: From<U::Error>,
    {
        if let (Some((call, _)), Some(core)) = (&mut self.call, &self.handle.0) {
            core.put_usage(call, usage.try_into().map_err(UsageError::from));
        }
    }

    /// Says which LLM answered, in the reply's word.
    pub fn served_model(&mut self, model: impl AsRef<str>) {
        self.change(|call| call.response_model = Some(model.as_ref().into()));
    }

    /// Says which service tier answered, in the reply's word.
    pub fn served_tier(&mut self, tier: impl AsRef<str>) {
        self.change(|call| call.served_tier = Some(tier.as_ref().into()));
    }

    /// Says how it was served, as far as that changes its price: `("processing", "batch")`, `("region", "eu")`.
    pub fn served_as(&mut self, selector: impl AsRef<str>, value: impl AsRef<str>) {
        self.change(|call| {
            _ = call.served_as.insert(selector.as_ref().into(), value.as_ref().into());
        });
    }

    /// Says why the LLM stopped, in the reply's word.
    pub fn finish_reason(&mut self, reason: impl AsRef<str>) {
        self.change(|call| call.finish_reason = Some(reason.as_ref().into()));
    }

    /// Keeps a value with it.
    pub fn set<'v>(&mut self, key: impl AsRef<str>, value: impl Into<MetaValue<'v>>) {
        self.change(|call| {
            call.metadata.insert(key.as_ref().to_owned(), value.into().into_value());
        });
    }

    /// Fills in the record of the call in any other way: for adapters that know more of it than the methods above take,
    /// such as a cost that the provider reported. Start, duration and error are the guard's own.
    ///
    /// ```
    /// use taximeter_collector::{Collector, NullSink};
    ///
    /// let collector = Collector::builder().sink(NullSink).build()?;
    /// let op = collector.operation("qa_response").start();
    /// let mut call = op.llm_call("openai", "gpt-4o").start();
    /// call.fill(|record| record.streamed = true);
    /// call.succeed();
    /// assert!(op.finish().expect("it is switched on").llm_calls[0].streamed);
    /// # Ok::<(), taximeter_collector::CollectorError>(())
    /// ```
    pub fn fill(&mut self, fill: impl FnOnce(&mut LlmCall)) {
        self.change(fill);
    }

    /// How long it has been running, by the collector's clock; zero where nothing is recorded.
    pub fn elapsed(&self) -> Duration {
        let began = self.call.as_ref().map(|(_, began)| *began);
        began.and_then(|began| began.elapsed(&self.handle)).unwrap_or_default()
    }

    /// Ends it as a success.
    pub fn succeed(mut self) {
        self.close(None);
    }

    /// Ends it by an error. What was consumed stays recorded.
    pub fn fail<E: Failure<Kind> + ?Sized, Kind>(mut self, error: &E) {
        if let Some(intake) = self.call.as_ref().and_then(|_| self.handle.intake()) {
            self.close(Some(read(intake, error)));
        }
    }

    fn change(&mut self, change: impl FnOnce(&mut LlmCall)) {
        if let Some((call, _)) = &mut self.call {
            change(call);
        }
    }

    fn close(&mut self, error: Option<ErrorRecord>) {
        let Some((mut call, began)) = self.call.take() else { return };
        if let Some(core) = &self.handle.0 {
            core.llm_guards[1].fetch_sub(1, Ordering::Relaxed);
        }
        call.started_at = Some(chrono::DateTime::from_timestamp_nanos(began.wall));
        call.duration = began.elapsed(&self.handle);
        call.error = error;
        if let Some(core) = &self.handle.0 {
            std::mem::take(&mut self.shown).end(&core.shared, Over::Llm(&call));
        }
        self.handle.record_llm_call(*call);
    }
}

impl Drop for LlmGuard {
    fn drop(&mut self) {
        self.close(Some(dropped()));
    }
}
