//! What can be recorded into an operation: each part is brought within its bounds, put together and put in.

use std::time::Duration;

use taximeter_models::{CostOutcome, LlmCall, Name, TokenUsage, UsageError};

use crate::bounds::Bounds;
use crate::frame::{Label, Words, hot, nanos, part};
use crate::intake::Flaw;
use crate::page::Kind;
use crate::place::{Core, Life};
use crate::plain;
use crate::redact::Field;
use crate::value::MetaValue;

impl Core {
    #[inline]
    pub(crate) fn text(&self, key: &str, text: &str) {
        match plain::key(key) {
            Some(key) => self.plain_text(key, text),
            None => self.metadata(key, MetaValue::Text(text)),
        }
    }

    #[inline(never)]
    fn plain_text(&self, key: Label, text: &str) {
        let compose = |to: &mut Words<'_, _>| hot::text(to, key, text);
        let is_plain = self.plain.is_key(key) && self.plain.is_text(text);
        if !(is_plain && self.page.write(Kind::Key, compose)) {
            self.show_text(key, text);
        }
    }

    #[cold]
    #[inline(never)]
    fn show_text(&self, key: Label, text: &str) {
        key.show(|key| self.metadata(key, MetaValue::Text(text)));
    }

    #[inline]
    pub(crate) fn unsigned(&self, key: &str, number: u64) {
        match plain::key(key) {
            Some(key) => self.plain_unsigned(key, number),
            None => self.any_unsigned(key, number),
        }
    }

    #[inline]
    fn plain_unsigned(&self, key: Label, number: u64) {
        let compose = |to: &mut Words<'_, _>| hot::unsigned(to, key, number);
        if !(self.plain.is_key(key) && self.page.write(Kind::Key, compose)) {
            self.show_unsigned(key, number);
        }
    }

    #[cold]
    #[inline(never)]
    fn show_unsigned(&self, key: Label, number: u64) {
        key.show(|key| self.any_unsigned(key, number));
    }

    #[cold]
    fn any_unsigned(&self, key: &str, number: u64) {
        let mut bounds = self.bounds();
        match bounds.number_key(key) {
            Some(key) => self.compose(Kind::Key, bounds, |to| part::unsigned(to, &key, number)),
            None => self.metadata(key, MetaValue::Unsigned(number)),
        }
    }

    #[inline(never)]
    pub(crate) fn metadata(&self, key: &str, value: MetaValue<'_>) {
        let mut bounds = self.bounds();
        match bounds.entry(key, value) {
            Some((key, value)) => {
                self.compose(Kind::Key, bounds, |to| part::metadata(to, &key, &value));
            }
            None => bounds.report(&self.shared.intake),
        }
    }

    pub(crate) fn tag(&self, key: &str, value: &str) {
        let mut bounds = self.bounds();
        match bounds.tag_entry(key, value) {
            Some((key, value)) => self.compose(Kind::Tag, bounds, |to| part::tag(to, &key, &value)),
            None => bounds.report(&self.shared.intake),
        }
    }

    #[inline]
    pub(crate) fn component(&self, name: &str, took: Duration) {
        if took > Bounds::LONGEST {
            self.too_long();
        }
        match Label::of(name) {
            Some(name) => self.plain_component(name, None, nanos(took)),
            None => self.any_component(name, None, nanos(took)),
        }
    }

    /// Counts a duration that 64 bits of nanoseconds do not hold, and that becomes the longest that they do.
    #[cold]
    pub(crate) fn too_long(&self) {
        self.shared.intake.flaw(Flaw::InvalidValue(1));
    }

    /// A component that took so many nanoseconds, and may have begun so many after the operation.
    #[inline]
    pub(crate) fn plain_component(&self, name: Label, offset: Option<u64>, took: u64) {
        let compose = |to: &mut Words<'_, _>| hot::component(to, name, offset, took);
        let is_plain = self.plain.is_name(name) && hot::is_short(offset.unwrap_or(0).max(took));
        if !(is_plain && self.page.write(Kind::Component, compose)) {
            self.show_component(name, offset, took);
        }
    }

    #[cold]
    #[inline(never)]
    fn show_component(&self, name: Label, offset: Option<u64>, took: u64) {
        name.show(|name| self.any_component(name, offset, took));
    }

    #[inline(never)]
    pub(crate) fn any_component(&self, name: &str, offset: Option<u64>, took: u64) {
        let (offset, took) = (offset.map(Duration::from_nanos), Duration::from_nanos(took));
        let mut bounds = self.bounds();
        let name = bounds.name(Field::Component, name);
        self.compose(Kind::Component, bounds, |to| part::component(to, &name, offset, took, 1));
    }

    #[inline]
    pub(crate) fn usage(&self, provider: &str, model: &str, usage: &TokenUsage) {
        match (Label::of(provider), Label::of(model)) {
            (Some(provider), Some(model)) => self.plain_usage(provider, model, usage),
            _ => self.any_usage(provider, model, usage),
        }
    }

    #[inline]
    fn plain_usage(&self, provider: Label, model: Label, usage: &TokenUsage) {
        let compose = |to: &mut Words<'_, _>| hot::usage(to, provider, model, usage);
        let is_plain =
            self.plain.is_name(provider) && self.plain.is_name(model) && hot::is_usage(usage);
        if !(is_plain && self.page.write(Kind::Llm, compose)) {
            self.show_usage(provider, model, usage);
        }
    }

    #[cold]
    #[inline(never)]
    fn show_usage(&self, provider: Label, model: Label, usage: &TokenUsage) {
        provider.show(|provider| model.show(|model| self.any_usage(provider, model, usage)));
    }

    #[inline(never)]
    fn any_usage(&self, provider: &str, model: &str, usage: &TokenUsage) {
        let mut bounds = self.bounds();
        let provider = bounds.name(Field::Model, provider);
        let model = bounds.name(Field::Model, model);
        self.compose(Kind::Llm, bounds, |to| part::usage(to, &provider, &model, usage));
    }

    /// Records a call whose numbers cannot be, without them.
    #[cold]
    pub(crate) fn invalid_usage(&self, provider: &str, model: &str, error: UsageError) {
        let mut bounds = self.bounds();
        let mut call = LlmCall::new(provider, model);
        self.put_usage(&mut call, Err(error));
        let call = bounds.llm_call(call);
        self.compose(Kind::Llm, bounds, |to| part::llm(to, &call));
    }

    /// Gives a call its usage, or says why it has none.
    pub(crate) fn put_usage(&self, call: &mut LlmCall, usage: Result<TokenUsage, UsageError>) {
        match usage {
            Ok(usage) => call.usage = Some(usage),
            Err(error) => {
                call.cost = CostOutcome::InvalidUsage { why: error.to_string() };
                self.shared.intake.flaw(Flaw::InvalidUsage);
            }
        }
    }

    /// Says for whom it runs.
    pub(crate) fn set_user(&self, user: &str) {
        self.set_shared(Field::User, user, |life| &mut life.user);
    }

    /// Says what conversation it is part of.
    pub(crate) fn set_session(&self, session: &str) {
        self.set_shared(Field::Session, session, |life| &mut life.session);
    }

    fn set_shared(&self, field: Field<'_>, text: &str, place: fn(&mut Life) -> &mut Option<Name>) {
        let mut bounds = self.bounds();
        let text = bounds.shared_text(field, text);
        let before = self.change(|life| std::mem::replace(place(life), text));
        drop(before);
        bounds.report(&self.shared.intake);
    }
}
