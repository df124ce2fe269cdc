//! Why it costs or takes more: the parts sum to the whole, and a change of one cause is found in that one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use taximeter_analysis::{CostCause, Dimension, why_cost, why_duration};
use taximeter_models::{
    CardBasis, CostEstimate, CostLine, CostOutcome, Currency, LlmCall, MatchKind, Money, Name,
    OperationId, OperationRecord, RateCardRef, TokenUsage, Unit,
};

use crate::assert_finite;
use crate::drawn::operations;

fn card() -> RateCardRef {
    RateCardRef {
        provider: "openai".into(),
        model: "any".into(),
        valid_from: None,
        basis: CardBasis::Unknown,
        source: "test".into(),
        checked_on: None,
    }
}

/// A call of so many tokens of each unit, at so many millionths of a dollar for each.
fn call(llm: &str, tokens: &[(Unit, u64, i128)]) -> LlmCall {
    let line = |(unit, quantity, micros): &(Unit, u64, i128)| {
        let rate = Money::from_ticks(Money::TICKS_PER_UNIT / 1_000_000 * micros);
        let amount = rate.checked_mul(i128::from(*quantity)).expect("an amount");
        let (unit, quantity) = (*unit, *quantity);
        CostLine { unit, quantity, rate, per: 1, multiplier: None, billed_as: None, amount }
    };
    let usage: BTreeMap<Unit, u64> =
        tokens.iter().map(|(unit, count, _)| (*unit, *count)).collect();
    let mut call = LlmCall::new("openai", llm).using(TokenUsage::try_from(usage).expect("tokens"));
    call.cost = CostOutcome::Priced(Box::new(CostEstimate {
        currency: Currency::USD,
        lines: tokens.iter().map(line).collect(),
        card: Arc::new(card()),
        match_kind: MatchKind::Exact,
        tier: None,
        provider_inferred: false,
        region_assumed: None,
        context_ignored: Vec::new(),
    }));
    call
}

/// An answer by one LLM: input, cached input and output tokens, and the price of a token of the first.
fn answer(llm: &str, (input, cached, output): (u64, u64, u64), micros: i128) -> OperationRecord {
    let mut operation = OperationRecord::new("answer");
    let tokens = [
        (Unit::Input, input, 10 * micros),
        (Unit::CacheRead, cached, micros),
        (Unit::Output, output, 40 * micros),
    ];
    operation.llm_calls.push(call(llm, &tokens));
    operation
}

fn answers(count: usize, llm: &str, tokens: (u64, u64, u64), micros: i128) -> Vec<OperationRecord> {
    vec![answer(llm, tokens, micros); count]
}

/// Only this cause has a part, and it is the whole change.
fn check(cause: CostCause, before: &[OperationRecord], after: &[OperationRecord]) {
    let change = why_cost(before, after);
    let whole = change.after - change.before;
    assert!(!whole.is_zero());
    for (found, usd) in &change.parts {
        let expected = if *found == cause { whole } else { Money::ZERO };
        let difference = (*usd - expected).to_f64_lossy().abs();
        assert!(difference < 1e-9, "{cause:?}: {change:?}");
    }
}

#[test]
fn a_change_of_one_cause_is_found_in_that_one() {
    let usual = (900, 100, 200);
    let before = answers(10, "gpt-4o", usual, 1);
    check(CostCause::Operations, &before, &answers(15, "gpt-4o", usual, 1));
    check(CostCause::Price, &before, &answers(10, "gpt-4o", usual, 3));
    check(CostCause::Tokens, &before, &answers(10, "gpt-4o", (1_800, 200, 400), 1));
    check(CostCause::Tokens, &before, &answers(10, "gpt-4o", (900, 100, 500), 1));
    check(CostCause::Cache, &before, &answers(10, "gpt-4o", (100, 900, 200), 1));
    check(CostCause::Cache, &answers(10, "gpt-4o", (1_000, 0, 200), 1), &before);
    check(CostCause::LlmMix, &before, &answers(10, "o3", usual, 5));
    let mut twice = before.clone();
    let mut retried = before.clone();
    for (twice, retried) in twice.iter_mut().zip(&mut retried) {
        let again = twice.llm_calls[0].clone();
        twice.llm_calls.push(again.clone());
        retried.llm_calls.push(again);
        retried.llm_calls[1].attempt = 2;
    }
    check(CostCause::CallsPerOperation, &before, &twice);
    check(CostCause::Retries, &before, &retried);
    check(CostCause::Operations, &before, &[]);
}

