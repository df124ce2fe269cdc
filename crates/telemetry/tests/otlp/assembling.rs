//! Spans in any order, late ones, duplicates, two traces of one call, bounds.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use serde_json::{Value, json};
use taximeter_models::{OperationRecord, Outcome, Totals};
use taximeter_telemetry::otlp::{Address, Receiver, Settings, Signal};

use super::support::{
    Capture, TRACE, before, chat, json_request, post, records_of, request_of, send, span_json,
    sums, with_trace,
};

const A: &str = "000000000000000a";
const B: &str = "000000000000000b";
const C: &str = "000000000000000c";
const D: &str = "000000000000000d";

fn agent(id: &str, parent: Option<&str>, tokens: Option<u64>) -> Value {
    let mut attributes = vec![("gen_ai.operation.name", json!("invoke_agent"))];
    attributes.extend(tokens.map(|tokens| ("gen_ai.usage.input_tokens", json!(tokens))));
    span_json(TRACE, id, parent, &attributes)
}

fn tool(id: &str, parent: Option<&str>, name: &str) -> Value {
    let attributes =
        [("gen_ai.operation.name", json!("execute_tool")), ("gen_ai.tool.name", json!(name))];
    span_json(TRACE, id, parent, &attributes)
}

fn silent(id: &str, parent: Option<&str>) -> Value {
    span_json(TRACE, id, parent, &[("gen_ai.operation.name", json!("chat"))])
}

fn plain(id: &str, parent: Option<&str>) -> Value {
    span_json(TRACE, id, parent, &[])
}

fn at(seconds: i64) -> DateTime<Utc> {
    before() + TimeDelta::seconds(seconds)
}

fn tokens(spans: &[Value]) -> (u64, usize) {
    let sums = sums(&records_of(spans));
    (sums.input, sums.calls)
}

#[test]
fn the_usage_of_an_agent_counts_where_no_call_tells_its_own() {
    assert_eq!(tokens(&[agent(A, None, Some(300)), chat(B, Some(A)), chat(C, Some(A))]), (200, 2));
    assert_eq!(tokens(&[agent(A, None, Some(300)), silent(B, Some(A))]), (300, 2));
    assert_eq!(tokens(&[agent(A, None, Some(300)), agent(B, Some(A), Some(300))]), (300, 1));
    // What one agent tells is not lost because another one has calls.
    let two = [
        agent(A, None, Some(400)),
        agent(B, Some(A), Some(300)),
        agent(C, Some(A), None),
        chat(D, Some(C)),
    ];
    assert_eq!(tokens(&two), (400, 2));
}

#[test]
fn calls_within_a_call_are_one() {
    assert_eq!(tokens(&[chat(A, None), chat(B, Some(A))]), (100, 1));
    assert_eq!(tokens(&[chat(A, None), plain(B, Some(A)), chat(C, Some(B))]), (100, 1));
    assert_eq!(tokens(&[silent(A, None), chat(B, Some(A))]), (100, 1));
    assert_eq!(tokens(&[silent(A, None), silent(B, Some(A))]), (0, 1));
    assert_eq!(tokens(&[silent(A, None), chat(B, Some(A)), chat(C, Some(A))]), (200, 2));
    // A tool between them makes a call of its own.
    assert_eq!(tokens(&[chat(A, None), tool(B, Some(A), "t"), chat(C, Some(B))]), (200, 2));
}

#[test]
fn a_tool_within_a_tool_of_its_name_or_protocol_is_one() {
    let mcp = span_json(
        TRACE,
        C,
        Some(B),
        &[("mcp.method.name", json!("tools/call")), ("gen_ai.tool.name", json!("t"))],
    );
    assert_eq!(sums(&records_of(&[agent(A, None, None), tool(B, Some(A), "t"), mcp])).tools, ["t"]);
    let other = tool(C, Some(B), "u");
    let tools = sums(&records_of(&[agent(A, None, None), tool(B, Some(A), "t"), other])).tools;
    assert_eq!(tools.len(), 2);
}

#[test]
fn a_trace_without_anything_of_llms_makes_no_record() {
    assert!(records_of(&[plain(A, None), plain(B, Some(A))]).is_empty());
    let records =
        records_of(&[plain(A, None), plain(B, Some(A)), chat(C, Some(A)), plain(D, Some(C))]);
    assert_eq!(records.len(), 1);
    // What lies within the operation alone is its component; what lies within its call is not.
    let components: Vec<_> =
        records[0].components.iter().map(|timing| timing.name.as_str()).collect();
    assert_eq!((records[0].name.as_str(), components), (A, vec![B]));
}

