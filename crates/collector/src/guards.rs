//! The parts of an operation while they run: components, calls of tools, calls of LLMs.

use std::sync::Arc;
use std::time::Duration;

use taximeter_models::{
    ErrorCategory, ErrorRecord, Failure, LlmCall, TokenUsage, ToolStatus, UsageError,
};

use crate::clock::Moment;
use crate::draft::{Draft, RunningTool, ToolPart};
use crate::ending::{decided, read};
use crate::frame::Label;
use crate::handle::Handle;
use crate::place::Core;
use crate::redact::Field;
use crate::show::{Begun, Inside, Over, Shown};
use crate::sync::atomic::Ordering;
use crate::value::MetaValue;

/// A component that runs; its time is recorded when this is dropped.
#[derive(Debug)]
pub struct ComponentGuard(Option<Running>);

#[derive(Debug)]
struct Running {
    core: Arc<Core>,
    name: Label,
    began: Began,
    /// Takes the place of the name where that is long, and holds how the component is shown.
    apart: Option<Box<Draft>>,
}

/// The nanoseconds of the monotonic clock at a beginning.
type Began = u64;

impl ComponentGuard {
    #[inline]
    pub(crate) fn start(handle: &Handle, name: &str) -> Self {
        Self(handle.0.as_ref().map(|core| {
            let label = if core.page.has_places() { Label::of(name) } else { None };
            let apart = if label.is_none() { Some(Draft::of_component(core, name)) } else { None };
            let (core, name) = (Arc::clone(core), label.unwrap_or_default());
            let began = core.now();
            Running { core, name, began, apart }
        }))
    }

    /// Enters it as it is shown, for what runs on this thread.
    pub(crate) fn enter(&self) -> Option<Inside> {
        let apart = self.0.as_ref().and_then(|running| running.apart.as_ref());
        let shown = apart.map(|draft| draft.shown.clone());
        shown.filter(Shown::is_something).map(Shown::enter)
    }

    /// Ends it; as good as dropping it.
    #[inline]
    pub fn stop(mut self) {
        self.end();
        // Nothing is left in it; said so, no code is made to look for it.
        std::mem::forget(self);
    }

    #[inline]
    fn end(&mut self) {
        if let Some(Running { core, name, began, apart }) = self.0.take() {
            match apart {
                None => core.end_component(name, began),
                Some(draft) => core.end_component_apart(draft, began),
            }
        }
    }
}

impl Drop for ComponentGuard {
    #[inline]
    fn drop(&mut self) {
        self.end();
    }
}

impl Core {
    /// It takes the place with it, so that who drops a guard need not let it go.
    #[inline(never)]
    fn end_component(self: Arc<Self>, name: Label, began: Began) {
        let took = self.now().saturating_sub(began);
        self.component_at(name, self.since_start(began), took);
    }

    #[inline(never)]
    fn end_component_apart(self: Arc<Self>, mut draft: Box<Draft>, began: Began) {
        draft.shown.take().end(&self.shared, Over::Component);
        let (offset, took) = (self.since_start(began), self.now().saturating_sub(began));
        let name = std::str::from_utf8(draft.bytes.as_slice()).unwrap_or_default();
        self.any_component(name, Some(offset), took);
        draft.keep();
    }

    /// Shows a part of this name, where operations are shown.
    #[inline]
    pub(crate) fn show_part(
        &self,
        field: Field<'_>,
        name: &str,
        begun: impl FnOnce(&str) -> Begun<'_>,
    ) -> Shown {
        if self.shared.show.is_something() {
            self.show_this(field, name, begun)
        } else {
            Shown::NOTHING
        }
    }

    #[cold]
    fn show_this(
        &self,
        field: Field<'_>,
        name: &str,
        begun: impl FnOnce(&str) -> Begun<'_>,
    ) -> Shown {
        let mut bounds = self.bounds();
        let name = bounds.name(field, name);
        self.shown().begin(&self.shared, begun(&name))
    }
}

impl Moment {
    fn of(handle: &Handle) -> Option<Self> {
        handle.0.as_ref().map(|core| core.shared.time.now(&core.shared.intake))
    }

