//! How soon the pages are there over a store that is full.

use std::error::Error;
use std::time::Instant;

use crate::process::Served;
use crate::{megabytes, millis, say};

/// The pages, from the first screen to a filter by a key of which no sums are kept.
const PATHS: [&str; 9] = [
    "/?since=24h",
    "/?since=30d",
    "/operations?since=24h",
    "/operations?since=24h&order=slowest",
    "/costs?since=24h&by=model",
    "/costs?since=24h&by=session",
    "/?since=24h&only=llm=openai/gpt-4o-mini",
    "/trends?since=24h",
    "/health?since=24h",
];

/// Each page is asked for so often; the first time and the median of the others count.
const TIMES: usize = 5;

pub(crate) fn run(served: &Served, operations: u64, json: bool) -> Result<(), Box<dyn Error>> {
    for path in PATHS {
        let mut times = Vec::new();
        let mut bytes = 0;
        for _ in 0..TIMES {
            let begun = Instant::now();
            bytes = served.get(path)?.len() as u64;
            times.push(millis(begun.elapsed()));
        }
        let first = times.remove(0);
        times.sort_by(f64::total_cmp);
        let again = times[times.len() / 2];
        say(
            json,
            &serde_json::json!({
                "what": "page", "path": path, "operations": operations, "first_ms": first, "again_ms": again, "bytes": bytes,
            }),
            &format!(
                "{path:<44} {first:>8.0} ms at first, {again:>7.0} ms again, {:.2} MB, over {operations} operations",
                megabytes(bytes)
            ),
        );
    }
    Ok(())
}
