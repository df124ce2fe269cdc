//! What a part of a record may be: cut to the limits, with its secrets masked, and every change counted.
//!
//! A part is brought within its bounds before the lock of its operation is taken: a redaction may run the program's own
//! code, and that may record too.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::Value;
use taximeter_models::{ErrorRecord, LlmCall, Metadata, Name, ToolCall};

use crate::intake::Intake;
use crate::ledger::Flaw;
use crate::limits::{Limits, cut, cut_value, head};
use crate::redact::{Changes, Field, MASK, Redaction};
use crate::value::MetaValue;

/// How many ways in which a call was served are kept; no price asks for more.
const SELECTORS: usize = 8;

/// So many bytes above a limit are looked at, so that a secret is not cut in half and missed.
pub(crate) const BEYOND: usize = 256;

/// Brings parts within the limits, and counts what that took.
#[derive(Debug)]
pub(crate) struct Bounds<'a> {
    pub(crate) limits: &'a Limits,
    redaction: &'a Redaction,
    cuts: u64,
    invalid: u64,
    changes: Changes,
}

impl<'a> Bounds<'a> {
    /// The longest duration: as many nanoseconds as 64 bits hold.
    pub(crate) const LONGEST: Duration = Duration::from_nanos(u64::MAX);

    #[inline]
    pub(crate) fn new(intake: &'a Intake) -> Self {
        let (limits, redaction) = (intake.limits(), intake.redaction());
        Self { limits, redaction, cuts: 0, invalid: 0, changes: Changes::default() }
    }

    /// Reports what it has counted.
    #[inline]
    pub(crate) fn report(self, intake: &Intake) {
        if self.cuts | self.invalid | self.changes.redacted | self.changes.failed > 0 {
            self.tell(intake);
        }
    }

    #[cold]
    fn tell(&self, intake: &Intake) {
        intake.flaw(Flaw::Truncated(self.cuts));
        intake.flaw(Flaw::InvalidValue(self.invalid));
        intake.flaw(Flaw::Redacted(self.changes));
    }

    /// Counts something that is left out.
    pub(crate) fn left_out(&mut self) {
        self.cuts += 1;
    }

    /// A name: there is always one.
    #[inline]
    pub(crate) fn name<'t>(&mut self, field: Field<'_>, name: &'t str) -> Cow<'t, str> {
        if name.len() > self.limits.name_bytes {
            return self.long_name(field, name).unwrap_or(Cow::Borrowed(MASK));
        }
        self.redaction.name(field, name, &mut self.changes)
    }

