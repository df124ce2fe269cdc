//! Cutting a stream into what is read as one: a line, or an element of a JSON array, however long the whole is.

use std::collections::BTreeMap;
use std::io::{self, BufRead, ErrorKind};

use memchr::{memchr, memchr_iter, memchr2};

/// The longest key, and the longest value beside the elements, that is kept of a document.
const MOST_HEAD_BYTES: usize = 1 << 16;

/// The most values beside the elements that are kept of a document.
const MOST_HEAD_VALUES: usize = 256;

/// How much of the buffer stays allocated between two frames.
const KEPT_CAPACITY: usize = 1 << 20;

/// What some programs put before UTF-8.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// What is read as one, and where it stood.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) place: Place,
}

/// Where something begins: its line, counted from 1, its byte, and how many elements of its document came before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: u64,
    pub(crate) offset: u64,
    pub(crate) index: u64,
}

impl Place {
    /// The beginning of a file.
    pub(crate) const START: Self = Self { line: 1, offset: 0, index: 0 };
}

/// What stands in a document beside the elements, by key, as JSON text: only what came before them is known.
pub(crate) type Head = BTreeMap<String, Box<str>>;

/// What came next in the stream; a frame itself lies in the cutter's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// A frame.
    Frame(Place),
    /// A frame that is longer than the limit; it was passed over.
    TooLong(Place),
    /// The stream ended within a document.
    Cut(Place),
    /// The stream ended.
    End,
}

/// How a stream is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Each line is a frame; empty ones are passed over.
    Lines,
    /// The elements of an array at the top, or of the array under one of these keys of an object at the top.
    Elements(&'static [&'static str]),
}

/// Cuts a stream. Its memory is one frame at most, and that is limited.
pub(crate) struct Cutter {
    reader: Box<dyn BufRead>,
    place: Place,
    framing: Framing,
    within: Within,
    head: Head,
    buffer: Vec<u8>,
    limit: usize,
}

/// Where in a document the cutter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Within {
    Nothing,
    Array,
    Object,
    ArrayOfObject,
}

impl Cutter {
    pub(crate) fn new(reader: Box<dyn BufRead>, framing: Framing, limit: usize) -> Self {
        Self {
            reader,
            place: Place::START,
            framing,
            within: Within::Nothing,
            head: Head::new(),
            buffer: Vec::new(),
            limit,
        }
    }

    /// Goes on in another reader of the same document that stands at that place.
    pub(crate) fn resume(&mut self, reader: Box<dyn BufRead>, place: Place) {
        self.reader = reader;
        self.place = place;
    }

    /// Where the next byte is.
    pub(crate) fn place(&self) -> Place {
        self.place
    }

    /// The frame that was found last, and what stood in its document before it.
    pub(crate) fn frame(&self, place: Place) -> (Frame<'_>, &Head) {
        (Frame { bytes: &self.buffer, place }, &self.head)
    }

    /// Finds the next frame.
    pub(crate) fn next(&mut self) -> io::Result<Next> {
        self.buffer.clear();
        self.buffer.shrink_to(KEPT_CAPACITY);
        match self.framing {
            Framing::Lines => self.next_line(),
            Framing::Elements(keys) => self.next_element(keys),
        }
    }

    /// Reads to the first array of elements, and not into it.
    pub(crate) fn enter(&mut self) -> io::Result<()> {
        if let Framing::Elements(keys) = self.framing {
            while !matches!(self.within, Within::Array | Within::ArrayOfObject) {
                if self.step(keys)? == Some(Next::End) {
                    break;
                }
            }
        }
        Ok(())
    }

    fn next_line(&mut self) -> io::Result<Next> {
        loop {
            let place = self.place;
            let found = self.line()?;
            if found == Next::End || found == Next::TooLong(place) {
                return Ok(found);
            }
            if !self.buffer.trim_ascii().is_empty() {
                return Ok(found);
            }
            self.buffer.clear();
        }
    }

    /// Reads to the end of the line, and leaves out what ends it.
    fn line(&mut self) -> io::Result<Next> {
        let place = self.place;
        let mut fits = true;
        loop {
            let available = fill(&mut self.reader)?;
            if available.is_empty() {
                if self.place.offset == place.offset {
                    return Ok(Next::End);
                }
                break;
            }
            let end = memchr(b'\n', available);
            let kept = &available[..end.unwrap_or(available.len())];
            fits = fits && self.buffer.len() + kept.len() <= self.limit;
            if fits {
                self.buffer.extend_from_slice(kept);
            }
            let taken = kept.len() + usize::from(end.is_some());
            self.reader.consume(taken);
            self.place.offset += taken as u64;
            if end.is_some() {
                self.place.line += 1;
                break;
            }
        }
        if !fits {
            return Ok(Next::TooLong(place));
        }
        if self.buffer.last() == Some(&b'\r') {
            self.buffer.pop();
        }
        if place.offset == 0 && self.buffer.starts_with(BYTE_ORDER_MARK) {
            self.buffer.drain(..BYTE_ORDER_MARK.len());
        }
        Ok(Next::Frame(place))
    }

    fn next_element(&mut self, keys: &[&str]) -> io::Result<Next> {
        loop {
            if let Some(found) = self.step(keys)? {
                return Ok(found);
            }
        }
    }

