//! An operation while it runs: the guard that ends it, and the handle by which everybody else records into it.

use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use taximeter_models::{
    ErrorRecord, Failure, LlmCall, OperationId, OperationRecord, Outcome, TokenUsage, ToolCall,
    TraceId, UsageError,
};

use crate::bounds::Bounds;
use crate::clock::Moment;
use crate::collector::Shared;
use crate::current::Entered;
use crate::ending::{Ending, read};
use crate::frame::Ended;
use crate::guards::{ComponentGuard, LlmStart, ToolStart};
use crate::intake::{Brief, BriefGuard, Flaw, lock};
use crate::open::Open;
use crate::value::MetaValue;

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

/// The place of an operation; when it has ended and nobody holds it any more, the place of the next one.
pub(crate) struct Core {
    pub(crate) shared: Arc<Shared>,
    life: Brief<Life>,
    /// How much of its memory the budget knows of. Changed under the lock of `life` alone.
    charged: AtomicUsize,
}

struct Life {
    id: OperationId,
    trace: TraceId,
    started: Moment,
    /// None once the operation has ended.
    open: Option<Box<Open>>,
}

/// Builds an operation: what is known of it before it starts.
#[must_use = "the operation starts with `start()`"]
pub struct OperationBuilder(Option<Prepared>);

struct Prepared {
    /// None once it has started.
    place: Option<(Arc<Core>, Box<Open>)>,
    parent: Option<Handle>,
}

impl Prepared {
    fn put(&mut self, put: impl FnOnce(&mut Open, &mut Bounds<'_>)) {
        if let Some((core, open)) = &mut self.place {
            let mut bounds = Bounds::new(core.shared.intake.limits());
            put(open, &mut bounds);
            bounds.report(&core.shared.intake);
        }
    }

    #[inline(never)]
    fn text(&mut self, key: &str, text: &str) {
        self.put(|open, bounds| open.text(key, text, bounds));
    }

    #[inline(never)]
    fn unsigned(&mut self, key: &str, number: u64) {
        self.put(|open, bounds| open.unsigned(key, number, bounds));
    }

    fn metadata(&mut self, key: &str, value: MetaValue<'_>) {
        self.put(|open, bounds| open.metadata(key, value, bounds));
    }

    fn start(mut self) -> Option<Arc<Core>> {
        let (core, mut open) = self.place.take()?;
        let shared = &core.shared;
        let started = shared.time.now(&shared.intake);
        let id = shared.next_id(started.wall);
        let mut trace = id.into();
        let parent = self.parent.take().unwrap_or_else(crate::current).0;
        if let Some(parent) = parent.filter(|parent| Arc::ptr_eq(&parent.shared, shared)) {
            trace = parent.adopt(&mut open);
        }
        *core.life() = Life { id, trace, started, open: Some(open) };
        Some(core)
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        if let Some((core, _)) = &self.place {
            core.shared.intake.withdrawn();
        }
    }
}

impl OperationBuilder {
    pub(crate) fn off() -> Self {
        Self(None)
    }

    pub(crate) fn new(shared: &Arc<Shared>, name: &str) -> Self {
        let place = shared.intake.offered().or_else(|| Core::make(shared));
        Self(place.map(|(core, mut open)| {
            let mut bounds = Bounds::new(core.shared.intake.limits());
            open.begin(bounds.name(name));
            bounds.report(&core.shared.intake);
            Prepared { place: Some((core, open)), parent: None }
        }))
    }

    /// Keeps a value with it.
    #[inline]
    pub fn with<'v>(mut self, key: impl AsRef<str>, value: impl Into<MetaValue<'v>>) -> Self {
        if let Some(prepared) = &mut self.0 {
            // The kind is known where this is compiled: the two that are most frequent go straight to their place.
            match value.into() {
                MetaValue::Text(text) => prepared.text(key.as_ref(), text),
                MetaValue::Unsigned(number) => prepared.unsigned(key.as_ref(), number),
                value => prepared.metadata(key.as_ref(), value),
            }
        }
        self
    }

