//! The sums over many operations, kept as they come in: every total of a session is computed here and only here.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::time::Duration;

use serde::Serialize;

use crate::{
    Charge, ComponentTotal, CostTotals, ErrorCategory, LlmCall, Money, Name, OperationRecord,
    Outcome, Rate, TokenUsage, ToolCall,
};

/// The totals of a session, or of any other set of operations.
///
/// They can be kept up to date operation by operation and merged; the order does not matter.
///
/// ```
/// use taximeter_models::{OperationRecord, Totals};
///
/// let mut totals = Totals::default();
/// totals.add(&OperationRecord::new("qa_response"));
/// assert_eq!(totals.success_rate().to_string(), "100.0 % (1 of 1)");
/// assert_eq!(Totals::default().average_duration(), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Totals {
    /// Operations that succeeded.
    pub successful_operations: u64,
    /// Operations that failed.
    pub failed_operations: u64,
    /// Operations that were abandoned.
    pub abandoned_operations: u64,
    /// The durations of all operations, added up.
    pub duration: Duration,
    /// What all LLM calls consumed.
    pub usage: TokenUsage,
    /// What all LLM calls cost.
    pub cost: CostTotals,
    /// Errors in operations.
    pub errors: u64,
    /// Warnings in operations.
    pub warnings: u64,
    /// Errors by category: those of operations as far as they were kept.
    pub errors_by_category: BTreeMap<ErrorCategory, u64>,
    /// The calls of each tool.
    pub tools: BTreeMap<Name, ToolTotals>,
    /// The calls of each LLM, by provider and name.
    pub llms: BTreeMap<(Name, Name), LlmTotals>,
    /// The time of each component.
    pub components: BTreeMap<Name, ComponentTotal>,
}

/// The calls of one tool.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ToolTotals {
    /// The calls that succeeded, of all.
    pub success: Rate,
    /// The calls that took too long.
    pub timeouts: u64,
    /// The durations of the calls that told theirs, added up.
    #[serde(skip)]
    pub duration: Duration,
    /// The calls that told their duration.
    pub timed_calls: u64,
    /// The calls that did not succeed, by category.
    pub errors: BTreeMap<ErrorCategory, u64>,
}

/// The calls of one LLM.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct LlmTotals {
    /// The calls that succeeded, of all.
    pub success: Rate,
    /// The durations of the calls that told theirs, added up.
    #[serde(skip)]
    pub duration: Duration,
    /// The calls that told their duration.
    pub timed_calls: u64,
    /// What they consumed.
    pub usage: TokenUsage,
    /// The calls whose reply said what they consumed.
    pub calls_with_usage: u64,
    /// What they cost.
    pub cost: CostTotals,
    /// The calls that failed, by category.
    pub errors: BTreeMap<ErrorCategory, u64>,
}

/// Under this name stand the calls that did not tell their provider.
const NO_PROVIDER: &str = "unknown";

/// Under this name stand the calls that did not tell their LLM.
const NO_MODEL: &str = "unknown";

/// So many LLMs are few.
const FEW: usize = 16;

impl Totals {
    /// The totals of these operations.
    pub fn of<'a>(operations: impl IntoIterator<Item = &'a OperationRecord>) -> Self {
        let mut totals = Self::default();
        for operation in operations {
            totals.add(operation);
        }
        totals
    }

    /// Counts one operation.
    pub fn add(&mut self, operation: &OperationRecord) {
        self.add_charged(operation, |call| Charge::of(&call.cost, call.usage.as_ref()));
    }

    /// Counts one operation whose calls cost what is said here, whatever they hold themselves: for who needs no more of a
    /// cost than what it adds.
    ///
    /// ```
    /// use taximeter_models::{Charge, Currency, LlmCall, Money, OperationRecord, Totals};
    ///
    /// let mut answer = OperationRecord::new("answer");
    /// answer.llm_calls.push(LlmCall::new("openai", "gpt-4o")); // nobody has looked for a price yet
    /// let cent: Money = "0.01".parse()?;
    /// let mut totals = Totals::default();
    /// totals.add_charged(&answer, |_| Charge::exact(cent, Money::ZERO, Currency::USD));
    /// assert_eq!((totals.cost.usd(), totals.cost.is_complete()), (cent, true));
    /// totals.add(&answer);
    /// assert!(!totals.cost.is_complete());
    /// # Ok::<(), taximeter_models::ParseMoneyError>(())
    /// ```
    pub fn add_charged(
        &mut self,
        operation: &OperationRecord,
        mut charge: impl FnMut(&LlmCall) -> Charge,
    ) {
        *match operation.outcome {
            Outcome::Success => &mut self.successful_operations,
            Outcome::Failure => &mut self.failed_operations,
            Outcome::Abandoned => &mut self.abandoned_operations,
        } += 1;
        self.duration = self.duration.saturating_add(operation.duration);
        self.errors = self.errors.saturating_add(operation.error_count());
        self.warnings = self.warnings.saturating_add(operation.warning_count());
        for error in &operation.errors {
            *self.errors_by_category.entry(error.category).or_default() += 1;
        }
        for timing in &operation.components {
            at(&mut self.components, &timing.name, |total| {
                total.duration = total.duration.saturating_add(timing.duration);
                total.count = total.count.saturating_add(timing.count);
            });
        }
        for call in &operation.tool_calls {
            at(&mut self.tools, &call.name, |tool| tool.add(call));
        }
        for call in &operation.llm_calls {
            self.add_llm_call(call, &charge(call));
        }
    }

    fn add_llm_call(&mut self, call: &LlmCall, charge: &Charge) {
        if let Some(usage) = &call.usage {
            self.usage += usage;
        }
        self.cost.add_charge(charge);
        let provider = call.provider.as_ref();
        let model = call.request_model.as_ref().or(call.response_model.as_ref());
        // A map is asked for an owned key; as long as there are few, looking at each costs less than making one.
        let is_same =
            |(p, m): &(Name, Name)| is(m, model, NO_MODEL) && is(p, provider, NO_PROVIDER);
        if self.llms.len() <= FEW
            && let Some((_, totals)) = self.llms.iter_mut().find(|(key, _)| is_same(key))
        {
            return totals.add(call, charge);
        }
        let [provider, model] = [(provider, NO_PROVIDER), (model, NO_MODEL)]
            .map(|(name, without)| name.cloned().unwrap_or_else(|| without.into()));
        self.llms.entry((provider, model)).or_default().add(call, charge);
    }

    /// Operations of every outcome.
    pub fn operations(&self) -> u64 {
        self.successful_operations + self.failed_operations + self.abandoned_operations
    }

    /// The operations that succeeded, of all.
    pub fn success_rate(&self) -> Rate {
        Rate { hits: self.successful_operations, of: self.operations() }
    }

    /// The mean duration; none of no operations.
    pub fn average_duration(&self) -> Option<Duration> {
        mean(self.duration, self.operations())
    }

    /// The tool calls that succeeded, of all.
    pub fn tool_success(&self) -> Rate {
        let mut sum = Rate::default();
        self.tools.values().for_each(|tool| sum += tool.success);
        sum
    }

    /// The LLM calls that succeeded, of all.
    pub fn llm_success(&self) -> Rate {
        let mut sum = Rate::default();
        self.llms.values().for_each(|llm| sum += llm.success);
        sum
    }

    /// The mean cost in US dollars of an operation; none of no operations. It leaves out what is not known.
    pub fn average_cost(&self) -> Option<Money> {
        self.cost.usd().mean(self.operations())
    }
}

