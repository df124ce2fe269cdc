//! A real Prometheus scrapes what we show, an alert rule of ours fires into a real Alertmanager.
//!
//! The programs are Debian's packages `prometheus` and `prometheus-alertmanager`; where they are not here, the tests say that
//! they are skipped. Everything listens on loopback, and is ended by its own handle.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use taximeter_models::{
    CostOutcome, Currency, ErrorCategory, ErrorRecord, LlmCall, Money, OperationRecord, Outcome,
    ReportedCost, TokenUsage, ToolCall, ToolStatus,
};
use taximeter_telemetry::metrics::{Instruments, collected};
use taximeter_telemetry::prometheus::{Format, answer, render};

/// A process that is ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(program: &str, arguments: &[String]) -> Option<Running> {
    let mut command = Command::new(program);
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    match command.spawn() {
        Ok(child) => Some(Running(child)),
        Err(error) => {
            println!("skipped: {program} cannot be started: {error}");
            None
        }
    }
}

/// A port that was free just now.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn money(text: &str) -> CostOutcome {
    let total: Money = text.parse().unwrap();
    let currency = Currency::USD;
    CostOutcome::ProviderReported(ReportedCost { total, input: None, output: None, currency })
}

/// An operation that touches every metric.
fn operation(at: u64) -> OperationRecord {
    let mut operation = OperationRecord::new("ask");
    if at % 2 == 1 {
        operation.metadata.insert("gen_ai.agent.name".into(), "helper".into());
    }
    operation.duration = Duration::from_millis(100 + at);
    operation.add_component("search", Duration::from_millis(7));
    if at.is_multiple_of(3) {
        operation.outcome = Outcome::Failure;
        operation.errors.push(ErrorRecord::new(ErrorCategory::RateLimit, "slow down"));
    }
    operation
        .tool_calls
        .push(ToolCall::new("lookup", ToolStatus::Success).lasting(Duration::from_millis(3)));
    let usage = TokenUsage::inclusive(1_200, 350).cache_read(200).build().unwrap();
    let mut call = LlmCall::new("openai", "gpt-4o").using(usage).lasting(Duration::from_secs(2));
    call.time_to_first_token = Some(Duration::from_millis(300));
    let buckets: Vec<u64> = (0..15).collect();
    let waited = serde_json::json!({ "buckets": buckets, "sum_ns": 1_500_000_000_u64 });
    call.metadata.insert("time_per_output_chunk".into(), waited);
    call.cost = money("1.234567890123");
    operation.llm_calls.push(call);
    let mut refused = LlmCall::new("openai", "gpt-0").lasting(Duration::from_millis(20));
    refused.error = Some(ErrorRecord::new(ErrorCategory::RateLimit, "slow down"));
    operation.llm_calls.push(refused);
    operation
}

/// Answers scrapes on loopback until the process ends.
fn serve(instruments: Arc<Mutex<Instruments>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            scrape(&mut stream.unwrap(), &instruments);
        }
    });
    port
}

fn scrape(stream: &mut TcpStream, instruments: &Mutex<Instruments>) {
    let (mut request, mut buffer) = (Vec::new(), [0; 4_096]);
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(read) if read > 0 => request.extend_from_slice(&buffer[..read]),
            _ => return,
        }
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let accept = request.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("accept").then(|| value.trim().to_owned())
    });
    let instruments = instruments.lock().unwrap();
    let lost = collected([("stored", 5), ("queue_full", 0)]);
    let families = instruments.families().chain([&lost]);
    let (content_type, body) = answer(accept.as_deref(), families);
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
}

fn get(url: &str) -> Option<Value> {
    let mut response = ureq::get(url).call().ok()?;
    response.body_mut().read_json().ok()
}

/// Asks again and again, for a minute.
fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < until, "{what} did not come");
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn query(prometheus: u16, query: &str) -> Option<f64> {
    let url = format!("http://127.0.0.1:{prometheus}/api/v1/query?query={query}");
    get(&url)?["data"]["result"][0]["value"][1].as_str()?.parse().ok()
}

fn configure(directory: &Path, ours: u16, alertmanager: u16) -> String {
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/prometheus/rules.yml");
    let config = format!(
        "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\n\
         rule_files: ['{rules}']\n\
         scrape_configs:\n- job_name: taximeter\n  static_configs: [{{ targets: ['127.0.0.1:{ours}'] }}]\n\
         alerting:\n  alertmanagers: [{{ static_configs: [{{ targets: ['127.0.0.1:{alertmanager}'] }}] }}]\n"
    );
    let path = directory.join("prometheus.yml");
    std::fs::write(&path, config).unwrap();
    path.display().to_string()
}

