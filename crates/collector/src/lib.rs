//! From many threads and tasks to one sink: bounded, never blocking, counting every loss.
//!
//! A [`Collector`] starts operations. An [`Operation`] is a guard: it gathers components, tool calls, LLM calls,
//! errors and warnings, and is ended by [`Operation::succeed`] or [`Operation::fail`]; dropped without an end it is
//! recorded as abandoned, with all that it had gathered. Ended records wait in a bounded queue for the worker
//! thread, which hands them to the [`Sink`] in batches.
//!
//! | You want | It is |
//! |---|---|
//! | to meter a piece of code | [`Collector::operation`], [`Collector::scope`], [`MeteredExt::metered`] |
//! | to record into an operation from elsewhere | [`Handle`], [`current`], [`MeteredExt::within`] |
//! | to meter where no guard can be held | [`Collector::start_operation`] and its companions, by id |
//! | to know what was lost | [`Collector::counts`] |
//! | times and ids of your own | [`Clock`], [`IdSource`] |
//!
//! Recording never blocks, never fails and never panics; a collector that is switched off has the same API and does
//! nothing.
//!
//! ```
//! use std::time::Duration;
//! use taximeter_collector::{Collector, MemorySink};
//!
//! let sink = MemorySink::default();
//! let collector = Collector::builder().sink(sink.clone()).build()?;
//!
//! let op = collector.operation("qa_response").with("user_id", "123").start();
//! let answer = op.time("llm_inference", || 6 * 7);
//! op.succeed();
//!
//! let forgotten = collector.operation("ingest").start();
//! drop(forgotten); // counted as abandoned, not lost
//!
//! collector.flush(Duration::from_secs(1))?;
//! assert_eq!(answer, 42);
//! assert_eq!(sink.records().len(), 2);
//! assert_eq!(collector.counts().abandoned, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod alone;
mod bounds;
mod budget;
mod by_id;
mod chunk;
mod clock;
mod closed;
mod collector;
mod counts;
mod current;
mod draft;
mod ending;
mod foreign;
mod frame;
mod future;
mod guards;
mod handle;
mod hold;
mod ids;
mod intake;
mod ledger;
mod limits;
mod llm;
#[cfg(all(test, taximeter_model))]
mod models;
mod open;
mod operation;
mod over;
mod page;
mod place;
mod plain;
mod recording;
mod redact;
mod remote;
mod show;
mod sink;
mod slots;
mod sync;
mod value;
mod worker;

pub use chunk::{Batch, OVERFLOW, PackedRecords};
pub use clock::{Clock, ManualClock, SystemClock};
pub use collector::{Builder, Collector, CollectorError};
pub use counts::{Counts, CountsReader, LossReason};
pub use current::{Entered, current};
pub use ending::{Ending, kinds as ending_kinds};
pub use future::{Metered, MeteredExt, Within};
pub use guards::{ComponentGuard, ToolGuard, ToolStart};
pub use handle::Handle;
pub use ids::{IdSource, SystemIds};
pub use limits::{Limits, WhenFull};
pub use llm::{LlmGuard, LlmStart};
pub use operation::{Operation, OperationBuilder};
pub use over::Inlet;
pub use redact::{Field, Redacted, Redaction};
pub use remote::RemoteParent;
pub use show::{Begun, Over, Show};
pub use sink::{MemorySink, NullSink, Sink, SinkError};
pub use value::MetaValue;
pub use worker::FlushError;
