//! One span, read: what it stands for, what it consumed, how it ended. This is what the assembler holds.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use taximeter_models::{ErrorRecord, LlmCall, Name, OperationId, TokenUsage};

use super::Limits;
use super::alias::Field;
use super::call::{attempt, call};
use super::failure::failure;
use super::ids::{hash_text, join};
use super::keys;
use super::limits::cut;
use super::names::Names;
use super::raw::{Id, RawSpan, Resource, Scope};
use super::role::{Convention, Role, role};
use super::slots::Slots;
use crate::own::{self, MoreOfLlmCall};

/// What reading the parts of one request needs.
#[derive(Debug)]
pub(crate) struct Reader<'l> {
    pub(crate) limits: &'l Limits,
    pub(crate) names: Names,
}

impl<'l> Reader<'l> {
    pub(crate) fn new(limits: &'l Limits) -> Self {
        Self { limits, names: Names::new() }
    }

    /// The text of a field as a name.
    pub(crate) fn name(&mut self, slots: &Slots<'_>, field: Field) -> Option<Name> {
        slots.text(field).map(|text| self.names.name(text, self.limits.text))
    }
}

/// A span as far as it matters.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    pub(crate) trace: u128,
    pub(crate) id: u64,
    /// Zero for none.
    pub(crate) parent: u64,
    pub(crate) name: Name,
    /// Nanoseconds since 1970.
    pub(crate) start: u64,
    /// Nanoseconds since 1970; not before the start.
    pub(crate) end: u64,
    pub(crate) role: Role,
    pub(crate) source: Source,
    pub(crate) scope: Scope,
    pub(crate) resource: Arc<Resource>,
    pub(crate) error: Option<Box<ErrorRecord>>,
    /// Of a call; and of what is none but has a usage of its own.
    /// One at most: a vector, which becomes that of the record without being copied.
    pub(crate) calls: Vec<LlmCall>,
    /// Of a tool.
    pub(crate) tool: Option<Box<Tool>>,
    /// A hash of the provider's id of the reply; zero for none.
    pub(crate) response: u64,
    /// That id. It goes into the metadata of the call when the trace is closed: a map of one entry takes twelve times the
    /// memory.
    pub(crate) reply: Option<Box<str>>,
    pub(crate) user: Option<Name>,
    pub(crate) session: Option<Name>,
    pub(crate) notes: Notes,
    /// What taximeter says of an operation or a tool of its own, and what anybody says of an agent.
    pub(crate) own: Option<Box<Own>>,
}

/// What taximeter says of an operation or a tool of its own, and what anybody says of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Own {
    /// Of an operation.
    pub(crate) id: Option<OperationId>,
    /// Of an operation: its span has another one.
    pub(crate) name: Option<Name>,
    /// JSON.
    pub(crate) more: Option<String>,
    /// The name of an agent.
    pub(crate) agent: Option<Name>,
}

/// Where a span was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Span,
    /// A log record that repeats a span, or stands for one where no span is sent.
    Log,
}

/// A tool, as a span tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tool {
    pub(crate) name: Name,
    pub(crate) call_id: Option<Name>,
    /// Whether the span is that of the protocol by which the tool was reached.
    pub(crate) mcp: bool,
    pub(crate) attempt: u32,
}

/// What is said of the span itself in the metadata of its operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Notes {
    pub(crate) convention: Option<Convention>,
    /// Attributes beyond the limit, which were passed over.
    pub(crate) attributes_skipped: usize,
    /// Its end lay before its start.
    pub(crate) ends_before_start: bool,
}

/// Why a span cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadIds(pub(crate) &'static str);

/// Reads a span.
pub(crate) fn read(
    raw: &RawSpan<'_>,
    resource: &Arc<Resource>,
    scope: &Scope,
    reader: &mut Reader<'_>,
) -> Result<Span, BadIds> {
    let trace = raw.trace.known().ok_or(BadIds("a trace id is 16 bytes that are not all zero"))?;
    let id = raw.id.known().ok_or(BadIds("a span id is 8 bytes that are not all zero"))?;
    let parent = match raw.parent {
        Id::Absent => 0,
        Id::Is(parent) => parent,
        Id::Invalid => return Err(BadIds("a parent's span id is 8 bytes that are not all zero")),
    };
    let slots = &raw.slots;
    let (role, convention) = role(&raw.name, slots);
    let end = raw.end.max(raw.start);
    let mut span = Span {
        trace,
        id,
        parent,
        name: reader.names.name(&raw.name, 256),
        start: raw.start,
        end,
        role,
        source: Source::Span,
        scope: scope.clone(),
        resource: Arc::clone(resource),
        error: failure(slots, raw.failed, &raw.status_message, reader.limits.text).map(Box::new),
        calls: Vec::new(),
        tool: None,
        response: 0,
        reply: None,
        user: None,
        session: None,
        notes: Notes {
            convention,
            attributes_skipped: slots.seen.saturating_sub(reader.limits.attributes),
            ends_before_start: raw.end < raw.start,
        },
        own: None,
    };
    if role != Role::Other {
        span.own = own(role, slots, reader);
        span.fill(slots, reader);
    }
    Ok(span)
}

