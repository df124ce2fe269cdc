//! Reading observations of Langfuse: each is an operation, within that of its parent.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use taximeter_models::{
    CostOutcome, ErrorCategory, ErrorRecord, LlmCall, OperationRecord, Outcome, TokenUsage, Unit,
    Warning,
};

use super::Parser;
use super::error::{ImportError, Why};
use super::family::Names;
use super::frame::{Frame, Head};
use super::json::{Moment, between, count, money, object, shortened, text};
use super::output::Output;
use super::parts::{reported, tool_call};

/// Reads an observation each.
pub(crate) struct Observations;

/// An observation, as the API names its fields, or the table does in exports to object storage.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Observation {
    id: String,
    #[serde(default, alias = "trace_id")]
    trace_id: Option<String>,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default, alias = "start_time")]
    start_time: Moment,
    #[serde(default, alias = "end_time")]
    end_time: Moment,
    #[serde(default, alias = "completion_start_time")]
    completion_start_time: Moment,
    #[serde(default, alias = "providedModelName", alias = "provided_model_name")]
    model: Option<String>,
    #[serde(default)]
    level: Option<String>,
    #[serde(default, alias = "status_message")]
    status_message: Option<String>,
    #[serde(default, alias = "parent_observation_id")]
    parent_observation_id: Option<String>,
    #[serde(default, alias = "usage_details")]
    usage_details: Value,
    #[serde(default)]
    usage: Value,
    #[serde(default, alias = "cost_details")]
    cost_details: Value,
    #[serde(default, alias = "total_cost")]
    total_cost: Value,
    #[serde(default)]
    calculated_total_cost: Value,
    #[serde(default)]
    environment: Option<String>,
    #[serde(default, alias = "user_id")]
    user_id: Option<String>,
    #[serde(default, alias = "session_id")]
    session_id: Option<String>,
    #[serde(default, alias = "trace_name")]
    trace_name: Option<String>,
}

