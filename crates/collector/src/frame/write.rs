//! Writing a record, part by part.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use smallvec::SmallVec;
use taximeter_models::{
    ComponentTiming, CostOutcome, ErrorCategory, ErrorRecord, LlmCall, OperationId,
    OperationRecord, Outcome, TokenUsage, ToolCall, ToolStatus, TraceId, Unit,
};

use super::tag;
use crate::value::MetaValue;

/// Bytes before the name.
pub(crate) const FIXED: usize = 4 + 16 + 12 + 8 + 1;

/// One call while it is put together: mostly short enough to need no memory of its own.
pub(crate) type CallPart = SmallVec<[u8; 120]>;

/// Something that bytes can be appended to.
pub(crate) trait Bytes {
    fn put(&mut self, bytes: &[u8]);

    fn byte(&mut self, byte: u8) {
        self.put(&[byte]);
    }

    fn number(&mut self, mut number: u64) {
        let mut digits = [0_u8; 10];
        let mut at = 0;
        while number > 0x7f {
            digits[at] = (number & 0x7f) as u8 | 0x80;
            number >>= 7;
            at += 1;
        }
        digits[at] = (number & 0x7f) as u8;
        self.put(&digits[..=at]);
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.put(text.as_bytes());
    }

    fn nanos(&mut self, duration: Duration) {
        self.number(nanos(duration));
    }

    fn instant(&mut self, instant: DateTime<Utc>) {
        self.put(&instant.timestamp().to_le_bytes());
        self.put(&instant.timestamp_subsec_nanos().to_le_bytes());
    }
}

impl Bytes for Vec<u8> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    #[inline]
    fn byte(&mut self, byte: u8) {
        self.push(byte);
    }
}

impl Bytes for CallPart {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    #[inline]
    fn byte(&mut self, byte: u8) {
        self.push(byte);
    }
}

/// Nanoseconds, or as many as there is room for: 584 years.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What is known of an operation only when it has ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    pub(crate) id: OperationId,
    pub(crate) started_at: DateTime<Utc>,
    pub(crate) duration: Duration,
    pub(crate) outcome: Outcome,
}

impl Default for Ended {
    fn default() -> Self {
        Self {
            id: OperationId::default(),
            started_at: DateTime::UNIX_EPOCH,
            duration: Duration::ZERO,
            outcome: Outcome::Success,
        }
    }
}

/// Begins a frame in an empty buffer: room for what is known at the end, and the name.
pub(crate) fn begin(frame: &mut Vec<u8>, name: &str) {
    frame.clear();
    frame.extend_from_slice(&[0; FIXED]);
    frame.text(name);
}

/// Fills in what is known at the end. The frame is whole from here on.
pub(crate) fn close(frame: &mut [u8], ended: &Ended) {
    let length = u32::try_from(frame.len() - 4).unwrap_or(u32::MAX);
    let Some(fixed) = frame.first_chunk_mut::<FIXED>() else { return };
    fixed[..4].copy_from_slice(&length.to_le_bytes());
    fixed[4..20].copy_from_slice(&ended.id.bits().to_le_bytes());
    fixed[20..28].copy_from_slice(&ended.started_at.timestamp().to_le_bytes());
    fixed[28..32].copy_from_slice(&ended.started_at.timestamp_subsec_nanos().to_le_bytes());
    fixed[32..40].copy_from_slice(&nanos(ended.duration).to_le_bytes());
    fixed[40] = match ended.outcome {
        Outcome::Success => 0,
        Outcome::Failure => 1,
        Outcome::Abandoned => 2,
    };
}

/// The parts of a record.
pub(crate) mod part {
    use super::{
        Bytes, ComponentTiming, DateTime, Duration, ErrorCategory, ErrorRecord, LlmCall, MetaValue,
        OperationId, TokenUsage, ToolCall, ToolStatus, TraceId, Utc, tag,
    };
    use super::{cost, llm_fields, put_value, usage_of};

