//! Reading a record back.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::DateTime;
use serde_json::{Number, Value};
use taximeter_models::{
    ComponentTiming, CostOutcome, ErrorCategory, ErrorRecord, LlmCall, Metadata, Name, OperationId,
    OperationRecord, Outcome, SpanId, TokenUsage, ToolCall, ToolStatus, TraceId, Unit, Warning,
};

use super::tag;
use crate::page::Kind;

/// Makes the names of a record; those that come again and again can share their text.
pub(crate) trait Names {
    fn name(&mut self, text: &str) -> Name;
}

impl<F: FnMut(&str) -> Name> Names for F {
    fn name(&mut self, text: &str) -> Name {
        self(text)
    }
}

/// The id of a frame, without a look at the rest.
pub(crate) fn id_of(frame: &[u8]) -> Option<OperationId> {
    let bits = frame.get(8..24)?.first_chunk::<16>()?;
    Some(OperationId::from_bits(u128::from_le_bytes(*bits)))
}

/// The record of the frame that the bytes begin with, and the bytes behind it; none where the bytes are no frame.
pub(crate) fn read<'b>(
    bytes: &'b [u8],
    names: &mut impl Names,
) -> Option<(OperationRecord, &'b [u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (frame, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let mut record = OperationRecord::new("");
    Reader::new(frame, names).record(&mut record)?;
    Some((record, rest))
}

/// As [`read`], into a record that was read before, and without the texts that are no names: what sums need, without
/// an allocation where the record has had as many parts.
pub(crate) fn read_lean<'b>(
    bytes: &'b [u8],
    names: &mut impl Names,
    record: &mut OperationRecord,
) -> Option<&'b [u8]> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (frame, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    (record.user, record.session) = (None, None);
    (record.parent, record.remote_parent) = (None, None);
    (record.unlisted_errors, record.unlisted_warnings) = (0, 0);
    record.errors.clear();
    record.warnings.clear();
    let mut reader = Reader { lean: true, ..Reader::new(frame, names) };
    reader.record(record)?;
    let [components, tools, llms] = reader.used;
    record.components.truncate(components);
    record.tool_calls.truncate(tools);
    record.llm_calls.truncate(llms);
    Some(rest)
}

/// Reads parts that have no frame around them into a record.
pub(crate) fn read_parts(parts: &[u8], record: &mut OperationRecord) -> Option<()> {
    let names = &mut |text: &str| Name::from(text);
    let mut reader = Reader::new(parts, names);
    // What is there stays.
    reader.used = [record.components.len(), record.tool_calls.len(), record.llm_calls.len()];
    reader.parts(record)
}

/// How many of these parts there are of each kind.
pub(crate) fn count(parts: &[u8]) -> [usize; Kind::ALL.len()] {
    let (mut record, mut numbers) = (OperationRecord::new(""), [0; Kind::ALL.len()]);
    let names = &mut |_: &str| Name::default();
    let mut reader = Reader::new(parts, names);
    while let Some(tag) = reader.bytes.first() {
        if let Some(kind) = kind(*tag) {
            numbers[kind as usize] += 1;
        }
        // None of our own parts is unreadable.
        if reader.part(&mut record).is_none() {
            break;
        }
    }
    numbers
}

/// How many keys a call of a tool has, of which there is no more than its beginning.
pub(crate) fn count_keys(call: &[u8]) -> usize {
    let mut keys = ToolCall::new(Name::default(), ToolStatus::Success);
    let names = &mut |_: &str| Name::default();
    let mut reader = Reader::new(call, names);
    // It has no end, so that it cannot be read to it.
    let _ = reader.byte().and_then(|_| reader.tool(&mut keys));
    keys.metadata.len()
}

/// The kind of the part that begins with this tag.
fn kind(tag: u8) -> Option<Kind> {
    Some(match tag {
        tag::METADATA | tag::TEXT_APART | tag::NUMBER_SHORT..=tag::NUMBER_LONG => Kind::Key,
        tag::TAG => Kind::Tag,
        tag::COMPONENT | tag::COMPONENT_AT | tag::COMPONENTS => Kind::Component,
        tag::TOOL => Kind::Tool,
        tag::LLM | tag::LLM_USED | tag::LLM_CACHED => Kind::Llm,
        tag::ERROR => Kind::Error,
        tag::WARNING => Kind::Warning,
        tag::UNLISTED => Kind::Unlisted,
        _ => return None,
    })
}

