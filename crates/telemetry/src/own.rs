//! What spans of taximeter say beyond the conventions, so that a receiver of ours makes the same records of them.
//!
//! An operation has its id in `taximeter.operation.id`. What no convention has a name for stands in `taximeter.more` as
//! JSON; there is none where there is nothing to say. A call's cost is given as its sum: how it was computed is not sent.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use taximeter_models::{
    ComponentTiming, CostOutcome, ErrorRecord, LlmCall, Metadata, Name, OperationId,
    OperationRecord, Outcome, TokenUsage, ToolCall, ToolStatus, Warning,
};

/// The id of an operation, on its span.
#[cfg(feature = "otlp-export")]
pub(crate) const OPERATION_ID: &str = "taximeter.operation.id";
/// What no convention has a name for, as JSON.
#[cfg(feature = "otlp-export")]
pub(crate) const MORE: &str = "taximeter.more";

/// What no convention says of an operation.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct MoreOfOperation {
    /// Where its span has another one: that of the agent that it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Name>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<OperationId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<Outcome>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<ErrorRecord>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Warning>,
    #[serde(skip_serializing_if = "is_zero")]
    unlisted_errors: u64,
    #[serde(skip_serializing_if = "is_zero")]
    unlisted_warnings: u64,
    /// Those that cannot be spans, since it is not known when they began, or they stand for several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    components: Vec<ComponentTiming>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Metadata::is_empty")]
    metadata: Metadata,
}

/// What no convention says of a call of an LLM. What is `Some(None)` is not known, though its span says something.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct MoreOfLlmCall {
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<Name>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<TokenUsage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<CostOutcome>,
    #[serde(skip_serializing_if = "is_false")]
    start_unknown: bool,
    #[serde(skip_serializing_if = "is_false")]
    duration_unknown: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_token_ns: Option<u64>,
    #[serde(skip_serializing_if = "is_zero")]
    attempt: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    served_tier: Option<Name>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    served_as: BTreeMap<Name, Name>,
    /// Hashes are texts: many readers of JSON lose digits of numbers above 2⁵³.
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_prefix_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context_window: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorRecord>,
    #[serde(skip_serializing_if = "Metadata::is_empty")]
    metadata: Metadata,
}

/// What no convention says of a call of a tool.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct MoreOfToolCall {
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<ToolStatus>,
    #[serde(skip_serializing_if = "is_false")]
    start_unknown: bool,
    #[serde(skip_serializing_if = "is_false")]
    duration_unknown: bool,
    #[serde(skip_serializing_if = "is_zero")]
    attempt: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorRecord>,
    #[serde(skip_serializing_if = "Metadata::is_empty")]
    metadata: Metadata,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// Whether a component can be a span.
#[cfg(feature = "otlp-export")]
pub(crate) fn is_span(timing: &ComponentTiming) -> bool {
    timing.offset.is_some() && timing.count == 1
}

#[cfg(feature = "otlp-export")]
mod of {
    use super::{
        CostOutcome, LlmCall, MoreOfLlmCall, MoreOfOperation, MoreOfToolCall, OperationRecord,
        Outcome, Serialize, ToolCall, is_span,
    };
    use taximeter_models::ReportedCost;

    use crate::otlp::{keys, provider_name};

    /// The name of the agent that an operation is, if it is one.
    pub(crate) fn agent(record: &OperationRecord) -> Option<&str> {
        record.metadata.get(keys::AGENT)?.as_str().filter(|name| !name.is_empty())
    }

    /// As JSON; none where there is nothing to say.
    pub(crate) fn json<T: Serialize + Default + PartialEq>(more: &T) -> Option<String> {
        // Texts and numbers always can be written.
        (*more != T::default()).then(|| serde_json::to_string(more).unwrap_or_default())
    }

    impl MoreOfOperation {
        pub(crate) fn of(record: &OperationRecord) -> Self {
            Self {
                name: agent(record).map(|_| record.name.clone()),
                parent: record.parent,
                outcome: Some(record.outcome).filter(|outcome| *outcome != Outcome::Success),
                errors: record.errors.clone(),
                warnings: record.warnings.clone(),
                unlisted_errors: record.unlisted_errors,
                unlisted_warnings: record.unlisted_warnings,
                components: record
                    .components
                    .iter()
                    .filter(|timing| !is_span(timing))
                    .cloned()
                    .collect(),
                tags: record.tags.clone(),
                metadata: record.metadata.clone(),
            }
        }
    }

