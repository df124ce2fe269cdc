//! Events come out of the bytes whole, however the bytes are split, and no more than the limit is held.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::reply::Framing;
use crate::reply::framing::{Event, Frames};

const LIMIT: usize = 1 << 16;

/// The events of some bytes that come in pieces which end at those places.
fn events(framing: Framing, bytes: &[u8], ends: &[usize], limit: usize) -> Vec<Event> {
    let (mut frames, mut events) = (Frames::new(framing, limit), Vec::new());
    let mut ends: Vec<_> = ends.iter().map(|end| (*end).min(bytes.len())).collect();
    ends.extend([0, bytes.len()]);
    ends.sort_unstable();
    for piece in ends.windows(2) {
        frames.push(&bytes[piece[0]..piece[1]], &mut |event| events.push(event));
    }
    frames.end(&mut |event| events.push(event));
    events
}

/// Checks the events of some bytes in one piece, byte by byte, and in two pieces split at every place.
fn check(framing: Framing, bytes: &[u8], expected: &[Event]) {
    let singly: Vec<_> = (0..bytes.len()).collect();
    assert_eq!(events(framing, bytes, &singly, LIMIT), expected, "byte by byte");
    for at in 0..=bytes.len() {
        assert_eq!(events(framing, bytes, &[at], LIMIT), expected, "split at {at}");
    }
}

fn numbers(numbers: impl IntoIterator<Item = i32>) -> Vec<Event> {
    numbers.into_iter().map(|number| Event::Json(json!(number))).collect()
}

#[test]
fn server_sent_events_in_every_spelling() {
    for (stream, expected) in [
        ("data: 1\n\ndata:2\n\n", numbers([1, 2])),
        ("data: 1\r\n\r\ndata: 2\r\rdata: 3\n\r\n", numbers([1, 2, 3])),
        (": OPENROUTER PROCESSING\n\n: ping\ndata: 1\n\n", numbers([1])),
        ("event: message\nid: 7\nretry: 10\ndata: 1\nother\n\n", numbers([1])),
        ("\u{feff}data: 1\n\n", numbers([1])),
        ("data: [\ndata: 1,\ndata\ndata: 2]\n\n", vec![Event::Json(json!([1, 2]))]),
        ("\n\n\ndata: 1\n\n\n\ndata: 2", numbers([1, 2])),
        ("data: {\"a\":\"é😀\"}\n\n", vec![Event::Json(json!({"a": "é😀"}))]),
        ("data: 1\n\ndata: [DONE]\n\n", vec![Event::Json(json!(1)), Event::Done]),
        ("data: {\"cut", vec![Event::Partial]),
        ("data: nonsense\n\ndata: 2\n\n", vec![Event::Unread, Event::Json(json!(2))]),
        ("datax: 1\n\nevent: nothing\n\n", vec![]),
        ("", vec![]),
    ] {
        check(Framing::EventStream, stream.as_bytes(), &expected);
    }
}

#[test]
fn lines_and_whole_documents() {
    check(Framing::Lines, b"1\n2\r\n\n3", &numbers([1, 2, 3]));
    check(Framing::Lines, b"1\nno\n", &[Event::Json(json!(1)), Event::Unread]);
    check(Framing::Whole, b"{\n\"a\": 1\n}\n", &[Event::Json(json!({"a": 1}))]);
    check(Framing::Whole, b"{\"a\":", &[Event::Partial]);
    check(Framing::Whole, b"<html>", &[Event::Unread]);
    check(Framing::Whole, b"", &[]);
}

/// A frame of Amazon's, with headers of text; its checksums are zero, for they are not looked at.
pub(super) fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut head = Vec::new();
    for (name, value) in headers {
        head.push(u8::try_from(name.len()).unwrap());
        head.extend(name.as_bytes());
        head.push(7);
        head.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        head.extend(value.as_bytes());
    }
    let length = u32::try_from(16 + head.len() + payload.len()).unwrap();
    let mut frame = length.to_be_bytes().to_vec();
    frame.extend(u32::try_from(head.len()).unwrap().to_be_bytes());
    frame.extend([0; 4]);
    frame.extend(head);
    frame.extend(payload);
    frame.extend([0; 4]);
    frame
}

