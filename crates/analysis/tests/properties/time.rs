//! Where the time goes: every nanosecond has one place, and what is run again at its own speed takes as long as before.

use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use proptest::prelude::*;
use taximeter_analysis::{Part, TimeSpent, time_spent, what_if};
use taximeter_models::{
    ComponentTiming, LlmCall, OperationId, OperationRecord, ToolCall, ToolStatus,
};

use crate::assert_finite;
use crate::drawn::operations;

const MILLI: u64 = 1_000_000;

/// Components, tools, LLM calls and operations within, each with its beginning and its length in milliseconds.
#[derive(Debug, Clone)]
struct Placed(u8, u8, u64, u64);

fn placed() -> impl Strategy<Value = Placed> {
    (0..4_u8, 0..3_u8, 0..900_u64, 0..900_u64)
        .prop_map(|(kind, name, from, long)| Placed(kind, name, from, long))
}

fn agent(parts: &[Placed], scale: u64) -> Vec<OperationRecord> {
    let mut agent = OperationRecord::new("agent");
    agent.id = OperationId::from_bits(1);
    agent.duration = Duration::from_millis(1_000 * scale);
    let mut all = Vec::new();
    for (number, Placed(kind, name, from, long)) in (2..).zip(parts) {
        let name = ["a", "b", "c"][usize::from(*name)];
        let offset = Duration::from_millis(from * scale);
        let duration = Duration::from_millis(long * scale);
        let started_at =
            DateTime::UNIX_EPOCH + TimeDelta::milliseconds((from * scale).cast_signed());
        match kind {
            0 => agent.components.push(ComponentTiming {
                name: name.into(),
                offset: Some(offset),
                duration,
                count: 1,
            }),
            1 => {
                let mut call = ToolCall::new(name, ToolStatus::Success).lasting(duration);
                call.started_at = Some(started_at);
                agent.tool_calls.push(call);
            }
            2 => {
                let mut call = LlmCall::new("openai", name).lasting(duration);
                call.started_at = Some(started_at);
                agent.llm_calls.push(call);
            }
            _ => {
                let mut inner = OperationRecord::new(name);
                inner.id = OperationId::from_bits(number);
                inner.parent = Some(agent.id);
                inner.started_at = started_at;
                inner.duration = duration;
                inner.add_component("unplaced", duration / 2);
                all.push(inner);
            }
        }
    }
    all.push(agent);
    all
}

fn critical(spent: &TimeSpent, part: &Part) -> f64 {
    let own = spent.all.parts.iter().find(|time| time.part == *part);
    own.map_or(0.0, |time| time.critical_seconds)
}

