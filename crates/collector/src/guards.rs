//! Components and calls of tools while they run.

use std::sync::Arc;
use std::time::Duration;

use taximeter_models::{ErrorCategory, ErrorRecord, Failure, ToolStatus};

use crate::draft::{Draft, RunningTool, ToolPart};
use crate::ending::{decided, read};
use crate::frame::Label;
use crate::handle::Handle;
use crate::hold::Hold;
use crate::place::Core;
use crate::redact::Field;
use crate::show::{Begun, Inside, Over, Shown};
use crate::value::MetaValue;

/// A component that runs; its time is recorded when this is dropped. It borrows its operation's handle, unless it is
/// [owned](ComponentGuard::owned).
#[derive(Debug)]
#[must_use = "dropped at once, the component took no time"]
pub struct ComponentGuard<'h>(Option<Running<'h>>);

#[derive(Debug)]
struct Running<'h> {
    core: Hold<'h>,
    name: Label,
    began: Began,
    /// Takes the place of the name where that is long, and holds how the component is shown.
    apart: Option<Box<Draft>>,
}

/// The nanoseconds of the monotonic clock at a beginning.
type Began = u64;

impl<'h> ComponentGuard<'h> {
    #[inline]
    pub(crate) fn start(handle: &'h Handle, name: &str) -> Self {
        Self(handle.0.as_ref().map(|core| {
            let label = if core.page.has_places() { Label::of(name) } else { None };
            let apart = if label.is_none() { Some(Draft::of_component(core, name)) } else { None };
            let (name, began) = (label.unwrap_or_default(), core.now());
            Running { core: Hold::Lent(core), name, began, apart }
        }))
    }

    /// Enters it as it is shown, for what runs on this thread.
    pub(crate) fn enter(&self) -> Option<Inside> {
        let apart = self.0.as_ref().and_then(|running| running.apart.as_ref());
        let shown = apart.map(|draft| draft.shown.clone());
        shown.filter(Shown::is_something).map(Shown::enter)
    }

    /// It by itself, which borrows nothing: to be kept in a struct, or to go to another thread or task. What is over when its
    /// operation has ended comes too late, and is counted.
    ///
    /// ```
    /// use taximeter_collector::Collector;
    ///
    /// let collector = Collector::builder().build()?;
    /// let op = collector.operation("qa_response").start();
    /// let (search, rerank) = (op.component("search").owned(), op.component("rerank").owned());
    /// std::thread::spawn(move || search.stop()).join().expect("it does not panic");
    /// let record = op.finish().expect("it is switched on");
    /// rerank.stop();
    /// assert_eq!(record.components.len(), 1);
    /// assert_eq!(collector.counts().late_parts, 1);
    /// # Ok::<(), taximeter_collector::CollectorError>(())
    /// ```
    pub fn owned(mut self) -> ComponentGuard<'static> {
        let running = self.0.take();
        ComponentGuard(running.map(|Running { core, name, began, apart }| Running {
            core: core.owned(),
            name,
            began,
            apart,
        }))
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

impl Drop for ComponentGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        self.end();
    }
}

impl Core {
    #[inline(never)]
    fn end_component(&self, name: Label, began: Began) {
        let took = self.now().saturating_sub(began);
        self.component_at(name, self.since_start(began), took);
    }

    #[inline(never)]
    fn end_component_apart(&self, mut draft: Box<Draft>, began: Began) {
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

/// What a call is recorded with that was dropped without an end.
pub(crate) fn dropped() -> ErrorRecord {
    ErrorRecord::new(ErrorCategory::Cancelled, "dropped before its end")
}

/// A call of a tool before it begins.
#[derive(Debug)]
#[must_use = "the call begins with `start()`"]
pub struct ToolStart<'h>(Option<(&'h Arc<Core>, ToolPart)>);

/// A call of a tool that runs. Dropped without an end it is recorded as an error, cancelled. It borrows its operation's
/// handle, unless it is [owned](ToolGuard::owned).
#[derive(Debug)]
#[must_use = "dropped at once, the call is recorded as cancelled"]
pub struct ToolGuard<'h>(Option<(Hold<'h>, RunningTool, Began)>);

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
    pub fn start(self) -> ToolGuard<'h> {
        ToolGuard(self.into_inner().map(|(core, call)| {
            let call = call.run(core);
            (Hold::Lent(core), call, core.now())
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

impl ToolGuard<'_> {
    /// It by itself, which borrows nothing: to be kept in a struct, or to go to another thread or task. What is over when its
    /// operation has ended comes too late, and is counted.
    ///
    /// ```
    /// use taximeter_collector::Collector;
    ///
    /// let op = Collector::builder().build()?.operation("qa_response").start();
    /// let call = op.tool("search").start().owned();
    /// std::thread::spawn(move || call.succeed()).join().expect("it does not panic");
    /// let given_up = op.tool("search").start().owned();
    /// drop(given_up);
    /// let record = op.finish().expect("it is switched on");
    /// assert_eq!(record.tool_calls.len(), 2);
    /// assert!(record.tool_calls[0].is_success() && !record.tool_calls[1].is_success());
    /// # Ok::<(), taximeter_collector::CollectorError>(())
    /// ```
    pub fn owned(mut self) -> ToolGuard<'static> {
        ToolGuard(self.0.take().map(|(core, call, began)| (core.owned(), call, began)))
    }

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
    #[inline(never)]
    fn end_tool(&self, call: RunningTool, began: Began, status: ToolStatus) {
        let took = self.now().saturating_sub(began);
        call.record(self, [began, took], status);
    }
}

impl Drop for ToolGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some((core, call, began)) = self.0.take() {
            let took = core.now().saturating_sub(began);
            call.fail(&core, [began, took], ToolStatus::Error, dropped());
        }
    }
}
