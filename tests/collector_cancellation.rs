//! Futures that are given up, at every await point and by every way there is: each leaves exactly one record, abandoned,
//! with exactly what was recorded up to there.

use std::future::pending;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use smol::stream::{Stream, StreamExt};
use taximeter::{
    Collector, ErrorCategory, Handle, LlmGuard, MemorySink, MeteredExt, OperationRecord, Outcome,
    TokenUsage, ToolStatus, current,
};
use tokio::runtime::{Builder, Runtime};

use crate::futures::yield_now;

const SOON: Duration = Duration::from_secs(20);

/// The await points of the work.
const STEPS: u64 = 8;

fn collector() -> (Collector, MemorySink) {
    let sink = MemorySink::default();
    (Collector::builder().sink(sink.clone()).build().unwrap(), sink)
}

fn many_threads() -> Runtime {
    Builder::new_multi_thread().worker_threads(4).enable_time().build().unwrap()
}

/// Records a little more in each step, and says how many steps it has done.
async fn work(done: Arc<AtomicU64>) {
    for step in 1..=STEPS {
        record_step(&current(), step);
        done.store(step, Ordering::SeqCst);
        yield_now().await;
    }
}

fn record_step(op: &Handle, step: u64) {
    op.add_component("step", Duration::from_nanos(step));
    op.tool("search").with("step", step).took(Duration::from_nanos(step), ToolStatus::Success);
    op.record_usage("p", "m", TokenUsage::new(step, 1_000 * step));
    op.warn(format!("step {step}"));
}

/// Exactly the first so many steps are in the record, each once.
fn check_steps(record: &OperationRecord, steps: u64) {
    let expected: Vec<_> = (1..=steps).collect();
    let sum: u64 = expected.iter().sum();
    let took: Vec<_> = record.components.iter().map(|timing| timing.duration).collect();
    assert_eq!(took, expected.iter().map(|step| Duration::from_nanos(*step)).collect::<Vec<_>>());
    let called: Vec<_> =
        record.tool_calls.iter().map(|call| call.metadata["step"].as_u64().unwrap()).collect();
    assert_eq!(called, expected);
    let usage = record.usage();
    assert_eq!((usage.input_tokens(), usage.output_tokens()), (sum, 1_000 * sum));
    assert_eq!((record.llm_calls.len() as u64, record.warning_count()), (steps, steps));
}

/// Nothing is open, nothing is lost; so many were stored and so many of them abandoned. Gives the records.
fn check_all(
    collector: &Collector,
    sink: &MemorySink,
    stored: u64,
    abandoned: u64,
) -> Vec<OperationRecord> {
    collector.flush(SOON).unwrap();
    let counts = collector.counts();
    assert!(counts.adds_up(), "{counts:?}");
    assert_eq!((counts.offered, counts.stored), (stored, stored), "{counts:?}");
    assert_eq!((counts.open, counts.queued, counts.dropped_total()), (0, 0, 0), "{counts:?}");
    assert_eq!((counts.abandoned, counts.late_parts), (abandoned, 0), "{counts:?}");
    assert!(!current().is_recording(), "an operation is still current");
    let records = sink.records();
    assert_eq!(records.len() as u64, stored);
    records
}

fn poll_times<F: Future>(mut future: Pin<&mut F>, times: u64) -> Poll<F::Output> {
    let mut context = Context::from_waker(Waker::noop());
    let mut last = Poll::Pending;
    for _ in 0..times {
        last = future.as_mut().poll(&mut context);
    }
    last
}

#[test]
fn dropped_after_every_number_of_polls() {
    for polls in 0..=STEPS + 1 {
        let (collector, sink) = collector();
        let done = Arc::<AtomicU64>::default();
        let ready = {
            let op = collector.operation("work").start();
            let mut future = pin!(work(Arc::clone(&done)).metered(op));
            poll_times(future.as_mut(), polls).is_ready()
        };
        assert_eq!(ready, polls == STEPS + 1);
        let record = &check_all(&collector, &sink, 1, u64::from(!ready))[0];
        assert_eq!(record.outcome, if ready { Outcome::Success } else { Outcome::Abandoned });
        assert_eq!((record.error_count(), done.load(Ordering::SeqCst)), (0, polls.min(STEPS)));
        check_steps(record, polls.min(STEPS));
    }
}

