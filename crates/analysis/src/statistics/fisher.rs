//! Whether a share is another than before: Fisher's exact test, and the correction of Holm for many tests at once.

#![expect(clippy::cast_precision_loss, reason = "shares need no more than 53 bits")]

use std::ops::RangeInclusive;

use taximeter_models::Rate;

/// How likely a table of two by two is by chance, where all its margins are given.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct FisherExact {
    /// That the second share is so much larger than the first, or more.
    pub greater: f64,
    /// That it is so much smaller, or more.
    pub less: f64,
    /// That a table comes that is as unlikely, or more.
    pub two_sided: f64,
}

/// The exact test of Fisher for two shares; none where one has no cases or there are more than 10⁹ of them.
///
/// It holds for few cases too, where tests by the normal approximation do not. It takes time in proportion to the root of
/// the number of cases.
///
/// Source: R. A. Fisher, "The logic of inductive inference", Journal of the Royal Statistical Society 98 (1935), pp. 39–82.
///
/// ```
/// use taximeter_analysis::statistics::fisher_exact;
/// use taximeter_models::Rate;
///
/// let (before, after) = (Rate { hits: 1, of: 100 }, Rate { hits: 6, of: 20 });
/// assert!(fisher_exact(before, after).unwrap().greater < 0.001);
/// // One of one is a rate of 100 %, and says nothing.
/// assert!(fisher_exact(before, Rate { hits: 1, of: 1 }).unwrap().greater > 0.01);
/// ```
pub fn fisher_exact(first: Rate, second: Rate) -> Option<FisherExact> {
    const MOST: u64 = 1_000_000_000;
    if first.of == 0 || second.of == 0 || first.of > MOST || second.of > MOST {
        return None;
    }
    let (some, seen) = (first.hits.min(first.of), second.hits.min(second.of));
    let table = Table { hits: some + seen, second: second.of, all: first.of + second.of };
    let (least, most) = table.bounds();
    // Beside the mean and what was seen, no table further than this has a probability that a float can add.
    let (mean, reach) = (table.mean(), table.reach());
    let low = least.max(mean.min(seen).saturating_sub(reach));
    let high = most.min(mean.max(seen).saturating_add(reach));
    let own = table.log_probability(seen);
    let (mut greater, mut less, mut two_sided) = (0.0, 0.0, 0.0);
    let mut visit = |hits: u64| {
        let log = table.log_probability(hits);
        let probability = log.exp();
        greater += if hits >= seen { probability } else { 0.0 };
        less += if hits <= seen { probability } else { 0.0 };
        // Equal but for rounding counts as equal.
        two_sided += if log <= own + 1e-7 { probability } else { 0.0 };
    };
    around(low..=high, mean, seen, reach).for_each(&mut visit);
    let part = |sum: f64| sum.clamp(0.0, 1.0);
    Some(FisherExact { greater: part(greater), less: part(less), two_sided: part(two_sided) })
}

/// The margins of a table.
struct Table {
    hits: u64,
    second: u64,
    all: u64,
}

impl Table {
    /// So few and so many hits the second share can have.
    fn bounds(&self) -> (u64, u64) {
        let misses = self.all - self.hits;
        (self.second.saturating_sub(misses), self.hits.min(self.second))
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "within the bounds of a table of at most 2 × 10^9"
    )]
    fn mean(&self) -> u64 {
        (self.hits as f64 / self.all as f64 * self.second as f64) as u64
    }

    /// Forty deviations.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the root of at most 2 × 10^9"
    )]
    fn reach(&self) -> u64 {
        let share = self.hits as f64 / self.all as f64;
        let first = (self.all - self.second) as f64 / self.all as f64;
        (40.0 * (self.second as f64 * share * (1.0 - share) * first).sqrt()) as u64 + 50
    }

    /// The logarithm of the hypergeometric probability of so many hits.
    fn log_probability(&self, hits: u64) -> f64 {
        let first = self.all - self.second;
        log_choose(self.second, hits) + log_choose(first, self.hits - hits)
            - log_choose(self.all, self.hits)
    }
}

/// Of these numbers those that count: around the mean, and around what was seen.
fn around(all: RangeInclusive<u64>, mean: u64, seen: u64, reach: u64) -> impl Iterator<Item = u64> {
    let near = move |center: u64| {
        let (low, high) = (center.saturating_sub(reach), center.saturating_add(reach));
        low.max(*all.start())..=high.min(*all.end())
    };
    let (first, second) = (near(mean), near(seen));
    first.clone().chain(second.filter(move |hits| !first.contains(hits)))
}

fn log_choose(of: u64, some: u64) -> f64 {
    let log_factorial = |number: u64| libm::lgamma(number as f64 + 1.0);
    log_factorial(of) - log_factorial(some) - log_factorial(of - some)
}

