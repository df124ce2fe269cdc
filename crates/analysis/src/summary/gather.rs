//! One pass over the operations, which keeps what the summaries need.
//!
//! Sums come from [`Totals`], where they are defined; only what it does not keep is gathered here.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use taximeter_models::{
    ComponentTotal, CostTotals, ErrorCategory, LlmCall, Name, OperationRecord, Outcome, Rate,
    TokenUsage, ToolTotals, Totals,
};

use super::{
    ComponentSummary, LlmSummary, OperationSummary, SessionSummary, TokenSummary, ToolSummary,
};
use crate::bottlenecks::component_times;
use crate::cost::KnownCosts;
use crate::statistics::{Distribution, Proportion};

#[derive(Debug, Default)]
pub(super) struct Gathered {
    totals: Totals,
    known_costs: KnownCosts,
    operations: BTreeMap<Name, Operations>,
    components: BTreeMap<Name, Components>,
    tool_seconds: BTreeMap<Name, Vec<f64>>,
    llms: BTreeMap<(Name, Name), LlmValues>,
}

/// The operations of one name.
#[derive(Debug, Default)]
struct Operations {
    success: Rate,
    abandoned: u64,
    duration: Duration,
    seconds: Vec<f64>,
    usage: TokenUsage,
    cost: CostTotals,
    known_costs: KnownCosts,
    errors: u64,
    warnings: u64,
    errors_by_category: BTreeMap<ErrorCategory, u64>,
}

/// One component, in the operations that have it.
#[derive(Debug, Default)]
struct Components {
    success: Rate,
    seconds: Vec<f64>,
    errors_by_category: BTreeMap<ErrorCategory, u64>,
}

/// The calls of one LLM.
#[derive(Debug, Default)]
struct LlmValues {
    seconds: Vec<f64>,
    first_token_seconds: Vec<f64>,
    tokens_per_second: Vec<f64>,
}

impl Gathered {
    pub(super) fn add(&mut self, operation: &OperationRecord) {
        self.totals.add(operation);
        let cost = operation.cost();
        self.known_costs.add(&cost);
        self.operations.entry(operation.name.clone()).or_default().add(operation, &cost);
        self.add_components(operation);
        for call in &operation.tool_calls {
            let seconds = self.tool_seconds.entry(call.name.clone()).or_default();
            seconds.extend(call.duration.map(|duration| duration.as_secs_f64()));
        }
        for call in &operation.llm_calls {
            let provider = call.provider.clone().unwrap_or_else(|| "unknown".into());
            self.llms.entry((provider, call.model().into())).or_default().add(call);
        }
    }

    fn add_components(&mut self, operation: &OperationRecord) {
        let failing: BTreeSet<&str> =
            operation.errors.iter().filter_map(|error| error.component.as_deref()).collect();
        for (name, time) in component_times(operation) {
            let component = self.components.entry(name.into()).or_default();
            component.success.record(!failing.contains(name));
            component.seconds.push(time.as_secs_f64());
            let errors = operation.errors.iter();
            for error in errors.filter(|error| error.component.as_deref() == Some(name)) {
                *component.errors_by_category.entry(error.category).or_default() += 1;
            }
        }
    }

    pub(super) fn into_summary(mut self) -> SessionSummary {
        let seconds =
            self.operations.values().flat_map(|operations| &operations.seconds).copied().collect();
        let whole = self.totals.duration;
        let operations = std::mem::take(&mut self.operations);
        SessionSummary {
            success: Proportion::of(self.totals.success_rate()),
            duration_seconds: Distribution::of(seconds),
            tokens: TokenSummary::of(&self.totals.usage),
            mean_cost_usd: self.known_costs.mean(),
            operations: operations
                .into_iter()
                .map(|(name, operations)| (name, operations.into_summary(whole)))
                .collect(),
            components: self.component_summaries(),
            tools: self.tool_summaries(),
            llms: self.llm_summaries(),
            totals: self.totals,
        }
    }