/// What is held over an await point ends when the future is dropped, and belongs to its operation.
#[test]
fn guards_that_are_held_over_an_await_point_end_with_it() {
    async fn holding() {
        let op = current();
        let _component = op.component("whole");
        yield_now().await;
        let _tool = op.tool("search").start();
        yield_now().await;
        let mut call = op.llm_call("p", "m").streamed(true).start();
        call.usage(TokenUsage::new(100, 1));
        yield_now().await;
        call.usage(TokenUsage::new(100, 2));
        yield_now().await;
    }

    for polls in 0..=4 {
        let (collector, sink) = collector();
        {
            let mut future = pin!(holding().metered(collector.operation("holding").start()));
            assert!(poll_times(future.as_mut(), polls).is_pending());
        }
        let record = &check_all(&collector, &sink, 1, 1)[0];
        assert_eq!(record.outcome, Outcome::Abandoned);
        assert_eq!(record.components.len(), usize::from(polls >= 1));
        let tools: Vec<_> =
            record.tool_calls.iter().map(taximeter::ToolCall::error_category).collect();
        assert_eq!(tools, vec![Some(ErrorCategory::Cancelled); usize::from(polls >= 2)]);
        let tokens = [0, 0, 0, 101, 102][usize::try_from(polls).unwrap()];
        assert_eq!(record.usage().total_tokens(), tokens, "after {polls} polls");
        let calls: Vec<_> =
            record.llm_calls.iter().map(|call| call.error.as_ref().unwrap().category).collect();
        assert_eq!(calls, vec![ErrorCategory::Cancelled; usize::from(polls >= 3)]);
    }
}

#[test]
fn operations_within_the_one_that_is_given_up_are_given_up_as_well() {
    for polls in 0..=STEPS {
        let (collector, sink) = collector();
        {
            let within = collector.clone();
            let nested = async move {
                let child = within.operation("child").start();
                work(Arc::default()).metered(child).await;
            };
            let mut future = pin!(nested.metered(collector.operation("parent").start()));
            assert!(poll_times(future.as_mut(), polls).is_pending());
        }
        let number = if polls == 0 { 1 } else { 2 };
        let records = check_all(&collector, &sink, number, number);
        assert!(records.iter().all(|record| record.outcome == Outcome::Abandoned));
        let parent = records.iter().find(|record| record.name == "parent").unwrap();
        check_steps(parent, 0);
        if let Some(child) = records.iter().find(|record| record.name == "child") {
            assert_eq!((child.parent, child.trace_id), (Some(parent.id), parent.trace_id));
            check_steps(child, polls);
        }
    }
}

/// What a task within an operation does after that was given up is left out, and counted.
#[test]
fn a_task_that_outlives_the_operation_that_it_is_within_is_late() {
    let (collector, sink) = collector();
    let operation = collector.operation("parent").start();
    let mut part = Box::pin(work(Arc::default()).within(operation.handle()));
    assert!(poll_times(part.as_mut(), 3).is_pending());
    drop(async { pending::<()>().await }.metered(operation));
    assert!(poll_times(part.as_mut(), 2).is_pending());
    drop(part);
    collector.flush(SOON).unwrap();
    check_steps(&sink.records()[0], 3);
    let counts = collector.counts();
    // A component, a tool call, a usage and a warning in each of two steps.
    assert_eq!((counts.late_parts, counts.stored, counts.abandoned), (8, 1, 1), "{counts:?}");
    assert!(counts.adds_up() && counts.open == 0, "{counts:?}");
}

/// Tasks that do the work, and how far each came.
struct Tasks {
    collector: Collector,
    done: Vec<Arc<AtomicU64>>,
}

impl Tasks {
    fn new(collector: &Collector) -> Self {
        Self { collector: collector.clone(), done: Vec::new() }
    }

