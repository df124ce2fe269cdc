//! Any texts as headers of W3C Trace Context and Baggage, a line each: what is sent on is read as it was. And as what a
//! scraper asks for.

use taximeter_telemetry::context::{Baggage, TraceContext, TraceState};
use taximeter_telemetry::prometheus::Format;

pub(crate) fn holds(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let lines: Vec<_> = text.split('\n').collect();
    let state = TraceState::read(lines.iter().copied());
    assert_eq!(TraceState::read([state.to_string().as_str()]), state);
    for line in &lines {
        trace(line, &state);
        let _ = Format::negotiate(Some(line));
    }
    baggage(&lines);
}

fn trace(line: &str, state: &TraceState) {
    let state = state.to_string();
    let named = |wanted: &str| match wanted {
        "traceparent" => Some(line),
        _ => Some(state.as_str()),
    };
    let Some(context) = TraceContext::extract(named) else { return };
    let sent: Vec<_> = context.inject().collect();
    let read = TraceContext::extract(|wanted| {
        sent.iter()
            .filter(|(name, _)| *name == wanted)
            .map(|(_, value)| value.as_str())
            .collect::<Vec<_>>()
    });
    let read = read.expect("what is sent is a context");
    assert_eq!((read.trace_id, read.parent_id), (context.trace_id, context.parent_id));
    assert_eq!((read.is_sampled(), read.state), (context.is_sampled(), context.state));
}

fn baggage(lines: &[&str]) {
    let baggage = Baggage::read(lines.iter().copied());
    let sent = baggage.to_string();
    assert!(sent.is_ascii(), "{sent:?}");
    // What encoding makes longer than the limit is left out by the next one, and nothing else is.
    let read = Baggage::read([sent.as_str()]);
    assert!(baggage.entries().starts_with(read.entries()), "{sent:?}");
    assert!(sent.len() > 8_192 || read.entries() == baggage.entries(), "{sent:?}");
}
