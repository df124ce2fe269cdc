//! One turn of an agent's session, as its log tells it: from a prompt to the end of what was done for it.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use taximeter_models::{
    ErrorCategory, ErrorRecord, LlmCall, Metadata, OperationId, OperationRecord, Outcome, ToolCall,
    ToolStatus, TraceId,
};

use super::id::{arguments_hash, hash, operation_id};
use super::json::between;
use super::output::Output;

/// The reasons to stop after which a turn does not go on by itself.
const FINAL_REASONS: &[&str] = &["end_turn", "stop_sequence", "max_tokens", "refusal"];

/// A turn as far as it was read.
pub(crate) struct Turn {
    /// The name of its source in ids.
    source: &'static str,
    /// Its name: that of a turn, or of a sub-agent's work.
    pub(crate) name: &'static str,
    /// What names it in its source, and when that was made: copies of it in other files have the same.
    id: Option<(DateTime<Utc>, Vec<String>)>,
    /// The id of the line with which it begins, for where nothing else names it.
    line_id: String,
    began: DateTime<Utc>,
    pub(crate) last: DateTime<Utc>,
    pub(crate) session: Option<String>,
    pub(crate) tags: BTreeMap<&'static str, String>,
    pub(crate) metadata: Metadata,
    pub(crate) parent: Option<(OperationId, TraceId)>,
    replies: Vec<Reply>,
    tools: Vec<Tool>,
    /// Where replies are, by their keys, and tools, by the hashes of their ids.
    places: HashMap<u64, usize>,
    pub(crate) errors: Vec<ErrorRecord>,
    pub(crate) interrupted: bool,
    /// Whether the reply that came last is an error of the API.
    pub(crate) failed: bool,
    /// Whether the log says that it is at its end.
    pub(crate) ended: bool,
}

/// A call of an LLM in a turn.
pub(crate) struct Reply {
    /// The hash of its ids; none for attempts that failed, and for what an advisor was asked.
    pub(crate) key: Option<u64>,
    pub(crate) tokens: u64,
    pub(crate) call: LlmCall,
}

/// A call of a tool in a turn.
pub(crate) struct Tool {
    pub(crate) call: ToolCall,
    pub(crate) answered: bool,
}

impl Turn {
    /// A turn in which nothing was done yet.
    pub(crate) fn new(
        source: &'static str,
        name: &'static str,
        line_id: String,
        began: DateTime<Utc>,
    ) -> Self {
        Self {
            source,
            name,
            id: None,
            line_id,
            began,
            last: began,
            session: None,
            tags: BTreeMap::new(),
            metadata: Metadata::new(),
            parent: None,
            replies: Vec::new(),
            tools: Vec::new(),
            places: HashMap::new(),
            errors: Vec::new(),
            interrupted: false,
            failed: false,
            ended: false,
        }
    }

    /// Names it by what its source calls it, unless it has such a name.
    pub(crate) fn name_by(&mut self, made: Option<DateTime<Utc>>, parts: &[&str]) {
        let made = made.unwrap_or(self.began);
        self.id.get_or_insert_with(|| (made, parts.iter().copied().map(Into::into).collect()));
    }

    pub(crate) fn id(&self) -> OperationId {
        match &self.id {
            Some((made, parts)) => {
                let parts: Vec<&str> =
                    std::iter::once(self.source).chain(parts.iter().map(String::as_str)).collect();
                operation_id(*made, &parts)
            }
            None => operation_id(self.began, &[self.source, &self.line_id]),
        }
    }

    /// When it began.
    pub(crate) fn began(&self) -> DateTime<Utc> {
        self.began
    }

    pub(crate) fn trace_id(&self) -> TraceId {
        self.parent.map_or_else(|| self.id().into(), |(_, trace)| trace)
    }

    /// Whether anything was done in it: a prompt without an answer is no operation.
    pub(crate) fn is_empty(&self) -> bool {
        self.replies.is_empty() && self.tools.is_empty() && self.errors.is_empty()
    }

