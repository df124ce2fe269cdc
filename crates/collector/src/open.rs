//! An operation that has not ended: its record, written part by part within the limits.
//!
//! The parts come as they may be: their names and texts were brought within the bounds before. As long as there are no
//! more of them than may be, each is appended to a frame. The first one above turns the frame into a record, in which
//! parts can be merged and replaced.

use std::time::Duration;

use chrono::DateTime;
use taximeter_models::{
    ComponentTiming, ErrorRecord, LlmCall, Name, OperationId, OperationRecord, ToolCall, TraceId,
    Warning,
};

use crate::bounds::Bounds;
use crate::frame::{self, Buffer, Ended, part};
use crate::limits::Limits;
use crate::value::MetaValue;

/// What an operation has gathered so far.
#[derive(Debug, Default)]
pub(crate) struct Open {
    frame: Buffer,
    /// Takes the place of the frame once a limit was reached.
    full: Option<Box<OperationRecord>>,
    /// The bytes of the parts that came since then.
    further: usize,
    numbers: Numbers,
    pub(crate) user: Option<Name>,
    pub(crate) session: Option<Name>,
    pub(crate) parent: Option<OperationId>,
    /// The trace, where it is not named by the operation itself.
    pub(crate) trace: Option<TraceId>,
}

/// How many parts of each kind the frame holds.
#[derive(Debug, Clone, Copy, Default)]
struct Numbers {
    keys: usize,
    tags: usize,
    components: usize,
    tools: usize,
    llms: usize,
    errors: usize,
    warnings: usize,
}

/// Memory that a frame begins with.
const FIRST: usize = 512;

impl Open {
    /// Begins anew.
    #[inline]
    pub(crate) fn begin(&mut self, name: &str) {
        if self.frame.memory() < FIRST {
            self.frame.grow(FIRST);
        }
        frame::begin(&mut self.frame, name);
        self.numbers = Numbers::default();
        if self.full.is_some() {
            self.full = None;
            self.further = 0;
        }
        (self.user, self.session, self.parent, self.trace) = (None, None, None, None);
    }

    /// The bytes of memory that it holds.
    #[inline]
    pub(crate) fn memory(&self) -> usize {
        self.frame.memory() + self.further
    }

    /// The frame; whole once [`close`](Open::close) was called.
    #[inline]
    pub(crate) fn frame(&self) -> &[u8] {
        self.frame.as_slice()
    }

    /// Makes the frame whole.
    #[inline]
    pub(crate) fn close(&mut self, ended: &Ended) {
        if let Some(record) = &mut self.full {
            record.id = ended.id;
            record.started_at = DateTime::from_timestamp_nanos(ended.started_at);
            (record.duration, record.outcome) = (ended.duration, ended.outcome);
            record.trace_id = ended.id.into();
            frame::encode(&mut self.frame, record);
        }
        let frame = &mut self.frame;
        self.user.as_ref().inspect(|user| part::user(frame, user));
        self.session.as_ref().inspect(|session| part::session(frame, session));
        self.parent.inspect(|parent| part::parent(frame, *parent));
        self.trace.inspect(|trace| part::trace(frame, *trace));
        frame::close(frame, ended);
    }

    /// The record of a frame that is whole.
    pub(crate) fn record(&self) -> Option<OperationRecord> {
        frame::read(self.frame(), &mut |text: &str| Name::from(text)).map(|(record, _)| record)
    }

    /// A value of metadata that has yet to be brought within its bounds.
    #[inline(never)]
    pub(crate) fn entry(&mut self, key: &str, value: MetaValue<'_>, bounds: &mut Bounds<'_>) {
        if let Some((key, value)) = bounds.entry(key, value) {
            self.metadata(&key, value, bounds);
        }
    }

    #[inline(never)]
    pub(crate) fn metadata(&mut self, key: &str, value: MetaValue<'_>, bounds: &mut Bounds<'_>) {
        if self.packs(self.numbers.keys, bounds.limits.keys, bounds.limits) {
            self.numbers.keys += 1;
            part::metadata(&mut self.frame, key, &value);
            return;
        }
        let known = self.unpacked().metadata.contains_key(key);
        let room = self.unpacked().metadata.len() < bounds.limits.keys;
        if known || (room && self.takes(key.len() + 64, bounds)) {
            self.unpacked().metadata.insert(key.to_owned(), value.into_value());
        } else {
            bounds.left_out();
        }
    }

