//! Histories with something planted in them, and a receiver on this machine.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use taximeter::history::{History, Windows};
use taximeter::store::MemoryStore;
use taximeter::{
    CostOutcome, Currency, LlmCall, Money, OperationId, OperationRecord, Outcome, ReportedCost,
    TokenUsage, ToolCall, ToolStatus,
};
use taximeter_alerts::{Alerts, Rules};

pub(crate) fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// The day of the tests.
pub(crate) fn midnight() -> DateTime<Utc> {
    at("2026-11-23T00:00:00Z")
}

pub(crate) fn minutes(minutes: i64) -> TimeDelta {
    TimeDelta::minutes(minutes)
}

pub(crate) fn history(operations: Vec<OperationRecord>) -> History {
    let history = History::new(Arc::new(MemoryStore::summarizing(Arc::new(Windows))));
    history.append(operations).unwrap();
    history
}

pub(crate) fn operation(at: DateTime<Utc>) -> OperationRecord {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut operation = OperationRecord::new("qa_response");
    operation.id = OperationId::from_bits(u128::from(NEXT.fetch_add(1, Ordering::Relaxed)));
    operation.started_at = at;
    operation.duration = std::time::Duration::from_secs(1);
    operation
}

pub(crate) fn failed(at: DateTime<Utc>) -> OperationRecord {
    let mut operation = operation(at);
    operation.outcome = Outcome::Failure;
    operation
}

/// An operation with a call that costs so much; none is one whose price nobody knows.
pub(crate) fn costing(at: DateTime<Utc>, dollars: Option<&str>) -> OperationRecord {
    let mut operation = operation(at);
    let mut call = LlmCall::new("openai", "gpt-4o").using(TokenUsage::new(1_000, 100));
    call.cost = match dollars {
        Some(dollars) => CostOutcome::ProviderReported(ReportedCost {
            total: dollars.parse::<Money>().unwrap(),
            input: None,
            output: None,
            currency: Currency::USD,
        }),
        None => CostOutcome::UnknownModel { nearest: vec![] },
    };
    operation.llm_calls.push(call);
    operation
}

/// An operation with a call of a tool.
pub(crate) fn calling(at: DateTime<Utc>, tool: &str, is_well: bool) -> OperationRecord {
    let mut operation = operation(at);
    let status = if is_well { ToolStatus::Success } else { ToolStatus::Timeout };
    operation.tool_calls.push(ToolCall::new(tool, status));
    operation
}

pub(crate) fn rules(toml: &str) -> Rules {
    toml.parse().unwrap_or_else(|error| panic!("{error}\n{toml}"))
}

/// Looks every minute of a stretch, and gives what is to be told: the minute, the group, whether it fires.
pub(crate) fn told(alerts: &Alerts, from: DateTime<Utc>, looks: i64) -> Vec<(i64, String, bool)> {
    let mut told = Vec::new();
    let mut fires = std::collections::BTreeSet::new();
    for minute in 0..looks {
        // What is looked at is the whole minute, half a minute later.
        alerts.evaluate(from + minutes(minute) + TimeDelta::seconds(31)).unwrap();
        let now: std::collections::BTreeSet<String> = alerts
            .overview()
            .firing
            .into_iter()
            .map(|one| one.key.map_or_else(String::new, |key| key.to_string()))
            .collect();
        told.extend(now.difference(&fires).map(|key| (minute, key.clone(), true)));
        told.extend(fires.difference(&now).map(|key| (minute, key.clone(), false)));
        fires = now;
    }
    told
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(own, _)| own == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// What a receiver answers: a whole answer, or none, which resets the connection.
pub(crate) type Answer = Option<&'static str>;

/// A receiver that gives its answers one after the other, and the last one ever after.
pub(crate) struct Hook {
    pub(crate) address: std::net::SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

pub(crate) const OK: Answer = Some("HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n");

impl Hook {
    pub(crate) fn new(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let heard = Arc::clone(&requests);
        std::thread::spawn(move || {
            let answers = Mutex::new(answers);
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                serve(stream, &heard, &answers);
            }
        });
        Self { address, requests }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

/// One request of a connection, which is closed after its answer.
fn serve(mut stream: TcpStream, heard: &Mutex<Vec<Request>>, answers: &Mutex<Vec<Answer>>) {
    let Some(request) = read(&mut stream) else { return };
    heard.lock().unwrap().push(request);
    let mut answers = answers.lock().unwrap();
    let answer = if answers.len() > 1 { answers.remove(0) } else { answers[0] };
    drop(answers);
    if let Some(answer) = answer {
        let closing = answer.replacen("\r\n", "\r\nconnection: close\r\n", 1);
        let _ = stream.write_all(closing.as_bytes());
    }
}

fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4_096];
    loop {
        let length = stream.read(&mut piece).ok().filter(|length| *length > 0)?;
        bytes.extend_from_slice(&piece[..length]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let mut lines = head.lines();
        let path = lines.next()?.split(' ').nth(1)?.to_owned();
        let headers: Vec<_> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let request = Request { path, headers, body: body.to_owned() };
        if body.len() >= request.header("content-length").parse().unwrap_or(0) {
            return Some(request);
        }
    }
}
