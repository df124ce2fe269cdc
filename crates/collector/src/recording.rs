//! What can be recorded into an operation: each part is brought within its bounds, put together and put in.

use std::time::Duration;

use taximeter_models::{CostOutcome, LlmCall, Name, TokenUsage, UsageError};

use crate::bounds::Bounds;
use crate::frame::hot::Tokens;
use crate::frame::{Label, Words, hot, nanos, part, short_nanos};
use crate::ledger::Flaw;
use crate::page::Kind;
use crate::place::{Core, Rest};
use crate::plain;
use crate::redact::{Field, is_suspicious};
use crate::value::{Hot, MetaValue};

impl Core {
    /// Keeps a value with the operation. The kind is known where this is compiled: the two that are most frequent go
    /// straight to their place.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "of a text that the compiler knows, numbers are left; of a kind, nothing"
    )]
    pub(crate) fn set(&self, key: &str, value: MetaValue<'_>) {
        match value.hot() {
            Ok(Hot::Text(text)) => match plain::key(key) {
                Some(key) if self.page.write_by(|at| self.put_plain_text(at, key, text)) => {}
                Some(key) => self.show_value(key, MetaValue::Text(text)),
                None => self.metadata(key, MetaValue::Text(text)),
            },
            Ok(Hot::Unsigned(number)) => match plain::key(key) {
                Some(key) if self.page.write_by(|at| self.put_plain_unsigned(at, key, number)) => {}
                Some(key) => self.show_value(key, MetaValue::Unsigned(number)),
                None => self.metadata(key, MetaValue::Unsigned(number)),
            },
            Err(value) => self.metadata(key, value),
        }
    }

    /// Puts a key and its text together behind so many bytes of the page; says where they end. None where the text is not
    /// plain, or there is no room.
    #[inline]
    pub(crate) fn put_plain_text(&self, at: usize, key: Label, text: &str) -> Option<usize> {
        if text.len() > hot::TEXT {
            return None;
        }
        let at = self.page.compose(at, |to| hot::key_of_text(to, key, text.len()))?;
        self.put_text(at, text)
    }

    /// What is put together is nobody's yet, so it is looked at last, when nothing else needs to be remembered.
    #[inline(never)]
    fn put_text(&self, at: usize, text: &str) -> Option<usize> {
        let end = self.page.put_text(at, text)?;
        (!is_suspicious(text)).then_some(end)
    }

    /// As [`put_plain_text`](Core::put_plain_text), for a number.
    #[inline]
    pub(crate) fn put_plain_unsigned(&self, at: usize, key: Label, number: u64) -> Option<usize> {
        self.page.compose(at, |to| hot::unsigned(to, key, number))
    }

    #[cold]
    #[inline(never)]
    fn show_value(&self, key: Label, value: MetaValue<'_>) {
        key.show(|key| self.metadata(key, value));
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

    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "of a text that the compiler knows, numbers are left; of a kind, nothing"
    )]
    pub(crate) fn component(&self, name: &str, took: Duration) {
        let took = self.nanos(took);
        match Label::of(name) {
            Some(name) => self.plain_component(name, took),
            None => self.any_component(name, None, took),
        }
    }

    /// Nanoseconds; what 64 bits of them do not hold becomes the longest that they do, and is counted.
    #[inline]
    pub(crate) fn nanos(&self, took: Duration) -> u64 {
        short_nanos(took).unwrap_or_else(|| self.long_nanos(took))
    }

    #[cold]
    fn long_nanos(&self, took: Duration) -> u64 {
        if took > Bounds::LONGEST {
            self.shared.intake.flaw(Flaw::InvalidValue(1));
        }
        nanos(took)
    }

    #[inline]
    fn plain_component(&self, name: Label, took: u64) {
        let compose = |to: &mut Words<'_, _>| hot::component(to, name, None, took);
        if !(hot::is_short(took) && self.page.write(compose)) {
            self.show_component(name, None, took);
        }
    }

    /// A component that took so many nanoseconds, and began so many after the operation.
    #[inline]
    pub(crate) fn component_at(&self, name: Label, offset: u64, took: u64) {
        let compose = |to: &mut Words<'_, _>| hot::component(to, name, Some(offset), took);
        if !(hot::is_short(offset.max(took)) && self.page.write(compose)) {
            self.show_component(name, Some(offset), took);
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

    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "of a text that the compiler knows, numbers are left; of a kind, nothing"
    )]
    pub(crate) fn usage(&self, provider: &str, model: &str, usage: &TokenUsage) {
        match (Label::of(provider), Label::of(model), Tokens::of(usage)) {
            (Some(provider), Some(model), Some(tokens)) => {
                self.plain_usage(provider, model, tokens);
            }
            _ => self.any_usage(provider, model, usage),
        }
    }

    #[inline]
    fn plain_usage(&self, provider: Label, model: Label, tokens: Tokens) {
        if !self.page.write(|to| hot::usage(to, provider, model, tokens)) {
            self.show_usage(provider, model, tokens);
        }
    }

    /// It takes the numbers and not the usage, which nobody has to put into memory then.
    #[cold]
    #[inline(never)]
    fn show_usage(&self, provider: Label, model: Label, tokens: Tokens) {
        let usage = tokens.usage();
        provider.show(|provider| model.show(|model| self.any_usage(provider, model, &usage)));
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
        self.set_shared(Field::User, user, |rest| &mut rest.user);
    }

    /// Says what conversation it is part of.
    pub(crate) fn set_session(&self, session: &str) {
        self.set_shared(Field::Session, session, |rest| &mut rest.session);
    }

    fn set_shared(&self, field: Field<'_>, text: &str, place: fn(&mut Rest) -> &mut Option<Name>) {
        let mut bounds = self.bounds();
        let text = bounds.shared_text(field, text);
        let before = self.change(|rest| std::mem::replace(place(rest), text));
        drop(before);
        bounds.report(&self.shared.intake);
    }
}
