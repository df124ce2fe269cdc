//! Reading the logs of the Codex CLI: each request once, though totals run on and forks repeat their history.

mod line;
mod lineage;

use std::ops::Range;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;
use taximeter_models::{ErrorCategory, ErrorRecord, LlmCall, OperationId, TraceId};

use super::Parser;
use super::error::{ImportError, Why};
use super::frame::{Frame, Head};
use super::id::hash;
use super::json::{between, shortened, some};
use super::output::Output;
use super::turn::{Reply, Tool, Turn, give, give_last};
use line::{
    EndEvent, Ended, Item, Kind, Line, SessionMeta, TokenCount, Tokens, TurnContext, TurnEvent,
};
use lineage::Lineage;
pub(crate) use lineage::Memory;

/// The most calls of one turn: a log without prompts is given out in pieces.
const MOST_CALLS: usize = 10_000;

/// The milliseconds of an id that is laid out as a UUID of version 7.
const MILLIS: Range<usize> = 0..13;

/// One file of a log: one session.
#[derive(Default)]
pub(crate) struct Log {
    session: Option<SessionMeta>,
    lineage: Lineage,
    context: Option<TurnContext>,
    /// What was used in all, as the last event told.
    total: Tokens,
    current: Option<Turn>,
    /// When the last prompt or output of a tool was there.
    asked: Option<DateTime<Utc>>,
    /// Whether there are events with which turns begin.
    tells_turns: bool,
}

impl Parser for Log {
    fn frame(&mut self, frame: &Frame<'_>, _: &Head, out: &mut Output) -> Result<(), ImportError> {
        if let Err(why) = self.line(frame.bytes, out) {
            out.reject(frame.place, why);
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Output) {
        self.note(out);
        self.current.take().into_iter().for_each(|turn| give_last(turn, out));
        self.lineage.end(&mut out.codex);
    }
}

impl Log {
    fn line(&mut self, bytes: &[u8], out: &mut Output) -> Result<(), Why> {
        let line: Line<'_> = serde_json::from_slice(bytes).map_err(|error| Why::json(&error))?;
        let (Some(kind), Some(payload)) = (some(line.kind.as_ref()), line.payload) else {
            // Before September 2025 lines had no envelope, and told nothing of tokens.
            out.counts.ignore("line without a payload");
            return Ok(());
        };
        line.timestamp.into_iter().for_each(|at| self.lineage.line(at));
        match kind {
            "session_meta" => self.session(read(payload)?, line.timestamp, out),
            "turn_context" => self.context(read(payload)?),
            "event_msg" | "response_item" => {
                let at = line.timestamp.ok_or(Why::NoTime("the field `timestamp` is missing"))?;
                let what: Kind<'_> = read(payload)?;
                match (kind, &*what.kind) {
                    ("event_msg", event) => self.event(event, payload, at, out)?,
                    (_, item) => self.item(item, payload, at, out)?,
                }
            }
            other => out.counts.ignore(other),
        }
        Ok(())
    }

    /// Takes what names the session; those that follow name the sessions that were copied into it.
    fn session(&mut self, meta: SessionMeta, at: Option<DateTime<Utc>>, out: &mut Output) {
        self.lineage.session(&meta, &mut out.codex);
        if self.session.is_none() {
            self.session = Some(SessionMeta { timestamp: meta.timestamp.or(at), ..meta });
        }
    }

    fn context(&mut self, context: TurnContext) {
        // It is written behind the event with which its turn begins.
        if let Some(turn) = self.current.as_mut().filter(|turn| turn.is_empty()) {
            context.turn_id.iter().for_each(|id| name_by_id(turn, id));
            context.describe(turn);
        }
        self.context = Some(context);
    }

    fn event(
        &mut self,
        event: &str,
        payload: &RawValue,
        at: DateTime<Utc>,
        out: &mut Output,
    ) -> Result<(), Why> {
        match event {
            "token_count" => self.tokens(read(payload)?, at, out)?,
            "task_started" | "turn_started" => {
                let event: TurnEvent = read(payload)?;
                self.tells_turns = true;
                self.begin(at, out);
                if let (Some(turn), Some(id)) = (&mut self.current, &event.turn_id) {
                    name_by_id(turn, id);
                }
            }
            "user_message" => {
                // Older versions have no event with which a turn begins; since then, one may be steered by more prompts.
                let is_used = self.current.as_ref().is_none_or(|turn| !turn.is_empty());
                if is_used && !self.tells_turns {
                    self.begin(at, out);
                }
                self.asked = Some(at);
            }
            "task_complete" | "turn_complete" => self.ended(at, |turn| turn.ended = true),
            "turn_aborted" => self.ended(at, |turn| turn.interrupted = true),
            "error" => {
                let event: TurnEvent = read(payload)?;
                let said = shortened(event.message.as_deref().unwrap_or_default());
                let error = ErrorRecord::new(ErrorCategory::from_message(&said), said);
                let turn = self.turn(at, out);
                turn.failed = true;
                turn.errors.push(error);
            }
            "exec_command_end" | "mcp_tool_call_end" | "patch_apply_end" => {
                let event: EndEvent<'_> = read(payload)?;
                self.outcome(&event.call_id, &event.ended(), at);
            }
            other => out.counts.ignore(other),
        }
        Ok(())
    }