    fn put(mut self, put: impl FnOnce(&mut Open, &mut Bounds<'_>)) -> Self {
        if let Some(prepared) = &mut self.0 {
            prepared.put(put);
        }
        self
    }

    /// Says for whom it runs. Default: as its parent.
    pub fn user(self, user: impl AsRef<str>) -> Self {
        self.put(|open, bounds| open.user = Some(bounds.name(user.as_ref()).into()))
    }

    /// Says what conversation it is part of. Default: as its parent.
    pub fn session(self, session: impl AsRef<str>) -> Self {
        self.put(|open, bounds| open.session = Some(bounds.name(session.as_ref()).into()))
    }

    /// Puts a tag on it, to group by.
    pub fn tag(self, key: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.put(|open, bounds| open.tag(key.as_ref(), value.as_ref(), bounds))
    }

    /// Says within which operation it runs. Default: the [current](crate::current) one, if it is of the same
    /// collector.
    pub fn parent(mut self, parent: &Handle) -> Self {
        if let Some(prepared) = &mut self.0 {
            prepared.parent = Some(parent.clone());
        }
        self
    }

    /// Starts it.
    #[inline]
    pub fn start(self) -> Operation {
        Operation { handle: Handle(self.0.and_then(Prepared::start)) }
    }

    /// Starts it as an operation that is addressed by its id, for who cannot hold a guard: recorded into through
    /// [`Collector::handle`](crate::Collector::handle), ended by
    /// [`Collector::end_by_id`](crate::Collector::end_by_id).
    pub fn start_by_id(self) -> OperationId {
        let operation = self.start();
        let Some(core) = &operation.handle.0 else { return OperationId::default() };
        let (id, shared) = (core.life().id, Arc::clone(&core.shared));
        // After the end of the collector it would never be taken out again; so it is abandoned at once.
        if !shared.intake.is_closed() {
            shared.by_id.insert(id, operation);
        }
        id
    }
}

/// The bytes of an operation besides its frame, generously.
const PLACE: usize = 512;

impl Core {
    /// A place for one more operation at a time; none where there are as many as may be, which is counted.
    #[cold]
    fn make(shared: &Arc<Shared>) -> Option<(Arc<Self>, Box<Open>)> {
        let mut open = Box::<Open>::default();
        open.begin("");
        let charged = PLACE + open.memory();
        if !shared.take_place(charged) {
            return None;
        }
        let started = Moment { monotonic: Duration::ZERO, wall: 0 };
        let (id, trace) = (OperationId::default(), TraceId::default());
        let life = Brief::new(Life { id, trace, started, open: None });
        let charged = AtomicUsize::new(charged);
        let core = Arc::new(Self { shared: Arc::clone(shared), life, charged });
        lock(&shared.places).push(Arc::downgrade(&core));
        Some((core, open))
    }

    /// Tells the budget how much memory the operation holds; false where there is no more.
    #[inline]
    fn charge(&self, memory: usize) -> bool {
        let charged = self.charged.load(Ordering::Relaxed);
        let needed = (PLACE + memory).saturating_sub(charged);
        if needed == 0 {
            return true;
        }
        let taken = self.shared.intake.bytes().take(needed);
        if taken {
            self.charged.store(charged + needed, Ordering::Relaxed);
        }
        taken
    }

    #[inline]
    fn life(&self) -> BriefGuard<'_, Life> {
        self.life.lock()
    }

    /// Makes an operation the child of this one; gives the trace of both.
    fn adopt(&self, child: &mut Open) -> TraceId {
        let life = self.life();
        child.parent = Some(life.id);
        child.trace = Some(life.trace);
        if let Some(open) = &life.open {
            child.user = child.user.take().or_else(|| open.user.clone());
            child.session = child.session.take().or_else(|| open.session.clone());
        }
        life.trace
    }

