//! Sums as bytes: a version, and behind it every number as a varint, with names instead of places in lists.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use taximeter_models::{
    Amounts, CostTotals, Currency, ErrorCategory, Money, Rate, TokenUsage, Unit,
};
use thiserror::Error;

use super::{Histogram, Sums};
use crate::cost::KnownCosts;

/// The version that is written, and the newest that is read.
const VERSION: u8 = 1;

/// Bytes that are no sums that can be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SumsError {
    /// A newer library wrote them.
    #[error(
        "reading sums: they have version {0}, and this library reads up to 1; use a newer taximeter"
    )]
    Newer(u8),
    /// They are damaged, or something else.
    #[error("reading sums: {0}; they are damaged")]
    Damaged(String),
}

/// What is written. Names stand for units, categories and currencies, so that lists of them may grow.
#[derive(Serialize, Deserialize)]
struct Written<'a> {
    success: (u64, u64),
    counts: [u64; 7],
    #[serde(borrow)]
    errors: Vec<(&'a str, u64)>,
    nanos: WrittenHistogram,
    #[serde(borrow)]
    usage: Vec<(&'a str, u64)>,
    #[serde(borrow)]
    amounts: Vec<(&'a str, [i128; 4])>,
    calls: [u64; 6],
    failed_usd: i128,
    first_token_nanos: WrittenHistogram,
    speed: WrittenHistogram,
    truncated: (u64, u64),
    /// Nanoseconds since 1970.
    period: Option<(i64, i64)>,
    known: (i128, u64),
}

#[derive(Serialize, Deserialize)]
struct WrittenHistogram {
    sum: u128,
    squares: u128,
    min: u64,
    max: u64,
    /// Each bucket by how many places it lies behind the one before, with its count.
    counts: Vec<(u16, u64)>,
}

impl Sums {
    /// The sums as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let cost = &self.cost;
        let amounts = |sums: &Amounts| {
            [sums.exact, sums.estimated, sums.input, sums.output].map(Money::ticks)
        };
        let nanos = |at: DateTime<Utc>| at.timestamp_nanos_opt().unwrap_or_default();
        let written = Written {
            success: (self.success.hits, self.success.of),
            counts: [
                self.abandoned,
                self.runs,
                self.timeouts,
                self.retries,
                self.errors,
                self.warnings,
                self.tool_replies,
            ],
            errors: self.errors_by_category.iter().map(|(c, n)| (c.as_str(), *n)).collect(),
            nanos: WrittenHistogram::of(&self.nanos),
            usage: self.usage.iter().map(|(unit, count)| (unit.as_str(), count)).collect(),
            amounts: cost.amounts.iter().map(|(c, sums)| (c.as_str(), amounts(sums))).collect(),
            calls: [
                cost.exact_calls,
                cost.estimated_calls,
                cost.free_calls,
                cost.unpriced_calls,
                cost.calls_without_usage,
                cost.unpriced_tokens,
            ],
            failed_usd: self.failed_usd.ticks(),
            first_token_nanos: WrittenHistogram::of(&self.first_token_nanos),
            speed: WrittenHistogram::of(&self.milli_tokens_per_second),
            truncated: (self.truncated.hits, self.truncated.of),
            period: self.period.map(|(first, last)| (nanos(first), nanos(last))),
            known: (self.known_costs.sum.ticks(), self.known_costs.operations),
        };
        // Writing into memory fails for nothing that is in here; bytes without a version would be refused.
        let head = (VERSION, self.calls_with_usage);
        postcard::to_allocvec(&(head, written)).unwrap_or_default()
    }

    /// Sums of their bytes.
    ///
    /// # Errors
    /// Where the bytes are no sums, or those of a newer version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SumsError> {
        match bytes.first() {
            Some(&VERSION) => {}
            Some(&newer) if newer > VERSION => return Err(SumsError::Newer(newer)),
            _ => return Err(damaged("they have no version")),
        }
        let ((_, calls_with_usage), written): ((u8, u64), Written<'_>) =
            postcard::from_bytes(bytes).map_err(|why| damaged(&why.to_string()))?;
        let cost = cost(&written)?;
        let [abandoned, runs, timeouts, retries, errors, warnings, tool_replies] = written.counts;
        Ok(Self {
            success: rate(written.success)?,
            abandoned,
            runs,
            timeouts,
            retries,
            errors,
            warnings,
            tool_replies,
            errors_by_category: categories(&written.errors)?,
            nanos: written.nanos.read()?,
            usage: usage(&written.usage)?,
            calls_with_usage,
            cost,
            failed_usd: Money::from_ticks(written.failed_usd),
            first_token_nanos: written.first_token_nanos.read()?,
            milli_tokens_per_second: written.speed.read()?,
            truncated: rate(written.truncated)?,
            period: written.period.map(|(first, last)| {
                (DateTime::from_timestamp_nanos(first), DateTime::from_timestamp_nanos(last))
            }),
            known_costs: KnownCosts {
                sum: Money::from_ticks(written.known.0),
                operations: written.known.1,
            },
        })
    }
}

fn damaged(why: &str) -> SumsError {
    SumsError::Damaged(why.into())
}

fn rate((hits, of): (u64, u64)) -> Result<Rate, SumsError> {
    if hits <= of { Ok(Rate { hits, of }) } else { Err(damaged("a part is above its whole")) }
}

fn categories(written: &[(&str, u64)]) -> Result<BTreeMap<ErrorCategory, u64>, SumsError> {
    let one = |(name, count): &(&str, u64)| {
        let category = name.parse().map_err(|_| damaged("there is no such error category"))?;
        Ok((category, *count))
    };
    written.iter().map(one).collect()
}

fn usage(written: &[(&str, u64)]) -> Result<TokenUsage, SumsError> {
    let one = |(name, count): &(&str, u64)| {
        Ok((Unit::named(name).ok_or_else(|| damaged("there is no such unit"))?, *count))
    };
    let units = written.iter().map(one).collect::<Result<BTreeMap<Unit, u64>, SumsError>>()?;
    TokenUsage::try_from(units).map_err(|why| damaged(&why.to_string()))
}

fn cost(written: &Written<'_>) -> Result<CostTotals, SumsError> {
    let one = |(code, ticks): &(&str, [i128; 4])| {
        let currency: Currency = code.parse().map_err(|_| damaged("there is no such currency"))?;
        let [exact, estimated, input, output] = ticks.map(Money::from_ticks);
        Ok((currency, Amounts { exact, estimated, input, output }))
    };
    let [exact, estimated, free, unpriced, without_usage, tokens] = written.calls;
    Ok(CostTotals {
        amounts: written.amounts.iter().map(one).collect::<Result<_, SumsError>>()?,
        exact_calls: exact,
        estimated_calls: estimated,
        free_calls: free,
        unpriced_calls: unpriced,
        calls_without_usage: without_usage,
        unpriced_tokens: tokens,
    })
}

impl WrittenHistogram {
    fn of(histogram: &Histogram) -> Self {
        let mut before = 0;
        let counts = histogram.counts.iter().map(|(place, count)| {
            let ahead = place - before;
            before = *place;
            (ahead, *count)
        });
        let counts = counts.collect();
        let Histogram { sum, squares, min, max, .. } = *histogram;
        Self { sum, squares, min, max, counts }
    }

    fn read(self) -> Result<Histogram, SumsError> {
        let Self { sum, squares, min, max, .. } = self;
        let (mut place, mut counts) = (0_u16, BTreeMap::new());
        for (ahead, count) in self.counts {
            place = place.checked_add(ahead).ok_or_else(|| damaged("a bucket does not exist"))?;
            if usize::from(place) >= crate::columns::buckets::BUCKETS {
                return Err(damaged("a bucket does not exist"));
            }
            counts.insert(place, count);
        }
        if min > max {
            return Err(damaged("the smallest is above the largest"));
        }
        Ok(Histogram { sum, squares, min, max, counts })
    }
}
