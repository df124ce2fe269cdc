//! A panic in any code of the program's own that a collector calls costs that call alone, and is counted.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use taximeter::{
    Clock, Collector, Counts, ErrorCategory, ErrorRecord, Field, IdSource, LossReason, OperationId,
    OperationRecord, Redacted, Redaction, Sink, SinkError, SystemClock, SystemIds,
};

const SOON: Duration = Duration::from_secs(20);

/// Panics at every third call, until it is told not to; every piece of code has one of its own.
#[derive(Debug, Default)]
struct Fault {
    calls: AtomicU64,
    panics: AtomicU64,
    healed: AtomicU64,
}

impl Fault {
    fn maybe(&self) {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        if call % 3 == 2 && self.healed.load(Ordering::SeqCst) == 0 {
            self.panics.fetch_add(1, Ordering::SeqCst);
            panic!("on purpose");
        }
    }

    fn count(&self) -> u64 {
        self.panics.load(Ordering::SeqCst)
    }
}

/// Everything that a program can give a collector, faulty.
#[derive(Debug, Clone, Default)]
struct Faulty {
    accept: Arc<Fault>,
    flush: Arc<Fault>,
    prepare: Arc<Fault>,
    clock: Arc<Fault>,
    ids: Arc<Fault>,
    hook: Arc<Fault>,
    stored: Arc<AtomicU64>,
    machine: SystemClock,
}

impl Faulty {
    fn all(&self) -> [&Fault; 6] {
        [&self.accept, &self.flush, &self.prepare, &self.clock, &self.ids, &self.hook]
    }
}

impl Sink for Faulty {
    fn prepare(&self, _record: &mut OperationRecord) {
        self.prepare.maybe();
    }

    fn accept(&self, batch: Vec<OperationRecord>) -> Result<(), SinkError> {
        self.accept.maybe();
        self.stored.fetch_add(batch.len() as u64, Ordering::SeqCst);
        Ok(())
    }

    fn flush(&self) -> Result<(), SinkError> {
        self.flush.maybe();
        Ok(())
    }
}

impl Clock for Faulty {
    fn monotonic(&self) -> Duration {
        self.clock.maybe();
        self.machine.monotonic()
    }

    fn wall(&self) -> DateTime<Utc> {
        self.clock.maybe();
        self.machine.wall()
    }
}

impl IdSource for Faulty {
    fn next(&self, now: DateTime<Utc>) -> OperationId {
        self.ids.maybe();
        SystemIds.next(now)
    }
}

/// An error that cannot say what it is.
#[derive(Debug)]
struct Mute;

impl std::fmt::Display for Mute {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("on purpose")
    }
}

impl std::error::Error for Mute {}

fn one(collector: &Collector) {
    let op = collector.operation("op").with("key", "value").user("alice").start();
    drop(op.component("component"));
    op.tool("tool").with("key", "value").start().succeed();
    op.tool("tool").start().fail(&Mute);
    op.llm_call("openai", "gpt-4o").start().succeed();
    op.warn("careful");
    op.error(&Mute);
    assert!(op.finish().is_some());
    let scope =
        || collector.scope("scope", |_| -> Result<(), Mute> { panic!("the program's own") });
    assert!(catch_unwind(AssertUnwindSafe(scope)).is_err());
    // Where the flush itself panicked, it says so.
    let _ = collector.flush(SOON);
}

/// So often `one` is run.
const ROUNDS: u64 = 60;

fn check(counts: &Counts, faulty: &Faulty) {
    assert!(counts.adds_up(), "{counts:?}");
    let [accept, .., hook] = faulty.all();
    let caught: u64 = faulty.all().iter().map(|fault| fault.count()).sum::<u64>() - hook.count();
    // And in each round an error was asked twice what it is.
    let caught = caught + 2 * ROUNDS;
    assert_eq!((counts.internal_panics, counts.redaction_failed), (caught, hook.count()));
    assert_eq!(counts.stored, faulty.stored.load(Ordering::SeqCst));
    let lost = counts.dropped.get(&LossReason::InternalPanic).copied().unwrap_or_default();
    assert!(lost >= accept.count() && counts.stored + lost == counts.offered, "{counts:?}");
}

#[test]
fn a_panic_anywhere_costs_one_call_and_is_counted() {
    let faulty = Faulty::default();
    let hook = Arc::clone(&faulty.hook);
    let redaction = Redaction::default().hook(move |field: Field<'_>, _: &str| {
        hook.maybe();
        if field == Field::Warning { Redacted::Replace("mild".into()) } else { Redacted::Keep }
    });
    let collector = Collector::builder()
        .sink(faulty.clone())
        .clock(Arc::new(faulty.clone()))
        .ids(Arc::new(faulty.clone()))
        .redaction(redaction)
        .build()
        .unwrap();
    for _ in 0..ROUNDS {
        one(&collector);
    }
    assert_eq!(collector.counts().offered, 2 * ROUNDS);
    check(&collector.counts(), &faulty);
    assert!(faulty.all().iter().all(|fault| fault.count() > 5), "{faulty:?}");

    // Healed, it is as good as new: nothing stayed locked, poisoned or lost.
    faulty.all().iter().for_each(|fault| fault.healed.store(1, Ordering::SeqCst));
    let (before, caught) = (collector.counts().stored, collector.counts().internal_panics);
    for _ in 0..500 {
        let op = collector.operation("after").start();
        op.fail(&ErrorRecord::new(ErrorCategory::Timeout, "slow"));
    }
    collector.shutdown(SOON).unwrap();
    let counts = collector.counts();
    assert_eq!((counts.stored - before, counts.internal_panics - caught), (500, 0));
    check(&counts, &faulty);
}

/// A clock and a hook that record into the collector that asks them: no deeper than once.
#[derive(Debug, Default)]
struct Inward(std::sync::OnceLock<Collector>, AtomicU64, SystemClock);

impl Inward {
    fn record(&self) {
        // Only who is not within itself already.
        if self.1.fetch_add(1, Ordering::SeqCst) == 0
            && let Some(collector) = self.0.get()
        {
            collector.operation("within").start().succeed();
            let id = collector.operation("by id").start_by_id();
            collector.end_by_id(id, true).unwrap();
        }
        self.1.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Clock for Inward {
    fn monotonic(&self) -> Duration {
        self.record();
        self.2.monotonic()
    }

    fn wall(&self) -> DateTime<Utc> {
        self.record();
        self.2.wall()
    }
}

#[test]
fn a_clock_and_a_hook_may_record_themselves() {
    let inward = Arc::new(Inward::default());
    let hook = Arc::clone(&inward);
    let redaction = Redaction::default().hook(move |_, _| {
        hook.record();
        Redacted::Keep
    });
    let builder = Collector::builder().clock(inward.clone()).redaction(redaction);
    let collector = builder.build().unwrap();
    inward.0.set(collector.clone()).unwrap();
    let id = collector.operation("by id").start_by_id();
    let op = collector.operation("op").with("key", "value").user("alice").start();
    op.warn("careful");
    drop(op.component("component"));
    op.succeed();
    collector.handle(id).unwrap().set("key", "value");
    // What is open by id is abandoned here, and asks the clock.
    collector.shutdown(SOON).unwrap();
    let counts = collector.counts();
    assert!(counts.adds_up() && counts.open == 0 && counts.offered > 10, "{counts:?}");
    assert_eq!(counts.internal_panics, 0);
}
