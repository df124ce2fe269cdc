//! The handle by which everybody records into an operation that runs.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use taximeter_models::{
    ErrorRecord, Failure, LlmCall, OperationId, TokenUsage, ToolCall, TraceId, UsageError,
};

use crate::bounds::Bounds;
use crate::current::Entered;
use crate::ending::read;
use crate::frame::{Buffer, part};
use crate::guards::{ComponentGuard, ToolStart};
use crate::intake::Intake;
use crate::llm::LlmStart;
use crate::page::Kind;
use crate::place::Core;
use crate::redact::Field;
use crate::remote::RemoteParent;
use crate::sync::atomic::Ordering;
use crate::value::MetaValue;

/// A way to record into an operation: cheap to clone, to be sent to other threads and tasks, and without a say in
/// when the operation ends. What is recorded after that end is left out, and counted.
///
/// Recording never fails. On the handle of a collector that is switched off, everything does nothing.
#[derive(Clone)]
pub struct Handle(pub(crate) Option<Arc<Core>>);

impl Handle {
    /// A handle that records nothing.
    pub fn off() -> Self {
        Self(None)
    }

    /// Whether what is recorded goes anywhere. It does not where the collector is switched off, or where there is no
    /// [current](crate::current) operation.
    pub fn is_recording(&self) -> bool {
        self.0.is_some()
    }

    /// The id of the operation; none where nothing is recorded.
    pub fn id(&self) -> Option<OperationId> {
        self.0.as_ref().map(|core| core.id())
    }

    /// The trace of the operation; none where nothing is recorded.
    pub fn trace_id(&self) -> Option<TraceId> {
        self.0.as_ref().map(|core| core.trace())
    }

    /// Whether the operation has ended, so that what is recorded now would come too late; no where nothing is recorded.
    pub fn has_ended(&self) -> bool {
        self.0.as_ref().is_some_and(|core| core.has_ended())
    }

    /// Of the [guards of LLM calls](Handle::llm_call): how many have begun in this operation, and how many of those
    /// run. It is for who meters the same calls by other means, and must not count one twice.
    pub fn llm_guards(&self) -> (u64, u64) {
        let of = |core: &Arc<Core>| core.llm_guards.each_ref().map(|at| at.load(Ordering::Relaxed));
        self.0.as_ref().map(of).map_or((0, 0), |[begun, open]| (begun, open))
    }

    /// The span of another process within which the operation runs, or the one around it; none where there is none, or
    /// where the operation has ended.
    pub fn remote_parent(&self) -> Option<Arc<RemoteParent>> {
        self.0.as_ref().and_then(|core| core.remote())
    }

