//! What a call would cost if it were another: the question to a price book, which analysis does not know.

use chrono::{DateTime, Utc};
use taximeter_models::{LlmCall, Money, Name, TokenUsage, Unit};

/// Tells what calls would cost. The facade answers out of its price book.
pub trait Prices {
    /// The whole cost of a call in US dollars at a moment, by its provider, LLM, usage and how it was served; none where
    /// it is not known. What the call says of its own cost does not count.
    fn usd(&self, call: &LlmCall, at: DateTime<Utc>) -> Option<Money>;

    /// LLMs, with their providers, that could be asked besides those that are. Default: none.
    fn alternatives(&self) -> Vec<(Name, Name)> {
        Vec::new()
    }
}

/// Knows no price: advice has savings of time, and of the money that calls say they cost.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPrices;

impl Prices for NoPrices {
    fn usd(&self, _: &LlmCall, _: DateTime<Utc>) -> Option<Money> {
        None
    }
}

/// The same usage, with so many tokens in another bucket.
pub(super) fn moved(usage: &TokenUsage, from: Unit, to: Unit, count: u64) -> Option<TokenUsage> {
    let mut buckets: std::collections::BTreeMap<Unit, u64> = usage.clone().into();
    let bucket = buckets.entry(from).or_default();
    let count = count.min(*bucket);
    *bucket -= count;
    *buckets.entry(to).or_default() += count;
    buckets.retain(|_, count| *count > 0);
    TokenUsage::try_from(buckets).ok()
}

/// The same usage with a part of the output left out.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a part of a count is a count"
)]
pub(super) fn shorter(usage: &TokenUsage, part: f64) -> Option<TokenUsage> {
    let mut buckets: std::collections::BTreeMap<Unit, u64> = usage.clone().into();
    for unit in [Unit::Output, Unit::Reasoning] {
        if let Some(count) = buckets.get_mut(&unit) {
            *count = (*count as f64 * (1.0 - part)).round() as u64;
        }
    }
    buckets.retain(|_, count| *count > 0);
    TokenUsage::try_from(buckets).ok()
}
