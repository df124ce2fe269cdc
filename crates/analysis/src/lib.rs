//! From records to summaries, trends, causes, bottlenecks and advice: pure functions that cannot fail.
//!
//! They read [`OperationRecord`]s and nothing else: no file, no clock (the moment is an argument), no global. The
//! order of the records does not matter. No answer holds NaN or infinity; what cannot be said of so few data is
//! none, and a share always goes with its denominator.
//!
//! | You want | Ask | You get |
//! |---|---|---|
//! | the numbers of a run, by operation, component, tool and LLM | [`summarize`] | [`SessionSummary`] |
//! | the same of each user, session, tag, provider and so on, one by one or merged | [`group`] and [`Groups`], by a [`Dimension`] | [`GroupSummary`] |
//! | whether one kind of operation gets slower, or each | [`trend`] and [`trends`] over a [`Window`], by a [`TrendConfig`] | [`PerformanceTrend`] |
//! | the same of cost, error rate and tokens, of any operations, or of any values | [`measure_trend`], [`value_trend`] | [`MeasureTrend`] |
//! | whether a second group of values is worse than a first | [`compare`] and [`compare_operations`], by a [`Gate`] | [`Comparison`] with a [`Verdict`] |
//! | whether a promise is kept, and how fast the rest of it goes | [`kept`] or [`Keeping`], by an [`Objective`]; [`apdex`] | [`Kept`] |
//! | where the time goes, and what if a part were faster | [`time_spent`], [`what_if`] | [`TimeSpent`], [`WhatIf`] by [`Part`] |
//! | why a second period costs or takes more, in parts that sum to the whole, and what drives it | [`why_cost`], [`why_duration`] | [`CostChange`], [`DurationChange`] |
//! | what the next hours or days will cost or take, and when a budget is gone | [`forecast`] of a [`Series`] | [`Forecast`] with its [`Backtest`], [`Total`] and [`Exhaustion`] |
//! | which hours, days, operations or error rates are out of the ordinary | [`anomalies`], [`slow_operations`], [`error_jumps`], by an [`AnomalyConfig`] | [`Anomaly`], [`SlowOperation`], [`ErrorJump`] |
//! | what stands out | [`bottlenecks`], by [`Thresholds`] | [`Finding`]s with evidence, ordered by [`importance`] |
//! | what to do about it | [`advise`] | [`Advice`], each with its finding |
//! | what advice would save, and whether it helped | [`with_savings`], by [`Prices`]; [`remeasure`] | [`Saving`], [`Remeasured`] |
//! | the sums of many minutes, kept as bytes and merged later | [`Rollups`], by a [`RollupConfig`] | [`Sums`] of each key, which come to a [`GroupSummary`] |
//! | the numbers of a whole column of values, by a column of keys | [`Columns`], with exact or sketched [`Percentiles`] | a [`ColumnGroup`] for each key |
//! | the formulas themselves | [`statistics`] | [`Distribution`], [`Proportion`], quantiles, intervals, tests |
//!
//! ```
//! use std::time::Duration;
//! use chrono::{DateTime, TimeDelta, Utc};
//! use taximeter_analysis::{Thresholds, TrendConfig, Window, advise, bottlenecks, summarize, trend};
//! use taximeter_models::{OperationRecord, TrendDirection};
//!
//! // A thousand answers in a day, and the last takes twice as long as the first.
//! let midnight: DateTime<Utc> = "2026-11-23T00:00:00Z".parse()?;
//! let operations: Vec<OperationRecord> = (0..1_000)
//!     .map(|at| {
//!         let mut operation = OperationRecord::new("qa_response");
//!         operation.started_at = midnight + TimeDelta::seconds(80 * at);
//!         operation.duration = Duration::from_millis(2_500 + 5 * at as u64 / 2);
//!         operation.add_component("llm_inference", operation.duration.mul_f64(0.8));
//!         operation
//!     })
//!     .collect();
//!
//! let now = "2026-11-24T00:00:00Z".parse()?;
//! let day: Window = "24h".parse()?;
//! let answers = trend(&operations, "qa_response", &day, now, &TrendConfig::default());
//! assert_eq!(answers.trend_direction, TrendDirection::Declining);
//! assert_eq!(answers.change_percent.map(f64::round), Some(100.0));
//!
//! let summary = summarize(&operations);
//! assert_eq!(summary.operations["qa_response"].success.rate.of, 1_000);
//!
//! let findings = bottlenecks(&operations, &Thresholds::default());
//! let advice = advise(&findings);
//! assert!(advice[0].text.starts_with("Use a faster LLM or better prompts: llm_inference in qa_response takes 2.999 s"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Advice`]: taximeter_models::Advice
//! [`Distribution`]: statistics::Distribution
//! [`Finding`]: taximeter_models::Finding
//! [`MeasureTrend`]: taximeter_models::MeasureTrend
//! [`OperationRecord`]: taximeter_models::OperationRecord
//! [`PerformanceTrend`]: taximeter_models::PerformanceTrend
//! [`Saving`]: taximeter_models::Saving
//! [`Proportion`]: statistics::Proportion

mod advice;
mod anomalies;
mod bottlenecks;
mod columns;
mod compare;
mod cost;
mod forecast;
mod groups;
mod importance;
mod objective;
mod rollup;
mod series;
pub mod statistics;
mod summary;
mod sums;
mod thresholds;
mod time;
mod trend;
mod trend_config;
mod why;
mod window;

pub use advice::{Effect, NoPrices, Prices, Remeasured, Saved, advise, remeasure, with_savings};
pub use anomalies::{
    Anomalies, Anomaly, AnomalyConfig, AnomalyConfigError, Callee, ErrorJump, SlowOperation,
    anomalies, error_jumps, slow_operations,
};
pub use bottlenecks::bottlenecks;
pub use columns::{ColumnGroup, ColumnKey, Columns, ColumnsError, Percentiles};
pub use compare::{Comparison, Gate, GateError, Verdict, compare, compare_operations};
pub use forecast::{Backtest, Exhaustion, Forecast, ForecastPoint, Season, Total, When, forecast};
pub use groups::{Dimension, GroupSummary, Groups, OtherDimension, UnknownDimension, group};
pub use importance::importance;
pub use objective::{Burn, Keeping, Kept, Objective, ObjectiveError, apdex, kept};
pub use rollup::{OTHER_KEY, Rollup, RollupConfig, RollupConfigError, Rollups};
pub use series::{NotEnough, Quantity, Series, Step};
pub use summary::{
    ComponentSummary, LlmSummary, OperationSummary, SessionSummary, Summarizer, TokenSummary,
    ToolSummary, summarize,
};
pub use sums::{CountedCall, Histogram, Reply, Sums, SumsError};
pub use thresholds::{Thresholds, ThresholdsError};
pub use time::{Part, PartTime, TimeSpent, TimeSplit, WhatIf, time_spent, what_if};
pub use trend::{measure_trend, trend, trends, value_trend};
pub use trend_config::{TrendConfig, TrendConfigError};
pub use why::{
    CostCause, CostChange, Driven, Driver, DurationChange, PartChange, why_cost, why_duration,
    why_mean,
};
pub use window::{Window, WindowError};
