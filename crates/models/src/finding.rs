//! What an analysis found, and what it advises, as values that carry their evidence.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Coverage, KnownUsd, Money, Name, OperationId, Rate};

/// What kind of thing stands out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    /// A tool or an LLM is called again and again after it failed.
    RetryStorm {
        /// The tool or the LLM.
        target: Name,
        /// The calls that try again, of all.
        retries: Rate,
        /// The most tries of one call.
        most_attempts: u32,
    },
    /// A tool or an LLM refuses calls because there are too many.
    RateLimited {
        /// The tool or the LLM.
        target: Name,
        /// The calls refused, of all.
        refused: Rate,
    },
    /// Calls of a tool or an LLM take too long and are given up.
    Timeouts {
        /// The tool or the LLM.
        target: Name,
        /// The calls given up, of all.
        timeouts: Rate,
        /// How long such a call was waited for in the mean, in seconds; none where none told.
        mean_wait_seconds: Option<f64>,
        /// The time in seconds within which 99 % of the calls that succeed end; none where none told.
        success_p99_seconds: Option<f64>,
    },
    /// An operation calls the same tool with the same arguments again and again.
    ToolLoop {
        /// The tool.
        tool: Name,
        /// The operations that do so, of those that call it with hashed arguments.
        operations: Rate,
        /// The most calls of one kind in one operation.
        most_calls: u64,
    },
    /// Replies end because they reached the limit of their length.
    TruncatedReplies {
        /// The LLM.
        llm: Name,
        /// The replies cut off, of those that told why they ended.
        truncated: Rate,
    },
    /// Prompts nearly fill the LLM's context window, or do not fit into it.
    ContextPressure {
        /// The LLM.
        llm: Name,
        /// The calls above the threshold, of those whose window and input are known or that did not fit.
        above: Rate,
        /// The threshold: the part of the window that is filled, 0 to 1.
        threshold: f64,
    },
    /// Prompts begin alike, and yet little is read from the prompt cache.
    ColdCache {
        /// The LLM.
        llm: Name,
        /// The calls whose prompt begins like that of a call shortly before, of those whose beginning was hashed.
        repeated: Rate,
        /// The input tokens of these that were read from a cache, of all their input tokens.
        cached: Rate,
    },
    /// Most of the money goes into long replies.
    LongReplies {
        /// The LLM.
        llm: Name,
        /// The output tokens of a reply, in the mean.
        mean_output_tokens: f64,
        /// The part of the cost that is for output, 0 to 1.
        share_of_cost: f64,
    },
    /// Nobody waits for the answers, and yet they are paid at the price of those for which somebody waits.
    BackgroundWork {
        /// The LLM calls at the full price, of all.
        calls: Rate,
    },
    /// A finding that another program wrote down in words.
    Noted {
        /// Its words.
        text: String,
    },
}

/// What something costs in all the operations that were looked at.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Loss {
    /// Seconds, those that run in parallel added up.
    pub seconds: f64,
    /// The same as a share of the operations' time, 0 to 1; none where that is zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share_of_time: Option<f64>,
    /// US dollars, as far as they are known.
    pub usd: Money,
    /// The LLM calls that the money is of, and those that it leaves out; empty where none was looked at.
    #[serde(default, skip_serializing_if = "Coverage::is_empty")]
    pub coverage: Coverage,
}

impl Loss {
    /// So many seconds of `whole` seconds, and so much money as far as it is known.
    ///
    /// ```
    /// use taximeter_models::{CostOutcome, KnownUsd, LlmCall, Loss};
    ///
    /// let mut call = LlmCall::new("somebody", "something");
    /// call.cost = CostOutcome::UnknownModel { nearest: vec![] };
    /// let lost = Loss::new(1.5, 6.0, KnownUsd::of(&[call]));
    /// assert_eq!((lost.share_of_time, lost.usd.is_zero()), (Some(0.25), true));
    /// assert_eq!(lost.coverage.to_string(), "without 1 of 1 calls (1 unpriced)");
    /// ```
    pub fn new(seconds: f64, whole_seconds: f64, spent: impl Into<KnownUsd>) -> Self {
        let share = (seconds / whole_seconds).min(1.0);
        let KnownUsd { usd, coverage } = spent.into();
        Self { seconds, share_of_time: share.is_finite().then_some(share), usd, coverage }
    }
}

/// One thing that stands out, with the operations that prove it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    /// What it costs; none where that was not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<Loss>,
}

