//! How soon the pages are there over a store that is full.

use std::time::Instant;

use crate::process::Served;
use crate::{megabytes, millis, say};

/// The pages, from the first screen to filters by what sums are kept of, and by keys of which none are.
const PATHS: [(&str, &str); 13] = [
    ("first screen", "/?"),
    ("by sums", "/operations?"),
    ("by sums", "/operations?order=slowest&"),
    ("by sums", "/costs?by=model&"),
    ("by sums", "/costs?by=operation&"),
    ("by sums", "/llms?"),
    ("by sums", "/trends?"),
    ("by sums", "/health?"),
    ("by sums", "/?only=llm=openai/gpt-4o-mini&"),
    ("by sums", "/?only=operation=chat%20gpt-4o-mini&"),
    ("by another key", "/costs?by=session&"),
    ("by another key", "/?only=session=conv_5j66UpCpwteGg4YS00000007&"),
    ("by another key", "/?only=metadata:otlp.scope=nothing&"),
];

/// Each page is asked for so often; the first time and the median of the others count.
const TIMES: usize = 5;

/// Asks for the pages of so many days.
pub(crate) fn run(served: &Served, operations: u64, days: u64, json: bool) {
    for (what, path) in PATHS {
        let path = &format!("{path}since={days}d");
        let (mut times, mut bytes) = (Vec::new(), 0);
        for _ in 0..TIMES {
            let begun = Instant::now();
            match served.get(path) {
                Ok(page) => bytes = page.len() as u64,
                // The others are asked for all the same.
                Err(error) => {
                    say(
                        json,
                        &serde_json::json!({"what": "page", "path": path, "error": error.to_string()}),
                        &error.to_string(),
                    );
                    break;
                }
            }
            times.push(millis(begun.elapsed()));
        }
        if times.len() < TIMES {
            continue;
        }
        let first = times.remove(0);
        times.sort_by(f64::total_cmp);
        let again = times[times.len() / 2];
        let rss = megabytes(served.looked_at().rss);
        say(
            json,
            &serde_json::json!({
                "what": "page", "kind": what, "path": path, "operations": operations, "first_ms": first, "again_ms": again, "bytes": bytes,
                "rss_mb": rss,
            }),
            &format!(
                "{what:<14} {path:<58} {first:>8.0} ms at first, {again:>7.0} ms again, {:.2} MB, over {operations} operations; {rss:.0} MB of memory",
                megabytes(bytes)
            ),
        );
    }
}
