//! What recording costs while the sink takes nothing, beside a sink that does.
//!
//! Both collectors fill memory that they had before, so that no page of the system is faulted in. What fresh memory costs, into
//! which a frozen sink's queue grows until the budget is spent, is told apart.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bench_collector::Input;
use taximeter::{Batch, Collector, Limits, OperationRecord, Sink, SinkError};

use crate::facts::{by_guard, caller, flush, told};
use crate::turns::Told;

/// Of each, the caller's time for an operation, beside that with a sink that takes all.
pub(crate) struct Frozen {
    /// While there is room: what ends is queued.
    pub(crate) room: Told,
    /// When the budget is spent: what ends is lost and counted.
    pub(crate) spent: Told,
}

/// A sink that takes nothing as long as its gate is shut.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<Where>, Condvar)>);

#[derive(Default)]
struct Where {
    shut: bool,
    /// Whether the worker stands before it.
    waiting: bool,
}

impl Gate {
    /// Shuts it, and waits until the worker stands before it with what has been recorded.
    fn shut_behind(&self, record: impl FnOnce()) {
        let (place, changed) = &*self.0;
        place.lock().expect("nobody panics here").shut = true;
        record();
        let place = place.lock().expect("nobody panics here");
        drop(changed.wait_while(place, |place| !place.waiting).expect("nobody panics here"));
    }

    fn open(&self) {
        let (place, changed) = &*self.0;
        place.lock().expect("nobody panics here").shut = false;
        changed.notify_all();
    }
}

impl Sink for Gate {
    fn accept(&self, _batch: Vec<OperationRecord>) -> Result<(), SinkError> {
        unreachable!("batches come packed")
    }

    /// Reads nothing, as the sink of the other collector.
    fn accept_packed(&self, _batch: &Batch<'_>) -> Result<(), SinkError> {
        let (place, changed) = &*self.0;
        let mut place = place.lock().expect("nobody panics here");
        if place.shut {
            place.waiting = true;
            changed.notify_all();
            place = changed.wait_while(place, |place| place.shut).expect("nobody panics here");
            place.waiting = false;
        }
        Ok(())
    }
}

/// So many operations are recorded in a round: a third of the memory that a collector keeps for one thread to use again.
const TIMES: usize = 2_000;

const ROUNDS: usize = 101;

/// Finds out, and says what it is of.
pub(crate) fn find(inputs: &[Input]) -> Frozen {
    let taking = Collector::builder().build().expect("a thread");
    let gate = Gate::default();
    let behind = Collector::builder().sink(gate.clone()).build().expect("a thread");
    // A flush wakes the worker at once; that it cannot be done meanwhile is what is wanted.
    let one = || {
        by_guard(&behind, &inputs[0]);
        let _ = behind.flush(Duration::from_millis(1));
    };
    // The memory of both, before it counts.
    for collector in [&taking, &behind] {
        (0..4).for_each(|_| _ = caller(collector, TIMES, inputs));
        flush(collector);
    }

    let (mut free, mut shut) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        free.push(caller(&taking, TIMES, inputs));
        flush(&taking);
        gate.shut_behind(one);
        shut.push(caller(&behind, TIMES, inputs));
        gate.open();
        flush(&behind);
    }
    let room = Told::ratio(&shut, &free);
    println!(
        "a frozen sink, in {ROUNDS} rounds that take turns with one that takes all, {TIMES} operations each in memory that was \
         used before: {room} times the caller's time while there is room; {}",
        told(&[behind.counts()])
    );

    gate.shut_behind(one);
    let budget = Limits::default().queued_bytes;
    let mut fresh = Vec::new();
    while behind.counts().dropped_total() == 0 {
        fresh.push(caller(&behind, TIMES, inputs));
    }
    let (mut free, mut spent) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        free.push(caller(&taking, TIMES, inputs));
        flush(&taking);
        spent.push(caller(&behind, TIMES, inputs));
    }
    let spent = Told::ratio(&spent, &free);
    let counts = behind.counts();
    println!(
        "until its budget is spent, {:.0} ns for the caller, with the faults of pages that are fresh from the system; then {spent} \
         times the caller's time, with nothing queued; {}; {} of {budget} bytes held",
        Told::by(&fresh).median,
        told(std::slice::from_ref(&counts)),
        counts.queue_bytes
    );
    gate.open();
    flush(&behind);
    Frozen { room, spent }
}
