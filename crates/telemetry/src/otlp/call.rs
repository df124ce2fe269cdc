//! The call of an LLM that a span tells of: who was asked, what it consumed, what it cost, how long it took.

use std::time::Duration;

use chrono::DateTime;
use serde::Deserialize;
use taximeter_models::{CostOutcome, Currency, LlmCall, Metadata, Money, ReportedCost};

use super::alias::Field;
use super::keys;
use super::limits::cut;
use super::providers::provider_name;
use super::raw::{Maker, Scope};
use super::role::Role;
use super::slots::{Slots, Value};
use super::span::{Reader, Span, instant};
use super::usage::{Doubts, usage};

/// The call that a span tells of; none where it is no call and tells no usage.
///
/// A call counts though its reply did not say what it consumed; an agent or a step without a usage is none.
pub(crate) fn call(span: &Span, slots: &Slots<'_>, reader: &mut Reader<'_>) -> Option<LlmCall> {
    let provider = slots.text(Field::Provider).map(|text| provider_name(cut(text, 256)));
    let (usage, doubts) = usage(slots, &span.scope, span.notes.convention, provider.as_deref());
    if span.role != Role::Call && usage.is_none() {
        return None;
    }
    let took = Duration::from_nanos(span.end - span.start);
    let mut call = LlmCall::default();
    call.provider = provider.map(|provider| reader.names.name(&provider, 256));
    let asked = asked_model(slots).map(|model| reader.names.name(&model, 256));
    call.request_model = asked.or_else(|| reader.name(slots, Field::RequestModel));
    call.response_model = reader.name(slots, Field::ResponseModel);
    call.cost = cost(slots, usage.is_some());
    call.usage = usage;
    call.finish_reason = reader.name(slots, Field::FinishReason);
    call.started_at = instant(span.start);
    call.duration = Some(took);
    call.streamed = slots.flag(Field::Streamed).unwrap_or_else(|| {
        slots.text(Field::AiOperation).is_some_and(|operation| operation.contains("Stream"))
    });
    call.time_to_first_token = time_to_first_token(slots, span.start, call.streamed, &span.scope)
        .filter(|first| *first <= took);
    call.attempt = attempt(slots);
    // What is served as everything is says nothing.
    let told = |name: &str| !matches!(name, "default" | "normal" | "standard");
    call.served_tier = reader.name(slots, Field::ServiceTier).filter(|tier| told(tier));
    if let Some(speed) = reader.name(slots, Field::Speed).filter(|speed| told(speed)) {
        call.served_as.insert("speed".into(), speed);
    }
    doubts_into(&mut call.metadata, doubts);
    // A call is taken for a chat unless it says otherwise.
    if let Some(asked) = slots.text(Field::Operation).filter(|asked| *asked != "chat")
        && span.role == Role::Call
    {
        call.metadata.insert(keys::OPERATION.into(), cut(asked, 64).into());
    }
    Some(call)
}

/// Which try a call was, counted from 1.
pub(crate) fn attempt(slots: &Slots<'_>) -> u32 {
    let attempt = slots.get(Field::Attempt).and_then(|attempt| attempt.count().ok());
    attempt.and_then(|attempt| u32::try_from(attempt).ok()).unwrap_or(1).max(1)
}

/// OpenInference writes the model that answered over the one that was asked for; the request's parameters keep it.
fn asked_model(slots: &Slots<'_>) -> Option<String> {
    #[derive(Deserialize)]
    struct Parameters {
        model: Option<String>,
    }
    let json = slots.text(Field::InvocationParameters)?;
    let model = serde_json::from_str::<Parameters>(json).ok()?.model?;
    Some(cut(&model, 256).to_owned())
}

fn doubts_into(metadata: &mut Metadata, doubts: Doubts) {
    let mut note = |key: &str, value: &str| metadata.insert(key.into(), value.into());
    if let Some(why) = doubts.exclusive {
        note(keys::INPUT_EXCLUSIVE, why);
    }
    if doubts.not_a_count {
        note(keys::USAGE_DOUBT, "a number that is no count was left out");
    }
    if doubts.parts_left_out {
        note(keys::USAGE_DOUBT, "parts above their whole were left out");
    }
    if doubts.may_be_estimated {
        note(keys::USAGE_ESTIMATED, "the client estimates streams that report no usage");
    }
}

/// A cost that another program computed. Zero is no cost: clients write it where they know no price.
fn cost(slots: &Slots<'_>, has_usage: bool) -> CostOutcome {
    let money = |field| {
        let amount = Money::from_f64_shortest(slots.number(field)?)?;
        (!amount.is_negative()).then_some(amount)
    };
    let (total, input, output) = match slots.text(Field::CostDetails).and_then(langfuse_cost) {
        Some(costs) => costs,
        None => (money(Field::CostTotal), money(Field::CostInput), money(Field::CostOutput)),
    };
    match total.filter(|total| !total.is_zero()) {
        Some(total) => {
            CostOutcome::Recorded(ReportedCost { total, input, output, currency: Currency::USD })
        }
        None if has_usage => CostOutcome::Pending,
        None => CostOutcome::NoUsage,
    }
}

type Costs = (Option<Money>, Option<Money>, Option<Money>);

fn langfuse_cost(json: &str) -> Option<Costs> {
    #[derive(Deserialize)]
    struct Details {
        total: Option<f64>,
        input: Option<f64>,
        output: Option<f64>,
    }
    let details: Details = serde_json::from_str(json).ok()?;
    let money = |amount: Option<f64>| {
        Money::from_f64_shortest(amount?).filter(|amount| !amount.is_negative())
    };
    let (total, input, output) =
        (money(details.total), money(details.input), money(details.output));
    let sum = input.zip(output).map(|(input, output)| input + output);
    Some((total.or(sum), input, output))
}

fn time_to_first_token(
    slots: &Slots<'_>,
    start: u64,
    streamed: bool,
    scope: &Scope,
) -> Option<Duration> {
    let seconds = |field| Duration::try_from_secs_f64(slots.number(field)?).ok();
    let since_start = |nanos: u64| nanos.checked_sub(start).map(Duration::from_nanos);
    // openlit writes the whole time where the reply is not streamed.
    let trusted = streamed || scope.maker != Maker::Openlit;
    seconds(Field::FirstChunkSeconds)
        .or_else(|| seconds(Field::FirstTokenSeconds).filter(|_| trusted && streamed))
        .or_else(|| Duration::try_from_secs_f64(slots.number(Field::FirstTokenMillis)? / 1e3).ok())
        .or_else(|| {
            let text = slots.text(Field::CompletionStart)?.trim_matches('"');
            let at = DateTime::parse_from_rfc3339(text).ok()?.timestamp_nanos_opt()?;
            since_start(u64::try_from(at).ok()?)
        })
        .or_else(|| match slots.get(Field::FirstTokenAt)? {
            Value::Int(at) => since_start(u64::try_from(*at).ok()?),
            _ => None,
        })
}