    #[inline]
    pub(crate) fn metadata(to: &mut impl Bytes, key: &str, value: &MetaValue<'_>) {
        to.byte(tag::METADATA);
        to.text(key);
        match value {
            MetaValue::Text(text) => put_text(to, text),
            MetaValue::Unsigned(number) => put_unsigned(to, *number),
            MetaValue::Signed(number) => put_signed(to, *number),
            MetaValue::Float(number) => put_float(to, *number),
            MetaValue::Bool(value) => to.byte(if *value { tag::TRUE } else { tag::FALSE }),
            MetaValue::Json(value) => put_value(to, value),
        }
    }

    pub(super) fn put_text(to: &mut impl Bytes, text: &str) {
        to.byte(tag::TEXT);
        to.text(text);
    }

    pub(super) fn put_unsigned(to: &mut impl Bytes, number: u64) {
        to.byte(tag::UNSIGNED);
        to.number(number);
    }

    pub(super) fn put_signed(to: &mut impl Bytes, number: i64) {
        to.byte(tag::SIGNED);
        to.put(&number.to_le_bytes());
    }

    pub(super) fn put_float(to: &mut impl Bytes, number: f64) {
        to.byte(tag::FLOAT);
        to.put(&number.to_bits().to_le_bytes());
    }

    pub(crate) fn tag(to: &mut impl Bytes, key: &str, value: &str) {
        to.byte(tag::TAG);
        to.text(key);
        to.text(value);
    }

    pub(crate) fn user(to: &mut impl Bytes, user: &str) {
        to.byte(tag::USER);
        to.text(user);
    }

    pub(crate) fn session(to: &mut impl Bytes, session: &str) {
        to.byte(tag::SESSION);
        to.text(session);
    }

    pub(crate) fn parent(to: &mut impl Bytes, parent: OperationId) {
        to.byte(tag::PARENT);
        to.put(&parent.bits().to_le_bytes());
    }

    pub(crate) fn trace(to: &mut impl Bytes, trace: TraceId) {
        to.byte(tag::TRACE);
        to.put(&trace.bits().to_le_bytes());
    }

    #[inline]
    pub(crate) fn component(
        to: &mut impl Bytes,
        name: &str,
        offset: Option<Duration>,
        duration: Duration,
        count: u64,
    ) {
        to.byte(tag::COMPONENT);
        to.text(name);
        to.nanos(duration);
        // An offset is written one above itself, so that none fits beside it.
        to.number(offset.map_or(0, |offset| super::nanos(offset).saturating_add(1)));
        to.number(count);
    }

    pub(super) fn timing(to: &mut impl Bytes, timing: &ComponentTiming) {
        component(to, &timing.name, timing.offset, timing.duration, timing.count);
    }

    #[inline]
    pub(crate) fn tool_begin(to: &mut impl Bytes, name: &str) {
        to.byte(tag::TOOL);
        to.text(name);
    }

    #[inline]
    pub(crate) fn started(to: &mut impl Bytes, at: DateTime<Utc>) {
        to.byte(tag::STARTED);
        to.instant(at);
    }

    #[inline]
    pub(crate) fn duration(to: &mut impl Bytes, duration: Duration) {
        to.byte(tag::DURATION);
        to.nanos(duration);
    }

    pub(crate) fn attempt(to: &mut impl Bytes, attempt: u32) {
        to.byte(tag::ATTEMPT);
        to.number(attempt.into());
    }

    pub(crate) fn arguments_hash(to: &mut impl Bytes, hash: u64) {
        to.byte(tag::ARGUMENTS);
        to.put(&hash.to_le_bytes());
    }

    #[inline]
    pub(crate) fn tool_end(to: &mut impl Bytes, status: ToolStatus) {
        to.byte(tag::END);
        to.byte(match status {
            ToolStatus::Success => 0,
            ToolStatus::Failure => 1,
            ToolStatus::Timeout => 2,
            ToolStatus::Error => 3,
        });
    }

