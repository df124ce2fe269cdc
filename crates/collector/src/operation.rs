//! An operation while it runs: the guard that ends it, and the handle by which everybody else records into it.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use taximeter_models::{
    ErrorRecord, Failure, LlmCall, Metadata, Name, OperationId, OperationRecord, Outcome,
    TokenUsage, ToolCall, TraceId, UsageError,
};

use crate::collector::Shared;
use crate::current::Entered;
use crate::ending::{Ending, read};
use crate::guards::{ComponentGuard, LlmStart, ToolStart};
use crate::intake::Flaw;
use crate::open::Filler;

/// A way to record into an operation: cheap to clone, to be sent to other threads and tasks, and without a say in
/// when the operation ends. What is recorded after that end is left out, and counted.
///
/// Recording never fails. On the handle of a collector that is switched off, everything does nothing.
#[derive(Clone)]
pub struct Handle(pub(crate) Option<Arc<Core>>);

/// An operation that runs, and the duty to end it. It can do all that its [`Handle`] can.
///
/// Dropped without an end it is recorded as abandoned, with all that it had gathered: a cancelled future, an early
/// return or an unwinding stack leaves its tokens and its money in the books.
#[must_use = "dropped at once, the operation is abandoned"]
pub struct Operation {
    handle: Handle,
}

pub(crate) struct Core {
    pub(crate) shared: Arc<Shared>,
    id: OperationId,
    trace_id: TraceId,
    /// By the monotonic clock.
    started: Duration,
    /// None once the operation has ended.
    record: Mutex<Option<Box<OperationRecord>>>,
}

/// Builds an operation: what is known of it before it starts.
#[must_use = "the operation starts with `start()`"]
pub struct OperationBuilder {
    shared: Option<Arc<Shared>>,
    name: Name,
    parent: Option<Handle>,
    user: Option<Name>,
    session: Option<Name>,
    tags: Vec<(String, String)>,
    metadata: Vec<(String, Value)>,
}

impl OperationBuilder {
    pub(crate) fn new(shared: Option<Arc<Shared>>, name: Name) -> Self {
        Self {
            shared,
            name,
            parent: None,
            user: None,
            session: None,
            tags: Vec::new(),
            metadata: Vec::new(),
        }
    }

    /// Keeps a value with it.
    pub fn with(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        if self.shared.is_some() {
            self.metadata.push((key.into(), value.into()));
        }
        self
    }

    pub(crate) fn with_all(mut self, metadata: Metadata) -> Self {
        if self.shared.is_some() {
            self.metadata.extend(metadata);
        }
        self
    }

    /// Says for whom it runs. Default: as its parent.
    pub fn user(mut self, user: impl Into<Name>) -> Self {
        self.user = self.shared.is_some().then(|| user.into());
        self
    }

    /// Says what conversation it is part of. Default: as its parent.
    pub fn session(mut self, session: impl Into<Name>) -> Self {
        self.session = self.shared.is_some().then(|| session.into());
        self
    }

    /// Puts a tag on it, to group by.
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        if self.shared.is_some() {
            self.tags.push((key.into(), value.into()));
        }
        self
    }

    /// Says within which operation it runs. Default: the [current](crate::current) one, if it is of the same
    /// collector.
    pub fn parent(mut self, parent: &Handle) -> Self {
        self.parent = Some(parent.clone());
        self
    }

    /// Starts it.
    pub fn start(self) -> Operation {
        let Some(shared) = self.shared else {
            return Operation { handle: Handle::off() };
        };
        shared.intake.started();
        let parent = self.parent.unwrap_or_else(crate::current);
        let parent = parent.0.filter(|core| Arc::ptr_eq(&core.shared, &shared));
        let started_at = shared.clock.wall();
        let id = shared.ids.next(started_at);
        let mut record = OperationRecord::new("");
        let mut filler = Filler::new(&mut record, shared.intake.limits());
        filler.record.name = filler.name(self.name);
        for (key, value) in self.metadata {
            filler.metadata(&key, value);
        }
        for (key, value) in self.tags {
            filler.tag(&key, &value);
        }
        let cuts = filler.cuts();
        record.id = id;
        record.started_at = started_at;
        (record.user, record.session) = (self.user, self.session);
        record.trace_id = id.into();
        if let Some(parent) = parent {
            parent.adopt(&mut record);
        }
        let core = Core {
            id,
            trace_id: record.trace_id,
            started: shared.clock.monotonic(),
            record: Mutex::new(Some(Box::new(record))),
            shared,
        };
        core.count_cuts(cuts);
        Operation { handle: Handle(Some(Arc::new(core))) }
    }
}

