//! The reply of a provider: whole, as server-sent events, as lines, as frames of Amazon, in every dialect; and as an error,
//! and as the body of a request. The first byte says which, the second in pieces of which size it comes.

use std::time::Duration;

use taximeter_models::LlmCall;
use taximeter_telemetry::reply::{Accumulator, Dialect, Framing, Request, error, read};

const FRAMINGS: [Framing; 4] =
    [Framing::EventStream, Framing::Lines, Framing::Amazon, Framing::Whole];
const DIALECTS: [Dialect; 6] = [
    Dialect::OpenAi,
    Dialect::Anthropic,
    Dialect::Gemini,
    Dialect::Bedrock,
    Dialect::Ollama,
    Dialect::Unknown,
];

pub(crate) fn holds(bytes: &[u8]) {
    let Some((&[how, piece], body)) = bytes.split_first_chunk::<2>() else { return };
    // From the digit zero on, so that seeds can be read.
    let how = usize::from(how.wrapping_sub(b'0'));
    let (framing, dialect) = (FRAMINGS[how % 4], DIALECTS[how / 4 % 6]);
    let in_pieces = |size: usize| {
        let mut accumulator = Accumulator::new(framing).dialect(dialect).limit(64 << 10);
        for piece in body.chunks(size) {
            accumulator.push(piece, Duration::from_millis(1));
        }
        let streamed = accumulator.finish(Duration::from_secs(1));
        let mut call = LlmCall::default();
        streamed.put_on(&mut call);
        (streamed, call)
    };
    let (whole, pieces) = (in_pieces(body.len().max(1)), in_pieces(usize::from(piece).max(1)));
    assert_eq!(whole, pieces, "in pieces of {piece} bytes it says something else");
    let _ = error(u16::from(piece) + 400, None, body);
    let _ = Request::read(body);
    if let Ok(value) = serde_json::from_slice(body) {
        let _ = read(&value);
    }
}
