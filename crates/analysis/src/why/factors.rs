//! A product of factors before and after: how much of its change each factor makes.

/// What each of `count` factors adds to the change of a value: L. S. Shapley's value ("A value for n-person games",
/// 1953), the mean over all orders in which the factors could have changed one after the other. It names no order, sums
/// to the whole, and has the opposite sign the other way round.
///
/// `value` is asked for every set of factors that have changed already: factor `i` has where bit `i` is set.
pub(super) fn shares(count: u32, value: impl Fn(u32) -> f64) -> Vec<f64> {
    let values: Vec<f64> = (0..1_u32 << count).map(value).collect();
    let of = |changed: u32| values[changed as usize];
    let share = |factor: u32| {
        let without = (0..1_u32 << count).filter(|changed| changed & (1 << factor) == 0);
        let steps = without.map(|changed| {
            weight(changed.count_ones(), count) * (of(changed | 1 << factor) - of(changed))
        });
        steps.sum()
    };
    (0..count).map(share).collect()
}

/// The part of all orders in which just so many factors come before one: `k! (n − k − 1)! / n!`.
fn weight(before: u32, count: u32) -> f64 {
    let factorial = |n: u32| (1..=n).map(f64::from).product::<f64>();
    factorial(before) * factorial(count - before - 1) / factorial(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The glove game of the textbook: one has a left glove, two a right one; a pair is worth 1. Shares 2/3, 1/6, 1/6.
    #[test]
    fn the_glove_game() {
        let pair = |players: u32| f64::from(u8::from(players & 1 == 1 && players > 1));
        let found = shares(3, pair);
        for (found, expected) in found.iter().zip([2.0 / 3.0, 1.0 / 6.0, 1.0 / 6.0]) {
            assert!((found - expected).abs() < 1e-15, "{found} {expected}");
        }
    }
}
