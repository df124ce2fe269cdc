//! What recording an operation costs: the caller's CPU time, that of the whole process, allocations, bytes kept.
//!
//! All cases take turns in one process; a round is a chunk of operations and a flush, so that no peer has a reason to lose
//! any; the median of the rounds counts, and of what is compared the median of the quotients within a round. The CPU of the
//! process is that until all its threads rest. Rounds count from when a meter keeps as many of the last operations as it ever
//! will; what it costs to come there is told apart. Nothing is printed of ours before records were read back and compared with what
//! went in. The allocator of this process is the system's own: to count is dearer than to allocate, and would be added to the
//! times of who allocates. So allocations are counted in a process of their own, `bench-collector-allocations`.
//!
//! `--only CASE TIMES` records one case so many times and nothing else, for a profiler to look at.

mod aims;
mod facts;
mod frozen;
mod threads;
mod turns;

use std::collections::BTreeMap;
use std::env;
use std::process::Command;

use bench_collector::{CHUNK, Case, cases, inputs, ours};

use crate::turns::at;

/// Of a case, the nanoseconds for an operation, round by round.
pub(crate) struct Measured {
    pub(crate) what: &'static str,
    pub(crate) kept: &'static str,
    pub(crate) caller: Vec<f64>,
    pub(crate) total: Vec<f64>,
    pub(crate) allocations: f64,
    pub(crate) bytes: f64,
}

fn main() {
    let mut arguments = env::args().skip_while(|argument| argument != "--only").skip(1);
    if let Some(what) = arguments.next() {
        let times = arguments.next().map_or(CHUNK, |times| times.parse().expect("a number"));
        return only(&what, times);
    }
    let json = env::args().any(|argument| argument == "--json");
    let rounds = if env::args().any(|argument| argument == "--quick") { 40 } else { 200 };
    ours::check(&inputs());
    let cases = cases();
    let measured = measure(&cases, rounds, &allocations());
    if json {
        measured.iter().for_each(print_json);
    } else {
        print_table(&measured);
        aims::print(&measured, &facts::find(&cases, &inputs()));
    }
}

/// Records the case of a name so many times, as in a round, and nothing else: for a profiler to look at.
fn only(what: &str, times: usize) {
    let inputs = inputs();
    let case = cases().into_iter().find(|case| case.what == what).expect("a case of this name");
    for _ in 0..times.div_ceil(CHUNK) {
        case.chunk(&inputs);
        (case.flush)();
    }
}

/// Allocations and their bytes for an operation, by case, as the process beside this one counts them.
fn allocations() -> BTreeMap<String, [f64; 2]> {
    let name = format!("bench-collector-allocations{}", env::consts::EXE_SUFFIX);
    let counts = env::current_exe().expect("it runs").with_file_name(name);
    let counted = Command::new(&counts).output();
    let counted = counted.unwrap_or_else(|error| panic!("starting {}: {error}", counts.display()));
    assert!(counted.status.success(), "{} failed: {counted:?}", counts.display());
    serde_json::from_slice(&counted.stdout).expect("it prints JSON and nothing else")
}

fn measure(cases: &[Case], rounds: usize, counted: &BTreeMap<String, [f64; 2]>) -> Vec<Measured> {
    let inputs = inputs();
    let mut measured: Vec<_> = cases
        .iter()
        .map(|case| {
            let [allocations, bytes] = counted[case.what];
            let (caller, total) = (Vec::new(), Vec::new());
            Measured { what: case.what, kept: case.kept, caller, total, allocations, bytes }
        })
        .collect();
    cases.iter().for_each(|case| case.warm_up(&inputs));
    for _ in 0..rounds {
        for (case, measured) in cases.iter().zip(&mut measured) {
            let [caller, total] = case.measured(&inputs);
            measured.caller.push(caller);
            measured.total.push(total);
        }
    }
    measured
}

fn print_json(case: &Measured) {
    println!(
        "{}",
        serde_json::json!({
            "case": case.what,
            "kept": case.kept,
            "caller_ns": at(&case.caller, 0.5),
            "caller_ns_least": at(&case.caller, 0.0),
            "caller_ns_p90": at(&case.caller, 0.9),
            "total_ns": at(&case.total, 0.5),
            "allocations": case.allocations,
            "bytes": case.bytes,
        })
    );
}

fn print_table(measured: &[Measured]) {
    let first = at(&measured[0].caller, 0.5);
    println!("CPU time for one standard operation, nanoseconds; ratios to the first line\n");
    println!(
        "{:<44} {:>7} {:>17} {:>6} {:>8} {:>7} {:>8}  kept",
        "case", "caller", "[least..p90]", "ratio", "process", "allocs", "bytes"
    );
    for case in measured {
        let caller = at(&case.caller, 0.5);
        println!(
            "{:<44} {:>7.0} {:>17} {:>6.2} {:>8.0} {:>7.2} {:>8.0}  {}",
            case.what,
            caller,
            format!("[{:.0}..{:.0}]", at(&case.caller, 0.0), at(&case.caller, 0.9)),
            caller / first,
            at(&case.total, 0.5),
            case.allocations,
            case.bytes,
            case.kept,
        );
    }
    println!(
        "\nThe caller of fastrace and OpenTelemetry gets an id and two timestamps for each of six spans; ours gets one \
         pair of ids, and five timestamps (three of them the caller's own, in the line with durations) or twelve (with \
         guards). metrics and the tracing registry keep no operation at all.\nRun-time strings: names, keys and values are \
         texts that only the run knows. Ours borrows them; fastrace and OpenTelemetry take them as texts of their own or \
         as literals, so there each is a String, which is the cheapest that they offer for it. With literal names, known \
         at the call site, only the values are such; ours takes them by the same calls, and the compiler makes numbers of \
         them. Compare run-time strings with run-time strings, literals with literals.\nA record put together and copied is \
         five readings of the clock, 264 bytes written and copied once, and nothing that a user would have of it: no bounds, \
         no counts, no price, no reader.\nTimes are of a process with the \
         system's allocator. Allocations and their bytes were counted in another one, in which no time was taken: to count \
         costs some nanoseconds each, which only those would pay who allocate.\n"
    );
}
