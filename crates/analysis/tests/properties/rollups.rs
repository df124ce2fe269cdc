//! Sums that are kept: bytes and back, merged in whatever pieces and order, they are those of the whole.

use std::collections::BTreeMap;

use proptest::prelude::*;
use taximeter_analysis::statistics::Distribution;
use taximeter_analysis::{
    Dimension, GroupSummary, Histogram, OTHER_KEY, Rollup, RollupConfig, Rollups, Sums, group,
};
use taximeter_models::{CostTotals, Name, OperationRecord, Rate};

use crate::assert_finite;
use crate::drawn::operations;

const DIMENSIONS: [&str; 9] =
    ["all", "operation", "component", "tool", "provider", "llm", "user", "session", "tag:team"];

fn config(most_keys: usize) -> RollupConfig {
    let mut config = RollupConfig::default();
    config.dimensions = DIMENSIONS.map(|text| text.parse().expect("a dimension")).to_vec();
    config.most_keys = most_keys;
    config
}

fn rolled_up<'a>(
    operations: impl IntoIterator<Item = &'a OperationRecord>,
    most_keys: usize,
) -> Vec<Rollup> {
    let mut rollups = Rollups::new(&config(most_keys));
    operations.into_iter().for_each(|operation| rollups.add(operation));
    rollups.finish()
}

type Kept = BTreeMap<(Dimension, Option<Name>), Vec<u8>>;

/// As a store does: what is there is read, merged and written again.
fn keep(kept: &mut Kept, rollups: Vec<Rollup>) {
    for Rollup { dimension, keys, .. } in rollups {
        for (key, sums) in keys {
            let bytes =
                kept.entry((dimension.clone(), key)).or_insert_with(|| Sums::default().to_bytes());
            let mut merged = Sums::from_bytes(bytes).expect("sums");
            merged.merge(&Sums::from_bytes(&sums.to_bytes()).expect("sums"));
            *bytes = merged.to_bytes();
        }
    }
}

/// But for the distributions, which are near and not equal.
fn exact_parts(mut summary: GroupSummary) -> GroupSummary {
    summary.duration_seconds = None;
    summary.time_to_first_token_seconds = None;
    summary.output_tokens_per_second = None;
    summary
}

fn assert_near(found: Option<&Distribution>, exact: Option<&Distribution>) {
    assert_eq!(found.is_some(), exact.is_some());
    let (Some(found), Some(exact)) = (found, exact) else { return };
    let close =
        |found: f64, exact: f64, error: f64| (found - exact).abs() <= error * exact.abs() + 1e-12;
    assert_eq!(found.count, exact.count);
    assert!(close(found.min, exact.min, 1e-9) && close(found.max, exact.max, 1e-9));
    assert!(close(found.mean, exact.mean, 1e-9) && close(found.sum, exact.sum, 1e-9));
    for (found, exact) in [
        (found.p50, exact.p50),
        (found.p90, exact.p90),
        (found.p95, exact.p95),
        (found.p99, exact.p99),
    ] {
        assert!(close(found, exact, Histogram::ERROR), "{found} {exact}");
    }
    // Squares of many centuries in nanoseconds do not fit into 128 bits, and the deviation is not told.
    if let (Some(found), Some(exact)) = (found.std_deviation, exact.std_deviation) {
        // Floats lose the digits of values that lie close together.
        assert!(
            close(found, exact, 1e-6) || (found - exact).abs() <= 1e-7 * found.max(1.0),
            "{found} {exact}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn kept_in_pieces_and_merged_is_the_whole(
        (told, shuffled) in operations(30).prop_flat_map(|told| (Just(told.clone()), Just(told).prop_shuffle())),
        batch in 1..12_usize,
    ) {
        let mut kept = Kept::new();
        shuffled.chunks(batch).for_each(|batch| keep(&mut kept, rolled_up(batch, 256)));
        let mut whole = Kept::new();
        keep(&mut whole, rolled_up(&told, 256));
        prop_assert_eq!(&kept, &whole, "order and pieces change no byte");
        for by in rolled_up(&told, 256) {
            for (key, sums) in by.keys {
                prop_assert_eq!(Sums::from_bytes(&kept[&(by.dimension.clone(), key)]), Ok(sums));
            }
        }
    }

    #[test]
    fn the_sums_come_to_what_the_groups_of_the_records_are(operations in operations(40)) {
        for by in rolled_up(&operations, usize::MAX) {
            let groups = group(&operations, by.dimension);
            prop_assert_eq!(by.keys.len(), groups.len());
            for ((key, sums), exact) in by.keys.into_iter().zip(groups) {
                let found = sums.summary(key).unwrap();
                assert_finite(&found);
                assert_near(found.duration_seconds.as_ref(), exact.duration_seconds.as_ref());
                assert_near(
                    found.time_to_first_token_seconds.as_ref(),
                    exact.time_to_first_token_seconds.as_ref(),
                );
                assert_near(
                    found.output_tokens_per_second.as_ref(),
                    exact.output_tokens_per_second.as_ref(),
                );
                prop_assert_eq!(exact_parts(found), exact_parts(exact));
            }
        }
    }

    #[test]
    fn keys_that_are_too_many_stand_together_and_no_sum_is_lost(
        operations in operations(40), most in 1..4_usize,
    ) {
        for (limited, all) in rolled_up(&operations, most).into_iter().zip(rolled_up(&operations, 256)) {
            let own = |key: &Option<Name>| key.as_ref().is_some_and(|key| *key != *OTHER_KEY);
            prop_assert!(limited.keys.iter().filter(|(key, _)| own(key)).count() <= most);
            let whole = |keys: &[(Option<Name>, Sums)]| {
                let (mut cases, mut cost, mut nanos) = (Rate::default(), CostTotals::default(), 0);
                for (_, sums) in keys {
                    cases += sums.success;
                    cost += &sums.cost;
                    nanos += sums.nanos.sum();
                }
                (cases, cost, nanos)
            };
            prop_assert_eq!(whole(&limited.keys), whole(&all.keys));
        }
    }
}
