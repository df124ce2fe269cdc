//! What is done in every context: operations are recorded, then flushed, shut down and dropped, and all is checked.

use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use taximeter::{Collector, MemorySink, Metadata, TokenUsage};

/// What a sink that works is given; it never takes so long.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

/// What is allowed beyond a timeout, for machines that are busy.
const MARGIN: Duration = Duration::from_secs(20);

/// After this a process hangs.
const WATCHDOG: Duration = Duration::from_secs(90);

pub(crate) fn collector() -> (Collector, MemorySink) {
    let sink = MemorySink::default();
    (Collector::builder().sink(sink.clone()).build().unwrap(), sink)
}

/// Ends so many operations in every way.
pub(crate) fn record(collector: &Collector, count: u64) {
    for number in 0..count {
        let op = collector.operation("op").with("number", number).start();
        op.record_usage("p", "m", TokenUsage::new(number, 1));
        match number % 4 {
            0 => op.succeed(),
            1 => op.fail("failed"),
            2 => drop(op),
            _ => assert!(op.finish().is_some(), "it records"),
        }
    }
}

/// Does what has a timeout; it may take no longer, but for a margin.
pub(crate) fn within<R>(timeout: Duration, act: impl FnOnce() -> R) -> R {
    let began = Instant::now();
    let returned = act();
    let took = began.elapsed();
    assert!(took < timeout + MARGIN, "it took {took:?}; {timeout:?} were given");
    returned
}

/// All that was recorded is stored, and nothing else happened.
pub(crate) fn check(collector: &Collector, sink: &MemorySink, stored: u64) {
    let counts = collector.counts();
    assert!(counts.adds_up(), "{counts:?}");
    assert_eq!((counts.offered, counts.stored), (stored, stored), "{counts:?}");
    assert_eq!((counts.open, counts.queued, counts.dropped_total()), (0, 0, 0), "{counts:?}");
    assert_eq!(sink.records().len() as u64, stored);
}

/// A collector lives and ends here: it is flushed, shut down, and another one is only dropped.
pub(crate) fn flush_shut_down_and_drop() {
    let (collector, sink) = collector();
    record(&collector, 40);
    within(TIMEOUT, || collector.flush(TIMEOUT)).unwrap();
    check(&collector, &sink, 40);
    let _ = collector.start_operation("open until the end", Metadata::new());
    record(&collector, 40);
    within(TIMEOUT, || collector.shutdown(TIMEOUT)).unwrap();
    check(&collector, &sink, 81);
    within(TIMEOUT, || drop(collector));

    let collector = Collector::builder().sink(sink.clone()).build().unwrap();
    record(&collector, 40);
    assert!(collector.counts().adds_up());
    within(TIMEOUT, || drop(collector));
    assert_eq!(sink.records().len(), 121);
}

/// Starts a process and waits for its end, which has to be a good one; gives what it said.
pub(crate) fn run_to_its_end(command: &mut Command) -> String {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (output, ended) = wait(child);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(ended, "{command:?} hangs: {said}{complaint}");
    assert!(output.status.success(), "{command:?}: {}: {said}{complaint}", output.status);
    said
}

/// Says also whether the process ended by itself.
fn wait(mut child: Child) -> (Output, bool) {
    let until = Instant::now() + WATCHDOG;
    let ended = loop {
        if child.try_wait().unwrap().is_some() {
            break true;
        }
        if Instant::now() >= until {
            child.kill().unwrap();
            break false;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    (child.wait_with_output().unwrap(), ended)
}