/// What an advice asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    /// A prompt cache for what prompts begin with.
    PromptCaching,
    /// The tier for work that nobody waits for.
    BatchTier,
    /// Fewer tries, and longer pauses between them.
    RetryWithBackoff,
    /// A slower pace, or a higher limit of the provider.
    SpreadOrRaiseLimit,
    /// A shorter timeout.
    ShorterTimeout,
    /// A stop for agents that do the same again.
    StopLoops,
    /// A higher limit of the reply's length, or shorter replies.
    RaiseOutputLimit,
    /// Less context in a prompt, or an LLM with a larger window.
    ShorterContext,
    /// Shorter replies.
    ShorterReplies,
    /// An advice that another program wrote down in words.
    Noted,
}

/// What would be saved in an operation, in the mean.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Estimate<V> {
    /// At least this, with a confidence of 95 %.
    pub low: V,
    /// This is the most likely.
    pub likely: V,
    /// At most this, with a confidence of 95 %.
    pub high: V,
}

/// What an advice would save, by what was observed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Saving {
    /// The operations that were looked at.
    pub operations: u64,
    /// What was assumed, in words.
    pub assuming: String,
    /// Seconds of an operation in the mean; none where no time is saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<Estimate<f64>>,
    /// US dollars of an operation in the mean, as far as they are known; none where no money is saved, or no price is
    /// known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usd: Option<Estimate<Money>>,
    /// The LLM calls with which money could be saved, and those whose part in it is not known and left out; empty where
    /// none was looked at.
    #[serde(default, skip_serializing_if = "Coverage::is_empty")]
    pub coverage: Coverage,
}

impl Saving {
    /// A saving in so many operations, of nothing yet.
    pub fn new(operations: u64, assuming: impl Into<String>) -> Self {
        Self {
            operations,
            assuming: assuming.into(),
            seconds: None,
            usd: None,
            coverage: Coverage::default(),
        }
    }
}

/// What to change, and the finding behind it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Advice {
    /// What it asks for.
    pub advice: AdviceKind,
    /// It in words.
    pub text: String,
    /// Why.
    pub because: Finding,
    /// What it would save; none where that was not looked at, or cannot be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saving: Option<Saving>,
    /// How to see whether it helped, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub verify: String,
}

impl Finding {
    /// A finding about the operations of that name.
    pub fn new(operation: impl Into<Name>, kind: FindingKind, evidence: Vec<OperationId>) -> Self {
        Self { operation: operation.into(), kind, evidence, lost: None }
    }

    /// Says what it costs.
    pub fn losing(mut self, loss: Loss) -> Self {
        self.lost = Some(loss);
        self
    }
}

impl Advice {
    /// An advice with the finding behind it.
    pub fn new(advice: AdviceKind, text: impl Into<String>, because: Finding) -> Self {
        Self { advice, text: text.into(), because, saving: None, verify: String::new() }
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
            FindingKind::RetryStorm { target, retries, most_attempts } => write!(
                f,
                "{name} calls {target} again and again: {retries} are retries, up to {most_attempts} tries"
            ),
            FindingKind::RateLimited { target, refused } => {
                write!(f, "{target} refuses calls of {name}, too many at a time: {refused}")
            }
            FindingKind::Timeouts { target, timeouts, mean_wait_seconds, success_p99_seconds } => {
                write!(f, "{name} gives up waiting for {target}: {timeouts}")?;
                let (Some(wait), Some(p99)) = (mean_wait_seconds, success_p99_seconds) else {
                    return Ok(());
                };
                write!(f, ", after {wait:.3} s; 99 % of those that succeed take at most {p99:.3} s")
            }
            FindingKind::ToolLoop { tool, operations, most_calls } => write!(
                f,
                "{name} calls {tool} with the same arguments again, up to {most_calls} times: {operations}"
            ),
            FindingKind::TruncatedReplies { llm, truncated } => {
                write!(f, "replies of {llm} in {name} are cut off: {truncated}")
            }
            FindingKind::ContextPressure { llm, above, threshold } => write!(
                f,
                "{name} fills more than {:.0} % of the context window of {llm}, or all of it: {above}",
                threshold * 100.0
            ),
            FindingKind::ColdCache { llm, repeated, cached } => write!(
                f,
                "prompts of {name} to {llm} begin alike: {repeated}; of their input only {cached} came from a cache"
            ),
            FindingKind::LongReplies { llm, mean_output_tokens, share_of_cost } => write!(
                f,
                "{:.0} % of what {name} pays for {llm} is for replies, {mean_output_tokens:.0} tokens each",
                share_of_cost * 100.0
            ),
            FindingKind::BackgroundWork { calls } => {
                write!(f, "nobody waits for {name}, and its calls have the full price: {calls}")
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
