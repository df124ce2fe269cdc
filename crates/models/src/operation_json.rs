//! An operation as JSON: the field names of the original system, and additions beside them.
//!
//! Seconds as floats are for readers of the original's fields. Where an exact addition stands beside such a field
//! (`started_at`, `duration_ns`, `components`, `llm_calls`, `outcome`), it is the addition that is read.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::cost::ReportedCost;
use crate::time::{from_unix_seconds, parse_instant, to_nanos, unix_seconds};
use crate::{
    ComponentTiming, CostOutcome, Currency, ErrorCategory, ErrorRecord, LlmCall, Metadata, Money,
    Name, OperationId, OperationRecord, Outcome, SpanId, TokenUsage, ToolCall, ToolStatus, TraceId,
    Warning,
};

#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct OperationDocument<'a> {
    operation_name: Cow<'a, str>,
    #[serde(default)]
    start_time: Option<f64>,
    #[serde(default)]
    end_time: Option<f64>,
    #[serde(default)]
    total_duration: Option<f64>,
    #[serde(default)]
    component_timing: BTreeMap<Name, f64>,
    #[serde(default)]
    tool_calls: Cow<'a, [ToolCall]>,
    #[serde(default)]
    token_usage: Option<UsageDocument>,
    #[serde(default)]
    cost_estimate: Option<CostDocument>,
    #[serde(default = "yes")]
    success: bool,
    #[serde(default)]
    error_count: u64,
    #[serde(default)]
    warning_count: u64,
    #[serde(default)]
    metadata: Cow<'a, Metadata>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    operation_id: Option<OperationId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parent_id: Option<OperationId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    remote_parent_id: Option<SpanId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace_id: Option<TraceId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    started_at: Option<DateTime<Utc>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    duration_ns: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    outcome: Option<Outcome>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    components: Option<Cow<'a, [ComponentTiming]>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    llm_calls: Option<Cow<'a, [LlmCall]>>,
    #[serde(default, skip_serializing_if = "is_empty")]
    errors: Cow<'a, [ErrorRecord]>,
    #[serde(default, skip_serializing_if = "is_empty")]
    warnings: Cow<'a, [Warning]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<Name>,
    #[serde(default, skip_serializing_if = "no_tags")]
    tags: Cow<'a, BTreeMap<String, String>>,
}

const fn yes() -> bool {
    true
}

fn is_empty<T: Clone>(list: &[T]) -> bool {
    list.is_empty()
}

fn no_tags(tags: &BTreeMap<String, String>) -> bool {
    tags.is_empty()
}

/// The tokens of all LLM calls of an operation, under the original's names.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct UsageDocument {
    #[serde(default)]
    operation: Name,
    input_tokens: u64,
    output_tokens: u64,
    #[serde(default)]
    total_tokens: u64,
    #[serde(default)]
    model_name: Option<Name>,
    #[serde(default)]
    timestamp: Option<String>,
}

/// The cost of all LLM calls of an operation, under the original's names.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct CostDocument {
    #[serde(default)]
    operation: Name,
    #[serde(default)]
    input_cost: Money,
    #[serde(default)]
    output_cost: Money,
    #[serde(default)]
    total_cost: Money,
    #[serde(default)]
    currency: Currency,
    #[serde(default)]
    model_name: Option<Name>,
    #[serde(default)]
    pricing_tier: Option<Name>,
    #[serde(default)]
    timestamp: Option<String>,
    #[serde(default, skip_serializing_if = "is_zero")]
    unpriced_calls: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Serialize for OperationRecord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let seconds =
            |(name, total): (Name, crate::ComponentTotal)| (name, total.duration.as_secs_f64());
        OperationDocument {
            operation_name: Cow::Borrowed(&self.name),
            start_time: Some(unix_seconds(self.started_at)),
            end_time: Some(unix_seconds(self.ended_at())),
            total_duration: Some(self.duration.as_secs_f64()),
            component_timing: self.component_totals().into_iter().map(seconds).collect(),
            tool_calls: Cow::Borrowed(&self.tool_calls),
            token_usage: usage_document(self),
            cost_estimate: cost_document(self),
            success: self.is_success(),
            error_count: self.error_count(),
            warning_count: self.warning_count(),
            metadata: Cow::Borrowed(&self.metadata),
            operation_id: Some(self.id),
            parent_id: self.parent,
            remote_parent_id: self.remote_parent,
            trace_id: Some(self.trace_id),
            started_at: Some(self.started_at),
            duration_ns: Some(to_nanos(self.duration)),
            outcome: Some(self.outcome),
            components: Some(Cow::Borrowed(&self.components)),
            llm_calls: Some(Cow::Borrowed(&self.llm_calls)),
            errors: Cow::Borrowed(&self.errors),
            warnings: Cow::Borrowed(&self.warnings),
            user: self.user.clone(),
            session: self.session.clone(),
            tags: Cow::Borrowed(&self.tags),
        }
        .serialize(serializer)
    }
}