    /// Takes one token of the document, or one whole element.
    fn step(&mut self, keys: &[&str]) -> io::Result<Option<Next>> {
        let Some(byte) = self.peek()? else {
            let cut = self.within != Within::Nothing;
            self.within = Within::Nothing;
            return Ok(Some(if cut { Next::Cut(self.place) } else { Next::End }));
        };
        match (self.within, byte) {
            (Within::Nothing, b'[') => {
                self.head.clear();
                self.open(Within::Array);
            }
            (Within::Nothing, b'{') => {
                self.head.clear();
                self.open(Within::Object);
            }
            // This is no document; whoever reads the line will say so.
            (Within::Nothing, _) => return self.line().map(Some),
            (Within::Array, b']') | (Within::Object, b'}') => self.open(Within::Nothing),
            (Within::ArrayOfObject, b']') => self.open(Within::Object),
            (_, b',') => self.consume(1),
            (Within::Array | Within::ArrayOfObject, _) => {
                let element = self.value().map(Some);
                self.place.index += 1;
                return element;
            }
            (Within::Object, b'"') => return self.member(keys),
            (Within::Object, _) => {
                self.within = Within::Nothing;
                return self.line().map(Some);
            }
        }
        Ok(None)
    }

    /// A key of the object at the top, with its value; the elements themselves are only begun.
    fn member(&mut self, keys: &[&str]) -> io::Result<Option<Next>> {
        let found = self.value()?;
        if !matches!(found, Next::Frame(_)) {
            return Ok(Some(found));
        }
        let key: Option<String> = serde_json::from_slice(&self.buffer).ok();
        self.buffer.clear();
        if self.peek()? == Some(b':') {
            self.consume(1);
        }
        let key = key.filter(|key| key.len() <= MOST_HEAD_BYTES);
        let wanted = key.as_deref().is_some_and(|key| keys.contains(&key));
        let opens = self.peek()? == Some(b'[');
        if wanted && opens {
            self.open(Within::ArrayOfObject);
            return Ok(None);
        }
        let found = self.value()?;
        if let (Some(key), Next::Frame(_)) = (key, found)
            && self.buffer.len() <= MOST_HEAD_BYTES
            && self.head.len() < MOST_HEAD_VALUES
            && let Ok(text) = std::str::from_utf8(&self.buffer)
        {
            self.head.insert(key, text.into());
        }
        self.buffer.clear();
        Ok(matches!(found, Next::Cut(_)).then_some(found))
    }

    /// Takes one JSON value by its brackets and quotes alone: whether it is right inside is its reader's business.
    fn value(&mut self) -> io::Result<Next> {
        let place = self.place;
        let (mut scan, mut fits) = (Scan::default(), true);
        loop {
            let available = fill(&mut self.reader)?;
            if available.is_empty() {
                self.within = Within::Nothing;
                return Ok(Next::Cut(place));
            }
            let (mut taken, done) = scan.advance(available);
            // A stray bracket or colon is no value; taken as one, its reader refuses it and the stream goes on.
            if done && taken == 0 && self.place == place {
                taken = 1;
            }
            fits = fits && self.buffer.len() + taken <= self.limit;
            if fits {
                self.buffer.extend_from_slice(&available[..taken]);
            } else {
                self.buffer.clear();
            }
            self.consume(taken);
            if done {
                return Ok(if fits { Next::Frame(place) } else { Next::TooLong(place) });
            }
        }
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> io::Result<Option<u8>> {
        loop {
            let start = self.place.offset == 0;
            let available = fill(&mut self.reader)?;
            if available.is_empty() {
                return Ok(None);
            }
            if start && available.starts_with(BYTE_ORDER_MARK) {
                self.consume(BYTE_ORDER_MARK.len());
                continue;
            }
            let blank = available.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            if let Some(byte) = available.get(blank).copied() {
                self.consume(blank);
                return Ok(Some(byte));
            }
            self.consume(blank);
        }
    }

    fn open(&mut self, within: Within) {
        if matches!(within, Within::Array | Within::ArrayOfObject) {
            self.place.index = 0;
        }
        self.within = within;
        self.consume(1);
    }

    /// Moves on by so many bytes of those that the reader has ready.
    fn consume(&mut self, bytes: usize) {
        let available = self.reader.fill_buf().unwrap_or_default();
        let lines = memchr_iter(b'\n', &available[..bytes.min(available.len())]).count();
        self.place.line += lines as u64;
        self.place.offset += bytes as u64;
        self.reader.consume(bytes);
    }
}

fn fill(reader: &mut Box<dyn BufRead>) -> io::Result<&[u8]> {
    loop {
        match reader.fill_buf() {
            Ok(_) => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    // The bytes are there; asking again is what lets them be borrowed from here on.
    reader.fill_buf()
}

/// How far the scan of one value has come.
#[derive(Default)]
struct Scan {
    depth: u64,
    begun: bool,
    in_string: bool,
    escaped: bool,
}

impl Scan {
    /// Goes through these bytes: how many belong to the value, and whether it is whole.
    fn advance(&mut self, bytes: &[u8]) -> (usize, bool) {
        let mut at = 0;
        while at < bytes.len() {
            if self.in_string {
                if std::mem::take(&mut self.escaped) {
                    at += 1;
                    continue;
                }
                let Some(found) = memchr2(b'"', b'\\', &bytes[at..]) else { break };
                at += found + 1;
                self.escaped = bytes[at - 1] == b'\\';
                self.in_string = self.escaped;
                if !self.in_string && self.depth == 0 {
                    return (at, true);
                }
                continue;
            }
            match bytes[at] {
                b'"' if self.depth == 0 && self.begun => return (at, true),
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' if self.depth <= 1 => {
                    // A bracket that closes what the value lies in is not its own.
                    return (at + usize::from(self.depth == 1), true);
                }
                b'}' | b']' => self.depth -= 1,
                b',' | b':' | b' ' | b'\t' | b'\r' | b'\n' if self.depth == 0 => return (at, true),
                _ => {}
            }
            self.begun = true;
            at += 1;
        }
        (bytes.len(), false)
    }
}
