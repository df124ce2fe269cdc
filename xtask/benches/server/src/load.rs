//! The load: connections that each send the next request once the last one was acknowledged.

use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::client::Connection;
use crate::process::{Look, Served};
use crate::stamp::Stamped;
use crate::{Options, megabytes, say};

/// What was acknowledged.
#[derive(Default)]
pub(crate) struct Sent {
    pub(crate) operations: u64,
}

#[derive(Default)]
struct Counts {
    next: AtomicU64,
    spans: AtomicU64,
    operations: AtomicU64,
    bytes: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    over: AtomicBool,
}

/// How often is looked.
const EVERY: Duration = Duration::from_secs(5);

pub(crate) fn run(served: &Served, options: &Options) -> Result<Sent, Box<dyn Error>> {
    let counts = Counts::default();
    let (begun, first) = (Instant::now(), served.looked_at());
    std::thread::scope(|scope| {
        for number in 0..options.connections {
            let counts = &counts;
            scope.spawn(move || send(served, options, number, begun, counts));
        }
        watch(served, options, begun, first, &counts);
        counts.over.store(true, Ordering::Relaxed);
    });
    let (took, last) = (begun.elapsed(), served.looked_at());
    let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let (spans, bytes) = (get(&counts.spans), get(&counts.bytes));
    let cpu = (last.cpu - first.cpu).as_secs_f64();
    let rate = spans as f64 / took.as_secs_f64();
    let each = cpu * 1e6 / spans.max(1) as f64;
    let (refused, failed) = (get(&counts.refused), get(&counts.failed));
    say(
        options.json,
        &serde_json::json!({
            "what": "load", "spans": spans, "seconds": took.as_secs_f64(), "spans_per_second": rate,
            "bytes_per_span": bytes / spans.max(1), "cpu_us_per_span": each, "refused": refused, "failed": failed,
        }),
        &format!(
            "{spans} spans of {} bytes in {:.0} s: {rate:.0} spans/s acknowledged, {each:.2} us of the server's CPU each (so at \
             most {:.0} spans/s on two cores); {refused} requests refused, {failed} failed",
            bytes / spans.max(1),
            took.as_secs_f64(),
            2e6 / each,
        ),
    );
    Ok(Sent { operations: get(&counts.operations) })
}

/// Prints what is so every few seconds, until it is over.
fn watch(served: &Served, options: &Options, begun: Instant, first: Look, counts: &Counts) {
    let (mut before, mut spans_before, mut cpu_before) = (Instant::now(), 0, first.cpu);
    loop {
        let left = Duration::from_secs(options.seconds).saturating_sub(begun.elapsed());
        let enough = counts.operations.load(Ordering::Relaxed) >= options.operations;
        if left.is_zero() && enough {
            return;
        }
        std::thread::sleep(if left.is_zero() { EVERY } else { left.min(EVERY) });
        let (look, spans) = (served.looked_at(), counts.spans.load(Ordering::Relaxed));
        let seconds = before.elapsed().as_secs_f64();
        let rate = (spans - spans_before) as f64 / seconds;
        let cores = (look.cpu - cpu_before).as_secs_f64() / seconds;
        (before, spans_before, cpu_before) = (Instant::now(), spans, look.cpu);
        let (store, journal) = (served.bytes("taximeter.db"), served.bytes("taximeter.journal.db"));
        say(
            options.json,
            &serde_json::json!({
                "what": "second", "second": begun.elapsed().as_secs_f64(), "spans_per_second": rate, "cores": cores,
                "rss_mb": megabytes(look.rss), "store_mb": megabytes(store), "journal_mb": megabytes(journal),
            }),
            &format!(
                "{:>5.0} s {rate:>9.0} spans/s {cores:>5.2} cores {:>7.1} MB of memory, store {:>7.0} MB, journal {:>6.0} MB",
                begun.elapsed().as_secs_f64(),
                megabytes(look.rss),
                megabytes(store),
                megabytes(journal),
            ),
        );
    }
}

fn send(served: &Served, options: &Options, number: usize, begun: Instant, counts: &Counts) {
    let mut requests: Vec<_> =
        (0..4).map(|at| Stamped::new(options.shape, number * 4 + at)).collect();
    let mut connection = None;
    let mut turn = 0;
    while !counts.over.load(Ordering::Relaxed) {
        if let Some(rate) = options.rate {
            let due = counts.spans.load(Ordering::Relaxed) as f64 / rate as f64;
            let early = Duration::from_secs_f64(due).saturating_sub(begun.elapsed());
            std::thread::sleep(early.min(Duration::from_secs(1)));
        }
        if connection.is_none() {
            connection = Connection::open(served.otlp).ok();
        }
        let Some(open) = &mut connection else {
            std::thread::sleep(Duration::from_millis(50));
            continue;
        };
        turn = (turn + 1) % requests.len();
        let request = &mut requests[turn];
        let sent = open.post(request.stamp(counts.next.fetch_add(1, Ordering::Relaxed)));
        match sent {
            Ok(200) => {
                counts.spans.fetch_add(request.spans, Ordering::Relaxed);
                counts.operations.fetch_add(request.operations, Ordering::Relaxed);
                counts.bytes.fetch_add(request.bytes(), Ordering::Relaxed);
            }
            Ok(_) => {
                counts.refused.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(100));
            }
            Err(_) => {
                counts.failed.fetch_add(1, Ordering::Relaxed);
                connection = None;
            }
        }
    }
}
