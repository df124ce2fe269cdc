//! A server in a temporary folder, and what is sent to it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use taximeter::history::{History, Windows};
use taximeter::store::SqliteStore;
use taximeter_server::{Config, Server};

pub(crate) fn here(port: u16) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)
}

/// A server over the store of a folder, on ports that are free; traces are whole after half a second.
pub(crate) fn config(folder: &Path) -> Config {
    let store = SqliteStore::at(folder).summarize(Arc::new(Windows)).open().unwrap();
    let mut config = Config::new(History::new(Arc::new(store)));
    config.journal = Some(folder.join("journal.db"));
    config.page = here(0);
    config.otlp = vec![here(0)];
    config.receiver.window.settle = Duration::from_millis(500);
    config.receiver.window.wait = Duration::from_millis(500);
    config
}

/// A server that runs on a runtime of its own, so that tests may wait.
pub(crate) struct Running {
    runtime: tokio::runtime::Runtime,
    server: Option<Server>,
    pub(crate) page: SocketAddr,
    pub(crate) otlp: SocketAddr,
}

impl Running {
    pub(crate) fn start(config: Config) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let server = runtime.block_on(Server::start(config)).unwrap();
        let (page, otlp) = (server.page(), server.otlp().first().copied().unwrap_or(here(0)));
        Self { runtime, server: Some(server), page, otlp }
    }

    pub(crate) fn get(&self, path: &str) -> String {
        let mut response = agent().get(format!("http://{}{path}", self.page)).call().unwrap();
        response.body_mut().read_to_string().unwrap()
    }

    pub(crate) fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.get(path)).unwrap()
    }

    /// Sends spans, and gives the status.
    pub(crate) fn send(&self, spans: &[Value]) -> u16 {
        send(self.otlp, spans)
    }

    pub(crate) fn shutdown(mut self) {
        if let Some(server) = self.server.take() {
            self.runtime.block_on(server.shutdown());
        }
    }
}

pub(crate) fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder().http_status_as_error(false);
    config.timeout_global(Some(Duration::from_secs(60))).build().into()
}

pub(crate) fn send(otlp: SocketAddr, spans: &[Value]) -> u16 {
    let body = json!({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).to_string();
    let request = agent().post(format!("http://{otlp}/v1/traces"));
    request
        .header("content-type", "application/json")
        .send(&body)
        .map_or(0, |r| r.status().as_u16())
}

/// A call of an LLM, of 100 tokens, as a trace of its own.
pub(crate) fn chat(trace: u64, attributes: &[(&str, &str)]) -> Value {
    let now = chrono::Utc::now().timestamp_nanos_opt().unwrap();
    let mut all = vec![
        json!({"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}}),
        json!({"key": "gen_ai.usage.input_tokens", "value": {"intValue": "90"}}),
        json!({"key": "gen_ai.usage.output_tokens", "value": {"intValue": "10"}}),
    ];
    let told = |key: &&str| attributes.iter().any(|(one, _)| one == key);
    for (key, value) in [("gen_ai.provider.name", "openai"), ("gen_ai.request.model", "gpt-4o")] {
        if !told(&key) {
            all.push(json!({"key": key, "value": {"stringValue": value}}));
        }
    }
    for (key, value) in attributes {
        all.push(json!({"key": key, "value": {"stringValue": value}}));
    }
    json!({
        "traceId": format!("{:032x}", u128::from(trace) + 1), "spanId": format!("{:016x}", trace + 1),
        "name": "chat gpt-4o", "attributes": all,
        "startTimeUnixNano": (now - 1_000_000_000).to_string(), "endTimeUnixNano": now.to_string(),
    })
}

/// Waits until something is so; a slow machine is no failure.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(120), "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Sends bytes as they are, and gives what is answered.
pub(crate) fn raw(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}
