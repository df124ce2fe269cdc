//! What was aimed at, and whether it is met: in nanoseconds, and beside fastrace in the same run.
//!
//! An aim in nanoseconds was set on a machine on which fastrace took 1,400 for the same operation. On another one it is the
//! same share of what fastrace takes there that counts; both answers are printed.

use bench_collector::ours::{BY_ID, EMPTY, GUARDS, LITERALS, OFF, RUN_TIME};
use bench_collector::peers::{FASTRACE, FASTRACE_LITERALS, OPENTELEMETRY};

use crate::facts::Facts;
use crate::{Measured, at};

/// The nanoseconds of fastrace on the machine for which the aims were set.
const FASTRACE_THERE: f64 = 1_400.0;

/// Something that is to be no more than so much.
struct Aim {
    what: String,
    is: f64,
    most: f64,
}

impl Aim {
    fn new(what: impl Into<String>, is: f64, most: f64) -> Self {
        Self { what: what.into(), is, most }
    }

    fn verdict(&self) -> &'static str {
        if self.is <= self.most { "met" } else { "NOT met" }
    }
}

pub(crate) fn print(measured: &[Measured], facts: &Facts) {
    println!(
        "\nWhat was aimed at; an aim in nanoseconds also as its share of fastrace's {FASTRACE_THERE:.0} ns where it was set\n"
    );
    println!("{:<100} {:>8} {:>8}  ", "", "is", "most");
    for aim in aims(measured, facts) {
        println!("{:<100} {:>8.3} {:>8.3}  {}", aim.what, aim.is, aim.most, aim.verdict());
    }
}

fn aims(measured: &[Measured], facts: &Facts) -> Vec<Aim> {
    let case =
        |what: &str| measured.iter().find(|case| case.what == what).expect("it was measured");
    let caller = |what: &str| at(&case(what).caller, 0.5);
    let process = |what: &str| at(&case(what).total, 0.5);
    let share = |ours: &str, peer: &str, most: f64| {
        Aim::new(format!("{ours}: beside {peer}"), caller(ours) / caller(peer), most)
    };
    let mut aims = vec![
        share(RUN_TIME, FASTRACE, 1.0 / 6.0),
        share(RUN_TIME, OPENTELEMETRY, 1.0 / 6.0),
        Aim::new(format!("{RUN_TIME}: allocations"), case(RUN_TIME).allocations, 0.0),
        Aim::new(format!("{RUN_TIME}: bytes kept"), facts.bytes, 350.0),
    ];
    for (ours, peer, nanos) in
        [(LITERALS, FASTRACE_LITERALS, 150.0), (GUARDS, FASTRACE, 350.0), (BY_ID, FASTRACE, 400.0)]
    {
        aims.push(Aim::new(format!("{ours}: nanoseconds"), caller(ours), nanos));
        aims.push(share(ours, peer, nanos / FASTRACE_THERE));
    }
    aims.extend([
        Aim::new(format!("{OFF}: nanoseconds above the loop"), caller(OFF) - caller(EMPTY), 1.0),
        Aim::new(
            "CPU of the whole process, beside fastrace",
            process(RUN_TIME) / process(FASTRACE),
            0.25,
        ),
        Aim::new("two threads, beside one", facts.together / facts.alone, 1.15),
        Aim::new("two threads, beside two that share nothing", facts.together / facts.apart, 1.15),
        Aim::new(
            "a sink that takes nothing, beside one that does",
            facts.frozen / facts.alone,
            1.2,
        ),
    ]);
    aims
}
