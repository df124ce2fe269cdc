//! Log records that stand for a call: details events of OpenTelemetry GenAI, and the events of Claude Code.

use std::borrow::Cow;
use std::sync::Arc;

use super::alias::Field;
use super::failure::failure;
use super::ids::{hash_text, join};
use super::raw::{Maker, RawLog, Resource, Scope, hash_value};
use super::role::{Convention, Role};
use super::span::{Notes, Reader, Source, Span};

/// The event that repeats an inference span, with its usage.
const DETAILS: &str = "gen_ai.client.inference.operation.details";

/// The call or tool call that a log record tells of; none for all other records.
pub(crate) fn read(
    raw: &RawLog<'_>,
    resource: &Arc<Resource>,
    scope: &Scope,
    reader: &mut Reader<'_>,
) -> Option<Span> {
    let slots = &raw.slots;
    let event = slots
        .text(Field::LogEvent)
        .map_or_else(|| Cow::Borrowed(raw.event.as_ref()), Cow::Borrowed);
    let claude = raw.event.starts_with("claude_code.") || scope.maker == Maker::ClaudeCode;
    let (role, convention) = match event.as_ref() {
        DETAILS => (super::role::role("", slots).0, Convention::GenAi),
        // openlit sends the same event without its name, told by its attributes alone.
        "" if slots.has(Field::Operation) => (super::role::role("", slots).0, Convention::GenAi),
        event if claude => (claude_event(event)?, Convention::ClaudeCode),
        _ => return None,
    };
    // A record of an agent repeats its calls, and has no place among them.
    if !matches!(role, Role::Call | Role::Tool) {
        return None;
    }
    let name = if convention == Convention::ClaudeCode {
        format!("claude_code.{}", event.strip_prefix("claude_code.").unwrap_or(&event))
    } else {
        slots.text(Field::Operation).unwrap_or("call").to_owned()
    };
    let (trace, id) = ids(raw, resource, convention);
    let took = slots.number(Field::DurationMillis).filter(|millis| *millis >= 0.0);
    // The event comes when the call has ended.
    let start = raw.time.saturating_sub(took.map_or(0, nanos));
    let mut span = Span {
        own: None,
        trace,
        id,
        parent: 0,
        name: reader.names.name(&name, 256),
        start,
        end: raw.time.max(start),
        role,
        source: Source::Log,
        scope: scope.clone(),
        resource: Arc::clone(resource),
        error: failure(slots, event.ends_with("api_error"), "", reader.limits.text).map(Box::new),
        calls: Vec::new(),
        tool: None,
        response: 0,
        reply: None,
        user: None,
        session: None,
        notes: Notes {
            convention: Some(convention),
            attributes_skipped: slots.seen.saturating_sub(reader.limits.attributes),
            ends_before_start: false,
        },
    };
    span.fill(slots, reader);
    if convention == Convention::ClaudeCode
        && let Some(call) = span.calls.first_mut()
        && call.provider.is_none()
    {
        call.provider = Some("anthropic".into());
    }
    Some(span)
}

fn claude_event(event: &str) -> Option<Role> {
    match event.strip_prefix("claude_code.").unwrap_or(event) {
        "api_request" | "api_error" => Some(Role::Call),
        "tool_result" => Some(Role::Tool),
        _ => None,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it saturates, and is not negative"
)]
fn nanos(millis: f64) -> u64 {
    (millis * 1e6) as u64
}

/// The ids of the span that a record belongs to. A record without one gets ids made of what tells it from others, so
/// that it is known when it is delivered again; those of one prompt of Claude Code share a trace.
fn ids(raw: &RawLog<'_>, resource: &Resource, convention: Convention) -> (u128, u64) {
    let ours = convention != Convention::ClaudeCode;
    if let (Some(trace), Some(span), true) = (raw.trace.known(), raw.span.known(), ours) {
        return (trace, span);
    }
    let slots = &raw.slots;
    let hash = |field| slots.get(field).map_or(0, hash_value);
    let session = join(hash(Field::Session), hash_text(resource.service.as_deref().unwrap_or("")));
    let own = [hash(Field::Sequence), hash(Field::ResponseId), hash(Field::ToolCallId), raw.time]
        .into_iter()
        .fold(session, join);
    let prompt = hash(Field::PromptId);
    let group = if prompt == 0 { own } else { join(session, prompt) };
    let trace = u128::from(join(group, 1)) << 64 | u128::from(join(group, 2));
    (trace.max(1), join(own, 3).max(1))
}
