//! The tokens of a text by another tokenizer.

use std::collections::BTreeMap;

use taximeter_models::{TokenUsage, Unit};

/// The usage with so many times the tokens of text, rounded down.
pub(super) fn down(usage: &TokenUsage, factor: (u64, u64)) -> TokenUsage {
    scaled(usage, factor, |product, below| product / below)
}

/// The usage with so many times the tokens of text, rounded up.
pub(super) fn up(usage: &TokenUsage, factor: (u64, u64)) -> TokenUsage {
    scaled(usage, factor, u128::div_ceil)
}

/// A sum that leaves the range of a usage has no cost that anybody could bill; the usage then stays as it is.
fn scaled(
    usage: &TokenUsage,
    (above, below): (u64, u64),
    round: impl Fn(u128, u128) -> u128,
) -> TokenUsage {
    let times = |count: u64| {
        let product = u128::from(count) * u128::from(above);
        u64::try_from(round(product, u128::from(below))).unwrap_or(u64::MAX)
    };
    let buckets: BTreeMap<Unit, u64> = usage
        .iter()
        .map(|(unit, count)| (unit, if is_text(unit) { times(count) } else { count }))
        .collect();
    TokenUsage::try_from(buckets).unwrap_or_else(|_| usage.clone())
}

/// Whether a tokenizer of text decides how many of them there are.
pub(super) const fn is_text(unit: Unit) -> bool {
    matches!(
        unit,
        Unit::Input
            | Unit::CacheRead
            | Unit::CacheReadExplicit
            | Unit::CacheWrite
            | Unit::CacheWrite5m
            | Unit::CacheWrite30m
            | Unit::CacheWrite1h
            | Unit::CacheWrite12h
            | Unit::Output
            | Unit::Reasoning
            | Unit::Citation
    )
}

/// Whether these are tokens of sound or pictures, of which no tokenizer of text knows anything.
pub(super) const fn is_other_modality(unit: Unit) -> bool {
    (unit.is_input_tokens() || unit.is_output_tokens()) && !is_text(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_scaled_and_all_else_stays() {
        let usage = TokenUsage::exclusive(101, 11)
            .reasoning(11)
            .cache_read(3)
            .unit(Unit::InputAudio, 7)
            .unit(Unit::WebSearch, 2)
            .build()
            .unwrap();
        let (low, high) = (down(&usage, (5, 7)), up(&usage, (7, 5)));
        let counts = |usage: &TokenUsage| {
            [Unit::Input, Unit::CacheRead, Unit::Output, Unit::Reasoning, Unit::InputAudio]
                .map(|unit| usage.get(unit))
        };
        assert_eq!(counts(&low), [72, 2, 7, 7, 7]);
        assert_eq!(counts(&high), [142, 5, 16, 16, 7]);
        assert_eq!((low.get(Unit::WebSearch), high.get(Unit::WebSearch)), (2, 2));
    }

    #[test]
    fn what_leaves_the_range_stays_as_it_is() {
        let usage = TokenUsage::new(u64::MAX - 5, 5);
        assert_eq!(up(&usage, (2, 1)), usage);
    }
}
