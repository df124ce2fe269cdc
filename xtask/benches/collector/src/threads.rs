//! What recording costs on two threads at once, beside one alone.

use bench_collector::Input;
use taximeter::{Collector, Counts};

use crate::facts::{caller, flush, told};
use crate::turns::Told;

pub(crate) struct Threads {
    /// Two that record into one collector, beside one alone: of each caller's time for an operation.
    pub(crate) beside_one: Told,
    /// The same, beside two that have a collector each: what is dearer there than alone is the machine.
    pub(crate) beside_apart: Told,
}

/// So many operations are recorded by a thread in a round, as fast as it can.
const TIMES: usize = 50_000;

const ROUNDS: usize = 101;

/// Threads that record at the same time, into collectors that they share or have each for itself. The collectors stay from round
/// to round, and so does their memory.
struct Pushed {
    what: &'static str,
    threads: usize,
    collectors: Vec<Collector>,
    /// By round, the caller's nanoseconds for an operation.
    rounds: Vec<f64>,
}

impl Pushed {
    fn new(what: &'static str, threads: usize, collectors: usize) -> Self {
        let collector = |_| Collector::builder().build().expect("a thread");
        let collectors = (0..collectors).map(collector).collect();
        Self { what, threads, collectors, rounds: Vec::new() }
    }

    fn round(&self, inputs: &[Input]) -> f64 {
        let record = |collector| caller(collector, TIMES, inputs);
        let times: Vec<f64> = std::thread::scope(|scope| {
            let collectors = self.collectors.iter().cycle().take(self.threads);
            let running: Vec<_> =
                collectors.map(|collector| scope.spawn(move || record(collector))).collect();
            running.into_iter().map(|thread| thread.join().expect("it does not panic")).collect()
        });
        self.collectors.iter().for_each(flush);
        times.iter().sum::<f64>() / times.len() as f64
    }

    fn counts(&self) -> Vec<Counts> {
        self.collectors.iter().map(Collector::counts).collect()
    }
}

/// Finds out, and says what became of all operations.
pub(crate) fn find(inputs: &[Input]) -> Threads {
    let mut pushed = [
        Pushed::new("one thread", 1, 1),
        Pushed::new("two threads", 2, 1),
        Pushed::new("two that share nothing", 2, 2),
    ];
    // Their memory, before it counts.
    pushed.iter().for_each(|pushed| _ = pushed.round(inputs));
    for _ in 0..ROUNDS {
        for pushed in &mut pushed {
            let each = pushed.round(inputs);
            pushed.rounds.push(each);
        }
    }
    for pushed in &pushed {
        println!("full push, {}: {}", pushed.what, told(&pushed.counts()));
    }
    let [alone, together, apart] = pushed.map(|pushed| pushed.rounds);
    let (beside_one, beside_apart) =
        (Told::ratio(&together, &alone), Told::ratio(&together, &apart));
    println!(
        "in {ROUNDS} rounds that take turns, {TIMES} operations a thread: {:.0} ns of the caller's CPU for an operation alone, \
         {beside_one} times as much on two threads, {beside_apart} times what two take that have a collector each and share \
         nothing but the machine ({} times one alone)",
        Told::by(&alone).median,
        Told::ratio(&apart, &alone),
    );
    Threads { beside_one, beside_apart }
}