    /// One more future; at the end of its work it waits for ever, if it is told to.
    fn next(&mut self, endless: bool) -> impl Future<Output = ()> + Send + 'static {
        let done = Arc::<AtomicU64>::default();
        self.done.push(Arc::clone(&done));
        let op = self.collector.operation("task").with("number", self.done.len() - 1).start();
        let task = async move {
            work(done).await;
            if endless {
                pending::<()>().await;
            }
        };
        task.metered(op)
    }

    /// Each record holds what its task has done.
    fn check(&self, records: &[OperationRecord]) {
        for record in records {
            let number = record.metadata["number"].as_u64().unwrap();
            let done = self.done[usize::try_from(number).unwrap()].load(Ordering::SeqCst);
            check_steps(record, done);
        }
    }
}

#[test]
fn aborted_tasks() {
    let ((collector, sink), runtime) = (collector(), many_threads());
    let mut metered = Tasks::new(&collector);
    let mut cancelled = 0;
    runtime.block_on(async {
        let tasks: Vec<_> = (0..400).map(|at| tokio::spawn(metered.next(at % 2 == 0))).collect();
        for (at, task) in tasks.iter().enumerate() {
            task.abort();
            if at % 20 == 0 {
                tokio::task::yield_now().await;
            }
        }
        for task in tasks {
            cancelled += u64::from(task.await.is_err_and(|error| error.is_cancelled()));
        }
    });
    // At the least the half of them that never end.
    assert!(cancelled >= 200, "{cancelled}");
    metered.check(&check_all(&collector, &sink, 400, cancelled));
}

#[test]
fn the_losing_branch_of_a_select() {
    for rounds in 0..STEPS {
        let (collector, sink) = collector();
        let mut metered = Tasks::new(&collector);
        let first = async {
            for _ in 0..rounds {
                yield_now().await;
            }
        };
        futures_executor::block_on(async {
            tokio::select! {
                biased;
                () = metered.next(true) => panic!("it never ends"),
                () = first => {}
            }
        });
        let records = check_all(&collector, &sink, 1, 1);
        assert_eq!(metered.done[0].load(Ordering::SeqCst), rounds + 1);
        metered.check(&records);
    }
}

#[test]
fn timeouts() {
    let (collector, sink) = collector();
    let runtime = many_threads();
    let mut metered = Tasks::new(&collector);
    runtime.block_on(async {
        let tasks: Vec<_> = (0..100)
            .map(|at| {
                let timeout = Duration::from_micros(at * 100);
                tokio::spawn(tokio::time::timeout(timeout, metered.next(true)))
            })
            .collect();
        for task in tasks {
            assert!(task.await.unwrap().is_err(), "it never ends");
        }
    });
    metered.check(&check_all(&collector, &sink, 100, 100));
}

#[test]
fn a_runtime_that_shuts_down_with_many_tasks() {
    let one_thread = || Builder::new_current_thread().enable_time().build().unwrap();
    let endings: [(Runtime, fn(Runtime)); 5] = [
        (many_threads(), drop),
        (many_threads(), |runtime| runtime.shutdown_timeout(SOON)),
        (many_threads(), Runtime::shutdown_background),
        (one_thread(), drop),
        (one_thread(), Runtime::shutdown_background),
    ];
    for (runtime, end) in endings {
        let (collector, sink) = collector();
        let mut metered = Tasks::new(&collector);
        for _ in 0..1_000 {
            runtime.spawn(metered.next(true));
        }
        // A runtime of one thread runs nothing but within this.
        runtime.block_on(async { tokio::task::yield_now().await });
        end(runtime);
        // In the background the tasks are dropped a little later.
        let until = Instant::now() + SOON;
        while collector.counts().open > 0 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        metered.check(&check_all(&collector, &sink, 1_000, 1_000));
    }
}

/// A reply that is read piece by piece; the provider reports running totals with each.
struct Reply {
    call: LlmGuard,
    read: u64,
}

/// The pieces of a reply.
const PIECES: u64 = 5;

impl Reply {
    fn to(op: &Handle) -> Self {
        Self { call: op.llm_call("p", "m").streamed(true).start(), read: 0 }
    }
}

