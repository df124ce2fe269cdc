//! What a part of a record may be: cut to the limits, with its secrets masked, and every cut counted.

use std::time::Duration;

use taximeter_models::{ErrorRecord, LlmCall, Metadata, Name, ToolCall};

use crate::intake::{Flaw, Intake};
use crate::limits::{Limits, cut, cut_value, head};
use crate::value::MetaValue;

/// How many ways in which a call was served are kept; no price asks for more.
const SELECTORS: usize = 8;

/// Brings parts within the limits, and counts what that took.
#[derive(Debug)]
pub(crate) struct Bounds<'a> {
    pub(crate) limits: &'a Limits,
    cuts: u64,
    invalid: u64,
}

impl<'a> Bounds<'a> {
    pub(crate) fn new(limits: &'a Limits) -> Self {
        Self { limits, cuts: 0, invalid: 0 }
    }

    /// Reports what it has counted.
    #[inline]
    pub(crate) fn report(self, intake: &Intake) {
        if self.cuts > 0 {
            intake.flaw(Flaw::Truncated(self.cuts));
        }
        if self.invalid > 0 {
            intake.flaw(Flaw::InvalidValue(self.invalid));
        }
    }

    /// Counts something that is left out.
    pub(crate) fn left_out(&mut self) {
        self.cuts += 1;
    }

    #[inline]
    pub(crate) fn name<'t>(&mut self, name: &'t str) -> &'t str {
        if name.len() <= self.limits.name_bytes {
            return name;
        }
        self.cuts += 1;
        head(name, self.limits.name_bytes)
    }

    fn owned_name(&mut self, name: Name) -> Name {
        if name.len() <= self.limits.name_bytes { name } else { self.name(&name).into() }
    }

    /// A duration that 64 bits of nanoseconds can hold.
    #[inline]
    pub(crate) fn duration(&mut self, duration: Duration) -> Duration {
        const MOST: Duration = Duration::from_nanos(u64::MAX);
        self.invalid += u64::from(duration > MOST);
        duration.min(MOST)
    }

    pub(crate) fn message(&mut self, mut text: String) -> String {
        self.cuts += u64::from(cut(&mut text, self.limits.text_bytes));
        text
    }

    /// A value within the limits.
    #[inline]
    pub(crate) fn value<'v>(&mut self, value: MetaValue<'v>) -> MetaValue<'v> {
        match value {
            MetaValue::Text(text) if text.len() <= self.limits.text_bytes => MetaValue::Text(text),
            MetaValue::Unsigned(number) => MetaValue::Unsigned(number),
            other => self.rare_value(other),
        }
    }

    #[inline(never)]
    fn rare_value<'v>(&mut self, value: MetaValue<'v>) -> MetaValue<'v> {
        match value {
            MetaValue::Text(text) if text.len() > self.limits.text_bytes => {
                self.cuts += 1;
                MetaValue::Text(head(text, self.limits.text_bytes))
            }
            MetaValue::Owned(text) => MetaValue::Owned(self.message(text)),
            MetaValue::Float(number) if !number.is_finite() => {
                self.invalid += 1;
                ().into()
            }
            MetaValue::Json(mut value) => {
                self.cuts += u64::from(cut_value(&mut value, self.limits.text_bytes));
                MetaValue::Json(value)
            }
            whole => whole,
        }
    }

    pub(crate) fn metadata(&mut self, metadata: Metadata) -> Metadata {
        let mut bounded = Metadata::new();
        for (mut key, value) in metadata {
            self.cuts += u64::from(cut(&mut key, self.limits.name_bytes));
            if bounded.len() < self.limits.keys || bounded.contains_key(&key) {
                bounded.insert(key, self.value(value.into()).into_value());
            } else {
                self.cuts += 1;
            }
        }
        bounded
    }

    pub(crate) fn error(&mut self, mut error: ErrorRecord) -> ErrorRecord {
        error.message = self.message(error.message);
        error.causes = error.causes.into_iter().map(|cause| self.message(cause)).collect();
        error.component = error.component.map(|component| self.owned_name(component));
        error
    }

    pub(crate) fn tool_call(&mut self, mut call: ToolCall) -> ToolCall {
        call.name = self.owned_name(call.name);
        call.duration = call.duration.map(|duration| self.duration(duration));
        call.error = call.error.map(|error| self.error(error));
        call.metadata = self.metadata(call.metadata);
        call
    }

    pub(crate) fn llm_call(&mut self, mut call: LlmCall) -> LlmCall {
        for name in [
            &mut call.provider,
            &mut call.request_model,
            &mut call.response_model,
            &mut call.finish_reason,
            &mut call.served_tier,
        ] {
            *name = name.take().map(|name| self.owned_name(name));
        }
        let served_as = std::mem::take(&mut call.served_as).into_iter().take(SELECTORS);
        call.served_as =
            served_as.map(|(key, value)| (self.owned_name(key), self.owned_name(value))).collect();
        call.duration = call.duration.map(|duration| self.duration(duration));
        call.time_to_first_token = call.time_to_first_token.map(|took| self.duration(took));
        call.error = call.error.map(|error| self.error(error));
        call.metadata = self.metadata(call.metadata);
        call
    }
}
