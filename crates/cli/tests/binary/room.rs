//! A folder in which the binary runs, with nothing of the environment but what a test gives it.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use taximeter::{
    ErrorCategory, ErrorRecord, LlmCall, OperationRecord, Outcome, TokenUsage, ToolCall, ToolStatus,
};
use tempfile::TempDir;

/// Exit code, standard output and standard error.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) output: String,
    pub(crate) errors: String,
}

impl Said {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            output: String::from_utf8(output.stdout).unwrap(),
            errors: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Standard output, where all went well.
    pub(crate) fn well(self) -> String {
        assert_eq!((self.code, self.errors.as_str()), (0, ""), "{}", self.output);
        self.output
    }

    pub(crate) fn json(self) -> Value {
        assert_eq!(self.errors, "", "{}", self.output);
        serde_json::from_str(&self.output).unwrap_or_else(|why| panic!("{why}:\n{}", self.output))
    }
}

pub(crate) struct Room {
    pub(crate) folder: TempDir,
}

impl Room {
    /// An empty folder.
    pub(crate) fn empty() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// With a store of these records.
    pub(crate) fn of(records: &[OperationRecord]) -> Self {
        let room = Self::empty();
        room.write("operations.jsonl", &lines(records));
        room.run(&["import", "operations.jsonl"]).well();
        room
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The command, at home in the folder; its store is `data/metrics/taximeter.db` there.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_taximeter"));
        command.args(arguments).env_clear().env("HOME", self.folder.path());
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        Said::of(self.command(arguments).output().unwrap())
    }

    pub(crate) fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Said {
        let mut command = self.command(arguments);
        Said::of(command.envs(environment.iter().copied()).output().unwrap())
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        self.run(&[arguments, &["--json"]].concat()).json()
    }
}

pub(crate) fn lines(records: &[OperationRecord]) -> String {
    records.iter().fold(String::new(), |mut text, record| {
        writeln!(text, "{}", serde_json::to_string(record).unwrap()).unwrap();
        text
    })
}

/// Questions that began over some time before now, at even distances; of ten, one fails with its tool.
pub(crate) fn questions(count: u32, over: TimeDelta) -> Vec<OperationRecord> {
    let begun = Utc::now() - TimeDelta::minutes(2) - over;
    let step = over / i32::try_from(count).unwrap();
    (0..count).map(|at| question(at, begun + step * i32::try_from(at).unwrap())).collect()
}

fn question(at: u32, started_at: DateTime<Utc>) -> OperationRecord {
    let mut record = OperationRecord::new("qa_response");
    record.started_at = started_at;
    record.duration = Duration::from_millis(1_000 + u64::from(at % 7) * 100);
    record.user = Some(format!("user-{}", at % 3).into());
    record.add_component("retrieval", record.duration / 5);
    let failed = at % 10 == 3;
    let status = if failed { ToolStatus::Timeout } else { ToolStatus::Success };
    record.tool_calls.push(ToolCall::new("web_search", status).lasting(record.duration / 10));
    let model = if at.is_multiple_of(2) { "gpt-4o" } else { "gpt-4o-mini" };
    let usage = TokenUsage::inclusive(1_000, 100).cache_read(250).build().unwrap();
    let mut call = LlmCall::new("openai", model).using(usage);
    call.duration = Some(record.duration / 2);
    call.time_to_first_token = Some(record.duration / 8);
    record.llm_calls.push(call);
    if failed {
        record.outcome = Outcome::Failure;
        record.errors.push(ErrorRecord::new(ErrorCategory::Timeout, "no answer"));
    }
    record
}
