//! Why a second period costs or takes more than a first: the change in parts that sum to the whole, and what drives it.

mod cost;
mod drivers;
mod factors;
mod latency;

use serde::Serialize;
use taximeter_models::{Money, Name, OperationRecord, Rate};

pub use self::cost::why_cost;
pub use self::latency::why_duration;
use crate::groups::Dimension;
use crate::time::Part;

/// Of what a change of cost is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CostCause {
    /// More or fewer operations.
    Operations,
    /// More or fewer first calls in an operation.
    CallsPerOperation,
    /// More or fewer calls again, for each first one.
    Retries,
    /// Other LLMs: a larger part of the calls goes to a dearer or a cheaper one.
    LlmMix,
    /// More or fewer tokens in a call, and what else is paid by the piece.
    Tokens,
    /// More or less of the input read from and written to a prompt cache.
    Cache,
    /// Other prices of the same thing.
    Price,
}

impl CostChange {
    /// Whether the cost of every call is known, before and after. Else a part of the change may be that a cost is known at
    /// one time and not at the other, which shows as more or fewer calls.
    pub const fn is_complete(&self) -> bool {
        self.left_out_before.hits == 0 && self.left_out_after.hits == 0
    }
}

impl CostCause {
    /// All of them, in the order in which they stand in an answer.
    pub const ALL: [Self; 7] = [
        Self::Operations,
        Self::CallsPerOperation,
        Self::Retries,
        Self::LlmMix,
        Self::Tokens,
        Self::Cache,
        Self::Price,
    ];

    /// The name on the wire, such as `llm_mix`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operations => "operations",
            Self::CallsPerOperation => "calls_per_operation",
            Self::Retries => "retries",
            Self::LlmMix => "llm_mix",
            Self::Tokens => "tokens",
            Self::Cache => "cache",
            Self::Price => "price",
        }
    }
}

/// Why the cost changed. All amounts are in US dollars.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct CostChange {
    /// The cost before, as far as it is known.
    pub before: Money,
    /// The cost after, as far as it is known.
    pub after: Money,
    /// What each cause adds or saves. They sum to `after − before`, to the tick.
    pub parts: Vec<(CostCause, Money)>,
    /// The calls before whose cost is not known or not in US dollars, of all; they are in no part.
    pub left_out_before: Rate,
    /// The same after.
    pub left_out_after: Rate,
    /// What drives it, by the dimension that tells the most first; empty where everything changed alike.
    pub drivers: Vec<Driven<Money>>,
}

/// What one part of operations took before and after, in seconds of their mean duration.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct PartChange {
    /// The part.
    pub part: Part,
    /// Its seconds on the critical path before, in the mean of all operations.
    pub before_seconds: f64,
    /// The same after.
    pub after_seconds: f64,
    /// The difference.
    pub change_seconds: f64,
}

/// Why operations of one name take longer, or less long.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct DurationChange {
    /// Their name.
    pub operation: Name,
    /// How many there were before.
    pub operations_before: u64,
    /// How many there were after.
    pub operations_after: u64,
    /// Their mean duration before, in seconds.
    pub before_seconds: f64,
    /// Their mean duration after, in seconds.
    pub after_seconds: f64,
    /// What each part adds or saves, the largest change first. They sum to the change of the mean.
    pub parts: Vec<PartChange>,
    /// What drives it, by the dimension that tells the most first; amounts are parts of the mean duration in seconds.
    pub drivers: Vec<Driven<f64>>,
}

/// A dimension in which a change is not spread evenly.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Driven<V> {
    /// The dimension.
    pub dimension: Dimension,
    /// How unlike the shares before and after are in these, in bits; 1 at most.
    pub surprise: f64,
    /// The keys that explain most of the change, the most surprising first.
    pub by: Vec<Driver<V>>,
}

/// In which users, LLMs, tools, operations or tags the mean of something changed, found as in [`why_cost`]; the amounts are
/// the parts that the operations of each key have of the mean. Empty where all changed alike, or there was nothing before.
///
/// ```
/// use taximeter_analysis::why_mean;
/// use taximeter_models::OperationRecord;
///
/// let of = |user: &str, documents: u32| {
///     let mut answer = OperationRecord::new("answer");
///     answer.user = Some(user.into());
///     answer.metadata.insert("documents".into(), documents.into());
///     answer
/// };
/// let documents = |answer: &OperationRecord| answer.metadata["documents"].as_f64().unwrap_or_default();
/// let before = [of("ann", 4), of("bob", 4)];
/// let after = [of("ann", 4), of("bob", 40)];
/// let driven = why_mean(&before, &after, documents);
/// assert_eq!(driven[0].by[0].key.as_deref(), Some("bob"));
/// assert!(why_mean(&before, &before, documents).is_empty());
/// ```
pub fn why_mean<'a>(
    before: impl IntoIterator<Item = &'a OperationRecord>,
    after: impl IntoIterator<Item = &'a OperationRecord>,
    of: impl Fn(&OperationRecord) -> f64,
) -> Vec<Driven<f64>> {
    let (before, after): (Vec<_>, Vec<_>) =
        (before.into_iter().collect(), after.into_iter().collect());
    drivers::of_mean(&before, &after, of)
}

/// One user, LLM, tool or tag that drives a change.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Driver<V> {
    /// Which; none for what told none.
    pub key: Option<Name>,
    /// Its amount before.
    pub before: V,
    /// Its amount after.
    pub after: V,
    /// Its part of the whole change; below 0 where it went the other way, above 1 where others did.
    pub share_of_change: f64,
    /// Of a cost: its calls, before and after, whose cost is not known or not in US dollars and is in neither amount, of
    /// all. Where there are any, it may be no driver but only known at one time and not at the other.
    pub left_out: Rate,
}