    /// How many calls it holds.
    pub(crate) fn calls(&self) -> usize {
        self.replies.len() + self.tools.len()
    }

    pub(crate) fn add_reply(&mut self, reply: Reply) {
        self.places.extend(reply.key.map(|key| (key, self.replies.len())));
        self.replies.push(reply);
    }

    pub(crate) fn has_reply(&self, key: u64) -> bool {
        self.places.contains_key(&key)
    }

    pub(crate) fn reply(&mut self, key: u64) -> Option<&mut Reply> {
        self.replies.get_mut(*self.places.get(&key)?)
    }

    /// Adds a call of a tool, unless it is there: a line of a reply may be written twice.
    pub(crate) fn add_tool(&mut self, id: &str, tool: Tool) {
        if id.is_empty() || !self.has_tool(id) {
            self.places.insert(tool_key(id), self.tools.len());
            self.tools.push(tool);
        }
    }

    pub(crate) fn has_tool(&self, id: &str) -> bool {
        self.places.contains_key(&tool_key(id))
    }

    pub(crate) fn tool(&mut self, id: &str) -> Option<&mut Tool> {
        self.tools.get_mut(*self.places.get(&tool_key(id))?)
    }

    /// Whether it is at its end, as far as its log tells.
    pub(crate) fn is_finished(&self) -> bool {
        let reason = self.replies.last().and_then(|reply| reply.call.finish_reason.as_deref());
        self.interrupted
            || self.failed
            || self.ended
            || self.tools.iter().all(|tool| tool.answered)
                && reason.is_some_and(|reason| FINAL_REASONS.contains(&reason))
    }

    /// Whether more may be written of it, by the time that is now.
    pub(crate) fn may_go_on(&self, now: DateTime<Utc>) -> bool {
        let quiet = if self.is_finished() { TimeDelta::minutes(2) } else { TimeDelta::hours(6) };
        let age = now - self.last;
        // A log that is far ahead of the clock is not being written now.
        age < quiet && age > -TimeDelta::minutes(2)
    }

    /// The operation that it was.
    pub(crate) fn into_record(self) -> OperationRecord {
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
        record.metadata = self.metadata;
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

impl Reply {
    /// It took until this line, at least.
    pub(crate) fn last_at(&mut self, at: DateTime<Utc>) {
        let took = self.call.started_at.and_then(|began| between(began, at));
        self.call.duration = self.call.duration.max(took);
    }
}

/// Gives a turn out as the operation that it was; one without anything in it is none.
pub(crate) fn give(turn: Turn, out: &mut Output) {
    if !turn.is_empty() {
        out.record(turn.into_record());
    }
}

/// Gives the last turn of a file out, or counts it, where it may go on.
pub(crate) fn give_last(turn: Turn, out: &mut Output) {
    if !turn.is_empty() && out.now.is_some_and(|now| turn.may_go_on(now)) {
        out.counts.held_back += 1;
    } else {
        give(turn, out);
    }
}

impl Tool {
    /// A call that has no result yet.
    pub(crate) fn new(name: &str, began: DateTime<Utc>, arguments: Option<&str>) -> Self {
        let mut call = ToolCall::new(name, ToolStatus::Success);
        call.started_at = Some(began);
        call.arguments_hash = arguments.map(arguments_hash);
        Self { call, answered: false }
    }

    /// Takes the time of its result: it succeeded, unless it is said otherwise.
    pub(crate) fn answer(&mut self, at: DateTime<Utc>) {
        self.answered = true;
        self.call.duration = self.call.started_at.and_then(|began| between(began, at));
    }

    /// Says that its result is an error.
    pub(crate) fn fail(&mut self, category: ErrorCategory, message: &str) {
        self.call.status = match ToolStatus::of_error(category) {
            ToolStatus::Timeout => ToolStatus::Timeout,
            _ => ToolStatus::Failure,
        };
        self.call.error = Some(ErrorRecord::new(category, message));
    }

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