/// The p-values of many tests, each made as much larger as it takes for the chance of **any** false alarm to stay below the
/// limit that they are compared with. In the order in which they came; what is not a number counts as 1.
///
/// Source: S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6
/// (1979), pp. 65–70.
///
/// ```
/// use taximeter_analysis::statistics::holm;
///
/// let corrected = holm(&[0.01, 0.04, 0.03]);
/// assert!(corrected[0] < 0.05 && corrected[1] > 0.05 && corrected[2] > 0.05); // only the first holds
/// ```
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let valid = |p: f64| if p.is_nan() { 1.0 } else { p.clamp(0.0, 1.0) };
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|left, right| valid(p_values[*left]).total_cmp(&valid(p_values[*right])));
    let mut corrected = vec![1.0; p_values.len()];
    let mut largest = 0.0_f64;
    for (rank, at) in order.iter().enumerate() {
        let tests = (p_values.len() - rank) as f64;
        largest = largest.max((tests * valid(p_values[*at])).min(1.0));
        corrected[*at] = largest;
    }
    corrected
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::statistics::is_close;

    /// scipy 1.17.1: `fisher_exact([[b, m - b], [a, n - a]], alternative=...)`; relative tolerance 1e-9.
    #[test]
    fn the_answers_of_scipy() {
        for (first, second, greater, less, two_sided) in [
            (
                (1, 10),
                (8, 12),
                0.010_393_631_136_665_193,
                0.999_557_717_823_971_7,
                0.011_499_336_576_735_958,
            ),
            (
                (8, 10),
                (1, 6),
                0.999_125_874_125_874_2,
                0.024_475_524_475_524_48,
                0.034_965_034_965_034_975,
            ),
            ((0, 100), (5, 50), 0.003_581_406_174_032_817, 1.0, 0.003_581_406_174_032_816_5),
            (
                (3, 1000),
                (9, 400),
                0.001_093_658_097_799_194_5,
                0.999_877_491_292_677,
                0.001_093_658_097_799_194_5,
            ),
            (
                (50, 5000),
                (40, 2000),
                0.000_896_904_439_178_851_4,
                0.999_582_145_210_552_4,
                0.001_371_030_636_954_455_8,
            ),
            ((1, 1), (0, 1), 1.0, 0.5, 1.0),
            ((20, 40), (0, 30), 1.0, 8.515_110_498_540_708e-7, 1.281_940_200_857_225_4e-6),
        ] {
            let rate = |(hits, of)| Rate { hits, of };
            let found = fisher_exact(rate(first), rate(second)).unwrap();
            assert!(is_close(found.greater, greater, 1e-9), "{second:?}: {found:?}");
            assert!(is_close(found.less, less, 1e-9), "{second:?}: {found:?}");
            assert!(is_close(found.two_sided, two_sided, 1e-9), "{second:?}: {found:?}");
        }
    }

    /// By hand, from the paper: 4 × 0.005, 3 × 0.01, 2 × 0.03, and 0.04 no less than the one before it.
    #[test]
    fn the_correction_of_holm() {
        let corrected = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (found, expected) in corrected.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!(is_close(*found, expected, 1e-12), "{corrected:?}");
        }
        assert_eq!(holm(&[f64::NAN, 0.9]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }

    #[test]
    fn no_cases_have_no_test() {
        assert_eq!(fisher_exact(Rate::default(), Rate { hits: 1, of: 2 }), None);
        assert_eq!(fisher_exact(Rate { hits: 0, of: 1 }, Rate { hits: 0, of: u64::MAX }), None);
        let never = fisher_exact(Rate { hits: 0, of: 9 }, Rate { hits: 0, of: 9 }).unwrap();
        assert!(is_close(never.greater, 1.0, 1e-9) && is_close(never.two_sided, 1.0, 1e-9));
    }

    proptest! {
        #[test]
        fn both_sides_together_count_what_was_seen_twice(
            some in 0..60_u64, of_some in 1..60_u64, others in 0..60_u64, of_others in 1..60_u64,
        ) {
            let (first, second) = (Rate { hits: some.min(of_some), of: of_some }, Rate { hits: others.min(of_others), of: of_others });
            let found = fisher_exact(first, second).unwrap();
            let turned = fisher_exact(second, first).unwrap();
            prop_assert!(found.greater + found.less >= 1.0 - 1e-9);
            prop_assert!((found.greater - turned.less).abs() < 1e-9);
            prop_assert!((found.two_sided - turned.two_sided).abs() < 1e-9);
            for p in [found.greater, found.less, found.two_sided] {
                prop_assert!((0.0..=1.0).contains(&p));
            }
        }
    }
}
