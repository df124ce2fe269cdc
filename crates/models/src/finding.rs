//! What an analysis found, and what it advises, as values that carry their evidence.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Money, Name, OperationId, Rate};

/// What kind of thing stands out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum FindingKind {
    /// Operations take longer than their threshold, in the mean.
    SlowOperation {
        /// The mean duration in seconds.
        mean_seconds: f64,
        /// The threshold in seconds.
        threshold_seconds: f64,
        /// The operations above the threshold, of all.
        above: Rate,
    },
    /// A component takes longer than its threshold, in the mean of the operations that have it.
    SlowComponent {
        /// The component.
        component: Name,
        /// The mean time in an operation, in seconds.
        mean_seconds: f64,
        /// The threshold in seconds.
        threshold_seconds: f64,
        /// The operations above the threshold, of those that have the component.
        above: Rate,
        /// Its share of the time of those operations, 0 to 1; more where it runs in parallel to itself.
        share_of_time: f64,
    },
    /// Too many operations do not succeed.
    HighErrorRate {
        /// The operations that failed or were abandoned, of all.
        errors: Rate,
        /// The threshold, 0 to 1.
        threshold: f64,
        /// The lower end of the 95 % Wilson interval of the rate, 0 to 1.
        at_least: f64,
    },
    /// Operations cost more than their threshold, in the mean.
    ExpensiveOperation {
        /// The mean cost in US dollars.
        mean_cost: Money,
        /// The threshold in US dollars.
        threshold: Money,
        /// The operations above the threshold, of those with a known cost.
        above: Rate,
    },
    /// The same LLM is asked the same thing again.
    RepeatedCalls {
        /// The calls that repeat an earlier one, of those whose arguments were hashed.
        repeated: Rate,
    },
    /// A finding that another program wrote down in words.
    Noted {
        /// Its words.
        text: String,
    },
}

/// One thing that stands out, with the operations that prove it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Finding {
    /// The name of the operations that it is about.
    pub operation: Name,
    /// What stands out.
    #[serde(flatten)]
    pub kind: FindingKind,
    /// Operations that prove it, the worst first; at most ten.
    #[serde(default)]
    pub evidence: Vec<OperationId>,
}

/// What an advice asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AdviceKind {
    /// A faster LLM, or better prompts.
    FasterLlmOrBetterPrompts,
    /// A better index, or other chunks.
    BetterIndexOrChunking,
    /// A cheaper LLM, or fewer tokens.
    CheaperLlmOrFewerTokens,
    /// Better handling of errors, and retries.
    ErrorHandlingAndRetry,
    /// A cache for what is asked often.
    CacheFrequentRequests,
    /// A look at the component that takes the time.
    InspectComponent,
    /// An advice that another program wrote down in words.
    Noted,
}

/// What to change, and the finding behind it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Advice {
    /// What it asks for.
    pub advice: AdviceKind,
    /// It in words.
    pub text: String,
    /// Why.
    pub because: Finding,
}

impl Finding {
    /// A finding about the operations of that name.
    pub fn new(operation: impl Into<Name>, kind: FindingKind, evidence: Vec<OperationId>) -> Self {
        Self { operation: operation.into(), kind, evidence }
    }
}

impl Advice {
    /// An advice with the finding behind it.
    pub fn new(advice: AdviceKind, text: impl Into<String>, because: Finding) -> Self {
        Self { advice, text: text.into(), because }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.operation;
        match &self.kind {
            FindingKind::SlowOperation { mean_seconds, threshold_seconds, above } => write!(
                f,
                "{name} takes {mean_seconds:.3} s in the mean (threshold {threshold_seconds} s); above it: {above}"
            ),
            FindingKind::SlowComponent {
                component,
                mean_seconds,
                threshold_seconds,
                above,
                share_of_time,
            } => {
                write!(
                    f,
                    "{component} in {name} takes {mean_seconds:.3} s in the mean (threshold {threshold_seconds} s), \
                     {:.0} % of the time; above it: {above}",
                    share_of_time * 100.0
                )
            }
            FindingKind::HighErrorRate { errors, threshold, at_least } => write!(
                f,
                "{name} fails: {errors} (threshold {:.0} %; at least {:.1} % with 95 % confidence)",
                threshold * 100.0,
                at_least * 100.0
            ),
            FindingKind::ExpensiveOperation { mean_cost, threshold, above } => write!(
                f,
                "{name} costs ${} in the mean (threshold ${threshold}); above it: {above}",
                mean_cost.rounded(4)
            ),
            FindingKind::RepeatedCalls { repeated } => {
                write!(f, "{name} asks what it has asked before: {repeated}")
            }
            FindingKind::Noted { text } => f.write_str(text),
        }
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
