//! Which points of which metrics are read, and what tells their series apart.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;

/// The flag of a point that says that it has no value: `DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK`.
pub(crate) const NO_RECORDED_VALUE: u64 = 1;

/// The kinds of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Gauge,
    Sum,
    Histogram,
    ExponentialHistogram,
    Summary,
}

/// What a metric counts, of those that tell what LLM calls consumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counts {
    /// Tokens of the type that its point says.
    TokensByType,
    Input,
    Output,
    CacheRead,
    CacheWrite,
    Reasoning,
    /// US dollars.
    Cost,
    /// The seconds of calls, of which there are as many as the histogram holds.
    Calls,
}

/// What the metric of that name counts; none for those that are not read.
pub(crate) fn counts(metric: &str) -> Option<Counts> {
    Some(match metric {
        "gen_ai.client.token.usage" | "claude_code.token.usage" => Counts::TokensByType,
        "gen_ai.client.inference.usage.input_tokens" => Counts::Input,
        "gen_ai.client.inference.usage.output_tokens" => Counts::Output,
        "gen_ai.client.inference.usage.cache_read.input_tokens" => Counts::CacheRead,
        "gen_ai.client.inference.usage.cache_write.input_tokens" => Counts::CacheWrite,
        "gen_ai.client.inference.usage.reasoning.output_tokens" => Counts::Reasoning,
        "claude_code.cost.usage" => Counts::Cost,
        "gen_ai.client.operation.duration" | "gen_ai.client.inference.duration" => Counts::Calls,
        _ => return None,
    })
}

/// Whether the points of a metric are read: those of sums and histograms of a name that is known.
pub(crate) fn is_read(metric: &str, kind: Kind) -> bool {
    !matches!(kind, Kind::Gauge | Kind::Summary) && counts(metric).is_some()
}

/// A hash of one attribute. Those of a point are added up, so that their order does not matter.
pub(crate) fn series_of(attribute: &[u8]) -> u64 {
    FixedState::default().hash_one(attribute)
}

#[expect(clippy::cast_precision_loss, reason = "counts of tokens stay below 2^53")]
pub(crate) fn float(value: i64) -> f64 {
    value as f64
}
