//! Flush, shutdown and drop in every context that a program can be in: they keep their timeout, nothing hangs, and the
//! counts add up. Each context is a process of its own, which has to end by itself and well.

mod scene;

use std::cell::RefCell;
use std::future::pending;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex, OnceLock, mpsc};
use std::time::Duration;

use taximeter::{
    Collector, FlushError, Limits, LossReason, MemorySink, Metadata, OperationRecord, Sink,
    SinkError, WhenFull,
};
use tokio::runtime::{Builder, Runtime};

use self::scene::{
    TIMEOUT, check, collector, flush_shut_down_and_drop, record, run_to_its_end, within,
};

const ALONE: &str = "TAXIMETER_TEST_ALONE";

/// Runs a test in a process of its own: the test starts itself again, and there does its work.
fn alone(name: &str, work: impl FnOnce()) {
    if std::env::var(ALONE).is_ok_and(|alone| alone == name) {
        return work();
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    let name_of_test = format!("collector_contexts::{name}");
    command.args(["--exact", &name_of_test, "--nocapture", "--include-ignored"]).env(ALONE, name);
    let said = run_to_its_end(&mut command);
    // A name that matches no test would end well too.
    assert!(said.contains("1 passed"), "{said}");
}

/// Counts how often all was done where the result cannot be seen, and makes a panic there the end of the process.
static DONE: AtomicU64 = AtomicU64::new(0);

fn flush_shut_down_and_drop_or_abort() {
    if std::panic::catch_unwind(flush_shut_down_and_drop).is_err() {
        std::process::abort();
    }
    DONE.fetch_add(1, Ordering::SeqCst);
}

/// Does all of it when it is dropped.
struct OnDrop;

impl Drop for OnDrop {
    fn drop(&mut self) {
        flush_shut_down_and_drop_or_abort();
    }
}

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

fn one_worker() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap()
}

/// The main thread is tested by a program of its own, for the test harness keeps that thread to itself: there, in
/// its thread-local destructors, and when it returns while collectors live in statics.
#[test]
fn on_the_main_thread_and_when_it_returns() {
    trybuild::TestCases::new().pass("ui/exit/*.rs");
}

#[test]
fn on_another_thread() {
    alone("on_another_thread", || {
        std::thread::spawn(flush_shut_down_and_drop).join().unwrap();
    });
}

#[test]
fn in_a_runtime_of_one_thread() {
    alone("in_a_runtime_of_one_thread", || {
        one_thread().block_on(async {
            flush_shut_down_and_drop();
            tokio::spawn(async { flush_shut_down_and_drop() }).await.unwrap();
        });
    });
}

#[test]
fn in_a_runtime_whose_only_worker_is_blocked() {
    alone("in_a_runtime_whose_only_worker_is_blocked", || {
        let runtime = one_worker();
        let (release, released) = mpsc::channel::<()>();
        let (begin, began) = mpsc::channel();
        let blocked = runtime.spawn(async move {
            begin.send(()).unwrap();
            released.recv().unwrap();
        });
        began.recv().unwrap();
        runtime.block_on(async { flush_shut_down_and_drop() });
        release.send(()).unwrap();
        runtime.block_on(blocked).unwrap();
        // Here the worker is blocked by the work itself.
        runtime.block_on(runtime.spawn(async { flush_shut_down_and_drop() })).unwrap();
        let in_place = async { tokio::task::block_in_place(flush_shut_down_and_drop) };
        runtime.block_on(runtime.spawn(in_place)).unwrap();
    });
}