    /// What was used. Totals run on through the session and are told again and again: what counts is that they changed.
    fn tokens(
        &mut self,
        count: TokenCount,
        at: DateTime<Utc>,
        out: &mut Output,
    ) -> Result<(), Why> {
        let Some(info) = count.info else {
            out.counts.ignore("token_count without tokens");
            return Ok(());
        };
        let used = match (info.total_token_usage, info.last_token_usage) {
            (Some(total), _) if total == self.total => {
                out.counts.duplicates += 1;
                return Ok(());
            }
            (Some(total), last) => {
                let before = std::mem::replace(&mut self.total, total);
                last.unwrap_or_else(|| total.since(before))
            }
            (None, Some(last)) => last,
            (None, None) => return Err(Why::DoesNotFit("it has no counts of tokens".into())),
        };
        if used.is_empty() {
            out.counts.ignore("token_count without tokens");
            return Ok(());
        }
        let usage = used.usage()?;
        let counts = (info.total_token_usage, used);
        let Some(key) = self.lineage.request(at, counts, out.path.as_deref(), &mut out.codex)
        else {
            out.counts.duplicates += 1;
            return Ok(());
        };
        let asked = self.asked.filter(|asked| *asked <= at);
        let mut call = LlmCall::default().using(usage);
        call.provider =
            self.session.as_ref().and_then(|meta| meta.model_provider.clone()).map(Into::into);
        let context = self.context.as_ref();
        let model = info.model.or_else(|| context.and_then(|context| context.model.clone()));
        call.request_model = model.map(Into::into);
        call.served_tier = context.and_then(|context| context.service_tier.clone()).map(Into::into);
        call.context_window = info.model_context_window;
        call.started_at = asked;
        call.duration = asked.and_then(|asked| between(asked, at));
        let turn = self.turn(at, out);
        turn.failed = false;
        turn.last = turn.last.max(at);
        turn.name_by(None, &[&format!("{key:016x}")]);
        turn.add_reply(Reply { key: Some(key), tokens: 0, call });
        Ok(())
    }

    /// An item of the conversation: of calls of tools, all are taken; of the rest, that something was asked.
    fn item(
        &mut self,
        kind: &str,
        payload: &RawValue,
        at: DateTime<Utc>,
        out: &mut Output,
    ) -> Result<(), Why> {
        let is_call = kind.ends_with("_call");
        if !is_call && !kind.ends_with("_call_output") && kind != "tool_search_output" {
            out.counts.ignore(kind);
            return Ok(());
        }
        let item: Item<'_> = read(payload)?;
        let id = some(item.call_id.as_ref()).or(some(item.id.as_ref())).unwrap_or_default();
        if is_call {
            self.call(&item, id, at, out);
        } else {
            self.asked = Some(at);
            self.outcome(id, &item.output.map(Ended::of).unwrap_or_default(), at);
        }
        Ok(())
    }

    fn call(&mut self, item: &Item<'_>, id: &str, at: DateTime<Utc>, out: &mut Output) {
        if !self.lineage.call(id, &out.codex) {
            out.counts.duplicates += 1;
            return;
        }
        let own = item.kind.strip_suffix("_call").unwrap_or(&item.kind);
        let name = some(item.name.as_ref()).unwrap_or(own);
        let name = match some(item.namespace.as_ref()) {
            Some(namespace) => format!("{namespace}.{name}"),
            None => name.to_owned(),
        };
        let arguments = item.arguments.or(item.input).or(item.action).map(RawValue::get);
        let mut tool = Tool::new(&name, at, arguments);
        // What runs at the provider has no output of its own in the log.
        if let Some("completed" | "failed") = some(item.status.as_ref())
            && matches!(&*item.kind, "web_search_call" | "image_generation_call")
        {
            tool.answered = true;
            if some(item.status.as_ref()) == Some("failed") {
                tool.fail(ErrorCategory::Unknown, "its status is failed");
            }
        }
        let turn = self.turn(at, out);
        turn.last = turn.last.max(at);
        turn.add_tool(id, tool);
    }

