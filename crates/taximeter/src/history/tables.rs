//! The tables of a report: a row for each LLM and each tool, and who spends the most.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use taximeter_analysis::statistics::Proportion;
use taximeter_analysis::{Dimension, Sums, TokenSummary};
use taximeter_models::{
    CostTotals, ErrorCategory, Money, Name, OperationRecord, Outcome, Rate, Unit,
};

use super::windows::provider_and_model;
use super::{Group, Summed};

/// One LLM of one provider.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct LlmRow {
    /// The provider; `unknown` for calls that did not tell theirs.
    pub provider: Name,
    /// The LLM.
    pub model: Name,
    /// The calls that succeeded, of all, with an interval.
    pub success: Proportion,
    /// Half of the calls did not take longer, in seconds.
    pub p50_seconds: Option<f64>,
    /// 95 % did not.
    pub p95_seconds: Option<f64>,
    /// 95 % of the first tokens did not take longer, in seconds.
    pub first_token_p95_seconds: Option<f64>,
    /// Output tokens in a second after the first: the median.
    pub output_tokens_per_second: Option<f64>,
    /// Input tokens, the cached ones included.
    pub input_tokens: u64,
    /// Output tokens, reasoning included.
    pub output_tokens: u64,
    /// Input tokens that were read from a cache, of all.
    pub cache_read: Rate,
    /// Output tokens that were reasoning, of all.
    pub reasoning: Rate,
    /// What the calls cost: exact, estimated, unpriced.
    pub cost: CostTotals,
    /// What is known of it in US dollars.
    pub total_cost: Money,
    /// The same of a call, in the mean.
    pub mean_cost: Option<Money>,
    /// Replies that were cut off by a limit of their length, of those that told why they ended.
    pub truncated: Rate,
    /// Replies that ended to call a tool, of those that told why they ended.
    pub tool_replies: Rate,
    /// Calls that were not the first try, of all.
    pub retries: Rate,
}

/// One tool.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ToolRow {
    /// The tool.
    pub tool: Name,
    /// The calls that succeeded, of all, with an interval.
    pub success: Proportion,
    /// The category of which most errors are, and how many.
    pub top_error: Option<(ErrorCategory, u64)>,
    /// All errors by category, as far as they told theirs.
    pub errors_by_category: BTreeMap<ErrorCategory, u64>,
    /// Calls that took too long.
    pub timeouts: u64,
    /// Calls that were not the first try, of all.
    pub retries: Rate,
    /// Half of the calls did not take longer, in seconds.
    pub p50_seconds: Option<f64>,
    /// 95 % did not.
    pub p95_seconds: Option<f64>,
    /// The time of the calls as a part of the time of all operations; more than 1 where they run in parallel. None where
    /// that is zero.
    pub share_of_time: Option<f64>,
    /// What its failed calls came to in the newest operations of the period.
    pub failures: Failures,
}

/// What failed calls of a tool came to, in the operations that were looked at.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Failures {
    /// The calls that failed.
    pub calls: u64,
    /// How long these took together, in seconds.
    pub seconds: f64,
    /// The operations that had such a call, and did not succeed themselves.
    pub operations: u64,
    /// What is known of the cost of these operations, in US dollars: it was paid for nothing. One in which several tools
    /// failed counts for each of them.
    pub total_cost: Money,
    /// The LLM calls of these operations whose cost is not known.
    pub unpriced_calls: u64,
}

impl Failures {
    /// Of each tool, in these operations.
    pub(super) fn of(records: &[OperationRecord]) -> HashMap<Name, Self> {
        let mut all = HashMap::<Name, Self>::new();
        for record in records {
            let mut failed = Vec::new();
            for call in record.tool_calls.iter().filter(|call| !call.is_success()) {
                let one = all.entry(call.name.clone()).or_default();
                one.calls += 1;
                one.seconds += call.duration.unwrap_or_default().as_secs_f64();
                failed.push(&call.name);
            }
            failed.sort_unstable();
            failed.dedup();
            if record.outcome == Outcome::Success || failed.is_empty() {
                continue;
            }
            let cost = record.cost();
            for tool in failed {
                let one = all.entry(tool.clone()).or_default();
                one.operations += 1;
                one.total_cost += cost.usd();
                one.unpriced_calls += cost.unpriced_calls + cost.calls_without_usage;
            }
        }
        all
    }
}

