//! Flush, shutdown and drop return within their time and lose nothing, wherever they are called from. Each place is a
//! process of its own under a watchdog, for what goes wrong here hangs or aborts.
#![expect(clippy::print_stdout, reason = "a process that got to its end says so")]

use std::cell::RefCell;
use std::process::{Command, Stdio};
use std::sync::{Arc, Barrier, Mutex, OnceLock};
use std::time::{Duration, Instant};

use taximeter::{
    Collector, FlushError, Limits, MemorySink, NullSink, OperationRecord, Sink, SinkError,
};

const NAME: &str = "TAXIMETER_TEST_CONTEXT";
const TIMEOUT: Duration = Duration::from_secs(2);
/// A machine that is busy may be late by so much; what hangs is later.
const LATE: Duration = Duration::from_secs(20);

/// The places, by name.
const CONTEXTS: [(&str, fn()); 15] = [
    ("the main thread", main_thread),
    ("another thread", another_thread),
    ("a current-thread runtime", current_thread_runtime),
    ("the only worker of a runtime", only_worker_of_a_runtime),
    ("a drop within a task", drop_within_a_task),
    ("after the runtime is gone", after_the_runtime),
    ("a panic hook", panic_hook),
    ("a drop while unwinding", unwinding),
    ("twice", twice),
    ("eight threads at once", eight_threads),
    ("a destructor of a thread-local", thread_local_destructor),
    ("the exit of the process", process_exit),
    ("the sink itself", the_sink_itself),
    ("a sink that hangs", hanging_sink),
    ("a sink that never comes back from a flush", hanging_flush),
];

fn recorded() -> (Collector, MemorySink) {
    let sink = MemorySink::default();
    let collector = Collector::builder().sink(sink.clone()).build().unwrap();
    record(&collector);
    (collector, sink)
}

fn record(collector: &Collector) {
    for _ in 0..1_000 {
        collector.operation("op").with("key", "value").start().succeed();
    }
}

/// Flushes and shuts down, and sees that all is there.
fn end(collector: &Collector, sink: &MemorySink) {
    collector.flush(TIMEOUT).unwrap();
    assert_eq!(sink.records().len(), 1_000);
    record(collector);
    collector.shutdown(TIMEOUT).unwrap();
    assert_eq!(sink.records().len(), 2_000);
    let counts = collector.counts();
    assert!(counts.adds_up() && counts.stored == 2_000, "{counts:?}");
}

fn main_thread() {
    let (collector, sink) = recorded();
    end(&collector, &sink);
}

fn another_thread() {
    let (collector, sink) = recorded();
    std::thread::spawn(move || end(&collector, &sink)).join().unwrap();
}