    impl MoreOfLlmCall {
        /// The names are those that are said by attributes, which need not be said again.
        pub(crate) fn of(call: &LlmCall, usage_is_told: bool, told: &[&str]) -> Self {
            let hexadecimal = |hash: u64| format!("{hash:016x}");
            let cost = match (&call.cost, call.cost.amount()) {
                (CostOutcome::Priced(_), Some((total, currency))) => {
                    let reported = ReportedCost { total, input: None, output: None, currency };
                    Some(CostOutcome::Recorded(reported))
                }
                (other, _) => Some(other.clone()),
            };
            let mut metadata = call.metadata.clone();
            metadata.retain(|key, value| !(told.contains(&key.as_str()) && value.is_string()));
            Self {
                provider: call.provider.clone().filter(|name| provider_name(name) != name.as_str()),
                usage: call.usage.clone().filter(|_| !usage_is_told),
                cost,
                start_unknown: call.started_at.is_none(),
                duration_unknown: call.duration.is_none(),
                first_token_ns: call
                    .time_to_first_token
                    .and_then(|took| u64::try_from(took.as_nanos()).ok()),
                attempt: if call.attempt == 1 { 0 } else { call.attempt.into() },
                served_tier: call.served_tier.clone(),
                served_as: call.served_as.clone(),
                prompt_prefix_hash: call.prompt_prefix_hash.map(hexadecimal),
                arguments_hash: call.arguments_hash.map(hexadecimal),
                context_window: call.context_window,
                error: call.error.clone(),
                metadata,
            }
        }
    }

    impl MoreOfToolCall {
        pub(crate) fn of(call: &ToolCall) -> Self {
            Self {
                status: Some(call.status).filter(|_| !call.is_success()),
                start_unknown: call.started_at.is_none(),
                duration_unknown: call.duration.is_none(),
                attempt: if call.attempt == 1 { 0 } else { call.attempt.into() },
                arguments_hash: call.arguments_hash.map(|hash| format!("{hash:016x}")),
                error: call.error.clone(),
                metadata: call.metadata.clone(),
            }
        }
    }
}

#[cfg(feature = "otlp-export")]
pub(crate) use of::{agent, json};

/// Out of JSON. What cannot be read says nothing: the conventions are read all the same.
pub(crate) fn read<T: for<'de> Deserialize<'de>>(json: Option<&str>) -> Option<T> {
    serde_json::from_str(json?).ok()
}

fn number(text: Option<String>) -> Option<u64> {
    u64::from_str_radix(&text?, 16).ok()
}

fn attempt(attempt: u64) -> u32 {
    u32::try_from(attempt).unwrap_or(u32::MAX).max(1)
}

impl MoreOfOperation {
    /// Puts it into a record that was read by the conventions; what these told of errors and tags yields.
    pub(crate) fn put_into(self, record: &mut OperationRecord) {
        if let Some(name) = self.name {
            record.name = name;
        }
        record.parent = self.parent.or(record.parent);
        if let Some(outcome) = self.outcome {
            record.outcome = outcome;
        }
        record.errors = self.errors;
        record.warnings = self.warnings;
        (record.unlisted_errors, record.unlisted_warnings) =
            (self.unlisted_errors, self.unlisted_warnings);
        let at = record.components.len();
        record.components.splice(at.., self.components);
        record.tags.extend(self.tags);
        record.metadata = self.metadata;
    }
}

impl MoreOfLlmCall {
    /// Puts it into a call that was read by the conventions.
    pub(crate) fn put_into(self, call: &mut LlmCall) {
        call.provider = self.provider.or(call.provider.take());
        call.usage = self.usage.or(call.usage.take());
        if let Some(cost) = self.cost {
            call.cost = cost;
        }
        if self.start_unknown {
            call.started_at = None;
        }
        if self.duration_unknown {
            call.duration = None;
        }
        call.time_to_first_token =
            self.first_token_ns.map(Duration::from_nanos).or(call.time_to_first_token);
        call.attempt = attempt(self.attempt);
        call.served_tier = self.served_tier.or(call.served_tier.take());
        call.served_as.extend(self.served_as);
        call.prompt_prefix_hash = number(self.prompt_prefix_hash);
        call.arguments_hash = number(self.arguments_hash);
        call.context_window = self.context_window;
        call.error = self.error;
        call.metadata.extend(self.metadata);
    }
}

impl MoreOfToolCall {
    /// Puts it into a call that was read by the conventions.
    pub(crate) fn put_into(self, call: &mut ToolCall) {
        if let Some(status) = self.status {
            call.status = status;
        }
        if self.start_unknown {
            call.started_at = None;
        }
        if self.duration_unknown {
            call.duration = None;
        }
        call.attempt = attempt(self.attempt);
        call.arguments_hash = number(self.arguments_hash);
        call.error = self.error;
        call.metadata = self.metadata;
    }
}
