//! The windows that a store keeps: sums by operation, component, tool and LLM, and of all together.

use std::path::PathBuf;
use std::time::Duration;

use taximeter_analysis::{RollupConfig, Rollups, Sums, SumsError};
use taximeter_models::{
    ComponentTotal, LlmTotals, Name, OperationRecord, TokenUsage, ToolTotals, Totals,
};
use taximeter_persistence::StoreError;
use taximeter_persistence::store::{
    Block, Column, Numbers, Place, Summarize, Table, Unreadable, WindowBytes,
};

use super::part::{TABLES, merged, of_block};
use super::sums::PeriodSums;
use super::{History, Period, Summed};

/// Makes the windows of a store: [`Sums`] of all operations (`all`), of those of each name (`operation`), of each
/// `component` and `user`, and of the calls of each `tool`, `provider` and `llm`, as [`RollupConfig`] has them by default.
///
/// A store is opened with it; another store's windows would be other sums.
#[derive(Debug, Clone, Copy, Default)]
pub struct Windows;

/// The dimensions that are kept as windows.
pub(super) const ALL: &str = "all";
pub(super) const OPERATION: &str = "operation";
pub(super) const COMPONENT: &str = "component";
pub(super) const TOOL: &str = "tool";
pub(super) const PROVIDER: &str = "provider";
pub(super) const LLM: &str = "llm";
pub(super) const USER: &str = "user";

const UNKNOWN: &str = "unknown";

impl Summarize for Windows {
    fn windows(&self, records: &[&OperationRecord], put: &mut dyn FnMut(Place, WindowBytes)) {
        let mut rollups = Rollups::new(&RollupConfig::default());
        for record in records {
            rollups.add(record);
        }
        for rollup in rollups.finish() {
            let dimension = Name::from(rollup.dimension.to_string());
            for (key, sums) in rollup.keys {
                put(Place { dimension: dimension.clone(), key }, window(&sums));
            }
        }
    }

    fn tables(&self) -> &[(Table, &[Column])] {
        &TABLES
    }

    fn block(&self, tables: &[Block<'_>]) -> Option<Vec<u8>> {
        of_block(tables)
    }

    fn merge_blocks(&self, blocks: &[&[u8]]) -> Option<Vec<u8>> {
        merged(blocks)
    }

    fn merge(&self, windows: &[&[u8]]) -> Result<WindowBytes, Unreadable> {
        let mut merged = Sums::default();
        for bytes in windows {
            let read = Sums::from_bytes(bytes);
            merged.merge(&read.map_err(|why| Unreadable { why: why.to_string() })?);
        }
        Ok(window(&merged))
    }
}

/// Sums as they are kept.
pub(super) fn window(sums: &Sums) -> WindowBytes {
    let mut numbers = Numbers::default();
    numbers.count = sums.success.of;
    numbers.failed = sums.success.of - sums.success.hits;
    numbers.duration_ns = u64::try_from(sums.nanos.sum()).unwrap_or(u64::MAX);
    numbers.input_tokens = sums.usage.input_tokens();
    numbers.output_tokens = sums.usage.output_tokens();
    numbers.cost_usd = sums.cost.usd();
    numbers.unpriced = unpriced(sums) + sums.other_currency_calls;
    WindowBytes { bytes: sums.to_bytes(), numbers }
}

/// LLM calls whose cost in US dollars is not known, or not whole.
pub(super) fn unpriced(sums: &Sums) -> u64 {
    sums.cost.unpriced_calls + sums.cost.calls_without_usage
}

#[expect(clippy::needless_pass_by_value, reason = "this is what map_err gives")]
pub(super) fn damaged(why: SumsError) -> StoreError {
    StoreError::Damaged { doing: "reading", path: PathBuf::from("sums"), what: why.to_string() }
}

/// The totals of a period, put together from its sums.
pub(super) fn totals(
    history: &History,
    period: Period,
    sums: &PeriodSums,
) -> Result<Totals, StoreError> {
    let mut totals = Totals::default();
    add_all(&mut totals, &sums.all);
    let key = |sums: &Summed| sums.key.clone().unwrap_or_else(|| UNKNOWN.into());
    totals.tools.extend(sums.tools.iter().map(|tool| (key(tool), tool_totals(&tool.sums))));
    let llm = |llm: &Summed| (provider_and_model(llm.key.as_deref()), llm_totals(&llm.sums));
    totals.llms.extend(sums.llms.iter().map(llm));
    for component in history.sums(COMPONENT, period, None)? {
        let total =
            ComponentTotal { duration: component.sums.duration(), count: component.sums.runs };
        totals.components.insert(key(&component), total);
    }
    Ok(totals)
}

fn add_all(totals: &mut Totals, sums: &Sums) {
    let failed = sums.success.of - sums.success.hits;
    totals.successful_operations += sums.success.hits;
    totals.failed_operations += failed - sums.abandoned.min(failed);
    totals.abandoned_operations += sums.abandoned.min(failed);
    totals.duration = totals.duration.saturating_add(sums.duration());
    totals.usage += &sums.usage;
    totals.cost += &sums.cost;
    totals.errors += sums.errors;
    totals.warnings += sums.warnings;
    for (category, count) in &sums.errors_by_category {
        *totals.errors_by_category.entry(*category).or_default() += count;
    }
}

fn tool_totals(sums: &Sums) -> ToolTotals {
    let mut totals = ToolTotals::default();
    totals.success = sums.success;
    totals.timeouts = sums.timeouts;
    totals.duration = sums.duration();
    totals.timed_calls = sums.nanos.count();
    totals.errors = sums.errors_by_category.clone();
    totals
}

fn llm_totals(sums: &Sums) -> LlmTotals {
    let mut totals = LlmTotals::default();
    totals.success = sums.success;
    totals.duration = sums.duration();
    totals.timed_calls = sums.nanos.count();
    totals.usage = sums.usage.clone();
    totals.calls_with_usage = sums.calls_with_usage;
    totals.cost = sums.cost.clone();
    totals.errors = sums.errors_by_category.clone();
    totals
}

/// The tokens that were written into caches, for however long.
pub(super) fn cache_writes(usage: &TokenUsage) -> u64 {
    let writes = usage.iter().filter(|(unit, _)| unit.as_str().starts_with("cache_write"));
    writes.fold(0, |sum, (_, tokens)| sum.saturating_add(tokens))
}

/// The two parts of the key of an LLM. The provider has no slash, the LLM may; where there is none, no provider was told.
pub(super) fn provider_and_model(key: Option<&str>) -> (Name, Name) {
    let key = key.unwrap_or(UNKNOWN);
    let (provider, model) = key.split_once('/').unwrap_or((UNKNOWN, key));
    (provider.into(), model.into())
}

pub(super) fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}
