//! A session as JSON: the field names of the original system, and additions beside them.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::operation_json::instant;
use crate::{
    Advice, AdviceKind, CostTotals, Finding, FindingKind, LlmTotals, Metadata, Money, Name,
    OperationRecord, PerformanceTrend, Rate, Session, ToolTotals, Totals,
};

/// The version of the documents that this library writes; it reads this one and the original's, which have none.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct SessionDocument<'a> {
    taximeter_version: u32,
    session_id: &'a Name,
    start_time: String,
    end_time: Option<String>,
    operations: &'a [OperationRecord],
    #[serde(flatten)]
    totals: &'a Totals,
    trends: &'a [PerformanceTrend],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    notes: &'a [String],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    collected: &'a BTreeMap<Name, u64>,
    metadata: &'a Metadata,
}

/// The totals under the original's names, so that `successful + failed = total`: an abandoned operation counts as
/// failed there, and is told apart beside it. The rest are additions.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct TotalsDocument<'a> {
    total_operations: u64,
    successful_operations: u64,
    failed_operations: u64,
    total_duration: f64,
    avg_operation_duration: Option<f64>,
    total_input_tokens: u64,
    total_output_tokens: u64,
    total_tokens: u64,
    total_cost: Money,
    avg_cost_per_operation: Option<Money>,
    total_tool_calls: u64,
    successful_tool_calls: u64,
    failed_tool_calls: u64,
    abandoned_operations: u64,
    total_errors: u64,
    total_warnings: u64,
    success_rate: Rate,
    llm_calls: Rate,
    cost: &'a CostTotals,
    errors_by_category: &'a BTreeMap<crate::ErrorCategory, u64>,
    tokens: &'a crate::TokenUsage,
    tools: Vec<ToolRow<'a>>,
    llms: Vec<LlmRow<'a>>,
    components: Vec<ComponentRow<'a>>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct ToolRow<'a> {
    tool_name: &'a Name,
    total_duration: f64,
    avg_duration: Option<f64>,
    #[serde(flatten)]
    totals: &'a ToolTotals,
}

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct LlmRow<'a> {
    provider: &'a Name,
    model: &'a Name,
    total_duration: f64,
    avg_duration: Option<f64>,
    #[serde(flatten)]
    totals: &'a LlmTotals,
}

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct ComponentRow<'a> {
    component: &'a Name,
    count: u64,
    total_duration: f64,
}

impl Serialize for Session {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = |instant: DateTime<Utc>| instant.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        SessionDocument {
            taximeter_version: VERSION,
            session_id: &self.id,
            start_time: text(self.started_at),
            end_time: self.ended_at.map(text),
            operations: &self.operations,
            totals: &self.totals(),
            trends: &self.trends,
            notes: &self.notes,
            collected: &self.collected,
            metadata: &self.metadata,
        }
        .serialize(serializer)
    }
}

/// Totals are written under the names of the original session. They are never read: they follow from their parts.
impl Serialize for Totals {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let seconds = |duration: Duration| duration.as_secs_f64();
        let tools = self.tool_success();
        TotalsDocument {
            total_operations: self.operations(),
            successful_operations: self.successful_operations,
            failed_operations: self.failed_operations + self.abandoned_operations,
            total_duration: seconds(self.duration),
            avg_operation_duration: self.average_duration().map(seconds),
            total_input_tokens: self.usage.input_tokens(),
            total_output_tokens: self.usage.output_tokens(),
            total_tokens: self.usage.total_tokens(),
            total_cost: self.cost.usd(),
            avg_cost_per_operation: self.average_cost(),
            total_tool_calls: tools.of,
            successful_tool_calls: tools.hits,
            failed_tool_calls: tools.of - tools.hits,
            abandoned_operations: self.abandoned_operations,
            total_errors: self.errors,
            total_warnings: self.warnings,
            success_rate: self.success_rate(),
            llm_calls: self.llm_success(),
            cost: &self.cost,
            errors_by_category: &self.errors_by_category,
            tokens: &self.usage,
            tools: self.tools.iter().map(|(name, tool)| tool_row(name, tool)).collect(),
            llms: self.llms.iter().map(|(name, llm)| llm_row(name, llm)).collect(),
            components: self
                .components
                .iter()
                .map(|(component, total)| ComponentRow {
                    component,
                    count: total.count,
                    total_duration: seconds(total.duration),
                })
                .collect(),
        }
        .serialize(serializer)
    }
}

