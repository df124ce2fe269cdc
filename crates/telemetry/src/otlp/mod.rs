//! OTLP in: spans, metrics and logs of any OpenTelemetry client become operations.
//!
//! ```text
//! bytes ─ decompress ─ walk (protobuf or JSON) ─ read by the words of its convention ─ hold ─ tree ─ records
//! ```
//!
//! A request is walked and not built: attributes that are not known are passed over where they lie. What is read of a
//! span is held until its trace is whole; then the tree of the trace says which spans are one call and whose usage
//! counts, and each operation becomes an [`OperationRecord`](taximeter_models::OperationRecord).
//!
//! What is read from which convention, and the rules by which nothing is counted twice, stand in `docs/FORMATS.md`,
//! "OTLP in". What was assumed, estimated or missing is said with the record, under the [`keys`].

pub(crate) mod alias;
mod assembler;
mod call;
mod compression;
mod decoded;
mod error;
mod events;
mod failure;
mod ids;
mod journal;
mod json;
pub mod keys;
pub(crate) mod limits;
mod log;
mod names;
mod points;
mod protobuf;
mod providers;
pub(crate) mod raw;
mod receiver;
mod response;
pub(crate) mod role;
pub(crate) mod slots;
pub(crate) mod span;
pub(crate) mod trace;
mod tree;
mod usage;
mod usage_metrics;
mod wire;

pub use assembler::{Counts, Waiting, Window};
pub use decoded::Decoded;
pub use error::DecodeError;
pub use journal::{Closed, Marked};
pub use limits::Limits;
pub use receiver::{Receiver, Request, Settings};
pub use response::{Address, Code, Format, Refusal, Response, Signal, Taken};
#[cfg(feature = "otlp-export")]
pub(crate) use {ids::join, providers::provider_name};
