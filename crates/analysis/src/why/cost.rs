//! Why operations cost more: calls, retries, LLMs, tokens, cache, prices.

use std::collections::{BTreeMap, BTreeSet};

use taximeter_models::{CostOutcome, LlmCall, Money, OperationRecord, Rate, Unit};

use super::{CostCause, CostChange, drivers, factors};

/// Why the second of two periods costs more or less than the first.
///
/// The cost is a product: operations × first calls in an operation × calls for each first one (retries) × the LLMs' parts
/// of the calls × tokens in a call × the parts of the input by cache × prices. Each cause gets its Shapley value, so that
/// no order of the causes is preferred and the parts sum to the whole change, to the tick. What one of the periods does
/// not have (the price of an LLM that was not called) is taken from the other. Calls whose cost is not known count apart.
///
/// The drivers are found as by R. Bhagwan and others, "Adtributor: revenue debugging in advertising systems", NSDI
/// 2014: in each dimension the keys that explain at least a tenth of the change, the most surprising first, until they
/// explain two thirds of it; a dimension in which all keys changed alike tells nothing and is left out. Of tools it is the
/// cost of the operations that call them: a tool has none of its own.
///
/// ```
/// use taximeter_analysis::{CostCause, why_cost};
/// use taximeter_models::{CostOutcome, Currency, LlmCall, Money, OperationRecord, ReportedCost, TokenUsage};
///
/// let costing = |cents: i128| {
///     let (total, _) = Money::ratio(cents, 100).unwrap();
///     let mut call = LlmCall::new("openai", "gpt-4o").using(TokenUsage::new(1_000, 0));
///     call.cost = CostOutcome::ProviderReported(ReportedCost {
///         total, input: None, output: None, currency: Currency::USD,
///     });
///     let mut operation = OperationRecord::new("answer");
///     operation.llm_calls.push(call);
///     operation
/// };
/// // One operation at a price of 2 cents, then two at 3 cents.
/// let change = why_cost(&[costing(2)], &[costing(3), costing(3)]);
/// let parts: Vec<_> = change.parts.iter().map(|(cause, usd)| (*cause, usd.to_string())).collect();
/// assert!(parts.contains(&(CostCause::Operations, "0.025".into())));
/// assert!(parts.contains(&(CostCause::Price, "0.015".into())));
/// assert!(parts.contains(&(CostCause::Tokens, "0".into())));
///
/// // What is not known explains nothing, and is told.
/// let mut unknown = costing(2);
/// unknown.llm_calls[0].cost = CostOutcome::UnknownModel { nearest: vec![] };
/// let change = why_cost(&[costing(2)], &[costing(2), unknown]);
/// assert_eq!(change.left_out_after.to_string(), "50.0 % (1 of 2)");
/// assert!(!change.is_complete() && change.before == change.after);
/// ```
pub fn why_cost<'a>(
    before: impl IntoIterator<Item = &'a OperationRecord>,
    after: impl IntoIterator<Item = &'a OperationRecord>,
) -> CostChange {
    let (before, after): (Vec<_>, Vec<_>) =
        (before.into_iter().collect(), after.into_iter().collect());
    let (first, second) = (Period::of(&before), Period::of(&after));
    let whole = second.sum - first.sum;
    let parts = factors::shares(FACTORS, |changed| cost(&first, &second, changed));
    CostChange {
        before: first.sum,
        after: second.sum,
        parts: CostCause::ALL.into_iter().zip(exactly(whole, &parts)).collect(),
        left_out_before: first.left_out,
        left_out_after: second.left_out,
        drivers: drivers::of_cost(&before, &after),
    }
}

const FACTORS: u32 = 7;

/// The parts in money, such that they sum to the whole: what rounding leaves goes to the largest.
fn exactly(whole: Money, parts: &[f64]) -> Vec<Money> {
    let mut exact: Vec<Money> =
        parts.iter().map(|part| Money::from_f64_shortest(*part).unwrap_or_default()).collect();
    let rest = whole - exact.iter().copied().sum::<Money>();
    let largest = (0..parts.len()).max_by(|l, r| parts[*l].abs().total_cmp(&parts[*r].abs()));
    if let Some(largest) = largest {
        exact[largest] += rest;
    }
    exact
}

/// What has a price: a unit, or all that a provider's own amount is for.
type Item = Option<Unit>;

/// The amount of one thing, and its cost.
#[derive(Default)]
struct Line {
    quantity: f64,
    usd: Money,
}

/// The calls of one LLM.
#[derive(Default)]
struct LlmCalls {
    calls: f64,
    lines: BTreeMap<Item, Line>,
}

/// The calls of one period whose cost is known.
#[derive(Default)]
struct Period {
    operations: f64,
    calls: f64,
    first_calls: f64,
    sum: Money,
    llms: BTreeMap<String, LlmCalls>,
    left_out: Rate,
}

