//! A panic in every place where the collector calls code of the program's own: the program goes on, what comes later is
//! recorded and stored, and each panic is counted. That code may also call the collector: see `reentrancy`.

mod reentrancy;
mod worker;

use std::error::Error;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use chrono::{DateTime, Utc};
use taximeter::{
    Batch, Clock, Collector, Ending, ErrorCategory, ErrorRecord, Failure, FlushError, IdSource,
    LossReason, MemorySink, MetaValue, MeteredExt, OperationId, OperationRecord, Outcome, Sink,
    SinkError, SystemIds, TokenUsage, UsageError, ending_kinds,
};

const SOON: Duration = Duration::from_secs(5);

/// A test takes seconds where the machine does much else besides; what takes a minute hangs.
const HANGS: Duration = Duration::from_mins(1);

/// Runs a piece of a test that may hang.
fn watched(work: impl FnOnce() + Send + 'static) {
    let (end, ended) = mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        // Dropped at the end, also by a panic.
        let _end = end;
        work();
    });
    let hangs = ended.recv_timeout(HANGS) == Err(mpsc::RecvTimeoutError::Timeout);
    assert!(!hangs, "it hangs");
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Panics so many times when it is asked to, and then no more.
#[derive(Debug, Default)]
struct Strikes {
    left: AtomicU64,
    done: AtomicU64,
}

impl Strikes {
    fn times(times: u64) -> Self {
        Self { left: AtomicU64::new(times), done: AtomicU64::new(0) }
    }

    fn strike(&self) {
        let fewer = |left: u64| left.checked_sub(1);
        if self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fewer).is_ok() {
            self.done.fetch_add(1, Ordering::SeqCst);
            panic!("injected");
        }
    }

    fn done(&self) -> u64 {
        self.done.load(Ordering::SeqCst)
    }
}

