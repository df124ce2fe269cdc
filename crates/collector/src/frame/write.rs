//! Writing a record, part by part.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use taximeter_models::{
    ComponentTiming, CostOutcome, ErrorCategory, ErrorRecord, LlmCall, OperationId,
    OperationRecord, Outcome, SpanId, TokenUsage, ToolCall, ToolStatus, TraceId,
};

use super::{Buffer, status, tag, unit_tag, unsigned_tag};
use crate::value::MetaValue;

/// Bytes before the name: five words.
pub(crate) const HEADER: usize = 5 * 8;

/// Nanoseconds, or as many as there is room for: 584 years.
#[inline]
pub(crate) fn nanos(duration: Duration) -> u64 {
    short_nanos(duration).unwrap_or_else(|| {
        let seconds = duration.as_secs().saturating_mul(1_000_000_000);
        seconds.saturating_add(duration.subsec_nanos().into())
    })
}

/// Nanoseconds, if there are so few that there is surely room for them: 136 years.
#[inline]
pub(crate) fn short_nanos(duration: Duration) -> Option<u64> {
    let seconds = u32::try_from(duration.as_secs()).ok()?;
    Some(u64::from(seconds) * 1_000_000_000 + u64::from(duration.subsec_nanos()))
}

/// Nanoseconds since 1970, or the nearest that 64 bits hold: the years 1677 to 2262.
pub(crate) fn unix_nanos(instant: DateTime<Utc>) -> i64 {
    let far = if instant < DateTime::UNIX_EPOCH { i64::MIN } else { i64::MAX };
    instant.timestamp_nanos_opt().unwrap_or(far)
}

/// What is known of an operation only when it has ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    pub(crate) id: OperationId,
    /// Nanoseconds since 1970.
    pub(crate) started_at: i64,
    /// Nanoseconds.
    pub(crate) duration: u64,
    pub(crate) outcome: Outcome,
}

impl Default for Ended {
    fn default() -> Self {
        Self { id: OperationId::default(), started_at: 0, duration: 0, outcome: Outcome::Success }
    }
}

/// Begins a frame in an empty buffer: room for the header, and the name.
fn begin(frame: &mut Buffer, name: &str) {
    frame.clear();
    frame.extend(HEADER).fill(0);
    part::name(frame, name);
}

/// The header of a frame of so many bytes.
fn header(ended: &Ended, length: usize) -> [u64; HEADER / 8] {
    let [low, high] = halves(ended.id.bits());
    let started_at = ended.started_at.cast_unsigned();
    [head(length, ended.outcome), low, high, started_at, ended.duration]
}

/// The first word of a frame of so many bytes: its length, and how the operation ended.
#[inline]
pub(crate) fn head(length: usize, outcome: Outcome) -> u64 {
    let length = u32::try_from(length.saturating_sub(4)).unwrap_or(u32::MAX);
    let outcome: u64 = match outcome {
        Outcome::Success => 0,
        Outcome::Failure => 1,
        Outcome::Abandoned => 2,
    };
    u64::from(length) | outcome << 32
}

/// The two halves of an id, the low one first.
#[inline]
pub(crate) fn halves(bits: u128) -> [u64; 2] {
    let bytes = bits.to_le_bytes();
    let half = |bytes: Option<&[u8; 8]>| bytes.map_or(0, |half| u64::from_le_bytes(*half));
    [half(bytes.first_chunk()), half(bytes.last_chunk())]
}

/// Fills in the header. The frame is whole from here on.
pub(crate) fn close(frame: &mut Buffer, ended: &Ended) {
    let words = header(ended, frame.len());
    let (places, _) = frame.as_mut_slice().as_chunks_mut::<8>();
    places.iter_mut().zip(words).for_each(|(place, word)| *place = word.to_le_bytes());
}

