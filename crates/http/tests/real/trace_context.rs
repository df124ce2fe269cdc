//! The cases of the W3C's own test suite for Trace Context, each asked of what a server and a client of HTTP do together:
//! headers in, an operation, headers out.
//!
//! They are those of `test/test.py` of w3c/trace-context at acab820, at the strictest level and with level 2, under the
//! names that they have there; what the suite expects stands beside each.

use std::collections::BTreeSet;

use http::{HeaderMap, HeaderName, HeaderValue};
use taximeter::Meter;

use self::Expect::{Anew, GoesOn, Passes, PassesNone};

const TRACE: &str = "12345678901234567890123456789012";
const PARENT: &str = "1234567890123456";
const SAMPLED: (&str, &str) =
    ("traceparent", "00-12345678901234567890123456789012-1234567890123456-01");
const NOT_SAMPLED: (&str, &str) =
    ("traceparent", "00-12345678901234567890123456789012-1234567890123456-00");

/// What the suite expects of the headers of the next request.
enum Expect {
    /// The same trace, and a parent of its own.
    GoesOn,
    /// Another trace.
    Anew,
    /// The same trace, and these members of `tracestate`, in this order.
    Passes(&'static str),
    /// Nothing of `tracestate`.
    PassesNone,
}

/// What the next request is sent with: the trace, the parent and the flags; and what is passed on.
fn serve(meter: &Meter, headers: &[(&str, &str)]) -> ([String; 3], String) {
    let mut asked = HeaderMap::new();
    for (name, value) in headers {
        let name: HeaderName = name.parse().unwrap();
        asked.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    let operation =
        meter.operation("answer").remote_parent(taximeter_http::extract(&asked)).start();
    let mut asks = HeaderMap::new();
    taximeter_http::inject(&operation, &mut asks);
    assert_eq!(asks.get_all("traceparent").iter().count(), 1);
    let parent = asks["traceparent"].to_str().unwrap();
    let [version, trace, parent, flags] =
        parent.split('-').collect::<Vec<_>>().try_into().expect("four parts");
    assert_eq!((version, trace.len(), parent.len(), flags.len()), ("00", 32, 16, 2));
    let state = asks.get_all("tracestate").iter().map(|value| value.to_str().unwrap());
    ([trace, parent, flags].map(str::to_owned), state.collect::<Vec<_>>().join(","))
}

fn check(meter: &Meter, name: &str, headers: &[(&str, &str)], expect: &Expect) {
    let ([trace, parent, _], state) = serve(meter, headers);
    match expect {
        GoesOn => assert_eq!(trace, TRACE, "{name} {headers:?}"),
        Anew => assert!(trace != TRACE && state.is_empty(), "{name} {headers:?}: {trace} {state}"),
        Passes(members) => assert_eq!((&*trace, &*state), (TRACE, *members), "{name} {headers:?}"),
        PassesNone => assert_eq!(state, "", "{name} {headers:?}"),
    }
    assert_ne!(parent, PARENT, "{name}: who answers is the parent of what he asks");
}

/// The cases of one header.
static PARENTS: [(&str, Expect, &[&str]); 22] = [
    ("traceparent_included_tracestate_missing", GoesOn, &[SAMPLED.1]),
    (
        "traceparent_version_0x00",
        Anew,
        &[
            "00-12345678901234567890123456789012-1234567890123456-01.",
            "00-12345678901234567890123456789012-1234567890123456-01-what-the-future-will-be-like",
        ],
    ),
    (
        "traceparent_version_0xcc",
        GoesOn,
        &[
            "cc-12345678901234567890123456789012-1234567890123456-01",
            "cc-12345678901234567890123456789012-1234567890123456-01-what-the-future-will-be-like",
        ],
    ),
    (
        "traceparent_version_0xcc",
        Anew,
        &["cc-12345678901234567890123456789012-1234567890123456-01.what-the-future-will-be-like"],
    ),
    (
        "traceparent_version_0xff",
        Anew,
        &["ff-12345678901234567890123456789012-1234567890123456-01"],
    ),
    (
        "traceparent_version_illegal_characters",
        Anew,
        &[
            ".0-12345678901234567890123456789012-1234567890123456-01",
            "0.-12345678901234567890123456789012-1234567890123456-01",
        ],
    ),
    (
        "traceparent_version_too_long",
        Anew,
        &[
            "000-12345678901234567890123456789012-1234567890123456-01",
            "0000-12345678901234567890123456789012-1234567890123456-01",
        ],
    ),
    (
        "traceparent_version_too_short",
        Anew,
        &["0-12345678901234567890123456789012-1234567890123456-01"],
    ),
    (
        "traceparent_trace_id_all_zero",
        Anew,
        &["00-00000000000000000000000000000000-1234567890123456-01"],
    ),
    (
        "traceparent_trace_id_illegal_characters",
        Anew,
        &[
            "00-.2345678901234567890123456789012-1234567890123456-01",
            "00-1234567890123456789012345678901.-1234567890123456-01",
        ],
    ),
    (
        "traceparent_trace_id_too_long",
        Anew,
        &["00-123456789012345678901234567890123-1234567890123456-01"],
    ),
    (
        "traceparent_trace_id_too_short",
        Anew,
        &["00-1234567890123456789012345678901-1234567890123456-01"],
    ),
    (
        "traceparent_parent_id_all_zero",
        Anew,
        &["00-12345678901234567890123456789012-0000000000000000-01"],
    ),
    (
        "traceparent_parent_id_illegal_characters",
        Anew,
        &[
            "00-12345678901234567890123456789012-.234567890123456-01",
            "00-12345678901234567890123456789012-123456789012345.-01",
        ],
    ),
    (
        "traceparent_parent_id_too_long",
        Anew,
        &["00-12345678901234567890123456789012-12345678901234567-01"],
    ),
    (
        "traceparent_parent_id_too_short",
        Anew,
        &["00-12345678901234567890123456789012-123456789012345-01"],
    ),
    (
        "traceparent_trace_flags_illegal_characters",
        Anew,
        &[
            "00-12345678901234567890123456789012-1234567890123456-.0",
            "00-12345678901234567890123456789012-1234567890123456-0.",
        ],
    ),
    (
        "traceparent_trace_flags_too_long",
        Anew,
        &["00-12345678901234567890123456789012-1234567890123456-001"],
    ),
    (
        "traceparent_trace_flags_too_short",
        Anew,
        &["00-12345678901234567890123456789012-1234567890123456-1"],
    ),
    (
        "traceparent_ows_handling",
        GoesOn,
        &[
            " 00-12345678901234567890123456789012-1234567890123456-01",
            "\t00-12345678901234567890123456789012-1234567890123456-01",
            "00-12345678901234567890123456789012-1234567890123456-01 ",
            "00-12345678901234567890123456789012-1234567890123456-01\t",
            "\t 00-12345678901234567890123456789012-1234567890123456-01 \t",
        ],
    ),
    (
        "capital letters, which no case of the suite has",
        Anew,
        &["00-ABCDEF78901234567890123456789012-1234567890123456-01"],
    ),
    ("an empty one, which no case of the suite has", Anew, &[""]),
];

#[test]
fn a_traceparent() {
    let meter = Meter::builder().build().unwrap();
    for (name, expect, values) in &PARENTS {
        for value in *values {
            check(&meter, name, &[("traceparent", value)], expect);
        }
    }
    check(&meter, "both_traceparent_and_tracestate_missing", &[], &Anew);
    let other = ("traceparent", "00-12345678901234567890123456789011-1234567890123456-01");
    check(&meter, "traceparent_duplicated", &[other, SAMPLED], &Anew);
    for name in ["trace-parent", "trace.parent"] {
        check(&meter, "traceparent_header_name", &[(name, SAMPLED.1)], &Anew);
    }
    for name in ["TraceParent", "TrAcEpArEnT", "TRACEPARENT"] {
        check(&meter, "traceparent_header_name_valid_casing", &[(name, SAMPLED.1)], &GoesOn);
    }
}

/// The cases of what vendors pass on, each beside a good `traceparent`.
static STATES: [(&str, Expect, &[&[&str]]); 21] = [
    ("tracestate_included_traceparent_included", Passes("foo=1,bar=2"), &[&["foo=1,bar=2"]]),
    ("tracestate_empty_header", Passes(""), &[&[""]]),
    ("tracestate_empty_header", Passes("foo=1"), &[&["foo=1", ""], &["", "foo=1"]]),
    (
        "tracestate_multiple_headers_different_keys",
        Passes("foo=1,bar=2,rojo=1,congo=2,baz=3"),
        &[&["foo=1,bar=2", "rojo=1,congo=2", "baz=3"]],
    ),
    (
        "tracestate_duplicated_keys",
        Passes("foo=1"),
        &[&["foo=1,foo=1"], &["foo=1,foo=2"], &["foo=1", "foo=1"], &["foo=1", "foo=2"]],
    ),
    (
        "tracestate_ows_handling",
        Passes("foo=1,bar=2,baz=3"),
        &[&["foo=1 \t , \t bar=2, \t baz=3"], &["foo=1\t \t,\t \tbar=2,\t \tbaz=3"]],
    ),
    (
        "tracestate_ows_handling",
        Passes("foo=1"),
        &[&[" foo=1"], &["\tfoo=1"], &["foo=1 "], &["foo=1\t"], &["\t foo=1 \t"]],
    ),
    ("tracestate_key_illegal_characters", PassesNone, &[&["foo =1"], &["FOO=1"], &["foo.bar=1"]]),
    ("tracestate_key_illegal_vendor_format", Passes("foo@=1,bar=2"), &[&["foo@=1,bar=2"]]),
    ("tracestate_key_illegal_vendor_format", PassesNone, &[&["@foo=1,bar=2"]]),
    ("tracestate_key_illegal_vendor_format", Passes("foo@@bar=1,bar=2"), &[&["foo@@bar=1,bar=2"]]),
    (
        "tracestate_key_illegal_vendor_format",
        Passes("foo@bar@baz=1,bar=2"),
        &[&["foo@bar@baz=1,bar=2"]],
    ),
    ("tracestate_value_illegal_characters", PassesNone, &[&["foo=bar=baz"], &["foo=,bar=3"]]),
    ("a member without a value, which no case of the suite has", PassesNone, &[&["foo"], &["=1"]]),
    ("no ASCII, which no case of the suite has", PassesNone, &[&["foo=\u{e9}"]]),
    (
        "tracestate_member_count_limit",
        Passes(
            "bar01=01,bar02=02,bar03=03,bar04=04,bar05=05,bar06=06,bar07=07,bar08=08,bar09=09,bar10=10,bar11=11,\
                 bar12=12,bar13=13,bar14=14,bar15=15,bar16=16,bar17=17,bar18=18,bar19=19,bar20=20,bar21=21,bar22=22,\
                 bar23=23,bar24=24,bar25=25,bar26=26,bar27=27,bar28=28,bar29=29,bar30=30,bar31=31,bar32=32",
        ),
        &[&[TEN[0], TEN[1], TEN[2], "bar31=31,bar32=32"]],
    ),
    (
        "tracestate_member_count_limit",
        PassesNone,
        &[&[TEN[0], TEN[1], TEN[2], "bar31=31,bar32=32,bar33=33"]],
    ),
    ("tracestate_all_allowed_characters", Passes(ALL_ALLOWED), &[&[ALL_ALLOWED]]),
    ("tracestate_all_allowed_characters", Passes(ALL_WITH_VENDOR), &[&[ALL_WITH_VENDOR]]),
    (
        "a space at the end of a value, which no case of the suite has",
        Passes("foo=1"),
        &[&["foo=1  "]],
    ),
    (
        "a comma too many, which no case of the suite has",
        Passes("foo=1,bar=2"),
        &[&["foo=1,,,bar=2,"]],
    ),
];

#[test]
fn a_tracestate() {
    let meter = Meter::builder().build().unwrap();
    for (name, expect, cases) in &STATES {
        for values in *cases {
            let values = values.iter().map(|value| ("tracestate", *value));
            let headers: Vec<_> = [NOT_SAMPLED].into_iter().chain(values).collect();
            check(&meter, name, &headers, expect);
        }
    }
    for (name, is_read) in [
        ("trace-state", false),
        ("trace.state", false),
        ("TraceState", true),
        ("TrAcEsTaTe", true),
        ("TRACESTATE", true),
    ] {
        let expect = if is_read { Passes("foo=1") } else { PassesNone };
        check(&meter, "tracestate_header_name", &[NOT_SAMPLED, (name, "foo=1")], &expect);
    }
    for state in ["foo=1", "foo=1,bar=2"] {
        check(&meter, "tracestate_included_traceparent_missing", &[("tracestate", state)], &Anew);
    }
    for (key, is_passed) in [
        ("z".repeat(256), true),
        ("z".repeat(257), false),
        (format!("{}@{}", "t".repeat(241), "v".repeat(14)), true),
        (format!("{}@v", "t".repeat(242)), true),
        (format!("t@{}", "v".repeat(15)), true),
    ] {
        let second = format!("{key}=1");
        let headers = [NOT_SAMPLED, ("tracestate", "foo=1"), ("tracestate", &second)];
        let passed = if is_passed { format!("foo=1,{second}") } else { String::new() };
        let ([trace, ..], state) = serve(&meter, &headers);
        assert_eq!((&*trace, state), (TRACE, passed), "tracestate_key_length_limit");
    }
}

const TEN: [&str; 3] = [
    "bar01=01,bar02=02,bar03=03,bar04=04,bar05=05,bar06=06,bar07=07,bar08=08,bar09=09,bar10=10",
    "bar11=11,bar12=12,bar13=13,bar14=14,bar15=15,bar16=16,bar17=17,bar18=18,bar19=19,bar20=20",
    "bar21=21,bar22=22,bar23=23,bar24=24,bar25=25,bar26=26,bar27=27,bar28=28,bar29=29,bar30=30",
];
const ALL_ALLOWED: &str = "abcdefghijklmnopqrstuvwxyz0123456789_-*/= !\"#$%&'()*+-./0123456789:;<>?@\
    ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~";
const ALL_WITH_VENDOR: &str = "abcdefghijklmnopqrstuvwxyz0123456789_-*/@a-z0-9_-*/= !\"#$%&'()*+-./0123456789:;<>?@\
    ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~";

/// `multiple_requests_with_valid_traceparent`, `…_without_traceparent`, `…_with_illegal_traceparent`.
#[test]
fn several_requests_of_one_trace() {
    let meter = Meter::builder().build().unwrap();
    let zeros = [("traceparent", "00-00000000000000000000000000000000-1234567890123456-01")];
    for (headers, traces) in [(&[SAMPLED][..], Some(1)), (&[], None), (&zeros, None)] {
        let sent: Vec<_> = (0..3).map(|_| serve(&meter, headers).0).collect();
        let different = |at: usize| sent.iter().map(|ids| &ids[at]).collect::<BTreeSet<_>>().len();
        assert_eq!(different(1), 3, "{headers:?}");
        assert!(sent.iter().all(|[trace, ..]| trace.bytes().any(|byte| byte != b'0')));
        assert!(traces.is_none_or(|traces| different(0) == traces && sent[0][0] == TRACE));
    }
}

/// `propagates_random_flag`, of level 2.
#[test]
fn the_flag_of_random_ids_is_passed_on() {
    let meter = Meter::builder().build().unwrap();
    let random = format!("00-{TRACE}-{PARENT}-02");
    let ([trace, _, flags], _) = serve(&meter, &[("traceparent", &random)]);
    let flags = u8::from_str_radix(&flags, 16).unwrap();
    assert_eq!((&*trace, flags & 2), (TRACE, 2));
}