/// Twenty operations on two threads are recorded whole and stored, and nothing is lost or counted besides.
fn goes_on(collector: &Collector, sink: &MemorySink) {
    collector.flush(SOON).unwrap();
    let (before, records) = (collector.counts(), sink.records().len());
    let record = || {
        for _ in 0..10 {
            let op = collector.operation("later").with("key", "value").start();
            op.time("part", || op.warn("within"));
            op.tool("search").start().succeed();
            op.record_usage("p", "m", TokenUsage::new(10, 1));
            op.succeed();
        }
    };
    record();
    std::thread::scope(|scope| scope.spawn(record).join()).unwrap();
    collector.flush(SOON).unwrap();
    let mut expected = before;
    expected.offered += 20;
    expected.stored += 20;
    // Memory is not what is looked at here.
    expected.queue_bytes = collector.counts().queue_bytes;
    assert_eq!(collector.counts(), expected);
    assert!(expected.adds_up() && (expected.queued, expected.open) == (0, 0), "{expected:?}");
    let later = &sink.records()[records..];
    assert_eq!(later.len(), 20);
    for record in later {
        assert_eq!((record.name.as_str(), record.outcome), ("later", Outcome::Success));
        assert_eq!((record.components.len(), record.tool_calls.len()), (1, 1));
        assert_eq!((record.warning_count(), record.usage().total_tokens()), (1, 11));
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    Prepare,
    Accept,
    AcceptPacked,
    HalfRead,
    Flush,
}

/// A sink that panics in one place.
struct Faulty {
    place: Place,
    strikes: Strikes,
    memory: MemorySink,
}

impl Faulty {
    fn at(place: Place, times: u64) -> (Collector, Arc<Self>) {
        let memory = MemorySink::default();
        let sink = Arc::new(Self { place, strikes: Strikes::times(times), memory });
        (Collector::builder().sink(Arc::clone(&sink)).build().unwrap(), sink)
    }

    fn pass(&self, place: Place) {
        if self.place == place {
            self.strikes.strike();
        }
    }
}

impl Sink for Faulty {
    fn prepare(&self, record: &mut OperationRecord) {
        record.warnings.clear();
        self.pass(Place::Prepare);
    }

    fn accept(&self, batch: Vec<OperationRecord>) -> Result<(), SinkError> {
        self.pass(Place::Accept);
        self.memory.accept(batch)
    }

    fn accept_packed(&self, batch: &Batch<'_>) -> Result<(), SinkError> {
        self.pass(Place::AcceptPacked);
        self.accept(batch.records().inspect(|_| self.pass(Place::HalfRead)).collect())
    }

    fn flush(&self) -> Result<(), SinkError> {
        self.pass(Place::Flush);
        Ok(())
    }
}

#[test]
fn a_sink_that_panics_on_a_batch_loses_that_batch() {
    for place in [Place::Accept, Place::AcceptPacked, Place::HalfRead] {
        for times in 1..=4 {
            let (collector, sink) = Faulty::at(place, times);
            for lost in 1..=times {
                collector.operation("lost").start().succeed();
                // A batch that was lost before the flush began is not said by it.
                let _ = collector.flush(SOON);
                assert_eq!(collector.counts().dropped[&LossReason::InternalPanic], lost);
            }
            let counts = collector.counts();
            assert!(counts.adds_up(), "{counts:?}");
            assert_eq!((counts.internal_panics, counts.stored), (times, 0), "{place:?}");
            assert_eq!(sink.strikes.done(), times);
            goes_on(&collector, &sink.memory);
            collector.shutdown(SOON).unwrap();
        }
    }
}

#[test]
fn a_sink_that_panics_on_a_flush_loses_nothing() {
    let (collector, sink) = Faulty::at(Place::Flush, 3);
    for stored in 1..=3 {
        collector.operation("kept").start().succeed();
        let flushed = collector.flush(SOON);
        assert!(matches!(&flushed, Err(FlushError::Sink(why)) if why.contains("panicked")));
        let counts = collector.counts();
        assert_eq!((counts.internal_panics, counts.stored), (stored, stored), "{counts:?}");
    }
    goes_on(&collector, &sink.memory);

    // The flush at the end is one too.
    let (collector, sink) = Faulty::at(Place::Flush, 1);
    collector.operation("kept").start().succeed();
    assert!(matches!(collector.shutdown(SOON), Err(FlushError::Sink(_))));
    let counts = collector.counts();
    assert_eq!((counts.internal_panics, counts.stored), (1, 1), "{counts:?}");
    assert!(counts.adds_up() && sink.memory.records().len() == 1);
}

#[test]
fn a_sink_that_panics_while_it_completes_a_record_gives_it_back_as_it_is() {
    let (collector, sink) = Faulty::at(Place::Prepare, 3);
    for panics in 1..=3 {
        let op = collector.operation("asked back").start();
        op.record_usage("p", "m", TokenUsage::new(5, 2));
        assert_eq!(op.finish().unwrap().usage().total_tokens(), 7);
        assert_eq!(collector.counts().internal_panics, panics);
    }
    collector.flush(SOON).unwrap();
    assert_eq!(sink.memory.records().len(), 3);
    goes_on(&collector, &sink.memory);
}

/// A clock that shows a hundred days, and panics.
#[derive(Debug, Default)]
struct FaultyClock {
    monotonic: Strikes,
    wall: Strikes,
}

const HUNDRED_DAYS: Duration = Duration::from_hours(100 * 24);

impl Clock for FaultyClock {
    fn monotonic(&self) -> Duration {
        self.monotonic.strike();
        HUNDRED_DAYS
    }

    fn wall(&self) -> DateTime<Utc> {
        self.wall.strike();
        DateTime::UNIX_EPOCH + HUNDRED_DAYS
    }
}

#[test]
fn a_clock_that_panics_costs_times_and_no_operation() {
    for (monotonic, wall) in [(1, 0), (0, 1), (7, 3), (100, 100)] {
        let clock =
            FaultyClock { monotonic: Strikes::times(monotonic), wall: Strikes::times(wall) };
        let (clock, sink) = (Arc::new(clock), MemorySink::default());
        let builder = Collector::builder().sink(sink.clone());
        let collector = builder.clock(Arc::clone(&clock) as Arc<dyn Clock>).build().unwrap();
        // Everything that asks for the time.
        for _ in 0..100 {
            assert!(collector.now().is_some());
            let op = collector.operation("timed").start();
            op.time("part", || ());
            op.tool("search").start().succeed();
            let mut call = op.llm_call("p", "m").start();
            call.first_token();
            call.succeed();
            op.succeed();
        }
        collector.flush(SOON).unwrap();
        let counts = collector.counts();
        assert_eq!((clock.monotonic.done(), clock.wall.done()), (monotonic, wall));
        assert_eq!((counts.internal_panics, counts.stored), (monotonic + wall, 100), "{counts:?}");
        for record in sink.records() {
            assert_eq!((record.outcome, record.components.len()), (Outcome::Success, 1));
            assert_eq!((record.tool_calls.len(), record.llm_calls.len()), (1, 1));
        }
        goes_on(&collector, &sink);
    }
}

/// What the clock did not say must not be made up: not a duration, and not an age for which an operation is closed.
#[test]
fn a_clock_that_panics_makes_nothing_old() {
    let clock = FaultyClock { monotonic: Strikes::times(1), wall: Strikes::default() };
    let collector = Collector::builder().clock(Arc::new(clock)).build().unwrap();
    let record = collector.operation("just started").start().finish().unwrap();
    assert!(record.duration < HUNDRED_DAYS, "{:?}", record.duration);
}

#[derive(Debug)]
struct FaultyIds(Strikes);

impl IdSource for FaultyIds {
    fn next(&self, now: DateTime<Utc>) -> OperationId {
        self.0.strike();
        SystemIds.next(now)
    }
}

#[test]
fn a_source_of_ids_that_panics_is_replaced_by_the_systems() {
    let (ids, sink) = (Arc::new(FaultyIds(Strikes::times(50))), MemorySink::default());
    let builder = Collector::builder().sink(sink.clone()).ids(Arc::clone(&ids) as _);
    let collector = builder.build().unwrap();
    let mut given: Vec<_> =
        (0..100).filter_map(|_| collector.operation("op").start().id()).collect();
    given.sort();
    given.dedup();
    assert_eq!((given.len(), ids.0.done()), (100, 50));
    assert_eq!(collector.counts().internal_panics, 50);
    goes_on(&collector, &sink);
}

/// An error that panics in one of the places where it is asked what it is.
#[derive(Debug)]
enum Rude {
    Text,
    Source,
    Cause,
}

impl fmt::Display for Rude {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        assert!(!matches!(self, Self::Text), "injected");
        f.write_str("rude")
    }
}

