//! The place of an operation: where it is recorded while it runs, and where the next one is when it has ended.
//!
//! The thread that begins an operation writes its parts onto the [page](Page), without a lock. As soon as another thread
//! records, or there is no more room, the page is closed and all threads put their parts into what is [open](Open)
//! beside it, under the operation's lock; so the parts of each thread stay in their order.

use std::cell::RefCell;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use taximeter_models::{Name, OperationId, OperationRecord, Outcome, TraceId};

use crate::bounds::Bounds;
use crate::closed::Closed;
use crate::collector::Shared;
use crate::current::{current, is_any};
use crate::frame::{self, Buffer, Label, hot, part};
use crate::handle::Handle;
use crate::intake::lock;
use crate::ledger::Flaw;
use crate::open::Open;
use crate::operation::Parent;
use crate::page::{Kind, PAGE, Page};
use crate::remote::RemoteParent;
use crate::show::{Begun, Over, Shown};
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use crate::sync::{Brief, Mutex};

/// The place of an operation; when it has ended and nobody holds it any more, the place of the next one.
pub(crate) struct Core {
    pub(crate) shared: Arc<Shared>,
    pub(crate) page: Page,
    life: Brief<Life>,
    /// Set by who begins the operation, who alone knows it then; taken back by who ends it, under the lock of `life`, or
    /// [alone](crate::alone).
    pub(crate) is_open: AtomicBool,
    /// The monotonic nanoseconds of its start; the most there are before. Written by who starts it.
    started: AtomicU64,
    /// The two halves of its trace. Written by who starts it.
    trace: [AtomicU64; 2],
    /// How much of its memory the budget knows of. Changed under the lock of `life` alone.
    charged: AtomicUsize,
    /// How many bytes of the page were read when the operation ended. Written by who ended it.
    read: AtomicUsize,
    /// Whether anything was put into the rest of `life`. Changed under its lock alone.
    has_rest: AtomicBool,
    /// Guards of LLM calls: how many have begun, and how many of those run.
    pub(crate) llm_guards: [AtomicU64; 2],
}

/// What is rarely asked for, and then under a lock.
#[derive(Default)]
pub(crate) struct Life {
    open: Option<Box<Open>>,
    rest: Rest,
}

/// What most operations have not.
#[derive(Default)]
pub(crate) struct Rest {
    pub(crate) user: Option<Name>,
    pub(crate) session: Option<Name>,
    /// Who asked for it from afar, or for one around it.
    remote: Option<Arc<RemoteParent>>,
    shown: Shown,
    /// The name, from the beginning to the start, where operations are shown.
    pub(crate) shown_name: Option<String>,
    /// Within what it is to run, until the start.
    pub(crate) parent: Option<Parent>,
}

/// The bytes of a place, generously.
const PLACE: usize = 512 + PAGE;

impl Core {
    /// A place for one more operation at a time; none where there are as many as may be, which is counted.
    #[cold]
    pub(crate) fn make(shared: &Arc<Shared>) -> Option<Arc<Self>> {
        if !shared.take_place(PLACE) {
            return None;
        }
        let core = Arc::new(Self {
            shared: Arc::clone(shared),
            page: Page::new(shared.intake.limits(), shared.intake.is_plain()),
            life: Brief::new(Life::default()),
            is_open: AtomicBool::new(false),
            started: AtomicU64::new(u64::MAX),
            trace: [AtomicU64::new(0), AtomicU64::new(0)],
            charged: AtomicUsize::new(PLACE),
            read: AtomicUsize::new(0),
            has_rest: AtomicBool::new(false),
            llm_guards: [AtomicU64::new(0), AtomicU64::new(0)],
        });
        // Without it the operation is never too old; in a child nobody looks.
        if let Some(mut places) = shared.intake.lock_if_it_comes(&shared.places) {
            places.push(Arc::downgrade(&core));
        }
        Some(core)
    }

    /// Begins an operation. Only for who alone knows the place.
    #[inline]
    pub(crate) fn begin(&self, name: Label) {
        self.begin_by(|| self.page.write_name(|to| hot::name(to, name)));
    }