impl Parser for Observations {
    fn frame(
        &mut self,
        frame: &Frame<'_>,
        head: &Head,
        out: &mut Output,
    ) -> Result<(), ImportError> {
        if let Err(why) = read(frame, head, out) {
            out.reject(frame.place, why);
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Output) {
        out.end_family();
    }
}

fn read(frame: &Frame<'_>, head: &Head, out: &mut Output) -> Result<(), Why> {
    let seen: Observation =
        serde_json::from_slice(frame.bytes).map_err(|error| Why::json(&error))?;
    if seen.kind == "EVENT" {
        out.counts.ignore("EVENT");
        return Ok(());
    }
    let record = record(&seen, head)?;
    let names = Names {
        source: "langfuse",
        trace: seen.trace_id.as_deref().unwrap_or_default(),
        span: &seen.id,
        parent: seen.parent_observation_id.as_deref(),
    };
    out.span(&names, record);
    Ok(())
}

fn record(seen: &Observation, head: &Head) -> Result<OperationRecord, Why> {
    let began = seen.start_time.0.ok_or(Why::NoTime("the field `startTime` is missing"))?;
    let name = seen.name.as_deref().filter(|name| !name.is_empty());
    let mut record = OperationRecord::new(name.unwrap_or(&seen.kind));
    record.started_at = began;
    record.duration = seen.end_time.0.and_then(|end| between(began, end)).unwrap_or_default();
    // What is true of a whole trace stands before its observations, as fields beside them or of a trace of its own.
    let trace: Value =
        head.get("trace").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let of_trace = |key: &str| {
        let beside = head.get(key).and_then(|text| serde_json::from_str::<String>(text).ok());
        beside.or_else(|| text(&trace, &format!("/{key}")).map(ToOwned::to_owned))
    };
    let either = |own: &Option<String>, key: &str| own.clone().or_else(|| of_trace(key));
    record.user = either(&seen.user_id, "userId").map(Into::into);
    record.session = either(&seen.session_id, "sessionId").map(Into::into);
    let tags = [
        ("environment", either(&seen.environment, "environment")),
        ("trace_name", either(&seen.trace_name, "name")),
        ("type", Some(seen.kind.to_lowercase())),
    ];
    record.tags = tags.into_iter().filter_map(|(key, value)| Some((key.into(), value?))).collect();
    let said = shortened(seen.status_message.as_deref().unwrap_or_default());
    let error = (seen.level.as_deref() == Some("ERROR"))
        .then(|| ErrorRecord::new(ErrorCategory::from_message(&said), said.clone()));
    if let Some(error) = &error {
        record.outcome = Outcome::Failure;
        record.errors.push(error.clone());
    } else if seen.level.as_deref() == Some("WARNING") {
        record.warnings.push(Warning { message: said, component: None });
    } else if seen.end_time.0.is_none() {
        record.outcome = Outcome::Abandoned;
    }
    match seen.kind.as_str() {
        "GENERATION" | "EMBEDDING" => record.llm_calls.push(llm_call(seen, &record, error)?),
        "TOOL" => record.tool_calls.push(tool_call(record.name.clone(), &record, error)),
        _ => {}
    }
    Ok(record)
}

fn llm_call(
    seen: &Observation,
    record: &OperationRecord,
    error: Option<ErrorRecord>,
) -> Result<LlmCall, Why> {
    let mut call = LlmCall::default();
    call.request_model = seen.model.as_deref().filter(|model| !model.is_empty()).map(Into::into);
    call.started_at = Some(record.started_at);
    call.duration = seen.end_time.0.map(|_| record.duration);
    let first_token = seen.completion_start_time.0.and_then(|at| between(record.started_at, at));
    call.time_to_first_token = first_token;
    call.streamed = first_token.is_some();
    call.usage = usage(seen)?;
    let details = object(seen.cost_details.clone());
    let total = [details.get("total"), Some(&seen.total_cost), Some(&seen.calculated_total_cost)];
    if let Some(total) = total.into_iter().find_map(money) {
        let mut cost = reported(total);
        let parts = (money(details.get("input")), money(details.get("output")));
        if let (Some(input), Some(output)) = parts
            && input + output == total
        {
            (cost.input, cost.output) = (Some(input), Some(output));
        }
        call.cost = CostOutcome::Recorded(cost);
    }
    call.error = error;
    Ok(call)
}

/// What was used, by the details, or by the older field with two numbers.
fn usage(seen: &Observation) -> Result<Option<TokenUsage>, Why> {
    let details = object(seen.usage_details.clone());
    let counts = counts(&details)?;
    if counts.values().any(|count| *count > 0) {
        return of_details(&counts).map(Some);
    }
    let unit = seen.usage.get("unit").and_then(Value::as_str).unwrap_or("TOKENS");
    if unit != "TOKENS" {
        return Err(Why::DoesNotFit(format!("its usage is counted in {}", shortened(unit))));
    }
    let part = |key: &str| count(seen.usage.get(key)).map_err(Why::DoesNotFit);
    let (input, output) = (part("input")?.unwrap_or_default(), part("output")?.unwrap_or_default());
    Ok((input + output > 0).then(|| TokenUsage::new(input, output)))
}

fn counts(details: &Value) -> Result<BTreeMap<String, u64>, Why> {
    let fields = details.as_object().into_iter().flatten();
    let mut counts = BTreeMap::new();
    for (key, value) in fields {
        let number = count(Some(value)).map_err(|why| Why::DoesNotFit(format!("{key}: {why}")))?;
        counts.insert(key.clone(), number.unwrap_or_default());
    }
    Ok(counts)
}

/// Details are buckets that add up to the total; where input and output alone do, the others are parts of these two.
fn of_details(counts: &BTreeMap<String, u64>) -> Result<TokenUsage, Why> {
    let get = |key: &str| counts.get(key).copied().unwrap_or_default();
    let known = |key: &&String| bucket(key).is_some();
    let all: u64 = counts.keys().filter(known).fold(0, |sum, key| sum.saturating_add(get(key)));
    let both = get("input").saturating_add(get("output"));
    let total = counts.get("total").copied().unwrap_or(all);
    let disjoint = all == total;
    if !disjoint && both != total {
        return Err(Why::DoesNotFit(format!(
            "its details add up to {all}, input and output to {both}, and neither is its total of {total}"
        )));
    }
    let mut builder = if disjoint {
        TokenUsage::exclusive(get("input"), get("output"))
    } else {
        TokenUsage::inclusive(get("input"), get("output"))
    };
    for (key, count) in counts.iter().filter(|(key, _)| !matches!(key.as_str(), "input" | "output"))
    {
        builder = match bucket(key) {
            // A part of the text that has no bucket of its own is within the whole already.
            Some(Unit::Input | Unit::Output) if !disjoint => builder,
            Some(Unit::Reasoning) if disjoint => builder.reasoning_beside(*count),
            Some(unit) if disjoint && unit.is_output_tokens() => {
                // What is told beside the text is within our output.
                builder
                    .unit(Unit::Output, *count)
                    .unit(unit, if unit == Unit::Output { 0 } else { *count })
            }
            Some(unit) => builder.unit(unit, *count),
            None if key.starts_with("web_search") => builder.unit(Unit::WebSearch, *count),
            None => builder,
        };
    }
    Ok(builder.build()?)
}

/// The bucket of a key of usage details that counts tokens. Langfuse takes every key that begins with `input` or
/// `output` as such.
fn bucket(key: &str) -> Option<Unit> {
    Some(match key {
        "total" => return None,
        "cache_read_input_tokens"
        | "input_cached_tokens"
        | "input_cache_read"
        | "prompt_details.cache_read" => Unit::CacheRead,
        "input_cache_creation_5m" => Unit::CacheWrite5m,
        "input_cache_creation_1h" => Unit::CacheWrite1h,
        "cache_creation_input_tokens" | "input_cache_creation" | "input_cache_write" => {
            Unit::CacheWrite
        }
        "input_audio" | "input_audio_tokens" | "prompt_details.audio" => Unit::InputAudio,
        "output_audio" | "output_audio_tokens" | "completion_details.audio" => Unit::OutputAudio,
        "output_reasoning" | "output_reasoning_tokens" | "completion_details.reasoning" => {
            Unit::Reasoning
        }
        _ if key.starts_with("input") => Unit::Input,
        _ if key.starts_with("output") => Unit::Output,
        _ => return None,
    })
}
