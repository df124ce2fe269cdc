//! What recording costs while the sink takes nothing, beside a sink that does.
//!
//! The sink writes to a pipe; while nobody reads from it, the worker stands in that write, as before a disk that hangs. Both
//! collectors fill memory that they had before, so that no page of the system is faulted in. What fresh memory costs, into
//! which such a queue grows until the budget is spent, is told apart.

use std::io::{PipeReader, PipeWriter, Read, Write};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
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

/// A sink whose pipe is read from as long as its gate is open.
#[derive(Clone)]
struct Gate {
    place: Arc<(Mutex<Where>, Condvar)>,
    pipe: Arc<Mutex<PipeWriter>>,
}

#[derive(Default)]
struct Where {
    shut: bool,
    /// Whether the worker stands before it.
    waiting: bool,
}

/// So many bytes are written of each batch: more than a pipe holds and who reads takes before he sees that he is to stop.
const WRITTEN: usize = 256 << 10;

impl Gate {
    fn new() -> Self {
        let (reader, writer) = std::io::pipe().expect("two files");
        let place = Arc::<(Mutex<Where>, Condvar)>::default();
        let read_by = Arc::clone(&place);
        thread::spawn(move || read(reader, &read_by));
        Self { place, pipe: Arc::new(Mutex::new(writer)) }
    }

    fn set(&self, set: impl FnOnce(&mut Where)) {
        let (place, changed) = &*self.place;
        set(&mut place.lock().expect("nobody panics here"));
        changed.notify_all();
    }

    /// Shuts it, and waits until the worker stands before it with what has been recorded.
    fn shut_behind(&self, record: impl FnOnce()) {
        self.set(|place| place.shut = true);
        record();
        let (place, changed) = &*self.place;
        let place = place.lock().expect("nobody panics here");
        drop(changed.wait_while(place, |place| !place.waiting).expect("nobody panics here"));
    }

    fn open(&self) {
        self.set(|place| place.shut = false);
    }
}

/// Reads what is written, while the gate is open, until nobody can write any more.
fn read(mut pipe: PipeReader, (place, changed): &(Mutex<Where>, Condvar)) {
    let mut bytes = vec![0; 64 << 10];
    loop {
        let place = place.lock().expect("nobody panics here");
        drop(changed.wait_while(place, |place| place.shut).expect("nobody panics here"));
        match pipe.read(&mut bytes) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

impl Sink for Gate {
    fn accept(&self, _batch: Vec<OperationRecord>) -> Result<(), SinkError> {
        unreachable!("batches come packed")
    }

    /// Reads nothing, as the sink of the other collector.
    fn accept_packed(&self, _batch: &Batch<'_>) -> Result<(), SinkError> {
        self.set(|place| place.waiting = place.shut);
        let written = self.pipe.lock().expect("nobody panics here").write_all(&[0; WRITTEN]);
        self.set(|place| place.waiting = false);
        written.expect("somebody reads");
        Ok(())
    }
}

/// So many operations are recorded in a round: a third of the memory that a collector keeps for one thread to use again.
const TIMES: usize = 2_000;

const ROUNDS: usize = 101;

/// Finds out, and says what it is of.
pub(crate) fn find(inputs: &[Input]) -> Frozen {
    let taking = Collector::builder().build().expect("a thread");
    let gate = Gate::new();
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
        "a frozen sink, which stands in a write to a pipe that nobody reads, in {ROUNDS} rounds that take turns with one that \
         takes all, {TIMES} operations each in memory that was used before: {room} times the caller's time while there is room; {}",
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
