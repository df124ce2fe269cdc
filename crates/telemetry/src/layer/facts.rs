//! What a span has said so far, and how it is read when it has closed.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt::{self, Write};
use std::sync::{Arc, LazyLock};

use taximeter_models::{ErrorCategory, ErrorRecord};
use tracing_core::field::{Field as TracingField, Visit};

use super::heard::{Heard, Said};
use super::plan::{Kind, Plan, Use};
use crate::otlp::Limits;
use crate::otlp::alias::Field;
use crate::otlp::limits::cut;
use crate::otlp::raw::{Id, RawSpan, Resource, Scope};
use crate::otlp::role::Role;
use crate::otlp::slots::{Slots, Value};
use crate::otlp::span::{Reader, Span, read};

/// What a span has said so far.
#[derive(Debug)]
pub(super) struct Facts {
    heard: Box<Heard>,
    failed: bool,
    /// An event within it said that something went wrong, which need not have been the end.
    troubled: bool,
}

/// Where and when a span ran.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) trace: u128,
    pub(super) id: u64,
    /// Zero for none.
    pub(super) parent: u64,
    /// Nanoseconds since 1970.
    pub(super) start: u64,
    pub(super) end: u64,
}

/// So many bytes of a text are kept.
const TEXT: usize = 1_024;

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

impl Facts {
    pub(super) fn new() -> Self {
        Self { heard: Heard::spare().unwrap_or_default(), failed: false, troubled: false }
    }

    /// How the fields of a span, or of an event within it, are taken in.
    pub(super) fn hear(&mut self, plan: &'static Plan) -> Hear<'_> {
        Hear { facts: self, uses: &plan.uses, of_event: plan.kind == Kind::Event, said: None }
    }

    /// Takes in that an event within it said that something went wrong.
    pub(super) fn trouble(&mut self, message: Option<&str>) {
        self.troubled = true;
        if self.heard.message.is_none() {
            self.heard.message = message.map(|message| self.heard.keep(message));
        }
    }

    /// Takes in when the first token came, in nanoseconds since 1970; the first time counts.
    pub(super) fn first_token(&mut self, at: u64) {
        if self.heard.first_token.is_none() {
            self.heard.first_token = i64::try_from(at).ok();
        }
    }

    /// Reads the span of this name, now that it has closed. None where it turns out to have nothing to do with LLMs.
    pub(super) fn read(self, name: &'static str, plan: &Plan, frame: Frame) -> Option<Span> {
        let heard = &*self.heard;
        let own_name = heard.name.map(|name| heard.text_at(name));
        let mut slots = heard.slots();
        say_what_is_meant(&mut slots, name, own_name, plan);
        let message = heard.message.map_or("", |message| heard.text_at(message));
        let (failed, troubled) = (self.failed, self.troubled);
        let span = Desk::with(move |desk| {
            let name = own_name.unwrap_or_else(|| full_name(&mut desk.name, name, &slots));
            let raw = raw_span(name, frame, failed, message, slots);
            let span = read(&raw, &desk.resource, &desk.scope, &mut desk.reader).ok();
            let mut span = span.filter(|span| span.role != Role::Other)?;
            if span.error.is_none() {
                span.error = between_the_lines(&span, &raw, troubled, plan).map(Box::new);
            }
            Some(span)
        });
        self.heard.give_back();
        span
    }
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

/// Lists come as JSON in a text; the first of them stands for all, as it does for lists of OTLP.
pub(super) fn first_of_list(text: &str) -> &str {
    let first = text.starts_with('[').then(|| text.split('"').nth(1)).flatten();
    first.unwrap_or(text)
}

/// The outermost span of this name, which says nothing but that calls ran within it.
pub(super) fn ambient(name: &'static str, frame: Frame) -> Option<Span> {
    let raw = raw_span(name, frame, false, "", Slots::new());
    Desk::with(|desk| read(&raw, &desk.resource, &desk.scope, &mut desk.reader)).ok()
}

fn raw_span<'a>(
    name: &'a str,
    frame: Frame,
    failed: bool,
    status_message: &'a str,
    slots: Slots<'a>,
) -> RawSpan<'a> {
    let Frame { trace, id, parent, start, end } = frame;
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

/// Takes in the fields of a span, or of an event within it.
pub(super) struct Hear<'f> {
    facts: &'f mut Facts,
    uses: &'static [Use],
    of_event: bool,
    /// What went wrong, as far as this time it was said.
    said: Option<String>,
}