    pub(crate) fn tool(to: &mut impl Bytes, call: &ToolCall) {
        tool_begin(to, &call.name);
        for (key, value) in &call.metadata {
            to.byte(tag::METADATA);
            to.text(key);
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
    pub(crate) fn usage(to: &mut impl Bytes, provider: &str, model: &str, usage: &TokenUsage) {
        to.byte(tag::LLM);
        to.byte(tag::PROVIDER);
        to.text(provider);
        to.byte(tag::REQUEST_MODEL);
        to.text(model);
        usage_of(to, usage);
        to.byte(tag::END);
    }

    pub(crate) fn llm(to: &mut impl Bytes, call: &LlmCall) {
        to.byte(tag::LLM);
        llm_fields(to, call);
        cost(to, &call.cost);
        to.byte(tag::END);
    }

    pub(crate) fn error(to: &mut impl Bytes, error: &ErrorRecord) {
        to.byte(tag::ERROR);
        let category = ErrorCategory::ALL.iter().position(|known| *known == error.category);
        to.number(category.unwrap_or(ErrorCategory::ALL.len()) as u64);
        to.text(&error.message);
        to.number(error.causes.len() as u64);
        error.causes.iter().for_each(|cause| to.text(cause));
        optional(to, error.component.as_deref());
    }

    pub(crate) fn warning(to: &mut impl Bytes, message: &str, component: Option<&str>) {
        to.byte(tag::WARNING);
        to.text(message);
        optional(to, component);
    }

    pub(crate) fn unlisted(to: &mut impl Bytes, errors: u64, warnings: u64) {
        to.byte(tag::UNLISTED);
        to.number(errors);
        to.number(warnings);
    }

    fn optional(to: &mut impl Bytes, text: Option<&str>) {
        to.byte(text.is_some().into());
        text.inspect(|text| to.text(text));
    }
}

fn put_value(to: &mut impl Bytes, value: &Value) {
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
            list.iter().for_each(|item| put_value(to, item));
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
fn usage_of(to: &mut impl Bytes, usage: &TokenUsage) {
    to.byte(tag::USAGE);
    for (unit, quantity) in usage.iter() {
        // One above its place, so that zero ends the list.
        let place = Unit::ALL.iter().position(|known| *known == unit).unwrap_or(Unit::ALL.len());
        to.number(place as u64 + 1);
        to.number(quantity);
    }
    to.byte(0);
}

fn llm_fields(to: &mut impl Bytes, call: &LlmCall) {
    let names = [
        (tag::PROVIDER, &call.provider),
        (tag::REQUEST_MODEL, &call.request_model),
        (tag::RESPONSE_MODEL, &call.response_model),
        (tag::FINISH, &call.finish_reason),
        (tag::TIER, &call.served_tier),
    ];
    for (tag, name) in names {
        if let Some(name) = name {
            to.byte(tag);
            to.text(name);
        }
    }
    call.usage.as_ref().inspect(|usage| usage_of(to, usage));
    call.started_at.inspect(|at| part::started(to, *at));
    call.duration.inspect(|took| part::duration(to, *took));
    if let Some(took) = call.time_to_first_token {
        to.byte(tag::FIRST_TOKEN);
        to.nanos(took);
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
        to.byte(tag::METADATA);
        to.text(key);
        put_value(to, value);
    }
}

/// A cost that is known before the price book is asked is rare, so it travels as JSON.
fn cost(to: &mut impl Bytes, cost: &CostOutcome) {
    if *cost == CostOutcome::Pending {
        return;
    }
    to.byte(tag::COST);
    to.text(&serde_json::to_string(cost).unwrap_or_default());
}

/// A whole record at once.
pub(crate) fn encode(frame: &mut Vec<u8>, record: &OperationRecord) {
    begin(frame, &record.name);
    record.parent.inspect(|parent| part::parent(frame, *parent));
    if record.trace_id != TraceId::from(record.id) {
        part::trace(frame, record.trace_id);
    }
    record.user.as_ref().inspect(|user| part::user(frame, user));
    record.session.as_ref().inspect(|session| part::session(frame, session));
    for (key, value) in &record.metadata {
        frame.byte(tag::METADATA);
        frame.text(key);
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
            started_at: record.started_at,
            duration: record.duration,
            outcome: record.outcome,
        },
    );
}