    /// As [`begin`](Core::begin), for a name of any length.
    pub(crate) fn begin_long(&self, name: &str) {
        self.begin_by(|| composed(|to| part::name(to, name), |bytes| self.put(bytes)));
    }

    #[inline]
    fn begin_by(&self, put_name: impl FnOnce()) {
        self.started.store(u64::MAX, Ordering::Relaxed);
        self.llm_guards.iter().for_each(|guards| guards.store(0, Ordering::Relaxed));
        self.page.begin();
        put_name();
        // Whoever finds it open finds all of the above.
        self.is_open.store(true, Ordering::Release);
    }

    /// Gives it the memory that the last operation had beside the page.
    #[cold]
    pub(crate) fn give(&self, open: Box<Open>) {
        self.life.lock().open = Some(open);
    }

    /// Starts what was begun, within what was told, or else within the current operation. Only for who alone knows the place.
    #[inline(never)]
    pub(crate) fn start_as_built(&self, is_told: bool) {
        if is_told {
            self.start_as_told();
        } else if is_any() {
            self.start_within(&current());
        } else {
            // As within none, said apart: to look for a parent is a fifth of the instructions of a start.
            self.start(|| None);
            if self.shared.show.is_something() {
                self.show(None);
            }
        }
    }

    /// Starts what was begun, within another operation if there is one and it is of the same collector. Only for who
    /// alone knows the place.
    fn start_within(&self, parent: &Handle) {
        let of_same = |parent: &&Arc<Self>| Arc::ptr_eq(&parent.shared, &self.shared);
        let parent = parent.0.as_ref().filter(of_same);
        self.start(|| parent.map(|parent| self.adopted_by(parent)));
        if self.shared.show.is_something() {
            self.show(parent.map(|parent| &**parent));
        }
    }

    /// Starts what was begun, within what was told. Only for who alone knows the place.
    #[cold]
    fn start_as_told(&self) {
        let parent = self.life.lock().rest.parent.take();
        match parent {
            Some(Parent::Here(parent)) => self.start_within(&parent),
            Some(Parent::Remote(parent)) => self.start_for(*parent),
            None => self.start_within(&Handle::off()),
        }
    }

    /// Starts what was begun, within a span of another process. Only for who alone knows the place.
    #[cold]
    pub(crate) fn start_for(&self, parent: RemoteParent) {
        self.start(|| Some(self.asked_by(parent)));
        self.show(None);
    }

    #[inline]
    fn start(&self, adopt: impl FnOnce() -> Option<TraceId>) {
        let shared = &self.shared;
        let now = shared.time.now(&shared.intake);
        let id = shared.next_id(now.wall);
        let trace = adopt().unwrap_or(TraceId::from(id));
        self.page.start(id, now.wall);
        put_wide(&self.trace, trace.bits());
        self.started.store(now.monotonic, Ordering::Release);
    }

    /// Shows it from now on, if operations are shown: within its parent if that is.
    #[cold]
    fn show(&self, parent: Option<&Self>) {
        let Some(name) = self.life.lock().rest.shown_name.take() else { return };
        let around = parent.map(Self::shown).filter(Shown::is_something);
        let around = around.unwrap_or_else(|| self.shared.show.clone());
        let shown = around.begin(&self.shared, Begun::Operation(&name, self.id()));
        self.rest(&mut self.life.lock()).shown = shown;
    }

    /// How it is shown.
    pub(crate) fn shown(&self) -> Shown {
        if self.shared.show.is_something() {
            return self.life.lock().rest.shown.clone();
        }
        Shown::NOTHING
    }

    /// Starts what was begun as one that ran elsewhere, or before. Only for who alone knows the place.
    pub(crate) fn start_as(&self, record: &OperationRecord) {
        self.change(|rest| rest.shown_name = None);
        let now = self.shared.time.monotonic(&self.shared.intake);
        let is_own = record.trace_id == TraceId::from(record.id);
        composed(
            |to| {
                record.parent.inspect(|parent| part::parent(to, *parent));
                if !is_own {
                    part::trace(to, record.trace_id);
                }
            },
            |bytes| self.put(bytes),
        );
        let started_at = frame::unix_nanos(record.started_at);
        self.page.start(record.id, started_at);
        put_wide(&self.trace, record.trace_id.bits());
        self.started.store(now, Ordering::Release);
    }

