//! Where one event of a reply ends and the next begins, in whatever pieces the bytes come.
//!
//! The parsers of the field read a whole stream, and hold whatever a server sends until an event ends. This one is
//! pushed, so that it can look on while somebody else reads, and what it holds has a limit.

use serde_json::Value;

use super::event_stream::AmazonFrames;

/// How the events of a reply stand in its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Framing {
    /// Server-sent events: OpenAI, Anthropic, Gemini with `alt=sse` (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).
    EventStream,
    /// A line of JSON each: Ollama.
    Lines,
    /// Amazon's binary event stream: Bedrock
    /// (<https://smithy.io/2.0/aws/amazon-eventstream.html>).
    Amazon,
    /// No events: the body is one JSON document.
    #[default]
    Whole,
}

impl Framing {
    /// The framing of a `Content-Type`. Default: [`Framing::Whole`].
    ///
    /// ```
    /// use taximeter_telemetry::reply::Framing;
    ///
    /// assert_eq!(Framing::of_content_type("text/event-stream; charset=utf-8"), Framing::EventStream);
    /// assert_eq!(Framing::of_content_type("application/json"), Framing::Whole);
    /// ```
    pub fn of_content_type(content_type: &str) -> Self {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        match essence.to_ascii_lowercase().as_str() {
            "text/event-stream" => Self::EventStream,
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Self::Lines,
            "application/vnd.amazon.eventstream" => Self::Amazon,
            _ => Self::Whole,
        }
    }

    /// Whether the reply comes in events.
    pub const fn is_streamed(self) -> bool {
        !matches!(self, Self::Whole)
    }
}

/// What came out of the bytes.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Event {
    /// A document.
    Json(Value),
    /// The word by which OpenAI ends its streams.
    Done,
    /// A document that breaks off.
    Partial,
    /// Something else, or something too large.
    Unread,
}

/// Puts pieces of bytes together to events.
#[derive(Debug)]
pub(super) enum Frames {
    EventStream(Sse),
    Lines(Gathered),
    Amazon(AmazonFrames),
    Whole(Gathered),
}

impl Frames {
    /// Holds at most so many bytes of one event.
    pub(super) fn new(framing: Framing, most: usize) -> Self {
        match framing {
            Framing::EventStream => Self::EventStream(Sse::new(most)),
            Framing::Lines => Self::Lines(Gathered::new(most)),
            Framing::Amazon => Self::Amazon(AmazonFrames::new(most)),
            Framing::Whole => Self::Whole(Gathered::new(most)),
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8], each: &mut dyn FnMut(Event)) {
        match self {
            Self::EventStream(sse) => sse.push(bytes, each),
            Self::Lines(line) => {
                let mut pieces = bytes.split(|byte| *byte == b'\n');
                line.extend(pieces.next().unwrap_or_default());
                for piece in pieces {
                    line.take_event(each);
                    line.extend(piece);
                }
            }
            Self::Amazon(frames) => frames.push(bytes, each),
            Self::Whole(body) => body.extend(bytes),
        }
    }

    /// What was gathered of a body that is one document.
    pub(super) fn whole_body(&self) -> &[u8] {
        match self {
            Self::Whole(body) => &body.bytes,
            _ => &[],
        }
    }

    /// Hands over what no end was seen of. By the standard an event without its empty line is dropped; here it is
    /// read, for its counts are as true as any.
    pub(super) fn end(&mut self, each: &mut dyn FnMut(Event)) {
        match self {
            Self::EventStream(sse) => sse.end(each),
            Self::Lines(rest) | Self::Whole(rest) => rest.take_event(each),
            Self::Amazon(frames) => frames.end(each),
        }
    }
}

/// Bytes that are gathered up to a limit. What would be longer is let go.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    bytes: Vec<u8>,
    too_long: bool,
    most: usize,
}

impl Gathered {
    pub(super) fn new(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    fn extend(&mut self, bytes: &[u8]) {
        if self.too_long || bytes.len() > self.most - self.bytes.len() {
            self.too_long = true;
            self.bytes = Vec::new();
        } else {
            self.bytes.extend_from_slice(bytes);
        }
    }

    fn is_empty(&self) -> bool {
        self.bytes.is_empty() && !self.too_long
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.too_long = false;
    }

    fn take_event(&mut self, each: &mut dyn FnMut(Event)) {
        if self.too_long {
            each(Event::Unread);
        } else if !self.bytes.trim_ascii().is_empty() {
            each(event_of(&self.bytes));
        }
        self.clear();
    }
}

/// The event that some bytes are.
pub(super) fn event_of(bytes: &[u8]) -> Event {
    let bytes = bytes.trim_ascii();
    if bytes == b"[DONE]" {
        return Event::Done;
    }
    match serde_json::from_slice(bytes) {
        Ok(document) => Event::Json(document),
        Err(error) if error.is_eof() => Event::Partial,
        Err(_) => Event::Unread,
    }
}

/// Server-sent events: lines that end in CR, LF or both; an empty one ends the event; those of `data` are joined.
#[derive(Debug)]
pub(super) struct Sse {
    line: Gathered,
    data: Gathered,
    has_data: bool,
    /// The last line ended in CR: an LF right behind it belongs to it.
    after_cr: bool,
    /// No byte was seen yet: a byte order mark may come.
    at_start: bool,
}

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

impl Sse {
    fn new(most: usize) -> Self {
        Self {
            line: Gathered::new(most),
            data: Gathered::new(most),
            has_data: false,
            after_cr: false,
            at_start: true,
        }
    }

    fn push(&mut self, mut bytes: &[u8], each: &mut dyn FnMut(Event)) {
        while let Some((first, rest)) = bytes.split_first() {
            if std::mem::take(&mut self.after_cr) && *first == b'\n' {
                bytes = rest;
                continue;
            }
            let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
                return self.line.extend(bytes);
            };
            self.line.extend(&bytes[..end]);
            self.after_cr = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            self.end_line(each);
        }
    }

    fn end_line(&mut self, each: &mut dyn FnMut(Event)) {
        let at_start = std::mem::take(&mut self.at_start);
        if self.line.is_empty() {
            self.end_event(each);
        } else if self.line.too_long {
            // Nothing else than data is so long.
            (self.has_data, self.data.too_long) = (true, true);
        } else {
            let mut line = self.line.bytes.as_slice();
            if at_start {
                line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
            }
            if let Some(value) = data_in(line) {
                if self.has_data {
                    self.data.extend(b"\n");
                }
                self.data.extend(value);
                self.has_data = true;
            }
        }
        self.line.clear();
    }

    fn end_event(&mut self, each: &mut dyn FnMut(Event)) {
        if std::mem::take(&mut self.has_data) {
            self.data.take_event(each);
        }
    }

    fn end(&mut self, each: &mut dyn FnMut(Event)) {
        if !self.line.is_empty() {
            self.end_line(each);
        }
        self.end_event(each);
    }
}

/// The value of a line of data, without the one space that may stand before it. Comments and other fields are none.
fn data_in(line: &[u8]) -> Option<&[u8]> {
    match line.strip_prefix(b"data")? {
        [] => Some(&[]),
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        _ => None,
    }
}
