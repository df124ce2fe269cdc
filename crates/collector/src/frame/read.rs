//! Reading a record back.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::DateTime;
use serde_json::{Number, Value};
use taximeter_models::{
    ComponentTiming, CostOutcome, ErrorCategory, ErrorRecord, LlmCall, Metadata, Name, OperationId,
    OperationRecord, Outcome, SpanId, TokenUsage, ToolCall, ToolStatus, TraceId, Unit, Warning,
};

use super::piece::{Piece, Used};
use super::{status_of, tag};
use crate::page::Kind;

/// Makes the names of a record; those that come again and again can share their text.
pub(crate) trait Names {
    /// None of bytes that are no text.
    fn name(&mut self, text: &[u8]) -> Option<Name>;
}

impl<F: FnMut(&str) -> Name> Names for F {
    fn name(&mut self, text: &[u8]) -> Option<Name> {
        std::str::from_utf8(text).ok().map(self)
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
    let parts = read_header(frame, &mut record)?;
    Reader::new(parts, names).parts(&mut record)?;
    Some((record, rest))
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
    let mut record = OperationRecord::new("");
    // It has no end, so that it cannot be read to it.
    let _ = Reader::new(call, &mut |_: &str| Name::default()).part(&mut record);
    record.tool_calls.first().map_or(0, |call| call.metadata.len())
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
    pub(super) names: &'n mut N,
    /// Whether texts that are no names are skipped.
    pub(super) lean: bool,
    /// How many components, tool calls and LLM calls of the record are of this frame: what lies behind them is of one
    /// that was read before, and its places and names are used again.
    pub(super) used: [usize; 3],
}

/// The next place of a list, in which there may be something old.
pub(super) fn next<'l, T>(
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

/// A component in whose place one is read.
pub(super) fn new_component() -> ComponentTiming {
    ComponentTiming { name: Name::default(), offset: None, duration: Duration::ZERO, count: 1 }
}

/// A call in whose place one is read.
pub(super) fn new_tool() -> ToolCall {
    ToolCall::new(Name::default(), ToolStatus::Success)
}

/// Makes a call as if it were new, but for its name and status, which each has.
#[inline]
pub(super) fn tool_as_new(call: &mut ToolCall) {
    (call.started_at, call.duration) = (None, None);
    (call.error, call.attempt, call.arguments_hash) = (None, 1, None);
}

/// Makes a call as if it were new, and gives the names of its provider and its LLM. Where it stands, for to make a new one, move
/// it there and let the old one go takes a good part of what an operation takes to be read.
fn as_new(call: &mut LlmCall) -> [Option<Name>; 2] {
    (call.response_model, call.usage, call.finish_reason) = (None, None, None);
    (call.started_at, call.duration, call.time_to_first_token) = (None, None, None);
    (call.streamed, call.attempt, call.served_tier) = (false, 1, None);
    (call.prompt_prefix_hash, call.arguments_hash) = (None, None);
    (call.cost, call.context_window, call.error) = (CostOutcome::Pending, None, None);
    // To clear an empty map costs ten times what it costs to ask whether it is.
    if !call.served_as.is_empty() {
        call.served_as.clear();
    }
    if !call.metadata.is_empty() {
        call.metadata.clear();
    }
    [call.provider.take(), call.request_model.take()]
}

/// Whether a name is these bytes. Most are short: where they begin and end alike, they are the same.
#[inline]
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

#[inline]
fn same_ends<const LENGTH: usize>(one: &[u8], other: &[u8]) -> Option<bool> {
    let begin = one.first_chunk::<LENGTH>()? == other.first_chunk()?;
    Some(begin && one.last_chunk::<LENGTH>()? == other.last_chunk()?)
}

/// Puts a name in its place, where the same may be already: then nothing is looked up and nothing counted.
#[inline]
pub(super) fn put_name(names: &mut impl Names, place: &mut Name, bytes: &[u8]) -> Option<()> {
    if !is_same(place, bytes) {
        *place = names.name(bytes)?;
    }
    Some(())
}

/// A name; the old one, if it is the same.
#[inline]
fn name_or(names: &mut impl Names, old: Option<Name>, bytes: &[u8]) -> Option<Name> {
    match old {
        Some(old) if is_same(&old, bytes) => Some(old),
        _ => names.name(bytes),
    }
}

/// Puts in a component of which no more is known than that it took so many nanoseconds.
#[inline]
pub(super) fn put_component(
    names: &mut impl Names,
    timing: &mut ComponentTiming,
    name: &[u8],
    took: u64,
) -> Option<()> {
    (timing.offset, timing.count) = (None, 1);
    timing.duration = Duration::from_nanos(took);
    put_name(names, &mut timing.name, name)
}

/// Puts in a call of which no more is known than what it used.
#[inline]
pub(super) fn put_used(names: &mut impl Names, call: &mut LlmCall, used: Used<'_>) -> Option<()> {
    let [old_provider, old_model] = as_new(call);
    call.provider = Some(name_or(names, old_provider, used.provider)?);
    call.request_model = Some(name_or(names, old_model, used.model)?);
    let Used { input, output, cached, .. } = used;
    call.usage = Some(if cached == 0 {
        TokenUsage::new(input, output)
    } else {
        let buckets = [(Unit::Input, input), (Unit::CacheRead, cached), (Unit::Output, output)];
        TokenUsage::try_from(BTreeMap::from(buckets)).ok()?
    });
    Some(())
}

/// Reads what a frame begins with; gives its parts. None where its name does not come first.
#[inline]
pub(super) fn read_header<'b>(frame: &'b [u8], record: &mut OperationRecord) -> Option<&'b [u8]> {
    let (outcome, rest) = frame.split_first_chunk()?;
    let (id, rest) = rest.split_first_chunk()?;
    let (started_at, rest) = rest.split_first_chunk()?;
    let (duration, parts) = rest.split_first_chunk()?;
    if parts.first() != Some(&tag::NAME) {
        return None;
    }
    record.outcome = match u32::from_le_bytes(*outcome) {
        0 => Outcome::Success,
        1 => Outcome::Failure,
        _ => Outcome::Abandoned,
    };
    record.id = OperationId::from_bits(u128::from_le_bytes(*id));
    record.trace_id = TraceId::from(record.id);
    record.started_at = DateTime::from_timestamp_nanos(i64::from_le_bytes(*started_at));
    record.duration = Duration::from_nanos(u64::from_le_bytes(*duration));
    Some(parts)
}