    /// Becomes the child of another operation; gives the trace of both.
    #[cold]
    pub(crate) fn adopted_by(&self, parent: &Self) -> TraceId {
        let trace = parent.trace();
        composed(
            |to| {
                part::parent(to, parent.id());
                part::trace(to, trace);
            },
            |bytes| self.put(bytes),
        );
        let of_parent = {
            let parent = &parent.life.lock().rest;
            (parent.user.clone(), parent.session.clone(), parent.remote.clone())
        };
        if let (None, None, None) = of_parent {
            return trace;
        }
        let mut life = self.life.lock();
        let rest = self.rest(&mut life);
        rest.remote = of_parent.2;
        rest.user = rest.user.take().or(of_parent.0);
        rest.session = rest.session.take().or(of_parent.1);
        trace
    }

    /// Becomes the child of a span of another process; gives the trace of both.
    #[cold]
    pub(crate) fn asked_by(&self, mut parent: RemoteParent) -> TraceId {
        let trace = parent.trace_id;
        composed(
            |to| {
                part::remote_parent(to, parent.span_id);
                part::trace(to, trace);
            },
            |bytes| self.put(bytes),
        );
        let mut life = self.life.lock();
        if !self.charge(parent.memory()) {
            self.shared.intake.flaw(Flaw::Truncated(1));
            (parent.trace_state, parent.baggage) = (None, None);
        }
        self.rest(&mut life).remote = Some(Arc::new(parent));
        trace
    }

    /// Who asked for it from afar, or for one around it; none once it has ended.
    pub(crate) fn remote(&self) -> Option<Arc<RemoteParent>> {
        self.life.lock().rest.remote.clone()
    }

    pub(crate) fn id(&self) -> OperationId {
        self.page.id()
    }

    pub(crate) fn trace(&self) -> TraceId {
        TraceId::from_bits(wide(&self.trace))
    }

