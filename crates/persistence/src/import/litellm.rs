//! Reading the spend logs of a LiteLLM proxy: a request is an operation with one call.

use serde::Deserialize;
use serde_json::Value;
use taximeter_models::{
    CostOutcome, ErrorCategory, ErrorRecord, LlmCall, Money, OperationRecord, Outcome, TokenUsage,
    Unit,
};

use super::Parser;
use super::error::{ImportError, Why};
use super::frame::{Frame, Head};
use super::id::operation_id;
use super::json::{Moment, between, count, money, object, shortened, text};
use super::output::Output;
use super::parts::{reported, tool_call};

/// Reads a row of the table each.
pub(crate) struct SpendLogs;

/// A row of the table `LiteLLM_SpendLogs`.
#[derive(Deserialize)]
struct Row {
    request_id: String,
    #[serde(default)]
    call_type: Option<String>,
    #[serde(default)]
    spend: Value,
    #[serde(default)]
    total_tokens: Value,
    #[serde(default)]
    prompt_tokens: Value,
    #[serde(default)]
    completion_tokens: Value,
    #[serde(default, rename = "startTime")]
    start_time: Moment,
    #[serde(default, rename = "endTime")]
    end_time: Moment,
    #[serde(default, rename = "completionStartTime")]
    completion_start_time: Moment,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    model_group: Option<String>,
    #[serde(default)]
    custom_llm_provider: Option<String>,
    #[serde(default)]
    mcp_namespaced_tool_name: Option<String>,
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    end_user: Option<String>,
    #[serde(default)]
    team_id: Option<String>,
    #[serde(default)]
    session_id: Option<String>,
    #[serde(default)]
    cache_hit: Value,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    metadata: Value,
    #[serde(default)]
    request_tags: Value,
}

impl Parser for SpendLogs {
    fn frame(&mut self, frame: &Frame<'_>, _: &Head, out: &mut Output) -> Result<(), ImportError> {
        match record(frame.bytes) {
            Ok(record) => out.record(record),
            Err(why) => out.reject(frame.place, why),
        }
        Ok(())
    }
}

fn record(bytes: &[u8]) -> Result<OperationRecord, Why> {
    let mut row: Row = serde_json::from_slice(bytes).map_err(|error| Why::json(&error))?;
    row.metadata = object(std::mem::take(&mut row.metadata));
    let began = row.start_time.0.ok_or(Why::NoTime("the field `startTime` is missing"))?;
    let kind = row.call_type.as_deref().unwrap_or("request");
    let mut record = OperationRecord::new(format!("litellm.{kind}"));
    record.id = operation_id(began, &["litellm", &row.request_id]);
    record.trace_id = record.id.into();
    record.started_at = began;
    record.duration = row.end_time.0.and_then(|end| between(began, end)).unwrap_or_default();
    record.user = first(&[&row.end_user, &row.user]).map(Into::into);
    record.session = first(&[&row.session_id]).map(Into::into);
    record.tags = tags(&row);
    let error = error(&row);
    if let Some(error) = &error {
        record.outcome = Outcome::Failure;
        record.errors.push(error.clone());
    }
    if let Some(tool) = first(&[&row.mcp_namespaced_tool_name]) {
        record.tool_calls.push(tool_call(tool, &record, error));
    } else {
        record.llm_calls.push(llm_call(&row, &record, error)?);
    }
    Ok(record)
}

fn llm_call(
    row: &Row,
    record: &OperationRecord,
    error: Option<ErrorRecord>,
) -> Result<LlmCall, Why> {
    let mut call = LlmCall::default();
    let provider = first(&[&row.custom_llm_provider]);
    call.provider = provider.map(Into::into);
    // The router's name of an LLM has its provider before it.
    let model = first(&[&row.model, &row.model_group]);
    let own = |model: &str| Some(model.strip_prefix(provider?)?.strip_prefix('/')?.to_owned());
    call.request_model = model.map(|model| own(model).unwrap_or_else(|| model.to_owned()).into());
    call.started_at = Some(record.started_at);
    call.duration = Some(record.duration);
    let first_token = row.completion_start_time.0.filter(|at| Some(*at) < row.end_time.0);
    call.time_to_first_token = first_token.and_then(|at| between(record.started_at, at));
    call.streamed = call.time_to_first_token.is_some();
    call.usage = usage(row, error.is_some())?;
    call.cost = cost(row);
    call.error = error;
    Ok(call)
}