/// The parts of a record.
pub(crate) mod part {
    use super::{
        Buffer, ComponentTiming, DateTime, Duration, ErrorCategory, ErrorRecord, LlmCall,
        MetaValue, OperationId, SpanId, TokenUsage, ToolCall, ToolStatus, TraceId, Utc, tag,
    };
    use super::{cost, llm_fields, nanos, put_value, status, unsigned_tag, usage_of};

    #[inline]
    pub(crate) fn metadata(to: &mut Buffer, key: &str, value: &MetaValue<'_>) {
        to.tagged(tag::METADATA, key);
        match value {
            MetaValue::Text(text) => put_text(to, text),
            MetaValue::Owned(text) => put_text(to, text),
            MetaValue::Unsigned(number) => put_unsigned(to, *number),
            MetaValue::Signed(number) => put_signed(to, *number),
            MetaValue::Float(number) => put_float(to, *number),
            MetaValue::Bool(value) => to.byte(if *value { tag::TRUE } else { tag::FALSE }),
            MetaValue::Json(value) => put_value(to, value),
        }
    }

    #[inline]
    pub(crate) fn name(to: &mut Buffer, name: &str) {
        to.tagged(tag::NAME, name);
    }

    #[inline]
    pub(super) fn put_text(to: &mut Buffer, text: &str) {
        to.tagged(tag::TEXT, text);
    }

    #[inline]
    pub(super) fn put_unsigned(to: &mut Buffer, number: u64) {
        to.byte(unsigned_tag(number));
        to.sized(number);
    }

    pub(super) fn put_signed(to: &mut Buffer, number: i64) {
        to.byte(tag::SIGNED);
        to.put(&number.to_le_bytes());
    }

    pub(super) fn put_float(to: &mut Buffer, number: f64) {
        to.byte(tag::FLOAT);
        to.put(&number.to_bits().to_le_bytes());
    }

    pub(crate) fn tag(to: &mut Buffer, key: &str, value: &str) {
        to.tagged(tag::TAG, key);
        to.text(value);
    }

    pub(crate) fn user(to: &mut Buffer, user: &str) {
        to.tagged(tag::USER, user);
    }

    pub(crate) fn session(to: &mut Buffer, session: &str) {
        to.tagged(tag::SESSION, session);
    }

    pub(crate) fn parent(to: &mut Buffer, parent: OperationId) {
        to.byte(tag::PARENT);
        to.put(&parent.bits().to_le_bytes());
    }

    pub(crate) fn remote_parent(to: &mut Buffer, parent: SpanId) {
        to.byte(tag::REMOTE_PARENT);
        to.put(&parent.bits().to_le_bytes());
    }

    pub(crate) fn trace(to: &mut Buffer, trace: TraceId) {
        to.byte(tag::TRACE);
        to.put(&trace.bits().to_le_bytes());
    }

    #[inline]
    pub(crate) fn component(
        to: &mut Buffer,
        name: &str,
        offset: Option<Duration>,
        duration: Duration,
        count: u64,
    ) {
        match offset {
            None if count == 1 => to.byte(tag::COMPONENT),
            Some(offset) if count == 1 => {
                to.byte(tag::COMPONENT_AT);
                to.nanos(nanos(offset));
            }
            offset => {
                to.byte(tag::COMPONENTS);
                // Written one above itself, so that none fits beside it; the largest is taken for the one below.
                to.number(offset.map_or(0, |offset| nanos(offset).saturating_add(1)));
                to.number(count);
            }
        }
        to.nanos(nanos(duration));
        to.text(name);
    }

    pub(super) fn timing(to: &mut Buffer, timing: &ComponentTiming) {
        component(to, &timing.name, timing.offset, timing.duration, timing.count);
    }

    #[inline]
    pub(crate) fn tool_begin(to: &mut Buffer, name: &str) {
        to.tagged(tag::TOOL, name);
    }

    #[inline]
    pub(crate) fn started(to: &mut Buffer, at: DateTime<Utc>) {
        if let Some(nanos) = at.timestamp_nanos_opt() {
            started_nanos(to, nanos);
        } else {
            to.byte(tag::STARTED_FAR);
            to.put(&at.timestamp().to_le_bytes());
            to.put(&at.timestamp_subsec_nanos().to_le_bytes());
        }
    }

