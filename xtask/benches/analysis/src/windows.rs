//! What one more record costs a live window: groups by each dimension, which see a record as it comes.

use std::time::{Duration, Instant};

use taximeter_analysis::Groups;
use taximeter_models::{
    CostOutcome, Currency, LlmCall, Money, OperationRecord, ReportedCost, TokenUsage, ToolCall,
    ToolStatus,
};

/// The standard operation: three components, two tool calls, an LLM call with usage and cost, in one of a few names.
pub(crate) fn record(at: u64) -> OperationRecord {
    let mut record = OperationRecord::new(["answer", "index", "chat", "agent"][at as usize % 4]);
    record.duration = Duration::from_nanos(1_000_000_000 + at * 7_919 % 900_000_000);
    record.user = Some(format!("user-{}", at % 50).into());
    record.tags.insert("version".into(), format!("{}", at % 3));
    for component in ["retrieval", "inference", "citations"] {
        record.add_component(component, record.duration / 4);
    }
    for tool in ["search", "lookup"] {
        let call = ToolCall::new(tool, ToolStatus::Success);
        record.tool_calls.push(call.lasting(Duration::from_millis(20 + at % 9)));
    }
    let mut call =
        LlmCall::new("openai", "gpt-4o-mini").using(TokenUsage::new(1_000 + at % 99, 200));
    call.duration = Some(record.duration / 2);
    let total = Money::from_ticks(Money::TICKS_PER_UNIT / 10_000);
    let currency = Currency::USD;
    call.cost =
        CostOutcome::ProviderReported(ReportedCost { total, input: None, output: None, currency });
    record.llm_calls.push(call);
    record
}

/// What one more record may cost a window at most.
const BOUND_NANOS: f64 = 100.0;
const ROUNDS: usize = 11;

/// Prints what one more record costs the window of each dimension.
pub(crate) fn measure(quick: bool, json: bool) {
    if !json {
        println!(
            "\nOne more record in a live window of groups, one thread, median of {ROUNDS} rounds\n"
        );
    }
    for (dimension, nanos) in costs(quick) {
        let met = nanos <= BOUND_NANOS;
        if json {
            let line = serde_json::json!({
                "what": "one more record", "by": dimension, "nanoseconds": nanos, "at_most": BOUND_NANOS, "met": met,
            });
            println!("{line}");
        } else {
            let met = if met { "met" } else { "NOT met" };
            println!("by {dimension:<14} {nanos:6.1} ns (at most {BOUND_NANOS:.0}: {met})");
        }
    }
}

/// Nanoseconds for one more record, by dimension. The rounds of all dimensions take turns, so that none has the moments
/// alone in which the machine is slow.
fn costs(quick: bool) -> Vec<(&'static str, f64)> {
    // A live window sees a record that was made just before, so these stay in the cache of the core.
    let records: Vec<_> = (0..200).map(record).collect();
    let passes = if quick { 200 } else { 1_000 };
    let written = ["operation", "user", "tag:version", "component", "tool", "provider", "llm"];
    let mut rounds = written.map(|_| Vec::new());
    for _ in 0..ROUNDS {
        for (written, rounds) in written.iter().zip(&mut rounds) {
            let mut groups = Groups::by(written.parse().expect("a dimension"));
            let started = Instant::now();
            for _ in 0..passes {
                records.iter().for_each(|record| groups.add(record));
            }
            let nanos = started.elapsed().as_secs_f64() * 1e9;
            assert!(!groups.finish().is_empty());
            rounds.push(nanos / (records.len() * passes) as f64);
        }
    }
    let median = |mut rounds: Vec<f64>| {
        rounds.sort_by(f64::total_cmp);
        rounds[ROUNDS / 2]
    };
    written.into_iter().zip(rounds.map(median)).collect()
}
