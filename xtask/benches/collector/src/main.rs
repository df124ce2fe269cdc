//! What recording an operation costs: the caller's CPU time, that of the whole process, allocations, bytes kept.
//!
//! The *standard operation*: start, with a run-time name and two keys of metadata; three components; two calls of tools
//! with two keys each; one token usage; end. All cases take turns in one process; a round is a chunk of operations and
//! a flush, so that no peer has a reason to lose any; the median of the rounds counts. Nothing is printed of ours
//! before records were read back and compared with what went in.
//!
//! `--only CASE TIMES` records one case so many times and nothing else, for a profiler to look at.

mod aims;
mod facts;
mod ours;
mod peers;

use std::env;
use std::time::Duration;

use cpu_time::{ProcessTime, ThreadTime};

/// How many operations lie between two flushes.
const CHUNK: usize = 1_000;

/// What an operation is made of: texts that only the run knows. The forms with literal names use the values alone.
pub(crate) struct Input {
    pub(crate) name: String,
    pub(crate) words: Words<String>,
    pub(crate) user: String,
    pub(crate) urls: [String; 2],
    pub(crate) number: u64,
}

/// The names and keys of an operation's parts.
pub(crate) struct Words<T> {
    pub(crate) components: [T; 3],
    pub(crate) tools: [T; 2],
    pub(crate) user: T,
    pub(crate) number: T,
    pub(crate) url: T,
    pub(crate) hits: T,
    pub(crate) provider: T,
    pub(crate) model: T,
}

pub(crate) const WORDS: Words<&str> = Words {
    components: ["retrieval", "prompt_build", "llm_inference"],
    tools: ["web_search", "vector_db"],
    user: "user_id",
    number: "number",
    url: "url",
    hits: "hits",
    provider: "openai",
    model: "gpt-4",
};

impl Words<&str> {
    fn owned(&self) -> Words<String> {
        let owned = |text: &str| std::hint::black_box(text).to_owned();
        Words {
            components: self.components.map(owned),
            tools: self.tools.map(owned),
            user: owned(self.user),
            number: owned(self.number),
            url: owned(self.url),
            hits: owned(self.hits),
            provider: owned(self.provider),
            model: owned(self.model),
        }
    }
}

const NAMES: [&str; 8] = [
    "qa_response",
    "summarise",
    "ingest_docs",
    "rerank_hits",
    "chat_turn",
    "plan_steps",
    "embed_batch",
    "route_query",
];

fn inputs() -> Vec<Input> {
    let url = |number: usize| format!("https://api.example.com/v1/q/{}", number % 10);
    NAMES
        .iter()
        .enumerate()
        .map(|(number, name)| Input {
            name: std::hint::black_box(*name).to_owned(),
            words: WORDS.owned(),
            user: format!("user-{number:07}"),
            urls: [url(number), url(number + 1)],
            number: number as u64 + 1_000,
        })
        .collect()
}

/// One way to record the standard operation.
pub(crate) struct Case {
    pub(crate) what: &'static str,
    pub(crate) record: Box<dyn Fn(&Input)>,
    pub(crate) flush: Box<dyn Fn()>,
    /// Spans, records or series that it kept for an operation, as a word.
    pub(crate) kept: &'static str,
}

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
    let mut cases = ours::cases();
    cases.extend(peers::cases());
    let measured = measure(&cases, rounds);
    if json {
        measured.iter().for_each(print_json);
    } else {
        print_table(&measured);
        aims::print(&measured, &facts::find(&inputs()));
    }
}

/// Records the case of a name so many times, and nothing else: for a profiler to look at.
fn only(what: &str, times: usize) {
    let (cases, inputs) = (ours::cases().into_iter().chain(peers::cases()), inputs());
    let case = cases.into_iter().find(|case| case.what == what).expect("a case of this name");
    (0..times).for_each(|number| (case.record)(&inputs[number % inputs.len()]));
    (case.flush)();
}

fn measure(cases: &[Case], rounds: usize) -> Vec<Measured> {
    let inputs = inputs();
    let mut measured: Vec<_> = cases
        .iter()
        .map(|case| Measured {
            what: case.what,
            kept: case.kept,
            caller: Vec::new(),
            total: Vec::new(),
            allocations: 0.0,
            bytes: 0.0,
        })
        .collect();
    let chunk = |case: &Case| {
        for number in 0..CHUNK {
            (case.record)(&inputs[number % inputs.len()]);
        }
    };
    for case in cases {
        (0..5).for_each(|_| {
            chunk(case);
            (case.flush)();
        });
    }
    for _ in 0..rounds {
        for (case, measured) in cases.iter().zip(&mut measured) {
            let (total, caller) = (ProcessTime::now(), ThreadTime::now());
            chunk(case);
            measured.caller.push(nanos(caller.elapsed()));
            (case.flush)();
            measured.total.push(nanos(total.elapsed()));
        }
    }
    for (case, measured) in cases.iter().zip(&mut measured) {
        let counted = allocation_counter::measure(|| chunk(case));
        (case.flush)();
        measured.allocations = counted.count_total as f64 / CHUNK as f64;
        measured.bytes = counted.bytes_total as f64 / CHUNK as f64;
        measured.caller.sort_by(f64::total_cmp);
        measured.total.sort_by(f64::total_cmp);
    }
    measured
}

fn nanos(time: Duration) -> f64 {
    time.as_nanos() as f64 / CHUNK as f64
}

pub(crate) fn at(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}

fn print_json(case: &Measured) {
    println!(
        "{}",
        serde_json::json!({
            "case": case.what,
            "kept": case.kept,
            "caller_ns": at(&case.caller, 0.5),
            "caller_ns_least": case.caller[0],
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
            format!("[{:.0}..{:.0}]", case.caller[0], at(&case.caller, 0.9)),
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
         them. Compare run-time strings with run-time strings, literals with literals.\n"
    );
}
