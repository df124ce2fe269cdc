//! One span, read: what it stands for, what it consumed, how it ended. This is what the assembler holds.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use taximeter_models::{
    CostOutcome, ErrorRecord, LlmCall, Metadata, Money, Name, ReportedCost, TokenUsage,
};

use super::alias::Field;
use super::failure::failure;
use super::ids::{hash_text, join};
use super::limits::cut;
use super::providers::provider_name;
use super::raw::{Id, Maker, RawSpan, Resource, Scope};
use super::role::{Convention, Role, role};
use super::slots::{Slots, Value};
use super::usage::{Doubts, usage};
use super::{Limits, keys};

/// A span as far as it matters.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    pub(crate) trace: u128,
    pub(crate) id: u64,
    /// Zero for none.
    pub(crate) parent: u64,
    pub(crate) name: Name,
    /// Nanoseconds since 1970.
    pub(crate) start: u64,
    /// Nanoseconds since 1970; not before the start.
    pub(crate) end: u64,
    pub(crate) role: Role,
    pub(crate) source: Source,
    pub(crate) scope: Scope,
    pub(crate) resource: Arc<Resource>,
    pub(crate) error: Option<ErrorRecord>,
    /// Of a call; and of what is none but has a usage of its own.
    pub(crate) call: Option<Box<LlmCall>>,
    /// Of a tool.
    pub(crate) tool: Option<Box<Tool>>,
    /// A hash of the provider's id of the reply; zero for none.
    pub(crate) response: u64,
    pub(crate) user: Option<Name>,
    pub(crate) session: Option<Name>,
    pub(crate) notes: Notes,
}

/// Where a span was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Span,
    /// A log record that repeats a span, or stands for one where no span is sent.
    Log,
}

/// A tool, as a span tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tool {
    pub(crate) name: Name,
    pub(crate) call_id: Option<Name>,
    /// Whether the span is that of the protocol by which the tool was reached.
    pub(crate) mcp: bool,
    pub(crate) attempt: u32,
}

/// What is said of the span itself in the metadata of its operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Notes {
    pub(crate) convention: Option<Convention>,
    /// Attributes beyond the limit, which were passed over.
    pub(crate) attributes_skipped: usize,
    /// Its end lay before its start.
    pub(crate) ends_before_start: bool,
}

/// Why a span cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadIds(pub(crate) &'static str);

/// Reads a span.
pub(crate) fn read(
    raw: &RawSpan<'_>,
    resource: &Arc<Resource>,
    scope: &Scope,
    limits: &Limits,
) -> Result<Span, BadIds> {
    let trace = raw.trace.known().ok_or(BadIds("a trace id is 16 bytes that are not all zero"))?;
    let id = raw.id.known().ok_or(BadIds("a span id is 8 bytes that are not all zero"))?;
    let parent = match raw.parent {
        Id::Absent => 0,
        Id::Is(parent) => parent,
        Id::Invalid => return Err(BadIds("a parent's span id is 8 bytes that are not all zero")),
    };
    let slots = &raw.slots;
    let (role, convention) = role(&raw.name, slots);
    let end = raw.end.max(raw.start);
    let mut span = Span {
        trace,
        id,
        parent,
        name: Name::from(cut(&raw.name, 256)),
        start: raw.start,
        end,
        role,
        source: Source::Span,
        scope: scope.clone(),
        resource: Arc::clone(resource),
        error: failure(slots, raw.failed, &raw.status_message, limits.text),
        call: None,
        tool: None,
        response: 0,
        user: None,
        session: None,
        notes: Notes {
            convention,
            attributes_skipped: slots.seen.saturating_sub(limits.attributes),
            ends_before_start: raw.end < raw.start,
        },
    };
    if role != Role::Other {
        span.fill(slots, limits);
    }
    Ok(span)
}