impl Error for Rude {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Text => None,
            Self::Source => panic!("injected"),
            Self::Cause => Some(&Self::Text),
        }
    }
}

/// Records every kind of failure by this error, in four operations.
fn fail_everywhere<E: Failure<Kind>, Kind>(collector: &Collector, error: impl Fn() -> E) {
    let op = collector.operation("fails").start();
    op.error(&error());
    op.tool("search").start().fail(&error());
    assert!(op.tool("search").run(|| Err::<(), _>(error())).is_err());
    op.llm_call("p", "m").start().fail(&error());
    op.fail(&error());
    assert!(collector.scope("fails", |_| Err::<(), _>(error())).is_err());
    collector.operation("fails").start().end_by(&Err::<(), _>(error()));
    let metered = async { Err::<(), _>(error()) }.metered(collector.operation("fails").start());
    assert!(futures_executor::block_on(metered).is_err());
}

/// Runs what panics, and says whether it did.
fn panics(work: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(work)).is_err()
}

fn check_failures(collector: &Collector, sink: &MemorySink, says: &str) {
    collector.flush(SOON).unwrap();
    let records = sink.records();
    assert_eq!(records.len(), 4);
    for record in &records {
        assert_eq!(record.outcome, Outcome::Failure);
        assert!(record.errors.iter().all(|error| error.message.contains(says)), "{record:?}");
    }
    let first = &records[0];
    assert_eq!((first.errors.len(), first.tool_calls.len(), first.llm_calls.len()), (2, 2, 1));
    assert!(first.tool_calls.iter().all(|call| call.error.is_some()));
    goes_on(collector, sink);
}

