//! How the fields of spans and events are taken in, whatever type a library gives them.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt::{self, Write};

use smallvec::SmallVec;
use tracing_core::Event;
use tracing_core::field::{Field as TracingField, Visit};
use tracing_core::span::{Attributes, Record};

use super::heard::{Heard, Said};
use super::plan::{Plan, Use};
use crate::otlp::limits::cut;

/// So many bytes of a text are kept.
const TEXT: usize = 1_024;

/// Whatever has fields.
pub(super) trait Tell {
    fn tell(&self, visitor: &mut dyn Visit);
}

impl Tell for Attributes<'_> {
    #[inline]
    fn tell(&self, visitor: &mut dyn Visit) {
        self.record(visitor);
    }
}

impl Tell for Record<'_> {
    #[inline]
    fn tell(&self, visitor: &mut dyn Visit) {
        self.record(visitor);
    }
}

impl Tell for Event<'_> {
    #[inline]
    fn tell(&self, visitor: &mut dyn Visit) {
        self.record(visitor);
    }
}

/// Takes in the fields of a span, or of an event within it, but for what the program would have to write first.
pub(super) struct Hear<'h> {
    heard: &'h mut Heard,
    uses: &'static [Use],
    /// Whether there is something that the program has to write.
    leaves: bool,
}

impl<'h> Hear<'h> {
    /// Takes the fields of a place in the program into what was heard of a span; whether there are some left that have to
    /// be [written](Written) first.
    #[inline]
    pub(super) fn all(heard: &'h mut Heard, plan: &'static Plan, fields: &impl Tell) -> bool {
        let mut hear = Self::new(heard, plan);
        fields.tell(&mut hear);
        hear.leaves
    }

    #[inline]
    fn new(heard: &'h mut Heard, plan: &'static Plan) -> Self {
        Self { heard, uses: &plan.uses, leaves: false }
    }

    #[inline(never)]
    fn text(&mut self, to: Use, text: &str) {
        if let Use::Known(spoken) = to {
            self.heard.say_text(spoken, cut(text, TEXT));
        } else {
            self.fact(to, cut(text, TEXT));
        }
    }

    fn fact(&mut self, to: Use, text: &str) {
        let heard = &mut *self.heard;
        match to {
            Use::Nothing | Use::Known(_) => {}
            Use::Name => heard.facts.name = (!text.is_empty()).then(|| heard.keep(text)),
            Use::Status => heard.facts.failed = text.eq_ignore_ascii_case("error"),
            Use::StatusMessage => heard.facts.message = Some(heard.keep(text)),
            Use::Error => {
                heard.facts.failed = true;
                heard.facts.message = Some(heard.keep(text));
            }
            Use::Trouble => heard.because(text),
        }
    }

    #[cold]
    #[inline(never)]
    #[expect(
        clippy::cast_precision_loss,
        reason = "what 63 bits cannot hold is no count either way"
    )]
    fn huge_number(&mut self, to: Use, value: u64) {
        self.number(to, value as f64);
    }

    #[inline]
    fn number(&mut self, to: Use, value: impl Into<Said>) {
        if let Use::Known(spoken) = to {
            self.heard.say(spoken, value);
        }
    }
}

#[inline]
fn use_of(uses: &[Use], field: &TracingField) -> Use {
    uses.get(field.index()).copied().unwrap_or(Use::Nothing)
}

impl Visit for Hear<'_> {
    fn record_str(&mut self, field: &TracingField, value: &str) {
        let to = use_of(self.uses, field);
        if let Use::Known(spoken) = to
            && value.len() <= TEXT
        {
            self.heard.say_text(spoken, value);
        } else if !matches!(to, Use::Nothing) {
            self.text(to, value);
        }
    }

    fn record_i64(&mut self, field: &TracingField, value: i64) {
        self.number(use_of(self.uses, field), value);
    }

    fn record_u64(&mut self, field: &TracingField, value: u64) {
        let to = use_of(self.uses, field);
        match i64::try_from(value) {
            Ok(value) => self.number(to, value),
            Err(_) => self.huge_number(to, value),
        }
    }

    fn record_f64(&mut self, field: &TracingField, value: f64) {
        self.number(use_of(self.uses, field), value);
    }

    fn record_bool(&mut self, field: &TracingField, value: bool) {
        match use_of(self.uses, field) {
            Use::Error => self.heard.facts.failed = value,
            to => self.number(to, value),
        }
    }

    fn record_debug(&mut self, field: &TracingField, _: &dyn fmt::Debug) {
        self.leaves |= !matches!(use_of(self.uses, field), Use::Nothing);
    }
}

/// What the program writes for debugging. It may do whatever it likes meanwhile, and so it writes when nothing is locked.
pub(super) struct Written {
    uses: &'static [Use],
    text: String,
    /// What the texts are for, and where they end.
    ends: SmallVec<[(Use, usize); 4]>,
}

thread_local! {
    /// Where the last one was written. Who writes within another finds none.
    static PAPER: Cell<String> = const { Cell::new(String::new()) };
}

impl Written {
    /// Lets the program write what [`Hear`] left.
    pub(super) fn of(plan: &'static Plan, fields: &impl Tell) -> Self {
        let text = PAPER.try_with(Cell::take).unwrap_or_default();
        let mut written = Self { uses: &plan.uses, text, ends: SmallVec::new() };
        fields.tell(&mut written);
        written
    }

    /// Takes it into what was heard.
    pub(super) fn put_into(&self, heard: &mut Heard, plan: &'static Plan) {
        let mut hear = Hear::new(heard, plan);
        let mut start = 0;
        for (to, end) in &self.ends {
            if let Some(plain) = self.text.get(start..*end).and_then(undebugged) {
                hear.text(*to, &plain);
            }
            start = *end;
        }
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        self.text.clear();
        // No thread keeps what it wrote for good.
        if self.text.capacity() <= 4 * TEXT {
            let text = std::mem::take(&mut self.text);
            let _ = PAPER.try_with(|paper| paper.set(text));
        }
    }
}

impl Visit for Written {
    fn record_debug(&mut self, field: &TracingField, value: &dyn fmt::Debug) {
        let to = use_of(self.uses, field);
        if !matches!(to, Use::Nothing) {
            Bounded::write(&mut self.text, value);
            self.ends.push((to, self.text.len()));
        }
    }

    // All others were heard.
    fn record_str(&mut self, _: &TracingField, _: &str) {}

    fn record_i64(&mut self, _: &TracingField, _: i64) {}

    fn record_u64(&mut self, _: &TracingField, _: u64) {}

    fn record_f64(&mut self, _: &TracingField, _: f64) {}

    fn record_bool(&mut self, _: &TracingField, _: bool) {}
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

/// Takes what is written, and no more of it than is kept.
struct Bounded<'t> {
    text: &'t mut String,
    room: usize,
}

impl<'t> Bounded<'t> {
    fn write(text: &'t mut String, value: &dyn fmt::Debug) {
        // It ends early where it is too long.
        let _ = write!(Self { text, room: TEXT }, "{value:?}");
    }
}

impl Write for Bounded<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let kept = cut(text, self.room);
        self.text.push_str(kept);
        self.room -= kept.len();
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
            Bounded::write(self.0.insert(String::new()), value);
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
        let mut text = "before".to_owned();
        Bounded::write(&mut text, &format_args!("{}", "é".repeat(5_000)));
        assert_eq!(text.len(), "before".len() + TEXT);
    }
}