/// Who spends the most, by one thing that operations have.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Spenders {
    /// By what they are told apart.
    pub by: Dimension,
    /// Those that spend the most, the first one first.
    pub top: Vec<Spender>,
    /// How many of all of them have a name: those that did not tell theirs are together, and are none of these.
    pub named: u64,
    /// How many others there are.
    pub others: u64,
    /// What the others cost together.
    pub others_cost: Money,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Spender {
    /// Who or what; none for operations that did not tell it.
    pub key: Option<Name>,
    /// What is known of the cost, in US dollars.
    pub total_cost: Money,
    /// How many operations.
    pub operations: u64,
    /// LLM calls whose cost is not known.
    pub unpriced_calls: u64,
}

/// So many spenders are named.
const NAMED: usize = 20;

/// A row for each LLM, the dearest first.
pub(super) fn llm_rows(llms: &[Summed]) -> Vec<LlmRow> {
    let mut rows: Vec<_> = llms.iter().map(|llm| llm_row(llm.key.as_deref(), &llm.sums)).collect();
    rows.sort_by_key(|row| std::cmp::Reverse((row.total_cost, row.success.rate.of)));
    rows
}

/// A row for each tool, the one that takes the most time first.
pub(super) fn tool_rows(tools: &[Summed], all: &Sums, records: &[OperationRecord]) -> Vec<ToolRow> {
    let failures = Failures::of(records);
    let mut tools: Vec<_> = tools.iter().collect();
    tools.sort_by_key(|tool| std::cmp::Reverse(tool.sums.nanos.sum()));
    let row = |tool: &Summed| {
        let failures = tool.key.as_ref().and_then(|key| failures.get(key)).copied();
        tool_row(tool.key.clone(), &tool.sums, all, failures.unwrap_or_default())
    };
    tools.into_iter().map(row).collect()
}

impl Spenders {
    pub(super) fn of(by: Dimension, mut groups: Vec<Group>) -> Self {
        super::groups::sort(&mut groups);
        let named = groups.iter().filter(|group| group.key.is_some()).count() as u64;
        let others = groups.split_off(groups.len().min(NAMED));
        Self {
            by,
            top: groups.iter().map(spender).collect(),
            named,
            others: others.len() as u64,
            others_cost: others.iter().map(|other| other.total_cost).sum(),
        }
    }
}

fn spender(group: &Group) -> Spender {
    Spender {
        key: group.key.clone(),
        total_cost: group.total_cost,
        operations: group.count(),
        unpriced_calls: group.unpriced_calls,
    }
}

fn llm_row(key: Option<&str>, sums: &Sums) -> LlmRow {
    let (provider, model) = provider_and_model(key);
    let tokens = TokenSummary::of(&sums.usage);
    let took = sums.nanos.distribution(1e-9);
    let reasoning = sums.usage.get(Unit::Reasoning).min(tokens.output_tokens);
    LlmRow {
        provider,
        model,
        success: Proportion::of(sums.success),
        p50_seconds: took.map(|took| took.p50),
        p95_seconds: took.map(|took| took.p95),
        first_token_p95_seconds: sums.first_token_nanos.distribution(1e-9).map(|f| f.p95),
        output_tokens_per_second: sums.milli_tokens_per_second.distribution(1e-3).map(|s| s.p50),
        input_tokens: tokens.input_tokens,
        output_tokens: tokens.output_tokens,
        cache_read: tokens.cache_read,
        reasoning: Rate { hits: reasoning, of: tokens.output_tokens },
        total_cost: sums.cost.usd(),
        mean_cost: sums.cost.usd().mean(sums.success.of),
        cost: sums.cost.clone(),
        truncated: sums.truncated,
        tool_replies: Rate { hits: sums.tool_replies, of: sums.truncated.of },
        retries: Rate { hits: sums.retries, of: sums.success.of },
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share needs no more than 53 bits")]
fn tool_row(key: Option<Name>, sums: &Sums, all: &Sums, failures: Failures) -> ToolRow {
    let took = sums.nanos.distribution(1e-9);
    let share = sums.nanos.sum() as f64 / all.nanos.sum() as f64;
    let top = sums.errors_by_category.iter().max_by_key(|(_, count)| **count);
    ToolRow {
        tool: key.unwrap_or_else(|| "unknown".into()),
        success: Proportion::of(sums.success),
        top_error: top.map(|(category, count)| (*category, *count)),
        errors_by_category: sums.errors_by_category.clone(),
        timeouts: sums.timeouts,
        retries: Rate { hits: sums.retries, of: sums.success.of },
        p50_seconds: took.map(|took| took.p50),
        p95_seconds: took.map(|took| took.p95),
        share_of_time: share.is_finite().then_some(share),
        failures,
    }
}
