//! How a span is read, once it has closed: by the words of its convention, and by what its library leaves out.

use std::cell::RefCell;
use std::sync::{Arc, LazyLock};

use taximeter_models::{ErrorCategory, ErrorRecord};

use super::heard::Words;
use super::plan::Plan;
use crate::otlp::Limits;
use crate::otlp::alias::Field;
use crate::otlp::limits::cut;
use crate::otlp::raw::{Id, RawSpan, Resource, Scope};
use crate::otlp::role::Role;
use crate::otlp::slots::{Slots, Value};
use crate::otlp::span::{Reader, Span, read};

/// Where and when a span ran.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) id: u64,
    /// Zero for none.
    pub(super) parent: u64,
    /// Nanoseconds since 1970.
    pub(super) start: u64,
    pub(super) end: u64,
}

static LIMITS: LazyLock<Limits> = LazyLock::new(Limits::default);

/// What each thread reads spans with: it knows names that come again.
#[derive(Debug)]
struct Desk {
    reader: Reader<'static>,
    resource: Arc<Resource>,
    scope: Scope,
    /// Where the name of a span is put together.
    name: String,
}

thread_local! {
    static DESK: RefCell<Option<Box<Desk>>> = const { RefCell::new(None) };
}

impl Desk {
    fn new() -> Self {
        let (resource, scope) = (Arc::default(), Scope::default());
        Self { reader: Reader::new(&LIMITS), resource, scope, name: String::new() }
    }

    fn with<R>(read: impl FnOnce(&mut Self) -> R) -> R {
        // While a thread is torn down, or where one span is read within another, it is read without a memory.
        let lent = DESK.try_with(|desk| desk.try_borrow_mut().ok()?.take()).ok().flatten();
        let mut desk = lent.unwrap_or_else(|| Box::new(Self::new()));
        let given = read(&mut desk);
        let _ = DESK.try_with(|place| {
            if let Ok(mut place) = place.try_borrow_mut() {
                *place = Some(desk);
            }
        });
        given
    }
}

/// Reads a span that has closed. None where it turns out to have nothing to do with LLMs.
pub(super) fn read_closed(
    words: Words<'_>,
    plan: &Plan,
    trace: u128,
    frame: Frame,
) -> Option<Span> {
    let (facts, name) = (words.facts, plan.name);
    let own_name = facts.name.map(|name| words.text_at(name));
    let mut slots = words.slots();
    say_what_is_meant(&mut slots, name, own_name, plan);
    let message = facts.message.map_or("", |message| words.text_at(message));
    Desk::with(move |desk| {
        let name = own_name.unwrap_or_else(|| full_name(&mut desk.name, name, &slots));
        let raw = raw_span(name, (trace, frame), (facts.failed, message), slots);
        let span = read(&raw, &desk.resource, &desk.scope, &mut desk.reader).ok();
        let mut span = span.filter(|span| span.role != Role::Other)?;
        if span.error.is_none() {
            span.error = between_the_lines(&span, &raw, facts.troubled, plan).map(Box::new);
        }
        Some(span)
    })
}

/// The error of a span that tells of none in so many words.
fn between_the_lines(
    span: &Span,
    raw: &RawSpan<'_>,
    troubled: bool,
    plan: &Plan,
) -> Option<ErrorRecord> {
    let (is_call, slots) = (span.role == Role::Call, &raw.slots);
    let silent = is_silent(span, slots);
    if troubled && (silent || !is_call) && slots.text(Field::ToolOutcome) != Some("success") {
        let message = &*raw.status_message;
        let message = if message.is_empty() { WITH_ERROR } else { message };
        return Some(ErrorRecord::new(ErrorCategory::from_message(message), message));
    }
    let has_none = is_call && silent && plan.tells_reply && !plan.can_fail;
    has_none.then(|| ErrorRecord::new(ErrorCategory::Unknown, NO_REPLY))
}

/// Puts in the word of OpenTelemetry for what the span stands for, where its library leaves it out.
fn say_what_is_meant<'h>(
    slots: &mut Slots<'h>,
    name: &'static str,
    own_name: Option<&'h str>,
    plan: &Plan,
) {
    if let Some(dialect) = plan.dialect {
        slots.put(Field::Operation, 0, Value::Text(dialect.operation.into()));
        // The spans of swiftide's tools have the name of the tool in their own.
        if let Some(tool) = own_name.and_then(|name| name.strip_prefix("tool.")) {
            slots.put(Field::ToolName, 0, Value::Text(tool.into()));
        }
    }
    let kinds = [
        Field::Operation,
        Field::OpenInferenceKind,
        Field::TraceloopKind,
        Field::LangfuseType,
        Field::RequestType,
        Field::AiOperation,
        Field::McpMethod,
    ];
    if !kinds.into_iter().any(|kind| slots.has(kind)) {
        let told = ["execute_tool", "invoke_agent", "invoke_workflow", "create_agent", "chat"]
            .into_iter()
            .find(|word| *word == name);
        let is_call = slots.has(Field::RequestModel) && slots.has(Field::InputTokens);
        if let Some(word) = told.or_else(|| is_call.then_some("chat")) {
            slots.put(Field::Operation, 0, Value::Text(word.into()));
        }
    }
}

/// The outermost span of this name, which says nothing but that calls ran within it.
pub(super) fn ambient(name: &'static str, trace: u128, frame: Frame) -> Option<Span> {
    let raw = raw_span(name, (trace, frame), (false, ""), Slots::new());
    Desk::with(|desk| read(&raw, &desk.resource, &desk.scope, &mut desk.reader)).ok()
}

fn raw_span<'a>(
    name: &'a str,
    (trace, frame): (u128, Frame),
    (failed, status_message): (bool, &'a str),
    slots: Slots<'a>,
) -> RawSpan<'a> {
    let Frame { id, parent, start, end } = frame;
    let parent = if parent == 0 { Id::Absent } else { Id::Is(parent) };
    let (trace, id) = (Id::Is(trace), Id::Is(id));
    let (name, status_message) = (name.into(), status_message.into());
    RawSpan { trace, id, parent, name, start, end, failed, status_message, slots }
}

const WITH_ERROR: &str = "an error was logged within it, and nothing more was said";
const NO_REPLY: &str = "it ended without a reply, and its library says no more";

/// Whether nothing was said of a reply.
fn is_silent(span: &Span, slots: &Slots<'_>) -> bool {
    let of_reply = [
        Field::ResponseModel,
        Field::ResponseId,
        Field::FinishReason,
        Field::FirstChunkSeconds,
        Field::FirstTokenAt,
    ];
    span.usage().is_none() && !of_reply.into_iter().any(|field| slots.has(field))
}

/// The name of a span that says no more than what it does, as the convention has it: `chat gpt-4o`.
fn full_name<'n>(full: &'n mut String, name: &'static str, slots: &Slots<'_>) -> &'n str {
    let operation = slots.text(Field::Operation);
    let of = match operation {
        Some("execute_tool") => Field::ToolName,
        Some("invoke_agent" | "create_agent") => Field::Agent,
        _ => Field::RequestModel,
    };
    match slots.text(of) {
        Some(what) if operation == Some(name) => {
            full.clear();
            full.extend([name, " ", cut(what, 200)]);
            full
        }
        _ => name,
    }
}