/// The name of the LLM, where all calls were of one.
fn only_model(operation: &OperationRecord) -> Option<Name> {
    let models = operation.models();
    let mut names = models.iter().filter(|name| **name != "unknown");
    names.next().filter(|_| models.len() == 1).map(|name| Name::from(*name))
}

fn timestamp(operation: &OperationRecord) -> String {
    operation.ended_at().to_rfc3339_opts(SecondsFormat::Micros, true)
}

fn usage_document(operation: &OperationRecord) -> Option<UsageDocument> {
    operation.llm_calls.iter().find(|call| call.usage.is_some())?;
    let usage = operation.usage();
    Some(UsageDocument {
        operation: operation.name.clone(),
        input_tokens: usage.input_tokens(),
        output_tokens: usage.output_tokens(),
        total_tokens: usage.total_tokens(),
        model_name: only_model(operation),
        timestamp: Some(timestamp(operation)),
    })
}

/// None where no call has a known cost: that is not zero.
fn cost_document(operation: &OperationRecord) -> Option<CostDocument> {
    let cost = operation.cost();
    let (currency, amounts) = match cost.amounts.iter().next() {
        Some((currency, amounts)) if cost.amounts.len() == 1 => (*currency, *amounts),
        Some(_) => (Currency::USD, cost.amounts.get(&Currency::USD).copied().unwrap_or_default()),
        None if cost.free_calls > 0 => (Currency::USD, crate::Amounts::default()),
        None => return None,
    };
    let mut tiers = operation.llm_calls.iter().filter_map(|call| call.served_tier.clone());
    Some(CostDocument {
        operation: operation.name.clone(),
        input_cost: amounts.input,
        output_cost: amounts.output,
        total_cost: amounts.total(),
        currency,
        model_name: only_model(operation),
        pricing_tier: tiers.next(),
        timestamp: Some(timestamp(operation)),
        unpriced_calls: cost.unpriced_calls,
    })
}

impl<'de> Deserialize<'de> for OperationRecord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let document = OperationDocument::deserialize(deserializer)?;
        let name = document.operation_name.to_string();
        operation(document)
            .map_err(|why| serde::de::Error::custom(format!("operation {name:?}: {why}")))
    }
}

fn operation(document: OperationDocument<'_>) -> Result<OperationRecord, String> {
    let started_at = match (document.started_at, document.start_time) {
        (Some(instant), _) => instant,
        (None, Some(seconds)) => from_unix_seconds(seconds)
            .ok_or_else(|| format!("start_time {seconds} is no time since the epoch"))?,
        (None, None) => return Err("it has neither start_time nor started_at".into()),
    };
    let told = document.total_duration.or_else(|| Some(document.end_time? - document.start_time?));
    let duration = match (document.duration_ns, told) {
        (Some(nanos), _) => Duration::from_nanos(nanos),
        (None, Some(seconds)) => duration(seconds, "total_duration")?,
        (None, None) => Duration::ZERO,
    };
    // An operation that the original saved without an end was never ended.
    let outcome = document.outcome.unwrap_or(match (told, document.success) {
        (None, _) => Outcome::Abandoned,
        (Some(_), true) => Outcome::Success,
        (Some(_), false) => Outcome::Failure,
    });
    let llm_calls = match document.llm_calls {
        Some(calls) => calls.into_owned(),
        None => llm_call(document.token_usage, document.cost_estimate)?.into_iter().collect(),
    };
    let id = document.operation_id.unwrap_or_default();
    Ok(OperationRecord {
        id,
        name: document.operation_name.as_ref().into(),
        parent: document.parent_id,
        remote_parent: document.remote_parent_id,
        trace_id: document.trace_id.unwrap_or_else(|| id.into()),
        started_at,
        duration,
        components: match document.components {
            Some(components) => components.into_owned(),
            None => components(document.component_timing)?,
        },
        tool_calls: document.tool_calls.into_owned(),
        llm_calls,
        outcome,
        unlisted_errors: document.error_count.saturating_sub(document.errors.len() as u64),
        unlisted_warnings: document.warning_count.saturating_sub(document.warnings.len() as u64),
        errors: document.errors.into_owned(),
        warnings: document.warnings.into_owned(),
        user: document.user,
        session: document.session,
        tags: document.tags.into_owned(),
        metadata: document.metadata.into_owned(),
    })
}

fn components(timing: BTreeMap<Name, f64>) -> Result<Vec<ComponentTiming>, String> {
    let one = |(name, seconds): (Name, f64)| {
        let duration = duration(seconds, &name)?;
        Ok(ComponentTiming { name, offset: None, duration, count: 1 })
    };
    timing.into_iter().map(one).collect()
}

fn duration(seconds: f64, of: &str) -> Result<Duration, String> {
    let refused = |why: String| format!("{of} of {seconds} s: {why}");
    let told = Duration::try_from_secs_f64(seconds).map_err(|why| refused(why.to_string()))?;
    if told > Duration::from_nanos(u64::MAX) {
        return Err(refused("longer than the 584 years that can be written again".into()));
    }
    Ok(told)
}

