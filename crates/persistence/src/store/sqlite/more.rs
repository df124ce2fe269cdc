//! What few records have, as JSON in one column, so that the others do not pay for it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use taximeter_models::{LlmCall, Name, OperationRecord, SpanId};

use super::cells::Wrong;

/// An instant that nanoseconds since 1970 do not hold: seconds, and nanoseconds within.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Far(i64, u32);

impl Far {
    /// Of an instant that is not the same again out of its nanoseconds.
    pub(super) fn of(instant: DateTime<Utc>) -> Option<Self> {
        // Nanoseconds within a second are more than there are in one where it is a leap second.
        let is_plain = instant.timestamp_nanos_opt().is_some()
            && instant.timestamp_subsec_nanos() < 1_000_000_000;
        (!is_plain).then(|| Self::exactly(instant))
    }

    pub(super) fn exactly(instant: DateTime<Utc>) -> Self {
        Self(instant.timestamp(), instant.timestamp_subsec_nanos())
    }

    pub(super) fn instant(self) -> Result<DateTime<Utc>, Wrong> {
        DateTime::from_timestamp(self.0, self.1)
            .ok_or_else(|| format!("{} seconds since 1970 are in no calendar", self.0))
    }
}

/// What few operations have.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct MoreOfOperation {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) started_at: Option<Far>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) remote_parent: Option<SpanId>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) unlisted_errors: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) unlisted_warnings: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl MoreOfOperation {
    pub(super) fn of(record: &OperationRecord) -> Self {
        Self {
            started_at: Far::of(record.started_at),
            remote_parent: record.remote_parent,
            unlisted_errors: record.unlisted_errors,
            unlisted_warnings: record.unlisted_warnings,
        }
    }
}

/// What few calls of tools have.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct MoreOfToolCall {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) started_at: Option<Far>,
}

/// What few calls of LLMs have. Hashes are hexadecimal: many JSON readers lose digits of numbers above 2⁵³.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct MoreOfLlmCall {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) started_at: Option<Far>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    served_tier: Option<Name>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    served_as: BTreeMap<Name, Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prompt_prefix_hash: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    arguments_hash: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    context_window: Option<u64>,
}

impl MoreOfLlmCall {
    pub(super) fn of(call: &LlmCall, started_at: Option<Far>) -> Self {
        let hexadecimal = |hash: u64| format!("{hash:016x}");
        Self {
            started_at,
            served_tier: call.served_tier.clone(),
            served_as: call.served_as.clone(),
            prompt_prefix_hash: call.prompt_prefix_hash.map(hexadecimal),
            arguments_hash: call.arguments_hash.map(hexadecimal),
            context_window: call.context_window,
        }
    }

    pub(super) fn put_into(self, call: &mut LlmCall) -> Result<(), Wrong> {
        let number = |text: String| {
            u64::from_str_radix(&text, 16).map_err(|_| format!("{text:?} is no hash"))
        };
        call.served_tier = self.served_tier;
        call.served_as = self.served_as;
        call.prompt_prefix_hash = self.prompt_prefix_hash.map(number).transpose()?;
        call.arguments_hash = self.arguments_hash.map(number).transpose()?;
        call.context_window = self.context_window;
        Ok(())
    }
}

/// What there is; none where there is nothing in it.
pub(super) fn some<T: Default + PartialEq>(more: T) -> Option<T> {
    (more != T::default()).then_some(more)
}

/// As JSON; none where there is nothing in it.
pub(super) fn json<T: Serialize + Default + PartialEq>(more: &T) -> Option<String> {
    // Texts and numbers always can be written.
    (*more != T::default()).then(|| serde_json::to_string(more).unwrap_or_default())
}

/// Out of JSON; what is not there is nothing.
pub(super) fn parse<T: for<'de> Deserialize<'de> + Default>(
    json: Option<&str>,
) -> Result<T, Wrong> {
    json.map_or_else(
        || Ok(T::default()),
        |json| serde_json::from_str(json).map_err(|error| error.to_string()),
    )
}
