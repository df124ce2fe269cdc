//! The text for Prometheus, read by the strict parsers of `prometheus_client`: whatever the labels hold comes back.
//!
//! The parsers are those of the Python package `prometheus-client`; `TAXIMETER_PYTHON` names a Python that has it, by
//! default `python3`. Where it has not, the tests say that they are skipped.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::float_cmp,
    reason = "a test that meets with an error shall panic, one that is skipped shall say so, and sums of whole numbers are exact"
)]

mod hostile;
mod scraped;

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use taximeter_models::{
    ErrorCategory, LlmCall, OperationRecord, TokenUsage, ToolCall, ToolStatus, TraceId,
};
use taximeter_telemetry::metrics::{Amount, Family, Instruments, Kind, Labels, Scale};
use taximeter_telemetry::prometheus::{Format, render};

/// The samples of a text: name, labels, value. None where the parsers are not here.
fn parsed(text: &str, format: Format) -> Option<Vec<Sample>> {
    let python = std::env::var("TAXIMETER_PYTHON").unwrap_or_else(|_| "python3".into());
    let has_it = Command::new(&python)
        .args(["-c", "import prometheus_client.openmetrics.parser"])
        .stderr(Stdio::null())
        .status();
    if !has_it.is_ok_and(|status| status.success()) {
        println!("skipped: {python} has no prometheus_client");
        return None;
    }
    let format = if format == Format::OpenMetrics { "openmetrics" } else { "classic" };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/prometheus/parse.py");
    let mut child = Command::new(&python)
        .args([script, format])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // It reads all before it writes anything, so neither waits for the other.
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the parser of {format} refuses it:\n{text:.2000}");
    let lines = String::from_utf8(output.stdout).unwrap();
    Some(lines.lines().map(|line| serde_json::from_str(line).unwrap()).map(Sample).collect())
}

/// What the script prints: family, type, name, labels, value, exemplar.
struct Sample(Value);

impl Sample {
    fn name(&self) -> &str {
        self.0[2].as_str().unwrap()
    }

    fn label(&self, name: &str) -> Option<&str> {
        self.0[3][name].as_str()
    }

    fn value(&self) -> f64 {
        self.0[4].as_str().unwrap().parse().unwrap()
    }
}

const FORMATS: [Format; 2] = [Format::Text, Format::OpenMetrics];

#[test]
fn every_hostile_label_comes_back_as_it_went_in() {
    let extended = std::env::var_os("TAXIMETER_EXTENDED").is_some();
    let (rounds, each) = if extended { (100, 10_000) } else { (1, 5_000) };
    for round in 0..rounds {
        let mut family =
            Family::new("calls", "{call}", "C:\\ \"a\"\nb", Kind::Counter, Scale::Whole)
                .limit(usize::MAX);
        let mut expected = BTreeMap::<(String, String), f64>::new();
        for at in 0..each {
            let (who, what) = (hostile::text(round * each + at), hostile::text(at * 31 + round));
            let labels = Labels::new([("who", who.as_str()), ("what", what.as_str())]);
            family.record(&labels, Amount::whole(at), None);
            #[expect(clippy::cast_precision_loss, reason = "it is small")]
            let amount = at as f64;
            *expected.entry((who, what)).or_default() += amount;
        }
        // A million label sets take a parser a minute; the two read side by side.
        let (family, expected) = (&family, &expected);
        std::thread::scope(|scope| {
            for format in FORMATS {
                scope.spawn(move || comes_back(family, format, expected));
            }
        });
    }
}

/// The parser of that format reads every label set, with its value.
fn comes_back(family: &Family, format: Format, expected: &BTreeMap<(String, String), f64>) {
    let Some(samples) = parsed(&render([family], format), format) else { return };
    assert_eq!(samples.len(), expected.len());
    for sample in samples {
        let of = |name| sample.label(name).unwrap_or_default().to_owned();
        let key = (of("who"), of("what"));
        assert_eq!(expected.get(&key), Some(&sample.value()), "{key:?} in {format:?}");
    }
}