impl Period {
    fn of(operations: &[&OperationRecord]) -> Self {
        let mut period = Self::default();
        for operation in operations {
            period.operations += 1.0;
            for call in &operation.llm_calls {
                period.add(call);
            }
        }
        // Where there were only calls again, the first ones lie in the period before.
        if period.first_calls <= 0.0 {
            period.first_calls = period.calls;
        }
        period
    }

    fn add(&mut self, call: &LlmCall) {
        let usd = call.cost.known_usd();
        self.left_out.record(usd.is_none());
        let Some(usd) = usd else { return };
        self.sum += usd;
        self.calls += 1.0;
        self.first_calls += f64::from(u8::from(call.attempt <= 1));
        let llm = self.llms.entry(call.llm_key()).or_default();
        llm.calls += 1.0;
        llm.add_lines(call, usd);
    }

    /// The calls of an LLM as a part of all.
    fn share(&self, llm: &str) -> f64 {
        self.llms.get(llm).map_or(0.0, |llm| llm.calls) / self.calls
    }
}

impl LlmCalls {
    #[expect(clippy::cast_precision_loss, reason = "a part of a change needs no more than 53 bits")]
    fn add_lines(&mut self, call: &LlmCall, usd: Money) {
        let mut add = |item, quantity: u64, usd| {
            let line = self.lines.entry(item).or_default();
            line.quantity += quantity as f64;
            line.usd += usd;
        };
        match &call.cost {
            CostOutcome::Priced(estimate) if !estimate.lines.is_empty() => {
                for line in &estimate.lines {
                    add(Some(line.unit), line.quantity, line.amount);
                }
            }
            _ => {
                let tokens =
                    call.usage.as_ref().map_or(0, taximeter_models::TokenUsage::total_tokens);
                add(None, tokens.max(1), usd);
            }
        }
    }

    fn input(&self) -> f64 {
        self.lines.iter().filter(|(item, _)| is_input(**item)).map(|(_, line)| line.quantity).sum()
    }

    fn quantity(&self, item: Item) -> f64 {
        self.lines.get(&item).map_or(0.0, |line| line.quantity)
    }

    /// Of one call.
    fn price(&self, item: Item) -> Option<f64> {
        let line = self.lines.get(&item).filter(|line| line.quantity > 0.0)?;
        Some(line.usd.to_f64_lossy() / line.quantity)
    }
}

fn is_input(item: Item) -> bool {
    item.is_some_and(Unit::is_input_tokens)
}

/// The cost where the factors of `changed` are those of the second period, and all others those of the first.
fn cost(first: &Period, second: &Period, changed: u32) -> f64 {
    let has = |cause: CostCause| changed & (1 << cause as u32) != 0;
    // What a period cannot tell is taken from the other; where neither can, nothing is multiplied.
    let pick = |cause, of: &dyn Fn(&Period) -> f64| {
        let (own, other) = if has(cause) { (second, first) } else { (first, second) };
        [of(own), of(other)].into_iter().find(|value| value.is_finite()).unwrap_or_default()
    };
    let calls = pick(CostCause::Operations, &|period| period.operations)
        * pick(CostCause::CallsPerOperation, &|period| period.first_calls / period.operations)
        * pick(CostCause::Retries, &|period| period.calls / period.first_calls);
    let llms: BTreeSet<&String> = first.llms.keys().chain(second.llms.keys()).collect();
    let of_llm = |llm: &String| {
        let share = pick(CostCause::LlmMix, &|period| period.share(llm));
        share * call_cost(first.llms.get(llm), second.llms.get(llm), &has)
    };
    let mean_call: f64 = llms.into_iter().map(of_llm).sum();
    calls * mean_call
}

/// The mean cost of one call of an LLM.
fn call_cost(
    first: Option<&LlmCalls>,
    second: Option<&LlmCalls>,
    has: &impl Fn(CostCause) -> bool,
) -> f64 {
    let pick = |cause, of: &dyn Fn(&LlmCalls) -> Option<f64>| {
        let (own, other) = if has(cause) { (second, first) } else { (first, second) };
        let told = [own, other].into_iter().flatten().filter_map(of);
        told.into_iter().find(|value| value.is_finite()).unwrap_or_default()
    };
    let items: BTreeSet<Item> =
        first.into_iter().chain(second).flat_map(|llm| llm.lines.keys().copied()).collect();
    let input = pick(CostCause::Tokens, &|llm| Some(llm.input() / llm.calls));
    let amount = |item: Item| {
        let price = pick(CostCause::Price, &|llm| llm.price(item));
        let quantity = if is_input(item) {
            input * pick(CostCause::Cache, &|llm| Some(llm.quantity(item) / llm.input()))
        } else {
            pick(CostCause::Tokens, &|llm| Some(llm.quantity(item) / llm.calls))
        };
        price * quantity
    };
    items.into_iter().map(amount).sum()
}