    /// As [`metadata`](Open::metadata), for the kind of a value that is most frequent.
    #[inline]
    pub(crate) fn text(&mut self, key: &str, text: &str, bounds: &mut Bounds<'_>) {
        if self.packs(self.numbers.keys, bounds.limits.keys, bounds.limits) {
            self.numbers.keys += 1;
            part::text(&mut self.frame, key, text);
        } else {
            self.metadata(key, MetaValue::Text(text), bounds);
        }
    }

    /// As [`metadata`](Open::metadata), for whole numbers.
    #[inline]
    pub(crate) fn unsigned(&mut self, key: &str, number: u64, bounds: &mut Bounds<'_>) {
        if self.packs(self.numbers.keys, bounds.limits.keys, bounds.limits) {
            self.numbers.keys += 1;
            part::unsigned(&mut self.frame, key, number);
        } else {
            self.metadata(key, MetaValue::Unsigned(number), bounds);
        }
    }

    pub(crate) fn tag(&mut self, key: &str, value: &str, bounds: &mut Bounds<'_>) {
        if self.packs(self.numbers.tags, bounds.limits.keys, bounds.limits) {
            self.numbers.tags += 1;
            part::tag(&mut self.frame, key, value);
            return;
        }
        let known = self.unpacked().tags.contains_key(key);
        let room = self.unpacked().tags.len() < bounds.limits.keys;
        if known || (room && self.takes(key.len() + value.len() + 64, bounds)) {
            self.unpacked().tags.insert(key.to_owned(), value.to_owned());
        } else {
            bounds.left_out();
        }
    }

    #[inline]
    pub(crate) fn component(
        &mut self,
        name: &str,
        offset: Option<Duration>,
        duration: Duration,
        bounds: &mut Bounds<'_>,
    ) {
        if self.packs(self.numbers.components, bounds.limits.components, bounds.limits) {
            self.numbers.components += 1;
            part::component(&mut self.frame, name, offset, duration, 1);
        } else {
            self.merge_component(name, offset, duration, bounds);
        }
    }

    /// A timing above the limit is added to the last one of its name, so that no time is lost.
    fn merge_component(
        &mut self,
        name: &str,
        offset: Option<Duration>,
        duration: Duration,
        bounds: &mut Bounds<'_>,
    ) {
        let most = bounds.limits.components;
        let components = &mut self.unpacked().components;
        if components.len() >= most
            && let Some(timing) = components.iter_mut().rev().find(|timing| timing.name == *name)
        {
            timing.duration = timing.duration.saturating_add(duration);
            timing.count = timing.count.saturating_add(1);
            timing.offset = None;
            return;
        }
        if components.len() < most.saturating_mul(2) && self.takes(name.len() + 64, bounds) {
            let timing = ComponentTiming { name: name.into(), offset, duration, count: 1 };
            self.unpacked().components.push(timing);
        } else {
            bounds.left_out();
        }
    }

    /// A call of a tool that was put together as bytes, within the limits already.
    #[inline]
    pub(crate) fn tool_part(&mut self, call: &Buffer, bounds: &mut Bounds<'_>) {
        if self.packs(self.numbers.tools, bounds.limits.calls, bounds.limits) {
            self.numbers.tools += 1;
            self.frame.put(call.as_slice());
        } else if let Some(call) = frame::read_tool(call.as_slice()) {
            self.push_tool(call, bounds);
        }
    }

    pub(crate) fn tool_call(&mut self, call: ToolCall, bounds: &mut Bounds<'_>) {
        if self.packs(self.numbers.tools, bounds.limits.calls, bounds.limits) {
            self.numbers.tools += 1;
            part::tool(&mut self.frame, &call);
        } else {
            self.push_tool(call, bounds);
        }
    }