impl AddAssign<&Self> for Totals {
    fn add_assign(&mut self, other: &Self) {
        self.successful_operations += other.successful_operations;
        self.failed_operations += other.failed_operations;
        self.abandoned_operations += other.abandoned_operations;
        self.duration = self.duration.saturating_add(other.duration);
        self.usage += &other.usage;
        self.cost += &other.cost;
        self.errors = self.errors.saturating_add(other.errors);
        self.warnings = self.warnings.saturating_add(other.warnings);
        add_counts(&mut self.errors_by_category, &other.errors_by_category);
        for (name, tool) in &other.tools {
            at(&mut self.tools, name, |own| *own += tool);
        }
        for (name, llm) in &other.llms {
            *self.llms.entry(name.clone()).or_default() += llm;
        }
        for (name, component) in &other.components {
            at(&mut self.components, name, |total| {
                total.duration = total.duration.saturating_add(component.duration);
                total.count = total.count.saturating_add(component.count);
            });
        }
    }
}

impl ToolTotals {
    fn add(&mut self, call: &ToolCall) {
        self.success.record(call.is_success());
        self.timeouts += u64::from(call.status == crate::ToolStatus::Timeout);
        if let Some(duration) = call.duration {
            self.duration = self.duration.saturating_add(duration);
            self.timed_calls += 1;
        }
        if !call.is_success() {
            *self.errors.entry(call.error_category().unwrap_or_default()).or_default() += 1;
        }
    }

    /// The mean duration of the calls that told theirs.
    pub fn average_duration(&self) -> Option<Duration> {
        mean(self.duration, self.timed_calls)
    }
}

impl AddAssign<&Self> for ToolTotals {
    fn add_assign(&mut self, other: &Self) {
        self.success += other.success;
        self.timeouts += other.timeouts;
        self.duration = self.duration.saturating_add(other.duration);
        self.timed_calls += other.timed_calls;
        add_counts(&mut self.errors, &other.errors);
    }
}

impl LlmTotals {
    fn add(&mut self, call: &LlmCall, charge: &Charge) {
        self.success.record(call.is_success());
        if let Some(duration) = call.duration {
            self.duration = self.duration.saturating_add(duration);
            self.timed_calls += 1;
        }
        if let Some(usage) = &call.usage {
            self.usage += usage;
            self.calls_with_usage += 1;
        }
        self.cost.add_charge(charge);
        if let Some(error) = &call.error {
            *self.errors.entry(error.category).or_default() += 1;
        }
    }

    /// The mean duration of the calls that told theirs.
    pub fn average_duration(&self) -> Option<Duration> {
        mean(self.duration, self.timed_calls)
    }
}

impl AddAssign<&Self> for LlmTotals {
    fn add_assign(&mut self, other: &Self) {
        self.success += other.success;
        self.duration = self.duration.saturating_add(other.duration);
        self.timed_calls += other.timed_calls;
        self.usage += &other.usage;
        self.calls_with_usage += other.calls_with_usage;
        self.cost += &other.cost;
        add_counts(&mut self.errors, &other.errors);
    }
}

/// Whether it is this name, or the text that stands for none.
fn is(key: &Name, name: Option<&Name>, without: &str) -> bool {
    name.map_or(key == without, |name| key == name)
}

/// Changes what stands at a name. A name is cloned only where it is new: its count of holders is shared with other threads.
fn at<V: Default>(map: &mut BTreeMap<Name, V>, name: &Name, change: impl FnOnce(&mut V)) {
    match map.get_mut(name) {
        Some(value) => change(value),
        None => change(map.entry(name.clone()).or_default()),
    }
}

fn add_counts<K: Ord + Copy>(counts: &mut BTreeMap<K, u64>, more: &BTreeMap<K, u64>) {
    for (key, count) in more {
        *counts.entry(*key).or_default() += count;
    }
}

fn mean(sum: Duration, count: u64) -> Option<Duration> {
    let nanos = sum.as_nanos().checked_div(u128::from(count))?;
    Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
}
