//! Ways to do the same that take turns, round by round: a busy moment of the machine hurts them alike, and what counts is how
//! they differ within a round. Two medians of all rounds would differ by what the machine did meanwhile.

use std::fmt;

/// What many rounds told: their median, and between what the middle half of them lies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told {
    pub(crate) median: f64,
    pub(crate) middle: [f64; 2],
}

/// Below which of the numbers this share of them lies; not beyond the last.
pub(crate) fn at(rounds: &[f64], share: f64) -> f64 {
    let mut sorted = rounds.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}

impl Told {
    pub(crate) fn by(rounds: &[f64]) -> Self {
        Self { median: at(rounds, 0.5), middle: [at(rounds, 0.25), at(rounds, 0.75)] }
    }

    /// How many times as much the first ones are as the second ones.
    pub(crate) fn ratio(first: &[f64], second: &[f64]) -> Self {
        Self::of_pairs(first, second, |first, second| first / second)
    }

    /// How much more the first ones are than the second ones.
    pub(crate) fn difference(first: &[f64], second: &[f64]) -> Self {
        Self::of_pairs(first, second, |first, second| first - second)
    }

    /// All of it, divided by a number above zero.
    pub(crate) fn over(self, divisor: f64) -> Self {
        Self { median: self.median / divisor, middle: self.middle.map(|quarter| quarter / divisor) }
    }

    fn of_pairs(first: &[f64], second: &[f64], of: fn(f64, f64) -> f64) -> Self {
        let pairs = first.iter().zip(second);
        Self::by(&pairs.map(|(first, second)| of(*first, *second)).collect::<Vec<_>>())
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [low, high] = self.middle;
        let told = format!("{:.3} [{low:.3}..{high:.3}]", self.median);
        f.pad(&told)
    }
}
