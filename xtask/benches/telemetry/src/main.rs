//! What it costs to read OTLP, and spans of `tracing`: spans in, records out, on one core; and to render metrics for
//! Prometheus.
//!
//! Requests of 512 spans of about 800 bytes each are handed to a receiver, and the records are taken out of it; all of
//! it happens on the measuring thread, whose CPU time counts. Beside it stands what prost takes to build the same
//! requests as the structs of `opentelemetry-proto`, and does nothing with them. The cases take turns; the median of
//! the rounds counts. Nothing is printed before the records were compared with what was sent.
//!
//! Allocations are counted with the feature `allocations` alone, since to count them takes time where they are made.

mod input;
mod layer;
mod rendering;

use std::env;
use std::hint::black_box;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use cpu_time::{ProcessTime, ThreadTime};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use taximeter_telemetry::otlp::{Receiver, Request, Settings};

use crate::input::{Batch, SPANS, Shape};

/// Requests of a round.
const REQUESTS: usize = 20;

/// What must be reached on one core.
const BOUND: f64 = 150_000.0;

struct Case {
    what: &'static str,
    bound: Option<f64>,
    run: Box<dyn Fn() -> u64>,
    spans: u64,
    bytes_per_span: usize,
}

struct Measured {
    nanos: Vec<f64>,
    /// Of all threads of the process.
    of_all: Vec<f64>,
    /// How many there are for a span, and of how many bytes; none where they are not counted.
    allocations: Option<(f64, f64)>,
}

/// What must be reached, and whether it was.
struct Verdict {
    what: &'static str,
    reached: f64,
    bound: f64,
    is_met: bool,
}

fn main() {
    let json = env::args().any(|argument| argument == "--json");
    let rounds = if env::args().any(|argument| argument == "--quick") { 11 } else { 51 };
    let only = env::args().skip_while(|argument| argument != "--only").nth(1);
    // For a profiler: one case alone, by its name, and nothing else besides.
    if let Some(only) = only.as_deref().filter(|_| env::args().any(|said| said == "--once")) {
        let of_layer = layer::cases().into_iter().find(|case| case.what == only);
        let case = of_layer.or_else(|| cases().into_iter().find(|case| case.what == only));
        let case = case.expect("there is a case of that name");
        // As before every measurement: what is made once in a process is there.
        black_box((case.run)());
        return once(&case);
    }
    check();
    layer::check();
    let mut cases = cases();
    cases.extend(layer::cases());
    if let Some(only) = only {
        cases.retain(|case| case.what == only);
    }
    // For a profiler too.
    if env::args().any(|argument| argument == "--rendering") {
        rendering::run(json, rounds);
        return;
    }
    let measured = measure(&cases, rounds);
    if json {
        cases.iter().zip(&measured).for_each(|(case, measured)| print_json(case, measured));
    } else {
        print_table(&cases, &measured);
        println!("\nPrometheus out: CPU time of one core\n");
    }
    let rendering = rendering::run(json, rounds);
    let verdicts = [reading(&cases, &measured), spans(&cases, &measured), Some(rendering)];
    verdicts.iter().flatten().for_each(|verdict| verdict.print(json));
}

/// The slowest of the cases that have a bound.
fn reading(cases: &[Case], measured: &[Measured]) -> Option<Verdict> {
    let bounded = cases.iter().zip(measured).filter(|(case, _)| case.bound.is_some());
    let reached = bounded.map(|(_, measured)| 1e9 / at(&measured.nanos, 0.5)).reduce(f64::min)?;
    let what = "OTLP in: spans to records on one core, in a second, at least";
    Some(Verdict { what, reached, bound: BOUND, is_met: reached >= BOUND })
}

/// The layer beside the other one, in the same run.
fn spans(cases: &[Case], measured: &[Measured]) -> Option<Verdict> {
    let median = |what| {
        let at_case = cases.iter().position(|case| case.what == what)?;
        Some(at(&measured[at_case].nanos, 0.5))
    };
    let reached = median(layer::OURS)? / median(layer::THEIRS)?;
    let what = "layer of tracing: part of what tracing-opentelemetry takes, at most";
    Some(Verdict { what, reached, bound: layer::BOUND, is_met: reached <= layer::BOUND })
}

impl Verdict {
    fn print(&self, json: bool) {
        let Self { what, reached, bound, is_met } = self;
        if json {
            let line = serde_json::json!({ "bound": what, "reached": reached, "of": bound, "met": is_met });
            println!("{line}");
        } else {
            let met = if *is_met { "met" } else { "NOT MET" };
            println!("{what} {bound:.2}: {reached:.2}, {met}");
        }
    }
}

fn cases() -> Vec<Case> {
    let ours = |what, shape, content_type, gzip| {
        let batches: Vec<_> = (0..REQUESTS).map(|at| Batch::new(shape, at)).collect();
        let bytes_per_span = batches[0].protobuf.len() / SPANS;
        let bodies: Vec<_> = batches.iter().map(|batch| batch.body(content_type, gzip)).collect();
        let run = move || read(&bodies, content_type, gzip);
        Case {
            what,
            bound: Some(BOUND),
            run: Box::new(run),
            spans: (REQUESTS * SPANS) as u64,
            bytes_per_span,
        }
    };
    let batches: Vec<_> = (0..REQUESTS).map(|at| Batch::new(Shape::Calls, at)).collect();
    let bytes_per_span = batches[0].protobuf.len() / SPANS;
    let prost = move || {
        batches.iter().for_each(|batch| {
            let request = ExportTraceServiceRequest::decode(batch.protobuf.as_slice());
            drop(black_box(request.expect("it is what prost wrote")));
        });
        0
    };
    vec![
        ours("calls, protobuf", Shape::Calls, input::PROTOBUF, false),
        ours("calls, protobuf, gzip", Shape::Calls, input::PROTOBUF, true),
        Case { bound: None, ..ours("calls, JSON", Shape::Calls, input::JSON, false) },
        ours("agents with calls and tools, protobuf", Shape::Agents, input::PROTOBUF, false),
        Case {
            what: "prost alone: structs, and no records",
            bound: None,
            run: Box::new(prost),
            spans: (REQUESTS * SPANS) as u64,
            bytes_per_span,
        },
    ]
}

