//! The numbers of a run: totals, and how each operation, component, tool and LLM did.

mod gather;

use std::collections::BTreeMap;

use serde::Serialize;
use taximeter_models::{
    CostTotals, ErrorCategory, Money, Name, OperationRecord, Rate, TokenUsage, Totals, Unit,
};

use crate::statistics::{Distribution, Proportion};

/// The numbers of a run, or of any other set of operations.
///
/// A field whose name ends in `_seconds` is in seconds. Standard deviations are of the sample; percentiles are exact,
/// by definition 7 of Hyndman and Fan; see [`Distribution`]. The counts of the operations, of the tools and of the
/// LLMs sum exactly to those of `totals`, and so do the costs of the operations and those of the LLMs.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SessionSummary {
    /// The sums over all operations.
    pub totals: Totals,
    /// The operations that succeeded, of all.
    pub success: Proportion,
    /// The durations of all operations; none of no operations.
    pub duration_seconds: Option<Distribution>,
    /// The tokens of all LLM calls.
    pub tokens: TokenSummary,
    /// The mean cost of an operation in US dollars, over those whose cost is known; none where there is none.
    pub mean_cost_usd: Option<Money>,
    /// By name of operation.
    pub operations: BTreeMap<Name, OperationSummary>,
    /// By name of component.
    pub components: BTreeMap<Name, ComponentSummary>,
    /// By name of tool.
    pub tools: BTreeMap<Name, ToolSummary>,
    /// By provider, then by LLM.
    pub llms: Vec<LlmSummary>,
}

/// The operations of one name.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct OperationSummary {
    /// Those that succeeded, of all.
    pub success: Proportion,
    /// Those that were abandoned.
    pub abandoned: u64,
    /// Their durations.
    pub duration_seconds: Option<Distribution>,
    /// Their part of the time of all operations, 0 to 1; none where that is zero. An operation within another has
    /// its time in both.
    pub share_of_time: Option<f64>,
    /// The tokens of their LLM calls.
    pub tokens: TokenSummary,
    /// The cost of their LLM calls.
    pub cost: CostTotals,
    /// Their mean cost in US dollars, over those whose cost is known; none where there is none.
    pub mean_cost_usd: Option<Money>,
    /// Their errors.
    pub errors: u64,
    /// Their warnings.
    pub warnings: u64,
    /// Their errors by category, as far as they were kept.
    pub errors_by_category: BTreeMap<ErrorCategory, u64>,
}

/// One component, in all operations that have it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ComponentSummary {
    /// The operations with it in which no error arose in it (as far as errors were kept), of all with it.
    pub success: Proportion,
    /// How many times it ran; more than the operations with it where it ran several times in one.
    pub runs: u64,
    /// Its time in an operation, its runs added up.
    pub duration_seconds: Option<Distribution>,
    /// Its part of the time of all operations; more than 1 where it runs in parallel to itself. None where that
    /// time is zero.
    pub share_of_time: Option<f64>,
    /// The errors that arose in it by category, as far as they were kept.
    pub errors_by_category: BTreeMap<ErrorCategory, u64>,
}

/// The calls of one tool.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ToolSummary {
    /// Those that succeeded, of all.
    pub success: Proportion,
    /// Those that took too long.
    pub timeouts: u64,
    /// The durations of those that told theirs; none where none did.
    pub duration_seconds: Option<Distribution>,
    /// Their part of the time of all operations; more than 1 where they run in parallel. None where that time is
    /// zero.
    pub share_of_time: Option<f64>,
    /// Those that did not succeed, by category.
    pub errors_by_category: BTreeMap<ErrorCategory, u64>,
}

