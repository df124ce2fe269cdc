//! What a request may hold at most, so that no sender can fill the memory of the receiver.

/// What a request may hold at most. It is checked while the request is walked, before anything is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The bytes of a body, as it came and again after decompression; above is refused with 413. Default 16 MiB.
    pub body: usize,
    /// How deep objects and arrays of JSON, or messages of protobuf, may lie within each other; deeper is refused
    /// with 400. Default 64.
    pub nesting: usize,
    /// How many attributes of a span, a log record or a point are read. Further ones are passed over, which the
    /// response and the record say. Default 128, as OpenTelemetry's SDKs have it.
    pub attributes: usize,
    /// How many spans, log records or points of one request are taken; further ones are refused, and counted in the
    /// response. Default 50,000: SDKs send 512 at once, collectors 8,192.
    pub items: usize,
    /// How many bytes of a text are kept: a name, an error's message. The rest is cut off. Default 1,024.
    pub text: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { body: 16 << 20, nesting: 64, attributes: 128, items: 50_000, text: 1_024 }
    }
}

/// The beginning of a text, of so many bytes at most, ending between two characters.
pub(crate) fn cut(text: &str, most: usize) -> &str {
    if text.len() <= most {
        return text;
    }
    let end = (0..=most).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    &text[..end]
}
