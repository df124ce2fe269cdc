//! An arbitrary call, and what must hold of its price in every book.

use arbitrary::Arbitrary;
use chrono::{DateTime, Utc};
use taximeter_models::{CostOutcome, Money, TokenUsage, Unit};
use taximeter_pricing::{PriceBook, Query, Selector, Selectors};

/// Everything about a call but its names.
#[derive(Debug, Arbitrary)]
pub(crate) struct Call<'a> {
    seconds: Moment,
    input: u32,
    output: u32,
    quantities: Vec<(u8, u64)>,
    selectors: Vec<(Key<'a>, Value<'a>)>,
}

/// A moment: mostly one of the years in which LLMs are sold.
#[derive(Debug, Arbitrary)]
enum Moment {
    Recent(u32),
    Any(i64),
}

#[derive(Debug, Arbitrary)]
enum Key<'a> {
    ServiceTier,
    Processing,
    Speed,
    Region,
    Mode,
    Endpoint,
    Other(&'a str),
}

#[derive(Debug, Arbitrary)]
enum Value<'a> {
    Batch,
    Flex,
    Priority,
    Fast,
    Us,
    Global,
    Any(&'a str),
}

impl Call<'_> {
    /// Asks a book for the price of this call, and panics where the answer contradicts itself.
    pub(crate) fn check(&self, book: &PriceBook, provider: Option<&str>, model: &str) {
        let (usage, selectors) = (self.usage(), self.selectors());
        let query = Query { provider, model, at: self.at(), usage: &usage, selectors: &selectors };
        let outcome = book.price(&query);
        let known = outcome.amount().filter(|_| outcome.is_known());
        assert_eq!(book.amount(&query), known, "{query:?}: {outcome:?}");
        check_lines(&outcome);
        let _ = (book.price_or_at(&query, &["openai", "bedrock"]), outcome.input_and_output());
    }

    fn at(&self) -> DateTime<Utc> {
        const FIRST: i64 = 1_577_836_800; // 2020
        let seconds = match self.seconds {
            Moment::Recent(seconds) => FIRST + i64::from(seconds / 16),
            Moment::Any(seconds) => seconds,
        };
        DateTime::from_timestamp(seconds, 0).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    fn usage(&self) -> TokenUsage {
        let plain = TokenUsage::exclusive(self.input.into(), self.output.into());
        let add = |usage: taximeter_models::UsageBuilder, &(unit, count): &(u8, u64)| {
            usage.unit(Unit::ALL[usize::from(unit) % Unit::ALL.len()], count)
        };
        self.quantities.iter().fold(plain, add).build().unwrap_or_default()
    }

    fn selectors(&self) -> Selectors {
        let pairs = self.selectors.iter().map(|(key, value)| (key.selector(), value.text()));
        pairs.fold(Selectors::new(), |set, (key, value)| set.with(key, value))
    }
}

/// The lines add up to the total, and none of them is below zero.
fn check_lines(outcome: &CostOutcome) {
    let Some(cost) = outcome.estimate() else { return };
    assert_eq!(cost.lines.iter().map(|line| line.amount).sum::<Money>(), cost.total());
    assert_eq!(cost.input() + cost.output(), cost.total());
    assert!(cost.lines.iter().all(|line| !line.amount.is_negative()));
}

impl Key<'_> {
    fn selector(&self) -> Selector {
        match self {
            Self::ServiceTier => Selector::ServiceTier,
            Self::Processing => Selector::Processing,
            Self::Speed => Selector::Speed,
            Self::Region => Selector::Region,
            Self::Mode => Selector::Mode,
            Self::Endpoint => Selector::Endpoint,
            Self::Other(name) => Selector::from(*name),
        }
    }
}

impl Value<'_> {
    fn text(&self) -> &str {
        match self {
            Self::Batch => "batch",
            Self::Flex => "flex",
            Self::Priority => "priority",
            Self::Fast => "fast",
            Self::Us => "us",
            Self::Global => "global",
            Self::Any(text) => text,
        }
    }
}