/// Hands the bodies to a receiver, and gives the tokens of all records that come out.
fn read(bodies: &[Vec<u8>], content_type: &str, gzip: bool) -> u64 {
    let mut now = DateTime::<Utc>::UNIX_EPOCH;
    let receiver = Receiver::new(Settings::default(), now);
    let mut tokens = 0;
    for body in bodies {
        let request = Request {
            method: "POST",
            path: "/v1/traces",
            content_type: Some(content_type),
            content_encoding: gzip.then_some("gzip"),
            body,
        };
        let response = receiver.handle(&request, now);
        assert_eq!(response.status, 200);
        now += TimeDelta::seconds(60);
        for record in receiver.take(now) {
            tokens += record.usage().total_tokens();
        }
    }
    tokens
}

fn check() {
    for shape in [Shape::Calls, Shape::Agents] {
        for (content_type, gzip) in
            [(input::PROTOBUF, false), (input::PROTOBUF, true), (input::JSON, false)]
        {
            let batches = [Batch::new(shape, 0), Batch::new(shape, 1)];
            let bodies: Vec<_> =
                batches.iter().map(|batch| batch.body(content_type, gzip)).collect();
            let sent: u64 = batches.iter().map(|batch| batch.tokens).sum();
            assert_eq!(read(&bodies, content_type, gzip), sent, "tokens in and out");
        }
    }
}

fn measure(cases: &[Case], rounds: usize) -> Vec<Measured> {
    for case in cases {
        black_box((case.run)());
    }
    let mut measured: Vec<_> = cases
        .iter()
        .map(|_| Measured { nanos: Vec::new(), of_all: Vec::new(), allocations: None })
        .collect();
    for _ in 0..rounds {
        for (case, measured) in cases.iter().zip(&mut measured) {
            let (all, start) = (ProcessTime::now(), ThreadTime::now());
            black_box((case.run)());
            measured.nanos.push(nanos(start.elapsed()) / case.spans as f64);
            measured.of_all.push(nanos(all.elapsed()) / case.spans as f64);
        }
    }
    for (case, measured) in cases.iter().zip(&mut measured) {
        measured.allocations = allocations(case);
        measured.nanos.sort_by(f64::total_cmp);
        measured.of_all.sort_by(f64::total_cmp);
    }
    measured
}

#[cfg(feature = "allocations")]
fn allocations(case: &Case) -> Option<(f64, f64)> {
    let counted = allocation_counter::measure(|| {
        black_box((case.run)());
    });
    let of_span = |count: u64| count as f64 / case.spans as f64;
    Some((of_span(counted.count_total), of_span(counted.bytes_total)))
}

#[cfg(not(feature = "allocations"))]
fn allocations(_: &Case) -> Option<(f64, f64)> {
    None
}

/// One case, once: for who counts instructions (`valgrind --tool=callgrind --toggle-collect=bench_telemetry::once`).
#[inline(never)]
fn once(case: &Case) {
    black_box((case.run)());
}

fn nanos(time: Duration) -> f64 {
    time.as_nanos() as f64
}

fn at(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}

fn print_json(case: &Case, measured: &Measured) {
    let median = at(&measured.nanos, 0.5);
    println!(
        "{}",
        serde_json::json!({
            "case": case.what,
            "bytes_per_span": case.bytes_per_span,
            "ns_per_span": median,
            "ns_per_span_least": measured.nanos[0],
            "ns_per_span_of_all_threads": at(&measured.of_all, 0.5),
            "ns_per_span_p90": at(&measured.nanos, 0.9),
            "spans_per_second": 1e9 / median,
            "bound": case.bound,
            "allocations": measured.allocations.map(|(count, _)| count),
            "bytes": measured.allocations.map(|(_, bytes)| bytes),
        })
    );
}

fn print_table(cases: &[Case], measured: &[Measured]) {
    println!("OTLP in, and spans of tracing: CPU time of one core, to records\n");
    println!(
        "{:<46} {:>7} {:>9} {:>16} {:>11} {:>10} {:>9} {:>7} {:>7}",
        "case",
        "B/span",
        "ns/span",
        "[least..p90]",
        "all threads",
        "spans/s",
        "bound",
        "allocs",
        "bytes"
    );
    for (case, measured) in cases.iter().zip(measured) {
        let median = at(&measured.nanos, 0.5);
        let (allocations, bytes) = measured.allocations.map_or_else(
            || ("-".to_owned(), "-".to_owned()),
            |(count, bytes)| (format!("{count:.1}"), format!("{bytes:.0}")),
        );
        println!(
            "{:<46} {:>7} {:>9.0} {:>16} {:>11.0} {:>10.0} {:>9} {:>7} {:>7}",
            case.what,
            case.bytes_per_span,
            median,
            format!("[{:.0}..{:.0}]", measured.nanos[0], at(&measured.nanos, 0.9)),
            at(&measured.of_all, 0.5),
            1e9 / median,
            case.bound.map_or_else(String::new, |bound| format!("{bound:.0}")),
            allocations,
            bytes,
        );
    }
}
