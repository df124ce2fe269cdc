//! What an operation gathers beside its page: parts of other threads, and all that is above a limit or has no room.
//!
//! The parts come as bytes, within their bounds. As long as there are no more of them than may be, each is appended to a
//! frame, which begins with what stands on the page. The first one above turns the frame into a record, in which parts
//! can be merged and replaced.

use std::time::Duration;

use chrono::DateTime;
use taximeter_models::{
    ComponentTiming, ErrorRecord, LlmCall, Metadata, Name, OperationRecord, ToolCall, Warning,
};

use crate::bounds::Bounds;
use crate::frame::{self, Buffer, Ended, HEADER};
use crate::limits::Limits;
use crate::page::{Kind, PAGE, Page};

/// What an operation has gathered beside its page so far.
#[derive(Debug, Default)]
pub(crate) struct Open {
    frame: Buffer,
    /// How many bytes of the page the frame, or the record, has taken in.
    taken: usize,
    /// How many parts of each kind the frame holds.
    numbers: [usize; Kind::ALL.len()],
    /// Takes the place of the frame once a limit was reached.
    full: Option<Box<OperationRecord>>,
    /// The bytes of the parts that came since then.
    further: usize,
}

impl Open {
    /// The memory that it holds at first, generously.
    pub(crate) const FIRST: usize = size_of::<Self>() + 2 * PAGE;

    /// Begins anew.
    pub(crate) fn begin(&mut self) {
        self.frame.clear();
        (self.taken, self.numbers) = (0, Default::default());
        (self.full, self.further) = (None, 0);
    }

    /// Whether anything was put into it.
    pub(crate) fn is_used(&self) -> bool {
        self.frame.len() > 0
    }

    /// The bytes of memory that it holds.
    pub(crate) fn memory(&self) -> usize {
        size_of::<Self>() + self.frame.memory() + self.further
    }

    /// The frame; whole once [`close`](Open::close) was called.
    pub(crate) fn frame(&self) -> &[u8] {
        self.frame.as_slice()
    }

    /// Takes in what was written on the page since the last look: what its writer recorded before comes before.
    pub(crate) fn take_in(&mut self, page: &Page, written: usize) {
        if written == self.taken {
            return;
        }
        let new = page.between(self.taken, written);
        // The page begins with the header, which is no part.
        let parts = new.get(HEADER.saturating_sub(self.taken)..).unwrap_or_default();
        for (number, more) in self.numbers.iter_mut().zip(frame::count(parts)) {
            *number += more;
        }
        match &mut self.full {
            Some(record) => _ = frame::read_parts(&new, record),
            None => self.frame.put(&new),
        }
        self.taken = written;
    }

    /// Makes the frame whole.
    pub(crate) fn close(&mut self, ended: &Ended) {
        if let Some(record) = &mut self.full {
            record.id = ended.id;
            record.started_at = DateTime::from_timestamp_nanos(ended.started_at);
            record.duration = Duration::from_nanos(ended.duration);
            record.outcome = ended.outcome;
            frame::encode(&mut self.frame, record);
        }
        frame::close(&mut self.frame, ended);
    }

