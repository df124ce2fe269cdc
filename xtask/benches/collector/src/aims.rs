//! What was aimed at, and whether it is met.
//!
//! An aim in nanoseconds was set on another machine. What a case takes here is told as what it would take at the pace of that
//! one, by what was measured on both: the [floor](bench_collector::floor).

use bench_collector::floor::{self, FLOOR};
use bench_collector::ours::{BY_ID, GUARDS, LITERALS, OFF, RUN_TIME};
use bench_collector::peers::{FASTRACE, OPENTELEMETRY};

use crate::Measured;
use crate::facts::Facts;
use crate::turns::Told;

/// Something that is to be no more than so much.
struct Aim {
    what: String,
    is: Told,
    most: f64,
}

impl Aim {
    fn new(what: impl Into<String>, is: Told, most: f64) -> Self {
        Self { what: what.into(), is, most }
    }

    fn verdict(&self) -> &'static str {
        if self.is.median <= self.most { "met" } else { "NOT met" }
    }
}

pub(crate) fn print(measured: &[Measured], facts: &Facts) {
    let pace = pace(measured);
    println!(
        "\nWhat was aimed at; nanoseconds as they would be on the machine of the aims, on which a record put together and \
         copied took {}: this one takes {} times as long for it\n",
        floor::THERE,
        Told::by(&pace)
    );
    println!("{:<100} {:>30} {:>8}  ", "", "is [middle half of the rounds]", "most");
    for aim in aims(measured, facts, &pace) {
        println!("{:<100} {:>30} {:>8.3}  {}", aim.what, aim.is, aim.most, aim.verdict());
    }
}

/// Of each round, how many times as long this machine takes.
fn pace(measured: &[Measured]) -> Vec<f64> {
    find(measured, FLOOR).caller.iter().map(|here| here / floor::THERE).collect()
}

fn find<'m>(measured: &'m [Measured], what: &str) -> &'m Measured {
    measured.iter().find(|case| case.what == what).expect("it was measured")
}

fn aims(measured: &[Measured], facts: &Facts, pace: &[f64]) -> Vec<Aim> {
    let case = |what: &str| find(measured, what);
    let share = |ours: &str, peer: &str, most: f64| {
        let is = Told::ratio(&case(ours).caller, &case(peer).caller);
        Aim::new(format!("{ours}: beside {peer}"), is, most)
    };
    let mut aims = vec![
        share(RUN_TIME, FASTRACE, 1.0 / 6.0),
        share(RUN_TIME, OPENTELEMETRY, 1.0 / 6.0),
        Aim::new(format!("{RUN_TIME}: allocations"), Told::by(&[case(RUN_TIME).allocations]), 0.0),
        Aim::new(format!("{RUN_TIME}: bytes kept"), Told::by(&[facts.bytes]), 350.0),
    ];
    for (ours, nanos) in [(LITERALS, 150.0), (GUARDS, 350.0), (BY_ID, 400.0)] {
        let there = Told::ratio(&case(ours).caller, pace);
        aims.push(Aim::new(format!("{ours}: nanoseconds there"), there, nanos));
    }
    let whole = Told::ratio(&case(RUN_TIME).total, &case(FASTRACE).total);
    // It was measured in rounds of its own.
    let off = facts.off.over(Told::by(pace).median);
    let (threads, frozen) = (&facts.threads, &facts.frozen);
    aims.extend([
        Aim::new(format!("{OFF}: nanoseconds above the loop there"), off, 1.0),
        Aim::new("CPU of the whole process, beside fastrace", whole, 0.25),
        Aim::new("two threads, beside one", threads.beside_one, 1.15),
        Aim::new("two threads, beside two that share nothing", threads.beside_apart, 1.15),
        Aim::new("a sink that takes nothing, beside one that does", frozen.room, 1.2),
        Aim::new("the same, when its budget is spent", frozen.spent, 1.2),
    ]);
    aims
}