fn busy() -> Instruments {
    let mut instruments = Instruments::default();
    for at in 0..1_000_u64 {
        let mut operation = OperationRecord::new(["ask", "index \"it\""][(at % 2) as usize]);
        operation.trace_id = TraceId::from_bits(u128::from(at) + 1);
        operation.id = taximeter_models::OperationId::from_bits(u128::from(at) + 1);
        operation.duration = Duration::from_micros(997 * at);
        operation.add_component("search", Duration::from_millis(at));
        operation
            .tool_calls
            .push(ToolCall::new("lookup", ToolStatus::Success).lasting(Duration::from_nanos(at)));
        operation.tool_calls.push(
            ToolCall::new("lookup", ToolStatus::Failure)
                .failed_with(ErrorCategory::RateLimit, "slow down")
                .lasting(Duration::from_secs(at)),
        );
        let call = LlmCall::new("openai", "gpt-4o").using(TokenUsage::new(at, 2 * at));
        operation.llm_calls.push(call.lasting(Duration::from_millis(at)));
        instruments.observe(&operation);
    }
    instruments
}

#[test]
fn sums_of_the_exposition_are_those_of_the_records() {
    let instruments = busy();
    for format in FORMATS {
        let Some(samples) = parsed(&render(instruments.families(), format), format) else { return };
        let sum = |name: &str, labels: &[(&str, &str)]| -> f64 {
            let wanted = samples.iter().filter(|sample| {
                let fits = |(name, value): &(&str, &str)| sample.label(name) == Some(*value);
                sample.name() == name && labels.iter().all(fits)
            });
            wanted.map(Sample::value).sum()
        };
        let usage = "gen_ai_client_token_usage_sum";
        assert_eq!(sum(usage, &[("gen_ai_token_type", "input")]), 499_500.0);
        assert_eq!(sum(usage, &[("gen_ai_token_type", "output")]), 999_000.0);
        assert_eq!(sum("taximeter_operation_duration_seconds_count", &[]), 1_000.0);
        assert!((sum("taximeter_operation_duration_seconds_sum", &[]) - 498.0015).abs() < 1e-9);
        let refused = [("gen_ai_tool_name", "lookup"), ("error_type", "rate_limit")];
        assert_eq!(sum("gen_ai_execute_tool_duration_seconds_sum", &refused), 499_500.0);
        assert_eq!(sum("taximeter_llm_calls_total", &[("taximeter_price", "pending")]), 1_000.0);
        // What has no price is in no sum of money, and has no series there.
        assert!(samples.iter().all(|sample| !sample.name().starts_with("taximeter_cost")));
    }
}

#[test]
fn traces_stand_beside_buckets_in_openmetrics_only() {
    let instruments = busy();
    let classic = render(instruments.families(), Format::Text);
    assert!(!classic.contains("trace_id"));
    let open = render(instruments.families(), Format::OpenMetrics);
    let Some(samples) = parsed(&open, Format::OpenMetrics) else { return };
    let with = samples.iter().filter(|sample| !sample.0[5].is_null()).count();
    assert!(with > 10, "{with} exemplars");
    for sample in samples.iter().filter(|sample| !sample.0[5].is_null()) {
        assert!(sample.name().ends_with("_bucket") || sample.name().ends_with("_total"));
        assert_eq!(sample.0[5]["labels"]["trace_id"].as_str().map(str::len), Some(32));
        assert_eq!(sample.0[5]["labels"]["span_id"].as_str().map(str::len), Some(16));
    }
}

#[test]
fn ten_thousand_series_are_within_one_exposition() {
    let mut family = Family::new("wait", "s", "Waits.", Kind::Gauge, Scale::Nanos).limit(10_001);
    for at in 0..10_000_u64 {
        let labels = Labels::new([("at", at.to_string())]);
        family.record(&labels, Amount::time(Duration::from_nanos(at)), None);
    }
    let text = render([&family], Format::Text);
    assert_eq!(text.lines().count(), 10_002);
    assert!(text.contains("wait_seconds{at=\"9999\"} 0.000009999\n"));
}