#[test]
fn the_user_who_drives_it_is_named() {
    let usual = (900, 100, 200);
    let of = |user: &str, team: &str, count: usize| {
        let mut operations = answers(count, "gpt-4o", usual, 1);
        for operation in &mut operations {
            operation.user = Some(user.into());
            operation.tags.insert("team".into(), team.into());
        }
        operations
    };
    let before = [of("ann", "a", 50), of("bob", "b", 50), of("eve", "b", 50)].concat();
    let after = [of("ann", "a", 50), of("bob", "b", 300), of("eve", "b", 51)].concat();
    let change = why_cost(&before, &after);
    assert_eq!(change.drivers[0].dimension, Dimension::User, "{:?}", change.drivers);
    let keys: Vec<_> = change.drivers[0].by.iter().map(|by| by.key.clone()).collect();
    assert_eq!(keys, [Some(Name::from("bob"))]);
    assert!(change.drivers[0].by[0].share_of_change > 0.98);
    // Where all grow alike, nobody drives it.
    let doubled = [before.clone(), before.clone()].concat();
    assert_eq!(why_cost(&before, &doubled).drivers, []);
}

#[test]
fn the_tag_whose_operations_are_slower_is_named() {
    let operation = |id: u128, version: &str, millis: u64| {
        let mut operation = OperationRecord::new("answer");
        operation.id = OperationId::from_bits(id);
        operation.duration = Duration::from_millis(millis);
        operation.add_component("llm", Duration::from_millis(millis - 100));
        operation.tags.insert("version".into(), version.into());
        operation.user = Some(["ann", "bob"][(id % 2) as usize].into());
        operation
    };
    let before: Vec<_> =
        (0..40).map(|id| operation(id, ["1", "2"][(id / 2 % 2) as usize], 1_000)).collect();
    let slower = |id: u128| match id / 2 % 2 {
        0 => operation(id, "1", 1_000),
        _ => operation(id, "2", 3_000),
    };
    let after: Vec<_> = (0..40).map(slower).collect();
    let change = why_duration(&before, &after, "answer").unwrap();
    assert!((change.after_seconds - change.before_seconds - 1.0).abs() < 1e-9);
    assert_eq!(change.parts[0].part.to_string(), "llm");
    assert!((change.parts[0].change_seconds - 1.0).abs() < 1e-9);
    assert_eq!(change.drivers.len(), 1, "{:?}", change.drivers);
    assert_eq!(change.drivers[0].dimension.to_string(), "tag:version");
    assert_eq!(change.drivers[0].by[0].key.as_deref(), Some("2"));
}

fn drawn_answers() -> impl Strategy<Value = Vec<OperationRecord>> {
    let tokens = (0..2_000_u64, 0..2_000_u64, 0..500_u64);
    let one =
        (0..3_usize, tokens, 1..9_i128, 1..4_u32).prop_map(|(llm, tokens, micros, attempt)| {
            let mut operation = answer(["a", "b", "c"][llm], tokens, micros);
            operation.llm_calls[0].attempt = attempt;
            operation
        });
    prop::collection::vec(one, 0..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_parts_sum_to_the_whole_and_the_way_back_is_the_opposite(
        before in drawn_answers(), after in drawn_answers(),
    ) {
        let change = why_cost(&before, &after);
        let sum: Money = change.parts.iter().map(|(_, usd)| *usd).sum();
        prop_assert_eq!(sum, change.after - change.before);
        let back = why_cost(&after, &before);
        for ((_, there), (_, back)) in change.parts.iter().zip(&back.parts) {
            prop_assert!((*there + *back).to_f64_lossy().abs() < 1e-9);
        }
    }

    #[test]
    fn scaling_the_money_scales_the_parts(before in drawn_answers(), after in drawn_answers(), times in 2..9_i128) {
        let scaled = |operations: &[OperationRecord]| {
            let mut operations = operations.to_vec();
            for call in operations.iter_mut().flat_map(|operation| &mut operation.llm_calls) {
                let CostOutcome::Priced(cost) = &mut call.cost else { continue };
                for line in &mut cost.lines {
                    line.amount = line.amount.checked_mul(times).expect("an amount");
                }
            }
            operations
        };
        let one = why_cost(&before, &after);
        let many = why_cost(&scaled(&before), &scaled(&after));
        for ((_, one), (_, many)) in one.parts.iter().zip(&many.parts) {
            let expected = one.checked_mul(times).expect("an amount");
            prop_assert!((expected - *many).to_f64_lossy().abs() < 1e-9, "{} {}", expected, many);
        }
        prop_assert_eq!(one.drivers.len(), many.drivers.len());
    }

    #[test]
    fn whatever_came_the_parts_sum(before in operations(12), after in operations(12)) {
        let change = why_cost(&before, &after);
        assert_finite(&change);
        // Sums at the end of all money are cut.
        if change.before.max(change.after).to_f64_lossy() < 1e12 {
            let sum: Money = change.parts.iter().map(|(_, usd)| *usd).sum();
            prop_assert_eq!(sum, change.after - change.before);
        }
        let Some(change) = why_duration(&before, &after, "a") else { return Ok(()) };
        assert_finite(&change);
        let sum: f64 = change.parts.iter().map(|part| part.change_seconds).sum();
        let (first, second) = (change.before_seconds, change.after_seconds);
        prop_assert!((sum - (second - first)).abs() <= 1e-9 * first.max(second));
    }
}