    fn outcome(&mut self, id: &str, ended: &Ended, at: DateTime<Utc>) {
        let Some(turn) = self.current.as_mut().filter(|turn| turn.has_tool(id)) else { return };
        turn.last = turn.last.max(at);
        let Some(tool) = turn.tool(id) else { return };
        if !tool.answered {
            tool.answer(at);
        }
        if let Some(duration) = ended.duration {
            tool.call.duration = Some(duration);
        }
        if ended.success == Some(false) && tool.call.is_success() {
            tool.fail(ended.category, "its output is an error");
        }
    }

    fn ended(&mut self, at: DateTime<Utc>, how: impl FnOnce(&mut Turn)) {
        if let Some(turn) = self.current.as_mut().filter(|turn| !turn.is_empty()) {
            how(turn);
            turn.last = turn.last.max(at);
        }
    }

    /// The turn that is open, begun now if there is none.
    fn turn(&mut self, at: DateTime<Utc>, out: &mut Output) -> &mut Turn {
        if self.current.as_ref().is_some_and(|turn| turn.calls() >= MOST_CALLS) {
            self.begin(at, out);
        }
        if self.current.is_none() {
            self.current = Some(self.begun(at, out));
        }
        self.current.get_or_insert_with(|| Turn::new("codex", "codex.turn", String::new(), at))
    }

    fn begin(&mut self, at: DateTime<Utc>, out: &mut Output) {
        self.note(out);
        self.current.take().into_iter().for_each(|turn| give(turn, out));
        self.current = Some(self.begun(at, out));
        self.asked = Some(at);
    }

    /// A turn that begins now.
    fn begun(&self, at: DateTime<Utc>, out: &Output) -> Turn {
        let meta = self.session.as_ref();
        let is_agent = meta.is_some_and(SessionMeta::is_agent);
        let name = if is_agent { "codex.agent" } else { "codex.turn" };
        let session = meta.map(|meta| meta.id.clone());
        let line_id = format!("{} {at}", session.as_deref().unwrap_or_default());
        let mut turn = Turn::new("codex", name, line_id, at);
        turn.session = session;
        let tags = [
            ("project", meta.and_then(|meta| meta.cwd.clone())),
            ("git_branch", meta.and_then(|meta| meta.git.as_ref()?.branch.clone())),
            ("agent", meta.and_then(|meta| meta.agent_role.clone())),
        ];
        turn.tags.extend(tags.into_iter().filter_map(|(key, value)| Some((key, value?))));
        let version = meta.and_then(|meta| meta.cli_version.clone());
        turn.metadata.extend(version.map(|version| ("codex_version".into(), version.into())));
        self.context.iter().for_each(|context| context.describe(&mut turn));
        turn.parent = meta.and_then(|meta| parent(meta, out));
        turn
    }

    /// Notes the turn that is open, for the sub-agents that it sent out.
    fn note(&self, out: &mut Output) {
        let Some(turn) = self.current.as_ref().filter(|turn| !turn.is_empty()) else { return };
        let Some(session) = &turn.session else { return };
        let turns = out.codex.turns.entry(hash(&[session])).or_default();
        turns.push((turn.began(), turn.id(), turn.trace_id()));
    }
}

impl TurnContext {
    fn describe(&self, turn: &mut Turn) {
        turn.tags.extend(self.cwd.clone().map(|cwd| ("project", cwd)));
        let effort = self.effort.clone();
        turn.metadata.extend(effort.map(|effort| ("reasoning_effort".into(), effort.into())));
    }
}

/// The turn in which a sub-agent was sent out: the last that had begun when its session did.
fn parent(meta: &SessionMeta, out: &Output) -> Option<(OperationId, TraceId)> {
    let turns = out.codex.turns.get(&hash(&[meta.parent()?]))?;
    let before = |turn: &&(DateTime<Utc>, OperationId, TraceId)| Some(turn.0) <= meta.timestamp;
    turns.iter().rev().find(before).map(|(_, id, trace)| (*id, *trace))
}

/// Names a turn by its id, if that is one that nothing else has: older versions counted turns from 1.
fn name_by_id(turn: &mut Turn, id: &str) {
    if let Some(millis) = millis_of(id) {
        turn.name_by(DateTime::from_timestamp_millis(millis), &[id]);
    }
}

/// When a UUID of version 7 was made.
fn millis_of(id: &str) -> Option<i64> {
    let is_v7 = id.len() == 36 && id.as_bytes().get(14) == Some(&b'7');
    let digits = id.get(MILLIS).filter(|_| is_v7)?.replace('-', "");
    i64::from_str_radix(&digits, 16).ok()
}

fn read<'a, T: Deserialize<'a>>(payload: &'a RawValue) -> Result<T, Why> {
    serde_json::from_str(payload.get()).map_err(|error| Why::json(&error))
}
