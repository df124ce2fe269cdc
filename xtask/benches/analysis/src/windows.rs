//! What one more record costs a live window: groups by each dimension, which see a record as it comes.

use std::time::{Duration, Instant};

use taximeter_analysis::{Dimension, Groups};
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

/// Prints what one more record costs the window of each dimension.
pub(crate) fn measure(quick: bool, json: bool) {
    if !json {
        println!("\nOne more record in a live window of groups, one thread\n");
    }
    for (dimension, nanos) in costs(quick) {
        if json {
            println!(
                "{}",
                serde_json::json!({"what": "one more record", "by": dimension, "nanoseconds": nanos})
            );
        } else {
            println!("by {dimension:<14} {nanos:6.1} ns");
        }
    }
}

/// Nanoseconds for one more record, by dimension, in the median of the rounds.
fn costs(quick: bool) -> Vec<(String, f64)> {
    // A live window sees a record that was made just before, so these stay in the cache of the core.
    let records: Vec<_> = (0..200).map(record).collect();
    let passes = if quick { 200 } else { 1_000 };
    ["operation", "user", "tag:version", "component", "tool", "provider", "llm"]
        .map(|written| {
            let dimension: Dimension = written.parse().expect("a dimension");
            let mut rounds: Vec<f64> = (0..5)
                .map(|_| {
                    let mut groups = Groups::by(dimension.clone());
                    let started = Instant::now();
                    for _ in 0..passes {
                        for record in &records {
                            groups.add(record);
                        }
                    }
                    let nanos = started.elapsed().as_secs_f64() * 1e9;
                    assert!(!groups.finish().is_empty());
                    nanos / (records.len() * passes) as f64
                })
                .collect();
            rounds.sort_by(f64::total_cmp);
            (written.to_owned(), rounds[2])
        })
        .into()
}