    fn push_tool(&mut self, call: ToolCall, bounds: &mut Bounds<'_>) {
        let mut bytes = Buffer::default();
        part::tool(&mut bytes, &call);
        if self.unpacked().tool_calls.len() < bounds.limits.calls
            && self.takes(bytes.len() * 4 + 200, bounds)
        {
            self.unpacked().tool_calls.push(call);
        } else {
            bounds.left_out();
        }
    }

    /// What a call of an LLM consumed, where nothing else is known of it.
    #[inline]
    pub(crate) fn usage(
        &mut self,
        provider: &str,
        model: &str,
        usage: &taximeter_models::TokenUsage,
        bounds: &mut Bounds<'_>,
    ) {
        if self.packs(self.numbers.llms, bounds.limits.calls, bounds.limits) {
            self.numbers.llms += 1;
            part::usage(&mut self.frame, provider, model, usage);
        } else {
            self.llm_call(LlmCall::new(provider, model).using(usage.clone()), bounds);
        }
    }

    pub(crate) fn llm_call(&mut self, call: LlmCall, bounds: &mut Bounds<'_>) {
        if self.packs(self.numbers.llms, bounds.limits.calls, bounds.limits) {
            self.numbers.llms += 1;
            part::llm(&mut self.frame, &call);
            return;
        }
        let mut bytes = Buffer::default();
        part::llm(&mut bytes, &call);
        if self.unpacked().llm_calls.len() < bounds.limits.calls
            && self.takes(bytes.len() * 4 + 400, bounds)
        {
            self.unpacked().llm_calls.push(call);
        } else {
            bounds.left_out();
        }
    }

    /// An error above the limit is counted, without its words.
    pub(crate) fn error(&mut self, error: ErrorRecord, bounds: &mut Bounds<'_>) {
        if self.packs(self.numbers.errors, bounds.limits.messages, bounds.limits) {
            self.numbers.errors += 1;
            part::error(&mut self.frame, &error);
            return;
        }
        let size = error.message.len() + error.causes.iter().map(String::len).sum::<usize>();
        let room = self.unpacked().errors.len() < bounds.limits.messages;
        if room && self.takes(size + 128, bounds) {
            self.unpacked().errors.push(error);
        } else {
            self.unlisted(1, 0);
        }
    }

    pub(crate) fn warning(&mut self, message: String, bounds: &mut Bounds<'_>) {
        if self.packs(self.numbers.warnings, bounds.limits.messages, bounds.limits) {
            self.numbers.warnings += 1;
            part::warning(&mut self.frame, &message, None);
            return;
        }
        let room = self.unpacked().warnings.len() < bounds.limits.messages;
        if room && self.takes(message.len() + 64, bounds) {
            self.unpacked().warnings.push(Warning { message, component: None });
        } else {
            self.unlisted(0, 1);
        }
    }

    /// Counts errors and warnings that come without words.
    pub(crate) fn unlisted(&mut self, errors: u64, warnings: u64) {
        let record = self.unpacked();
        record.unlisted_errors = record.unlisted_errors.saturating_add(errors);
        record.unlisted_warnings = record.unlisted_warnings.saturating_add(warnings);
    }

    /// Whether one more part of a kind can simply be appended.
    #[inline]
    fn packs(&self, number: usize, most: usize, limits: &Limits) -> bool {
        self.full.is_none() && number < most && self.frame.len() < limits.record_bytes
    }

    /// Whether the record may grow by a part of this size.
    fn takes(&mut self, bytes: usize, bounds: &Bounds<'_>) -> bool {
        let fits = self.frame.len() + self.further + bytes <= bounds.limits.record_bytes;
        if fits {
            self.further += bytes;
        }
        fits
    }

    #[cold]
    fn unpacked(&mut self) -> &mut OperationRecord {
        let frame = &mut self.frame;
        self.full.get_or_insert_with(|| {
            frame::close(frame, &Ended::default());
            let read = frame::read(frame.as_slice(), &mut |text: &str| Name::from(text));
            Box::new(read.map_or_else(|| OperationRecord::new(""), |(record, _)| record))
        })
    }
}