impl Stream for Reply {
    type Item = u64;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<u64>> {
        if self.read == PIECES {
            return Poll::Ready(None);
        }
        self.read += 1;
        let usage = TokenUsage::new(700, self.read);
        self.call.first_token();
        self.call.usage(usage);
        Poll::Ready(Some(self.read))
    }
}

fn check_reply(record: &OperationRecord, read: u64) {
    let [call] = record.llm_calls.as_slice() else { panic!("{:?}", record.llm_calls) };
    let expected = (read > 0).then(|| TokenUsage::new(700, read));
    assert_eq!((&call.usage, call.streamed), (&expected, true));
    assert_eq!(call.time_to_first_token.is_some(), read > 0);
    assert!(call.duration.is_some());
    assert_eq!(call.error.as_ref().unwrap().category, ErrorCategory::Cancelled);
}

#[test]
fn a_stream_that_is_dropped_half_read_is_a_cancelled_call_with_what_it_used() {
    for read in 0..=PIECES {
        let (collector, sink) = collector();
        let op = collector.operation("reply").start();
        let mut reply = Reply::to(&op);
        let last = futures_executor::block_on(async {
            let pieces = usize::try_from(read).unwrap();
            (&mut reply).take(pieces).collect::<Vec<_>>().await
        });
        assert_eq!(last, (1..=read).collect::<Vec<_>>());
        drop(reply);
        // That nobody read on is no failure of the operation.
        op.succeed();
        let record = &check_all(&collector, &sink, 1, 0)[0];
        assert_eq!(record.outcome, Outcome::Success);
        check_reply(record, read);
    }
}

#[test]
fn a_stream_that_is_given_up_with_its_future() {
    for polls in 1..=PIECES {
        let (collector, sink) = collector();
        {
            let reading = async {
                let mut reply = Reply::to(&current());
                while reply.next().await.is_some() {
                    yield_now().await;
                }
            };
            let mut future = pin!(reading.metered(collector.operation("reply").start()));
            assert!(poll_times(future.as_mut(), polls).is_pending());
        }
        let record = &check_all(&collector, &sink, 1, 1)[0];
        assert_eq!(record.outcome, Outcome::Abandoned);
        check_reply(record, polls);
    }
}

/// Panics when it is dropped.
struct Rude;

impl Drop for Rude {
    fn drop(&mut self) {
        panic!("not now");
    }
}

#[test]
fn a_future_that_panics_while_it_is_dropped_leaves_its_record_too() {
    let (collector, sink) = collector();
    let operation = collector.operation("rude").start();
    let rude = async {
        let _rude = Rude;
        record_step(&current(), 1);
        pending::<()>().await;
    };
    let mut future = Box::pin(rude.metered(operation));
    assert!(poll_times(future.as_mut(), 1).is_pending());
    let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(future)));
    assert!(dropped.is_err());
    check_steps(&check_all(&collector, &sink, 1, 1)[0], 1);
}

/// Records when it is dropped, into whatever operation is the current one.
struct Tidies;

impl Drop for Tidies {
    fn drop(&mut self) {
        record_step(&current(), 1);
    }
}

/// A future that comes to its end drops what it holds within its operation; one that is given up has to do the same.
#[test]
fn destructors_of_a_future_that_is_given_up_find_its_operation() {
    for polls in [1, 2] {
        let (collector, sink) = collector();
        {
            let tidy = async {
                let _tidies = Tidies;
                yield_now().await;
            };
            let mut future = pin!(tidy.metered(collector.operation("tidy").start()));
            assert_eq!(poll_times(future.as_mut(), polls).is_ready(), polls == 2);
        }
        check_steps(&check_all(&collector, &sink, 1, u64::from(polls == 1))[0], 1);
    }
}

/// The same for a future that only runs within an operation.
#[test]
fn destructors_of_a_future_within_an_operation_find_it() {
    let (collector, sink) = collector();
    let op = collector.operation("tidy").start();
    {
        let tidy = async {
            let _tidies = Tidies;
            yield_now().await;
        };
        let mut future = pin!(tidy.within(op.handle()));
        assert!(poll_times(future.as_mut(), 1).is_pending());
    }
    op.succeed();
    check_steps(&check_all(&collector, &sink, 1, 0)[0], 1);
}
