//! The attribute macros as a program uses them: what is recorded, what is returned, what is refused.

use std::io;
use std::panic::catch_unwind;
use std::pin::Pin;
use std::time::Duration;

use taximeter::{
    ErrorCategory, ErrorRecord, MemorySink, Meter, MeterExt, OperationRecord, Outcome, ToolStatus,
    current, metered, tool, with_meter,
};

/// What a piece of code leaves behind.
fn recorded(work: impl FnOnce()) -> Vec<OperationRecord> {
    let (meter, sink) = meter();
    with_meter(&meter, work);
    meter.flush(Duration::from_secs(10)).unwrap();
    sink.records()
}

fn meter() -> (Meter, MemorySink) {
    let sink = MemorySink::default();
    (Meter::builder().sink(sink.clone()).build().unwrap(), sink)
}

#[metered("api_call", with(length = question.len()))]
fn ask(question: &str) -> Result<usize, io::Error> {
    current().warn("seen from within");
    let found = search(question)?;
    Ok(found)
}

#[tool("vector_search", with(top_k = 5))]
fn search(question: &str) -> Result<usize, io::Error> {
    match question {
        "" => Err(io::ErrorKind::InvalidInput.into()),
        "slow" => Err(io::ErrorKind::TimedOut.into()),
        "panic" => panic!("the index is gone"),
        found => Ok(found.len()),
    }
}

#[test]
fn a_function_and_its_tool() {
    let records = recorded(|| assert_eq!(ask("taxi").unwrap(), 4));
    let [record] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!((record.name.as_str(), record.outcome), ("api_call", Outcome::Success));
    assert_eq!((&record.metadata["length"], record.warning_count()), (&4.into(), 1));
    let call = &record.tool_calls[0];
    assert_eq!((call.name.as_str(), call.status), ("vector_search", ToolStatus::Success));
    assert_eq!(call.metadata["top_k"], 5);
    assert!(call.duration.is_some());
}

#[test]
fn an_err_is_a_failure_with_its_category() {
    let records = recorded(|| {
        assert_eq!(ask("").unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(ask("slow").unwrap_err().kind(), io::ErrorKind::TimedOut);
    });
    for (record, category, status) in [
        (&records[0], ErrorCategory::Validation, ToolStatus::Error),
        (&records[1], ErrorCategory::Timeout, ToolStatus::Timeout),
    ] {
        assert_eq!((record.outcome, record.errors[0].category), (Outcome::Failure, category));
        let call = &record.tool_calls[0];
        assert_eq!((call.status, call.error_category()), (status, Some(category)));
    }
}

#[test]
fn a_panic_is_a_failure_and_unwinds_on() {
    let records = recorded(|| {
        let panic = catch_unwind(|| ask("panic")).unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"the index is gone"));
        assert!(!current().is_recording());
    });
    assert_eq!(records[0].outcome, Outcome::Failure);
    assert!(records[0].errors[0].message.contains("the index is gone"));
    let call = &records[0].tool_calls[0];
    assert_eq!(call.status, ToolStatus::Error);
    assert!(call.error.as_ref().unwrap().message.contains("the index is gone"));
}

#[test]
fn without_an_operation_a_tool_just_runs() {
    assert!(recorded(|| assert_eq!(search("taxi").unwrap(), 4)).is_empty());
}

/// An error that says nothing of itself: no `Error`, no text, no box.
struct Silent;

#[metered]
fn silent(secret: &str) -> Result<(), Silent> {
    if secret.is_empty() { Ok(()) } else { Err(Silent) }
}

#[metered]
fn boxed() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    Err("HTTP status 429".into())
}

#[metered]
fn any() -> anyhow::Result<()> {
    Err(anyhow::Error::new(io::Error::from(io::ErrorKind::ConnectionReset)).context("asking"))
}

#[metered]
fn option(some: bool) -> Option<u32> {
    some.then_some(1)?;
    None
}

#[metered]
fn generic<T, E: std::error::Error + 'static>(result: Result<T, E>) -> Result<T, E> {
    result
}