    fn elapsed(self, handle: &Handle) -> Option<Duration> {
        let core = handle.0.as_ref()?;
        Some(Duration::from_nanos(core.now().saturating_sub(self.monotonic)))
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
pub struct ToolGuard(Option<(Arc<Core>, RunningTool, Began)>);

impl<'h> ToolStart<'h> {
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "of a text that the compiler knows, numbers are left")]
    pub(crate) fn new(handle: &'h Handle, name: &str) -> Self {
        Self(handle.0.as_ref().map(|core| (core, ToolPart::new(core, name))))
    }

    /// Keeps a value with it.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "of a text that the compiler knows, numbers are left; of a kind, nothing"
    )]
    pub fn with<'v>(self, key: impl AsRef<str>, value: impl Into<MetaValue<'v>>) -> Self {
        if self.0.is_none() {
            return self;
        }
        let (key, value) = (key.as_ref(), value.into());
        let Some((core, call)) = self.into_inner() else { return Self(None) };
        Self(Some((core, call.set(core, key, value))))
    }

    /// What is in it. Nothing is left in it then; said so, no code is made to look for it.
    #[inline]
    fn into_inner(mut self) -> Option<(&'h Arc<Core>, ToolPart)> {
        let inner = self.0.take();
        std::mem::forget(self);
        inner
    }

    /// Says which try this is, counted from 1. Default: 1.
    pub fn attempt(self, attempt: u32) -> Self {
        Self(self.into_inner().map(|(core, call)| (core, call.attempt(core, attempt))))
    }

    /// Gives a hash of the arguments, to find calls that repeat.
    pub fn arguments_hash(self, hash: u64) -> Self {
        Self(self.into_inner().map(|(core, call)| (core, call.arguments_hash(core, hash))))
    }

    /// Begins it.
    #[inline]
    pub fn start(self) -> ToolGuard {
        ToolGuard(self.into_inner().map(|(core, call)| {
            let call = call.run(core);
            (Arc::clone(core), call, core.now())
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
        if let Some((core, call)) = self.into_inner() {
            call.record(core, core.nanos(duration), status);
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

impl Drop for ToolStart<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some((core, call)) = self.0.take() {
            call.let_go(core);
        }
    }
}

impl ToolGuard {
    /// Keeps a value with it.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "of a text that the compiler knows, numbers are left; of a kind, nothing"
    )]
    pub fn set<'v>(&mut self, key: impl AsRef<str>, value: impl Into<MetaValue<'v>>) {
        if let Some((core, call, _)) = &mut self.0 {
            call.set(core, key.as_ref(), value.into());
        }
    }

    /// Ends it as a success.
    #[inline]
    pub fn succeed(self) {
        self.end(ToolStatus::Success);
    }

    /// Ends it by an error: a timeout if that is its category, else an error.
    pub fn fail<E: Failure<Kind> + ?Sized, Kind>(mut self, error: &E) {
        if let Some((core, call, began)) = self.0.take() {
            let took = core.now().saturating_sub(began);
            let error = read(&core.shared.intake, error);
            call.fail(&core, [began, took], ToolStatus::of_error(error.category), error);
        }
    }

    /// Ends it with a status, and nothing said of why.
    #[inline]
    pub fn end(mut self, status: ToolStatus) {
        if let Some((core, call, began)) = self.0.take() {
            core.end_tool(call, began, status);
        }
        // Nothing is left in it; said so, no code is made to look for it.
        std::mem::forget(self);
    }
}

impl Core {
    /// It takes the place with it, so that who ends a call need not let it go.
    #[inline(never)]
    fn end_tool(self: Arc<Self>, call: RunningTool, began: Began, status: ToolStatus) {
        let took = self.now().saturating_sub(began);
        call.record(&self, [began, took], status);
    }
}

impl Drop for ToolGuard {
    #[inline]
    fn drop(&mut self) {
        if let Some((core, call, began)) = self.0.take() {
            let took = core.now().saturating_sub(began);
            call.fail(&core, [began, took], ToolStatus::Error, dropped());
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
            self.shown.take().end(&core.shared, Over::Llm(&call));
        }
        self.handle.record_llm_call(*call);
    }
}

impl Drop for LlmGuard {
    fn drop(&mut self) {
        self.close(Some(dropped()));
    }
}
