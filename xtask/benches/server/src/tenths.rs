//! What was so over the time of the load, in tenths: whether it stays as it is, or something grows.

use crate::{megabytes, say};

/// What was seen at one time.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) seconds: f64,
    pub(crate) spans: u64,
    pub(crate) rss: u64,
}

/// One tenth of the time.
struct Tenth {
    spans_per_second: f64,
    rss: u64,
}

/// Tells of each tenth of what was seen, and of the last against the second: the first fills what is empty.
pub(crate) fn tell(samples: &[Sample], json: bool) {
    let tenths = tenths(samples);
    let (Some(second), Some(last)) = (tenths.get(1), tenths.last()) else { return };
    let rates: Vec<_> = tenths.iter().map(|tenth| tenth.spans_per_second.round()).collect();
    let memory: Vec<_> = tenths.iter().map(|tenth| megabytes(tenth.rss).round()).collect();
    let rate = last.spans_per_second / second.spans_per_second.max(1.0);
    let grown = megabytes(last.rss) - megabytes(second.rss);
    say(
        json,
        &serde_json::json!({
            "what": "tenths", "spans_per_second": rates, "rss_mb": memory, "last_rate_against_second": rate,
            "last_rss_mb_beyond_second": grown,
        }),
        &format!(
            "by tenths, spans/s: {rates:?}\nby tenths, at most MB: {memory:?}\nthe last tenth has {:.0} % of the spans/s of the \
             second, and {grown:+.0} MB",
            100.0 * rate
        ),
    );
}

fn tenths(samples: &[Sample]) -> Vec<Tenth> {
    let whole = samples.last().map_or(0.0, |sample| sample.seconds);
    let mut before = Sample { seconds: 0.0, spans: 0, rss: 0 };
    let mut tenths = Vec::new();
    for number in 1..=10 {
        // The clock is not looked at to the millisecond.
        let end = whole * f64::from(number) / 10.0 + 0.05;
        let within = samples
            .iter()
            .filter(|sample| sample.seconds > before.seconds && sample.seconds <= end);
        let Some(last) = within.clone().next_back() else { continue };
        tenths.push(Tenth {
            spans_per_second: (last.spans - before.spans) as f64 / (last.seconds - before.seconds),
            rss: within.map(|sample| sample.rss).max().unwrap_or(0),
        });
        before = *last;
    }
    tenths
}