    #[inline]
    pub(crate) fn bounds(&self) -> Bounds<'_> {
        Bounds::new(&self.shared.intake)
    }

    /// The rest, to put something into it.
    fn rest<'l>(&self, life: &'l mut Life) -> &'l mut Rest {
        self.has_rest.store(true, Ordering::Relaxed);
        &mut life.rest
    }

    /// Changes the rest.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut Rest) -> R) -> Option<R> {
        let mut life = self.life.lock();
        if self.is_open.load(Ordering::Relaxed) {
            return Some(change(self.rest(&mut life)));
        }
        drop(life);
        self.shared.intake.flaw(Flaw::LatePart);
        None
    }

    /// Puts in what belongs to no kind, before the operation has started. Only for who alone knows the place.
    #[inline]
    fn put(&self, bytes: &[u8]) {
        if !(self.page.is_own() && self.page.put(bytes)) {
            self.put_beside(&mut self.life.lock(), bytes);
        }
    }

    fn put_beside(&self, life: &mut Life, bytes: &[u8]) {
        match self.beside(life) {
            Some(open) => open.put(bytes),
            None => self.shared.intake.flaw(Flaw::Truncated(1)),
        }
    }

    /// Puts a part that is within its bounds into the record.
    #[inline]
    pub(crate) fn compose(
        &self,
        kind: Kind,
        bounds: Bounds<'_>,
        compose: impl FnOnce(&mut Buffer),
    ) {
        composed(compose, |part| self.fill(kind, part, bounds));
    }

    /// Puts in a part that is [padded](Buffer::padded).
    pub(crate) fn fill(&self, kind: Kind, part: &[u8], mut bounds: Bounds<'_>) {
        if self.page.put_part(part) || self.fill_beside(kind, part, &mut bounds) {
            bounds.report(&self.shared.intake);
        }
    }

    /// Puts a part in beside the page; says whether the operation was open.
    #[inline(never)]
    fn fill_beside(&self, kind: Kind, part: &[u8], bounds: &mut Bounds<'_>) -> bool {
        let mut life = self.life.lock();
        if !self.is_open.load(Ordering::Relaxed) {
            drop(life);
            self.shared.intake.flaw(Flaw::LatePart);
            return false;
        }
        match self.beside(&mut life) {
            Some(open) => open.put_part(kind, part, bounds),
            None => bounds.left_out(),
        }
        true
    }

    /// What is open beside the page, which nobody writes from here on; it holds all that is known to be written there.
    /// None where the budget has no memory for it.
    fn beside<'l>(&self, life: &'l mut Life) -> Option<&'l mut Open> {
        let memory = life.open.as_ref().map_or(Open::FIRST, |open| open.memory());
        let carried = life.rest.remote.as_ref().map_or(0, |remote| remote.memory());
        if !self.charge(memory + carried) {
            return None;
        }
        self.page.close();
        let open = life.open.get_or_insert_default();
        open.take_in(&self.page, self.page.written());
        Some(open)
    }

    /// Tells the budget how much memory the operation holds beside its page; false where there is no more.
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

    /// The nanoseconds of the monotonic clock.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        self.shared.time.monotonic(&self.shared.intake)
    }

    #[inline]
    pub(crate) fn since_start(&self, now: u64) -> u64 {
        now.saturating_sub(self.started.load(Ordering::Acquire))
    }

    /// The time of day at a moment of the monotonic clock, in nanoseconds since 1970: as long after the start.
    #[inline]
    pub(crate) fn wall_at(&self, moment: u64) -> i64 {
        self.page.started_at().saturating_add_unsigned(self.since_start(moment))
    }

    /// Ends the operation and hands it in. The place may be another operation's then.
    #[inline(never)]
    pub(crate) fn finish(self: Arc<Self>, outcome: Outcome) {
        if self.is_alone() {
            self.finish_alone(outcome);
        } else if let Some(closed) = self.end(outcome) {
            self.shared.hand_in(closed, outcome);
        }
    }

    /// Whether nobody else holds it, and nothing was put in beside the page; so that its end may be
    /// [short](crate::alone).
    #[inline]
    fn is_alone(self: &Arc<Self>) -> bool {
        let is_alone = Arc::strong_count(self) == 1;
        // What the others did before they let go is seen from here on.
        fence(Ordering::Acquire);
        is_alone
            && self.page.is_own()
            && !self.has_rest.load(Ordering::Relaxed)
            && !self.shared.intake.takes_samples()
    }

    /// How far the page is written, at the end.
    #[inline]
    pub(crate) fn written_at_end(&self) -> usize {
        let written = self.page.written();
        self.read.store(written, Ordering::Relaxed);
        written
    }

    /// Ends the operation; gives what it gathered once, to whoever ends it first.
    pub(crate) fn end(self: &Arc<Self>, outcome: Outcome) -> Option<Closed<'_>> {
        let now = self.now();
        self.end_after(outcome, || self.since_start(now))
    }

    /// As [`end`](Core::end), for what lasted so many nanoseconds.
    pub(crate) fn end_after(
        self: &Arc<Self>,
        outcome: Outcome,
        lasted: impl FnOnce() -> u64,
    ) -> Option<Closed<'_>> {
        self.end_by(close, outcome, lasted)
    }

    /// As [`end_after`](Core::end_after), by who says how it is closed.
    fn end_by(
        self: &Arc<Self>,
        close: impl FnOnce(&AtomicBool) -> bool,
        outcome: Outcome,
        lasted: impl FnOnce() -> u64,
    ) -> Option<Closed<'_>> {
        let mut life = self.life.lock();
        if !close(&self.is_open) {
            return None;
        }
        let has_rest = self.has_rest.load(Ordering::Relaxed);
        let shown = if has_rest { self.tell(&mut life) } else { Shown::NOTHING };
        self.page.close();
        let written = self.written_at_end();
        let open = life.open.take_if(|open| open.is_used());
        drop(life);
        shown.end(&self.shared, Over::Operation(outcome));
        Some(Closed::new(self, written, open, outcome, lasted()))
    }

    /// Puts user and session in, at the end, when they are known for good, and lets go of who asked; gives how the operation
    /// is shown.
    #[cold]
    fn tell(&self, life: &mut Life) -> Shown {
        let Rest { user, session, shown, .. } = std::mem::take(&mut life.rest);
        self.has_rest.store(false, Ordering::Relaxed);
        if let (None, None) = (&user, &session) {
            return shown;
        }
        let compose = |to: &mut Buffer| {
            user.as_deref().inspect(|user| part::user(to, user));
            session.as_deref().inspect(|session| part::session(to, session));
        };
        composed(compose, |bytes| {
            if !(self.page.is_own() && self.page.put(bytes)) {
                self.put_beside(life, bytes);
            }
        });
        shown
    }

    /// How many parts came onto the page when the operation had ended and its frame was read. Only for who alone knows
    /// the place, and so sees all that any thread has written.
    fn late_parts(&self) -> usize {
        if self.is_open.load(Ordering::Relaxed) {
            return 0;
        }
        let (read, written) = (self.read.load(Ordering::Relaxed), self.page.written());
        if read == written {
            return 0;
        }
        frame::count(&self.page.between(read, written)).iter().sum()
    }

    pub(crate) fn has_ended(&self) -> bool {
        !self.is_open.load(Ordering::Relaxed)
    }

    /// Closes an operation that has been open for too long, as abandoned.
    fn age(self: &Arc<Self>, now: u64) {
        let intake = &self.shared.intake;
        let is_old = || Duration::from_nanos(self.since_start(now)) > intake.limits().open_age;
        if !(self.is_open.load(Ordering::Acquire) && is_old()) {
            return;
        }
        let closed_alone = |is_open: &AtomicBool| {
            let _all = intake.lock_all();
            // It may have ended just before, and the place be the next one's, which is not old.
            is_open.load(Ordering::Acquire) && is_old() && close(is_open)
        };
        let ended = self.now();
        let lasted = || self.since_start(ended);
        if let Some(closed) = self.end_by(closed_alone, Outcome::Abandoned, lasted) {
            intake.flaw(Flaw::Aged);
            self.shared.hand_in(closed, Outcome::Abandoned);
        }
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        let late = self.late_parts();
        (0..late).for_each(|_| self.shared.intake.flaw(Flaw::LatePart));
        self.shared.give_place_back(self.charged.load(Ordering::Relaxed));
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").finish_non_exhaustive()
    }
}

