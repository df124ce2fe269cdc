//! Clients of others: OpenTelemetry's SDK for Python, and rotel as a collector between it, us and our receiver.
//!
//! They are Python packages (`opentelemetry-sdk`, `opentelemetry-exporter-otlp-proto-http`,
//! `opentelemetry-exporter-otlp-proto-grpc`, `opentelemetry-exporter-otlp-json-http`, `rotel`); `TAXIMETER_PYTHON` names a Python that has them, by default
//! `python3`. Where it has not, the tests say that they are skipped.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use taximeter::{OperationRecord, ToolStatus, Unit};

use crate::grpc;
use crate::server::{Server, failures};
use crate::whole::{arrived, meter_and_exporter};

const SOON: Duration = Duration::from_secs(60);

fn python() -> String {
    std::env::var("TAXIMETER_PYTHON").unwrap_or_else(|_| "python3".into())
}

/// What a piece of Python prints; none where it has not what it needs, which is said.
fn has(module: &str, prints: &str) -> Option<String> {
    let code = format!("import {module}; print({prints})");
    let output = Command::new(python()).args(["-c", &code]).stderr(Stdio::null()).output().ok();
    let output = output.filter(|output| output.status.success());
    if output.is_none() {
        println!("skipped: {} has no {module}", python());
    }
    Some(String::from_utf8(output?.stdout).unwrap().trim().to_owned())
}

/// Lets the SDK emit to that address, in that form; gives what it told.
fn emitted(url: &str, form: &str) -> Option<Vec<Told>> {
    let package = if form == "grpc" { "proto.grpc".to_owned() } else { format!("{form}.http") };
    has(&format!("opentelemetry.exporter.otlp.{package}.trace_exporter"), "''")?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/emit.py");
    let output = Command::new(python()).args([script, url, form]).output().unwrap();
    Some(Told::read_all(&output))
}

/// One agent with its call and its tool, as the script tells of it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Told {
    trace: String,
    pub(crate) input: u64,
    pub(crate) output: u64,
    /// In dollars, to the last digit.
    cost: String,
    tools: usize,
    failed_tools: usize,
}

impl Told {
    fn read(line: &str) -> Self {
        let told: serde_json::Value = serde_json::from_str(line).unwrap();
        let number = |key: &str| told[key].as_u64().unwrap();
        let count = |key: &str| usize::try_from(number(key)).unwrap();
        Self {
            trace: told["trace"].as_str().unwrap().to_owned(),
            input: number("input"),
            output: number("output"),
            cost: told["cost"].to_string(),
            tools: count("tools"),
            failed_tools: count("failed_tools"),
        }
    }

    /// All that a script printed, in one order.
    pub(crate) fn read_all(output: &Output) -> Vec<Self> {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = std::str::from_utf8(&output.stdout).unwrap();
        let mut told: Vec<_> = text.lines().map(Self::read).collect();
        told.sort();
        told
    }

    fn of(record: &OperationRecord) -> Self {
        let usage = record.usage();
        assert_eq!((usage.get(Unit::CacheRead), usage.get(Unit::Reasoning)), (100, 5));
        assert_eq!(record.name, "invoke_agent helper");
        let failed = record.tool_calls.iter().filter(|call| call.status != ToolStatus::Success);
        Self {
            trace: record.trace_id.to_string(),
            input: usage.input_tokens(),
            output: usage.output_tokens(),
            cost: record.cost().usd().to_string(),
            tools: record.tool_calls.len(),
            failed_tools: failed.count(),
        }
    }

    /// What a server took, in one order.
    pub(crate) fn taken(server: &Server) -> Vec<Self> {
        Self::all(&server.records())
    }

    pub(crate) fn all(records: &[OperationRecord]) -> Vec<Self> {
        let mut told: Vec<_> = records.iter().map(Self::of).collect();
        told.sort();
        told
    }
}

#[test]
fn the_sdk_for_python_is_read_to_the_last_token_whatever_fails_on_the_way() {
    for form in ["proto", "json"] {
        for script in failures() {
            let server = Server::start(script.clone());
            let Some(told) = emitted(&format!("{}/v1/traces", server.url), form) else { break };
            assert_eq!((told.len(), Told::taken(&server)), (50, told), "{form}: {script:?}");
            let content = server.came()[0].header("content-type").unwrap().to_owned();
            assert!(
                content.contains(if form == "json" { "json" } else { "protobuf" }),
                "{content}"
            );
        }
    }
}

#[test]
fn so_it_is_over_grpc() {
    use grpc::Does;

    for script in [
        vec![],
        vec![Does::Says(14, Some(1))],
        vec![Does::Says(14, None), Does::Says(15, None)],
        vec![Does::Says(8, Some(1))],
        vec![Does::Resets],
        vec![Does::TakesAndResets],
    ] {
        let server = grpc::Server::start(script.clone());
        let Some(told) = emitted(&server.url, "grpc") else { break };
        assert_eq!((told.len(), Told::all(&server.records())), (50, told), "{script:?}");
        let agent = server.came()[0].header("user-agent").unwrap().to_owned();
        assert!(agent.contains("Python"), "{agent}");
    }
}

/// A collector between a client and a server of ours; it is ended with its value.
struct Rotel(Child, SocketAddr);

impl Rotel {
    fn start(to: &str) -> Option<Self> {
        let file = PathBuf::from(has("rotel", "rotel.__file__")?).with_file_name("rotel-agent");
        if !file.exists() {
            println!("skipped: rotel came without its agent");
            return None;
        }
        let [http, grpc] = [free(), free()];
        let child = Command::new(file)
            .args(["start", "--exporter", "otlp", "--otlp-exporter-protocol", "http"])
            .args(["--otlp-exporter-endpoint", to, "--batch-timeout", "200ms"])
            .args([
                "--otlp-http-endpoint",
                &http.to_string(),
                "--otlp-grpc-endpoint",
                &grpc.to_string(),
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let rotel = Self(child, http);
        wait(|| TcpStream::connect(http).is_ok());
        Some(rotel)
    }

    fn url(&self) -> String {
        format!("http://{}", self.1)
    }
}

impl Drop for Rotel {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn wait(until: impl Fn() -> bool) {
    let begun = Instant::now();
    while !until() {
        assert!(begun.elapsed() < SOON, "it does not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_collector_between_the_sdk_and_us_loses_nothing() {
    let server = Server::start([]);
    let Some(rotel) = Rotel::start(&server.url) else { return };
    let Some(told) = emitted(&format!("{}/v1/traces", rotel.url()), "proto") else { return };
    wait(|| server.spans_taken() == 150);
    assert_eq!(Told::taken(&server), told);
}

#[test]
fn what_goes_out_by_a_collector_comes_back_as_it_was() {
    let server = Server::start([]);
    let Some(rotel) = Rotel::start(&server.url) else { return };
    let (meter, exporter) = meter_and_exporter(&rotel.url());
    meter.flush(SOON).unwrap();
    assert!(exporter.flush(SOON));
    assert_eq!(
        (exporter.counts().sent, exporter.counts().metrics_lost),
        (80, 0),
        "{:?}",
        exporter.counts()
    );
    let mut sent = meter.recent(80);
    sent.sort_by_key(|record| record.id);
    let spans: usize = sent
        .iter()
        .map(|record| {
            1 + record.tool_calls.len() + record.llm_calls.len() + record.components.len()
        })
        .sum();
    wait(|| server.spans_taken() == spans as u64);
    assert_eq!(server.records(), sent.into_iter().map(arrived).collect::<Vec<_>>());
    wait(|| server.came().iter().any(|came| came.path == "/v1/metrics"));
}