#[test]
fn in_a_destructor_of_an_async_task() {
    alone("in_a_destructor_of_an_async_task", || {
        for runtime in [one_thread(), one_worker()] {
            DONE.store(0, Ordering::SeqCst);
            // Made outside of the task: it is dropped with it even if the task is never run.
            let held = || {
                let on_drop = OnDrop;
                async move {
                    let _held = on_drop;
                    pending::<()>().await;
                }
            };
            runtime.block_on(async {
                tokio::spawn(async { drop(OnDrop) }).await.unwrap();
                let aborted = tokio::spawn(held());
                tokio::task::yield_now().await;
                aborted.abort();
                assert!(aborted.await.unwrap_err().is_cancelled());
            });
            // What the runtime drops when it ends is dropped in yet another context.
            runtime.spawn(held());
            drop(runtime);
            assert_eq!(DONE.load(Ordering::SeqCst), 3);
        }
    });
}

#[test]
fn in_a_panic_hook() {
    alone("in_a_panic_hook", || {
        std::panic::set_hook(Box::new(|_| flush_shut_down_and_drop_or_abort()));
        assert!(std::panic::catch_unwind(|| panic!("for the hook")).is_err());
        assert!(std::thread::spawn(|| panic!("for the hook")).join().is_err());
        drop(std::panic::take_hook());
        assert_eq!(DONE.load(Ordering::SeqCst), 2);
    });
}

/// The hook runs on the worker's own thread, and uses the very collector whose sink panics.
#[test]
fn in_a_panic_hook_that_a_sink_set_off() {
    struct PanicsOnce(AtomicU64, MemorySink);
    impl Sink for PanicsOnce {
        fn accept(&self, batch: Vec<OperationRecord>) -> Result<(), SinkError> {
            assert!(self.0.fetch_add(1, Ordering::SeqCst) > 0, "the first batch");
            self.1.accept(batch)
        }
    }

    static COLLECTOR: OnceLock<Collector> = OnceLock::new();
    static REFUSED: AtomicU64 = AtomicU64::new(0);

    alone("in_a_panic_hook_that_a_sink_set_off", || {
        let memory = MemorySink::default();
        let sink = PanicsOnce(AtomicU64::new(0), memory.clone());
        let collector = COLLECTOR.get_or_init(|| Collector::builder().sink(sink).build().unwrap());
        std::panic::set_hook(Box::new(|_| {
            let collector = COLLECTOR.get().unwrap();
            collector.operation("in the hook").start().succeed();
            if matches!(collector.flush(TIMEOUT), Err(FlushError::FromSink)) {
                REFUSED.fetch_add(1, Ordering::SeqCst);
            }
        }));
        collector.operation("lost").start().succeed();
        // The batch may be lost before the flush begins, which then has nothing to say of it.
        let _ = within(TIMEOUT, || collector.flush(TIMEOUT));
        within(TIMEOUT, || collector.shutdown(TIMEOUT)).unwrap();
        drop(std::panic::take_hook());
        let counts = collector.counts();
        assert!(counts.adds_up(), "{counts:?}");
        assert_eq!((counts.stored, counts.dropped[&LossReason::InternalPanic]), (1, 1));
        assert_eq!((REFUSED.load(Ordering::SeqCst), memory.records().len()), (1, 1));
    });
}

#[test]
fn in_a_destructor_while_unwinding() {
    alone("in_a_destructor_while_unwinding", || {
        let (collector, sink) = collector();
        let unwound = std::panic::catch_unwind(|| {
            let _ends = OnDrop;
            // The last of its kind, with what it holds: it is dropped by the panic as well.
            let collector = collector;
            record(&collector, 40);
            let _abandoned = collector.operation("abandoned").start();
            panic!("for the destructors");
        });
        assert!(unwound.is_err());
        assert_eq!((DONE.load(Ordering::SeqCst), sink.records().len()), (1, 41));
    });
}

#[test]
fn called_twice() {
    alone("called_twice", || {
        let (collector, sink) = collector();
        record(&collector, 40);
        for _ in 0..2 {
            within(TIMEOUT, || collector.flush(TIMEOUT)).unwrap();
            check(&collector, &sink, 40);
        }
        for _ in 0..2 {
            within(TIMEOUT, || collector.shutdown(TIMEOUT)).unwrap();
            within(TIMEOUT, || collector.flush(TIMEOUT)).unwrap();
            check(&collector, &sink, 40);
        }
        let clone = collector.clone();
        within(TIMEOUT, || drop(collector));
        within(TIMEOUT, || drop(clone));
        assert_eq!(sink.records().len(), 40);
    });
}

