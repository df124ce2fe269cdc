//! Records the standard operation of the bench in one of its forms, so many times and nothing else: for a profiler that
//! counts instructions, and without the peers, whose building takes longer than the look.
//!
//! `cargo run --release -p taximeter-collector --example standard -- run-time 10000`

use std::hint::black_box;
use std::time::Duration;

use taximeter_collector::{Collector, Operation};
use taximeter_models::{TokenUsage, ToolStatus};

const TOOK: Duration = Duration::from_millis(3);

fn main() {
    let mut arguments = std::env::args().skip(1);
    let form = arguments.next().unwrap_or_else(|| "run-time".into());
    let times: usize = arguments.next().map_or(10_000, |times| times.parse().expect("a number"));
    let record: fn(&Collector) = match form.as_str() {
        "run-time" => |collector| run_time(begin(collector)),
        "literals" => literals,
        "guards" => |collector| guards(begin(collector)),
        "by-id" => by_id,
        "nothing" => |collector| begin(collector).succeed(),
        _ => panic!("run-time, literals, guards, by-id or nothing"),
    };
    let collector = Collector::builder().build().expect("a thread");
    (0..times).for_each(|_| record(&collector));
    collector.flush(Duration::from_secs(60)).expect("the worker is not behind");
    assert_eq!(collector.counts().stored + collector.counts().dropped_total(), times as u64);
}

/// A text that only the run knows.
fn text(text: &'static str) -> &'static str {
    black_box(text)
}

fn begin(collector: &Collector) -> Operation {
    let operation = collector.operation(text("qa_response"));
    operation.with(text("user_id"), text("user-0000001")).with(text("number"), 1_001_u64).start()
}

fn run_time(op: Operation) {
    op.add_component(text("retrieval"), TOOK);
    op.add_component(text("prompt_build"), TOOK);
    op.add_component(text("llm_inference"), TOOK);
    for tool in ["web_search", "vector_db"].map(text) {
        let call = op.tool(tool).with(text("url"), text("https://api.example.com/v1/q/3"));
        call.with(text("hits"), 1_001_u64).took(TOOK, ToolStatus::Success);
    }
    op.record_usage(text("openai"), text("gpt-4"), TokenUsage::new(1_200, 350));
    op.succeed();
}

fn literals(collector: &Collector) {
    let operation = collector.operation("qa_response");
    let op = operation.with("user_id", text("user-0000001")).with("number", 1_001_u64).start();
    op.add_component("retrieval", TOOK);
    op.add_component("prompt_build", TOOK);
    op.add_component("llm_inference", TOOK);
    let web = op.tool("web_search").with("url", text("https://api.example.com/v1/q/3"));
    web.with("hits", 1_001_u64).took(TOOK, ToolStatus::Success);
    let db = op.tool("vector_db").with("url", text("https://api.example.com/v1/q/4"));
    db.with("hits", 1_001_u64).took(TOOK, ToolStatus::Success);
    op.record_usage("openai", "gpt-4", TokenUsage::new(1_200, 350));
    op.succeed();
}

fn guards(op: Operation) {
    for component in ["retrieval", "prompt_build", "llm_inference"].map(text) {
        op.component(component).stop();
    }
    for tool in ["web_search", "vector_db"].map(text) {
        let call = op.tool(tool).with(text("url"), text("https://api.example.com/v1/q/3"));
        call.with(text("hits"), 1_001_u64).start().succeed();
    }
    op.record_usage(text("openai"), text("gpt-4"), TokenUsage::new(1_200, 350));
    op.succeed();
}

fn by_id(collector: &Collector) {
    let operation = collector.operation(text("qa_response"));
    let operation = operation.with(text("user_id"), text("user-0000001"));
    let id = operation.with(text("number"), 1_001_u64).start_by_id();
    let op = || collector.handle(id).expect("it is open");
    for component in ["retrieval", "prompt_build", "llm_inference"].map(text) {
        op().add_component(component, TOOK);
    }
    for tool in ["web_search", "vector_db"].map(text) {
        let operation = op();
        let call = operation.tool(tool).with(text("url"), text("https://api.example.com/v1/q/3"));
        call.with(text("hits"), 1_001_u64).took(TOOK, ToolStatus::Success);
    }
    op().record_usage(text("openai"), text("gpt-4"), TokenUsage::new(1_200, 350));
    collector.end_by_id(id, true).expect("it is open");
}
