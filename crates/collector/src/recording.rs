//! What can be recorded into an operation: each part is brought within its bounds, put together and put in.

use std::time::Duration;

use taximeter_models::{CostOutcome, LlmCall, Name, TokenUsage, UsageError};

use crate::bounds::Bounds;
use crate::frame::part;
use crate::intake::Flaw;
use crate::page::Kind;
use crate::parts::{ComponentPart, NumberPart, TextPart, UsagePart};
use crate::place::{Core, Life};
use crate::redact::Field;
use crate::value::MetaValue;

impl Core {
    #[inline]
    pub(crate) fn text(&self, key: &str, text: &str) {
        if self.plain().is_entry(key, text) {
            return self.record(Kind::Key, &TextPart { key, text });
        }
        self.metadata(key, MetaValue::Text(text));
    }

    #[inline]
    pub(crate) fn unsigned(&self, key: &str, number: u64) {
        if self.plain().is_key(key) {
            return self.record(Kind::Key, &NumberPart { key, number });
        }
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

    #[inline(never)]
    pub(crate) fn component(&self, name: &str, began: Option<Duration>, took: Duration) {
        let offset = began.map(|began| Duration::from_nanos(self.since_start(began)));
        if self.plain().is_name(name) && took < Bounds::LONGEST {
            return self.record(Kind::Component, &ComponentPart { name, offset, took });
        }
        let mut bounds = self.bounds();
        let took = bounds.duration(took);
        let name = bounds.name(Field::Component, name);
        self.compose(Kind::Component, bounds, |to| part::component(to, &name, offset, took, 1));
    }

    #[inline(never)]
    pub(crate) fn usage(&self, provider: &str, model: &str, usage: Result<TokenUsage, UsageError>) {
        match usage {
            Ok(usage) if self.plain().is_name(provider) && self.plain().is_name(model) => {
                self.record(Kind::Llm, &UsagePart { provider, model, usage: &usage });
            }
            Ok(usage) => {
                let mut bounds = self.bounds();
                let provider = bounds.name(Field::Model, provider);
                let model = bounds.name(Field::Model, model);
                self.compose(Kind::Llm, bounds, |to| part::usage(to, &provider, &model, &usage));
            }
            Err(error) => {
                let mut bounds = self.bounds();
                let mut call = LlmCall::new(provider, model);
                self.put_usage(&mut call, Err(error));
                let call = bounds.llm_call(call);
                self.compose(Kind::Llm, bounds, |to| part::llm(to, &call));
            }
        }
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
