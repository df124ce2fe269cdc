//! In which users, LLMs, tools or tags a change lies.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::AddAssign;

use taximeter_models::{LlmCall, Money, Name, OperationRecord, Rate};

use super::{Driven, Driver};
use crate::groups::Dimension;

/// A key that explains less than this of a change is none of its drivers.
const LEAST_SHARE: f64 = 0.1;
/// So much of a change is explained by those that are named.
const ENOUGH: f64 = 0.67;
/// A dimension whose keys all changed alike tells nothing: so many bits are no surprise.
const LEAST_SURPRISE: f64 = 0.01;

/// The amounts of one dimension, before and after, and the calls that are in neither, by key.
type Amounts<V> = BTreeMap<Option<Name>, (V, V, Rate)>;

pub(super) fn of_cost(
    before: &[&OperationRecord],
    after: &[&OperationRecord],
) -> Vec<Driven<Money>> {
    let amounts = |dimension: &Dimension| {
        let mut amounts = Amounts::<Money>::new();
        for (operations, is_after) in [(before, false), (after, true)] {
            for operation in operations {
                for call in &operation.llm_calls {
                    let key = match dimension {
                        Dimension::Llm => Some(call.llm_key().into()),
                        Dimension::Provider => call.provider.clone(),
                        _ => key(operation, dimension),
                    };
                    let usd = call.cost.known_usd();
                    let of_key = put(&mut amounts, key, usd.unwrap_or_default(), is_after);
                    of_key.record(usd.is_none());
                }
            }
        }
        amounts
    };
    let calls = [Dimension::Llm, Dimension::Provider, Dimension::Tool];
    let dimensions = calls.into_iter().chain(of_operations(before, after));
    driven(dimensions, amounts, Money::to_f64_lossy)
}

/// The amounts are parts of the mean duration.
pub(super) fn of_duration(
    before: &[&OperationRecord],
    after: &[&OperationRecord],
) -> Vec<Driven<f64>> {
    let mut driven = of_mean(before, after, |operation| operation.duration.as_secs_f64());
    driven.retain(|by| by.dimension != Dimension::Operation);
    driven
}

/// The amounts are parts of the mean of something.
#[expect(clippy::cast_precision_loss, reason = "a mean needs no more than 53 bits")]
pub(super) fn of_mean(
    before: &[&OperationRecord],
    after: &[&OperationRecord],
    of: impl Fn(&OperationRecord) -> f64,
) -> Vec<Driven<f64>> {
    let amounts = |dimension: &Dimension| {
        let mut amounts = Amounts::<f64>::new();
        for (operations, is_after) in [(before, false), (after, true)] {
            for operation in operations {
                let part = of(operation) / operations.len() as f64;
                put(&mut amounts, key(operation, dimension), part, is_after);
            }
        }
        amounts
    };
    let calls = [Dimension::Llm, Dimension::Tool];
    driven(calls.into_iter().chain(of_operations(before, after)), amounts, |part| part)
}

/// What operations can be told apart by, every tag included that one of them has.
fn of_operations(
    before: &[&OperationRecord],
    after: &[&OperationRecord],
) -> impl Iterator<Item = Dimension> + use<> {
    let tags: BTreeSet<Name> = before
        .iter()
        .chain(after)
        .flat_map(|operation| operation.tags.keys().map(|tag| tag.as_str().into()))
        .collect();
    let fixed = [Dimension::Operation, Dimension::User, Dimension::Session];
    fixed.into_iter().chain(tags.into_iter().map(Dimension::Tag))
}

/// The key of a whole operation; that of several calls is all that was called.
fn key(operation: &OperationRecord, dimension: &Dimension) -> Option<Name> {
    let joined = |names: BTreeSet<String>| {
        let all: Vec<String> = names.into_iter().collect();
        (!all.is_empty()).then(|| all.join(" + ").into())
    };
    match dimension {
        Dimension::Operation => Some(operation.name.clone()),
        Dimension::User => operation.user.clone(),
        Dimension::Session => operation.session.clone(),
        Dimension::Tag(tag) => operation.tags.get(tag.as_str()).map(|value| value.as_str().into()),
        Dimension::Llm => joined(operation.llm_calls.iter().map(LlmCall::llm_key).collect()),
        Dimension::Tool => {
            joined(operation.tool_calls.iter().map(|call| call.name.to_string()).collect())
        }
        _ => None,
    }
}

/// Adds an amount, and gives the calls of the key that are left out, to count on.
fn put<V: AddAssign + Default>(
    amounts: &mut Amounts<V>,
    key: Option<Name>,
    amount: V,
    is_after: bool,
) -> &mut Rate {
    let (before, after, left_out) = amounts.entry(key).or_default();
    *(if is_after { after } else { before }) += amount;
    left_out
}

fn driven<V: Copy>(
    dimensions: impl Iterator<Item = Dimension>,
    amounts: impl Fn(&Dimension) -> Amounts<V>,
    number: impl Fn(V) -> f64,
) -> Vec<Driven<V>> {
    let mut driven: Vec<Driven<V>> =
        dimensions.filter_map(|by| one(&by, amounts(&by), &number)).collect();
    driven.sort_by(|left, right| {
        let surprise = right.surprise.total_cmp(&left.surprise);
        surprise.then_with(|| left.by.len().cmp(&right.by.len()))
    });
    driven
}

/// None where the change is not in a few keys, or the dimension has but one.
fn one<V: Copy>(
    dimension: &Dimension,
    amounts: Amounts<V>,
    number: impl Fn(V) -> f64,
) -> Option<Driven<V>> {
    let sum =
        |of: fn(&(V, V, Rate)) -> V| amounts.values().map(|both| number(of(both))).sum::<f64>();
    let (before, after) = (sum(|both| both.0), sum(|both| both.1));
    // What differs by rounding alone has no drivers.
    let same = (after - before).abs() <= 1e-9 * after.max(before);
    if same || amounts.len() < 2 || before <= 0.0 || after <= 0.0 {
        return None;
    }
    let mut candidates: Vec<(f64, Driver<V>)> = amounts
        .into_iter()
        .map(|(key, (first, second, left_out))| {
            let share_of_change = (number(second) - number(first)) / (after - before);
            let surprise = surprise(number(first) / before, number(second) / after);
            (surprise, Driver { key, before: first, after: second, share_of_change, left_out })
        })
        .filter(|(_, driver)| driver.share_of_change >= LEAST_SHARE)
        .collect();
    candidates.sort_by(|left, right| right.0.total_cmp(&left.0));
    let mut driven = Driven { dimension: dimension.clone(), surprise: 0.0, by: Vec::new() };
    let mut explained = 0.0;
    for (surprise, driver) in candidates {
        if explained >= ENOUGH {
            break;
        }
        explained += driver.share_of_change;
        driven.surprise += surprise;
        driven.by.push(driver);
    }
    (explained >= ENOUGH && driven.surprise >= LEAST_SURPRISE).then_some(driven)
}

/// A key's term in the divergence of Jensen and Shannon between the shares before and after, in bits.
fn surprise(before: f64, after: f64) -> f64 {
    let middle = f64::midpoint(before, after);
    let term = |share: f64| if share > 0.0 { share * (share / middle).log2() } else { 0.0 };
    f64::midpoint(term(before), term(after)).max(0.0)
}
