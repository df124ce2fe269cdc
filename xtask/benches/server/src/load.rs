//! The load: connections that each send the next request once the last one was acknowledged.

use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::client::Connection;
use crate::process::{Look, Served};
use crate::stamp::{Stamped, now};
use crate::tenths::{self, Sample};
use crate::{Options, megabytes, say};

/// What is sent.
struct Load<'o> {
    options: &'o Options,
    /// At least for so long, and at least so many operations.
    seconds: u64,
    operations: u64,
    /// Over which time it is spread; none where it is of now.
    spread: Option<Spread>,
    /// The number of the first request.
    first: u64,
}

/// When requests are of, in nanoseconds since 1970.
#[derive(Clone, Copy)]
struct Spread {
    begin: u64,
    step: u64,
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

const DAY: u64 = 86_400_000_000_000;

/// Sends as much as is taken; how many operations were acknowledged.
pub(crate) fn run(served: &Served, options: &Options) -> Result<u64, Box<dyn Error>> {
    let (seconds, operations) = (options.seconds, options.operations);
    // Numbers of their own, so that nothing is taken for what was there before.
    Load { options, seconds, operations, spread: None, first: 1 << 40 }.run(served, "load")
}

/// Fills the store with operations of many days; how many were acknowledged.
pub(crate) fn fill(served: &Served, options: &Options) -> Result<u64, Box<dyn Error>> {
    let each = Stamped::new(options.shape, 0).operations;
    let requests = options.fill.div_ceil(each).max(1);
    let time = options.days * DAY;
    let spread = Some(Spread { begin: now() - time, step: time / requests });
    Load { options, seconds: 0, operations: options.fill, spread, first: 0 }.run(served, "fill")
}

impl Load<'_> {
    fn run(&self, served: &Served, what: &str) -> Result<u64, Box<dyn Error>> {
        let counts = Counts { next: AtomicU64::new(self.first), ..Counts::default() };
        let (begun, first) = (Instant::now(), served.looked_at());
        let samples = std::thread::scope(|scope| {
            for number in 0..self.options.connections {
                let counts = &counts;
                scope.spawn(move || self.send(served, number, begun, counts));
            }
            let samples = self.watch(served, begun, first, &counts);
            counts.over.store(true, Ordering::Relaxed);
            samples
        });
        self.tell(what, &counts, begun.elapsed(), served.looked_at().cpu - first.cpu);
        tenths::tell(&samples, self.options.json);
        Ok(counts.operations.load(Ordering::Relaxed))
    }

    fn is_enough(&self, counts: &Counts) -> bool {
        counts.operations.load(Ordering::Relaxed) >= self.operations
    }

    fn tell(&self, what: &str, counts: &Counts, took: Duration, cpu: Duration) {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (spans, bytes) = (get(&counts.spans), get(&counts.bytes));
        let rate = spans as f64 / took.as_secs_f64();
        let each = cpu.as_secs_f64() * 1e6 / spans.max(1) as f64;
        let (refused, failed) = (get(&counts.refused), get(&counts.failed));
        say(
            self.options.json,
            &serde_json::json!({
                "what": what, "spans": spans, "seconds": took.as_secs_f64(), "spans_per_second": rate,
                "bytes_per_span": bytes / spans.max(1), "cpu_us_per_span": each, "refused": refused, "failed": failed,
            }),
            &format!(
                "{what}: {spans} spans of {} bytes in {:.0} s: {rate:.0} spans/s acknowledged, {each:.2} us of the server's CPU \
                 each (so at most {:.0} spans/s on two cores); {refused} requests refused, {failed} failed",
                bytes / spans.max(1),
                took.as_secs_f64(),
                2e6 / each,
            ),
        );
    }

    /// Prints what is so twenty times, or every few seconds where the end is not known, until it is over.
    fn watch(&self, served: &Served, begun: Instant, first: Look, counts: &Counts) -> Vec<Sample> {
        let every = match self.seconds {
            0 => Duration::from_secs(5),
            seconds => Duration::from_secs_f64(seconds as f64 / 20.0),
        };
        let (mut before, mut spans_before, mut cpu_before) = (Instant::now(), 0, first.cpu);
        let mut samples = Vec::new();
        loop {
            let left = Duration::from_secs(self.seconds).saturating_sub(begun.elapsed());
            if left.is_zero() && self.is_enough(counts) {
                return samples;
            }
            std::thread::sleep(if left.is_zero() { every } else { left.min(every) });
            let (look, spans) = (served.looked_at(), counts.spans.load(Ordering::Relaxed));
            let seconds = before.elapsed().as_secs_f64();
            let rate = (spans - spans_before) as f64 / seconds;
            let cores = (look.cpu - cpu_before).as_secs_f64() / seconds;
            (before, spans_before, cpu_before) = (Instant::now(), spans, look.cpu);
            let second = begun.elapsed().as_secs_f64();
            samples.push(Sample { seconds: second, spans, rss: look.rss });
            let (store, journal) =
                (served.bytes("taximeter.db"), served.bytes("taximeter.journal.db"));
            say(
                self.options.json,
                &serde_json::json!({
                    "what": "second", "second": second, "spans_per_second": rate, "cores": cores,
                    "rss_mb": megabytes(look.rss), "store_mb": megabytes(store), "journal_mb": megabytes(journal),
                }),
                &format!(
                    "{second:>5.0} s {rate:>9.0} spans/s {cores:>5.2} cores {:>7.1} MB of memory, store {:>7.0} MB, journal \
                     {:>6.0} MB",
                    megabytes(look.rss),
                    megabytes(store),
                    megabytes(journal),
                ),
            );
        }
    }

    fn send(&self, served: &Served, number: usize, begun: Instant, counts: &Counts) {
        let mut requests: Vec<_> =
            (0..4).map(|at| Stamped::new(self.options.shape, number * 4 + at)).collect();
        let mut connection = None;
        let mut turn = 0;
        let is_over =
            || counts.over.load(Ordering::Relaxed) || self.seconds == 0 && self.is_enough(counts);
        while !is_over() {
            if let Some(rate) = self.options.rate {
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
            let number = counts.next.fetch_add(1, Ordering::Relaxed);
            let sent = open.post(request.stamp(number, self.moment(number)));
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

    /// When the first span of a request begins.
    fn moment(&self, number: u64) -> u64 {
        match self.spread {
            Some(Spread { begin, step }) => (begin + (number - self.first) * step).min(now()),
            // The last span ended a second ago.
            None => now() - 3_000_000_000,
        }
    }
}