fn sums_to_the_whole(spent: &TimeSpent) {
    for split in [&spent.all, &spent.slow] {
        let sum: f64 = split.parts.iter().map(|part| part.critical_seconds).sum();
        assert!((sum - split.mean_seconds).abs() <= 1e-9 * split.mean_seconds, "{split:?}");
        for part in &split.parts {
            assert!(part.critical_seconds <= part.self_seconds + 1e-9, "{part:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn every_nanosecond_has_one_place(parts in prop::collection::vec(placed(), 0..12)) {
        let operations = agent(&parts, 1);
        let spent = time_spent(&operations, "agent").unwrap();
        sums_to_the_whole(&spent);
        let part = Part::Component("a".into());
        let same = what_if(&operations, "agent", &part, 1.0).unwrap();
        prop_assert!((same.then_mean_seconds - 1.0).abs() < 1e-9, "{:?}", same);
        let faster = what_if(&operations, "agent", &part, 2.0).unwrap();
        prop_assert!(faster.then_mean_seconds <= 1.0 + 1e-9, "{:?}", faster);
        // Amdahl's bound: no more than all of it can be saved, wherever it runs.
        let components = operations.iter().flat_map(|operation| &operation.components);
        let all: f64 =
            components.filter(|timing| timing.name == *"a").map(|timing| timing.duration.as_secs_f64()).sum();
        prop_assert!(faster.then_mean_seconds >= 1.0 - all / 2.0 - 1e-9, "{faster:?} {all}");
    }

    #[test]
    fn scaling_the_time_scales_the_answers(parts in prop::collection::vec(placed(), 0..8)) {
        let (one, ten) = (agent(&parts, 1), agent(&parts, 10));
        let spent = |operations| time_spent(operations, "agent").unwrap();
        let (one, ten) = (spent(&one), spent(&ten));
        for part in &one.all.parts {
            // The slack of two clocks stays what it is, and can count once for each part.
            let slack = 1e-4 * (0..=parts.len()).map(|_| 1.0).sum::<f64>();
            prop_assert!((critical(&ten, &part.part) - 10.0 * part.critical_seconds).abs() <= 10.0 * slack);
        }
    }

    #[test]
    fn whatever_came_the_parts_sum_to_the_whole(operations in operations(12)) {
        for name in ["qa_response", "a"] {
            let Some(spent) = time_spent(&operations, name) else { continue };
            assert_finite(&spent);
            sums_to_the_whole(&spent);
            let then = what_if(&operations, name, &Part::Component("b".into()), 3.0).unwrap();
            assert_finite(&then);
            prop_assert!((0.0..=1.0).contains(&then.saved_share()));
        }
    }
}

fn at(name: &str, from: u64, long: u64) -> ToolCall {
    let mut call =
        ToolCall::new(name, ToolStatus::Success).lasting(Duration::from_nanos(long * MILLI));
    call.started_at = Some(DateTime::UNIX_EPOCH + TimeDelta::milliseconds(from.cast_signed()));
    call
}

#[test]
fn a_fan_out_waits_for_its_slowest() {
    let mut agent = OperationRecord::new("agent");
    agent.duration = Duration::from_secs(1);
    agent.tool_calls = vec![at("web", 100, 600), at("web", 100, 300), at("files", 100, 500)];
    agent.tool_calls.push(at("write", 700, 200));
    let spent = time_spent([&agent], "agent").unwrap();
    let tool = |name: &str| Part::Tool(name.into());
    let close = |left: f64, right: f64| assert!((left - right).abs() < 1e-9, "{left} {right}");
    close(critical(&spent, &tool("web")), 0.6);
    close(critical(&spent, &tool("files")), 0.0);
    close(critical(&spent, &tool("write")), 0.2);
    close(critical(&spent, &Part::Own), 0.2);
    let web = spent.all.parts.iter().find(|part| part.part == tool("web")).unwrap();
    assert_eq!((web.runs, web.most_parallel), (2, 2));
    close(web.self_seconds, 0.9);
    // Twice as fast, the search of the files is what is waited for: a tenth of a second is saved and no more.
    let then = what_if([&agent], "agent", &tool("web"), 2.0).unwrap();
    close(then.then_mean_seconds, 0.9);
    close(what_if([&agent], "agent", &tool("files"), 2.0).unwrap().saved_share(), 0.0);
    close(what_if([&agent], "agent", &tool("write"), 2.0).unwrap().saved_share(), 0.1);
}

#[test]
fn what_makes_the_slow_slow_can_be_another_part() {
    let operations: Vec<_> = (0..100)
        .map(|number| {
            let mut operation = OperationRecord::new("answer");
            operation.id = OperationId::from_bits(number);
            let wait = if number < 95 { 100 } else { 4_000 };
            operation.duration = Duration::from_millis(1_000 + wait);
            operation.add_component("llm", Duration::from_secs(1));
            operation.add_component("lock", Duration::from_millis(wait));
            operation
        })
        .collect();
    let spent = time_spent(&operations, "answer").unwrap();
    assert_eq!(spent.all.parts[0].part, Part::Component("llm".into()));
    assert_eq!(spent.slow.parts[0].part, Part::Component("lock".into()));
    assert!(spent.slow.operations <= 6 && spent.slow.parts[0].share > 0.7, "{spent:?}");
}

#[test]
fn operations_that_are_within_one_another_in_a_ring_end() {
    let ring = |id: u128, parent: u128| {
        let mut operation = OperationRecord::new("agent");
        operation.id = OperationId::from_bits(id);
        operation.parent = Some(OperationId::from_bits(parent));
        operation.duration = Duration::from_secs(1);
        operation
    };
    let spent = time_spent([&ring(1, 2), &ring(2, 1), &ring(3, 3)], "agent").unwrap();
    sums_to_the_whole(&spent);
}