/// What was used. LiteLLM counts as OpenAI does: cached tokens are within the prompt's. Where they are more than those,
/// the row was passed on as Anthropic counts.
fn usage(row: &Row, failed: bool) -> Result<Option<TokenUsage>, Why> {
    let number = |value: &Value| count(Some(value)).map_err(Why::DoesNotFit);
    let (prompt, completion) = (number(&row.prompt_tokens)?, number(&row.completion_tokens)?);
    let total = number(&row.total_tokens)?.unwrap_or_default();
    let (prompt, completion) = (prompt.unwrap_or_default(), completion.unwrap_or_default());
    if prompt + completion == 0 && (failed || total == 0) {
        return Ok(None);
    }
    let part = |pointers: &[&str]| {
        let mut found = pointers.iter().filter_map(|pointer| row.metadata.pointer(pointer));
        found.find_map(|value| count(Some(value)).ok().flatten()).unwrap_or_default()
    };
    let read = part(&[
        "/usage_object/cache_read_input_tokens",
        "/usage_object/prompt_tokens_details/cached_tokens",
        "/additional_usage_values/cache_read_input_tokens",
        "/additional_usage_values/prompt_tokens_details/cached_tokens",
    ]);
    let written = part(&[
        "/usage_object/cache_creation_input_tokens",
        "/usage_object/prompt_tokens_details/cache_creation_tokens",
        "/additional_usage_values/cache_creation_input_tokens",
    ]);
    let reasoning = part(&[
        "/usage_object/completion_tokens_details/reasoning_tokens",
        "/additional_usage_values/completion_tokens_details/reasoning_tokens",
    ]);
    let split = "/usage_object/prompt_tokens_details/cache_creation_token_details";
    let short = part(&[&format!("{split}/ephemeral_5m_input_tokens")]);
    let long = part(&[&format!("{split}/ephemeral_1h_input_tokens")]);
    let (short, long) = if short + long <= written { (short, long) } else { (0, 0) };
    let searches = part(&["/usage_object/server_tool_use/web_search_requests"]);
    let builder = if read.saturating_add(written) > prompt {
        TokenUsage::exclusive(prompt, completion)
    } else {
        TokenUsage::inclusive(prompt, completion)
    };
    let builder = builder
        .cache_read(read)
        .cache_write_5m(short)
        .cache_write_1h(long)
        .cache_write(written - short - long)
        .reasoning(reasoning)
        .unit(Unit::WebSearch, searches);
    Ok(Some(builder.build()?))
}

/// What the proxy computed. Zero means that it had no price, save where its own cache answered.
fn cost(row: &Row) -> CostOutcome {
    let is_cached = matches!(&row.cache_hit, Value::String(text) if text.eq_ignore_ascii_case("true"))
        || row.cache_hit == true;
    match money(Some(&row.spend)) {
        Some(total) => CostOutcome::Recorded(reported(total)),
        None if is_cached => CostOutcome::Recorded(reported(Money::ZERO)),
        None => CostOutcome::Pending,
    }
}

fn error(row: &Row) -> Option<ErrorRecord> {
    let of_metadata = text(&row.metadata, "/status");
    if row.status.as_deref().or(of_metadata) != Some("failure") {
        return None;
    }
    let field = |name: &str| text(&row.metadata, &format!("/error_information/{name}"));
    let (code, class) = (field("error_code"), field("error_class"));
    let said = field("error_message").or(class).unwrap_or_default();
    let of_code = code.and_then(|code| code.parse().ok()).and_then(ErrorCategory::from_http_status);
    let of_class = class.and_then(ErrorCategory::from_provider_code);
    let category = of_code.or(of_class).unwrap_or_else(|| ErrorCategory::from_message(said));
    Some(ErrorRecord::new(category, shortened(said)))
}

fn tags(row: &Row) -> std::collections::BTreeMap<String, String> {
    let of_metadata = |name: &str| text(&row.metadata, &format!("/{name}")).map(ToOwned::to_owned);
    let list = match object(row.request_tags.clone()) {
        Value::Array(tags) => tags.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
        _ => String::new(),
    };
    let tags = [
        ("model_group", row.model_group.clone()),
        ("team", of_metadata("user_api_key_team_alias").or_else(|| row.team_id.clone())),
        ("key", of_metadata("user_api_key_alias")),
        ("request_tags", Some(list)),
    ];
    let known = tags.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    known.filter(|(_, value)| !value.is_empty()).collect()
}

/// The first of these texts that is not empty.
fn first<'a>(texts: &[&'a Option<String>]) -> Option<&'a str> {
    texts.iter().find_map(|text| text.as_deref().filter(|text| !text.is_empty()))
}