    #[inline]
    pub(crate) fn fill(&self, part: impl FnOnce(&mut Open, &mut Bounds<'_>, Duration)) {
        let mut bounds = Bounds::new(self.shared.intake.limits());
        let mut life = self.life();
        let started = life.started.monotonic;
        let Some(open) = &mut life.open else {
            self.shared.intake.flaw(Flaw::LatePart);
            return;
        };
        if self.charge(open.memory()) {
            part(open, &mut bounds, started);
        } else {
            bounds.left_out();
        }
        drop(life);
        bounds.report(&self.shared.intake);
    }

    #[inline(never)]
    pub(crate) fn component(&self, name: &str, began: Option<Duration>, took: Duration) {
        self.fill(|open, bounds, started| {
            open.component(name, began.map(|began| began.saturating_sub(started)), took, bounds);
        });
    }

    #[inline(never)]
    fn usage(&self, provider: &str, model: &str, usage: Result<TokenUsage, UsageError>) {
        match usage {
            Ok(usage) => self.fill(|open, bounds, _| open.usage(provider, model, &usage, bounds)),
            Err(error) => {
                let mut call = LlmCall::new(provider, model);
                self.put_usage(&mut call, Err(error));
                self.fill(|open, bounds, _| open.llm_call(call, bounds));
            }
        }
    }

    /// Gives a call its usage, or says why it has none.
    pub(crate) fn put_usage(&self, call: &mut LlmCall, usage: Result<TokenUsage, UsageError>) {
        match usage {
            Ok(usage) => call.usage = Some(usage),
            Err(error) => {
                call.cost = taximeter_models::CostOutcome::InvalidUsage { why: error.to_string() };
                self.shared.intake.flaw(Flaw::InvalidUsage);
            }
        }
    }

    /// Ends the operation and hands it in.
    #[inline(never)]
    fn finish(self: Arc<Self>, outcome: Outcome) {
        if let Some(open) = self.end(outcome) {
            self.shared.hand_in(&self, open, outcome);
        }
    }

    /// Ends the operation; gives what it gathered once, to whoever ends it first.
    #[inline]
    fn end(&self, outcome: Outcome) -> Option<Box<Open>> {
        let now = self.shared.time.monotonic(&self.shared.intake);
        let mut life = self.life();
        let mut open = life.open.take()?;
        let duration = now.saturating_sub(life.started.monotonic);
        open.close(&Ended { id: life.id, started_at: life.started.wall, duration, outcome });
        Some(open)
    }

    /// Closes an operation that has been open for too long, as abandoned.
    fn age(self: &Arc<Self>, now: Duration) {
        let allowed = self.shared.intake.limits().open_age;
        let aged = {
            let life = self.life();
            life.open.is_some() && now.saturating_sub(life.started.monotonic) > allowed
        };
        if aged && let Some(open) = self.end(Outcome::Abandoned) {
            self.shared.intake.flaw(Flaw::Aged);
            self.shared.hand_in(self, open, Outcome::Abandoned);
        }
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.shared.give_place_back(self.charged.load(Ordering::Relaxed));
    }
}

/// Closes what has been open for too long, and forgets places that are gone.
pub(crate) fn close_aged(places: &Mutex<Vec<Weak<Core>>>, now: impl Fn(&Shared) -> Duration) {
    lock(places).retain(|place| place.strong_count() > 0);
    let known = lock(places).clone();
    for core in known.iter().filter_map(Weak::upgrade) {
        core.age(now(&core.shared));
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
        self.0.as_ref().map(|core| core.life().id)
    }

    /// The trace of the operation; none where nothing is recorded.
    pub fn trace_id(&self) -> Option<TraceId> {
        self.0.as_ref().map(|core| core.life().trace)
    }

    /// Keeps a value with the operation; a later value of the same key takes its place.
    #[inline]
    pub fn set<'v>(&self, key: impl AsRef<str>, value: impl Into<MetaValue<'v>>) {
        if let Some(core) = &self.0 {
            let value = value.into();
            core.fill(|open, bounds, _| open.metadata(key.as_ref(), value, bounds));
        }
    }

    /// Puts a tag on the operation, to group by.
    pub fn tag(&self, key: impl AsRef<str>, value: impl AsRef<str>) {
        self.fill(|open, bounds, _| open.tag(key.as_ref(), value.as_ref(), bounds));
    }

    /// Says for whom the operation runs.
    pub fn set_user(&self, user: impl AsRef<str>) {
        self.fill(|open, bounds, _| open.user = Some(bounds.name(user.as_ref()).into()));
    }

    /// Says what conversation the operation is part of.
    pub fn set_session(&self, session: impl AsRef<str>) {
        self.fill(|open, bounds, _| open.session = Some(bounds.name(session.as_ref()).into()));
    }

    /// Runs a component and records the time that it took, also when it panics.
    pub fn time<R>(&self, component: impl AsRef<str>, work: impl FnOnce() -> R) -> R {
        let _timing = self.component(component);
        work()
    }

    /// Starts a component; its time is recorded when the guard is dropped. Components may run side by side, and the
    /// same one again: their times add up, and their number is kept.
    #[inline]
    pub fn component(&self, name: impl AsRef<str>) -> ComponentGuard {
        ComponentGuard::start(self, name.as_ref())
    }

