//! What is measured, and the values that it has: money exactly, all else as numbers, each with its unit.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use taximeter::analysis::{Sums, TokenSummary};
use taximeter::report::{count, money, seconds};
use taximeter::{Money, Rate};

/// What a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Quantity {
    /// Operations or calls that did not succeed, of all: 0 to 1.
    ErrorRate,
    /// Tool calls that did not succeed, of all: 0 to 1.
    ToolErrorRate,
    /// Half of them did not take longer, in seconds.
    LatencyP50,
    /// 95 % did not take longer, in seconds.
    LatencyP95,
    /// 99 % did not take longer, in seconds.
    LatencyP99,
    /// How long they took in the mean, in seconds.
    LatencyMean,
    /// 95 % of the first tokens did not take longer, in seconds.
    FirstTokenP95,
    /// What is known of the cost, in US dollars.
    Cost,
    /// The same for each operation or call.
    MeanCost,
    /// Tokens, of input and output.
    Tokens,
    /// Input tokens, the cached ones included.
    InputTokens,
    /// Output tokens.
    OutputTokens,
    /// Operations; or calls, where they are told apart by tool, provider or LLM.
    Count,
    /// LLM calls.
    Calls,
    /// Input tokens that were read from a cache, of all: 0 to 1.
    CacheShare,
    /// Replies of LLMs that were cut off by a limit of their length, of those that told why they ended: 0 to 1.
    TruncatedShare,
    /// LLM calls whose cost is not known.
    UnpricedCalls,
}

/// In what an amount is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "AlertUnit"))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Unit {
    /// US dollars.
    Usd,
    /// Seconds.
    Seconds,
    /// A part of a whole, 0 to 1.
    Share,
    /// A change as a part of what was before: 0.5 is half as much again.
    Change,
    /// A number of things.
    Count,
    /// So many times as fast as may be.
    Pace,
    /// A probability, 0 to 1.
    Probability,
}

/// A value. Money is exact; it is written as text, as everywhere.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Amount {
    /// US dollars.
    Money(Money),
    /// Anything else.
    Number(f64),
}

/// A quantity as it was seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Measured {
    /// None where there is nothing to measure.
    pub(crate) value: Option<Amount>,
    /// Of so many.
    pub(crate) of: u64,
    /// Whether it is at least that: the cost of some calls is not known.
    pub(crate) at_least: bool,
}

impl Quantity {
    /// In what it is told.
    pub fn unit(self) -> Unit {
        match self {
            Self::ErrorRate | Self::ToolErrorRate | Self::CacheShare | Self::TruncatedShare => {
                Unit::Share
            }
            Self::LatencyP50
            | Self::LatencyP95
            | Self::LatencyP99
            | Self::LatencyMean
            | Self::FirstTokenP95 => Unit::Seconds,
            Self::Cost | Self::MeanCost => Unit::Usd,
            _ => Unit::Count,
        }
    }

    /// Whether a few values say little of it: it is a share, a percentile or a mean.
    pub(crate) fn needs_many(self) -> bool {
        matches!(self.unit(), Unit::Share | Unit::Seconds) || self == Self::MeanCost
    }

    pub(crate) fn of(self, sums: &Sums) -> Measured {
        let share = |rate: Rate| (rate.fraction().map(Amount::Number), rate.of);
        let took = sums.nanos.distribution(1e-9);
        let tokens = || TokenSummary::of(&sums.usage);
        let number = |number: u64, of: u64| (Some(Amount::whole(number)), of);
        let known = sums.known_usd();
        let (value, of) = match self {
            Self::ErrorRate | Self::ToolErrorRate => share(sums.success.complement()),
            Self::TruncatedShare => share(sums.truncated),
            Self::CacheShare => (share(tokens().cache_read).0, sums.calls_with_usage),
            Self::LatencyP50 => (took.map(|took| Amount::Number(took.p50)), sums.nanos.count()),
            Self::LatencyP95 => (took.map(|took| Amount::Number(took.p95)), sums.nanos.count()),
            Self::LatencyP99 => (took.map(|took| Amount::Number(took.p99)), sums.nanos.count()),
            Self::LatencyMean => (took.map(|took| Amount::Number(took.mean)), sums.nanos.count()),
            Self::FirstTokenP95 => {
                let first = &sums.first_token_nanos;
                let p95 = first.distribution(1e-9).map(|took| Amount::Number(took.p95));
                (p95, first.count())
            }
            Self::Cost => (known.known().map(Amount::Money), known.coverage.calls),
            Self::MeanCost => {
                let mean = known.known().and_then(|usd| usd.mean(sums.count()));
                (mean.map(Amount::Money), sums.count())
            }
            Self::Tokens => number(sums.usage.total_tokens(), sums.calls_with_usage),
            Self::InputTokens => number(tokens().input_tokens, sums.calls_with_usage),
            Self::OutputTokens => number(tokens().output_tokens, sums.calls_with_usage),
            Self::Count => number(sums.count(), sums.count()),
            Self::Calls => number(sums.cost.calls(), sums.cost.calls()),
            Self::UnpricedCalls => {
                let unknown = known.coverage.left_out();
                number(unknown.hits, unknown.of)
            }
        };
        let at_least = self.unit() == Unit::Usd && !known.coverage.is_complete();
        Measured { value, of, at_least }
    }
}

impl Amount {
    #[expect(clippy::cast_precision_loss, reason = "an alert needs no more than 53 bits")]
    pub(crate) fn whole(number: u64) -> Self {
        Self::Number(number as f64)
    }

    /// The same as a float, for what is no more than a ratio.
    pub fn lossy(self) -> f64 {
        match self {
            Self::Money(money) => money.to_f64_lossy(),
            Self::Number(number) => number,
        }
    }

    /// In words, with its unit.
    pub fn in_words(self, unit: Unit) -> String {
        match (self, unit) {
            (Self::Money(amount), _) => money(amount),
            (Self::Number(number), Unit::Seconds) => seconds(number),
            (Self::Number(number), Unit::Share | Unit::Probability) => {
                format!("{:.1} %", number * 100.0)
            }
            (Self::Number(number), Unit::Change) => format!("{:+.0} %", number * 100.0),
            (Self::Number(number), Unit::Pace) => format!("{number:.1} times the pace"),
            (Self::Number(number), Unit::Count) if number.fract() == 0.0 => whole(number),
            (Self::Number(number), _) => format!("{number}"),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count that was a whole number before, or a limit that is shown"
)]
fn whole(number: f64) -> String {
    if number < 0.0 { format!("{number}") } else { count(number as u64) }
}

impl PartialOrd for Amount {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Money(one), Self::Money(other)) => Some(one.cmp(other)),
            (Self::Number(one), Self::Number(other)) => one.partial_cmp(other),
            _ => None,
        }
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Amount {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Amount".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": ["number", "string"], "description": "Money is a text, and exact; all else is a number." })
    }
}

impl Serialize for Amount {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Money(money) => money.serialize(serializer),
            Self::Number(number) => serializer.serialize_f64(*number),
        }
    }
}

/// What was written by us: money as text, numbers as such.
impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(f64),
            Money(Money),
        }

        Ok(match Written::deserialize(deserializer)? {
            Written::Number(number) => Self::Number(number),
            Written::Money(money) => Self::Money(money),
        })
    }
}

/// The name as it stands in a rule.
impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}
