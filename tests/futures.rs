//! Operations in futures, on tokio, smol and the executor of the futures crate.

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use taximeter::{Collector, ErrorCategory, MemorySink, MeteredExt, Outcome, TokenUsage, current};

const SOON: Duration = Duration::from_secs(10);

fn collector() -> (Collector, MemorySink) {
    let sink = MemorySink::default();
    (Collector::builder().sink(sink.clone()).build().unwrap(), sink)
}

/// Gives way to other tasks once.
pub(crate) async fn yield_now() {
    let mut yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A request whose parts find the operation without being told of it, over many await points.
async fn request(number: u64) -> Result<u64, std::io::Error> {
    for _ in 0..5 {
        current().add_component("step", Duration::from_millis(1));
        yield_now().await;
    }
    current().record_usage("p", "m", TokenUsage::new(number, 1));
    current().set("number", number);
    if number.is_multiple_of(2) {
        Ok(number)
    } else {
        Err(std::io::ErrorKind::ConnectionReset.into())
    }
}

fn check(collector: &Collector, sink: &MemorySink, count: u64) {
    collector.flush(SOON).unwrap();
    let records = sink.records();
    assert_eq!(records.len() as u64, count);
    for record in records {
        let number = record.metadata["number"].as_u64().unwrap();
        assert_eq!(record.components.len(), 5, "a part went to another operation");
        assert_eq!(record.usage().input_tokens(), number);
        assert_eq!(record.is_success(), number % 2 == 0);
        assert_eq!(
            record.errors.iter().filter(|e| e.category == ErrorCategory::Network).count() as u64,
            number % 2
        );
    }
    assert!(!current().is_recording());
}

#[test]
fn tokio_with_many_threads() {
    let (collector, sink) = collector();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let tasks: Vec<_> = (0..200)
            .map(|number| {
                tokio::spawn(request(number).metered(collector.operation("request").start()))
            })
            .collect();
        for task in tasks {
            let _ = task.await.unwrap();
        }
    });
    check(&collector, &sink, 200);
}

#[test]
fn smol_with_many_threads() {
    let (collector, sink) = collector();
    let executor = smol::Executor::new();
    let (stop, stopped) = smol::channel::unbounded::<()>();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| smol::block_on(executor.run(stopped.recv())));
        }
        let tasks: Vec<_> = (0..200)
            .map(|number| {
                executor.spawn(request(number).metered(collector.operation("request").start()))
            })
            .collect();
        smol::block_on(async {
            for task in tasks {
                let _ = task.await;
            }
        });
        drop(stop);
    });
    check(&collector, &sink, 200);
}

#[test]
fn the_executor_of_the_futures_crate() {
    let (collector, sink) = collector();
    for number in 0..10 {
        let _ = futures_executor::block_on(collector.scope_async("request", |op| async move {
            op.set("by", "scope");
            request(number).await
        }));
    }
    check(&collector, &sink, 10);
    assert_eq!(sink.records()[0].metadata["by"], "scope");
}

#[test]
fn a_cancelled_future_leaves_what_it_had_gathered() {
    let (collector, sink) = collector();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let asking = async {
            let handle = current();
            let mut call = handle.llm_call("openai", "gpt-4o").streamed(true).start();
            call.usage(TokenUsage::new(1_000, 20));
            pending::<()>().await;
            call.succeed();
        };
        let operation = collector.operation("cancelled").start();
        let timeout =
            tokio::time::timeout(Duration::from_millis(20), asking.metered(operation)).await;
        assert!(timeout.is_err());
    });
    collector.flush(SOON).unwrap();
    let record = &sink.records()[0];
    assert_eq!((record.outcome, record.usage().total_tokens()), (Outcome::Abandoned, 1_020));
    assert_eq!(record.llm_calls[0].error.as_ref().unwrap().category, ErrorCategory::Cancelled);
    assert_eq!(collector.counts().abandoned, 1);
}

#[test]
fn cancelled_at_every_await_point() {
    for polls in 0..6 {
        let (collector, sink) = collector();
        {
            let mut future = pin!(request(2).metered(collector.operation("request").start()));
            let mut context = Context::from_waker(Waker::noop());
            for _ in 0..polls {
                let _ = future.as_mut().poll(&mut context);
            }
        }
        collector.flush(SOON).unwrap();
        let record = &sink.records()[0];
        let expected = if polls == 6 { Outcome::Success } else { Outcome::Abandoned };
        assert_eq!((record.outcome, record.components.len()), (expected, polls.min(5)));
    }
}

#[test]
fn a_panic_in_a_future_is_a_failure_and_goes_on() {
    let (collector, sink) = collector();
    let operation = collector.operation("panics").start();
    let panicking = async {
        yield_now().await;
        assert!(!current().is_recording(), "no more tokens");
    };
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        futures_executor::block_on(panicking.metered(operation));
    }));
    assert!(result.is_err());
    collector.flush(SOON).unwrap();
    let record = &sink.records()[0];
    assert_eq!(record.outcome, Outcome::Failure);
    assert!(record.errors[0].message.contains("no more tokens"));
}

#[test]
fn a_spawned_task_records_into_the_operation_that_it_runs_within() {
    let (collector, sink) = collector();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let op = collector.operation("fan-out").start();
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let work = async {
                    yield_now().await;
                    current().add_component("shard", Duration::from_millis(1));
                    current().tool("search").start().succeed();
                };
                tokio::spawn(work.within(op.handle()))
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        op.succeed();
    });
    collector.flush(SOON).unwrap();
    let record = &sink.records()[0];
    assert_eq!((record.components.len(), record.tool_calls.len()), (20, 20));
}

#[test]
fn nested_futures_know_their_parents() {
    let (collector, sink) = collector();
    let inner = collector.clone();
    futures_executor::block_on(collector.scope_async("outer", |_| async move {
        let child = inner.operation("inner").start();
        yield_now().await;
        child.succeed();
    }));
    collector.flush(SOON).unwrap();
    let records = sink.records();
    assert_eq!(records[0].parent, Some(records[1].id));
}
