//! Which spans become one operation, and how much is held for it.

use std::thread;

use taximeter_models::{OperationRecord, TokenUsage};
use tracing::field::Empty;
use tracing::{Span, dispatcher, info_span, trace_span};
use tracing_subscriber::prelude::*;

use crate::support::{DAY, Memory, counts, metered, metered_without_ambient, tokens};

fn call(tokens: u64) -> Span {
    info_span!(
        "chat",
        gen_ai.operation.name = "chat",
        gen_ai.request.model = "gpt-4o",
        gen_ai.usage.input_tokens = tokens,
        gen_ai.usage.output_tokens = 1_u64
    )
}

fn agent(tokens: u64) -> Span {
    info_span!(
        "invoke_agent",
        gen_ai.operation.name = "invoke_agent",
        gen_ai.usage.input_tokens = tokens,
        gen_ai.usage.output_tokens = Empty
    )
}

#[test]
fn a_request_around_calls_is_the_operation() {
    let records = metered(|clock| {
        clock.pass(5);
        let request = info_span!("POST /answer");
        request.in_scope(|| {
            clock.pass(10);
            info_span!("retrieve").in_scope(|| drop(call(1)));
            clock.pass(10);
            drop(call(2));
        });
        drop(info_span!("GET /health"));
    });
    let [request] = records.as_slice() else { panic!("{records:#?}") };
    assert_eq!((&*request.name, request.llm_calls.len()), ("POST /answer", 2));
    assert_eq!(request.duration.as_millis(), 20);
    let started = u64::try_from(request.started_at.timestamp_nanos_opt().unwrap()).unwrap();
    assert_eq!(started, DAY + 5_000_000);
    assert_eq!(tokens(&records), (3, 2));
}

#[test]
fn without_ambient_spans_each_call_is_an_operation() {
    let records = metered_without_ambient(|| {
        info_span!("POST /answer").in_scope(|| {
            drop(call(1));
            drop(call(2));
        });
    });
    let names: Vec<_> = records.iter().map(|record| &*record.name).collect();
    assert_eq!(names, ["chat gpt-4o", "chat gpt-4o"]);
}

#[test]
fn spans_below_their_level_are_no_operations() {
    let records = metered(|_| {
        trace_span!("loop").in_scope(|| drop(call(1)));
    });
    assert_eq!(&*records[0].name, "chat gpt-4o");
}

#[test]
fn an_agent_tells_its_usage_only_where_nobody_within_does() {
    assert_eq!(tokens(&metered(|_| drop(agent(9)))), (9, 0));
    let within = metered(|_| agent(9).in_scope(|| drop(call(9))));
    assert_eq!(tokens(&within), (9, 1));
    let nested = metered(|_| agent(9).in_scope(|| agent(9).in_scope(|| drop(call(9)))));
    assert_eq!((tokens(&nested), nested.len()), ((9, 1), 2));
    assert_eq!(nested[1].parent, Some(nested[0].id));
    assert_eq!(nested[1].trace_id, nested[0].trace_id);
}

#[test]
fn a_call_within_a_call_is_one() {
    let memory = Memory::default();
    let layer = taximeter_telemetry::layer::layer(memory.clone());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        call(9).in_scope(|| drop(call(9)));
        assert_eq!(counts().nested_calls, 1);
    });
    assert_eq!(tokens(&memory.records()), (9, 1));
}

#[test]
fn spans_of_many_threads_meet_in_their_operation() {
    let records = metered(|_| {
        let parent = agent(0);
        let dispatch = dispatcher::get_default(dispatcher::Dispatch::clone);
        thread::scope(|scope| {
            for _ in 0..4 {
                let (parent, dispatch) = (parent.clone(), dispatch.clone());
                scope.spawn(move || {
                    dispatcher::with_default(&dispatch, || {
                        (0..100).for_each(|_| parent.in_scope(|| drop(call(1))));
                    });
                });
            }
        });
    });
    assert_eq!((records.len(), tokens(&records)), (1, (400, 400)));
}

/// More of them than the table has places side by side.
#[test]
fn many_spans_are_open_at_a_time() {
    let records = metered(|_| {
        let open: Vec<_> = (0..2_000).map(|at| (at, agent(0), call(at))).collect();
        for (at, _, call) in open.iter().rev() {
            call.record("gen_ai.usage.output_tokens", 2 * at);
        }
    });
    let mut seen: Vec<_> = records.iter().map(OperationRecord::usage).collect();
    seen.retain(|usage| usage.output_tokens() > 0);
    seen.sort_by_key(TokenUsage::output_tokens);
    let told: Vec<_> =
        seen.iter().map(|usage| (usage.input_tokens(), usage.output_tokens())).collect();
    assert_eq!(told, (1..2_000).map(|at| (at, 2 * at)).collect::<Vec<_>>());
}

/// A span around all that a process does would hold everything until its end.
#[test]
fn an_outermost_span_that_does_not_end_holds_no_more_than_is_bounded() {
    let memory = Memory::default();
    let layer = taximeter_telemetry::layer::layer(memory.clone());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        let main = info_span!("main");
        let _main = main.enter();
        let open = agent(10_000);
        open.in_scope(|| (0..10).for_each(|_| drop(call(1))));
        (0..1_000).for_each(|_| drop(call(1)));
        assert!(memory.records().len() > 700, "{}", memory.records().len());
        assert_eq!(counts().closed_early, 4);
        memory.pass(120_000);
        drop(call(1));
        // The agent is open, and its calls wait for it.
        assert_eq!(tokens(&memory.records()).0, 1_001);
        drop(open);
    });
    let records = memory.records();
    assert_eq!(tokens(&records), (1_011, 1_011));
    let agents: Vec<_> = records.iter().filter(|record| record.name == "invoke_agent").collect();
    assert_eq!(agents.iter().map(|agent| agent.llm_calls.len()).collect::<Vec<_>>(), [10]);
}

#[test]
fn an_agent_beyond_the_bound_counts_each_call_once() {
    let memory = Memory::default();
    let layer = taximeter_telemetry::layer::layer(memory.clone());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        agent(10_000).in_scope(|| {
            (0..10_000).for_each(|_| drop(call(1)));
            assert_eq!(memory.records().len(), 8_192);
        });
        assert_eq!((counts().closed_early, counts().forgotten_spans), (2, 0));
    });
    assert_eq!(tokens(&memory.records()), (10_000, 10_000));
}
