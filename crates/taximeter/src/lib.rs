//! **taximeter** meters LLM applications: tool calls, tokens, money and wall time of every operation.
//!
//! # In one minute
//!
//! ```
//! use taximeter::prelude::*;
//!
//! // The global meter; `Meter::builder()` makes others.
//! let op = taximeter::operation("qa_response").with("user_id", "123").start();
//!
//! let passages = op.time("document_retrieval", || vec!["a passage"]);
//!
//! let mut call = op.llm_call("openai", "gpt-4o").start();
//! // … the request …
//! call.usage(TokenUsage::inclusive(1_200, 350).cache_read(200));
//! call.succeed();
//!
//! let answer: Result<&str, std::io::Error> = Err(std::io::ErrorKind::TimedOut.into());
//! match &answer {
//!     Ok(_) => op.succeed(),
//!     Err(error) => op.fail(error), // category `timeout`, with all that was recorded before
//! }
//! # let _ = passages;
//! ```
//!
//! # Where things are
//!
//! | You want | It is |
//! |---|---|
//! | to meter a piece of code | [`operation`], [`scope`], [`MeteredExt::metered`], [`macro@metered`] |
//! | to meter a tool | [`Handle::tool`], [`macro@tool`] |
//! | one trace over several processes | [`context`], [`OperationBuilder::remote_parent`] |
//! | to record from deep inside | [`current`] |
//! | totals, summaries, groups, trends | [`Meter::totals`], [`Meter::summary`], [`Meter::group`], [`Meter::trend`] |
//! | where time and money go, and why it changed | [`Meter::time_spent`], [`Meter::why_duration`], [`Meter::why_cost`] |
//! | what comes, and what is out of the ordinary | [`Meter::forecast`], [`Meter::slow_operations`], [`Meter::error_jumps`] |
//! | to stop before too much is spent | [`Meter::check_budget`], of a [`BudgetPlan`] |
//! | what stands out, what to do, what it saves | [`Meter::bottlenecks`], [`Meter::advice`] |
//! | to keep a session | [`Meter::save`], [`Meter::load`] |
//! | settings | [`Settings`] |
//! | a store of all that was ever metered, and questions over it | `store` and `history`, by the feature `store` |
//! | numbers of an operation's own, to be summed up, trended and compared | [`OperationBuilder::with`], and `history` asks for them |
//! | metrics that belong to no operation | `Meter::registry`, by the feature `prometheus` |
//! | prices | [`PriceBook`], and all of [`pricing`] |
//! | prices of one's own | [`MeterBuilder::price_overrides`], [`Meter::prices`] |
//!
//! Operations travel one way: the collector gathers them, the pipeline prices and observes them, and everything else
//! reads what was observed. `docs/ARCHITECTURE.md` draws the map.
//!
//! # Features
//!
//! | Feature | Default | Adds |
//! |---|---|---|
//! | `context` | yes | [`context`]: distributed tracing by W3C Trace Context and Baggage |
//! | `macros` | yes | [`macro@metered`] and [`macro@tool`] |
//! | `otlp-export` | no | `taximeter::otlp`: operations and metrics as requests of OTLP; `taximeter-otlp` sends them |
//! | `otlp-in` | no | `taximeter::otlp_in`: requests of OpenTelemetry clients in, operations out |
//! | `parquet` | no | Parquet in and out of a store |
//! | `prometheus` | no | `taximeter::metrics`: metrics of every operation, and of the program's own, for Prometheus |
//! | `reply` | no | `taximeter::reply`: usage, cost and errors out of any provider's reply, plain or streamed |
//! | `report` | no | sessions as tables for the terminal |
//! | `store` | no | a store in a file, and questions over it |
//! | `system-metrics` | no | CPU, memory and disk of the machine |
//! | `tracing` | no | `taximeter::tracing`: applications on instrumented libraries metered by one layer |