impl Span {
    /// Reads what the attributes tell of a call, a tool, and for whom it ran.
    pub(crate) fn fill(&mut self, slots: &Slots<'_>, reader: &mut Reader<'_>) {
        self.user = reader.name(slots, Field::User);
        self.session = reader.name(slots, Field::Session);
        if self.role == Role::Tool {
            let named = reader.name(slots, Field::ToolName);
            let named = named.or_else(|| reader.name(slots, Field::EntityName));
            self.tool = Some(Box::new(Tool {
                name: named.unwrap_or_else(|| self.name.clone()),
                call_id: reader.name(slots, Field::ToolCallId),
                mcp: slots.has(Field::McpMethod),
                attempt: attempt(slots),
            }));
            return;
        }
        if let Some(mut call) = call(self, slots, reader) {
            if let Some(more) = own::read::<MoreOfLlmCall>(slots.text(Field::OwnMore)) {
                more.put_into(&mut call);
            }
            self.calls = vec![call];
            let reply = slots.text(Field::ResponseId);
            self.response = reply.map_or(0, hash_text);
            self.reply = reply.map(|id| cut(id, reader.limits.text).into());
        }
    }

    /// Says in its call what was held beside it.
    pub(crate) fn complete(&mut self) {
        if let (Some(id), Some(call)) = (self.reply.take(), self.calls.first_mut()) {
            call.metadata
                .entry(keys::RESPONSE_ID.into())
                .or_insert_with(|| id.into_string().into());
        }
    }

    /// The span's usage, if it has one.
    pub(crate) fn usage(&self) -> Option<&TokenUsage> {
        self.calls.first()?.usage.as_ref()
    }

    /// Who sent it: a process; of Claude Code a session, since its processes say nothing that tells them apart.
    pub(crate) fn sender(&self) -> u64 {
        match self.notes.convention {
            Some(Convention::ClaudeCode) => claude_session(&self.resource, self.session.as_ref()),
            _ => self.resource.identity,
        }
    }

    /// About how many bytes it holds.
    pub(crate) fn size(&self) -> usize {
        let call = self.calls.first().map_or(0, |call| {
            let beyond = call.metadata.keys().map(|key| 2 * key.len() + 32).sum::<usize>();
            let map = if call.metadata.is_empty() { 0 } else { MAP + beyond };
            size_of::<LlmCall>() + map
        });
        let error =
            self.error.as_ref().map_or(0, |error| size_of::<ErrorRecord>() + error.message.len());
        let own = self
            .own
            .as_ref()
            .map_or(0, |own| size_of::<Own>() + own.more.as_ref().map_or(0, |more| 4 * more.len()));
        size_of::<Self>()
            + own
            + call
            + error
            + self.reply.as_ref().map_or(0, |reply| reply.len() + 16)
            + self.tool.as_ref().map_or(0, |_| size_of::<Tool>() + 48)
    }
}

/// The least that a map of metadata takes: a node has room for eleven entries.
const MAP: usize = 11 * size_of::<(String, serde_json::Value)>() + 16;

/// Reads what taximeter says of an operation or a tool of its own, of a call it is read at once; and who an agent is.
fn own(role: Role, slots: &Slots<'_>, reader: &mut Reader<'_>) -> Option<Box<Own>> {
    let id = slots.text(Field::OwnId).and_then(|id| id.parse().ok());
    let more = slots.text(Field::OwnMore).filter(|_| id.is_some() || slots.has(Field::ToolName));
    let is_agent = role == Role::Agent && is_agent(slots);
    let agent = is_agent.then(|| reader.name(slots, Field::Agent)).flatten();
    (id.is_some() || more.is_some() || agent.is_some()).then(|| {
        let name = id.and_then(|_: OperationId| reader.name(slots, Field::WorkflowName));
        Box::new(Own { id, name, more: more.map(ToOwned::to_owned), agent })
    })
}

/// Whether an operation is an agent, by any convention, and not a workflow.
fn is_agent(slots: &Slots<'_>) -> bool {
    let said = [
        (Field::Operation, "invoke_agent"),
        (Field::OpenInferenceKind, "AGENT"),
        (Field::TraceloopKind, "agent"),
        (Field::LangfuseType, "agent"),
    ];
    said.into_iter().any(|(field, word)| slots.text(field) == Some(word))
}

/// A session of Claude Code as a sender.
pub(crate) fn claude_session(resource: &Resource, session: Option<&Name>) -> u64 {
    join(resource.identity, session.map_or(0, |session| hash_text(session)))
}

/// The instant so many nanoseconds after 1970; none of zero, which is as good as not told.
pub(crate) fn instant(nanos: u64) -> Option<DateTime<Utc>> {
    let nanos = i64::try_from(nanos).ok().filter(|nanos| *nanos > 0)?;
    Some(DateTime::from_timestamp_nanos(nanos))
}
