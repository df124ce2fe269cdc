//! Columns against the plain formulas, on columns drawn by lot and on those that are hard for buckets.

use proptest::prelude::*;

use super::*;
use crate::statistics::{Distribution, is_close};

fn distribution(values: impl Iterator<Item = u64>) -> Distribution {
    Distribution::of(values.map(to_float).collect()).unwrap()
}

/// Columns of that many groups with as many rows as are asked for, the values by their index.
fn column(groups: usize, rows: usize, value: impl Fn(u64) -> u64) -> (Vec<u32>, Vec<u64>) {
    let mixed = |at: u64| (at.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ at).rotate_left(29);
    let key = |at| u32::try_from(mixed(at) % groups as u64).unwrap();
    (0..rows as u64).map(|at| (key(at), value(mixed(at + 77)))).unzip()
}

/// Holds the groups against what the formulas say of the values of each key.
fn check(keys: &[u32], values: &[u64], groups: usize) {
    let columns = Columns::new(keys, values, groups).unwrap();
    let exact = columns.summarize(Percentiles::Exact);
    let sketch = columns.summarize(Percentiles::Sketch);
    assert_eq!(exact.iter().map(|group| group.count).sum::<u64>(), values.len() as u64);
    assert_eq!(exact.len(), sketch.len());
    for (found, near) in exact.iter().zip(&sketch) {
        let own = || keys.iter().zip(values).filter(|(key, _)| **key as usize == found.key);
        let mut expected = distribution(own().map(|(_, value)| *value));
        // Large values that lie close together lose digits as floats, and their distances from the smallest do not.
        expected.std_deviation =
            distribution(own().map(|(_, value)| value - found.min)).std_deviation;
        assert_eq!(found.sum, own().map(|(_, value)| u128::from(*value)).sum::<u128>());
        check_group(found, &expected);
        for (near, exact) in [
            (near.p50, found.p50),
            (near.p90, found.p90),
            (near.p95, found.p95),
            (near.p99, found.p99),
        ] {
            assert!((near - exact).abs() <= exact * Percentiles::SKETCH_ERROR, "{near} {exact}");
        }
        let but_percentiles =
            ColumnGroup { p50: found.p50, p90: found.p90, p95: found.p95, p99: found.p99, ..*near };
        assert_eq!(but_percentiles, *found);
    }
}

/// Percentiles, extremes and counts are the same to the last digit; moments are, but for the rounding of floats.
#[expect(clippy::float_cmp, reason = "the same digits are meant")]
fn check_group(found: &ColumnGroup, expected: &Distribution) {
    assert_eq!(
        (found.count, to_float(found.min), to_float(found.max)),
        (expected.count, expected.min, expected.max)
    );
    assert_eq!(
        [found.p50, found.p90, found.p95, found.p99],
        [expected.p50, expected.p90, expected.p95, expected.p99]
    );
    assert!(is_close(found.mean, expected.mean, 1e-12), "{found:?} {expected:?}");
    let (found, expected) = (found.std_deviation, expected.std_deviation);
    assert_eq!(found.is_some(), expected.is_some());
    let (found, expected) = (found.unwrap_or_default(), expected.unwrap_or_default());
    assert!(is_close(found, expected, 1e-9), "{found} {expected}");
}

#[test]
fn columns_that_are_hard_for_buckets() {
    let values: [fn(u64) -> u64; 9] = [
        |_| 0,
        |_| u64::MAX,
        |lot| lot % 2,
        |lot| lot % 1_000,
        |lot| lot >> (lot % 64),                          // every size alike
        |lot| 1_u64 << (lot % 64),                        // the edges of the buckets
        |lot| if lot % 20 == 0 { u64::MAX } else { 0 },   // p95 lies between the ends of the world
        |lot| (1 << 40) + lot % 1_000_000,                // all in one bucket
        |lot| 1_790_000_000_000_000_000 + (lot & 0xFFFF), // moments, in nanoseconds
    ];
    for value in values {
        for (groups, rows) in [(1, 1), (3, 50), (2, 9_000), (1, 30_000), (40, 30_000), (33, 2)] {
            let (keys, values) = column(groups, rows, value);
            check(&keys, &values, groups);
        }
    }
}

