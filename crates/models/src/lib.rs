//! What an operation of an LLM application left behind: values, units, money.
//!
//! This room holds values only: no I/O, no threads, no clock, no globals. Everything that can be derived
//! (totals, durations, counts) is derived here, in one place, so that it cannot disagree with its parts.
//!
//! | You want | It is |
//! |---|---|
//! | one metered operation | [`OperationRecord`], made of [`ComponentTiming`], [`ToolCall`], [`LlmCall`], [`ErrorRecord`] |
//! | a run of the application | [`Session`], with its [`Totals`] |
//! | tokens | [`TokenUsage`], by disjoint buckets, built by a named convention |
//! | money | [`Money`], exact, and [`CostOutcome`], which says why where there is none; sums with what they leave out are [`CostTotals`] and [`KnownUsd`] |
//! | why something failed | [`ErrorCategory`] and its classifiers |
//! | what an analysis found | [`PerformanceTrend`], [`Finding`], [`Advice`] |
//!
//! ```
//! use taximeter_models::{Money, TokenUsage, UsageError};
//!
//! let usage = TokenUsage::inclusive(1_200, 350).cache_read(200).build()?;
//! assert_eq!(usage.uncached_input(), 1_000);
//! assert_eq!(usage.total_tokens(), 1_550);
//!
//! // Parts above the whole are an error, never a silent clamp.
//! let wrong = TokenUsage::inclusive(100, 0).cache_read(200).build();
//! assert!(matches!(wrong, Err(UsageError::CacheAboveInput { .. })));
//!
//! let fare: Money = "0.0025".parse().expect("a decimal");
//! assert_eq!((fare + fare).to_string(), "0.005");
//! # Ok::<(), UsageError>(())
//! ```

mod amounts;
mod call;
mod charge;
mod classify;
mod cost;
mod coverage;
mod error;
mod failure;
mod finding;
mod ids;
mod money;
mod name;
mod operation;
mod operation_json;
#[cfg(test)]
mod operation_json_tests;
mod rate;
#[cfg(feature = "schema")]
mod schema;
mod session;
mod session_json;
mod time;
mod totals;
mod trend;
mod usage;

pub use amounts::{Amounts, AmountsByCurrency};
pub use call::{LlmCall, Metadata, ToolCall, ToolStatus};
pub use charge::Charge;
pub use cost::{
    CardBasis, CostEstimate, CostLine, CostOutcome, CostTotals, FreeReason, MatchKind, RateCardRef,
    ReportedCost, TierHit,
};
pub use coverage::{Coverage, KnownUsd};
pub use error::{Categorized, ErrorCategory, ErrorRecord, UnknownCategory};
pub use failure::{Failure, kinds};
pub use finding::{Advice, AdviceKind, Estimate, Finding, FindingKind, Loss, Saving};
pub use ids::{OperationId, ParseIdError, SpanId, TraceId};
pub use money::{Currency, Money, ParseMoneyError, Rounding};
pub use name::Name;
pub use operation::{ComponentTiming, ComponentTotal, OperationRecord, Outcome, Warning};
pub use rate::Rate;
pub use session::Session;
pub use time::{from_unix_seconds, unix_seconds};
pub use totals::{LlmTotals, ToolTotals, Totals};
pub use trend::{LevelChange, Measure, MeasureTrend, PerformanceTrend, TrendDirection};
pub use usage::{TokenUsage, Unit, UsageBuilder, UsageError};
