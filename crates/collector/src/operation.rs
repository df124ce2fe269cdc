//! An operation while it runs: its place, and the guard that ends it.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Weak};
use std::time::Duration;

use taximeter_models::{
    ErrorRecord, Failure, LlmCall, OperationId, OperationRecord, Outcome, TokenUsage, TraceId,
    UsageError,
};

use crate::bounds::Bounds;
use crate::clock::Moment;
use crate::collector::Shared;
use crate::ending::{Ending, decided, read};
use crate::frame::Ended;
use crate::handle::Handle;
use crate::intake::{Flaw, lock};
use crate::open::Open;
use crate::redact::Field;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Brief, BriefGuard, Mutex};
use crate::value::{Hot, MetaValue};

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
            let mut bounds = core.bounds();
            put(open, &mut bounds);
            bounds.report(&core.shared.intake);
        }
    }

    #[inline(never)]
    fn text(&mut self, key: &str, text: &str) {
        self.put(|open, bounds| {
            if let Some(name) = bounds.key(key)
                && let Some(text) = bounds.text(key, text)
            {
                open.text(&name, &text, bounds);
            }
        });
    }

    #[inline(never)]
    fn unsigned(&mut self, key: &str, number: u64) {
        self.put(|open, bounds| match bounds.number_key(key) {
            Some(key) => open.unsigned(&key, number, bounds),
            None => open.entry(key, MetaValue::Unsigned(number), bounds),
        });
    }

    fn metadata(&mut self, key: &str, value: MetaValue<'_>) {
        self.put(|open, bounds| open.entry(key, value, bounds));
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
            let mut bounds = core.bounds();
            open.begin(&bounds.name(Field::Operation, name));
            bounds.report(&core.shared.intake);
            Prepared { place: Some((core, open)), parent: None }
        }))
    }

    /// Keeps a value with it.
    #[inline]
    pub fn with<'v>(mut self, key: impl AsRef<str>, value: impl Into<MetaValue<'v>>) -> Self {
        if let Some(prepared) = &mut self.0 {
            // The kind is known where this is compiled: the two that are most frequent go straight to their place.
            match value.into().hot() {
                Ok(Hot::Text(text)) => prepared.text(key.as_ref(), text),
                Ok(Hot::Unsigned(number)) => prepared.unsigned(key.as_ref(), number),
                Err(value) => prepared.metadata(key.as_ref(), value),
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
        self.put(|open, bounds| open.user = bounds.shared_text(Field::User, user.as_ref()))
    }

    /// Says what conversation it is part of. Default: as its parent.
    pub fn session(self, session: impl AsRef<str>) -> Self {
        self.put(|open, bounds| open.session = bounds.shared_text(Field::Session, session.as_ref()))
    }

    /// Puts a tag on it, to group by.
    pub fn tag(self, key: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.put(|open, bounds| {
            if let Some((key, value)) = bounds.tag_entry(key.as_ref(), value.as_ref()) {
                open.tag(&key, &value, bounds);
            }
        })
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
            // The end may have looked through the map just before; then the map's lock shows that it has come.
            if shared.intake.is_closed() {
                drop(shared.by_id.remove(&id));
            }
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

    pub(crate) fn id(&self) -> OperationId {
        self.life().id
    }

    pub(crate) fn trace(&self) -> TraceId {
        self.life().trace
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
    pub(crate) fn bounds(&self) -> Bounds<'_> {
        Bounds::new(&self.shared.intake)
    }

    /// Puts a part that is within its bounds into the record.
    #[inline]
    pub(crate) fn fill(
        &self,
        mut bounds: Bounds<'_>,
        part: impl FnOnce(&mut Open, &mut Bounds<'_>, Duration),
    ) {
        let mut life = self.life();
        let started = life.started.monotonic;
        let Some(open) = &mut life.open else {
            drop(life);
            return self.shared.intake.flaw(Flaw::LatePart);
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
        let mut bounds = self.bounds();
        let name = bounds.name(Field::Component, name);
        let took = bounds.duration(took);
        self.fill(bounds, |open, bounds, started| {
            open.component(&name, began.map(|began| began.saturating_sub(started)), took, bounds);
        });
    }

    #[inline(never)]
    pub(crate) fn usage(&self, provider: &str, model: &str, usage: Result<TokenUsage, UsageError>) {
        let mut bounds = self.bounds();
        match usage {
            Ok(usage) => {
                let provider = bounds.name(Field::Model, provider);
                let model = bounds.name(Field::Model, model);
                self.fill(bounds, |open, bounds, _| open.usage(&provider, &model, &usage, bounds));
            }
            Err(error) => {
                let mut call = LlmCall::new(provider, model);
                self.put_usage(&mut call, Err(error));
                let call = bounds.llm_call(call);
                self.fill(bounds, |open, bounds, _| open.llm_call(call, bounds));
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
        if let Some(error) = self.intake().map(|intake| read(intake, error)) {
            self.end_with(Some(error));
        }
    }

    /// Ends it as a success, or as a failure if there is an error.
    pub fn end_with(mut self, error: Option<ErrorRecord>) {
        let outcome = self.take_error(error);
        self.end(outcome);
    }

    /// Ends it by what a piece of code returned: an `Err` is a failure, all else a success.
    pub fn end_by<R: Ending<Kind>, Kind>(self, returned: &R) {
        self.end_decided::<R>(|| returned.failure());
    }

    /// Ends it by what the program says of a value.
    pub(crate) fn end_decided<R>(self, failure: impl FnOnce() -> Option<ErrorRecord>) {
        if let Some(error) = self.intake().map(|intake| decided::<R>(intake, failure)) {
            self.end_with(error);
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
                self.put_error(error);
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
