//! What it costs to render metrics for Prometheus: 10,000 series, in both formats.

use std::hint::black_box;
use std::time::Duration;

use cpu_time::ThreadTime;
use taximeter_models::{LlmCall, OperationRecord, TokenUsage, ToolCall, ToolStatus};
use taximeter_telemetry::metrics::Instruments;
use taximeter_telemetry::prometheus::{Format, render};

use crate::{Verdict, at, nanos};

/// What must be reached for 10,000 series.
const BOUND_MILLIS: f64 = 10.0;
/// Lines with a value, which a scraper takes for a series each.
const SERIES: usize = 10_000;

/// Instruments that show so many series, and one of the texts.
fn instruments() -> (Instruments, usize) {
    let mut instruments = Instruments::default();
    let mut series = 0;
    for number in 0.. {
        let mut operation = OperationRecord::new(format!("operation {}", number % 40));
        operation.id = taximeter_models::OperationId::from_bits(7 << 76 | u128::from(number + 1));
        operation.trace_id = operation.id.into();
        operation.duration = Duration::from_millis(number % 900);
        operation.add_component(
            format!("component {}", number % 25),
            Duration::from_millis(number % 70),
        );
        let tool = ToolCall::new(format!("tool {number}"), ToolStatus::Success);
        operation.tool_calls.push(tool.lasting(Duration::from_millis(number % 500)));
        let mut call = LlmCall::new("openai", format!("model-{}", number % 60))
            .using(TokenUsage::new(number * 7, number));
        call.duration = Some(Duration::from_millis(number % 5_000));
        operation.llm_calls.push(call);
        instruments.observe(&operation);
        let text = render(instruments.families(), Format::Text);
        series = text.lines().filter(|line| !line.starts_with('#')).count();
        if series >= SERIES {
            break;
        }
    }
    (instruments, series)
}

/// Says the longest median of both formats.
pub(crate) fn run(json: bool, rounds: usize) -> Verdict {
    let (instruments, series) = instruments();
    let mut longest = 0.0_f64;
    for (what, format) in [("text 0.0.4", Format::Text), ("OpenMetrics 1.0", Format::OpenMetrics)] {
        let mut millis: Vec<_> = (0..rounds)
            .map(|_| {
                let start = ThreadTime::now();
                black_box(render(black_box(&instruments).families(), format));
                nanos(start.elapsed()) / 1e6 * SERIES as f64 / series as f64
            })
            .collect();
        millis.sort_by(f64::total_cmp);
        let bytes = render(instruments.families(), format).len();
        let (median, p90) = (at(&millis, 0.5), at(&millis, 0.9));
        longest = longest.max(median);
        if json {
            let line = serde_json::json!({
                "case": format!("render {SERIES} series as {what}"), "ms": median, "ms_least": millis[0],
                "ms_p90": p90, "bound_ms": BOUND_MILLIS, "bytes": bytes, "series": series,
            });
            println!("{line}");
        } else {
            println!(
                "{SERIES} series as {what:<16} {median:>6.2} ms [{:.2}..{p90:.2}], at most {BOUND_MILLIS}; {bytes} bytes",
                millis[0]
            );
        }
    }
    Verdict {
        what: "Prometheus: 10,000 series rendered, milliseconds",
        reached: longest,
        bound: BOUND_MILLIS,
        is_met: longest <= BOUND_MILLIS,
    }
}