#[test]
fn frames_of_amazon() {
    let event = |kind| [(":message-type", "event"), (":event-type", kind)];
    let chunk = json!({"bytes": STANDARD.encode(r#"{"type":"message_stop"}"#)}).to_string();
    let mut bytes = frame(&event("messageStop"), br#"{"stopReason":"end_turn"}"#);
    bytes.extend(frame(&event("chunk"), chunk.as_bytes()));
    let exception = [(":message-type", "exception"), (":exception-type", "throttlingException")];
    bytes.extend(frame(&exception, br#"{"message":"slow"}"#));
    bytes.extend(frame(&event("unknown"), b""));
    check(
        Framing::Amazon,
        &bytes,
        &[
            Event::Json(json!({"messageStop": {"stopReason": "end_turn"}})),
            Event::Json(json!({"type": "message_stop"})),
            Event::Json(json!({"error": {"code": "throttlingException", "message": "slow"}})),
            Event::Json(json!({"unknown": null})),
        ],
    );
    // Lengths that make no sense end it; a header of an unknown type spoils one frame alone.
    check(Framing::Amazon, &[0; 40], &[Event::Unread]);
    check(Framing::Amazon, &bytes[..20], &[Event::Unread]);
    let mut odd = frame(&event("x"), b"1");
    odd[26] = 99;
    odd.extend(frame(&event("y"), b"1"));
    check(Framing::Amazon, &odd, &[Event::Unread, Event::Json(json!({"y": 1}))]);
}

#[test]
fn what_is_too_large_is_let_go_and_counted() {
    let large = format!("\"{}\"", "x".repeat(1_000));
    let read = |framing, bytes: &[u8]| {
        let singly: Vec<_> = (0..bytes.len()).step_by(7).collect();
        events(framing, bytes, &singly, 100)
    };
    let expected = [Event::Json(json!(1)), Event::Unread, Event::Json(json!(2))];
    let events = format!("data: 1\n\ndata: {large}\n\ndata: 2\n\n");
    assert_eq!(read(Framing::EventStream, events.as_bytes()), expected);
    // Many short lines of one event are as large.
    let lines = "data: 11111111\n".repeat(50);
    let events = format!("data: 1\n\n{lines}\ndata: 2\n\n");
    assert_eq!(read(Framing::EventStream, events.as_bytes()), expected);
    assert_eq!(read(Framing::Lines, format!("1\n{large}\n2\n").as_bytes()), expected);
    assert_eq!(read(Framing::Whole, large.as_bytes()), [Event::Unread]);
    let kind = [(":event-type", "e")];
    let mut frames = frame(&kind, b"1");
    frames.extend(frame(&kind, large.as_bytes()));
    frames.extend(frame(&kind, b"2"));
    let expected = [Event::Json(json!({"e": 1})), Event::Unread, Event::Json(json!({"e": 2}))];
    assert_eq!(read(Framing::Amazon, &frames), expected);
}

/// Events as a server may send them: documents with line breaks in them, comments between them, any line end.
fn any_stream() -> impl Strategy<Value = (Vec<u8>, Vec<Event>)> {
    let end = prop::sample::select(vec!["\n", "\r\n", "\r"]);
    let document = prop_oneof![
        any::<i64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        prop::collection::vec(any::<bool>(), 0..4).prop_map(Value::from),
    ];
    let event = (document, end, any::<bool>(), prop::option::of("[ -~]{0,10}"));
    prop::collection::vec(event, 0..8).prop_map(|events| {
        let (mut bytes, mut expected) = (String::new(), Vec::new());
        for (document, end, pretty, comment) in events {
            if let Some(comment) = comment {
                bytes.push_str(&format!(":{comment}{end}"));
            }
            let text = if pretty {
                serde_json::to_string_pretty(&document).unwrap()
            } else {
                document.to_string()
            };
            text.lines().for_each(|line| bytes.push_str(&format!("data: {line}{end}")));
            bytes.push_str(end);
            expected.push(Event::Json(document));
        }
        (bytes.into_bytes(), expected)
    })
}

proptest! {
    #[test]
    fn any_split_of_any_stream_gives_the_same_events(
        (bytes, expected) in any_stream(),
        ends in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let ends: Vec<_> = ends.iter().map(|end| end.index(bytes.len() + 1)).collect();
        prop_assert_eq!(events(Framing::EventStream, &bytes, &ends, LIMIT), expected);
    }

    #[test]
    fn no_bytes_make_it_panic_and_splits_change_nothing(
        bytes in prop::collection::vec(prop_oneof![
            3 => any::<u8>(), 1 => Just(b'\n'), 1 => Just(0_u8), 1 => Just(b':')], 0..300),
        ends in prop::collection::vec(0..300_usize, 0..8),
        limit in 1..64_usize,
    ) {
        for framing in [Framing::EventStream, Framing::Lines, Framing::Whole, Framing::Amazon] {
            let whole = events(framing, &bytes, &[], limit);
            prop_assert_eq!(events(framing, &bytes, &ends, limit), whole);
        }
    }
}
