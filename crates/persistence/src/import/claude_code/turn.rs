//! One turn of a Claude Code session: from a prompt to the end of what was done for it.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use taximeter_models::{
    ErrorCategory, ErrorRecord, LlmCall, OperationId, OperationRecord, Outcome, ToolCall,
    ToolStatus, TraceId,
};

use crate::import::id::{hash, operation_id};

/// The reasons to stop after which a turn does not go on by itself.
const FINAL_REASONS: &[&str] = &["end_turn", "stop_sequence", "max_tokens", "refusal"];

/// A turn as far as it was read.
pub(super) struct Turn {
    /// Its name: that of a turn, or of a sub-agent's work.
    name: &'static str,
    /// The id of the line with which it begins, for where no reply gives it an id.
    uuid: String,
    began: DateTime<Utc>,
    pub(super) last: DateTime<Utc>,
    pub(super) session: Option<String>,
    pub(super) tags: Vec<(&'static str, String)>,
    pub(super) version: Option<String>,
    pub(super) parent: Option<(OperationId, TraceId)>,
    replies: Vec<Reply>,
    tools: Vec<Tool>,
    /// Where replies are, by their keys, and tools, by the hashes of their ids.
    places: HashMap<u64, usize>,
    pub(super) errors: Vec<ErrorRecord>,
    pub(super) interrupted: bool,
    /// Whether the reply that came last is an error of the API.
    pub(super) failed: bool,
}

/// A call of an LLM in a turn.
pub(super) struct Reply {
    /// The hash of its ids; none for attempts that failed, and for what an advisor was asked.
    pub(super) key: Option<u64>,
    /// Its ids in the source.
    pub(super) id: [String; 2],
    pub(super) tokens: u64,
    pub(super) call: LlmCall,
}

/// A call of a tool in a turn.
pub(super) struct Tool {
    pub(super) call: ToolCall,
    pub(super) answered: bool,
}

impl Turn {
    /// A turn in which nothing was done yet.
    pub(super) fn new(name: &'static str, uuid: String, began: DateTime<Utc>) -> Self {
        Self {
            name,
            uuid,
            began,
            last: began,
            session: None,
            tags: Vec::new(),
            version: None,
            parent: None,
            replies: Vec::new(),
            tools: Vec::new(),
            places: HashMap::new(),
            errors: Vec::new(),
            interrupted: false,
            failed: false,
        }
    }

    /// The id: by the first reply, which copies of the turn in other files have too; else by its first line.
    pub(super) fn id(&self) -> OperationId {
        let reply = self.replies.iter().find(|reply| reply.key.is_some());
        match reply {
            Some(reply) => operation_id(self.began, &["claude-code", &reply.id[0], &reply.id[1]]),
            None => operation_id(self.began, &["claude-code", &self.uuid]),
        }
    }

    pub(super) fn trace_id(&self) -> TraceId {
        self.parent.map_or_else(|| self.id().into(), |(_, trace)| trace)
    }

    /// Whether anything was done in it: a prompt without an answer is no operation.
    pub(super) fn is_empty(&self) -> bool {
        self.replies.is_empty() && self.tools.is_empty() && self.errors.is_empty()
    }

    /// How many calls it holds.
    pub(super) fn calls(&self) -> usize {
        self.replies.len() + self.tools.len()
    }

    pub(super) fn add_reply(&mut self, reply: Reply) {
        self.places.extend(reply.key.map(|key| (key, self.replies.len())));
        self.replies.push(reply);
    }

    pub(super) fn has_reply(&self, key: u64) -> bool {
        self.places.contains_key(&key)
    }

    pub(super) fn reply(&mut self, key: u64) -> Option<&mut Reply> {
        self.replies.get_mut(*self.places.get(&key)?)
    }

    /// Adds a call of a tool, unless it is there: a line of a reply may be written twice.
    pub(super) fn add_tool(&mut self, id: &str, tool: Tool) {
        if id.is_empty() || !self.has_tool(id) {
            self.places.insert(tool_key(id), self.tools.len());
            self.tools.push(tool);
        }
    }

    pub(super) fn has_tool(&self, id: &str) -> bool {
        self.places.contains_key(&tool_key(id))
    }

    pub(super) fn tool(&mut self, id: &str) -> Option<&mut Tool> {
        self.tools.get_mut(*self.places.get(&tool_key(id))?)
    }

    /// Whether it is at its end, as far as its log tells.
    pub(super) fn is_finished(&self) -> bool {
        let reason = self.replies.last().and_then(|reply| reply.call.finish_reason.as_deref());
        self.interrupted
            || self.failed
            || self.tools.iter().all(|tool| tool.answered)
                && reason.is_some_and(|reason| FINAL_REASONS.contains(&reason))
    }

    /// Whether more may be written of it, by the time that is now.
    pub(super) fn may_go_on(&self, now: DateTime<Utc>) -> bool {
        let quiet = if self.is_finished() { TimeDelta::minutes(2) } else { TimeDelta::hours(6) };
        let age = now - self.last;
        // A log that is far ahead of the clock is not being written now.
        age < quiet && age > -TimeDelta::minutes(2)
    }

    /// The operation that it was.
    pub(super) fn into_record(self) -> OperationRecord {
        let id = self.id();
        let mut record = OperationRecord::new(self.name);
        record.id = id;
        record.trace_id = self.trace_id();
        record.parent = self.parent.map(|(parent, _)| parent);
        record.started_at = self.began;
        record.duration = between(self.began, self.last).unwrap_or_default();
        record.outcome = self.outcome();
        record.session = self.session.map(Into::into);
        record.tags = self.tags.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        if let Some(version) = self.version {
            record.metadata.insert("claude_code_version".into(), version.into());
        }
        record.llm_calls = self.replies.into_iter().map(|reply| reply.call).collect();
        record.tool_calls = self.tools.into_iter().map(Tool::into_call).collect();
        record.errors = self.errors;
        record
    }

    fn outcome(&self) -> Outcome {
        let waits = self.tools.iter().any(|tool| !tool.answered);
        if self.interrupted || waits {
            Outcome::Abandoned
        } else if self.failed {
            Outcome::Failure
        } else {
            Outcome::Success
        }
    }
}

impl Tool {
    /// A call whose result is not in the log was given up.
    fn into_call(self) -> ToolCall {
        if self.answered {
            return self.call;
        }
        let mut call = self.call;
        call.status = ToolStatus::Error;
        call.failed_with(ErrorCategory::Cancelled, "its result is not in the log")
    }
}

fn tool_key(id: &str) -> u64 {
    hash(&["tool", id])
}

/// How long it is from one time to a later one; none where it is not later.
pub(super) fn between(from: DateTime<Utc>, to: DateTime<Utc>) -> Option<Duration> {
    (to - from).to_std().ok()
}