    #[inline]
    pub(crate) fn started_nanos(to: &mut Buffer, nanos: i64) {
        to.byte(tag::STARTED);
        to.put(&nanos.to_le_bytes());
    }

    #[inline]
    pub(crate) fn duration(to: &mut Buffer, duration: Duration) {
        to.byte(tag::DURATION);
        to.nanos(nanos(duration));
    }

    pub(crate) fn attempt(to: &mut Buffer, attempt: u32) {
        to.byte(tag::ATTEMPT);
        to.number(attempt.into());
    }

    pub(crate) fn arguments_hash(to: &mut Buffer, hash: u64) {
        to.byte(tag::ARGUMENTS);
        to.put(&hash.to_le_bytes());
    }

    #[inline]
    pub(crate) fn tool_end(to: &mut Buffer, status: ToolStatus) {
        to.byte(tag::END);
        to.byte(self::status(status));
    }

    pub(crate) fn tool(to: &mut Buffer, call: &ToolCall) {
        tool_begin(to, &call.name);
        for (key, value) in &call.metadata {
            to.tagged(tag::METADATA, key);
            put_value(to, value);
        }
        call.started_at.inspect(|at| started(to, *at));
        call.duration.inspect(|took| duration(to, *took));
        call.error.as_ref().inspect(|error| self::error(to, error));
        if call.attempt != 1 {
            attempt(to, call.attempt);
        }
        call.arguments_hash.inspect(|hash| arguments_hash(to, *hash));
        tool_end(to, call.status);
    }

    #[inline]
    pub(crate) fn usage(to: &mut Buffer, provider: &str, model: &str, usage: &TokenUsage) {
        to.byte(tag::LLM);
        to.tagged(tag::PROVIDER, provider);
        to.tagged(tag::REQUEST_MODEL, model);
        usage_of(to, usage);
        to.byte(tag::END);
    }

    pub(crate) fn llm(to: &mut Buffer, call: &LlmCall) {
        to.byte(tag::LLM);
        llm_fields(to, call);
        cost(to, &call.cost);
        to.byte(tag::END);
    }

    pub(crate) fn error(to: &mut Buffer, error: &ErrorRecord) {
        to.byte(tag::ERROR);
        let category = ErrorCategory::ALL.iter().position(|known| *known == error.category);
        to.number(category.unwrap_or(ErrorCategory::ALL.len()) as u64);
        to.text(&error.message);
        to.number(error.causes.len() as u64);
        error.causes.iter().for_each(|cause| to.text(cause));
        optional(to, error.component.as_deref());
    }

    pub(crate) fn warning(to: &mut Buffer, message: &str, component: Option<&str>) {
        to.tagged(tag::WARNING, message);
        optional(to, component);
    }

    pub(crate) fn unlisted(to: &mut Buffer, errors: u64, warnings: u64) {
        to.byte(tag::UNLISTED);
        to.number(errors);
        to.number(warnings);
    }

    fn optional(to: &mut Buffer, text: Option<&str>) {
        to.byte(text.is_some().into());
        text.inspect(|text| to.text(text));
    }
}

fn put_value(to: &mut Buffer, value: &Value) {
    match value {
        Value::Null => to.byte(tag::NULL),
        Value::Bool(value) => to.byte(if *value { tag::TRUE } else { tag::FALSE }),
        Value::String(text) => part::put_text(to, text),
        Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(number), _, _) => part::put_unsigned(to, number),
            (None, Some(number), _) => part::put_signed(to, number),
            (None, None, Some(number)) => part::put_float(to, number),
            (None, None, None) => part::put_text(to, &number.to_string()),
        },
        Value::Array(list) => {
            to.byte(tag::LIST);
            to.number(list.len() as u64);
            for item in list {
                put_value(to, item);
            }
        }
        Value::Object(map) => {
            to.byte(tag::MAP);
            to.number(map.len() as u64);
            for (key, item) in map {
                to.text(key);
                put_value(to, item);
            }
        }
    }
}