#[test]
fn from_eight_threads_at_once() {
    alone("from_eight_threads_at_once", || {
        for round in 0..50 {
            let (collector, sink) = collector();
            let (together, collector) = (Barrier::new(8), &collector);
            std::thread::scope(|scope| {
                let threads: Vec<_> = (0..8)
                    .map(|_| {
                        scope.spawn(|| {
                            record(collector, 40);
                            within(TIMEOUT, || collector.flush(TIMEOUT)).unwrap();
                            // Of what the others do, only that nothing is lost can be said here.
                            assert!(
                                collector.counts().stored >= 40 && collector.counts().adds_up()
                            );
                            together.wait();
                            within(TIMEOUT, || collector.shutdown(TIMEOUT)).unwrap();
                        })
                    })
                    .collect();
                threads.into_iter().for_each(|thread| thread.join().unwrap());
            });
            check(collector, &sink, 8 * 40);

            let collector = Collector::builder().sink(sink.clone()).build().unwrap();
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    let clone = collector.clone();
                    std::thread::spawn(move || {
                        record(&clone, 40);
                        within(TIMEOUT, || drop(clone));
                    })
                })
                .collect();
            drop(collector);
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            assert_eq!(sink.records().len(), 2 * 8 * 40, "round {round}");
        }
    });
}

/// While some record and flush, one shuts down: what is not stored is counted as late, and nobody waits for ever.
#[test]
fn shut_down_while_eight_threads_record_and_flush() {
    alone("shut_down_while_eight_threads_record_and_flush", || {
        for _ in 0..50 {
            let (collector, sink) = collector();
            std::thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| {
                        for _ in 0..20 {
                            record(&collector, 8);
                            within(TIMEOUT, || collector.flush(TIMEOUT)).unwrap();
                            let _ = collector.start_operation("by id", Metadata::new());
                        }
                    });
                }
                within(TIMEOUT, || collector.shutdown(TIMEOUT)).unwrap();
            });
            within(TIMEOUT, || collector.shutdown(TIMEOUT)).unwrap();
            let counts = collector.counts();
            assert!(counts.adds_up(), "{counts:?}");
            assert_eq!((counts.offered, counts.open, counts.queued), (8 * 20 * 9, 0, 0));
            assert_eq!(sink.records().len() as u64, counts.stored);
            assert!(counts.dropped.keys().all(|reason| *reason == LossReason::AfterShutdown));
        }
    });
}

#[test]
fn after_the_runtime_is_gone() {
    alone("after_the_runtime_is_gone", || {
        let runtime = one_worker();
        let (collector, sink) = runtime.block_on(async { collector() });
        let tasks: Vec<_> = (0..10)
            .map(|_| {
                let collector = collector.clone();
                runtime.spawn(async move { record(&collector, 4) })
            })
            .collect();
        tasks.into_iter().for_each(|task| runtime.block_on(task).unwrap());
        drop(runtime);
        within(TIMEOUT, || collector.flush(TIMEOUT)).unwrap();
        check(&collector, &sink, 40);
        within(TIMEOUT, || collector.shutdown(TIMEOUT)).unwrap();
        within(TIMEOUT, || drop(collector));
        flush_shut_down_and_drop();
    });
}

/// A sink from which nothing ever comes back.
struct Hangs;

impl Sink for Hangs {
    fn accept(&self, _batch: Vec<OperationRecord>) -> Result<(), SinkError> {
        loop {
            std::thread::park();
        }
    }
}

const SHORT: Duration = Duration::from_millis(100);