#[cfg(feature = "macros")]
#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
mod budget;
mod builder;
#[cfg(feature = "context")]
pub mod context;
mod error;
mod global;
#[cfg(feature = "store")]
pub mod history;
#[cfg(all(feature = "prometheus", feature = "store"))]
mod kept_metrics;
mod meter;
#[cfg(feature = "prometheus")]
pub mod metrics;
mod noted;
mod pipeline;
mod questions;
#[cfg(feature = "report")]
pub mod report;
mod settings;
mod stored;
#[cfg(feature = "system-metrics")]
mod system;
#[cfg(feature = "tracing")]
pub mod tracing;

pub use budget::{Account, Budget, BudgetError, BudgetPeriod, BudgetPlan, BudgetPlanError};
pub use builder::MeterBuilder;
pub use error::Error;
pub use global::{
    MeterExt, WithMeter, global, install, meter, operation, reset, scope, scope_async, with_meter,
};
pub use meter::Meter;
pub use settings::{
    KeepSettings, Origin, PricingSettings, RedactionSettings, Settings, SettingsError,
};
#[cfg(feature = "system-metrics")]
pub use system::{SystemMetrics, SystemSampler};

pub use taximeter_analysis as analysis;
pub use taximeter_analysis::{SessionSummary, Thresholds, TrendConfig, Window};
pub use taximeter_collector::{
    Batch, Clock, Collector, CollectorError, ComponentGuard, Counts, CountsReader, Ending, Entered,
    Field, FlushError, Handle, IdSource, Limits, LlmGuard, LlmStart, LossReason, ManualClock,
    MemorySink, MetaValue, Metered, MeteredExt, NullSink, OVERFLOW, Operation, OperationBuilder,
    PackedRecords, Redacted, Redaction, RemoteParent, Sink, SinkError, SystemClock, SystemIds,
    ToolGuard, ToolStart, WhenFull, Within, current, ending_kinds,
};
#[cfg(feature = "macros")]
pub use taximeter_macros::{metered, tool};
pub use taximeter_models as models;
pub use taximeter_models::{
    Advice, AdviceKind, Amounts, AmountsByCurrency, Categorized, ComponentTiming, CostEstimate,
    CostLine, CostOutcome, CostTotals, Coverage, Currency, ErrorCategory, ErrorRecord, Estimate,
    Failure, Finding, FindingKind, FreeReason, KnownUsd, LevelChange, LlmCall, LlmTotals, Loss,
    Measure, MeasureTrend, Metadata, Money, Name, OperationId, OperationRecord, Outcome,
    PerformanceTrend, Rate, ReportedCost, Saving, Session, SpanId, TokenUsage, ToolCall,
    ToolStatus, ToolTotals, Totals, TraceId, TrendDirection, Unit, UsageBuilder, UsageError,
    Warning,
};
#[cfg(feature = "store")]
pub use taximeter_persistence::store;
/// Records into files: JSON lines and tables.
#[cfg(feature = "store")]
pub mod export {
    pub use taximeter_persistence::{
        ExportError, ExportFormat, ExportMark, ExportOptions, ExportTable, Exporter,
        UnknownExportTable,
    };
}
/// Records of files: sessions, JSON lines, logs of other programs.
#[cfg(feature = "store")]
pub mod import {
    pub use taximeter_persistence::{
        Checkpoint, Counts, Format, ImportError, ImportOptions, Importer, Position, Rejected,
        UnknownFormatName, Why,
    };
}
pub use taximeter_persistence::{PersistenceError, SessionFiles, StoreError};
pub use taximeter_pricing as pricing;
pub use taximeter_pricing::PriceBook;
/// Operations and metrics as requests of OTLP; `taximeter-otlp` sends them.
#[cfg(feature = "otlp-export")]
pub use taximeter_telemetry::export as otlp;
/// Requests of OpenTelemetry clients, which become operations.
#[cfg(feature = "otlp-in")]
pub use taximeter_telemetry::otlp as otlp_in;
#[cfg(feature = "reply")]
pub use taximeter_telemetry::reply;

/// The few names that most programs need.
pub mod prelude {
    pub use crate::{ErrorCategory, Handle, Meter, MeteredExt, Operation, TokenUsage, ToolStatus};
}

/// Questions and answers about why taximeter is as it is; its examples are tested.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/DESIGN.md")]
struct Design;

/// The README's examples are tested too.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