    /// Adds the time that a component took.
    #[inline]
    pub fn add_component(&self, name: impl AsRef<str>, duration: Duration) {
        if let Some(core) = &self.0 {
            core.component(name.as_ref(), None, duration);
        }
    }

    /// Prepares a call of a tool.
    #[inline]
    pub fn tool(&self, name: impl AsRef<str>) -> ToolStart<'_> {
        ToolStart::new(self, name.as_ref())
    }

    /// Records a call of a tool that is over.
    pub fn record_tool_call(&self, call: ToolCall) {
        self.fill(|open, bounds, _| open.tool_call(call, bounds));
    }

    /// Prepares a call of an LLM.
    pub fn llm_call(&self, provider: impl AsRef<str>, model: impl AsRef<str>) -> LlmStart {
        LlmStart::new(self, provider.as_ref(), model.as_ref())
    }

    /// Records a call of an LLM that is over.
    pub fn record_llm_call(&self, call: LlmCall) {
        self.fill(|open, bounds, _| open.llm_call(call, bounds));
    }

    /// Records what a call of an LLM consumed, where nothing else is known of it.
    ///
    /// Numbers that cannot be are counted, and the call is kept without them.
    #[inline]
    pub fn record_usage<U>(&self, provider: impl AsRef<str>, model: impl AsRef<str>, usage: U)
    where
        U: TryInto<TokenUsage>,
        UsageError: From<U::Error>,
    {
        if let Some(core) = &self.0 {
            let usage = usage.try_into().map_err(UsageError::from);
            core.usage(provider.as_ref(), model.as_ref(), usage);
        }
    }

    /// Records an error; the operation goes on.
    pub fn error<E: Failure<Kind> + ?Sized, Kind>(&self, error: &E) {
        self.put(|| read(error), Open::error);
    }

    /// Records a warning.
    pub fn warn(&self, message: impl Into<String>) {
        self.put(|| message.into(), Open::warning);
    }

    /// Makes this the [current](crate::current) operation of this thread, until the guard is dropped.
    pub fn enter(&self) -> Entered {
        Entered::new(self.clone())
    }

    /// Puts a part into the record. Making it may run code of the program's own, such as the text of an error, and that
    /// may record too: so it is made before the operation's lock is taken, and only where it is recorded.
    #[inline]
    fn put<P>(&self, make: impl FnOnce() -> P, put: impl FnOnce(&mut Open, P, &mut Bounds<'_>)) {
        if self.is_recording() {
            let part = make();
            self.fill(|open, bounds, _| put(open, part, bounds));
        }
    }

    #[inline]
    pub(crate) fn fill(&self, part: impl FnOnce(&mut Open, &mut Bounds<'_>, Duration)) {
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
    #[inline]
    pub fn succeed(mut self) {
        self.end(Outcome::Success);
    }

    /// Ends it as a failure, by this error.
    pub fn fail<E: Failure<Kind> + ?Sized, Kind>(self, error: &E) {
        if self.is_recording() {
            self.end_with(Some(read(error)));
        }
    }

    /// Ends it as a success, or as a failure if there is an error.
    pub fn end_with(mut self, error: Option<ErrorRecord>) {
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

    pub(crate) fn end_as(mut self, outcome: Outcome) {
        self.end(outcome);
    }

    pub(crate) fn finish_as(mut self, outcome: Outcome) -> Option<OperationRecord> {
        let core = self.handle.0.take()?;
        let open = core.end(outcome)?;
        let record = open.record();
        core.shared.hand_in(&core, open, outcome);
        let mut record = record?;
        core.shared.prepare(&mut record);
        Some(record)
    }

    fn take_error(&self, error: Option<ErrorRecord>) -> Outcome {
        match error {
            None => Outcome::Success,
            Some(error) => {
                self.fill(|open, bounds, _| open.error(error, bounds));
                Outcome::Failure
            }
        }
    }

    #[inline]
    fn end(&mut self, outcome: Outcome) {
        // The place may be another operation's as soon as it is handed in: it must not be looked at again.
        if let Some(core) = self.handle.0.take() {
            core.finish(outcome);
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
    #[inline]
    fn drop(&mut self) {
        self.end(Outcome::Abandoned);
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").finish_non_exhaustive()
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
        f.debug_struct("OperationBuilder").finish_non_exhaustive()
    }
}