    /// Puts in what belongs to no kind, and there are few of.
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        match &mut self.full {
            Some(record) => _ = frame::read_parts(bytes, record),
            None => self.frame.put(bytes),
        }
    }

    /// Puts in a part.
    pub(crate) fn put_part(&mut self, kind: Kind, part: &[u8], bounds: &mut Bounds<'_>) {
        let number = &mut self.numbers[kind as usize];
        let few = *number < kind.most(bounds.limits);
        if self.full.is_none() && few && self.frame.len() < bounds.limits.record_bytes {
            *number += 1;
            self.frame.put(part);
        } else {
            self.put_above(part, bounds);
        }
    }

    /// Puts in a part where one of the limits was reached.
    #[cold]
    fn put_above(&mut self, bytes: &[u8], bounds: &mut Bounds<'_>) {
        let mut part = OperationRecord::new("");
        // None of our own parts is unreadable; should one be, it is as good as cut.
        if frame::read_parts(bytes, &mut part).is_none() {
            return bounds.left_out();
        }
        self.put_metadata(part.metadata, bounds);
        part.tags.into_iter().for_each(|(key, value)| self.put_tag(key, value, bounds));
        part.components.into_iter().for_each(|timing| self.put_component(timing, bounds));
        part.tool_calls.into_iter().for_each(|call| self.put_tool(call, bytes.len(), bounds));
        part.llm_calls.into_iter().for_each(|call| self.put_llm(call, bytes.len(), bounds));
        part.errors.into_iter().for_each(|error| self.put_error(error, bounds));
        part.warnings.into_iter().for_each(|warning| self.put_warning(warning, bounds));
        self.put_unlisted(part.unlisted_errors, part.unlisted_warnings);
    }

    fn put_metadata(&mut self, metadata: Metadata, bounds: &mut Bounds<'_>) {
        for (key, value) in metadata {
            let known = self.unpacked().metadata.contains_key(&key);
            let room = self.unpacked().metadata.len() < bounds.limits.keys;
            if known || (room && self.takes(key.len() + 64, bounds.limits)) {
                self.unpacked().metadata.insert(key, value);
            } else {
                bounds.left_out();
            }
        }
    }

    fn put_tag(&mut self, key: String, value: String, bounds: &mut Bounds<'_>) {
        let known = self.unpacked().tags.contains_key(&key);
        let room = self.unpacked().tags.len() < bounds.limits.keys;
        if known || (room && self.takes(key.len() + value.len() + 64, bounds.limits)) {
            self.unpacked().tags.insert(key, value);
        } else {
            bounds.left_out();
        }
    }

    /// A timing above the limit is added to the last one of its name, so that no time is lost.
    fn put_component(&mut self, new: ComponentTiming, bounds: &mut Bounds<'_>) {
        let most = bounds.limits.components;
        let components = &mut self.unpacked().components;
        if components.len() >= most
            && let Some(timing) = components.iter_mut().rev().find(|timing| timing.name == new.name)
        {
            timing.duration = timing.duration.saturating_add(new.duration);
            timing.count = timing.count.saturating_add(1);
            timing.offset = None;
            return;
        }
        let room = components.len() < most.saturating_mul(2);
        if room && self.takes(new.name.len() + 64, bounds.limits) {
            self.unpacked().components.push(new);
        } else {
            bounds.left_out();
        }
    }

    fn put_tool(&mut self, call: ToolCall, bytes: usize, bounds: &mut Bounds<'_>) {
        let room = self.unpacked().tool_calls.len() < bounds.limits.calls;
        if room && self.takes(bytes * 4 + 200, bounds.limits) {
            self.unpacked().tool_calls.push(call);
        } else {
            bounds.left_out();
        }
    }

    fn put_llm(&mut self, call: LlmCall, bytes: usize, bounds: &mut Bounds<'_>) {
        let room = self.unpacked().llm_calls.len() < bounds.limits.calls;
        if room && self.takes(bytes * 4 + 400, bounds.limits) {
            self.unpacked().llm_calls.push(call);
        } else {
            bounds.left_out();
        }
    }

    /// An error above the limit is counted, without its words.
    fn put_error(&mut self, error: ErrorRecord, bounds: &mut Bounds<'_>) {
        let size = error.message.len() + error.causes.iter().map(String::len).sum::<usize>();
        let room = self.unpacked().errors.len() < bounds.limits.messages;
        if room && self.takes(size + 128, bounds.limits) {
            self.unpacked().errors.push(error);
        } else {
            self.put_unlisted(1, 0);
        }
    }

    fn put_warning(&mut self, warning: Warning, bounds: &mut Bounds<'_>) {
        let room = self.unpacked().warnings.len() < bounds.limits.messages;
        if room && self.takes(warning.message.len() + 64, bounds.limits) {
            self.unpacked().warnings.push(warning);
        } else {
            self.put_unlisted(0, 1);
        }
    }

    fn put_unlisted(&mut self, errors: u64, warnings: u64) {
        let record = self.unpacked();
        record.unlisted_errors = record.unlisted_errors.saturating_add(errors);
        record.unlisted_warnings = record.unlisted_warnings.saturating_add(warnings);
    }

    /// Whether the record may grow by a part of this size.
    fn takes(&mut self, bytes: usize, limits: &Limits) -> bool {
        let fits = self.frame.len() + self.further + bytes <= limits.record_bytes;
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