#[test]
fn with_a_sink_that_hangs_for_ever() {
    alone("with_a_sink_that_hangs_for_ever", || {
        let mut limits = Limits::default();
        (limits.queued_records, limits.drop_timeout) = (100, SHORT);
        let collector = Collector::builder().sink(Hangs).limits(limits).build().unwrap();
        let id = collector.start_operation("open until the end", Metadata::new());
        record(&collector, 400);
        for _ in 0..2 {
            let flushed = within(SHORT, || collector.flush(SHORT));
            assert!(matches!(flushed, Err(FlushError::Timeout { queued: 1.., .. })), "{flushed:?}");
        }
        assert!(collector.handle(id).is_ok());
        for _ in 0..2 {
            let shut = within(SHORT, || collector.shutdown(SHORT));
            assert!(matches!(shut, Err(FlushError::Timeout { queued: 1.., .. })), "{shut:?}");
        }
        let counts = collector.counts();
        assert!(counts.adds_up(), "{counts:?}");
        assert_eq!((counts.offered, counts.stored, counts.open), (401, 0, 0), "{counts:?}");
        within(SHORT, || drop(collector));
    });
}

/// The same from a future, and from eight threads that all give up on their own.
#[test]
fn with_a_sink_that_hangs_for_ever_elsewhere() {
    alone("with_a_sink_that_hangs_for_ever_elsewhere", || {
        let mut limits = Limits::default();
        limits.drop_timeout = SHORT;
        let make = || Collector::builder().sink(Hangs).limits(limits.clone()).build().unwrap();
        for runtime in [one_thread(), one_worker()] {
            let collector = make();
            runtime
                .block_on(runtime.spawn(async move {
                    record(&collector, 4);
                    assert!(within(SHORT, || collector.flush(SHORT)).is_err());
                    assert!(within(SHORT, || collector.shutdown(SHORT)).is_err());
                    assert!(collector.counts().adds_up());
                    within(SHORT, || drop(collector));
                }))
                .unwrap();
        }
        let collector = &make();
        record(collector, 4);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    assert!(within(SHORT, || collector.flush(SHORT)).is_err());
                    assert!(within(SHORT, || collector.shutdown(SHORT)).is_err());
                });
            }
        });
        let counts = collector.counts();
        assert_eq!((counts.offered, counts.stored, counts.queued), (4, 0, 4), "{counts:?}");
    });
}

/// Operations that are open by id are abandoned by a shutdown, and wait for room in a queue that has none.
#[test]
fn with_a_sink_that_hangs_and_a_queue_that_waits_for_room() {
    alone("with_a_sink_that_hangs_and_a_queue_that_waits_for_room", || {
        let mut limits = Limits::default();
        (limits.queued_records, limits.drop_timeout) = (1, SHORT);
        limits.when_full = WhenFull::Block { timeout: Duration::from_secs(10) };
        let collector = Collector::builder().sink(Hangs).limits(limits).build().unwrap();
        for _ in 0..6 {
            let _ = collector.start_operation("open until the end", Metadata::new());
        }
        let shut = within(SHORT, || collector.shutdown(SHORT));
        assert!(matches!(shut, Err(FlushError::Timeout { .. })), "{shut:?}");
        assert!(collector.counts().adds_up(), "{:?}", collector.counts());
    });
}

thread_local! {
    static HELD: RefCell<Option<OnDrop>> = const { RefCell::new(None) };
}

/// Thread-locals are destroyed in the reverse order of their first use: once ours is gone before taximeter's, once after.
#[test]
fn in_a_destructor_of_a_thread_local() {
    alone("in_a_destructor_of_a_thread_local", || {
        let hold = || HELD.with(|held| *held.borrow_mut() = Some(OnDrop));
        let first_held = move || {
            hold();
            flush_shut_down_and_drop();
        };
        let last_held = move || {
            flush_shut_down_and_drop();
            hold();
        };
        std::thread::spawn(first_held).join().unwrap();
        std::thread::spawn(last_held).join().unwrap();
        std::thread::spawn(hold).join().unwrap();
        // A runtime's threads end as well.
        let runtime = one_worker();
        runtime.block_on(runtime.spawn(async move { hold() })).unwrap();
        drop(runtime);
        assert_eq!(DONE.load(Ordering::SeqCst), 4);
    });
}

