//! What the table cannot say: bytes kept, what is switched off, threads side by side, losses at full push, a sink that takes
//! nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bench_collector::ours::{self, EMPTY, OFF, PATIENCE, RUN_TIME, TOOK, calls};
use bench_collector::{CHUNK, Case, Input};
use cpu_time::ThreadTime;
use taximeter::{Batch, Collector, Counts, OperationRecord, Sink, SinkError};

use crate::frozen::{self, Frozen};
use crate::threads::{self, Threads};
use crate::turns::Told;

pub(crate) struct Facts {
    /// Bytes kept of an operation.
    pub(crate) bytes: f64,
    /// The nanoseconds of an operation that is switched off, above an empty loop with the same arguments.
    pub(crate) off: Told,
    pub(crate) threads: Threads,
    pub(crate) frozen: Frozen,
}

/// A sink that keeps records as the meter does, packed; it counts their bytes.
#[derive(Clone, Default)]
struct Kept(Arc<AtomicUsize>);

impl Sink for Kept {
    fn accept(&self, _batch: Vec<OperationRecord>) -> Result<(), SinkError> {
        unreachable!("batches come packed")
    }

    fn accept_packed(&self, batch: &Batch<'_>) -> Result<(), SinkError> {
        self.0.fetch_add(batch.to_packed().bytes(), Ordering::Relaxed);
        Ok(())
    }
}

/// Finds them out, and tells what became of all operations.
pub(crate) fn find(cases: &[Case], inputs: &[Input]) -> Facts {
    let bytes = bytes_kept(inputs);
    println!("kept of an operation, ids included: {bytes:.0} bytes");
    let off = off(cases, inputs);
    fresh(cases, inputs);
    let (threads, frozen) = (threads::find(inputs), frozen::find(inputs));
    Facts { bytes, off, threads, frozen }
}

fn bytes_kept(inputs: &[Input]) -> f64 {
    let kept = Kept::default();
    let collector = Collector::builder().sink(kept.clone()).build().expect("a thread");
    for number in 0..CHUNK {
        by_guard(&collector, &inputs[number % inputs.len()]);
    }
    flush(&collector);
    kept.0.load(Ordering::Relaxed) as f64 / CHUNK as f64
}

/// Both take a hundred nanoseconds, of which all but one or two are the three readings of the clock that are their own.
fn off(cases: &[Case], inputs: &[Input]) -> Told {
    const ROUNDS: usize = 2_000;
    let case = |what| cases.iter().find(|case| case.what == what).expect("a case of this name");
    let [off, empty] = [OFF, EMPTY].map(case);
    let round = |case: &Case| {
        let began = ThreadTime::now();
        case.chunk(inputs);
        began.elapsed().as_nanos() as f64 / CHUNK as f64
    };
    let mut rounds = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        rounds[0].push(round(off));
        rounds[1].push(round(empty));
    }
    let [off, empty] = rounds;
    let above = Told::difference(&off, &empty);
    println!(
        "switched off, in {ROUNDS} rounds of {CHUNK} operations that take turns with the empty loop: {above} ns above it"
    );
    above
}

/// Tells what the whole process takes while a meter's memory of the last operations still grows, beside one whose has been
/// used before.
fn fresh(cases: &[Case], inputs: &[Input]) {
    const ROUNDS: usize = 41;
    let used = cases.iter().find(|case| case.what == RUN_TIME).expect("a case of this name");
    let growing = ours::keeping(usize::MAX);
    let mut rounds = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (case, rounds) in [&growing, used].into_iter().zip(&mut rounds) {
            rounds.push(case.measured(inputs)[1]);
        }
    }
    let [growing, used] = rounds;
    println!(
        "CPU of the whole process while the memory of the last operations still grows, in {ROUNDS} rounds that take turns: \
         {} times what it is in memory that was used before, {} ns more for an operation: its pages are fresh from the system",
        Told::ratio(&growing, &used),
        Told::difference(&growing, &used),
    );
}

/// The caller's nanoseconds for an operation, of so many that are recorded as fast as can be.
pub(crate) fn caller(collector: &Collector, times: usize, inputs: &[Input]) -> f64 {
    let began = ThreadTime::now();
    for number in 0..times {
        by_guard(collector, &inputs[number % inputs.len()]);
    }
    began.elapsed().as_nanos() as f64 / times as f64
}

/// Records one operation: the form with durations, but for its own readings of the clock.
pub(crate) fn by_guard(collector: &Collector, input: &Input) {
    let words = &input.words;
    let operation = collector.operation(&input.name).with(&words.user, input.user.as_str());
    let op = operation.with(&words.number, input.number).start();
    for component in &words.components {
        op.add_component(component, TOOK);
    }
    calls(&op, input);
    op.succeed();
}

pub(crate) fn flush(collector: &Collector) {
    collector.flush(PATIENCE).expect("the worker is not behind");
}

pub(crate) fn told(counts: &[Counts]) -> String {
    let sum = |of: fn(&Counts) -> u64| counts.iter().map(of).sum::<u64>();
    format!(
        "{} offered = {} stored + {} queued + {} dropped and counted + {} open",
        sum(|counts| counts.offered),
        sum(|counts| counts.stored),
        sum(|counts| counts.queued),
        sum(Counts::dropped_total),
        sum(|counts| counts.open),
    )
}
