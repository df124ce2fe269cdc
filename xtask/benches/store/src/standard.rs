//! The standard operation: a name, two keys of metadata, three components, two calls of tools with two keys of metadata
//! each, and one call of an LLM with its usage and its price.

use std::time::Duration;

use chrono::{DateTime, Utc};
use taximeter_models::{
    LlmCall, OperationId, OperationRecord, TokenUsage, ToolCall, ToolStatus, TraceId,
};
use taximeter_pricing::PriceBook;

/// Operations a second, by the clock of the records.
const PER_SECOND: u64 = 1_000;

const NAMES: [&str; 8] = [
    "qa_response",
    "summarize",
    "translate",
    "classify",
    "extract_entities",
    "plan_trip",
    "write_code",
    "review_code",
];

/// Makes standard operations, each later than the one before.
pub(crate) struct Standard {
    random: fastrand::Rng,
    number: u64,
    book: PriceBook,
    begins: DateTime<Utc>,
}

impl Standard {
    pub(crate) fn new() -> Self {
        Self {
            random: fastrand::Rng::with_seed(7),
            number: 0,
            book: PriceBook::embedded().clone(),
            begins: "2026-11-23T00:00:00Z".parse().expect("a time"),
        }
    }

    pub(crate) fn batch(&mut self, count: usize) -> Vec<OperationRecord> {
        (0..count).map(|_| self.next()).collect()
    }

    fn next(&mut self) -> OperationRecord {
        let random = &mut self.random;
        let nanos = self.number * 1_000_000_000 / PER_SECOND + random.u64(..500_000);
        let mut record = OperationRecord::new(NAMES[random.usize(..NAMES.len())]);
        record.started_at = self.begins + Duration::from_nanos(nanos);
        let millis = record.started_at.timestamp_millis().unsigned_abs();
        let low = u128::from(random.u64(..)) & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000;
        let version = 0x7000 | u128::from(self.number % 4_096);
        record.id = OperationId::from_bits(u128::from(millis) << 80 | version << 64 | low);
        record.trace_id = TraceId::from(record.id);
        record.metadata.insert("user_id".into(), format!("user-{:07}", random.u32(..1_000_000)).into());
        record.metadata.insert("number".into(), random.u32(..10_000).into());
        let mut offset = Duration::ZERO;
        for component in ["retrieval", "prompt_build", "llm_inference"] {
            let took = Duration::from_nanos(random.u64(1_000_000..1_500_000_000));
            record.add_component(component, took);
            if let Some(timing) = record.components.last_mut() {
                timing.offset = Some(offset);
            }
            offset += took;
        }
        record.duration = offset + Duration::from_nanos(random.u64(..1_000_000));
        for tool in ["web_search", "vector_db"] {
            let url = format!("https://example.com/doc/{:06}", random.u32(..1_000_000));
            let mut call = ToolCall::new(tool, ToolStatus::Success)
                .lasting(Duration::from_nanos(random.u64(1_000_000..1_000_000_000)))
                .with("url", url)
                .with("hits", random.u32(..10_000));
            call.started_at = Some(record.started_at + Duration::from_nanos(random.u64(..100_000_000)));
            record.tool_calls.push(call);
        }
        let usage = TokenUsage::new(random.u64(800..1_600), random.u64(100..600));
        let mut call = LlmCall::new("openai", "gpt-4o").using(usage);
        call.started_at = Some(record.started_at + offset / 2);
        call.duration = Some(offset / 2);
        call.cost = self.book.price_call(&call, record.started_at);
        record.llm_calls.push(call);
        self.number += 1;
        record
    }
}