/// The one call that the original keeps with an operation. Its totals are zero whatever the parts, so they are
/// computed anew; and a cost of zero is its way of saying that it had no price, so it stays to be priced.
fn llm_call(
    usage: Option<UsageDocument>,
    cost: Option<CostDocument>,
) -> Result<Option<LlmCall>, String> {
    let model = usage.as_ref().and_then(|usage| usage.model_name.clone());
    let model = model.or_else(|| cost.as_ref().and_then(|cost| cost.model_name.clone()));
    if usage.is_none() && cost.is_none() {
        return Ok(None);
    }
    let cost = cost.map_or(CostOutcome::Pending, |cost| {
        let parts = cost.input_cost + cost.output_cost;
        let total = if parts.is_zero() { cost.total_cost } else { parts };
        if total.is_zero() {
            return CostOutcome::Pending;
        }
        let told_apart = !parts.is_zero();
        CostOutcome::Recorded(ReportedCost {
            total,
            input: told_apart.then_some(cost.input_cost),
            output: told_apart.then_some(cost.output_cost),
            currency: cost.currency,
        })
    });
    // The builder checks the sum: a usage beyond 64 bits would be written and then refused by the reader.
    let usage = usage
        .map(|usage| TokenUsage::exclusive(usage.input_tokens, usage.output_tokens).build())
        .transpose()
        .map_err(|why| why.to_string())?;
    Ok(Some(LlmCall { request_model: model, usage, cost, ..LlmCall::default() }))
}

#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct ToolCallDocument {
    tool_name: Name,
    status: ToolStatus,
    #[serde(default)]
    start_time: Option<f64>,
    #[serde(default)]
    end_time: Option<f64>,
    #[serde(default)]
    duration: Option<f64>,
    #[serde(default)]
    error_category: Option<ErrorCategory>,
    #[serde(default)]
    error_message: Option<String>,
    #[serde(default)]
    metadata: Metadata,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    started_at: Option<DateTime<Utc>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    duration_ns: Option<u64>,
    #[serde(default = "first", skip_serializing_if = "is_first")]
    attempt: u32,
    #[serde(default, with = "crate::time::hash", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    arguments_hash: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<ErrorRecord>,
}

const fn first() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_first(attempt: &u32) -> bool {
    *attempt == 1
}

impl Serialize for ToolCall {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ToolCallDocument {
            tool_name: self.name.clone(),
            status: self.status,
            start_time: self.started_at.map(unix_seconds),
            end_time: self.ended_at().map(unix_seconds),
            duration: self.duration.map(|duration| duration.as_secs_f64()),
            error_category: self.error_category(),
            error_message: self.error.as_ref().map(|error| error.message.clone()),
            metadata: self.metadata.clone(),
            started_at: self.started_at,
            duration_ns: self.duration.map(to_nanos),
            attempt: self.attempt,
            arguments_hash: self.arguments_hash,
            error: self.error.clone(),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ToolCall {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let document = ToolCallDocument::deserialize(deserializer)?;
        let name = document.tool_name.clone();
        tool_call(document)
            .map_err(|why| serde::de::Error::custom(format!("call of tool {name:?}: {why}")))
    }
}

fn tool_call(document: ToolCallDocument) -> Result<ToolCall, String> {
    let started_at = match (document.started_at, document.start_time) {
        (None, Some(seconds)) => Some(
            from_unix_seconds(seconds)
                .ok_or_else(|| format!("start_time {seconds} is no time since the epoch"))?,
        ),
        (exact, _) => exact,
    };
    let told = document.duration.or_else(|| Some(document.end_time? - document.start_time?));
    // Without the exact record of the error, a message or a category is all that is known of it.
    // A category that follows from the status tells nothing more, and we write it for calls without an error too.
    let derived = ToolCall::new(document.tool_name.clone(), document.status).error_category();
    let noted = match (document.error_category, document.error_message) {
        (category, None) if category.is_none() || category == derived => None,
        (category, message) => Some(ErrorRecord::new(
            category.or(derived).unwrap_or_default(),
            message.unwrap_or_default(),
        )),
    };
    Ok(ToolCall {
        name: document.tool_name,
        status: document.status,
        started_at,
        duration: match (document.duration_ns, told) {
            (Some(nanos), _) => Some(Duration::from_nanos(nanos)),
            (None, Some(seconds)) => Some(duration(seconds, "duration")?),
            (None, None) => None,
        },
        error: document.error.or(noted),
        attempt: document.attempt,
        arguments_hash: document.arguments_hash,
        metadata: document.metadata,
    })
}

/// Reads an instant as text, ours or the original's; see [`parse_instant`].
pub(crate) fn instant<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<(DateTime<Utc>, bool), D::Error> {
    let text = Cow::<'de, str>::deserialize(deserializer)?;
    parse_instant(&text).ok_or_else(|| {
        serde::de::Error::custom(format!(
            "{text:?} is no time; one like 2026-11-23T22:15:45Z expected"
        ))
    })
}