impl Span {
    /// Reads what the attributes tell of a call, a tool, and for whom it ran.
    pub(crate) fn fill(&mut self, slots: &Slots<'_>, limits: &Limits) {
        let name = |field| slots.text(field).map(|text| Name::from(cut(text, limits.text)));
        self.user = name(Field::User);
        self.session = name(Field::Session);
        if self.role == Role::Tool {
            let named = name(Field::ToolName).or_else(|| name(Field::EntityName));
            self.tool = Some(Box::new(Tool {
                name: named.unwrap_or_else(|| self.name.clone()),
                call_id: name(Field::ToolCallId),
                mcp: slots.has(Field::McpMethod),
                attempt: attempt(slots),
            }));
            return;
        }
        let provider =
            slots.text(Field::Provider).map(|text| provider_name(cut(text, limits.text)));
        let (usage, doubts) = usage(slots, &self.scope, self.notes.convention, provider.as_deref());
        // A call counts though its reply did not say what it consumed; a step without usage is none.
        if self.role != Role::Call && usage.is_none() {
            return;
        }
        if let Some(id) = slots.text(Field::ResponseId) {
            self.response = hash_text(id);
        }
        self.call = Some(Box::new(self.call(
            slots,
            limits,
            provider.as_deref().map(Name::from),
            usage,
            doubts,
        )));
    }

    fn call(
        &self,
        slots: &Slots<'_>,
        limits: &Limits,
        provider: Option<Name>,
        usage: Option<TokenUsage>,
        doubts: Doubts,
    ) -> LlmCall {
        let name = |field| slots.text(field).map(|text| Name::from(cut(text, limits.text)));
        let mut call = LlmCall::default();
        call.provider = provider;
        call.request_model =
            asked_model(slots).map(Name::from).or_else(|| name(Field::RequestModel));
        call.response_model = name(Field::ResponseModel);
        call.cost = cost(slots, usage.is_some());
        call.usage = usage;
        call.finish_reason = name(Field::FinishReason);
        call.started_at = instant(self.start);
        call.duration = Some(Duration::from_nanos(self.end - self.start));
        call.streamed = slots.flag(Field::Streamed).unwrap_or_else(|| {
            slots.text(Field::AiOperation).is_some_and(|operation| operation.contains("Stream"))
        });
        call.time_to_first_token =
            time_to_first_token(slots, self.start, call.streamed, &self.scope)
                .filter(|first| *first <= Duration::from_nanos(self.end - self.start));
        call.attempt = attempt(slots);
        call.served_tier = name(Field::ServiceTier).filter(|tier| *tier != "default");
        if let Some(speed) =
            name(Field::Speed).filter(|speed| *speed != "normal" && *speed != "standard")
        {
            call.served_as.insert("speed".into(), speed);
        }
        call.error.clone_from(&self.error);
        doubts_into(&mut call.metadata, doubts);
        if let Some(id) = slots.text(Field::ResponseId) {
            call.metadata.insert(keys::RESPONSE_ID.into(), cut(id, limits.text).into());
        }
        call
    }

    /// The span's usage, if it has one.
    pub(crate) fn usage(&self) -> Option<&TokenUsage> {
        self.call.as_ref()?.usage.as_ref()
    }

    /// Who sent it: a process; of Claude Code a session, since its processes say nothing that tells them apart.
    pub(crate) fn sender(&self) -> u64 {
        match self.notes.convention {
            Some(Convention::ClaudeCode) => claude_session(&self.resource, self.session.as_ref()),
            _ => self.resource.identity,
        }
    }

    /// About how many bytes it holds.
    pub(crate) fn size(&self) -> usize {
        let call = self
            .call
            .as_ref()
            .map_or(0, |call| size_of::<LlmCall>() + 128 + 64 * call.metadata.len());
        let error = self.error.as_ref().map_or(0, |error| error.message.len() + 64);
        size_of::<Self>() + self.name.len() + call + error + self.tool.as_ref().map_or(0, |_| 128)
    }
}

/// A session of Claude Code as a sender.
pub(crate) fn claude_session(resource: &Resource, session: Option<&Name>) -> u64 {
    join(resource.identity, session.map_or(0, |session| hash_text(session)))
}

fn attempt(slots: &Slots<'_>) -> u32 {
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
        Some(total) => CostOutcome::Recorded(ReportedCost {
            total,
            input,
            output,
            currency: taximeter_models::Currency::USD,
        }),
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

/// The instant so many nanoseconds after 1970; none of zero, which is as good as not told.
pub(crate) fn instant(nanos: u64) -> Option<DateTime<Utc>> {
    let nanos = i64::try_from(nanos).ok().filter(|nanos| *nanos > 0)?;
    Some(DateTime::from_timestamp_nanos(nanos))
}
