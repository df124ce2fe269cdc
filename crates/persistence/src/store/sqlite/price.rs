//! What a call cost, in two parts: the explanation, which many calls share, and the numbers of one call.
//!
//! Where the numbers follow from the usage of the call and the rates of the explanation, they are not kept at all.

use std::hash::{BuildHasher, Hash, Hasher};

use foldhash::fast::RandomState;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use taximeter_models::{CostEstimate, CostLine, CostOutcome, Money, TokenUsage, Unit};

use super::cells::Wrong;

/// The numbers of one call, where they do not follow from its usage.
#[derive(Debug, Serialize, Deserialize)]
struct Numbers {
    /// Quantity and amount of each line.
    lines: Vec<(u64, Money)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tier: Option<u64>,
    /// The quantities that have no price.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    missing: Vec<u64>,
}

/// A cost as it is kept.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// The place of the explanation in [`Explanations`].
    pub(super) explanation: Option<usize>,
    /// JSON: the numbers where there is an explanation, or else the whole cost.
    pub(super) numbers: Option<Box<RawValue>>,
}

/// The explanations that were seen, so that the same is not written as JSON again.
#[derive(Debug, Default)]
pub(super) struct Explanations {
    hasher: RandomState,
    /// By the hash of what is constant.
    places: std::collections::HashMap<u64, Vec<usize>, RandomState>,
    seen: Vec<(CostOutcome, String)>,
}

/// Above so many explanations, all are forgotten.
const MOST_SEEN: usize = 16_384;

impl Explanations {
    /// The JSON of an explanation.
    pub(super) fn text(&self, place: usize) -> &str {
        &self.seen[place].1
    }

    /// Takes a cost apart.
    pub(super) fn split(&mut self, cost: &CostOutcome, usage: Option<&TokenUsage>) -> Parts {
        if self.seen.len() >= MOST_SEEN {
            *self = Self::default();
        }
        match cost {
            CostOutcome::Pending => Parts::default(),
            CostOutcome::Priced(_) | CostOutcome::PartlyUnpriced { .. } => Parts {
                explanation: Some(self.place(cost)),
                numbers: if follows(cost, usage) { None } else { raw(&numbers(cost)) },
            },
            CostOutcome::Free { .. }
            | CostOutcome::UnknownProvider { .. }
            | CostOutcome::UnknownModel { .. }
            | CostOutcome::NoPriceAt { .. }
            | CostOutcome::NoUsage => Parts { explanation: Some(self.place(cost)), numbers: None },
            other => Parts { explanation: None, numbers: raw(other) },
        }
    }

    fn place(&mut self, cost: &CostOutcome) -> usize {
        let mut hasher = self.hasher.build_hasher();
        constant(cost, &mut hasher);
        let places = self.places.entry(hasher.finish()).or_default();
        let same = places.iter().find(|place| is_same(&self.seen[**place].0, cost));
        if let Some(place) = same {
            return *place;
        }
        let explanation = without_numbers(cost);
        let text = json(&explanation);
        self.seen.push((explanation, text));
        places.push(self.seen.len() - 1);
        self.seen.len() - 1
    }
}

/// Puts a cost together again.
pub(super) fn join(
    explanation: Option<&CostOutcome>,
    numbers: Option<&str>,
    usage: Option<&TokenUsage>,
) -> Result<CostOutcome, Wrong> {
    let wrong = |error: serde_json::Error| format!("the price of a call: {error}");
    let mut cost = match (explanation, numbers) {
        (None, None) => return Ok(CostOutcome::Pending),
        (None, Some(whole)) => return serde_json::from_str(whole).map_err(wrong),
        (Some(explanation), _) => explanation.clone(),
    };
    let told = numbers.map(serde_json::from_str::<Numbers>).transpose().map_err(wrong)?;
    match &mut cost {
        CostOutcome::Priced(estimate) => fill(estimate, told.as_ref(), usage)?,
        CostOutcome::PartlyUnpriced { priced, missing } => {
            fill(priced, told.as_ref(), usage)?;
            for (place, (unit, quantity)) in missing.iter_mut().enumerate() {
                let number = told.as_ref().and_then(|told| told.missing.get(place).copied());
                *quantity = number.unwrap_or_else(|| consumed(usage, *unit));
            }
        }
        _ => {}
    }
    Ok(cost)
}

fn fill(
    estimate: &mut CostEstimate,
    told: Option<&Numbers>,
    usage: Option<&TokenUsage>,
) -> Result<(), Wrong> {
    if told.is_some_and(|told| told.lines.len() != estimate.lines.len()) {
        return Err("the price of a call has another number of lines".into());
    }
    for (place, line) in estimate.lines.iter_mut().enumerate() {
        (line.quantity, line.amount) = if let Some(told) = told {
            told.lines[place]
        } else {
            let quantity = consumed(usage, line.unit);
            (quantity, amount(line, quantity).ok_or("the price of a call does not follow")?)
        };
    }
    if let Some(tier) = &mut estimate.tier {
        let told = told.and_then(|told| told.tier);
        tier.value = told.unwrap_or_else(|| usage.map_or(0, TokenUsage::input_tokens));
    }
    Ok(())
}