/// The calls of one LLM at one provider.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LlmSummary {
    /// The provider; `unknown` for the calls that did not tell theirs.
    pub provider: Name,
    /// The LLM that answered, else the one that was asked for; `unknown` where neither was told.
    pub model: Name,
    /// The calls that succeeded, of all.
    pub success: Proportion,
    /// The durations of the calls that told theirs; none where none did.
    pub duration_seconds: Option<Distribution>,
    /// Their part of the time of all operations; more than 1 where they run in parallel. None where that time is
    /// zero.
    pub share_of_time: Option<f64>,
    /// How long the first token took, in the calls that told it; none where none did.
    pub time_to_first_token_seconds: Option<Distribution>,
    /// The output tokens in a second after the first token; none where no call told its usage and its times.
    pub output_tokens_per_second: Option<Distribution>,
    /// The calls whose reply said what they consumed.
    pub calls_with_usage: u64,
    /// Their tokens.
    pub tokens: TokenSummary,
    /// Their cost.
    pub cost: CostTotals,
    /// The calls that failed, by category.
    pub errors_by_category: BTreeMap<ErrorCategory, u64>,
}

/// Tokens by kind.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[non_exhaustive]
pub struct TokenSummary {
    /// All that went in.
    pub input_tokens: u64,
    /// All that came out.
    pub output_tokens: u64,
    /// Both.
    pub total_tokens: u64,
    /// The input tokens that were read from a prompt cache, of all input tokens.
    pub cache_read: Rate,
    /// The same as a share, 0 to 1; none where nothing went in.
    pub cache_read_share: Option<f64>,
    /// The tokens of each kind, and what else was consumed.
    pub by_kind: TokenUsage,
}

impl TokenSummary {
    /// The tokens of this usage.
    pub fn of(usage: &TokenUsage) -> Self {
        let read = [Unit::CacheRead, Unit::CacheReadAudio, Unit::CacheReadImage]
            .into_iter()
            .fold(0_u64, |sum, unit| sum.saturating_add(usage.get(unit)));
        let input_tokens = usage.input_tokens();
        let cache_read = Rate { hits: read.min(input_tokens), of: input_tokens };
        Self {
            input_tokens,
            output_tokens: usage.output_tokens(),
            total_tokens: usage.total_tokens(),
            cache_read,
            cache_read_share: cache_read.fraction(),
            by_kind: usage.clone(),
        }
    }
}

/// The numbers of these operations.
///
/// ```
/// use std::time::Duration;
/// use taximeter_analysis::summarize;
/// use taximeter_models::{LlmCall, OperationRecord, TokenUsage};
///
/// let mut operation = OperationRecord::new("qa_response");
/// operation.duration = Duration::from_secs(2);
/// operation.add_component("llm_inference", Duration::from_millis(1_500));
/// let usage = TokenUsage::inclusive(1_200, 350).cache_read(300).build()?;
/// operation.llm_calls.push(LlmCall::new("openai", "gpt-4o").using(usage));
///
/// let summary = summarize([&operation]);
/// assert_eq!(summary.components["llm_inference"].share_of_time, Some(0.75));
/// assert_eq!(summary.llms[0].tokens.cache_read_share, Some(0.25));
/// assert_eq!(summary.operations["qa_response"].mean_cost_usd, None); // nobody has looked for a price yet
/// # Ok::<(), taximeter_models::UsageError>(())
/// ```
pub fn summarize<'a>(operations: impl IntoIterator<Item = &'a OperationRecord>) -> SessionSummary {
    let mut summarizer = Summarizer::default();
    for operation in operations {
        summarizer.add(operation);
    }
    summarizer.finish()
}

/// Makes a summary of operations that come one by one and need not be kept: it holds sums, and of each duration the
/// number.
///
/// ```
/// use taximeter_analysis::{Summarizer, summarize};
/// use taximeter_models::OperationRecord;
///
/// let mut summarizer = Summarizer::default();
/// summarizer.add(&OperationRecord::new("qa_response"));
/// assert_eq!(summarizer.finish(), summarize([&OperationRecord::new("qa_response")]));
/// assert_eq!(Summarizer::default().finish().duration_seconds, None); // of nothing
/// ```
#[derive(Debug, Default)]
pub struct Summarizer(gather::Gathered);

impl Summarizer {
    /// Counts one operation.
    pub fn add(&mut self, operation: &OperationRecord) {
        self.0.add(operation);
    }

    /// The summary of all that came.
    pub fn finish(self) -> SessionSummary {
        self.0.into_summary()
    }
}
