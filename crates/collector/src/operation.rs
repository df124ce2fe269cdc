//! An operation while it runs: what is known of it before it starts, and the guard that ends it.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use taximeter_models::{ErrorRecord, Failure, OperationId, OperationRecord, Outcome};

use crate::bounds::Bounds;
use crate::closed::Spare;
use crate::collector::Shared;
use crate::ending::{Ending, decided, read};
use crate::frame::Label;
use crate::handle::Handle;
use crate::place::Core;
use crate::redact::Field;
use crate::remote::RemoteParent;
use crate::value::MetaValue;

/// An operation that runs, and the duty to end it. It can do all that its [`Handle`] can.
///
/// Dropped without an end it is recorded as abandoned, with all that it had gathered: a cancelled future, an early
/// return or an unwinding stack leaves its tokens and its money in the books.
#[must_use = "dropped at once, the operation is abandoned"]
pub struct Operation {
    handle: Handle,
}

/// Builds an operation: what is known of it before it starts.
#[must_use = "the operation starts with `start()`"]
pub struct OperationBuilder {
    /// None where nothing is recorded, and once it has started.
    core: Option<Arc<Core>>,
    /// Whether its place was told within what it runs.
    has_parent: bool,
}

/// Within what an operation runs, where that was said.
pub(crate) enum Parent {
    Here(Handle),
    Remote(Box<RemoteParent>),
}

impl Drop for OperationBuilder {
    #[inline]
    fn drop(&mut self) {
        if let Some(core) = &self.core {
            core.shared.intake.withdrawn();
        }
    }
}

impl OperationBuilder {
    pub(crate) fn off() -> Self {
        Self { core: None, has_parent: false }
    }

    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "of a text that the compiler knows, numbers are left; of a kind, nothing"
    )]
    pub(crate) fn new(shared: &Arc<Shared>, name: &str) -> Self {
        let core = match Label::of(name) {
            Some(name) => Self::plain(shared, name),
            None => Self::any(shared, name),
        };
        Self { core, has_parent: false }
    }

    #[inline(never)]
    fn plain(shared: &Arc<Shared>, name: Label) -> Option<Arc<Core>> {
        if !shared.intake.is_plain() {
            return name.show(|name| Self::any(shared, name));
        }
        let core = match shared.intake.offered() {
            Some(spare) => spare.place(),
            None => Core::make(shared)?,
        };
        core.begin(name);
        Some(core)
    }

    #[inline(never)]
    fn any(shared: &Arc<Shared>, name: &str) -> Option<Arc<Core>> {
        let mut bounds = Bounds::new(&shared.intake);
        let name = bounds.name(Field::Operation, name);
        bounds.report(&shared.intake);
        let core = shared.intake.offered().map(Spare::place).or_else(|| Core::make(shared))?;
        core.begin_long(&name);
        if shared.show.is_something() {
            core.change(|rest| rest.shown_name = Some(name.into_owned()));
        }
        Some(core)
    }

    /// The place in which it begins; none where nothing is recorded, or there was none.
    pub(crate) fn into_core(self) -> Option<Arc<Core>> {
        self.into_parts().0
    }

    /// Keeps a value with it.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "of a text that the compiler knows, numbers are left; of a kind, nothing"
    )]
    pub fn with<'v>(self, key: impl AsRef<str>, value: impl Into<MetaValue<'v>>) -> Self {
        if self.core.is_none() {
            return self;
        }
        // Both may run code of the program's own: while they do, the operation is still to be withdrawn.
        let (key, value) = (key.as_ref(), value.into());
        let (core, has_parent) = self.into_parts();
        if let Some(core) = &core {
            core.set(key, value);
        }
        Self { core, has_parent }
    }

    /// What is in it. Nothing is left in it then; said so, no code is made to look for it.
    #[inline]
    fn into_parts(mut self) -> (Option<Arc<Core>>, bool) {
        let parts = (self.core.take(), self.has_parent);
        std::mem::forget(self);
        parts
    }

    fn put(self, put: impl FnOnce(&Core)) -> Self {
        if let Some(core) = &self.core {
            put(core);
        }
        self
    }

    /// Says for whom it runs. Default: as its parent.
    pub fn user(self, user: impl AsRef<str>) -> Self {
        self.put(|core| core.set_user(user.as_ref()))
    }

    /// Says what conversation it is part of. Default: as its parent.
    pub fn session(self, session: impl AsRef<str>) -> Self {
        self.put(|core| core.set_session(session.as_ref()))
    }

    /// Puts a tag on it, to group by.
    pub fn tag(self, key: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.put(|core| core.tag(key.as_ref(), value.as_ref()))
    }

    /// Says within which operation it runs. Default: the [current](crate::current) one, if it is of the same
    /// collector.
    pub fn parent(self, parent: &Handle) -> Self {
        self.within(Parent::Here(parent.clone()))
    }

    /// Says within which span of another process it runs: its trace is the trace of that span, and it hands on what came
    /// with it. It stands in for a [parent](OperationBuilder::parent), and the other way round; the last one counts.
    /// Without one, nothing changes.
    pub fn remote_parent(self, parent: impl Into<Option<RemoteParent>>) -> Self {
        match parent.into() {
            Some(parent) => self.within(Parent::Remote(Box::new(parent))),
            None => self,
        }
    }

    fn within(mut self, parent: Parent) -> Self {
        if let Some(core) = &self.core {
            let before = core.change(|rest| rest.parent.replace(parent));
            drop(before);
            self.has_parent = true;
        }
        self
    }

    /// Starts it.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "where nothing is recorded, no call is left of it, and nothing of what is called on it afterwards"
    )]
    pub fn start(self) -> Operation {
        let (core, has_parent) = self.into_parts();
        if let Some(core) = &core {
            core.start_as_built(has_parent);
        }
        Operation { handle: Handle(core) }
    }

    /// Starts it as an operation that is addressed by its id, for who cannot hold a guard: recorded into through
    /// [`Collector::handle`](crate::Collector::handle), ended by
    /// [`Collector::end_by_id`](crate::Collector::end_by_id).
    pub fn start_by_id(self) -> OperationId {
        let operation = self.start();
        let Some(core) = &operation.handle.0 else { return OperationId::default() };
        let (id, shared) = (core.id(), Arc::clone(&core.shared));
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

impl Operation {
    /// A handle to record into this operation from elsewhere.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Ends it as a success.
    #[inline]
    pub fn succeed(self) {
        self.end_as(Outcome::Success);
    }

    /// Ends it as a failure, by this error.
    pub fn fail<E: Failure<Kind> + ?Sized, Kind>(self, error: &E) {
        if let Some(error) = self.intake().map(|intake| read(intake, error)) {
            self.end_with(Some(error));
        }
    }

    /// Ends it as a success, or as a failure if there is an error.
    pub fn end_with(self, error: Option<ErrorRecord>) {
        let outcome = self.take_error(error);
        self.end_as(outcome);
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

    #[inline]
    pub(crate) fn end_as(mut self, outcome: Outcome) {
        let core = self.handle.0.take();
        // Nothing is left in it; said so, no code is made to look for it.
        std::mem::forget(self);
        end(core, outcome);
    }

    pub(crate) fn finish_as(mut self, outcome: Outcome) -> Option<OperationRecord> {
        let core = self.handle.0.take()?;
        let closed = core.end(outcome)?;
        let record = closed.record();
        core.shared.hand_in(closed, outcome);
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
}

#[inline]
fn end(core: Option<Arc<Core>>, outcome: Outcome) {
    if let Some(core) = core {
        core.finish(outcome);
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
        end(self.handle.0.take(), Outcome::Abandoned);
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
