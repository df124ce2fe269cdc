//! The numbers of each group of operations or calls: by name, component, tool, provider, LLM, user, session or tag.

mod dimension;
mod keys;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use taximeter_models::{CostTotals, ErrorCategory, Money, Name, OperationRecord};

pub use self::dimension::{Dimension, UnknownDimension};
pub(crate) use self::keys::Keys;
use crate::statistics::{Distribution, Proportion};
use crate::summary::TokenSummary;

/// The numbers of one group.
///
/// What is counted depends on the [`Dimension`]: operations, the operations with a component, calls of a tool, or calls
/// of an LLM. What that has none of is none or zero: a tool has no tokens.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct GroupSummary {
    /// What they have in common; none for those that did not tell it.
    pub key: Option<Name>,
    /// Those that succeeded, of all.
    pub success: Proportion,
    /// When the first of them began, or the operation in which it did.
    pub first_at: DateTime<Utc>,
    /// When the last of them began, or the operation in which it did.
    pub last_at: DateTime<Utc>,
    /// How many begin in an hour, from the first to the last; none where these begin at one moment.
    pub per_hour: Option<f64>,
    /// Those that did not succeed by category, or the errors of the operations as far as they were kept.
    pub errors_by_category: BTreeMap<ErrorCategory, u64>,
    /// How long they took; none where that was not told. Percentiles are exact up to 1,024 of them.
    pub duration_seconds: Option<Distribution>,
    /// The tokens of their LLM calls.
    pub tokens: TokenSummary,
    /// The cost of their LLM calls: exact, estimated, unpriced.
    pub cost: CostTotals,
    /// The mean cost in US dollars, over those whose whole cost is known; none where there is none.
    pub mean_cost_usd: Option<Money>,
    /// How long the first token of their LLM calls took; none where none told.
    pub time_to_first_token_seconds: Option<Distribution>,
    /// The output tokens of their LLM calls in a second after the first token; none where none told enough.
    pub output_tokens_per_second: Option<Distribution>,
}

/// Puts operations or their calls into groups, one operation after the other, and keeps none of them.
///
/// Two of them by the same dimension can be merged: that is as if one had seen the operations of both, in any order.
///
/// ```
/// use taximeter_analysis::{Dimension, Groups};
/// use taximeter_models::OperationRecord;
///
/// let mut ours = OperationRecord::new("qa_response");
/// ours.tags.insert("team".into(), "search".into());
///
/// let mut groups = Groups::by("tag:team".parse()?);
/// groups.add(&ours);
/// groups.add(&OperationRecord::new("qa_response"));
/// let found = groups.finish();
/// assert_eq!(found[0].key, None); // one operation has no such tag
/// assert_eq!((found[1].key.as_deref(), found[1].success.rate.of), (Some("search"), 1));
///
/// assert!("team".parse::<Dimension>().unwrap_err().to_string().contains("tag:NAME"));
/// # Ok::<(), taximeter_analysis::UnknownDimension>(())
/// ```
#[derive(Debug, Clone)]
pub struct Groups {
    dimension: Dimension,
    keys: Keys,
}

/// The numbers of each group of these operations, by key; what has none comes first.
///
/// ```
/// use taximeter_analysis::{Dimension, group};
/// use taximeter_models::{OperationRecord, ToolCall, ToolStatus};
///
/// let mut operation = OperationRecord::new("agent");
/// operation.tool_calls.push(ToolCall::new("search", ToolStatus::Success));
/// operation.tool_calls.push(ToolCall::new("search", ToolStatus::Timeout));
/// let tools = group([&operation], Dimension::Tool);
/// assert_eq!(tools[0].success.rate.to_string(), "50.0 % (1 of 2)");
/// assert_eq!(group([&operation], Dimension::Llm), []); // it asked none
/// ```
pub fn group<'a>(
    operations: impl IntoIterator<Item = &'a OperationRecord>,
    dimension: Dimension,
) -> Vec<GroupSummary> {
    let mut groups = Groups::by(dimension);
    for operation in operations {
        groups.add(operation);
    }
    groups.finish()
}

impl Groups {
    /// Groups by this dimension, with nothing in them yet.
    pub fn by(dimension: Dimension) -> Self {
        Self { dimension, keys: Keys::default() }
    }

    /// What they are by.
    pub fn dimension(&self) -> &Dimension {
        &self.dimension
    }

    /// Puts one operation, or what it called, into its groups.
    pub fn add(&mut self, operation: &OperationRecord) {
        self.keys.add(&self.dimension, operation);
    }

    /// Puts all that another has seen into the groups; it must be by the same dimension.
    ///
    /// # Errors
    /// Where it is by another dimension; nothing is changed then.
    pub fn merge(&mut self, other: &Self) -> Result<(), OtherDimension> {
        if self.dimension != other.dimension {
            let (ours, theirs) = (self.dimension.clone(), other.dimension.clone());
            return Err(OtherDimension { ours, theirs });
        }
        self.keys.merge(&other.keys);
        Ok(())
    }

    /// The numbers of each group so far, by key; what has none comes first.
    pub fn finish(&self) -> Vec<GroupSummary> {
        self.keys.sorted().filter_map(|(key, sums)| sums.summary(key.cloned())).collect()
    }
}

/// Two groupings that are by different things and cannot be put together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("merging groups by {theirs} into groups by {ours}: both must be by the same dimension")]
pub struct OtherDimension {
    ours: Dimension,
    theirs: Dimension,
}