#[test]
fn a_trace_is_closed_when_its_root_has_settled_or_never_came() {
    let receiver = Receiver::new(Settings::default(), at(0));
    send(&receiver, "/v1/traces", &json_request(&[chat(B, Some(A))]), at(0));
    assert!(receiver.take(at(11)).is_empty());
    send(&receiver, "/v1/traces", &json_request(&[agent(A, None, None)]), at(12));
    assert!(receiver.take(at(21)).is_empty());
    let records = receiver.take(at(22));
    assert_eq!((records.len(), records[0].llm_calls.len()), (1, 1));

    send(
        &receiver,
        "/v1/traces",
        &request_of("x", "x", &[with_trace(chat(C, Some(D)), 7)]),
        at(30),
    );
    assert!(receiver.take(at(89)).is_empty());
    let records = receiver.take(at(90));
    assert_eq!(records[0].remote_parent.map(|span| span.to_string()).as_deref(), Some(D));
    assert!(receiver.take(at(10_000)).is_empty());
}

#[test]
fn a_clock_that_goes_back_closes_nothing_twice() {
    let receiver = Receiver::new(Settings::default(), at(0));
    send(&receiver, "/v1/traces", &json_request(&[chat(A, None)]), at(100));
    assert!(receiver.take(at(50)).is_empty());
    assert_eq!(receiver.take(at(110)).len(), 1);
    assert!(receiver.take(at(20)).is_empty() && receiver.finish().is_empty());
}

/// Sends some spans, closes their trace, sends others, and gives all records.
fn late(first: &[Value], second: &[Value]) -> Vec<OperationRecord> {
    let receiver = Receiver::new(Settings::default(), at(0));
    send(&receiver, "/v1/traces", &json_request(first), at(0));
    let mut records = receiver.take(at(100));
    assert!(!records.is_empty());
    send(&receiver, "/v1/traces", &json_request(second), at(200));
    records.extend(receiver.finish());
    records
}

#[test]
fn what_comes_late_is_an_operation_of_its_own_and_counts_once() {
    let records = late(&[agent(A, None, None), chat(B, Some(A))], &[chat(C, Some(A))]);
    assert_eq!((records.len(), sums(&records).input), (2, 200));
    assert_eq!(
        (records[1].parent, records[1].trace_id),
        (Some(records[0].id), records[0].trace_id)
    );
    assert_eq!(records[1].metadata["otlp.late"], true);
    // The same again, late or not, is nothing.
    assert_eq!(
        late(&[agent(A, None, None), chat(B, Some(A))], &[agent(A, None, None), chat(B, Some(A))])
            .len(),
        1
    );
    // The inside of a call that was counted, and the outside of one.
    assert_eq!(sums(&late(&[chat(A, None)], &[chat(B, Some(A))])).input, 100);
    assert_eq!(late(&[chat(A, None)], &[chat(B, Some(A))]).len(), 1);
    assert_eq!(sums(&late(&[chat(B, Some(A))], &[chat(A, None)])).input, 100);
    // The sum of an agent whose calls were counted, and one whose calls told nothing.
    assert_eq!(sums(&late(&[chat(B, Some(A))], &[agent(A, None, Some(100))])).input, 100);
    assert_eq!(sums(&late(&[silent(B, Some(A))], &[agent(A, None, Some(100))])).input, 100);
    // The usage of a call that was given away without one.
    assert_eq!(sums(&late(&[silent(A, None)], &[chat(B, Some(A))])).input, 100);
}

#[test]
fn one_call_in_two_traces_counts_once() {
    let with_reply = |mut span: Value, trace: u64, (start, end): (u64, u64)| {
        span = with_trace(span, trace);
        let reply = json!({"key": "gen_ai.response.id", "value": {"stringValue": "msg_1"}});
        span["attributes"].as_array_mut().unwrap().push(reply);
        span["startTimeUnixNano"] = json!(start.to_string());
        span["endTimeUnixNano"] = json!(end.to_string());
        span
    };
    let sdk =
        || request_of("x", "com.anthropic.sdk.python", &[with_reply(chat(A, None), 1, (11, 19))]);
    let instrumentation = || request_of("x", "other", &[with_reply(chat(B, None), 2, (10, 20))]);
    for requests in [[sdk(), instrumentation()], [instrumentation(), sdk()]] {
        let receiver = Receiver::new(Settings::default(), at(0));
        for request in &requests {
            send(&receiver, "/v1/traces", request, at(0));
        }
        let records = receiver.finish();
        assert_eq!((records.len(), sums(&records).input), (1, 100));
        assert_eq!(records[0].metadata["otlp.scope"], "other");
        assert_eq!(receiver.counts().calls_elsewhere, 1);
    }
    // Whichever came first counts, once it was given away.
    let receiver = Receiver::new(Settings::default(), at(0));
    send(&receiver, "/v1/traces", &sdk(), at(0));
    assert_eq!(receiver.take(at(50)).len(), 1);
    send(&receiver, "/v1/traces", &instrumentation(), at(51));
    assert!(receiver.finish().is_empty());
    // A reply that a cache gives again later is another call.
    let receiver = Receiver::new(Settings::default(), at(0));
    send(&receiver, "/v1/traces", &instrumentation(), at(0));
    let again = request_of("x", "other", &[with_reply(chat(C, None), 3, (30, 40))]);
    send(&receiver, "/v1/traces", &again, at(0));
    assert_eq!(sums(&receiver.finish()).input, 200);
}

