//! The cases of the W3C's own test suites for Trace Context and Baggage, and what holds for every header.
//!
//! The cases are those of `test/test.py` of w3c/trace-context at acab820 and of `test/test_baggage.py` of w3c/baggage,
//! each with the answer that the suite expects: whether the trace goes on, and what is passed on.

#![allow(clippy::unwrap_used, reason = "a test that meets with an error shall panic")]

use proptest::prelude::*;
use taximeter_telemetry::context::{Baggage, TraceContext, TraceState};

const TRACE: &str = "12345678901234567890123456789012";

fn extract(headers: &[(&str, &str)]) -> Option<TraceContext> {
    TraceContext::extract(|wanted| {
        let named = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        named.map(|(_, value)| *value).collect::<Vec<_>>()
    })
}

/// Whether the trace goes on with this header.
fn goes_on(traceparent: &str) -> bool {
    extract(&[("traceparent", traceparent)]).is_some_and(|at| at.trace_id.to_string() == TRACE)
}

#[test]
fn a_traceparent_is_taken_or_a_new_trace_begins() {
    let parent = "1234567890123456";
    let taken = [
        format!("00-{TRACE}-{parent}-01"),
        format!("00-{TRACE}-{parent}-00"),
        format!("cc-{TRACE}-{parent}-01"),
        format!("cc-{TRACE}-{parent}-01-what-the-future-will-be-like"),
        format!(" 00-{TRACE}-{parent}-01"),
        format!("\t00-{TRACE}-{parent}-01"),
        format!("00-{TRACE}-{parent}-01 "),
        format!("00-{TRACE}-{parent}-01\t"),
        format!("\t 00-{TRACE}-{parent}-01 \t"),
    ];
    for header in taken {
        assert!(goes_on(&header), "{header:?}");
    }
    let refused = [
        format!("00-{TRACE}-{parent}-01."),
        format!("00-{TRACE}-{parent}-01-what-the-future-will-be-like"),
        format!("cc-{TRACE}-{parent}-01.what-the-future-will-not-be-like"),
        format!("ff-{TRACE}-{parent}-01"),
        format!(".0-{TRACE}-{parent}-01"),
        format!("0.-{TRACE}-{parent}-01"),
        format!("000-{TRACE}-{parent}-01"),
        format!("0000-{TRACE}-{parent}-01"),
        format!("0-{TRACE}-{parent}-01"),
        format!("00-00000000000000000000000000000000-{parent}-01"),
        format!("00-.2345678901234567890123456789012-{parent}-01"),
        format!("00-1234567890123456789012345678901.-{parent}-01"),
        format!("00-123456789012345678901234567890123-{parent}-01"),
        format!("00-1234567890123456789012345678901-{parent}-01"),
        format!("00-{TRACE}-0000000000000000-01"),
        format!("00-{TRACE}-.234567890123456-01"),
        format!("00-{TRACE}-123456789012345.-01"),
        format!("00-{TRACE}-12345678901234567-01"),
        format!("00-{TRACE}-123456789012345-01"),
        format!("00-{TRACE}-{parent}-.0"),
        format!("00-{TRACE}-{parent}-0."),
        format!("00-{TRACE}-{parent}-001"),
        format!("00-{TRACE}-{parent}-1"),
        format!("00-{}-{parent}-01", TRACE.replace('1', "A")),
        String::new(),
        "é".repeat(28),
    ];
    for header in refused {
        assert_eq!(extract(&[("traceparent", &header)]), None, "{header:?}");
    }
}

#[test]
fn names_of_headers_have_any_case_and_no_hyphen_and_come_once() {
    let header = format!("00-{TRACE}-1234567890123456-01");
    for name in ["TraceParent", "TrAcEpArEnT", "TRACEPARENT"] {
        assert!(extract(&[(name, &header)]).is_some(), "{name}");
    }
    for name in ["trace-parent", "trace.parent"] {
        assert_eq!(extract(&[(name, &header)]), None);
    }
    assert_eq!(extract(&[("traceparent", &header), ("traceparent", &header)]), None);
    assert_eq!(extract(&[("tracestate", "foo=1")]), None);
}

/// What is passed on of these headers.
fn state(headers: &[&str]) -> String {
    TraceState::read(headers.iter().copied()).to_string()
}

#[test]
fn a_tracestate_is_passed_on_or_left_out() {
    let kept = [
        (vec!["foo=1,bar=2"], "foo=1,bar=2"),
        (vec!["foo=1", ""], "foo=1"),
        (vec!["", "foo=1"], "foo=1"),
        (vec!["foo=1,bar=2", "rojo=1,congo=2", "baz=3"], "foo=1,bar=2,rojo=1,congo=2,baz=3"),
        (vec!["foo=1,foo=2"], "foo=1"),
        (vec!["foo=1 \t , \t bar=2, \t baz=3"], "foo=1,bar=2,baz=3"),
        (vec![" foo=1"], "foo=1"),
        (vec!["\t foo=1 \t"], "foo=1"),
        (vec!["foo@=1,bar=2"], "foo@=1,bar=2"),
        (vec!["foo@@bar=1,bar=2"], "foo@@bar=1,bar=2"),
        (vec!["0foo@bar=1"], "0foo@bar=1"),
        (vec!["foo=1,,,bar=2"], "foo=1,bar=2"),
    ];
    for (headers, expected) in kept {
        assert_eq!(state(&headers), expected, "{headers:?}");
    }
    let left_out = [
        "foo =1",
        "FOO=1",
        "foo.bar=1",
        "@foo=1,bar=2",
        "foo",
        "=1",
        "foo=",
        "foo=bar=baz",
        "foo=,bar=3",
        "foo=\u{e9}",
        "foo=\u{7f}",
    ];
    for header in left_out {
        assert_eq!(state(&[header]), "", "{header:?}");
    }
}