impl Hear<'_> {
    /// What was said to have gone wrong.
    pub(super) fn said(self) -> Option<String> {
        self.said
    }

    fn of(&self, field: &TracingField) -> Use {
        self.uses.get(field.index()).copied().unwrap_or(Use::Nothing)
    }

    fn text(&mut self, to: Use, text: &str) {
        let text = cut(text, TEXT);
        match to {
            Use::Nothing => {}
            Use::Known(spoken) => self.facts.heard.say_text(spoken, text),
            Use::Name => {
                self.facts.heard.name = (!text.is_empty()).then(|| self.facts.heard.keep(text));
            }
            Use::Status => self.facts.failed = text.eq_ignore_ascii_case("error"),
            Use::StatusMessage => self.facts.heard.message = Some(self.facts.heard.keep(text)),
            // What an event calls an error need not have been the end.
            Use::Error if self.of_event => self.said = Some(text.to_owned()),
            Use::Error => {
                self.facts.failed = true;
                self.facts.heard.message = Some(self.facts.heard.keep(text));
            }
        }
    }

    fn number(&mut self, to: Use, value: Said) {
        if let Use::Known(spoken) = to {
            self.facts.heard.say(spoken, value);
        }
    }
}

impl Visit for Hear<'_> {
    fn record_str(&mut self, field: &TracingField, value: &str) {
        self.text(self.of(field), value);
    }

    fn record_i64(&mut self, field: &TracingField, value: i64) {
        self.number(self.of(field), Said::Int(value));
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "what 63 bits cannot hold is no count either way"
    )]
    fn record_u64(&mut self, field: &TracingField, value: u64) {
        let value = i64::try_from(value).map_or(Said::Double(value as f64), Said::Int);
        self.number(self.of(field), value);
    }

    fn record_f64(&mut self, field: &TracingField, value: f64) {
        self.number(self.of(field), Said::Double(value));
    }

    fn record_bool(&mut self, field: &TracingField, value: bool) {
        match self.of(field) {
            Use::Error if !self.of_event => self.facts.failed = value,
            to => self.number(to, Said::Bool(value)),
        }
    }

    fn record_debug(&mut self, field: &TracingField, value: &dyn fmt::Debug) {
        let to = self.of(field);
        if !matches!(to, Use::Nothing) {
            let mut text = Bounded(String::new());
            // It ends early where the text is too long.
            let _ = write!(text, "{value:?}");
            if let Some(plain) = undebugged(&text.0) {
                self.text(to, &plain);
            }
        }
    }
}

/// What was meant by a value that was written for debugging: without quotes and `Some`; none for `None`.
fn undebugged(text: &str) -> Option<Cow<'_, str>> {
    let inner = text.strip_prefix("Some(").and_then(|text| text.strip_suffix(')')).unwrap_or(text);
    if inner == "None" {
        return None;
    }
    let is_quoted = inner.len() > 1 && inner.starts_with('"') && inner.ends_with('"');
    if !is_quoted {
        return Some(inner.into());
    }
    let plain = &inner[1..inner.len() - 1];
    let has_escapes = plain.contains('\\');
    Some(match serde_json::from_str::<String>(inner) {
        Ok(text) if has_escapes => text.into(),
        _ => plain.into(),
    })
}

/// A text that grows no further than it is kept.
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let kept = cut(text, TEXT.saturating_sub(self.0.len()));
        self.0.push_str(kept);
        if kept.len() < text.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

/// The message of an event, and nothing else of it.
#[derive(Default)]
pub(super) struct Message(pub(super) Option<String>);

impl Visit for Message {
    fn record_debug(&mut self, field: &TracingField, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            let mut text = Bounded(String::new());
            let _ = write!(text, "{value:?}");
            self.0 = Some(text.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_for_debugging_is_read_as_it_was_meant() {
        for (text, meant) in [
            ("call_1", Some("call_1")),
            (r#""call_1""#, Some("call_1")),
            (r#"Some("a\"b")"#, Some("a\"b")),
            ("Some(12)", Some("12")),
            ("None", None),
            ("\"", Some("\"")),
        ] {
            assert_eq!(undebugged(text).as_deref(), meant, "{text}");
        }
    }

    #[test]
    fn texts_end_where_they_are_cut() {
        let mut text = Bounded(String::new());
        assert!(write!(text, "{}", "é".repeat(5_000)).is_err());
        assert_eq!(text.0.len(), TEXT);
    }
}