fn runtime(workers: usize) -> tokio::runtime::Runtime {
    let mut builder = match workers {
        0 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    builder.worker_threads(workers.max(1)).enable_all().build().unwrap()
}

fn current_thread_runtime() {
    let (collector, sink) = recorded();
    runtime(0).block_on(async move { end(&collector, &sink) });
}

fn only_worker_of_a_runtime() {
    let (collector, sink) = recorded();
    let runtime = runtime(1);
    let task = runtime.spawn(async move { end(&collector, &sink) });
    runtime.block_on(task).unwrap();
}

fn drop_within_a_task() {
    let (collector, sink) = recorded();
    runtime(1).block_on(async {
        tokio::spawn(async move {
            let _held = collector;
            tokio::task::yield_now().await;
        })
        .await
        .unwrap();
    });
    assert_eq!(sink.records().len(), 1_000);
}

fn after_the_runtime() {
    let (collector, sink) = recorded();
    let runtime = runtime(2);
    let other = collector.clone();
    runtime.block_on(async move { other.flush(TIMEOUT).unwrap() });
    drop(runtime);
    end(&collector, &sink);
}

fn panic_hook() {
    let (collector, sink) = recorded();
    let done = Arc::new(Mutex::new(false));
    let seen = Arc::clone(&done);
    std::panic::set_hook(Box::new(move |_| {
        end(&collector, &sink);
        *seen.lock().unwrap() = true;
    }));
    assert!(std::thread::spawn(|| panic!("on purpose")).join().is_err());
    assert!(*done.lock().unwrap());
}

fn unwinding() {
    let (collector, sink) = recorded();
    let panicking = std::thread::spawn(move || {
        let _open = collector.operation("open").start();
        let _held = collector;
        panic!("on purpose");
    });
    assert!(panicking.join().is_err());
    // The collector went first, the operation after it: what comes too late is counted, not stored.
    assert_eq!(sink.records().len(), 1_000);
}

fn twice() {
    let (collector, sink) = recorded();
    end(&collector, &sink);
    let again = (collector.flush(TIMEOUT), collector.shutdown(TIMEOUT));
    assert!(again.1.is_ok(), "{again:?}");
    drop(collector);
    assert_eq!(sink.records().len(), 2_000);
}

fn eight_threads() {
    let (collector, sink) = recorded();
    let barrier = Barrier::new(8);
    std::thread::scope(|scope| {
        for number in 0..8 {
            let (collector, barrier) = (&collector, &barrier);
            scope.spawn(move || {
                barrier.wait();
                for _ in 0..50 {
                    collector.operation("op").start().succeed();
                    // Once another thread has shut it down, a flush has nothing to wait for.
                    let _ = collector.flush(TIMEOUT);
                }
                if number % 2 == 0 {
                    collector.shutdown(TIMEOUT).unwrap();
                }
            });
        }
    });
    let counts = collector.counts();
    assert!(counts.adds_up() && counts.queued == 0, "{counts:?}");
    assert_eq!(counts.offered, 1_400);
    assert_eq!(counts.stored, sink.records().len() as u64);
}

/// Ends its collector when it is dropped.
struct Ending(Collector, MemorySink);

impl Drop for Ending {
    fn drop(&mut self) {
        end(&self.0, &self.1);
        self.0.operation("late").start().succeed();
    }
}

fn thread_local_destructor() {
    thread_local!(static HELD: RefCell<Option<Ending>> = const { RefCell::new(None) });
    let (collector, sink) = recorded();
    let other = collector.clone();
    let thread = std::thread::spawn(move || {
        HELD.with(|held| *held.borrow_mut() = Some(Ending(other, sink)));
    });
    thread.join().unwrap();
    assert_eq!((collector.counts().offered, collector.counts().dropped_total()), (2_001, 1));
}

fn process_exit() {
    static HELD: OnceLock<Collector> = OnceLock::new();
    let (collector, _) = recorded();
    HELD.get_or_init(|| collector);
    println!("done");
    std::process::exit(0);
}

/// Flushes, shuts down and drops within itself.
struct Inward(Arc<OnceLock<Collector>>);

impl Sink for Inward {
    fn accept(&self, _batch: Vec<OperationRecord>) -> Result<(), SinkError> {
        if let Some(collector) = self.0.get() {
            assert!(matches!(collector.flush(TIMEOUT), Err(FlushError::FromSink)));
            drop(collector.operation("within").start());
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), SinkError> {
        if let Some(collector) = self.0.get() {
            assert!(matches!(collector.shutdown(TIMEOUT), Err(FlushError::FromSink)));
        }
        Ok(())
    }
}

fn the_sink_itself() {
    let own = Arc::new(OnceLock::new());
    let collector = Collector::builder().sink(Inward(Arc::clone(&own))).build().unwrap();
    own.set(collector.clone()).unwrap();
    record(&collector);
    collector.flush(TIMEOUT).unwrap();
    collector.shutdown(TIMEOUT).unwrap();
    let counts = collector.counts();
    assert!(counts.adds_up() && counts.internal_panics == 0, "{counts:?}");
    assert!(counts.stored >= 1_000, "{counts:?}");
}

/// Never comes back.
struct Hanging {
    in_flush: bool,
}

impl Hanging {
    fn hang_if(hang: bool) {
        if hang {
            loop {
                std::thread::park();
            }
        }
    }
}

impl Sink for Hanging {
    fn accept(&self, _batch: Vec<OperationRecord>) -> Result<(), SinkError> {
        Self::hang_if(!self.in_flush);
        Ok(())
    }

    fn flush(&self) -> Result<(), SinkError> {
        Self::hang_if(self.in_flush);
        Ok(())
    }
}

fn hang(in_flush: bool) {
    let mut limits = Limits::default();
    limits.drop_timeout = Duration::from_millis(300);
    let timeout = Duration::from_millis(300);
    let builder = Collector::builder().limits(limits).sink(Hanging { in_flush });
    let collector = builder.build().unwrap();
    record(&collector);
    assert!(matches!(collector.flush(timeout), Err(FlushError::Timeout { .. })));
    record(&collector);
    assert!(matches!(collector.shutdown(timeout), Err(FlushError::Timeout { .. })));
    let counts = collector.counts();
    assert!(counts.adds_up() && counts.offered == 2_000, "{counts:?}");
    drop(collector);
}

fn hanging_sink() {
    hang(false);
}

fn hanging_flush() {
    hang(true);
}

/// One of the places, in a process of its own.
#[test]
fn context() {
    let Ok(name) = std::env::var(NAME) else { return };
    let (_, run) = CONTEXTS.into_iter().find(|(known, _)| *known == name).unwrap();
    run();
    println!("done");
}

#[test]
fn flush_shutdown_and_drop_return_wherever_they_are_called() {
    let program = std::env::current_exe().unwrap();
    for (name, _) in CONTEXTS {
        let mut child = Command::new(&program)
            .args(["--exact", "contexts::context", "--nocapture", "--test-threads", "1"])
            .env(NAME, name)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let began = Instant::now();
        while child.try_wait().unwrap().is_none() {
            if began.elapsed() > LATE {
                child.kill().unwrap();
                panic!("hangs: {name}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("done"), "{name}: {text}");
    }
    // A collector that keeps nothing is as quick to go.
    drop(Collector::builder().sink(NullSink).build().unwrap());
}