/// Closes an operation, for who keeps all others from doing so; says whether it was open.
#[inline]
pub(crate) fn close(is_open: &AtomicBool) -> bool {
    let was_open = is_open.load(Ordering::Relaxed);
    is_open.store(false, Ordering::Relaxed);
    was_open
}

/// Closes what has been open for too long, and forgets places that are gone.
pub(crate) fn close_aged(places: &Mutex<Vec<Weak<Core>>>, now: impl Fn(&Shared) -> u64) {
    lock(places).retain(|place| place.strong_count() > 0);
    let known = lock(places).clone();
    for core in known.iter().filter_map(Weak::upgrade) {
        let now = now(&core.shared);
        core.age(now);
    }
}

/// No more memory is kept for the next part.
const LARGEST_SCRATCH: usize = 4 << 10;

thread_local! {
    /// Where parts are put together before they are put in as a whole.
    static SCRATCH: RefCell<Buffer> = RefCell::default();
}

/// Puts a part together, and shows it. Neither runs any code of the program's own.
#[inline]
pub(crate) fn composed<R>(compose: impl FnOnce(&mut Buffer), show: impl FnOnce(&[u8]) -> R) -> R {
    let mut scratch = SCRATCH.try_with(RefCell::take).unwrap_or_default();
    scratch.clear();
    compose(&mut scratch);
    let shown = show(scratch.padded());
    if scratch.memory() <= LARGEST_SCRATCH {
        // While a thread is torn down there is no such place any more.
        let _ = SCRATCH.try_with(|place| place.replace(scratch));
    }
    shown
}

fn wide(halves: &[AtomicU64; 2]) -> u128 {
    let [low, high] = halves.each_ref().map(|half| u128::from(half.load(Ordering::Relaxed)));
    high << 64 | low
}

fn put_wide(halves: &[AtomicU64; 2], bits: u128) {
    let [low, high] = halves;
    let [low_half, high_half] = frame::halves(bits);
    low.store(low_half, Ordering::Relaxed);
    high.store(high_half, Ordering::Relaxed);
}
