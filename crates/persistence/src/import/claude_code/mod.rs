//! Reading the logs of Claude Code: each reply once, however often and in however many files it was written.

mod line;
mod memory;
mod thread;

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use taximeter_models::{ErrorCategory, ErrorRecord, TokenUsage};

use super::Parser;
use super::error::{ImportError, Why};
use super::frame::{Frame, Head};
use super::id::hash;
use super::json::some;
use super::output::Output;
use line::{ApiError, Content, Kind, Line, Message, is_sidechain};
use memory::Ids;
pub(crate) use memory::Memory;
use thread::Thread;

/// The most sub-agents within one file whose turns are open at once.
const MOST_THREADS: usize = 256;

/// One file of a log.
#[derive(Default)]
pub(crate) struct Log {
    main: Thread,
    /// The threads of sub-agents, by the hash of the agent's id or of the line with which they began.
    agents: BTreeMap<u64, Thread>,
    /// To which of them a line belongs, for logs that tell it by the line before alone.
    lines: HashMap<u64, u64>,
}

impl Parser for Log {
    fn frame(&mut self, frame: &Frame<'_>, _: &Head, out: &mut Output) -> Result<(), ImportError> {
        if let Err(why) = self.line(frame.bytes, out) {
            out.reject(frame.place, why);
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Output) {
        self.adopt();
        let agents = std::mem::take(&mut self.agents).into_values();
        for thread in std::iter::once(std::mem::take(&mut self.main)).chain(agents) {
            thread.end(out);
        }
        self.lines.clear();
    }
}

impl Log {
    fn line(&mut self, bytes: &[u8], out: &mut Output) -> Result<(), Why> {
        let kind: Kind<'_> = serde_json::from_slice(bytes).map_err(|error| Why::json(&error))?;
        let kind = kind.name();
        if !matches!(kind.as_str(), "user" | "assistant" | "system") {
            out.counts.ignore(if kind.is_empty() { "line without a type" } else { &kind });
            return Ok(());
        }
        let line: Line<'_> = serde_json::from_slice(bytes).map_err(|error| Why::json(&error))?;
        let at = line.timestamp.ok_or(Why::NoTime("the field `timestamp` is missing"))?;
        match (kind.as_str(), &line.message) {
            ("system", _) if some(line.subtype.as_ref()) == Some("api_error") => {
                self.refusal(&line, at, out);
            }
            ("system", _) => out.counts.ignore("system"),
            (_, None) => return Err(Why::DoesNotFit("the field `message` is missing".into())),
            ("user", Some(message)) => self.user(&line, message, at, out)?,
            (_, Some(message)) => self.reply(&line, message, at, out)?,
        }
        Ok(())
    }
}

impl Log {
    /// A line of the user: a prompt, or results of tools.
    fn user(
        &mut self,
        line: &Line<'_>,
        message: &Message<'_>,
        at: DateTime<Utc>,
        out: &mut Output,
    ) -> Result<(), Why> {
        let content = Content::of(message)?;
        if content.has_tool_result() {
            self.thread_of(line, out).results(line, &content, at, out);
            return Ok(());
        }
        let text = content.text();
        if text.starts_with("[Request interrupted by user") {
            if let Some(turn) = &mut self.thread_of(line, out).current {
                turn.interrupted = true;
                turn.last = turn.last.max(at);
            }
            out.counts.ignore("interruption");
            return Ok(());
        }
        let is_note = [line.is_meta, line.is_compact_summary, line.is_visible_in_transcript_only]
            .contains(&Some(true));
        if is_note || text.starts_with("<local-command-std") || text.starts_with("<bash-std") {
            self.thread_of(line, out).asked = Some(at);
            out.counts.ignore("note");
            return Ok(());
        }
        if !is_sidechain(line) {
            self.end_agents(out);
        }
        self.thread_of(line, out).begin(line, at, out);
        Ok(())
    }