#[test]
fn an_error_that_panics_when_it_is_asked_what_it_is_is_recorded_by_its_type() {
    for error in [|| Rude::Text, || Rude::Source, || Rude::Cause] {
        let sink = MemorySink::default();
        let collector = Collector::builder().sink(sink.clone()).build().unwrap();
        fail_everywhere(&collector, error);
        check_failures(&collector, &sink, "Rude");
    }
}

/// A failure of the program's own kind, which panics when it is to be recorded.
struct Unrecordable;

impl Failure<Unrecordable> for Unrecordable {
    fn record(&self) -> ErrorRecord {
        panic!("injected")
    }
}

#[test]
fn a_failure_that_panics_when_it_is_recorded_is_recorded_by_its_type() {
    let sink = MemorySink::default();
    let collector = Collector::builder().sink(sink.clone()).build().unwrap();
    fail_everywhere(&collector, || Unrecordable);
    check_failures(&collector, &sink, "Unrecordable");
}

#[test]
fn panics_of_errors_are_counted() {
    let collector = Collector::builder().build().unwrap();
    collector.operation("fails").start().fail(&Unrecordable);
    collector.operation("fails").start().fail(&Rude::Text);
    assert_eq!(collector.counts().internal_panics, 2);
}

/// The work itself is not the collector's to save: its panic goes on, and is recorded.
#[test]
fn a_panic_of_the_work_itself_goes_on_and_is_recorded() {
    let sink = MemorySink::default();
    let collector = Collector::builder().sink(sink.clone()).build().unwrap();
    let injected = || panic!("injected");
    assert!(panics(|| collector.scope("scope", |_| injected())));
    assert!(panics(|| collector.operation("run by").start().run_by(|_| injected(), |()| None)));
    assert!(panics(|| {
        futures_executor::block_on(collector.scope_async("future", |_| async { injected() }));
    }));
    assert!(panics(|| {
        _ = collector.scope_async("closure", |_| -> std::future::Ready<()> {
            injected();
            std::future::ready(())
        });
    }));
    let op = collector.operation("parts").start();
    assert!(panics(|| op.time("part", injected)));
    assert!(panics(|| op.tool("search").run(injected)));
    op.fail("its parts panicked");
    assert!(panics(|| {
        let _op = collector.operation("unwound").start();
        injected();
    }));
    collector.flush(SOON).unwrap();
    let records = sink.records();
    let [scope, run_by, future, closure, parts, unwound] = &*records else { panic!("{records:?}") };
    for record in [scope, run_by, future, closure] {
        assert_eq!((record.outcome, record.error_count()), (Outcome::Failure, 1));
        assert_eq!(record.errors[0].message, "panicked: injected");
    }
    assert_eq!((parts.components.len(), parts.tool_calls.len()), (1, 1));
    assert_eq!(parts.tool_calls[0].error_category(), Some(ErrorCategory::Cancelled));
    assert_eq!(unwound.outcome, Outcome::Abandoned);
    // They were the program's to catch, not the collector's.
    assert_eq!(collector.counts().internal_panics, 0);
    goes_on(&collector, &sink);
}

/// Something that is handed to the collector and panics on its way in.
struct Argument;

impl AsRef<str> for Argument {
    fn as_ref(&self) -> &str {
        panic!("injected")
    }
}

impl From<Argument> for String {
    fn from(_: Argument) -> Self {
        panic!("injected")
    }
}

