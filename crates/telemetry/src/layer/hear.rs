//! How the fields of spans and events are taken in, whatever type a library gives them.

use std::borrow::Cow;
use std::fmt::{self, Write};

use tracing_core::Event;
use tracing_core::field::{Field as TracingField, Visit};

use super::heard::Said;
use super::open::Held;
use super::plan::{Kind, Plan, Use};
use crate::otlp::limits::cut;

/// So many bytes of a text are kept.
const TEXT: usize = 1_024;

/// Takes in the fields of a span, or of an event within it.
pub(super) struct Hear<'t, W> {
    held: Held<'t, W>,
    uses: &'static [Use],
    of_event: bool,
    /// What went wrong, as far as this time it was said.
    said: Option<String>,
}

impl<'t, W> Hear<'t, W> {
    /// Takes the fields of a place in the program into what was heard of a span.
    pub(super) fn new(held: Held<'t, W>, plan: &'static Plan) -> Self {
        Self { held, uses: &plan.uses, of_event: plan.kind == Kind::Event, said: None }
    }

    /// What was said to have gone wrong.
    pub(super) fn said(self) -> Option<String> {
        self.said
    }

    fn of(&self, field: &TracingField) -> Use {
        self.uses.get(field.index()).copied().unwrap_or(Use::Nothing)
    }

    #[inline]
    fn text(&mut self, to: Use, text: &str) {
        if let Use::Known(spoken) = to {
            if let Some(heard) = self.held.heard() {
                heard.say_text(spoken, cut(text, TEXT));
            }
        } else {
            self.fact(to, cut(text, TEXT));
        }
    }

    fn fact(&mut self, to: Use, text: &str) {
        let Some(heard) = self.held.heard() else { return };
        match to {
            Use::Nothing | Use::Known(_) => {}
            // What an event calls an error need not have been the end.
            Use::Error if self.of_event => self.said = Some(text.to_owned()),
            Use::Name => heard.facts.name = (!text.is_empty()).then(|| heard.keep(text)),
            Use::Status => heard.facts.failed = text.eq_ignore_ascii_case("error"),
            Use::StatusMessage => heard.facts.message = Some(heard.keep(text)),
            Use::Error => {
                heard.facts.failed = true;
                heard.facts.message = Some(heard.keep(text));
            }
        }
    }

    #[inline]
    fn number(&mut self, to: Use, value: Said) {
        if let Use::Known(spoken) = to
            && let Some(heard) = self.held.heard()
        {
            heard.say(spoken, value);
        }
    }
}

impl<W> Visit for Hear<'_, W> {
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
            Use::Error if !self.of_event => {
                if let Some(heard) = self.held.heard() {
                    heard.facts.failed = value;
                }
            }
            to => self.number(to, Said::Bool(value)),
        }
    }

    fn record_debug(&mut self, field: &TracingField, value: &dyn fmt::Debug) {
        let to = self.of(field);
        if !matches!(to, Use::Nothing) {
            let text = self.held.meanwhile(|| Bounded::of(value));
            if let Some(plain) = undebugged(&text) {
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

impl Bounded {
    fn of(value: &dyn fmt::Debug) -> String {
        let mut text = Self(String::new());
        // It ends early where the text is too long.
        let _ = write!(text, "{value:?}");
        text.0
    }
}

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let kept = cut(text, TEXT.saturating_sub(self.0.len()));
        self.0.push_str(kept);
        if kept.len() < text.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

/// The message of an event, and nothing else of it.
#[derive(Default)]
pub(super) struct Message(Option<String>);

impl Message {
    pub(super) fn of(event: &Event<'_>) -> Option<String> {
        let mut message = Self::default();
        event.record(&mut message);
        message.0
    }
}

impl Visit for Message {
    fn record_debug(&mut self, field: &TracingField, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = Some(Bounded::of(value));
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
