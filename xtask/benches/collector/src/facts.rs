//! What the table cannot say: bytes kept, threads side by side, losses at full push, a sink that takes nothing.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use bench_collector::ours::{PATIENCE, TOOK, calls};
use bench_collector::{CHUNK, Input};
use cpu_time::ThreadTime;
use taximeter::{Batch, Collector, Counts, Limits, OperationRecord, Sink, SinkError};

/// Of each, the caller's nanoseconds for an operation, but for the bytes.
pub(crate) struct Facts {
    /// Bytes kept of an operation.
    pub(crate) bytes: f64,
    pub(crate) alone: f64,
    /// Two threads that record into the same collector.
    pub(crate) together: f64,
    /// Two threads, each of which has a collector: what is dearer here than alone is the machine.
    pub(crate) apart: f64,
    /// Before a sink that takes nothing.
    pub(crate) frozen: f64,
}

/// A sink that takes nothing until its gate is opened.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Sink for Gate {
    fn accept(&self, _batch: Vec<OperationRecord>) -> Result<(), SinkError> {
        let (open, changed) = &*self.0;
        let open = open.lock().expect("nobody panics here");
        drop(changed.wait_while(open, |open| !*open).expect("nobody panics here"));
        Ok(())
    }
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
pub(crate) fn find(inputs: &[Input]) -> Facts {
    let bytes = bytes_kept(inputs);
    println!("kept of an operation, ids included: {bytes:.0} bytes");
    // One after the other again and again, so that a busy moment of the machine hurts them all.
    let mut pushed = [const { Vec::new() }; 3];
    let mut counts = [const { Vec::new() }; 3];
    for _ in 0..9 {
        for (place, (threads, collectors)) in [(1, 1), (2, 1), (2, 2)].into_iter().enumerate() {
            let (each, became) = push(threads, collectors, inputs);
            pushed[place].push(each);
            counts[place].extend(became);
        }
    }
    let [alone, together, apart] = pushed.map(|mut times| {
        times.sort_by(f64::total_cmp);
        crate::at(&times, 0.5)
    });
    for (what, counts) in
        ["one thread", "two threads", "two that share nothing"].iter().zip(&counts)
    {
        println!("full push, {what}: {}", told(counts));
    }
    println!(
        "of each caller's CPU for an operation: {alone:.0} ns alone, {together:.0} ns on two threads ({:.2}), {apart:.0} ns on \
         two threads that have a collector each and share nothing but the machine ({:.2})",
        together / alone,
        apart / alone,
    );
    Facts { bytes, alone, together, apart, frozen: frozen(inputs) }
}

fn told(counts: &[Counts]) -> String {
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

fn bytes_kept(inputs: &[Input]) -> f64 {
    let kept = Kept::default();
    let collector = Collector::builder().sink(kept.clone()).build().expect("a thread");
    for number in 0..CHUNK {
        by_guard(&collector, &inputs[number % inputs.len()]);
    }
    collector.flush(PATIENCE).expect("the worker is not behind");
    kept.0.load(Ordering::Relaxed) as f64 / CHUNK as f64
}

fn frozen(inputs: &[Input]) -> f64 {
    const TIMES: usize = 300_000;
    let gate = Gate::default();
    let limits = Limits::default();
    let budget = limits.queued_bytes;
    let frozen = Collector::builder().sink(gate.clone()).limits(limits).build().expect("a thread");
    let began = ThreadTime::now();
    for number in 0..TIMES {
        by_guard(&frozen, &inputs[number % inputs.len()]);
    }
    let each = began.elapsed().as_nanos() as f64 / TIMES as f64;
    let counts = frozen.counts();
    println!(
        "a frozen sink: {each:.0} ns for the caller; {}; {} of {budget} bytes held",
        told(std::slice::from_ref(&counts)),
        counts.queue_bytes
    );
    *gate.0.0.lock().expect("nobody panics here") = true;
    gate.0.1.notify_all();
    each
}

fn by_guard(collector: &Collector, input: &Input) {
    let words = &input.words;
    let operation = collector.operation(&input.name).with(&words.user, input.user.as_str());
    let op = operation.with(&words.number, input.number).start();
    for component in &words.components {
        op.add_component(component, TOOK);
    }
    calls(&op, input);
    op.succeed();
}

/// The caller's CPU for an operation on so many threads at once that record as fast as they can, and what became of all.
fn push(threads: usize, collectors: usize, inputs: &[Input]) -> (f64, Vec<Counts>) {
    const EACH: usize = 200_000;
    let collectors: Vec<_> =
        (0..collectors).map(|_| Collector::builder().build().expect("a thread")).collect();
    let record = |collector: &Collector| {
        let began = ThreadTime::now();
        for number in 0..EACH {
            by_guard(collector, &inputs[number % inputs.len()]);
        }
        began.elapsed().as_nanos() as f64 / EACH as f64
    };
    let times: Vec<f64> = std::thread::scope(|scope| {
        let begin = |thread| {
            let collector: &Collector = &collectors[thread % collectors.len()];
            scope.spawn(move || record(collector))
        };
        let running: Vec<_> = (0..threads).map(begin).collect();
        running.into_iter().map(|thread| thread.join().expect("it does not panic")).collect()
    });
    let became = collectors.iter().map(|collector| {
        collector.flush(PATIENCE).expect("the worker is not behind");
        collector.counts()
    });
    (times.iter().sum::<f64>() / times.len() as f64, became.collect())
}