/// What can be said exactly of integers is: the variance of n − 1 equal values and one beside them is 1/n.
#[test]
#[expect(clippy::cast_precision_loss, reason = "a count of rows")]
fn large_values_keep_their_spread() {
    for at in [0, 1 << 40, u64::MAX - 1] {
        for rows in [2, 9_000] {
            let keys = vec![0_u8; rows];
            let mut values = vec![at; rows];
            values[rows / 2] = at + 1;
            for values in
                [values.clone(), values.iter().map(|value| at + (at + 1 - value)).collect()]
            {
                let found = Columns::new(&keys, &values, 1).unwrap();
                let found = found.summarize(Percentiles::Sketch)[0].std_deviation.unwrap();
                assert!(is_close(found, (rows as f64).recip().sqrt(), 1e-15), "{at} {found}");
            }
        }
    }
}

#[test]
fn columns_that_do_not_go_together_are_refused() {
    let lengths = |column, found| ColumnsError::Lengths { column, found, values: 2 };
    let found = |keys: &[u16], groups| Columns::new(keys, &[5, 6], groups).map(|_| ());
    assert_eq!(found(&[0], 1), Err(lengths("keys", 1)));
    assert_eq!(found(&[0, 7], 7), Err(ColumnsError::Key { key: 7, row: 1, groups: 7 }));
    assert_eq!(found(&[0, 0], 0), Err(ColumnsError::Key { key: 0, row: 0, groups: 0 }));
    assert_eq!(found(&[0, 0], usize::MAX), Err(ColumnsError::Groups(usize::MAX)));
    let columns = Columns::new(&[0_u16, 65_535], &[5, 6], 65_536).unwrap();
    assert_eq!(columns.errors(&[true]).unwrap_err(), lengths("errors", 1));
    let keys: Vec<_> =
        columns.summarize(Percentiles::Exact).iter().map(|group| group.key).collect();
    assert_eq!(keys, [0, 65_535]);
    assert!(Columns::<u16>::new(&[], &[], 0).unwrap().summarize(Percentiles::Exact).is_empty());
}

#[test]
fn errors_are_counted_however_the_rows_are_taken() {
    for (groups, rows) in [(4, 100), (4, 40_000), (50, 40_000)] {
        let (keys, values) = column(groups, rows, |lot| lot % 10);
        let failed: Vec<bool> = values.iter().map(|value| *value == 3).collect();
        let columns = Columns::new(&keys, &values, groups).unwrap().errors(&failed).unwrap();
        for found in columns.summarize(Percentiles::Exact) {
            let own = keys.iter().zip(&values).filter(|(key, _)| **key as usize == found.key);
            assert_eq!(found.errors, own.filter(|(_, value)| **value == 3).count() as u64);
        }
    }
}

fn value() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..20_u64,
        0..10_000_000_000_u64,
        any::<u64>(),
        Just(u64::MAX),
        (any::<u64>(), 0..64_u32).prop_map(|(value, shift)| value >> shift),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn each_group_is_the_distribution_of_its_values(
        rows in prop::collection::vec((0..6_u32, value()), 0..300),
        groups in 6..50_usize,
    ) {
        let (keys, values): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
        check(&keys, &values, groups);
    }

    #[test]
    fn many_rows_say_the_same_as_few(row in prop::collection::vec((0..2_u32, value()), 50)) {
        let (keys, values): (Vec<_>, Vec<_>) = row.into_iter().cycle().take(2 * ENOUGH_ROWS).unzip();
        check(&keys, &values, 2);
        check(&keys, &values, SIDE_BY_SIDE + 1);
    }

    #[test]
    fn the_order_of_rows_does_not_matter(
        (told, shuffled) in prop::collection::vec((0..4_u8, value()), 0..300)
            .prop_flat_map(|told| (Just(told.clone()), Just(told).prop_shuffle())),
    ) {
        let summarize = |rows: Vec<(u8, u64)>, percentiles| {
            let (keys, values): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
            Columns::new(&keys, &values, 4).unwrap().summarize(percentiles)
        };
        for percentiles in [Percentiles::Exact, Percentiles::Sketch] {
            prop_assert_eq!(summarize(told.clone(), percentiles), summarize(shuffled.clone(), percentiles));
        }
    }
}
