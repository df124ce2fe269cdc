//! Reading spans of Phoenix, or of whatever else speaks `OpenInference`: each is an operation, within that of its parent.

use serde_json::{Map, Value};
use taximeter_models::{
    CostOutcome, ErrorCategory, ErrorRecord, LlmCall, OperationRecord, Outcome, TokenUsage, Unit,
};

use super::Parser;
use super::error::{ImportError, Why};
use super::family::Names;
use super::frame::{Frame, Head};
use super::json::{Moment, between, count, money, shortened, text};
use super::output::Output;
use super::parts::{reported, tool_call};

/// Reads a span each.
pub(crate) struct Spans;

impl Parser for Spans {
    fn frame(&mut self, frame: &Frame<'_>, _: &Head, out: &mut Output) -> Result<(), ImportError> {
        if let Err(why) = read(frame.bytes, out) {
            out.reject(frame.place, why);
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Output) {
        out.end_family();
    }
}

fn read(bytes: &[u8], out: &mut Output) -> Result<(), Why> {
    let span = Span(serde_json::from_slice(bytes).map_err(|error| Why::json(&error))?);
    let record = span.record()?;
    let names = Names {
        source: "phoenix",
        trace: span.text("context.trace_id").unwrap_or_default(),
        span: span.text("context.span_id").ok_or_else(|| missing("context.span_id"))?,
        parent: span.text("parent_id"),
    };
    out.span(&names, record);
    Ok(())
}

fn missing(field: &str) -> Why {
    Why::DoesNotFit(format!("the field `{field}` is missing"))
}

/// A span: nested as the API answers, or with flat names as a data frame is written.
struct Span(Map<String, Value>);

impl Span {
    /// A field by its dotted name, in whichever way names are nested.
    fn get(&self, name: &str) -> Option<&Value> {
        find(&self.0, name).filter(|value| !value.is_null())
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    fn attribute(&self, name: &str) -> Option<&Value> {
        self.get(&format!("attributes.{name}"))
    }

    fn attribute_text(&self, name: &str) -> Option<&str> {
        self.attribute(name)?.as_str().filter(|text| !text.is_empty())
    }

    fn moment(&self, name: &str) -> Result<Option<chrono::DateTime<chrono::Utc>>, Why> {
        let moment = self.get(name).map(|value| serde_json::from_value::<Moment>(value.clone()));
        let moment = moment.transpose().map_err(|error| Why::json(&error))?;
        Ok(moment.and_then(|moment| moment.0))
    }

    fn tokens(&self, name: &str) -> Result<Option<u64>, Why> {
        count(self.attribute(&format!("llm.token_count.{name}")))
            .map_err(|why| Why::DoesNotFit(format!("llm.token_count.{name}: {why}")))
    }

    fn kind(&self) -> String {
        let kind = self.text("span_kind").filter(|kind| *kind != "UNKNOWN");
        kind.or(self.attribute_text("openinference.span.kind")).unwrap_or("UNKNOWN").to_uppercase()
    }

    fn record(&self) -> Result<OperationRecord, Why> {
        let began =
            self.moment("start_time")?.ok_or(Why::NoTime("the field `start_time` is missing"))?;
        let kind = self.kind();
        let mut record = OperationRecord::new(self.text("name").unwrap_or(&kind));
        record.started_at = began;
        let ended = self.moment("end_time")?;
        record.duration = ended.and_then(|ended| between(began, ended)).unwrap_or_default();
        record.user = self.attribute_text("user.id").map(Into::into);
        record.session = self.attribute_text("session.id").map(Into::into);
        record.tags.insert("type".into(), kind.to_lowercase());
        let error = self.error();
        if let Some(error) = &error {
            record.outcome = Outcome::Failure;
            record.errors.push(error.clone());
        } else if ended.is_none() {
            record.outcome = Outcome::Abandoned;
        }
        match kind.as_str() {
            "LLM" | "EMBEDDING" => record.llm_calls.push(self.llm_call(&record, error)?),
            "TOOL" => {
                let name = self.attribute_text("tool.name").unwrap_or(&record.name).to_owned();
                record.tool_calls.push(tool_call(name, &record, error));
            }
            // What an agent or a chain says of tokens are sums over the calls within it.
            _ => {}
        }
        Ok(record)
    }

    fn llm_call(
        &self,
        record: &OperationRecord,
        error: Option<ErrorRecord>,
    ) -> Result<LlmCall, Why> {
        let mut call = LlmCall::default();
        let provider = self.attribute_text("llm.provider").or(self.attribute_text("llm.system"));
        call.provider = provider.map(Into::into);
        let model =
            self.attribute_text("llm.model_name").or(self.attribute_text("embedding.model_name"));
        call.request_model = model.map(Into::into);
        call.started_at = Some(record.started_at);
        call.duration = Some(record.duration);
        call.usage = self.usage()?;
        if let Some(total) = money(self.attribute("llm.cost.total")) {
            let mut cost = reported(total);
            cost.input = money(self.attribute("llm.cost.prompt"));
            cost.output = money(self.attribute("llm.cost.completion"));
            call.cost = CostOutcome::Recorded(cost);
        }
        call.error = error;
        Ok(call)
    }

    /// What was used. `OpenInference` counts cached tokens within the prompt's; where they are more than those, the
    /// instrumentation passed on what Anthropic counts.
    fn usage(&self) -> Result<Option<TokenUsage>, Why> {
        let (prompt, completion) = (self.tokens("prompt")?, self.tokens("completion")?);
        if prompt.is_none() && completion.is_none() {
            return Ok(None);
        }
        let (prompt, completion) = (prompt.unwrap_or_default(), completion.unwrap_or_default());
        let part = |name: &str| Ok::<_, Why>(self.tokens(name)?.unwrap_or_default());
        let read = part("prompt_details.cache_read")?;
        let written = part("prompt_details.cache_write")?;
        let builder = if read.saturating_add(written) > prompt {
            TokenUsage::exclusive(prompt, completion)
        } else {
            TokenUsage::inclusive(prompt, completion)
        };
        let builder = builder
            .cache_read(read)
            .cache_write(written)
            .unit(Unit::InputAudio, part("prompt_details.audio")?)
            .unit(Unit::OutputAudio, part("completion_details.audio")?)
            .reasoning(part("completion_details.reasoning")?);
        Ok(Some(builder.build()?))
    }

    fn error(&self) -> Option<ErrorRecord> {
        if self.text("status_code") != Some("ERROR") {
            return None;
        }
        let events = self.get("events").and_then(Value::as_array).into_iter().flatten();
        let mut exceptions = events.filter(|event| text(event, "/name") == Some("exception"));
        let exception =
            exceptions.next_back().and_then(|event| event.get("attributes")?.as_object());
        let of = |name: &str| find(exception?, name)?.as_str();
        let said = of("exception.message").or(self.text("status_message")).unwrap_or_default();
        let kind = of("exception.type").unwrap_or_default();
        let last = kind.rsplit('.').next().unwrap_or_default();
        let category = ErrorCategory::from_provider_code(last)
            .unwrap_or_else(|| ErrorCategory::from_message(said));
        Some(ErrorRecord::new(category, shortened(said)))
    }
}

/// A value by its dotted name: under the whole name, or within a field that the name begins with.
fn find<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    if let Some(value) = fields.get(name) {
        return Some(value);
    }
    let splits = name.match_indices('.').map(|(at, _)| name.split_at(at));
    splits.into_iter().find_map(|(head, rest)| find(fields.get(head)?.as_object()?, &rest[1..]))
}