fn tool_row<'a>(tool_name: &'a Name, totals: &'a ToolTotals) -> ToolRow<'a> {
    ToolRow {
        tool_name,
        total_duration: totals.duration.as_secs_f64(),
        avg_duration: totals.average_duration().map(|duration| duration.as_secs_f64()),
        totals,
    }
}

fn llm_row<'a>((provider, model): &'a (Name, Name), totals: &'a LlmTotals) -> LlmRow<'a> {
    LlmRow {
        provider,
        model,
        total_duration: totals.duration.as_secs_f64(),
        avg_duration: totals.average_duration().map(|duration| duration.as_secs_f64()),
        totals,
    }
}

/// What is read of a session: the parts, and none of the totals.
#[derive(Deserialize)]
struct SessionParts {
    #[serde(default, deserialize_with = "version")]
    #[expect(dead_code, reason = "reading it is the check")]
    taximeter_version: (),
    session_id: Name,
    #[serde(deserialize_with = "instant")]
    start_time: (DateTime<Utc>, bool),
    #[serde(default)]
    end_time: Option<Instant>,
    #[serde(default)]
    operations: Vec<OperationRecord>,
    #[serde(default)]
    trends: Vec<PerformanceTrend>,
    #[serde(default)]
    notes: Vec<String>,
    #[serde(default)]
    collected: BTreeMap<Name, u64>,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Instant(#[serde(deserialize_with = "instant")] (DateTime<Utc>, bool));

fn version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    match u32::deserialize(deserializer)? {
        0..=VERSION => Ok(()),
        newer => Err(serde::de::Error::custom(format!(
            "the document has version {newer}, and this library reads up to {VERSION}; use a newer taximeter"
        ))),
    }
}

impl<'de> Deserialize<'de> for Session {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let parts = SessionParts::deserialize(deserializer)?;
        let mut notes = parts.notes;
        if parts.start_time.1 || parts.end_time.as_ref().is_some_and(|end| end.0.1) {
            notes.push(
                "the session's start_time and end_time name no zone; they were read as UTC".into(),
            );
        }
        Ok(Self {
            id: parts.session_id,
            started_at: parts.start_time.0,
            ended_at: parts.end_time.map(|end| end.0.0),
            operations: parts.operations,
            trends: parts.trends,
            notes,
            collected: parts.collected,
            metadata: parts.metadata,
        })
    }
}

/// A finding or an advice of ours, or the words of the original.
#[derive(Deserialize)]
#[serde(untagged)]
enum OursOrText<T> {
    Ours(T),
    Text(String),
}

/// Reads findings; those of the original are texts.
pub(crate) fn findings<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Finding>, D::Error> {
    let list = Vec::<OursOrText<Finding>>::deserialize(deserializer)?;
    Ok(list
        .into_iter()
        .map(|one| match one {
            OursOrText::Ours(finding) => finding,
            OursOrText::Text(text) => noted(text),
        })
        .collect())
}

/// Reads advice; that of the original is text.
pub(crate) fn advice<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Advice>, D::Error> {
    let list = Vec::<OursOrText<Advice>>::deserialize(deserializer)?;
    Ok(list
        .into_iter()
        .map(|one| match one {
            OursOrText::Ours(advice) => advice,
            OursOrText::Text(text) => Advice::new(AdviceKind::Noted, text.clone(), noted(text)),
        })
        .collect())
}

fn noted(text: String) -> Finding {
    Finding::new("", FindingKind::Noted { text }, Vec::new())
}

/// Reads the time of an analysis, ours or the original's.
pub(crate) fn analysed_at<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<DateTime<Utc>, D::Error> {
    instant(deserializer).map(|(instant, _)| instant)
}