/// What a sink may call of its own collector, wherever it is called itself.
#[derive(Default)]
struct FromWithin {
    collector: Mutex<Option<Collector>>,
    refused: AtomicU64,
    waited: AtomicU64,
    memory: MemorySink,
}

impl FromWithin {
    fn call(&self, shut_down: bool) {
        let Some(collector) = self.collector.lock().unwrap().clone() else { return };
        let ended = if shut_down {
            within(TIMEOUT, || collector.shutdown(TIMEOUT))
        } else {
            within(TIMEOUT, || collector.flush(TIMEOUT))
        };
        match ended {
            Ok(()) => self.waited.fetch_add(1, Ordering::SeqCst),
            Err(FlushError::FromSink) => self.refused.fetch_add(1, Ordering::SeqCst),
            Err(error) => panic!("{error}"),
        };
        assert!(collector.counts().adds_up());
    }
}

impl Sink for FromWithin {
    fn prepare(&self, _record: &mut OperationRecord) {
        self.call(false);
    }

    fn accept(&self, batch: Vec<OperationRecord>) -> Result<(), SinkError> {
        self.call(batch.iter().any(|record| record.name == "the last"));
        self.memory.accept(batch)
    }

    fn flush(&self) -> Result<(), SinkError> {
        self.call(false);
        Ok(())
    }
}

#[test]
fn from_the_sink_itself() {
    alone("from_the_sink_itself", || {
        let sink = Arc::new(FromWithin::default());
        let collector = Collector::builder().sink(Arc::clone(&sink)).build().unwrap();
        *sink.collector.lock().unwrap() = Some(collector.clone());
        record(&collector, 40);
        within(TIMEOUT, || collector.flush(TIMEOUT)).unwrap();
        check(&collector, &sink.memory, 40);
        // The thread that asked for a record back is not the sink's: there it can wait.
        assert_eq!(sink.waited.load(Ordering::SeqCst), 10);
        let refused = sink.refused.load(Ordering::SeqCst);
        assert!(refused >= 2, "{refused}");
        // A shutdown by the sink is refused an answer, and done all the same.
        collector.operation("the last").start().succeed();
        within(TIMEOUT, || collector.flush(TIMEOUT)).unwrap();
        within(TIMEOUT, || collector.shutdown(TIMEOUT)).unwrap();
        assert!(sink.refused.load(Ordering::SeqCst) > refused);
        check(&collector, &sink.memory, 41);
        *sink.collector.lock().unwrap() = None;
    });
}

#[test]
fn dropped_by_the_sink_itself() {
    /// Lets go of the last collector in the middle of a batch, and says when it is gone itself.
    struct Drops(Mutex<Option<Collector>>, MemorySink, mpsc::Sender<()>);
    impl Sink for Drops {
        fn accept(&self, batch: Vec<OperationRecord>) -> Result<(), SinkError> {
            let last = self.0.lock().unwrap().take();
            within(TIMEOUT, || drop(last));
            self.1.accept(batch)
        }
    }
    impl Drop for Drops {
        fn drop(&mut self) {
            self.2.send(()).unwrap();
        }
    }

    alone("dropped_by_the_sink_itself", || {
        let (memory, (gone, is_gone)) = (MemorySink::default(), mpsc::channel());
        let sink = Arc::new(Drops(Mutex::default(), memory.clone(), gone));
        let collector = Collector::builder().sink(Arc::clone(&sink)).build().unwrap();
        let mut last = sink.0.lock().unwrap();
        collector.operation("op").start().succeed();
        *last = Some(collector);
        drop(last);
        drop(sink);
        is_gone.recv_timeout(TIMEOUT + TIMEOUT).unwrap();
        assert_eq!(memory.records().len(), 1);
    });
}