    /// A text with the limits of a name, which may be left out.
    pub(crate) fn short_text<'t>(
        &mut self,
        field: Field<'_>,
        text: &'t str,
    ) -> Option<Cow<'t, str>> {
        if text.len() > self.limits.name_bytes {
            return self.long_name(field, text);
        }
        self.redaction.text(field, text, &mut self.changes)
    }

    #[cold]
    fn long_name<'t>(&mut self, field: Field<'_>, name: &'t str) -> Option<Cow<'t, str>> {
        self.cut_text(field, name, self.limits.name_bytes)
    }

    fn cut_text<'t>(
        &mut self,
        field: Field<'_>,
        text: &'t str,
        most: usize,
    ) -> Option<Cow<'t, str>> {
        self.cuts += 1;
        let seen = head(text, most.saturating_add(BEYOND));
        Some(match self.redaction.text(field, seen, &mut self.changes)? {
            Cow::Borrowed(text) => Cow::Borrowed(head(text, most)),
            Cow::Owned(text) => Cow::Owned(head(&text, most).to_owned()),
        })
    }

    fn owned_name(&mut self, field: Field<'_>, name: Name) -> Name {
        let changed = match self.name(field, &name) {
            Cow::Borrowed(text) if text.len() == name.len() => None,
            other => Some(Name::from(&*other)),
        };
        changed.unwrap_or(name)
    }

    /// A duration that 64 bits of nanoseconds can hold.
    #[inline]
    pub(crate) fn duration(&mut self, duration: Duration) -> Duration {
        self.invalid += u64::from(duration > Self::LONGEST);
        duration.min(Self::LONGEST)
    }

    /// A message; `***` where it is left out.
    pub(crate) fn message(&mut self, field: Field<'_>, text: String) -> String {
        let changed = if text.len() > self.limits.text_bytes {
            Some(self.cut_text(field, &text, self.limits.text_bytes))
        } else {
            match self.redaction.message(field, &text, &mut self.changes) {
                Some(Cow::Borrowed(_)) => None,
                other => Some(other),
            }
        };
        let changed = changed.map(|text| text.map_or_else(|| MASK.to_owned(), Cow::into_owned));
        // What a hook gives may be too long again.
        let mut text = changed.unwrap_or(text);
        self.cuts += u64::from(cut(&mut text, self.limits.text_bytes));
        text
    }

    /// The key of metadata or of a tag; none where it is left out with its value.
    #[inline]
    pub(crate) fn key<'t>(&mut self, key: &'t str) -> Option<Cow<'t, str>> {
        self.redaction.keeps(key, &mut self.changes).then(|| self.name(Field::Key, key))
    }

    /// Metadata within the limits; none where it is left out.
    pub(crate) fn entry<'t>(
        &mut self,
        key: &'t str,
        value: MetaValue<'t>,
    ) -> Option<(Cow<'t, str>, MetaValue<'t>)> {
        Some((self.key(key)?, self.value(key, value)?))
    }

    /// A tag within the limits; none where it is left out.
    pub(crate) fn tag_entry<'t>(
        &mut self,
        key: &'t str,
        value: &'t str,
    ) -> Option<(Cow<'t, str>, Cow<'t, str>)> {
        Some((self.key(key)?, self.tag(key, value)?))
    }

    /// A text that records of one operation and its children share; none where it is left out.
    pub(crate) fn shared_text(&mut self, field: Field<'_>, text: &str) -> Option<Name> {
        self.short_text(field, text).map(|text| Name::from(&*text))
    }

    /// A text of metadata within the limits.
    #[inline]
    pub(crate) fn text<'t>(&mut self, key: &str, text: &'t str) -> Option<Cow<'t, str>> {
        if self.redaction.is_secret(key) && !text.is_empty() {
            self.changes.redacted += 1;
            return Some(Cow::Borrowed(MASK));
        }
        if text.len() > self.limits.text_bytes {
            return self.cut_text(Field::Metadata(key), text, self.limits.text_bytes);
        }
        self.redaction.text(Field::Metadata(key), text, &mut self.changes)
    }

    /// The value of a tag; none where it is left out.
    fn tag<'t>(&mut self, key: &str, value: &'t str) -> Option<Cow<'t, str>> {
        if self.redaction.is_secret(key) {
            self.changes.redacted += 1;
            return Some(Cow::Borrowed(MASK));
        }
        self.short_text(Field::Tag(key), value)
    }

    /// A value within the limits; none where it is left out.
    pub(crate) fn value<'v>(&mut self, key: &str, value: MetaValue<'v>) -> Option<MetaValue<'v>> {
        let value = match value {
            MetaValue::Text(text) => {
                return Some(match self.text(key, text)? {
                    Cow::Borrowed(text) => MetaValue::Text(text),
                    Cow::Owned(text) => MetaValue::Owned(text),
                });
            }
            MetaValue::Owned(mut text) => {
                self.cuts += u64::from(cut(&mut text, self.limits.text_bytes));
                MetaValue::Owned(text)
            }
            MetaValue::Float(number) if !number.is_finite() => {
                self.invalid += 1;
                MetaValue::Json(Value::Null)
            }
            MetaValue::Json(mut value) => {
                self.cuts += u64::from(cut_value(&mut value, self.limits.text_bytes));
                MetaValue::Json(value)
            }
            whole => whole,
        };
        self.redaction.value(key, value, &mut self.changes)
    }

    pub(crate) fn metadata(&mut self, metadata: Metadata) -> Metadata {
        let mut bounded = Metadata::new();
        for (key, value) in metadata {
            let Some(name) = self.key(&key) else { continue };
            let Some(value) = self.value(&key, value.into()) else { continue };
            if bounded.len() < self.limits.keys || bounded.contains_key(&*name) {
                bounded.insert(name.into_owned(), value.into_value());
            } else {
                self.cuts += 1;
            }
        }
        bounded
    }

    pub(crate) fn error(&mut self, mut error: ErrorRecord) -> ErrorRecord {
        error.message = self.message(Field::Error, error.message);
        let causes = error.causes.into_iter();
        error.causes = causes.map(|cause| self.message(Field::Error, cause)).collect();
        error.component = error.component.map(|name| self.owned_name(Field::Component, name));
        error
    }

    pub(crate) fn tool_call(&mut self, mut call: ToolCall) -> ToolCall {
        call.name = self.owned_name(Field::Tool, call.name);
        call.duration = call.duration.map(|duration| self.duration(duration));
        call.error = call.error.map(|error| self.error(error));
        call.metadata = self.metadata(call.metadata);
        call
    }

    pub(crate) fn llm_call(&mut self, mut call: LlmCall) -> LlmCall {
        for (field, name) in [
            (Field::Model, &mut call.provider),
            (Field::Model, &mut call.request_model),
            (Field::Model, &mut call.response_model),
            (Field::Reply, &mut call.finish_reason),
            (Field::Reply, &mut call.served_tier),
        ] {
            *name = name.take().map(|name| self.owned_name(field, name));
        }
        let served_as = std::mem::take(&mut call.served_as).into_iter().take(SELECTORS);
        let mut name = |name| self.owned_name(Field::Reply, name);
        call.served_as = served_as.map(|(key, value)| (name(key), name(value))).collect();
        call.duration = call.duration.map(|duration| self.duration(duration));
        call.time_to_first_token = call.time_to_first_token.map(|took| self.duration(took));
        call.error = call.error.map(|error| self.error(error));
        call.metadata = self.metadata(call.metadata);
        call
    }
}