pub(super) struct Reader<'b, 'n, N> {
    pub(super) bytes: &'b [u8],
    names: &'n mut N,
    /// Whether texts that are no names are skipped.
    lean: bool,
    /// How many components, tool calls and LLM calls of the record are of this frame: what lies behind them is of one
    /// that was read before, and its places and names are used again.
    used: [usize; 3],
}

/// The next place of a list, in which there may be something old.
fn next<'l, T>(
    list: &'l mut Vec<T>,
    used: &mut usize,
    new: impl FnOnce() -> T,
) -> Option<&'l mut T> {
    if *used == list.len() {
        list.push(new());
    }
    *used += 1;
    list.get_mut(*used - 1)
}

/// Makes a call as if it were new, and gives the names of its provider and its LLM. Where it stands, for to make a new one, move
/// it there and let the old one go takes a good part of what an operation takes to be read.
fn as_new(call: &mut LlmCall) -> [Option<Name>; 2] {
    (call.response_model, call.usage, call.finish_reason) = (None, None, None);
    (call.started_at, call.duration, call.time_to_first_token) = (None, None, None);
    (call.streamed, call.attempt, call.served_tier) = (false, 1, None);
    (call.prompt_prefix_hash, call.arguments_hash) = (None, None);
    (call.cost, call.context_window, call.error) = (CostOutcome::Pending, None, None);
    call.served_as.clear();
    call.metadata.clear();
    [call.provider.take(), call.request_model.take()]
}

/// Whether a name is these bytes. Most are short: where they begin and end alike, they are the same.
fn is_same(name: &Name, bytes: &[u8]) -> bool {
    let name = name.as_bytes();
    let alike = match bytes.len() {
        length if length != name.len() => Some(false),
        4..=8 => same_ends::<4>(name, bytes),
        9..=16 => same_ends::<8>(name, bytes),
        _ => None,
    };
    alike.unwrap_or_else(|| name == bytes)
}

fn same_ends<const LENGTH: usize>(one: &[u8], other: &[u8]) -> Option<bool> {
    let begin = one.first_chunk::<LENGTH>()? == other.first_chunk()?;
    Some(begin && one.last_chunk::<LENGTH>()? == other.last_chunk()?)
}

impl<'b, 'n, N: Names> Reader<'b, 'n, N> {
    fn new(bytes: &'b [u8], names: &'n mut N) -> Self {
        Self { bytes, names, lean: false, used: [0; 3] }
    }

    fn record(&mut self, record: &mut OperationRecord) -> Option<()> {
        let outcome = match u32::from_le_bytes(self.array()?) {
            0 => Outcome::Success,
            1 => Outcome::Failure,
            _ => Outcome::Abandoned,
        };
        let id = OperationId::from_bits(self.wide()?);
        let started_at = DateTime::from_timestamp_nanos(i64::from_le_bytes(self.array()?));
        let duration = Duration::from_nanos(u64::from_le_bytes(self.array()?));
        if self.bytes.first() != Some(&tag::NAME) {
            return None;
        }
        (record.id, record.started_at) = (id, started_at);
        (record.duration, record.outcome) = (duration, outcome);
        record.trace_id = TraceId::from(id);
        self.parts(record)
    }

    fn parts(&mut self, record: &mut OperationRecord) -> Option<()> {
        while !self.bytes.is_empty() {
            self.part(record)?;
        }
        Some(())
    }

