//! An operation that has not ended: its record, filled part by part within the limits.

use std::time::Duration;

use serde_json::Value;
use taximeter_models::{
    ComponentTiming, ErrorRecord, LlmCall, Metadata, Name, OperationRecord, ToolCall, Warning,
};

use crate::limits::{Limits, cut, cut_value};

/// How many ways in which a call was served are kept; no price asks for more.
const SELECTORS: usize = 8;

/// Puts parts into a record, cuts what is above a limit, and counts the cuts.
#[derive(Debug)]
pub(crate) struct Filler<'a> {
    pub(crate) record: &'a mut OperationRecord,
    limits: &'a Limits,
    cuts: u64,
}

impl<'a> Filler<'a> {
    pub(crate) fn new(record: &'a mut OperationRecord, limits: &'a Limits) -> Self {
        Self { record, limits, cuts: 0 }
    }

    /// How many texts and parts had to be cut or left out.
    pub(crate) fn cuts(self) -> u64 {
        self.cuts
    }

    pub(crate) fn name(&mut self, name: impl Into<Name>) -> Name {
        let name = name.into();
        if name.len() <= self.limits.name_bytes {
            return name;
        }
        self.cuts += 1;
        let mut text = name.to_string();
        cut(&mut text, self.limits.name_bytes);
        text.into()
    }

    fn text(&mut self, mut text: String) -> String {
        self.cuts += u64::from(cut(&mut text, self.limits.text_bytes));
        text
    }

    pub(crate) fn metadata(&mut self, key: &str, value: Value) {
        let mut metadata = std::mem::take(&mut self.record.metadata);
        self.put(&mut metadata, key.to_owned(), value);
        self.record.metadata = metadata;
    }

    fn put(&mut self, metadata: &mut Metadata, mut key: String, mut value: Value) {
        self.cuts += u64::from(cut(&mut key, self.limits.name_bytes));
        self.cuts += u64::from(cut_value(&mut value, self.limits.text_bytes));
        if metadata.len() >= self.limits.keys && !metadata.contains_key(&key) {
            self.cuts += 1;
        } else {
            metadata.insert(key, value);
        }
    }

    fn bounded_metadata(&mut self, metadata: Metadata) -> Metadata {
        let mut bounded = Metadata::new();
        for (key, value) in metadata {
            self.put(&mut bounded, key, value);
        }
        bounded
    }

    pub(crate) fn tag(&mut self, key: &str, value: &str) {
        let key = self.name(key).to_string();
        let value = self.name(value).to_string();
        if self.record.tags.len() >= self.limits.keys && !self.record.tags.contains_key(&key) {
            self.cuts += 1;
        } else {
            self.record.tags.insert(key, value);
        }
    }

    /// A timing above the limit is added to the last one of its name, so that no time is lost.
    pub(crate) fn component(&mut self, name: Name, offset: Option<Duration>, duration: Duration) {
        let name = self.name(name);
        if self.record.components.len() >= self.limits.components {
            let same = self.record.components.iter_mut().rev().find(|timing| timing.name == name);
            if let Some(timing) = same {
                timing.duration = timing.duration.saturating_add(duration);
                timing.count = timing.count.saturating_add(1);
                timing.offset = None;
                return;
            }
            if self.record.components.len() >= self.limits.components.saturating_mul(2) {
                self.cuts += 1;
                return;
            }
        }
        self.record.components.push(ComponentTiming { name, offset, duration, count: 1 });
    }

    pub(crate) fn tool_call(&mut self, mut call: ToolCall) {
        if self.record.tool_calls.len() >= self.limits.calls {
            self.cuts += 1;
            return;
        }
        call.name = self.name(call.name);
        call.error = call.error.map(|error| self.bounded_error(error));
        call.metadata = self.bounded_metadata(call.metadata);
        self.record.tool_calls.push(call);
    }

    pub(crate) fn llm_call(&mut self, mut call: LlmCall) {
        if self.record.llm_calls.len() >= self.limits.calls {
            self.cuts += 1;
            return;
        }
        for name in [
            &mut call.provider,
            &mut call.request_model,
            &mut call.response_model,
            &mut call.finish_reason,
            &mut call.served_tier,
        ] {
            *name = name.take().map(|name| self.name(name));
        }
        let served_as = std::mem::take(&mut call.served_as).into_iter().take(SELECTORS);
        call.served_as = served_as.map(|(key, value)| (self.name(key), self.name(value))).collect();
        call.error = call.error.map(|error| self.bounded_error(error));
        call.metadata = self.bounded_metadata(call.metadata);
        self.record.llm_calls.push(call);
    }

    pub(crate) fn error(&mut self, error: ErrorRecord) {
        if self.record.errors.len() >= self.limits.messages {
            self.record.unlisted_errors = self.record.unlisted_errors.saturating_add(1);
        } else {
            let error = self.bounded_error(error);
            self.record.errors.push(error);
        }
    }

    fn bounded_error(&mut self, mut error: ErrorRecord) -> ErrorRecord {
        error.message = self.text(error.message);
        error.causes = error.causes.into_iter().map(|cause| self.text(cause)).collect();
        error.component = error.component.map(|component| self.name(component));
        error
    }

    pub(crate) fn warning(&mut self, message: String) {
        if self.record.warnings.len() >= self.limits.messages {
            self.record.unlisted_warnings = self.record.unlisted_warnings.saturating_add(1);
        } else {
            let message = self.text(message);
            self.record.warnings.push(Warning { message, component: None });
        }
    }
}
