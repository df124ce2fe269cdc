//! One line of conversation in a Claude Code log, and the turns in it.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use serde_json::Value;
use serde_json::value::RawValue;
use taximeter_models::{CostOutcome, ErrorCategory, ErrorRecord, LlmCall, TokenUsage};

use super::line::{Agent, Block, Content, Line, Message, is_sidechain};
use super::memory::Ids;
use crate::import::id::hash;
use crate::import::json::{between, shortened, some};
use crate::import::output::Output;
use crate::import::parts::reported;
use crate::import::turn::{Reply, Tool, Turn, give, give_last};

/// The most calls of one turn: a log without prompts is given out in pieces.
const MOST_CALLS: usize = 10_000;

/// One line of conversation: that with the user, or that of a sub-agent.
#[derive(Default)]
pub(super) struct Thread {
    pub(super) current: Option<Turn>,
    /// The turn before. A prompt that was typed ahead is written before the rest of the reply to the last one.
    pub(super) closed: VecDeque<Turn>,
    /// When the last prompt or result of a tool was there: the next reply answers it.
    pub(super) asked: Option<DateTime<Utc>>,
    /// How often the API refused since the last reply.
    refused: u32,
}

impl Thread {
    /// The turn that is open, begun with this line if there is none.
    fn turn(&mut self, line: &Line<'_>, at: DateTime<Utc>, out: &mut Output) -> &mut Turn {
        if self.current.as_ref().is_some_and(|turn| turn.calls() >= MOST_CALLS) {
            self.begin(line, at, out);
        }
        self.current.get_or_insert_with(|| begun(line, at, out))
    }

    pub(super) fn begin(&mut self, line: &Line<'_>, at: DateTime<Utc>, out: &mut Output) {
        self.closed.extend(self.current.take());
        while self.closed.len() > 1 {
            self.closed.pop_front().into_iter().for_each(|turn| give(turn, out));
        }
        self.current = Some(begun(line, at, out));
        self.asked = Some(at);
        self.refused = 0;
    }

    pub(super) fn reply(&mut self, key: u64) -> Option<&mut Reply> {
        let turns = self.current.iter_mut().chain(self.closed.iter_mut().rev());
        turns.into_iter().find_map(|turn| turn.reply(key))
    }

    /// A reply that is new.
    pub(super) fn answer(
        &mut self,
        line: &Line<'_>,
        message: &Message<'_>,
        ids: &Ids,
        usage: Option<TokenUsage>,
        at: DateTime<Utc>,
        out: &mut Output,
    ) {
        let asked = self.asked;
        let attempt = std::mem::take(&mut self.refused) + 1;
        let turn = self.turn(line, at, out);
        turn.failed = false;
        turn.last = turn.last.max(at);
        let model = some(message.model.as_ref());
        let mut call = LlmCall::default();
        call.provider = provider(&ids.parts[0], model).map(Into::into);
        call.response_model = model.map(Into::into);
        call.started_at = Some(asked.filter(|asked| *asked <= at).unwrap_or(at));
        call.attempt = attempt;
        let tokens = usage.as_ref().map_or(0, TokenUsage::total_tokens);
        turn.name_by(None, &[&ids.parts[0], &ids.parts[1]]);
        let mut reply = Reply { key: Some(ids.exact), tokens, call };
        reply.update(line, message, usage);
        reply.last_at(at);
        turn.add_reply(reply);
        advice(message, turn);
    }

    /// The calls of tools that a line of a reply asks for.
    pub(super) fn calls(&mut self, key: u64, content: &Content<'_>, at: DateTime<Utc>) {
        let mut turns = self.current.iter_mut().chain(self.closed.iter_mut().rev());
        let Some(turn) = turns.find(|turn| turn.has_reply(key)) else { return };
        turn.last = turn.last.max(at);
        for block in content.blocks().iter().filter(|block| &*block.kind == "tool_use") {
            turn.add_tool(some(block.id.as_ref()).unwrap_or_default(), tool(block, at));
        }
    }

    /// The results of tools.
    pub(super) fn results(
        &mut self,
        line: &Line<'_>,
        content: &Content<'_>,
        at: DateTime<Utc>,
        out: &mut Output,
    ) {
        self.asked = Some(at);
        for block in content.blocks().iter().filter(|block| &*block.kind == "tool_result") {
            let id = some(block.tool_use_id.as_ref()).unwrap_or_default();
            let mut turns = self.current.iter_mut().chain(self.closed.iter_mut().rev());
            let Some(turn) = turns.find(|turn| turn.has_tool(id)) else {
                out.counts.ignore("result of an unknown call");
                continue;
            };
            turn.last = turn.last.max(at);
            let (own, trace) = (turn.id(), turn.trace_id());
            if let Some(agent) = agent(line.tool_use_result) {
                let kind = some(agent.agent_type.as_ref()).map(Into::into);
                out.claude_code
                    .agents
                    .insert(hash(&["agent", &agent.agent_id]), (own, trace, kind));
            }
            if let Some(tool) = turn.tool(id) {
                result(tool, block, at);
            }
        }
    }

    /// A reply that is no reply but the error with which the API ended the turn.
    pub(super) fn failure(
        &mut self,
        line: &Line<'_>,
        content: &Content<'_>,
        at: DateTime<Utc>,
        out: &mut Output,
    ) {
        let text = shortened(content.text().trim_end_matches('"'));
        let of_status = line.api_error_status.0.and_then(ErrorCategory::from_http_status);
        let category = of_status.unwrap_or_else(|| ErrorCategory::from_message(&text));
        let error = ErrorRecord::new(category, text);
        self.refused(line, error.clone(), at, out);
        self.refused = 0;
        if let Some(turn) = &mut self.current {
            turn.failed = true;
            turn.errors.push(error);
        }
    }