impl From<Argument> for MetaValue<'_> {
    fn from(_: Argument) -> Self {
        panic!("injected")
    }
}

impl TryFrom<Argument> for TokenUsage {
    type Error = UsageError;

    fn try_from(_: Argument) -> Result<Self, UsageError> {
        panic!("injected")
    }
}

#[test]
fn an_argument_that_panics_on_its_way_in_leaves_its_operation_sound() {
    let sink = MemorySink::default();
    let collector = Collector::builder().sink(sink.clone()).build().unwrap();
    let op = collector.operation("op").start();
    let mut call = op.llm_call("p", "m").start();
    assert!(panics(|| op.set(Argument, 1)));
    assert!(panics(|| op.set("key", Argument)));
    assert!(panics(|| op.tag(Argument, "value")));
    assert!(panics(|| op.tag("key", Argument)));
    assert!(panics(|| op.set_user(Argument)));
    assert!(panics(|| op.set_session(Argument)));
    assert!(panics(|| op.warn(Argument)));
    assert!(panics(|| op.add_component(Argument, SOON)));
    assert!(panics(|| drop(op.tool(Argument))));
    assert!(panics(|| drop(op.tool("search").with("key", Argument))));
    assert!(panics(|| op.record_usage("p", "m", Argument)));
    assert!(panics(|| call.usage(Argument)));
    assert!(panics(|| drop(collector.operation(Argument))));
    assert!(panics(|| drop(collector.operation("op").with(Argument, 1).user("u"))));
    assert!(panics(|| drop(collector.operation("op").with("key", Argument).user("u"))));
    call.usage(TokenUsage::new(1, 1));
    call.succeed();
    op.warn("still sound");
    op.succeed();
    collector.flush(SOON).unwrap();
    let records = sink.records();
    let [record] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!((record.warning_count(), record.usage().total_tokens()), (1, 2));
    assert!(record.metadata.is_empty() && record.tags.is_empty() && record.components.is_empty());
    // Those that never started are taken back.
    assert_eq!((collector.counts().offered, collector.counts().open), (1, 0));
    goes_on(&collector, &sink);
}

/// A value that panics when it is asked whether it is a failure.
struct Undecided;

impl Ending<ending_kinds::Value> for Undecided {
    fn failure(&self) -> Option<ErrorRecord> {
        panic!("injected")
    }
}

/// Every way to end by a value: five operations.
fn end_everywhere(collector: &Collector, attempt: impl Fn(&dyn Fn())) {
    let metered = || async { Undecided }.metered(collector.operation("undecided").start());
    attempt(&|| _ = collector.scope("undecided", |_| Undecided));
    attempt(&|| collector.operation("undecided").start().end_by(&Undecided));
    attempt(&|| collector.operation("undecided").start().run_by(|_| (), |()| panic!("injected")));
    attempt(&|| _ = futures_executor::block_on(metered()));
    attempt(&|| {
        collector.scope("decided", |op| _ = op.tool("search").run(|| Undecided));
    });
}

#[test]
fn a_value_that_panics_when_it_is_asked_how_it_went_leaves_its_record() {
    let sink = MemorySink::default();
    let collector = Collector::builder().sink(sink.clone()).build().unwrap();
    end_everywhere(&collector, |attempt| _ = panics(attempt));
    collector.flush(SOON).unwrap();
    let counts = collector.counts();
    assert_eq!((counts.stored, counts.open), (5, 0), "{counts:?}");
    let records = sink.records();
    assert_eq!(records.len(), 5);
    assert_eq!(records[4].tool_calls.len(), 1);
    goes_on(&collector, &sink);
}

#[test]
fn a_value_that_panics_when_it_is_asked_how_it_went_is_returned() {
    let collector = Collector::builder().build().unwrap();
    end_everywhere(&collector, |attempt| assert!(!panics(attempt)));
    assert_eq!(collector.counts().internal_panics, 5);
}
