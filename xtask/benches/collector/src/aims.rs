//! What was aimed at, and whether it is met: in nanoseconds, and beside fastrace in the same run.
//!
//! An aim in nanoseconds was set on a machine on which fastrace took 1,400 for the same operation. On another one it is the
//! same share of what fastrace takes there that counts; both answers are printed.

use bench_collector::ours::{BY_ID, GUARDS, LITERALS, OFF, RUN_TIME};
use bench_collector::peers::{FASTRACE, FASTRACE_LITERALS, OPENTELEMETRY};

use crate::Measured;
use crate::facts::Facts;
use crate::turns::Told;

/// The nanoseconds of fastrace on the machine for which the aims were set.
const FASTRACE_THERE: f64 = 1_400.0;

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
    println!(
        "\nWhat was aimed at; an aim in nanoseconds also as its share of fastrace's {FASTRACE_THERE:.0} ns where it was set\n"
    );
    println!("{:<100} {:>30} {:>8}  ", "", "is [middle half of the rounds]", "most");
    for aim in aims(measured, facts) {
        println!("{:<100} {:>30} {:>8.3}  {}", aim.what, aim.is, aim.most, aim.verdict());
    }
}

fn aims(measured: &[Measured], facts: &Facts) -> Vec<Aim> {
    let case =
        |what: &str| measured.iter().find(|case| case.what == what).expect("it was measured");
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
    for (ours, peer, nanos) in
        [(LITERALS, FASTRACE_LITERALS, 150.0), (GUARDS, FASTRACE, 350.0), (BY_ID, FASTRACE, 400.0)]
    {
        let is = Told::by(&case(ours).caller);
        aims.push(Aim::new(format!("{ours}: nanoseconds"), is, nanos));
        aims.push(share(ours, peer, nanos / FASTRACE_THERE));
    }
    let whole = Told::ratio(&case(RUN_TIME).total, &case(FASTRACE).total);
    let (threads, frozen) = (&facts.threads, &facts.frozen);
    aims.extend([
        Aim::new(format!("{OFF}: nanoseconds above the loop"), facts.off, 1.0),
        Aim::new("CPU of the whole process, beside fastrace", whole, 0.25),
        Aim::new("two threads, beside one", threads.beside_one, 1.15),
        Aim::new("two threads, beside two that share nothing", threads.beside_apart, 1.15),
        Aim::new("a sink that takes nothing, beside one that does", frozen.room, 1.2),
        Aim::new("the same, when its budget is spent", frozen.spent, 1.2),
    ]);
    aims
}