#[inline]
fn usage_of(to: &mut Buffer, usage: &TokenUsage) {
    to.byte(tag::USAGE);
    usage.iter().for_each(|(unit, quantity)| {
        to.byte(unit_tag(unit, quantity));
        to.sized(quantity);
    });
    to.byte(0);
}

fn llm_fields(to: &mut Buffer, call: &LlmCall) {
    let names = [
        (tag::PROVIDER, &call.provider),
        (tag::REQUEST_MODEL, &call.request_model),
        (tag::RESPONSE_MODEL, &call.response_model),
        (tag::FINISH, &call.finish_reason),
        (tag::TIER, &call.served_tier),
    ];
    for (tag, name) in names {
        if let Some(name) = name {
            to.tagged(tag, name);
        }
    }
    call.usage.as_ref().inspect(|usage| usage_of(to, usage));
    call.started_at.inspect(|at| part::started(to, *at));
    call.duration.inspect(|took| part::duration(to, *took));
    if let Some(took) = call.time_to_first_token {
        to.byte(tag::FIRST_TOKEN);
        to.nanos(nanos(took));
    }
    if call.streamed {
        to.byte(tag::STREAMED);
    }
    if call.attempt != 1 {
        part::attempt(to, call.attempt);
    }
    for (selector, value) in &call.served_as {
        to.byte(tag::SERVED_AS);
        to.text(selector);
        to.text(value);
    }
    call.arguments_hash.inspect(|hash| part::arguments_hash(to, *hash));
    if let Some(hash) = call.prompt_prefix_hash {
        to.byte(tag::PREFIX);
        to.put(&hash.to_le_bytes());
    }
    if let Some(tokens) = call.context_window {
        to.byte(tag::WINDOW);
        to.number(tokens);
    }
    call.error.as_ref().inspect(|error| part::error(to, error));
    for (key, value) in &call.metadata {
        to.tagged(tag::METADATA, key);
        put_value(to, value);
    }
}

/// A cost that is known before the price book is asked is rare, so it travels as JSON.
fn cost(to: &mut Buffer, cost: &CostOutcome) {
    if *cost == CostOutcome::Pending {
        return;
    }
    to.byte(tag::COST);
    to.text(&serde_json::to_string(cost).unwrap_or_default());
}

/// A whole record at once.
pub(crate) fn encode(frame: &mut Buffer, record: &OperationRecord) {
    begin(frame, &record.name);
    record.parent.inspect(|parent| part::parent(frame, *parent));
    record.remote_parent.inspect(|parent| part::remote_parent(frame, *parent));
    if record.trace_id != TraceId::from(record.id) {
        part::trace(frame, record.trace_id);
    }
    record.user.as_ref().inspect(|user| part::user(frame, user));
    record.session.as_ref().inspect(|session| part::session(frame, session));
    for (key, value) in &record.metadata {
        frame.tagged(tag::METADATA, key);
        put_value(frame, value);
    }
    record.tags.iter().for_each(|(key, value)| part::tag(frame, key, value));
    record.components.iter().for_each(|timing| part::timing(frame, timing));
    record.tool_calls.iter().for_each(|call| part::tool(frame, call));
    record.llm_calls.iter().for_each(|call| part::llm(frame, call));
    record.errors.iter().for_each(|error| part::error(frame, error));
    for warning in &record.warnings {
        part::warning(frame, &warning.message, warning.component.as_deref());
    }
    if record.unlisted_errors > 0 || record.unlisted_warnings > 0 {
        part::unlisted(frame, record.unlisted_errors, record.unlisted_warnings);
    }
    close(
        frame,
        &Ended {
            id: record.id,
            started_at: unix_nanos(record.started_at),
            duration: nanos(record.duration),
            outcome: record.outcome,
        },
    );
}
