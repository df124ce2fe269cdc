//! Groups: parts sum to the whole, and merging is as if one had seen all.

use proptest::prelude::*;
use taximeter_analysis::{Dimension, Groups, group, summarize};
use taximeter_models::{CostTotals, Rate};

use crate::assert_finite;
use crate::drawn::operations;

fn dimensions() -> impl Strategy<Value = Dimension> {
    let written =
        ["all", "operation", "component", "tool", "provider", "llm", "user", "session", "tag:team"];
    prop::sample::select(written.map(|text| text.parse().expect("a dimension")).to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn merging_is_as_if_one_had_seen_all(
        operations in operations(30), cut in any::<prop::sample::Index>(), dimension in dimensions(),
    ) {
        let (first, second) = operations.split_at(cut.index(operations.len() + 1));
        let mut merged = Groups::by(dimension.clone());
        for operation in second {
            merged.add(operation);
        }
        let mut more = Groups::by(dimension.clone());
        for operation in first {
            more.add(operation);
        }
        merged.merge(&more).unwrap();
        let found = merged.finish();
        assert_finite(&found);
        prop_assert_eq!(found, group(&operations, dimension));
    }

    #[test]
    fn the_groups_sum_to_the_whole(operations in operations(30), dimension in dimensions()) {
        let totals = summarize(&operations).totals;
        let (mut cases, mut cost) = (Rate::default(), CostTotals::default());
        for group in group(&operations, dimension.clone()) {
            cases += group.success.rate;
            cost += &group.cost;
        }
        match dimension {
            Dimension::Tool => prop_assert_eq!(cases, totals.tool_success()),
            Dimension::Component => prop_assert!(cases.of >= totals.components.len() as u64),
            Dimension::Provider | Dimension::Llm => {
                prop_assert_eq!((cases, &cost), (totals.llm_success(), &totals.cost));
            }
            _ => prop_assert_eq!((cases, &cost), (totals.success_rate(), &totals.cost)),
        }
    }
}