#[test]
fn every_kind_of_error_is_recorded_as_far_as_it_speaks() {
    let records = recorded(|| {
        assert!(silent("secret").is_err());
        assert!(boxed().is_err());
        assert!(any().is_err());
        assert!(option(true).is_none());
        assert!(generic("x".parse::<u8>()).is_err());
    });
    let of = |at: usize| (records[at].outcome, records[at].errors.first());
    let (outcome, error) = of(0);
    assert_eq!((outcome, error.unwrap().category), (Outcome::Failure, ErrorCategory::Unknown));
    assert!(error.unwrap().message.contains("Silent"), "{error:?}");
    assert_eq!(of(1).1.unwrap().category, ErrorCategory::RateLimit);
    assert_eq!(of(2).1.unwrap().category, ErrorCategory::Network);
    assert_eq!(of(2).1.unwrap().causes.len(), 1);
    assert_eq!(of(3), (Outcome::Success, None));
    assert_eq!(of(4).1.unwrap().category, ErrorCategory::Parse);
}

struct Store {
    asked: u32,
}

impl Store {
    #[metered]
    fn by_reference(&mut self, by: u32) -> &mut u32 {
        self.asked += by;
        &mut self.asked
    }

    #[metered("outer")]
    async fn outer(&mut self) -> Result<u32, io::Error> {
        tokio::task::yield_now().await;
        self.inner().await
    }

    #[metered("inner")]
    async fn inner(&mut self) -> Result<u32, io::Error> {
        tokio::task::yield_now().await;
        fetch(&mut self.asked).await
    }
}

#[tool]
async fn fetch(asked: &mut u32) -> Result<u32, io::Error> {
    tokio::task::yield_now().await;
    *asked += 1;
    if *asked > 1 { Err(io::ErrorKind::ConnectionRefused.into()) } else { Ok(*asked) }
}

#[test]
fn methods_nest_and_follow_their_task_over_threads() {
    let (meter, sink) = meter();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(3).build().unwrap();
    runtime.block_on(async {
        let tasks: Vec<_> = (0..50)
            .map(|_| {
                let work = async {
                    let mut store = Store { asked: 0 };
                    let first = store.outer().await.unwrap();
                    let second = store.outer().await.unwrap_err();
                    (first, second.kind())
                };
                tokio::spawn(work.with_meter(&meter))
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap(), (1, io::ErrorKind::ConnectionRefused));
        }
    });
    meter.flush(Duration::from_secs(10)).unwrap();
    let records = sink.records();
    assert_eq!(records.len(), 200);
    for inner in records.iter().filter(|record| record.name == "inner") {
        let outer = records.iter().find(|record| Some(record.id) == inner.parent).unwrap();
        assert_eq!((outer.name.as_str(), outer.outcome), ("outer", inner.outcome));
        assert_eq!(inner.tool_calls[0].name, "fetch");
        assert_eq!(inner.tool_calls[0].is_success(), inner.is_success());
    }
}

#[test]
fn a_borrowed_return_keeps_its_lifetime() {
    let records = recorded(|| {
        let mut store = Store { asked: 0 };
        *store.by_reference(2) += 1;
        assert_eq!(store.asked, 3);
    });
    assert_eq!(records[0].name, "by_reference");
}

#[test]
fn a_cancelled_function_is_abandoned_with_its_tool() {
    #[metered]
    async fn waits() -> u32 {
        never().await;
        1
    }

    #[tool]
    async fn never() {
        std::future::pending::<()>().await;
    }

    let (meter, sink) = meter();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let late = runtime.block_on(async {
        tokio::time::timeout(Duration::from_millis(20), waits().with_meter(&meter)).await
    });
    assert!(late.is_err());
    meter.flush(Duration::from_secs(10)).unwrap();
    let record = &sink.records()[0];
    assert_eq!(record.outcome, Outcome::Abandoned);
    assert_eq!(record.tool_calls[0].error_category(), Some(ErrorCategory::Cancelled));
}

#[test]
fn metadata_is_not_evaluated_where_the_meter_is_off() {
    fn asked_for() -> u32 {
        unreachable!("it is switched off")
    }

    #[metered(with(never = asked_for()))]
    fn quiet() -> u32 {
        7
    }

    assert_eq!(with_meter(&Meter::off(), quiet), 7);
}

/// An error that borrows, so that its type cannot be looked at.
#[derive(Debug)]
struct Lent<'a>(&'a str, Cause);

type Cause = Option<Box<dyn std::error::Error>>;

impl std::fmt::Display for Lent<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        assert_ne!(self.0, "broken", "it cannot be read");
        f.write_str(self.0)
    }
}

impl std::error::Error for Lent<'_> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.1.as_deref()
    }
}

