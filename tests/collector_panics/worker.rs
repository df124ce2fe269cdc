//! The worker outlives whatever happens on its thread, and says what it lost.

use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use taximeter::{
    Collector, FlushError, Limits, LossReason, MemorySink, OperationRecord, Sink, SinkError,
    WhenFull,
};

use super::{Faulty, Place, Rude, SOON, Strikes, goes_on, panics, watched};

/// Fails with an error that panics when it is asked what it is, or panics with something that panics when it is dropped.
struct Nasty(Strikes, MemorySink, fn() -> Result<(), SinkError>);

impl Sink for Nasty {
    fn accept(&self, batch: Vec<OperationRecord>) -> Result<(), SinkError> {
        if panics(|| self.0.strike()) { (self.2)() } else { self.1.accept(batch) }
    }
}

fn outlives(first: fn() -> Result<(), SinkError>) {
    watched(move || {
        let memory = MemorySink::default();
        let sink = Nasty(Strikes::times(1), memory.clone(), first);
        let collector = Collector::builder().sink(sink).build().unwrap();
        collector.operation("lost").start().succeed();
        let _ = collector.flush(SOON);
        collector.operation("kept").start().succeed();
        collector.flush(SOON).unwrap();
        let counts = collector.counts();
        assert_eq!((counts.stored, counts.dropped_total(), counts.queued), (1, 1, 0), "{counts:?}");
        goes_on(&collector, &memory);
    });
}

#[test]
fn the_worker_outlives_an_error_of_its_sink_that_panics() {
    outlives(|| {
        Err(SinkError { lost: 1, reason: LossReason::IoError, source: Box::new(Rude::Text) })
    });
}

/// What a panic carries; it panics once more when it is dropped.
struct Carried;

impl Drop for Carried {
    fn drop(&mut self) {
        panic!("again");
    }
}

#[test]
fn the_worker_outlives_a_panic_that_panics_when_it_is_dropped() {
    outlives(|| std::panic::panic_any(Carried));
}

#[test]
fn an_interval_without_an_end_is_one() {
    watched(|| {
        let (sink, mut limits) = (MemorySink::default(), Limits::default());
        limits.interval = Duration::MAX;
        let collector = Collector::builder().sink(sink.clone()).limits(limits).build().unwrap();
        goes_on(&collector, &sink);
    });
}

#[test]
fn waiting_for_room_without_an_end_is_possible() {
    watched(|| {
        let (sink, mut limits) = (MemorySink::default(), Limits::default());
        limits.when_full = WhenFull::Block { timeout: Duration::MAX };
        limits.queued_records = 1;
        let collector = Collector::builder().sink(sink.clone()).limits(limits).build().unwrap();
        (0..10).for_each(|_| collector.operation("op").start().succeed());
        collector.flush(SOON).unwrap();
        assert_eq!(sink.records().len(), 10);
    });
}

#[test]
fn a_flush_says_what_was_lost_before_it_began() {
    let (collector, _sink) = Faulty::at(Place::Accept, 1);
    collector.operation("lost").start().succeed();
    let until = Instant::now() + SOON;
    while collector.counts().dropped_total() == 0 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(collector.counts().dropped_total(), 1);
    assert!(matches!(collector.flush(SOON), Err(FlushError::Sink(_))));
    collector.flush(SOON).unwrap();
}

/// Loses its first batch, and takes its time to flush for the first time.
struct Slow(Strikes, Mutex<Option<mpsc::Sender<()>>>);

impl Sink for Slow {
    fn accept(&self, _batch: Vec<OperationRecord>) -> Result<(), SinkError> {
        self.0.strike();
        Ok(())
    }

    fn flush(&self) -> Result<(), SinkError> {
        if let Some(begin) = self.1.lock().unwrap().take() {
            begin.send(()).unwrap();
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

#[test]
fn each_flush_says_what_it_met_with_itself() {
    for _ in 0..50 {
        let (begin, began) = mpsc::channel();
        let mut limits = Limits::default();
        limits.interval = Duration::from_hours(1);
        let builder = Collector::builder()
            .sink(Slow(Strikes::times(1), Mutex::new(Some(begin))))
            .limits(limits);
        let collector = builder.build().unwrap();
        collector.operation("lost").start().succeed();
        std::thread::scope(|scope| {
            let first = scope.spawn(|| collector.flush(SOON));
            // The second is asked for while the worker is at the first.
            began.recv().unwrap();
            let _ = collector.flush(SOON);
            assert!(matches!(first.join().unwrap(), Err(FlushError::Sink(_))));
        });
    }
}