impl Core {
    /// Makes a record the child of this operation.
    fn adopt(&self, child: &mut OperationRecord) {
        child.parent = Some(self.id);
        child.trace_id = self.trace_id;
        let parent = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(parent) = parent.as_ref() {
            child.user = child.user.take().or_else(|| parent.user.clone());
            child.session = child.session.take().or_else(|| parent.session.clone());
        }
    }

    fn fill(&self, part: impl FnOnce(&mut Filler<'_>)) {
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(record) = record.as_deref_mut() else {
            self.shared.intake.flaw(Flaw::LatePart);
            return;
        };
        let mut filler = Filler::new(record, self.shared.intake.limits());
        part(&mut filler);
        let cuts = filler.cuts();
        self.count_cuts(cuts);
    }

    fn count_cuts(&self, cuts: u64) {
        if cuts > 0 {
            self.shared.intake.flaw(Flaw::Truncated(cuts));
        }
    }

    /// Ends the operation; gives its record once, to whoever ends it first.
    fn end(&self, outcome: Outcome) -> Option<OperationRecord> {
        let elapsed = self.shared.clock.monotonic().saturating_sub(self.started);
        let record = self.record.lock().unwrap_or_else(PoisonError::into_inner).take();
        record.map(|mut record| {
            record.duration = elapsed;
            record.outcome = outcome;
            *record
        })
    }

    /// How long ago the operation started.
    pub(crate) fn elapsed(&self) -> Duration {
        self.shared.clock.monotonic().saturating_sub(self.started)
    }
}

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
        self.0.as_ref().map(|core| core.id)
    }

    /// The trace of the operation; none where nothing is recorded.
    pub fn trace_id(&self) -> Option<TraceId> {
        self.0.as_ref().map(|core| core.trace_id)
    }

    /// Keeps a value with the operation; a later value of the same key takes its place.
    pub fn set(&self, key: impl AsRef<str>, value: impl Into<Value>) {
        self.put(
            || (key, value.into()),
            |filler, (key, value)| filler.metadata(key.as_ref(), value),
        );
    }

    /// Puts a tag on the operation, to group by.
    pub fn tag(&self, key: impl AsRef<str>, value: impl AsRef<str>) {
        self.put(
            || (key.as_ref().to_owned(), value.as_ref().to_owned()),
            |filler, (key, value)| filler.tag(&key, &value),
        );
    }

    /// Says for whom the operation runs.
    pub fn set_user(&self, user: impl Into<Name>) {
        self.put(|| user.into(), |filler, user: Name| filler.record.user = Some(filler.name(user)));
    }

    /// Says what conversation the operation is part of.
    pub fn set_session(&self, session: impl Into<Name>) {
        self.put(
            || session.into(),
            |filler, name: Name| filler.record.session = Some(filler.name(name)),
        );
    }

    /// Runs a component and records the time that it took, also when it panics.
    pub fn time<R>(&self, component: impl Into<Name>, work: impl FnOnce() -> R) -> R {
        let _timing = self.component(component);
        work()
    }

    /// Starts a component; its time is recorded when the guard is dropped. Components may run side by side, and the
    /// same one again: their times add up, and their number is kept.
    pub fn component(&self, name: impl Into<Name>) -> ComponentGuard {
        ComponentGuard::start(self, name)
    }

    /// Adds the time that a component took.
    pub fn add_component(&self, name: impl Into<Name>, duration: Duration) {
        self.put(|| name.into(), |filler, name| filler.component(name, None, duration));
    }

    /// Prepares a call of a tool.
    pub fn tool(&self, name: impl Into<Name>) -> ToolStart {
        ToolStart::new(self, name)
    }

    /// Records a call of a tool that is over.
    pub fn record_tool_call(&self, call: ToolCall) {
        self.fill(|filler| filler.tool_call(call));
    }

    /// Prepares a call of an LLM.
    pub fn llm_call(&self, provider: impl Into<Name>, model: impl Into<Name>) -> LlmStart {
        LlmStart::new(self, provider, model)
    }

    /// Records a call of an LLM that is over.
    pub fn record_llm_call(&self, call: LlmCall) {
        self.fill(|filler| filler.llm_call(call));
    }

    /// Records what a call of an LLM consumed, where nothing else is known of it.
    ///
    /// Numbers that cannot be are counted, and the call is kept without them.
    pub fn record_usage<U>(&self, provider: impl Into<Name>, model: impl Into<Name>, usage: U)
    where
        U: TryInto<TokenUsage>,
        UsageError: From<U::Error>,
    {
        if self.is_recording() {
            let mut call = LlmCall::new(provider, model);
            self.put_usage(&mut call, usage);
            self.record_llm_call(call);
        }
    }

    pub(crate) fn put_usage<U>(&self, call: &mut LlmCall, usage: U)
    where
        U: TryInto<TokenUsage>,
        UsageError: From<U::Error>,
    {
        match usage.try_into().map_err(UsageError::from) {
            Ok(usage) => call.usage = Some(usage),
            Err(error) => {
                call.cost = taximeter_models::CostOutcome::InvalidUsage { why: error.to_string() };
                if let Some(core) = &self.0 {
                    core.shared.intake.flaw(Flaw::InvalidUsage);
                }
            }
        }
    }

    /// Records an error; the operation goes on.
    pub fn error<E: Failure<Kind> + ?Sized, Kind>(&self, error: &E) {
        self.put(
            || read(error),
            |filler, error| {
                filler.error(error);
            },
        );
    }

    /// Records a warning.
    pub fn warn(&self, message: impl Into<String>) {
        self.put(
            || message.into(),
            |filler, message| {
                filler.warning(message);
            },
        );
    }

    /// Makes this the [current](crate::current) operation of this thread, until the guard is dropped.
    pub fn enter(&self) -> Entered {
        Entered::new(self.clone())
    }

    /// Puts a part into the record. Making it may run code of the program's own, such as the text of an error, and that
    /// may record too: so it is made before the operation's lock is taken, and only where it is recorded.
    fn put<P>(&self, make: impl FnOnce() -> P, put: impl FnOnce(&mut Filler<'_>, P)) {
        if self.is_recording() {
            let part = make();
            self.fill(|filler| put(filler, part));
        }
    }

    pub(crate) fn fill(&self, part: impl FnOnce(&mut Filler<'_>)) {
        if let Some(core) = &self.0 {
            core.fill(part);
        }
    }
}

impl Operation {
    /// A handle to record into this operation from elsewhere.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Ends it as a success.
    pub fn succeed(self) {
        self.end(Outcome::Success);
    }

    /// Ends it as a failure, by this error.
    pub fn fail<E: Failure<Kind> + ?Sized, Kind>(self, error: &E) {
        if self.is_recording() {
            self.end_with(Some(read(error)));
        }
    }

    /// Ends it as a success, or as a failure if there is an error.
    pub fn end_with(self, error: Option<ErrorRecord>) {
        let outcome = self.take_error(error);
        self.end(outcome);
    }

    /// Ends it by what a piece of code returned: an `Err` is a failure, all else a success.
    pub fn end_by<R: Ending<Kind>, Kind>(self, returned: &R) {
        if self.is_recording() {
            self.end_with(returned.failure());
        }
    }

    /// Ends it as a success and gives its record back, completed and priced; none where nothing is recorded. It costs
    /// a copy of the record: [`succeed`](Operation::succeed) is the cheap way.
    pub fn finish(self) -> Option<OperationRecord> {
        self.finish_as(Outcome::Success)
    }

    /// Like [`finish`](Operation::finish), as a success, or as a failure if there is an error.
    pub fn finish_with(self, error: Option<ErrorRecord>) -> Option<OperationRecord> {
        let outcome = self.take_error(error);
        self.finish_as(outcome)
    }

    pub(crate) fn finish_as(self, outcome: Outcome) -> Option<OperationRecord> {
        let core = self.handle.0.as_ref()?;
        let mut record = core.end(outcome)?;
        core.shared.prepare(&mut record);
        core.shared.hand_in(record.clone());
        Some(record)
    }

    fn take_error(&self, error: Option<ErrorRecord>) -> Outcome {
        match error {
            None => Outcome::Success,
            Some(error) => {
                self.fill(|filler| filler.error(error));
                Outcome::Failure
            }
        }
    }

    fn end(&self, outcome: Outcome) {
        let Some(core) = &self.handle.0 else { return };
        if let Some(record) = core.end(outcome) {
            core.shared.hand_in(record);
        }
    }
}

impl Deref for Operation {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        self.end(Outcome::Abandoned);
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Handle").field(&self.id()).finish()
    }
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Operation").field(&self.id()).finish()
    }
}

impl fmt::Debug for OperationBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OperationBuilder").field("name", &self.name).finish_non_exhaustive()
    }
}