    fn component_summaries(&mut self) -> BTreeMap<Name, ComponentSummary> {
        let mut components = std::mem::take(&mut self.components);
        let summary = |(name, total): (&Name, &ComponentTotal)| {
            let gathered = components.remove(name.as_str()).unwrap_or_default();
            let summary = ComponentSummary {
                success: Proportion::of(gathered.success),
                runs: total.count,
                duration_seconds: Distribution::of(gathered.seconds),
                share_of_time: share(total.duration, self.totals.duration),
                errors_by_category: gathered.errors_by_category,
            };
            (name.clone(), summary)
        };
        self.totals.components.iter().map(summary).collect()
    }

    fn tool_summaries(&mut self) -> BTreeMap<Name, ToolSummary> {
        let mut seconds = std::mem::take(&mut self.tool_seconds);
        let summary = |(name, total): (&Name, &ToolTotals)| {
            let summary = ToolSummary {
                success: Proportion::of(total.success),
                timeouts: total.timeouts,
                duration_seconds: Distribution::of(
                    seconds.remove(name.as_str()).unwrap_or_default(),
                ),
                share_of_time: share(total.duration, self.totals.duration),
                errors_by_category: total.errors.clone(),
            };
            (name.clone(), summary)
        };
        self.totals.tools.iter().map(summary).collect()
    }

    fn llm_summaries(&mut self) -> Vec<LlmSummary> {
        let mut gathered = std::mem::take(&mut self.llms);
        let mut summaries = Vec::with_capacity(self.totals.llms.len());
        for (key, total) in &self.totals.llms {
            let values = gathered.remove(key).unwrap_or_default();
            let (provider, model) = key.clone();
            summaries.push(LlmSummary {
                provider,
                model,
                success: Proportion::of(total.success),
                duration_seconds: Distribution::of(values.seconds),
                share_of_time: share(total.duration, self.totals.duration),
                time_to_first_token_seconds: Distribution::of(values.first_token_seconds),
                output_tokens_per_second: Distribution::of(values.tokens_per_second),
                calls_with_usage: total.calls_with_usage,
                tokens: TokenSummary::of(&total.usage),
                cost: total.cost.clone(),
                errors_by_category: total.errors.clone(),
            });
        }
        summaries
    }
}

impl Operations {
    fn add(&mut self, operation: &OperationRecord, cost: &CostTotals) {
        self.success.record(operation.is_success());
        self.abandoned += u64::from(operation.outcome == Outcome::Abandoned);
        self.duration = self.duration.saturating_add(operation.duration);
        self.seconds.push(operation.duration.as_secs_f64());
        for usage in operation.llm_calls.iter().filter_map(|call| call.usage.as_ref()) {
            self.usage += usage;
        }
        self.cost += cost;
        self.known_costs.add(cost);
        self.errors = self.errors.saturating_add(operation.error_count());
        self.warnings = self.warnings.saturating_add(operation.warning_count());
        for error in &operation.errors {
            *self.errors_by_category.entry(error.category).or_default() += 1;
        }
    }

    fn into_summary(self, whole: Duration) -> OperationSummary {
        OperationSummary {
            success: Proportion::of(self.success),
            abandoned: self.abandoned,
            duration_seconds: Distribution::of(self.seconds),
            share_of_time: share(self.duration, whole),
            tokens: TokenSummary::of(&self.usage),
            cost: self.cost,
            mean_cost_usd: self.known_costs.mean(),
            errors: self.errors,
            warnings: self.warnings,
            errors_by_category: self.errors_by_category,
        }
    }
}

impl LlmValues {
    fn add(&mut self, call: &LlmCall) {
        self.seconds.extend(call.duration.map(|duration| duration.as_secs_f64()));
        self.first_token_seconds
            .extend(call.time_to_first_token.map(|duration| duration.as_secs_f64()));
        self.tokens_per_second.extend(call.output_tokens_per_second());
    }
}

fn share(part: Duration, whole: Duration) -> Option<f64> {
    (!whole.is_zero()).then(|| part.as_secs_f64() / whole.as_secs_f64())
}