#[metered]
fn lent(error: Lent<'_>) -> Result<(), Lent<'_>> {
    Err(error)
}

#[test]
fn an_error_that_borrows_is_recorded_like_any_other() {
    let causes: [fn() -> Cause; 4] = [
        || None,
        || Some("rate limit reached".into()),
        || Some(Box::new(io::Error::new(io::ErrorKind::TimedOut, "no reply"))),
        || Some("something else".into()),
    ];
    for cause in causes {
        for message in ["nothing clear", "the request timed out", "HTTP status 401"] {
            let records = recorded(|| assert!(lent(Lent(message, cause())).is_err()));
            assert_eq!(records[0].errors, [ErrorRecord::of(&Lent(message, cause()))]);
        }
    }
}

#[test]
fn an_error_that_cannot_be_read_harms_nobody() {
    let records = recorded(|| assert!(lent(Lent("broken", None)).is_err()));
    assert_eq!(records[0].outcome, Outcome::Failure);
    assert!(records[0].errors[0].message.contains("Lent"), "{:?}", records[0].errors);
}

#[test]
fn a_type_may_say_itself_whether_it_is_a_failure() {
    struct Reply(u16);

    impl taximeter::Ending<taximeter::ending_kinds::Value> for Reply {
        fn failure(&self) -> Option<ErrorRecord> {
            let category = ErrorCategory::from_http_status(self.0)?;
            Some(ErrorRecord::new(category, "refused"))
        }
    }

    #[metered]
    fn reply(status: u16) -> Reply {
        Reply(status)
    }

    let records = recorded(|| assert_eq!(reply(200).0 + reply(429).0, 629));
    assert_eq!(records[0].outcome, Outcome::Success);
    assert_eq!(records[1].errors[0].category, ErrorCategory::RateLimit);
}

#[metered]
fn opaque(text: &str) -> impl Future<Output = Result<usize, Box<dyn std::error::Error>>> {
    assert_ne!(text, "panic", "it fails before there is a future");
    async move { Ok(text.parse::<usize>()?) }
}

#[tool(with(length = text.len()))]
fn boxed_tool(text: &str) -> Pin<Box<dyn Future<Output = Result<usize, io::Error>> + '_>> {
    Box::pin(async move {
        tokio::task::yield_now().await;
        assert_ne!(text, "panic", "it fails on its way");
        text.parse().map_err(|_| io::ErrorKind::TimedOut.into())
    })
}

#[test]
fn a_function_that_returns_a_future_ends_with_that_future() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let records = recorded(|| {
        assert_eq!(runtime.block_on(opaque("7")).unwrap(), 7);
        assert!(runtime.block_on(opaque("seven")).is_err());
        drop(opaque("7"));
        assert!(catch_unwind(|| drop(opaque("panic"))).is_err());
    });
    let outcomes: Vec<_> = records.iter().map(|record| record.outcome).collect();
    let (success, failure) = (Outcome::Success, Outcome::Failure);
    assert_eq!(outcomes, [success, failure, Outcome::Abandoned, failure]);
    assert_eq!(records[1].errors[0].category, ErrorCategory::Parse);
    assert!(records[3].errors[0].message.starts_with("panicked: "));
}

#[test]
fn a_tool_that_returns_a_future_ends_with_that_future() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let records = recorded(|| {
        taximeter::scope("qa", |_| {
            assert_eq!(runtime.block_on(boxed_tool("7")).unwrap(), 7);
            assert!(runtime.block_on(boxed_tool("seven")).is_err());
            drop(boxed_tool("7"));
            assert!(catch_unwind(|| runtime.block_on(boxed_tool("panic"))).is_err());
        });
    });
    let calls = &records[0].tool_calls;
    let statuses: Vec<_> = calls.iter().map(|call| call.status).collect();
    let (success, error) = (ToolStatus::Success, ToolStatus::Error);
    assert_eq!(statuses, [success, ToolStatus::Timeout, error, error]);
    assert_eq!(calls[2].error_category(), Some(ErrorCategory::Cancelled));
    assert!(calls[3].error.as_ref().unwrap().message.starts_with("panicked: "));
    assert_eq!(calls[1].metadata["length"], 5);
}

#[test]
fn an_async_function_that_is_never_polled_never_ran() {
    assert!(recorded(|| drop(Store { asked: 0 }.outer())).is_empty());
}

#[test]
fn what_is_right_compiles_and_what_is_wrong_is_explained() {
    let cases = trybuild::TestCases::new();
    cases.pass("ui/pass/*.rs");
    cases.compile_fail("ui/fail/*.rs");
}