    fn part(&mut self, record: &mut OperationRecord) -> Option<()> {
        match self.byte()? {
            tag::NOTHING => self.skip_nothing(),
            tag::GONE => {
                let words: usize = self.byte()?.into();
                self.take((words * 8).checked_sub(2)?)?;
            }
            tag::NAME => self.name_in(&mut record.name)?,
            tag @ (tag::METADATA | tag::TEXT_APART | tag::NUMBER_SHORT..=tag::NUMBER_LONG) => {
                self.metadata(tag, &mut record.metadata)?;
            }
            tag::TAG if self.lean => _ = (self.bytes_of_text()?, self.bytes_of_text()?),
            tag::TAG => {
                let (key, value) = (self.text()?, self.text()?);
                record.tags.insert(key.to_owned(), value.to_owned());
            }
            tag::USER | tag::SESSION if self.lean => _ = self.bytes_of_text()?,
            tag::USER => record.user = Some(self.text()?.into()),
            tag::SESSION => record.session = Some(self.text()?.into()),
            tag::PARENT => record.parent = Some(OperationId::from_bits(self.wide()?)),
            tag::REMOTE_PARENT => {
                record.remote_parent = Some(SpanId::from_bits(u64::from_le_bytes(self.array()?)));
            }
            tag::TRACE => record.trace_id = TraceId::from_bits(self.wide()?),
            kind @ (tag::COMPONENT | tag::COMPONENT_AT | tag::COMPONENTS) => {
                let new = || ComponentTiming {
                    name: Name::default(),
                    offset: None,
                    duration: Duration::ZERO,
                    count: 1,
                };
                let timing = next(&mut record.components, &mut self.used[0], new)?;
                self.component(kind, timing)?;
            }
            tag::TOOL => {
                let new = || ToolCall::new(Name::default(), ToolStatus::Success);
                let call = next(&mut record.tool_calls, &mut self.used[1], new)?;
                self.tool(call)?;
            }
            tag::LLM => {
                let call = next(&mut record.llm_calls, &mut self.used[2], LlmCall::default)?;
                self.llm(call)?;
            }
            tag @ (tag::LLM_USED | tag::LLM_CACHED) => {
                let call = next(&mut record.llm_calls, &mut self.used[2], LlmCall::default)?;
                self.used_llm(tag, call)?;
            }
            tag::ERROR => record.errors.push(self.error()?),
            tag::WARNING => {
                let mut warning = Warning { message: self.message()?, component: None };
                self.optional(&mut warning.component)?;
                record.warnings.push(warning);
            }
            tag::UNLISTED => {
                record.unlisted_errors = record.unlisted_errors.saturating_add(self.number()?);
                record.unlisted_warnings = record.unlisted_warnings.saturating_add(self.number()?);
            }
            _ => return None,
        }
        Some(())
    }

    fn component(&mut self, kind: u8, timing: &mut ComponentTiming) -> Option<()> {
        (timing.offset, timing.count) = match kind {
            tag::COMPONENT => (None, 1),
            tag::COMPONENT_AT => (Some(self.nanos()?), 1),
            _ => (self.number()?.checked_sub(1).map(Duration::from_nanos), self.number()?),
        };
        timing.duration = self.nanos()?;
        self.name_in(&mut timing.name)
    }