    pub(super) fn refused(
        &mut self,
        line: &Line<'_>,
        error: ErrorRecord,
        at: DateTime<Utc>,
        out: &mut Output,
    ) {
        self.refused += 1;
        let (asked, attempt) = (self.asked, self.refused);
        let turn = self.turn(line, at, out);
        turn.last = turn.last.max(at);
        let mut call = LlmCall::default();
        call.started_at = Some(asked.unwrap_or(at));
        call.duration = asked.and_then(|asked| between(asked, at));
        call.attempt = attempt;
        call.error = Some(error);
        turn.add_reply(Reply { key: None, tokens: 0, call });
        self.asked = Some(at);
    }

    /// Gives all its turns out.
    pub(super) fn close(mut self, out: &mut Output) {
        let turns = self.closed.drain(..).chain(self.current.take());
        turns.for_each(|turn| give(turn, out));
    }

    /// Gives its turns out at the end of the file, but for one that may go on.
    pub(super) fn end(mut self, out: &mut Output) {
        self.closed.drain(..).for_each(|turn| give(turn, out));
        self.current.take().into_iter().for_each(|turn| give_last(turn, out));
    }
}

impl Reply {
    /// Takes what a line of the reply says; a later one knows more.
    pub(super) fn update(
        &mut self,
        line: &Line<'_>,
        message: &Message<'_>,
        usage: Option<TokenUsage>,
    ) {
        self.call.usage = usage.or_else(|| self.call.usage.take());
        let reason = some(message.stop_reason.as_ref()).map(Into::into);
        self.call.finish_reason = reason.or_else(|| self.call.finish_reason.take());
        if let Some(total) = line.cost_usd.filter(|cost| !cost.is_zero()) {
            self.call.cost = CostOutcome::Recorded(reported(total));
        }
        let Some(used) = &message.usage else { return };
        self.call.served_tier = used.service_tier.as_deref().map(Into::into);
        if used.speed.as_deref() == Some("fast") {
            self.call.served_as.insert("speed".into(), "fast".into());
        }
        if used.inference_geo.as_deref() == Some("us") {
            self.call.served_as.insert("region".into(), "us".into());
        }
    }
}

/// Takes the result of a tool.
fn result(tool: &mut Tool, block: &Block<'_>, at: DateTime<Utc>) {
    tool.answer(at);
    if block.is_error == Some(true) {
        // What the tool said may be content of the user's; only its kind is kept.
        let said = block.content.map_or("", RawValue::get);
        if said.contains("The user doesn't want to") {
            tool.fail(ErrorCategory::Cancelled, "the user refused it");
        } else {
            tool.fail(ErrorCategory::from_message(said), "its result is an error");
        }
    }
}

fn tool(block: &Block<'_>, at: DateTime<Utc>) -> Tool {
    let name = some(block.name.as_ref()).unwrap_or("unknown");
    Tool::new(name, at, block.input.map(RawValue::get))
}

/// A turn that begins with this line.
fn begun(line: &Line<'_>, at: DateTime<Utc>, out: &Output) -> Turn {
    let agent = some(line.agent_id.as_ref());
    let sent_out = agent.and_then(|agent| out.claude_code.agents.get(&hash(&["agent", agent])));
    let kind = sent_out.and_then(|(_, _, kind)| kind.clone());
    let tags = [
        ("project", some(line.cwd.as_ref()).map(Into::into)),
        ("git_branch", some(line.git_branch.as_ref()).map(Into::into)),
        ("agent", kind),
    ];
    let name = if is_sidechain(line) { "claude_code.agent" } else { "claude_code.turn" };
    let mut turn =
        Turn::new("claude-code", name, some(line.uuid.as_ref()).unwrap_or_default().into(), at);
    turn.session = some(line.session_id.as_ref()).map(Into::into);
    turn.tags = tags.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
    let version = some(line.version.as_ref());
    turn.metadata
        .extend(version.map(|version| ("claude_code_version".into(), Value::from(version))));
    turn.parent = sent_out.map(|(parent, trace, _)| (*parent, *trace));
    turn
}

/// What an advisor used is in the totals of no reply, and is billed by its own LLM.
fn advice(message: &Message<'_>, turn: &mut Turn) {
    let Some(usage) = &message.usage else { return };
    for (model, usage) in usage.advice() {
        let Ok(usage) = usage else { continue };
        let mut call = LlmCall::default().using(usage);
        call.provider = model.and_then(|model| provider("", Some(model))).map(Into::into);
        call.response_model = model.map(Into::into);
        turn.add_reply(Reply { key: None, tokens: 0, call });
    }
}

/// Who served a reply, as far as its id and its LLM tell.
fn provider(id: &str, model: Option<&str>) -> Option<&'static str> {
    let model = model.unwrap_or_default();
    if id.starts_with("msg_bdrk_") {
        Some("bedrock")
    } else if id.starts_with("msg_vrtx_") {
        Some("vertex_ai")
    } else {
        model.starts_with("claude-").then_some("anthropic")
    }
}

fn agent(result: Option<&RawValue>) -> Option<Agent<'_>> {
    let json = result?.get();
    json.starts_with('{').then(|| serde_json::from_str(json).ok()).flatten()
}
