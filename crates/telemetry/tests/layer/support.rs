//! What the tests share: a recorder in memory whose clock is moved by hand, and sums of what came out.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use taximeter_models::{LlmCall, OperationRecord, ToolCall};
use taximeter_telemetry::layer::{Counts, Recorder, TaximeterLayer, layer, layer_without_ambient};
use tracing::dispatcher;
use tracing_subscriber::prelude::*;

/// Keeps what a layer records.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory {
    records: Arc<Mutex<Vec<OperationRecord>>>,
    millis: Arc<AtomicU64>,
}

/// When the clock of the tests begins, in nanoseconds since 1970.
pub(crate) const DAY: u64 = 1_795_471_675_000_000_000;

impl Recorder for Memory {
    type Within = ();

    fn current(&self) -> Option<()> {
        None
    }

    fn llm_guards(&self, (): &()) -> (u64, u64) {
        (0, 0)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.millis.load(Ordering::Relaxed))
    }

    fn wall(&self) -> u64 {
        DAY + self.millis.load(Ordering::Relaxed) * 1_000_000
    }

    fn record(&self, mut records: Vec<OperationRecord>, within: Option<&()>) {
        assert_eq!(within, None);
        self.records.lock().unwrap_or_else(PoisonError::into_inner).append(&mut records);
    }
}

impl Memory {
    pub(crate) fn pass(&self, millis: u64) {
        self.millis.fetch_add(millis, Ordering::Relaxed);
    }

    pub(crate) fn records(&self) -> Vec<OperationRecord> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What a program leaves behind that runs under the layer.
pub(crate) fn metered(program: impl FnOnce(&Memory)) -> Vec<OperationRecord> {
    let memory = Memory::default();
    let subscriber = tracing_subscriber::registry().with(layer(memory.clone()));
    tracing::subscriber::with_default(subscriber, || program(&memory));
    memory.records()
}

/// The same, by the layer that sees nothing but spans of LLMs.
pub(crate) fn metered_without_ambient(program: impl FnOnce()) -> Vec<OperationRecord> {
    let memory = Memory::default();
    let subscriber = tracing_subscriber::registry().with(layer_without_ambient(memory.clone()));
    tracing::subscriber::with_default(subscriber, program);
    memory.records()
}

/// What the layer in force here did not count as it came.
pub(crate) fn counts() -> Counts {
    layer_in_force(TaximeterLayer::counts)
}

/// Asks the layer in force here.
pub(crate) fn layer_in_force<R>(ask: impl Fn(&TaximeterLayer<Memory>) -> R) -> R {
    let dispatch = dispatcher::get_default(dispatcher::Dispatch::clone);
    ask(dispatch.downcast_ref().expect("there is one"))
}

/// The only record, and its only call.
pub(crate) fn only_call(records: &[OperationRecord]) -> &LlmCall {
    assert_eq!(records.len(), 1, "{records:#?}");
    assert_eq!(records[0].llm_calls.len(), 1, "{records:#?}");
    &records[0].llm_calls[0]
}

/// The only record, and its only tool.
pub(crate) fn only_tool(records: &[OperationRecord]) -> &ToolCall {
    assert_eq!(records.len(), 1, "{records:#?}");
    assert_eq!(records[0].tool_calls.len(), 1, "{records:#?}");
    &records[0].tool_calls[0]
}

/// Input and output tokens of all records.
pub(crate) fn tokens(records: &[OperationRecord]) -> (u64, u64) {
    let usages = records.iter().map(OperationRecord::usage);
    usages.fold((0, 0), |sum, usage| (sum.0 + usage.input_tokens(), sum.1 + usage.output_tokens()))
}