impl<'b, 'n, N: Names> Reader<'b, 'n, N> {
    fn new(bytes: &'b [u8], names: &'n mut N) -> Self {
        Self { bytes, names, lean: false, used: [0; 3] }
    }

    fn parts(&mut self, record: &mut OperationRecord) -> Option<()> {
        while !self.bytes.is_empty() {
            self.part(record)?;
        }
        Some(())
    }

    pub(super) fn part(&mut self, record: &mut OperationRecord) -> Option<()> {
        if let Some((piece, rest)) = Piece::read(self.bytes) {
            self.bytes = rest;
            return self.frequent_part(piece, record);
        }
        match self.byte()? {
            tag::NAME => self.name_in(&mut record.name)?,
            tag::METADATA => self.metadata(&mut record.metadata)?,
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
                let timing = next(&mut record.components, &mut self.used[0], new_component)?;
                self.component(kind, timing)?;
            }
            tag::TOOL => {
                let call = next(&mut record.tool_calls, &mut self.used[1], new_tool)?;
                self.name_in(&mut call.name)?;
                self.tool(call)?;
            }
            tag::LLM => {
                let call = next(&mut record.llm_calls, &mut self.used[2], LlmCall::default)?;
                self.llm(call)?;
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

    fn frequent_part(&mut self, part: Piece<'_>, record: &mut OperationRecord) -> Option<()> {
        match part {
            Piece::Nothing => {}
            Piece::Name(name) => put_name(self.names, &mut record.name, name)?,
            Piece::Text { .. } | Piece::Number { .. } => self.keep(&mut record.metadata, part)?,
            Piece::Component { name, took } => {
                let timing = next(&mut record.components, &mut self.used[0], new_component)?;
                put_component(self.names, timing, name, took)?;
            }
            Piece::Tool(name) => {
                let call = next(&mut record.tool_calls, &mut self.used[1], new_tool)?;
                put_name(self.names, &mut call.name, name)?;
                self.tool(call)?;
            }
            Piece::Used(used) => {
                let call = next(&mut record.llm_calls, &mut self.used[2], LlmCall::default)?;
                put_used(self.names, call, used)?;
            }
            Piece::Started(_) | Piece::End { .. } => return None,
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

    /// A call, behind its name.
    fn tool(&mut self, call: &mut ToolCall) -> Option<()> {
        tool_as_new(call);
        self.tool_pieces(call)
    }

    /// What is left of a call.
    pub(super) fn tool_pieces(&mut self, call: &mut ToolCall) -> Option<()> {
        loop {
            if let Some((piece, rest)) = Piece::read(self.bytes) {
                self.bytes = rest;
                match piece {
                    Piece::Nothing => {}
                    Piece::Text { .. } | Piece::Number { .. } => {
                        self.keep(&mut call.metadata, piece)?;
                    }
                    Piece::Started(at) => {
                        call.started_at = Some(DateTime::from_timestamp_nanos(at));
                    }
                    Piece::End { took, status } => {
                        call.duration = Some(Duration::from_nanos(took));
                        call.status = status;
                        return Some(());
                    }
                    _ => return None,
                }
                continue;
            }
            match self.byte()? {
                tag::METADATA => self.metadata(&mut call.metadata)?,
                tag::STARTED => call.started_at = Some(self.instant()?),
                tag::STARTED_FAR => call.started_at = Some(self.far_instant()?),
                tag::DURATION => call.duration = Some(self.nanos()?),
                tag::ATTEMPT => call.attempt = u32::try_from(self.number()?).ok()?,
                tag::ARGUMENTS => call.arguments_hash = Some(u64::from_le_bytes(self.array()?)),
                tag::ERROR => call.error = Some(self.error()?),
                tag::END => {
                    call.status = status_of(self.byte()?);
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
                tag::METADATA => self.metadata(&mut call.metadata)?,
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

    fn metadata(&mut self, metadata: &mut Metadata) -> Option<()> {
        let key = self.bytes_of_text()?;
        if self.lean {
            return self.skip_value();
        }
        metadata.insert(std::str::from_utf8(key).ok()?.to_owned(), self.value()?);
        Some(())
    }

    /// Keeps a frequent key and its value, where all is read.
    fn keep(&self, metadata: &mut Metadata, piece: Piece<'_>) -> Option<()> {
        let (key, value) = match piece {
            _ if self.lean => return Some(()),
            Piece::Text { key, text } => (key, std::str::from_utf8(text).ok()?.into()),
            Piece::Number { key, number } => (key, number.into()),
            _ => return None,
        };
        metadata.insert(std::str::from_utf8(key).ok()?.to_owned(), value);
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

    /// A name; the old one, if it is the same.
    fn name_or(&mut self, old: Option<Name>) -> Option<Name> {
        let bytes = self.bytes_of_text()?;
        name_or(self.names, old, bytes)
    }

    /// Puts a name in its place, where the same may be already.
    fn name_in(&mut self, place: &mut Name) -> Option<()> {
        let bytes = self.bytes_of_text()?;
        put_name(self.names, place, bytes)
    }
}