#[test]
fn prometheus_sums_what_we_sum_and_an_alert_fires() {
    let directory = tempfile::tempdir().unwrap();
    let instruments = Arc::new(Mutex::new(Instruments::default()));
    let ours = serve(Arc::clone(&instruments));
    let (port, alerts) = (free_port(), free_port());

    let route = directory.path().join("alertmanager.yml");
    std::fs::write(&route, "route: { receiver: none }\nreceivers: [{ name: none }]\n").unwrap();
    let at = |name: &str| directory.path().join(name).display().to_string();
    let Some(_alertmanager) = start(
        "prometheus-alertmanager",
        &[
            format!("--config.file={}", route.display()),
            format!("--web.listen-address=127.0.0.1:{alerts}"),
            format!("--storage.path={}", at("alerts")),
            "--cluster.listen-address=".into(),
        ],
    ) else {
        return;
    };
    let Some(_prometheus) = start(
        "prometheus",
        &[
            format!("--config.file={}", configure(directory.path(), ours, alerts)),
            format!("--web.listen-address=127.0.0.1:{port}"),
            format!("--storage.tsdb.path={}", at("tsdb")),
        ],
    ) else {
        return;
    };

    let mut count = 0_u64;
    let name = wait_for("the alert", || {
        instruments.lock().unwrap().observe(&operation(count));
        count += 1;
        let found = get(&format!("http://127.0.0.1:{alerts}/api/v2/alerts"))?;
        let names = found.as_array()?.iter().map(|alert| alert["labels"]["alertname"].clone());
        names.into_iter().find(|name| name == "LlmSpendHigh")
    });
    assert_eq!(name, "LlmSpendHigh");

    #[expect(clippy::cast_precision_loss, reason = "it is small")]
    let operations = count as f64;
    wait_for("the last scrape", || {
        let told = query(port, "sum(taximeter_operation_duration_seconds_count)")?;
        (told == operations).then_some(())
    });
    let sums = [
        ("sum(taximeter_cost_USD_total)", operations * 1.234_567_890_123),
        ("sum(gen_ai_client_token_usage_sum{gen_ai_token_type=\"input\"})", operations * 1_200.0),
        ("sum(taximeter_tokens_total{taximeter_unit=\"cache_read\"})", operations * 200.0),
        ("sum(taximeter_llm_calls_total{taximeter_price=\"pending\"})", operations),
        ("sum(gen_ai_execute_tool_duration_seconds_count)", operations),
        ("sum(gen_ai_client_operation_time_per_output_chunk_seconds_sum)", operations * 1.5),
        ("sum({__name__=~\"gen_ai_invoke_(agent|workflow)_duration_seconds_count\"})", operations),
    ];
    for (asked, expected) in sums {
        let told = query(port, &asked.replace('{', "%7B").replace('}', "%7D").replace('"', "%22"));
        let told = told.unwrap_or_else(|| panic!("{asked} has no answer"));
        assert!((told - expected).abs() <= expected * 1e-12, "{asked}: {told}, not {expected}");
    }
}

fn shown() -> String {
    let mut instruments = Instruments::default();
    for at in [0, 1] {
        instruments.observe(&operation(at));
    }
    let lost = collected([("stored", 5), ("queue_full", 0)]);
    render(instruments.families().chain([&lost]), Format::Text)
}

#[test]
fn promtool_finds_nothing_to_say() {
    let child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => return println!("skipped: promtool cannot be started: {error}"),
    };
    child.stdin.take().unwrap().write_all(shown().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn rules_and_dashboard_name_only_what_is_shown() {
    let text = shown();
    let samples: BTreeSet<_> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    let labels: BTreeSet<_> = text
        .split(['{', ','])
        .filter_map(|label| label.split_once("=\"").map(|(name, _)| name))
        .collect();
    for (what, document) in [
        ("the rules", include_str!("../../../../docs/prometheus/rules.yml")),
        ("the dashboard", include_str!("../../../../docs/grafana/taximeter.json")),
    ] {
        let words = document.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        let ours = words.filter(|word| {
            (word.starts_with("taximeter_") || word.starts_with("gen_ai_")) && word.len() > 10
        });
        let mut count = 0;
        for word in ours {
            count += 1;
            assert!(samples.contains(word) || labels.contains(word), "{what} name {word}");
        }
        assert!(count > 20, "{count} names in {what}");
    }
}