/// Whether all numbers of a cost follow from the usage and the rates.
fn follows(cost: &CostOutcome, usage: Option<&TokenUsage>) -> bool {
    let Some(estimate) = cost.estimate() else { return false };
    let missing: &[(Unit, u64)] = match cost {
        CostOutcome::PartlyUnpriced { missing, .. } => missing,
        _ => &[],
    };
    estimate.lines.iter().all(|line| {
        line.quantity == consumed(usage, line.unit)
            && amount(line, line.quantity) == Some(line.amount)
    }) && estimate
        .tier
        .as_ref()
        .is_none_or(|tier| tier.value == usage.map_or(0, TokenUsage::input_tokens))
        && missing.iter().all(|(unit, quantity)| *quantity == consumed(usage, *unit))
}

/// What was consumed of a unit. A call is one request where its usage does not say otherwise.
fn consumed(usage: Option<&TokenUsage>, unit: Unit) -> u64 {
    let told = usage.map_or(0, |usage| usage.get(unit));
    if unit == Unit::Request { told.max(1) } else { told }
}

/// `quantity × rate × multiplier / per`, where that comes out to the tick; none where it does not, or is out of range.
fn amount(line: &CostLine, quantity: u64) -> Option<Money> {
    let (above, below) = line.multiplier.unwrap_or((1, 1));
    let product = line.rate.ticks().checked_mul(quantity.into())?.checked_mul(above.into())?;
    let divisor = i128::from(line.per).checked_mul(below.into())?;
    let rest = product.checked_rem(divisor)?;
    (rest == 0).then(|| Money::from_ticks(product / divisor))
}

fn numbers(cost: &CostOutcome) -> Numbers {
    let lines = cost.estimate().map_or(&[][..], |estimate| &estimate.lines);
    Numbers {
        lines: lines.iter().map(|line| (line.quantity, line.amount)).collect(),
        tier: cost.estimate().and_then(|estimate| Some(estimate.tier.as_ref()?.value)),
        missing: match cost {
            CostOutcome::PartlyUnpriced { missing, .. } => {
                missing.iter().map(|(_, quantity)| *quantity).collect()
            }
            _ => Vec::new(),
        },
    }
}

fn without_numbers(cost: &CostOutcome) -> CostOutcome {
    let mut cost = cost.clone();
    let estimate = match &mut cost {
        CostOutcome::Priced(estimate) => estimate,
        CostOutcome::PartlyUnpriced { priced, missing } => {
            for (_, quantity) in missing {
                *quantity = 0;
            }
            priced
        }
        _ => return cost,
    };
    for line in &mut estimate.lines {
        (line.quantity, line.amount) = (0, Money::ZERO);
    }
    if let Some(tier) = &mut estimate.tier {
        tier.value = 0;
    }
    cost
}

/// Hashes what does not change from call to call, as far as it tells explanations apart.
fn constant(cost: &CostOutcome, hasher: &mut impl Hasher) {
    cost.as_str().hash(hasher);
    if let Some(estimate) = cost.estimate() {
        estimate.card.model.hash(hasher);
        estimate.card.valid_from.hash(hasher);
        for line in &estimate.lines {
            (line.unit, line.rate, line.multiplier).hash(hasher);
        }
    }
}

/// Whether a cost has this explanation.
fn is_same(explanation: &CostOutcome, cost: &CostOutcome) -> bool {
    match (explanation, cost) {
        (CostOutcome::Priced(one), CostOutcome::Priced(other)) => explains(one, other),
        (
            CostOutcome::PartlyUnpriced { priced: one, missing },
            CostOutcome::PartlyUnpriced { priced: other, missing: lacks },
        ) => {
            let units =
                |list: &[(Unit, u64)]| list.iter().map(|(unit, _)| *unit).collect::<Vec<_>>();
            explains(one, other) && units(missing) == units(lacks)
        }
        (one, other) => one == other,
    }
}

fn explains(one: &CostEstimate, other: &CostEstimate) -> bool {
    let rates = |line: &CostLine| (line.unit, line.rate, line.per, line.multiplier, line.billed_as);
    let tier = |estimate: &CostEstimate| {
        estimate.tier.as_ref().map(|tier| (tier.metric.clone(), tier.bound))
    };
    one.currency == other.currency
        && one.lines.len() == other.lines.len()
        && one.lines.iter().map(rates).eq(other.lines.iter().map(rates))
        && (std::sync::Arc::ptr_eq(&one.card, &other.card) || one.card == other.card)
        && one.match_kind == other.match_kind
        && tier(one) == tier(other)
        && one.provider_inferred == other.provider_inferred
        && one.region_assumed == other.region_assumed
        && one.context_ignored == other.context_ignored
}

/// Costs are made of texts and numbers, which always can be written.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| Value::Null.to_string())
}

fn raw(value: &impl Serialize) -> Option<Box<RawValue>> {
    to_raw_value(value).ok()
}