    /// A line of a reply. One reply is written in several lines, each with the usage as far as it was known then.
    fn reply(
        &mut self,
        line: &Line<'_>,
        message: &Message<'_>,
        at: DateTime<Utc>,
        out: &mut Output,
    ) -> Result<(), Why> {
        let content = Content::of(message)?;
        let is_error = line.is_api_error_message == Some(true);
        let model = some(message.model.as_ref());
        if is_error || model == Some("<synthetic>") {
            if is_error {
                let thread = self.thread_of(line, out);
                thread.failure(line, &content, at, out);
            } else {
                out.counts.ignore("<synthetic>");
            }
            return Ok(());
        }
        let usage = message.usage.as_ref().map(line::Usage::tokens).transpose()?;
        let tokens = usage.as_ref().map_or(0, TokenUsage::total_tokens);
        let ids = Ids::of(line, message);
        let key = ids.exact;
        let thread = self.thread_of(line, out);
        if let Some(reply) = thread.reply(ids.exact) {
            out.counts.duplicates += 1;
            if tokens >= reply.tokens {
                reply.tokens = tokens;
                reply.update(line, message, usage);
                out.claude_code.remember(&ids, tokens);
            }
            reply.last_at(at);
        } else if let Some(counted) = out.claude_code.counted(&ids) {
            out.counts.duplicates += 1;
            let more = tokens.saturating_sub(counted);
            return if more > 0 && counted < u64::from(u32::MAX) && !ids.is_sidechain {
                Err(Why::TooLate { id: ids.parts[0].clone(), tokens: more })
            } else {
                Ok(())
            };
        } else {
            out.claude_code.remember(&ids, tokens);
            thread.answer(line, message, &ids, usage, at, out);
        }
        thread.calls(key, &content, at);
        Ok(())
    }

    /// An attempt at the API that failed, and will be tried again.
    fn refusal(&mut self, line: &Line<'_>, at: DateTime<Utc>, out: &mut Output) {
        let error = line.error.and_then(|error| serde_json::from_str::<ApiError>(error.get()).ok());
        let error = error.unwrap_or_default();
        let cause = error.cause.0.or_else(|| line.cause.0.clone());
        let of_cause = cause.as_deref().map(|cause| match ErrorCategory::from_message(cause) {
            // What has no status did not come from the API.
            ErrorCategory::Unknown => ErrorCategory::Network,
            category => category,
        });
        let of_status = error.status.0.and_then(ErrorCategory::from_http_status);
        let message = match (error.status.0, cause) {
            (Some(status), _) => format!("HTTP status {status}"),
            (None, Some(cause)) => cause,
            (None, None) => String::new(),
        };
        let category = of_status.or(of_cause).unwrap_or_default();
        let thread = self.thread_of(line, out);
        thread.refused(line, ErrorRecord::new(category, message), at, out);
    }

    /// The thread that a line belongs to. That of a sub-agent is told by its id, or by the line before.
    fn thread_of(&mut self, line: &Line<'_>, out: &mut Output) -> &mut Thread {
        if !is_sidechain(line) {
            return &mut self.main;
        }
        let uuid = some(line.uuid.as_ref()).map(|uuid| hash(&[uuid]));
        let key = if let Some(agent) = some(line.agent_id.as_ref()) {
            hash(&["agent", agent])
        } else {
            let before = some(line.parent_uuid.as_ref()).map(|uuid| hash(&[uuid]));
            let known = before.and_then(|before| self.lines.get(&before)).copied();
            let key = known.or(uuid).unwrap_or_default();
            self.lines.extend(uuid.map(|uuid| (uuid, key)));
            key
        };
        if !self.agents.contains_key(&key) && self.agents.len() >= MOST_THREADS {
            self.end_agents(out);
        }
        self.agents.entry(key).or_default()
    }

    /// Ends the threads of sub-agents that were written among the lines of the user: with the turn, they are over.
    fn end_agents(&mut self, out: &mut Output) {
        self.adopt();
        for thread in std::mem::take(&mut self.agents).into_values() {
            thread.close(out);
        }
        self.lines.clear();
    }
}

impl Log {
    /// Sub-agents that were written among the lines of the user worked for the turn that is open there.
    fn adopt(&mut self) {
        let Some(turn) = &self.main.current else { return };
        let parent = (turn.id(), turn.trace_id());
        for thread in self.agents.values_mut() {
            for turn in thread.current.iter_mut().chain(&mut thread.closed) {
                turn.parent.get_or_insert(parent);
            }
        }
    }
}
