//! The percentiles that are asked for, and how their places are filled without sorting.

use crate::statistics::Place;

/// The percentiles of a group, as shares.
const SHARES: [f64; PERCENTILES] = [0.5, 0.9, 0.95, 0.99];

/// How many percentiles there are.
pub(super) const PERCENTILES: usize = 4;

/// Between which of so many sorted values each percentile lies; of none, none.
pub(super) fn places(count: usize) -> impl Iterator<Item = Place> {
    SHARES.into_iter().filter_map(move |share| Place::of(share, count))
}

/// Puts at each of these places the value that would be there if all were sorted. What does not exist is left out.
pub(super) fn settle(values: &mut [u64], places: impl IntoIterator<Item = usize>) {
    let mut places: Vec<usize> = places.into_iter().collect();
    places.sort_unstable();
    let (mut rest, mut settled) = (values, 0);
    for place in places {
        // To the left of a place that is filled nothing is larger, so that only the right is looked at from there on.
        let Some(ahead) = place.checked_sub(settled).filter(|ahead| *ahead < rest.len()) else {
            continue;
        };
        rest = rest.select_nth_unstable(ahead).2;
        settled = place + 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_settled_place_holds_what_sorting_puts_there(
            values in prop::collection::vec(0..50_u64, 0..60),
            places in prop::collection::vec(0..70_usize, 0..8),
        ) {
            let (mut settled, mut sorted) = (values.clone(), values);
            settle(&mut settled, places.clone());
            sorted.sort_unstable();
            for place in places {
                prop_assert_eq!(settled.get(place), sorted.get(place));
            }
        }
    }
}
