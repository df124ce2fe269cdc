//! How an operation did over a window of time.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{Advice, Coverage, Finding, Money, Name};

/// Where something is going.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TrendDirection {
    /// It gets less: faster, cheaper, fewer failures.
    Improving,
    /// It gets more: slower, dearer, more failures.
    Declining,
    /// It does neither: no change that is both significant and large enough to matter.
    Stable,
    /// There are too few data to say.
    #[default]
    InsufficientData,
}

impl TrendDirection {
    /// The name on the wire, such as `improving`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Improving => "improving",
            Self::Declining => "declining",
            Self::Stable => "stable",
            Self::InsufficientData => "insufficient_data",
        }
    }
}

/// What of an operation grows or shrinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Measure {
    /// Its duration, in seconds.
    Duration,
    /// Its cost, in US dollars.
    Cost,
    /// Whether it does not succeed: 1 or 0, and in the mean a share.
    ErrorRate,
    /// The tokens of its LLM calls.
    Tokens,
}

impl Measure {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Duration, Self::Cost, Self::ErrorRate, Self::Tokens];

    /// The name on the wire, such as `error_rate`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Duration => "duration",
            Self::Cost => "cost",
            Self::ErrorRate => "error_rate",
            Self::Tokens => "tokens",
        }
    }
}

/// A moment since which operations take longer, cost more or fail more often than before, or less.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct LevelChange {
    /// When the first operation began that was different.
    pub since: DateTime<Utc>,
    /// The level from the change before to this one, in the unit of what is measured: the median, or the mean of a
    /// share.
    pub before: f64,
    /// The level from this change to the next.
    pub after: f64,
    /// The difference, in percent of the level before.
    pub change_percent: f64,
    /// How likely so large a change is by chance.
    pub p_value: f64,
}

impl LevelChange {
    /// A change whose size in percent follows from the two levels, and of whose chance nothing is known yet.
    pub fn new(since: DateTime<Utc>, before: f64, after: f64) -> Self {
        let change_percent = (after - before) / before * 100.0;
        Self { since, before, after, change_percent, p_value: 1.0 }
    }
}

/// Where one measure is going, in its own unit.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
#[serde(default)]
pub struct MeasureTrend {
    /// The operations of which the measure is known: they alone are spoken of here.
    pub data_points: u64,
    /// All operations that were looked at.
    pub operations: u64,
    /// Whether it grows (`declining`) or shrinks (`improving`) with time.
    pub direction: TrendDirection,
    /// How consistently it does, from −1 to 1: Kendall's τ against time.
    pub strength: Option<f64>,
    /// By how much it changes in an hour: Theil–Sen, or least squares of a share.
    pub slope_per_hour: Option<f64>,
    /// Between which slopes the true one lies with a confidence of 95 %; none of too few points.
    pub slope_interval_per_hour: Option<(f64, f64)>,
    /// The change over the time that was observed, in percent of the level at its beginning.
    pub change_percent: Option<f64>,
    /// How likely so consistent a change is by chance (Mann–Kendall, two-sided).
    pub p_value: Option<f64>,
    /// Since when it is another, the first change first; empty where it never was for sure.
    pub changes: Vec<LevelChange>,
}

/// How one kind of operation did over a window of time.
///
/// The fields of the original system have its names and units; a share carries its denominator in `data_points`.
/// What cannot be said of so few data is none, and never zero.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
#[serde(default)]
pub struct PerformanceTrend {
    /// The name of the operations.
    pub operation_type: Name,
    /// The window as it was asked for, such as `24h`.
    pub time_period: String,
    /// The operations in the window: the denominator of every share and mean here.
    pub data_points: u64,
    /// The mean duration in seconds.
    pub avg_duration: Option<f64>,
    /// The shortest duration in seconds.
    pub min_duration: Option<f64>,
    /// The longest duration in seconds.
    pub max_duration: Option<f64>,
    /// The standard deviation of the durations in seconds (of the sample, n − 1).
    pub std_deviation: Option<f64>,
    /// The median duration in seconds.
    pub p50_duration: Option<f64>,
    /// The duration in seconds within which 90 % ended.
    pub p90_duration: Option<f64>,
    /// The duration in seconds within which 95 % ended.
    pub p95_duration: Option<f64>,
    /// The duration in seconds within which 99 % ended.
    pub p99_duration: Option<f64>,
    /// Operations that succeeded, in percent of `data_points`.
    pub success_rate: Option<f64>,
    /// Operations that failed or were abandoned, in percent of `data_points`.
    pub error_rate: Option<f64>,
    /// The mean cost in US dollars, over the operations whose whole cost is known; the measure of the cost says how many.
    pub avg_cost: Option<Money>,
    /// The whole cost in US dollars, as far as it is known.
    pub total_cost: Money,
    /// LLM calls whose cost is not known, or only in part.
    pub unpriced_calls: u64,
    /// The LLM calls that the whole cost is of, and all that it leaves out.
    pub cost_coverage: Coverage,
    /// The mean number of tokens.
    pub avg_tokens: Option<f64>,
    /// All tokens.
    pub total_tokens: u64,
    /// Whether the duration grows or shrinks with time.
    pub trend_direction: TrendDirection,
    /// How consistently it does, from −1 (always shorter) to 1 (always longer): Kendall's τ against time.
    pub trend_strength: Option<f64>,
    /// By how many seconds the duration changes in an hour (Theil–Sen).
    pub slope_per_hour: Option<f64>,
    /// Between which slopes the true one lies with a confidence of 95 %, in seconds an hour; none of too few points.
    pub slope_interval_per_hour: Option<(f64, f64)>,
    /// The change over the whole window, in percent of the duration at its beginning.
    pub change_percent: Option<f64>,
    /// How likely so consistent a change is by chance (Mann–Kendall, two-sided).
    pub p_value: Option<f64>,
    /// Since when the duration is another, the first change first; empty where it never was for sure.
    pub changes: Vec<LevelChange>,
    /// The same of cost, error rate and tokens; the fields above are those of the duration.
    pub measures: BTreeMap<Measure, MeasureTrend>,
    /// What stands out.
    #[serde(deserialize_with = "crate::session_json::findings")]
    pub bottlenecks: Vec<Finding>,
    /// What to do about it.
    #[serde(deserialize_with = "crate::session_json::advice")]
    pub optimization_suggestions: Vec<Advice>,
    /// When this was analysed: the end of the window.
    #[serde(deserialize_with = "crate::session_json::analysed_at")]
    pub analysis_timestamp: DateTime<Utc>,
}
