//! A store in a folder of its own, filled by the command line with a RAG application whose truth is known.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use taximeter::{
    ErrorCategory, ErrorRecord, LlmCall, Money, OperationId, OperationRecord, Outcome, PriceBook,
    TokenUsage, ToolCall, ToolStatus, Totals,
};
use tempfile::TempDir;

/// Exit code, standard output and standard error.
pub(super) type Said = (u8, String, String);

pub(super) fn run(arguments: &[&str]) -> Said {
    run_with(arguments, "")
}

pub(super) fn run_with(arguments: &[&str], input: &str) -> Said {
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let all = std::iter::once("taximeter").chain(arguments.iter().copied());
    let code = taximeter_cli::run(all, &mut input.as_bytes(), &mut output, &mut errors);
    (code, String::from_utf8(output).unwrap(), String::from_utf8(errors).unwrap())
}

/// A RAG application: questions over some days, of which the last tenth is slower, fails more often and has version 2.
pub(super) fn planted(count: u32, over: TimeDelta) -> Vec<OperationRecord> {
    let now = Utc::now() - TimeDelta::minutes(2);
    (0..count)
        .map(|at| {
            question(
                at,
                count,
                now - over * i32::try_from(count - at).unwrap() / i32::try_from(count).unwrap(),
            )
        })
        .collect()
}

fn question(at: u32, count: u32, started_at: DateTime<Utc>) -> OperationRecord {
    let late = at >= count - count / 10;
    let mut record =
        OperationRecord::new(if at.is_multiple_of(5) { "index_documents" } else { "qa_response" });
    let millis = u128::from(started_at.timestamp_millis().unsigned_abs());
    record.id =
        OperationId::from_bits(millis << 80 | 0x7abc << 64 | 2 << 62 | u128::from(at * 7_919));
    record.trace_id = record.id.into();
    record.started_at = started_at;
    let noise = u64::from(at * 2_654_435 % 997);
    record.duration = Duration::from_millis((1_000 + noise) * if late { 2 } else { 1 });
    record.add_component("document_retrieval", record.duration / 5);
    record.add_component("llm_inference", record.duration / 2);
    record.user = Some(format!("user-{}", at % 7).into());
    record.session = Some(format!("session-{}", at / 6).into());
    record.tags.insert("version".into(), if late { "2" } else { "1" }.into());
    let failed = at % if late { 3 } else { 50 } == 1;
    let status = if failed { ToolStatus::Timeout } else { ToolStatus::Success };
    record.tool_calls.push(ToolCall::new("web_search", status).lasting(record.duration / 10));
    let (provider, model) = match at % 20 {
        7 => ("nobody", "mystery-1"),
        even if even % 2 == 0 => ("openai", "gpt-4o"),
        _ => ("openai", "gpt-4o-mini"),
    };
    let input = 500 + u64::from(at % 333);
    let usage = TokenUsage::inclusive(input, 40 + u64::from(at % 91)).cache_read(input / 3);
    let mut call = LlmCall::new(provider, model).using(usage.build().unwrap());
    call.duration = Some(record.duration / 2);
    call.time_to_first_token = Some(record.duration / 8);
    call.finish_reason = Some(if at.is_multiple_of(9) { "length" } else { "stop" }.into());
    record.llm_calls.push(call);
    if failed {
        record.outcome = Outcome::Failure;
        record.errors.push(ErrorRecord::new(ErrorCategory::Timeout, "no answer"));
    }
    record
}

/// The totals as they must be: every call priced by the embedded book at its moment.
pub(super) fn truth(records: &[OperationRecord]) -> Totals {
    let mut priced = records.to_vec();
    for record in &mut priced {
        let at = record.started_at;
        for call in &mut record.llm_calls {
            call.cost = PriceBook::embedded().price_call(call, at);
        }
    }
    Totals::of(&priced)
}

pub(super) fn lines(records: &[OperationRecord]) -> String {
    records.iter().fold(String::new(), |mut text, record| {
        writeln!(text, "{}", serde_json::to_string(record).unwrap()).unwrap();
        text
    })
}

/// A folder with a store that was filled by `taximeter import`.
pub(super) struct Room {
    folder: TempDir,
    pub(super) records: Vec<OperationRecord>,
}

impl Room {
    pub(super) fn new(records: Vec<OperationRecord>) -> Self {
        let room = Self { folder: tempfile::tempdir().unwrap(), records };
        fs::write(room.path("operations.jsonl"), lines(&room.records)).unwrap();
        let (code, output, errors) =
            room.ask(&["import", room.path("operations.jsonl").to_str().unwrap()]);
        assert_eq!(code, 0, "{output}{errors}");
        room
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn store(&self) -> String {
        self.path("store").to_str().unwrap().to_owned()
    }

    pub(super) fn ask(&self, arguments: &[&str]) -> Said {
        run(&[arguments, &["--store", &self.store()]].concat())
    }

    pub(super) fn json(&self, arguments: &[&str]) -> Value {
        let (code, output, errors) = self.ask(&[arguments, &["--json"]].concat());
        assert!(errors.is_empty(), "{arguments:?} ends with {code}: {errors}");
        serde_json::from_str(&output).unwrap_or_else(|why| panic!("{arguments:?}: {why}\n{output}"))
    }
}

pub(super) fn money(value: &Value) -> Money {
    value.as_str().unwrap_or_else(|| panic!("{value} is no exact text")).parse().unwrap()
}