    fn tool(&mut self, call: &mut ToolCall) -> Option<()> {
        self.name_in(&mut call.name)?;
        (call.started_at, call.duration) = (None, None);
        (call.error, call.attempt, call.arguments_hash) = (None, 1, None);
        loop {
            match self.byte()? {
                tag::NOTHING => self.skip_nothing(),
                tag @ (tag::METADATA | tag::TEXT_APART | tag::NUMBER_SHORT..=tag::NUMBER_LONG) => {
                    self.metadata(tag, &mut call.metadata)?;
                }
                tag::STARTED => call.started_at = Some(self.instant()?),
                tag::STARTED_APART => {
                    self.gap(1)?;
                    call.started_at = Some(self.instant()?);
                }
                tag::STARTED_FAR => call.started_at = Some(self.far_instant()?),
                tag::DURATION => call.duration = Some(self.nanos()?),
                tag::ATTEMPT => call.attempt = u32::try_from(self.number()?).ok()?,
                tag::ARGUMENTS => call.arguments_hash = Some(u64::from_le_bytes(self.array()?)),
                tag::ERROR => call.error = Some(self.error()?),
                tag::END => {
                    call.status = match self.byte()? {
                        0 => ToolStatus::Success,
                        1 => ToolStatus::Failure,
                        2 => ToolStatus::Timeout,
                        _ => ToolStatus::Error,
                    };
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    fn llm(&mut self, call: &mut LlmCall) -> Option<()> {
        let [mut provider, mut model] = as_new(call);
        loop {
            match self.byte()? {
                tag::METADATA => self.metadata(tag::METADATA, &mut call.metadata)?,
                tag::STARTED => call.started_at = Some(self.instant()?),
                tag::STARTED_FAR => call.started_at = Some(self.far_instant()?),
                tag::DURATION => call.duration = Some(self.nanos()?),
                tag::FIRST_TOKEN => call.time_to_first_token = Some(self.nanos()?),
                tag::ATTEMPT => call.attempt = u32::try_from(self.number()?).ok()?,
                tag::ARGUMENTS => call.arguments_hash = Some(u64::from_le_bytes(self.array()?)),
                tag::PREFIX => call.prompt_prefix_hash = Some(u64::from_le_bytes(self.array()?)),
                tag::PROVIDER => call.provider = Some(self.name_or(provider.take())?),
                tag::REQUEST_MODEL => call.request_model = Some(self.name_or(model.take())?),
                tag::RESPONSE_MODEL => call.response_model = Some(self.name()?),
                tag::FINISH => call.finish_reason = Some(self.name()?),
                tag::TIER => call.served_tier = Some(self.name()?),
                tag::USAGE => call.usage = Some(self.usage()?),
                tag::COST => call.cost = serde_json::from_str(self.text()?).ok()?,
                tag::STREAMED => call.streamed = true,
                tag::WINDOW => call.context_window = Some(self.number()?),
                tag::ERROR => call.error = Some(self.error()?),
                tag::SERVED_AS => {
                    let selector = self.name()?;
                    call.served_as.insert(selector, self.name()?);
                }
                tag::END => return Some(()),
                _ => return None,
            }
        }
    }

    /// A call of which no more is known than what it used.
    fn used_llm(&mut self, tag: u8, call: &mut LlmCall) -> Option<()> {
        let [old_provider, old_model] = as_new(call);
        let [provider, model] = self.array()?.map(usize::from);
        call.provider = Some(self.name_of(provider, old_provider)?);
        self.gap(3 + provider)?;
        call.request_model = Some(self.name_of(model, old_model)?);
        self.gap(model)?;
        let [input, output] =
            [self.array()?, self.array()?].map(|half| u32::from_le_bytes(half).into());
        call.usage = Some(if tag == tag::LLM_USED {
            TokenUsage::new(input, output)
        } else {
            let cached = u64::from_le_bytes(self.array()?);
            let buckets = [(Unit::Input, input), (Unit::CacheRead, cached), (Unit::Output, output)];
            TokenUsage::try_from(BTreeMap::from(buckets)).ok()?
        });
        Some(())
    }

    fn usage(&mut self) -> Option<TokenUsage> {
        let (mut input, mut output, mut others) = (0, 0, BTreeMap::new());
        while let Some(tag) = self.byte()?.checked_sub(1) {
            let number = self.sized(tag / tag::UNITS)?;
            match *Unit::ALL.get(usize::from(tag % tag::UNITS))? {
                Unit::Input => input = number,
                Unit::Output => output = number,
                other => _ = others.insert(other, number),
            }
        }
        if others.is_empty() {
            return Some(TokenUsage::new(input, output));
        }
        others.extend([(Unit::Input, input), (Unit::Output, output)]);
        TokenUsage::try_from(others).ok()
    }

    fn error(&mut self) -> Option<ErrorRecord> {
        let place = usize::try_from(self.number()?).ok()?;
        let category = ErrorCategory::ALL.get(place).copied().unwrap_or_default();
        let mut error = ErrorRecord::new(category, self.message()?);
        for _ in 0..self.number()? {
            let cause = self.message()?;
            if !self.lean {
                error.causes.push(cause);
            }
        }
        self.optional(&mut error.component)?;
        Some(error)
    }

    /// Puts a name in its place, if there is one; none only where the bytes are no record.
    fn optional(&mut self, name: &mut Option<Name>) -> Option<()> {
        if self.byte()? != 0 {
            *name = Some(self.name()?);
        }
        Some(())
    }

    fn metadata(&mut self, tag: u8, metadata: &mut Metadata) -> Option<()> {
        match tag {
            tag::TEXT_APART if self.lean => {
                let [key, text] = self.array()?.map(usize::from);
                self.take((3 + key).next_multiple_of(8) - 3 + text.next_multiple_of(8)).map(|_| ())
            }
            tag::TEXT_APART => {
                let [key, text] = self.array()?.map(usize::from);
                let key_bytes = self.take(key)?;
                self.gap(3 + key)?;
                let bytes = self.take(text)?;
                self.gap(text)?;
                self.keep(metadata, key_bytes, |_| std::str::from_utf8(bytes).ok().map(Value::from))
            }
            tag::METADATA => {
                let key = self.bytes_of_text()?;
                if self.lean { self.skip_value() } else { self.keep(metadata, key, Self::value) }
            }
            number => {
                let key = self.byte()?.into();
                let number = match number {
                    tag::NUMBER_SHORT => u16::from_le_bytes(self.array()?).into(),
                    tag::NUMBER => self.five()?,
                    _ => {
                        self.gap(2)?;
                        u64::from_le_bytes(self.array()?)
                    }
                };
                let key = self.take(key)?;
                self.keep(metadata, key, |_| Some(number.into()))
            }
        }
    }

    /// Keeps a value, where all is read.
    fn keep(
        &mut self,
        metadata: &mut Metadata,
        key: &[u8],
        value: impl FnOnce(&mut Self) -> Option<Value>,
    ) -> Option<()> {
        if !self.lean {
            metadata.insert(std::str::from_utf8(key).ok()?.to_owned(), value(self)?);
        }
        Some(())
    }

    fn skip_value(&mut self) -> Option<()> {
        match self.byte()? {
            tag::NULL | tag::FALSE | tag::TRUE => {}
            tag @ tag::UNSIGNED..=tag::UNSIGNED_LAST => _ = self.sized(tag - tag::UNSIGNED)?,
            tag::SIGNED | tag::FLOAT => _ = self.array::<8>()?,
            tag::TEXT => _ = self.bytes_of_text()?,
            tag::LIST => {
                for _ in 0..self.number()? {
                    self.skip_value()?;
                }
            }
            tag::MAP => {
                for _ in 0..self.number()? {
                    self.bytes_of_text()?;
                    self.skip_value()?;
                }
            }
            _ => return None,
        }
        Some(())
    }

    fn value(&mut self) -> Option<Value> {
        Some(match self.byte()? {
            tag::NULL => Value::Null,
            tag::FALSE => Value::Bool(false),
            tag::TRUE => Value::Bool(true),
            tag @ tag::UNSIGNED..=tag::UNSIGNED_LAST => self.sized(tag - tag::UNSIGNED)?.into(),
            tag::SIGNED => i64::from_le_bytes(self.array()?).into(),
            tag::FLOAT => {
                let number = f64::from_bits(u64::from_le_bytes(self.array()?));
                Number::from_f64(number).map_or(Value::Null, Value::Number)
            }
            tag::TEXT => self.text()?.into(),
            tag::LIST => {
                let items = self.number()?;
                (0..items).map(|_| self.value()).collect::<Option<Vec<_>>>()?.into()
            }
            tag::MAP => {
                let items = self.number()?;
                let item = |reader: &mut Self| Some((reader.text()?.to_owned(), reader.value()?));
                let map: Option<serde_json::Map<_, _>> = (0..items).map(|_| item(self)).collect();
                Value::Object(map?)
            }
            _ => return None,
        })
    }

    /// A text that is no name.
    fn message(&mut self) -> Option<String> {
        if self.lean {
            return self.bytes_of_text().map(|_| String::new());
        }
        self.text().map(ToOwned::to_owned)
    }

    fn name(&mut self) -> Option<Name> {
        self.name_or(None)
    }

    /// A name; the old one, if it is the same: then nothing is looked up and nothing counted.
    fn name_or(&mut self, old: Option<Name>) -> Option<Name> {
        let length = usize::try_from(self.number()?).ok()?;
        self.name_of(length, old)
    }

    /// As [`name_or`](Reader::name_or), of so many bytes.
    fn name_of(&mut self, length: usize, old: Option<Name>) -> Option<Name> {
        let bytes = self.take(length)?;
        match old {
            Some(old) if is_same(&old, bytes) => Some(old),
            _ => Some(self.names.name(std::str::from_utf8(bytes).ok()?)),
        }
    }

    /// Puts a name in its place, where the same may be already.
    fn name_in(&mut self, place: &mut Name) -> Option<()> {
        let bytes = self.bytes_of_text()?;
        if !is_same(place, bytes) {
            *place = self.names.name(std::str::from_utf8(bytes).ok()?);
        }
        Some(())
    }
}