#[test]
fn ids_are_the_same_whenever_a_span_is_read() {
    let spans = [agent(A, None, None), chat(B, Some(A)), agent(C, Some(A), None)];
    let ids = |records: Vec<OperationRecord>| {
        let mut ids: Vec<_> = records.iter().map(|record| record.id).collect();
        ids.sort_unstable();
        ids
    };
    let backwards: Vec<_> = spans.iter().rev().cloned().collect();
    assert_eq!(ids(records_of(&spans)), ids(records_of(&backwards)));
}

#[test]
fn an_error_of_a_step_is_the_operations_and_an_error_of_the_root_its_failure() {
    let failed = |mut span: Value| {
        span["status"] = json!({"code": 2, "message": "HTTP status 429"});
        span
    };
    let records = records_of(&[agent(A, None, None), failed(plain(B, Some(A))), chat(C, Some(A))]);
    assert_eq!((records[0].outcome, records[0].error_count()), (Outcome::Success, 1));
    assert_eq!(records[0].errors[0].component.as_deref(), Some(B));
    let records = records_of(&[failed(agent(A, None, None))]);
    assert_eq!(
        (records[0].outcome, records[0].errors[0].category.as_str()),
        (Outcome::Failure, "rate_limit")
    );
}

#[test]
fn too_many_spans_close_the_oldest_traces_early() {
    let mut settings = Settings::default();
    settings.window.most_spans = 100;
    settings.most_ready = 900;
    let receiver = Receiver::new(settings, at(0));
    for trace in 1..=1_000 {
        assert!(receiver.has_room());
        send(&receiver, "/v1/traces", &json_request(&[with_trace(chat(A, None), trace)]), at(0));
    }
    // What is beyond the bounds waits as spans, and it may not be too much.
    assert!(!receiver.has_room());
    let further = Capture {
        path: "/v1/traces",
        content_type: "application/json",
        content_encoding: None,
        body: json_request(&[with_trace(chat(A, None), 1_001)]).into_bytes(),
    };
    assert_eq!((post(&receiver, &further, at(0)).status, receiver.held().spans), (503, 1_000));
    // Who reads its journal again is not refused: what it says was acknowledged.
    let address = Address::of_http(Signal::Traces, Some("application/json"), None).unwrap();
    assert!(receiver.decode(address, &further.body).is_ok());
    let records = receiver.take(at(0));
    assert_eq!((records.len(), receiver.has_room()), (900, true));
    assert_eq!((receiver.counts().spans, receiver.counts().closed_early), (1_000, 900));
    assert_eq!(Totals::of(&receiver.finish()).operations(), 100);
}

#[test]
fn records_are_given_a_few_at_a_time_and_each_once() {
    let mut settings = Settings::default();
    settings.window.most_spans = 500;
    let receiver = Receiver::new(settings, at(0));
    let address = Address::of_http(Signal::Traces, Some("application/json"), None).unwrap();
    for trace in 1..=1_000 {
        let body = json_request(&[with_trace(chat(A, None), trace)]);
        receiver.hold(receiver.decode(address, body.as_bytes()).unwrap(), trace, at(0));
    }
    let (mut ids, mut lots, mut now) = (HashSet::new(), 0, at(0));
    loop {
        let marked = receiver.take_marked(now, 64);
        assert!(marked.records.len() <= 64 && marked.closed.len() == marked.records.len());
        // What is held yet is still needed of the journal.
        let first = 1_000 - receiver.held().spans + 1;
        assert_eq!(marked.oldest, (first <= 1_000).then_some(first));
        let count = marked.records.len();
        assert_eq!(
            marked.records.into_iter().filter(|record| ids.insert(record.id)).count(),
            count
        );
        lots += 1;
        if !marked.more && receiver.held().spans == 0 {
            break;
        }
        // Half of them are beyond the bounds, and half are whole ten seconds later.
        if !marked.more {
            assert_eq!((ids.len(), receiver.held().spans), (500, 500));
            now = at(20);
        }
    }
    assert_eq!((ids.len(), lots), (1_000, 16));
}