#[test]
fn a_tracestate_has_limits() {
    let members = |count: usize| {
        (1..=count).map(|at| format!("bar{at:02}={at:02}")).collect::<Vec<_>>().join(",")
    };
    assert_eq!(state(&[&members(32)]), members(32));
    assert_eq!(state(&[&members(33)]), "");
    let (longest, longer) = ("z".repeat(256), "z".repeat(257));
    for (header, is_kept) in [
        (format!("{longest}=1"), true),
        (format!("{longer}=1"), false),
        (format!("foo={longest}"), true),
        (format!("foo={longer}"), false),
        (format!("{}@v=1", "t".repeat(241)), true),
    ] {
        assert_eq!(state(&[&header]) == header, is_kept, "{header:.20}");
    }
    let all = "abcdefghijklmnopqrstuvwxyz0123456789_-*/";
    let plain = |byte: &u8| *byte != b',' && *byte != b'=';
    let value: String = (0x20..=0x7e_u8).filter(plain).map(char::from).collect();
    let header = format!("{all}@a-z0-9_-*/={value}");
    assert_eq!(state(&[&header]), header);
}

#[test]
fn a_baggage_is_read_as_its_suite_reads_it() {
    let both = "SomeKey \t = \t SomeValue \t ; \t SomeProp \t , \t SomeKey2 \t = \t SomeValue2 \t ; \t ValueProp \t = \t PropVal";
    let baggage = Baggage::read([both]);
    let written = "SomeKey=SomeValue;SomeProp,SomeKey2=SomeValue2;ValueProp=PropVal";
    assert_eq!(baggage.to_string(), written);
    assert_eq!(Baggage::read([written]), baggage);
    assert_eq!(
        Baggage::read(["SomeKey=SomeValue=equals"]).get("SomeKey"),
        Some("SomeValue=equals")
    );

    let encoded = "SomeKey=%09%20%22%27%3B%3Dasdf%21%40%23%24%25%5E%26%2A%28%29";
    assert_eq!(Baggage::read([encoded]).get("SomeKey"), Some("\t \"';=asdf!@#$%^&*()"));

    let thrice = "SomeKey=SomeValue;SomeProp;SomeProp=PropValue;SomeProp=AnotherPropValue";
    let baggage = Baggage::read([thrice]);
    let properties = baggage.entries()[0].properties.iter();
    let names: Vec<_> = properties.map(|(_, value)| value.as_deref()).collect();
    assert_eq!(names, [None, Some("PropValue"), Some("AnotherPropValue")]);

    let bad_bytes = Baggage::read(["key=%FF%E9"]);
    assert_eq!(bad_bytes.get("key"), Some("\u{fffd}\u{fffd}"));
}

#[test]
fn a_baggage_has_limits() {
    let many = (0..100).map(|at| format!("k{at}=v")).collect::<Vec<_>>().join(",");
    let baggage = Baggage::read([many.as_str()]);
    assert_eq!((baggage.entries().len(), baggage.left_out()), (64, 36));
    let long = format!("a={},b=1", "x".repeat(9_000));
    assert_eq!(Baggage::read([long.as_str()]).left_out(), 2);

    let mut own = Baggage::default();
    assert_eq!(own.put("no space", "x"), Err("x".into()));
    assert!(own.put("user", "Ann, \"x\"; 100 %").is_ok());
    let sent = own.inject().unwrap();
    assert_eq!(sent, ("baggage", "user=Ann%2C%20%22x%22%3B%20100%20%25".into()));
    assert_eq!(own.put("big", "x".repeat(9_000)).map_err(|value| value.len()), Err(9_000));
    assert_eq!(own.entries().len(), 1);
}

proptest! {
    #[test]
    fn no_header_panics_and_what_is_sent_is_read_the_same(
        parent in "\\PC{0,80}",
        state in proptest::collection::vec("[a-z0-9@ \t]{0,5}=?[ -~]{0,9}", 0..4),
        baggage in proptest::collection::vec("\\PC{0,30}=\\PC{0,30}", 0..4),
    ) {
        let _ = extract(&[("traceparent", &parent)]);
        let state = TraceState::read(state.iter().map(String::as_str));
        let sent = state.to_string();
        prop_assert_eq!(&TraceState::read([sent.as_str()]), &state);
        let baggage = Baggage::read(baggage.iter().map(String::as_str));
        let again = Baggage::read([baggage.to_string().as_str()]);
        prop_assert_eq!(again.entries(), baggage.entries());
    }

    #[test]
    fn any_value_travels(value in "\\PC{0,60}") {
        let mut baggage = Baggage::default();
        prop_assert!(baggage.put("key", value.clone()).is_ok());
        let text = baggage.to_string();
        prop_assert!(text.is_ascii());
        let read = Baggage::read([text.as_str()]);
        prop_assert_eq!(read.get("key"), Some(value.as_str()));
    }
}
