//! Amazon's binary event stream, in which Bedrock sends its streamed replies.
//!
//! A frame is: its length, the length of its headers, a checksum of both (four bytes each), the headers, the payload, a
//! checksum of all: <https://smithy.io/2.0/aws/amazon-eventstream.html>. The checksums are not looked at: the
//! client that reads the stream does so, and the transport has its own.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::framing::{Event, event_of};

const PRELUDE: usize = 12;
const CHECKSUM: usize = 4;

/// Puts pieces of bytes together to frames.
#[derive(Debug)]
pub(super) struct AmazonFrames {
    held: Vec<u8>,
    most: usize,
    /// So many bytes of a frame that is too large are still to come.
    skip: usize,
    /// The lengths made no sense, so nothing behind them does.
    lost: bool,
}

impl AmazonFrames {
    pub(super) fn new(most: usize) -> Self {
        Self { held: Vec::new(), most, skip: 0, lost: false }
    }

    pub(super) fn push(&mut self, mut bytes: &[u8], each: &mut dyn FnMut(Event)) {
        while !bytes.is_empty() && !self.lost {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let wanted = self.wanted().saturating_sub(self.held.len());
            let (now, later) = bytes.split_at(wanted.min(bytes.len()));
            self.held.extend_from_slice(now);
            bytes = later;
            self.look(each);
        }
    }

    pub(super) fn end(&mut self, each: &mut dyn FnMut(Event)) {
        if !self.held.is_empty() || self.skip > 0 {
            each(Event::Unread);
        }
        self.held.clear();
    }

    /// How many bytes are to be held: the lengths, and once they are known the frame.
    fn wanted(&self) -> usize {
        self.lengths().map_or(PRELUDE, |(frame, _)| frame)
    }

    /// The length of the frame and of its headers.
    fn lengths(&self) -> Option<(usize, usize)> {
        let number = |at: usize| {
            let bytes = self.held.get(at..at + 4)?.try_into().ok()?;
            usize::try_from(u32::from_be_bytes(bytes)).ok()
        };
        (self.held.len() >= PRELUDE).then(|| Some((number(0)?, number(4)?))).flatten()
    }

    fn look(&mut self, each: &mut dyn FnMut(Event)) {
        let Some((frame, headers)) = self.lengths() else { return };
        if frame < PRELUDE + CHECKSUM || headers > frame - PRELUDE - CHECKSUM {
            self.lost = true;
            self.held = Vec::new();
            each(Event::Unread);
        } else if frame > self.most {
            self.skip = frame - self.held.len();
            self.held.clear();
            each(Event::Unread);
        } else if self.held.len() == frame {
            let (headers, payload) = self.held[PRELUDE..frame - CHECKSUM].split_at(headers);
            each(event(headers, payload));
            self.held.clear();
        }
    }
}

/// The event of a frame: `{kind: payload}`, as the JSON of the SDKs has it. A piece of an LLM's own stream is that.
fn event(headers: &[u8], payload: &[u8]) -> Event {
    let Some(kinds) = kinds(headers) else { return Event::Unread };
    let body: Value = serde_json::from_slice(payload).unwrap_or_default();
    if let Some(exception) = kinds.exception {
        let message = body.get("message").cloned().unwrap_or_default();
        return Event::Json(json!({"error": {"code": exception, "message": message}}));
    }
    match (kinds.event, body.get("bytes").and_then(Value::as_str)) {
        (Some("chunk"), Some(bytes)) => {
            STANDARD.decode(bytes).map_or(Event::Unread, |bytes| event_of(&bytes))
        }
        (Some(kind), _) => Event::Json(json!({kind: body})),
        (None, _) => Event::Unread,
    }
}

/// What the headers say of the kind of a frame.
#[derive(Default)]
struct Kinds<'h> {
    event: Option<&'h str>,
    exception: Option<&'h str>,
}

fn kinds(mut headers: &[u8]) -> Option<Kinds<'_>> {
    let mut kinds = Kinds::default();
    while let Some((length, rest)) = headers.split_first() {
        let (name, rest) = rest.split_at_checked((*length).into())?;
        let (kind, rest) = rest.split_first()?;
        let (value, rest) = value(*kind, rest)?;
        headers = rest;
        let text = std::str::from_utf8(value).ok();
        match name {
            b":event-type" => kinds.event = text,
            b":exception-type" | b":error-code" => kinds.exception = text,
            _ => {}
        }
    }
    Some(kinds)
}

/// The bytes of a header's value, and what stands behind them.
fn value(kind: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, bytes) = match kind {
        0 | 1 => (0, bytes),
        2 => (1, bytes),
        3 => (2, bytes),
        4 => (4, bytes),
        5 | 8 => (8, bytes),
        9 => (16, bytes),
        6 | 7 => {
            let (length, bytes) = bytes.split_first_chunk()?;
            (usize::from(u16::from_be_bytes(*length)), bytes)
        }
        _ => return None,
    };
    bytes.split_at_checked(length)
}