#[test]
fn a_call_that_waits_takes_no_more_memory_than_it_says() {
    let receiver = Receiver::new(Settings::default(), at(0));
    for trace in 1..=1_000 {
        let mut span = with_trace(chat(A, None), trace);
        let reply = json!({"key": "gen_ai.response.id", "value": {"stringValue": format!("chatcmpl-{trace:029}")}});
        span["attributes"].as_array_mut().unwrap().push(reply);
        send(&receiver, "/v1/traces", &json_request(&[span]), at(0));
    }
    // A map of metadata alone would take as much again.
    let each = receiver.held().bytes / 1_000;
    assert!((800..1_500).contains(&each), "{each} bytes for each call that waits");
    let records = receiver.finish();
    assert_eq!(
        records[0].llm_calls[0].metadata["gen_ai.response.id"],
        format!("chatcmpl-{:029}", 1)
    );
}

#[test]
fn one_endless_trace_stays_within_its_bounds() {
    let mut settings = Settings::default();
    settings.window.most_bytes = 100_000;
    settings.window.remembered = 1_000;
    let receiver = Receiver::new(settings, at(0));
    let mut calls = 0;
    for batch in 0..50_u64 {
        let spans: Vec<_> = (0..100)
            .map(|at| chat(&format!("{:016x}", batch * 100 + at + 1), Some("ffffffffffffffff")))
            .collect();
        send(&receiver, "/v1/traces", &json_request(&spans), at(0));
        calls += sums(&receiver.take(at(0))).calls;
    }
    assert_eq!(calls + sums(&receiver.finish()).calls, 5_000);
}

/// A span of a random tree: its parent is an earlier one, none, one that never comes, or by mistake a later one.
fn span(at: usize, parent: usize, kind: u8) -> Value {
    let id = format!("{:016x}", at + 1);
    let parent = (parent > 0).then(|| format!("{parent:016x}"));
    let parent = parent.as_deref();
    match kind % 5 {
        0 => chat(&id, parent),
        1 => silent(&id, parent),
        2 => agent(&id, parent, (kind > 100).then_some(1_000)),
        3 => tool(&id, parent, "t"),
        _ => plain(&id, parent),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_tree_counts_a_token_twice_in_whatever_order_it_comes(
        shape in prop::collection::vec((0..40_usize, any::<u8>()), 1..40),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        order in any::<u64>(),
    ) {
        let spans: Vec<_> = shape.iter().enumerate().map(|(at, (parent, kind))| span(at, *parent, *kind)).collect();
        let whole = sums(&records_of(&spans));
        // No call tells more than 100 tokens, no agent more than 1,000, and each is there once.
        let told: u64 = shape.iter().map(|(_, kind)| match kind % 5 {
            0 => 100,
            2 if *kind > 100 => 1_000,
            _ => 0,
        }).sum();
        prop_assert!(whole.input <= told);
        let mut shuffled = spans.clone();
        shuffled.sort_by_key(|span| {
            let id = u64::from_str_radix(span["spanId"].as_str().unwrap(), 16).unwrap();
            id.wrapping_mul(order | 1).rotate_left(17)
        });
        prop_assert_eq!(&sums(&records_of(&shuffled)), &whole);
        // In pieces, with the trace closed between them, and every piece twice.
        let receiver = Receiver::new(Settings::default(), at(0));
        let mut bounds: Vec<_> = cuts.iter().map(|cut| cut.index(shuffled.len())).chain([0, shuffled.len()]).collect();
        bounds.sort_unstable();
        let mut records = Vec::new();
        for piece in bounds.windows(2) {
            let request = json_request(&shuffled[piece[0]..piece[1]]);
            send(&receiver, "/v1/traces", &request, at(0));
            send(&receiver, "/v1/traces", &request, at(0));
            records.extend(receiver.finish());
            send(&receiver, "/v1/traces", &request, at(0));
        }
        records.extend(receiver.finish());
        prop_assert!(sums(&records).input <= told);
        let mut ids: Vec<_> = records.iter().map(|record| record.id).collect();
        ids.sort_unstable();
        ids.dedup();
        prop_assert_eq!(ids.len(), records.len());
    }
}