    /// Keeps a value with the operation; a later value of the same key takes its place.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "of a text that the compiler knows, numbers are left; of a kind, nothing"
    )]
    pub fn set<'v>(&self, key: impl AsRef<str>, value: impl Into<MetaValue<'v>>) {
        if let Some(core) = &self.0 {
            core.set(key.as_ref(), value.into());
        }
    }

    /// Puts a tag on the operation, to group by.
    pub fn tag(&self, key: impl AsRef<str>, value: impl AsRef<str>) {
        if let Some(core) = &self.0 {
            core.tag(key.as_ref(), value.as_ref());
        }
    }

    /// Says for whom the operation runs.
    pub fn set_user(&self, user: impl AsRef<str>) {
        if let Some(core) = &self.0 {
            core.set_user(user.as_ref());
        }
    }

    /// Says what conversation the operation is part of.
    pub fn set_session(&self, session: impl AsRef<str>) {
        if let Some(core) = &self.0 {
            core.set_session(session.as_ref());
        }
    }

    /// Runs a component and records the time that it took, also when it panics.
    pub fn time<R>(&self, component: impl AsRef<str>, work: impl FnOnce() -> R) -> R {
        let timing = self.component(component);
        let _inside = timing.enter();
        work()
    }

    /// Starts a component; its time is recorded when the guard is dropped. Components may run side by side, and the
    /// same one again: their times add up, and their number is kept.
    ///
    /// The guard borrows the handle, so that an operation is not ended while one of its parts runs; one that is to be
    /// kept, or to go to another thread or task, is made [owned](ComponentGuard::owned).
    ///
    /// ```compile_fail,E0505
    /// let op = taximeter_collector::Collector::off().operation("qa_response").start();
    /// let search = op.component("search");
    /// op.succeed(); // the search would come too late
    /// search.stop();
    /// ```
    #[inline]
    pub fn component(&self, name: impl AsRef<str>) -> ComponentGuard<'_> {
        ComponentGuard::start(self, name.as_ref())
    }

    /// Adds the time that a component took.
    #[inline]
    pub fn add_component(&self, name: impl AsRef<str>, duration: Duration) {
        if let Some(core) = &self.0 {
            core.component(name.as_ref(), duration);
        }
    }

    /// Prepares a call of a tool.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "of a text that the compiler knows, numbers are left")]
    pub fn tool(&self, name: impl AsRef<str>) -> ToolStart<'_> {
        ToolStart::new(self, name.as_ref())
    }

    /// Records a call of a tool that is over.
    pub fn record_tool_call(&self, call: ToolCall) {
        self.put(Kind::Tool, |bounds| bounds.tool_call(call), part::tool);
    }

    /// Prepares a call of an LLM.
    pub fn llm_call(&self, provider: impl AsRef<str>, model: impl AsRef<str>) -> LlmStart {
        LlmStart::new(self, provider.as_ref(), model.as_ref())
    }

    /// Records a call of an LLM that is over.
    pub fn record_llm_call(&self, call: LlmCall) {
        self.put(Kind::Llm, |bounds| bounds.llm_call(call), part::llm);
    }

    /// Records what a call of an LLM consumed, where nothing else is known of it.
    ///
    /// Numbers that cannot be are counted, and the call is kept without them.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "of texts that the compiler knows, numbers are left")]
    pub fn record_usage<U>(&self, provider: impl AsRef<str>, model: impl AsRef<str>, usage: U)
    where
        U: TryInto<TokenUsage>,
        UsageError: From<U::Error>,
    {
        if let Some(core) = &self.0 {
            let (provider, model) = (provider.as_ref(), model.as_ref());
            match usage.try_into() {
                Ok(usage) => core.usage(provider, model, &usage),
                Err(error) => core.invalid_usage(provider, model, error.into()),
            }
        }
    }

    /// Records an error; the operation goes on.
    pub fn error<E: Failure<Kind> + ?Sized, Kind>(&self, error: &E) {
        if let Some(intake) = self.intake() {
            self.put_error(read(intake, error));
        }
    }

    /// Where it goes; none where nothing is recorded.
    pub(crate) fn intake(&self) -> Option<&Intake> {
        self.0.as_ref().map(|core| &*core.shared.intake)
    }

    /// Records a warning.
    pub fn warn(&self, message: impl Into<String>) {
        self.put(
            Kind::Warning,
            |bounds| bounds.message(Field::Warning, message.into()),
            |to, message| part::warning(to, message, None),
        );
    }

    /// Makes this the [current](crate::current) operation of this thread, until the guard is dropped.
    pub fn enter(&self) -> Entered {
        Entered::new(self.clone())
    }

    /// Counts errors and warnings that come without words.
    pub(crate) fn add_unlisted(&self, errors: u64, warnings: u64) {
        self.put(Kind::Unlisted, |_| (), |to, ()| part::unlisted(to, errors, warnings));
    }

    pub(crate) fn put_error(&self, error: ErrorRecord) {
        self.put(Kind::Error, |bounds| bounds.error(error), part::error);
    }

    /// Puts a part into the record. Making it may run code of the program's own, such as the text of an error or the
    /// hook of a redaction, and that may record too: so it is made before the operation's lock is taken, and only
    /// where it is recorded.
    #[inline]
    fn put<'h, P>(
        &'h self,
        kind: Kind,
        make: impl FnOnce(&mut Bounds<'h>) -> P,
        compose: impl FnOnce(&mut Buffer, &P),
    ) {
        if let Some(core) = &self.0 {
            let mut bounds = core.bounds();
            let part = make(&mut bounds);
            core.compose(kind, bounds, |to| compose(to, &part));
        }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Handle").field(&self.id()).finish()
    }
}
