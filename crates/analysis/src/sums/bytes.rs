//! Sums as bytes: a version, and behind it what is not zero, as numbers of seven bits to a byte.
//!
//! What follows from other numbers is written as the difference from it, which is zero and takes no byte. Units and
//! categories have a number from a list that never changes; what is not in it has its name.

use chrono::{DateTime, Utc};
use taximeter_models::{
    Amounts, AmountsByCurrency, CostTotals, Currency, ErrorCategory, Money, Rate, TokenUsage, Unit,
};
use thiserror::Error;

use super::counts::{BUCKETS, Counts};
use super::histogram::Moments;
use super::varint::{Reader, Writer};
use super::{Histogram, Sums};
use crate::cost::KnownCosts;

/// The version that is written, and the newest that is read.
const VERSION: u8 = 1;

/// Units that have a number. It is part of the format: entries are never moved or taken out.
const UNITS: [&str; 8] = [
    "input",
    "output",
    "cache_read",
    "reasoning",
    "cache_write",
    "cache_write_5m",
    "cache_write_1h",
    "request",
];

/// Categories that have a number; likewise.
const CATEGORIES: [&str; 14] = [
    "network",
    "authentication",
    "authorization",
    "rate_limit",
    "quota",
    "validation",
    "timeout",
    "cancelled",
    "content_filter",
    "context_length",
    "server",
    "parse",
    "not_found",
    "unknown",
];

/// Currencies that have a number; likewise.
const CURRENCIES: [&str; 1] = ["USD"];

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
    Damaged(&'static str),
}

impl Sums {
    /// The sums as bytes: some 100 to 200 for a few operations, and not above 4,000 however many there are.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut to = Writer(Vec::with_capacity(256));
        to.byte(VERSION);
        to.number(self.success.of);
        put_present(&mut to, &self.numbers());
        put_counts(
            &mut to,
            &CATEGORIES,
            self.errors_by_category.iter().map(|(c, n)| (c.as_str(), *n)),
        );
        put_counts(&mut to, &UNITS, self.usage.iter().map(|(unit, count)| (unit.as_str(), count)));
        to.number(self.cost.amounts.len() as u64);
        for (currency, amounts) in &self.cost.amounts {
            put_name(&mut to, &CURRENCIES, currency.as_str());
            put_amounts(&mut to, *amounts);
        }
        put_money(&mut to, self.failed_usd.ticks());
        put_money(&mut to, self.cost.usd().ticks().wrapping_sub(self.known_costs.sum.ticks()));
        put_period(&mut to, self.period);
        for histogram in [&self.nanos, &self.first_token_nanos, &self.milli_tokens_per_second] {
            put_histogram(&mut to, histogram);
        }
        to.0
    }

    /// Sums of their bytes. Bytes that are too many, or hold what cannot be, are refused.
    ///
    /// # Errors
    /// Where the bytes are no sums, or those of a newer version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SumsError> {
        let mut from = versioned(bytes)?;
        let sums = Self::read(&mut from).ok_or(WRONG)?;
        let whole = from.0.is_empty();
        whole.then_some(sums).ok_or(SumsError::Damaged("they go on behind their end"))
    }

    /// The same without how long things took and how fast they were: those histograms, which are most of the bytes, are empty
    /// and are not looked at. For who adds up what many groups spent.
    ///
    /// ```
    /// use taximeter_analysis::Sums;
    /// use taximeter_models::OperationRecord;
    ///
    /// let mut sums = Sums::default();
    /// sums.add_operation(&OperationRecord::new("answer"));
    /// let counts = Sums::counts_from_bytes(&sums.to_bytes())?;
    /// assert_eq!((counts.count(), counts.nanos.count()), (1, 0));
    /// assert!(Sums::counts_from_bytes(&[]).is_err());
    /// # Ok::<(), taximeter_analysis::SumsError>(())
    /// ```
    ///
    /// # Errors
    /// Where the bytes up to there are no sums, or those of a newer version.
    pub fn counts_from_bytes(bytes: &[u8]) -> Result<Self, SumsError> {
        Self::counts(&mut versioned(bytes)?).ok_or(WRONG)
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let mut sums = Self::counts(from)?;
        sums.nanos = take_histogram(from)?;
        sums.first_token_nanos = take_histogram(from)?;
        sums.milli_tokens_per_second = take_histogram(from)?;
        Some(sums)
    }

    /// What stands before the histograms.
    fn counts(from: &mut Reader<'_>) -> Option<Self> {
        let mut sums = Self::default();
        sums.success.of = from.number()?;
        sums.put_numbers(take_present(from)?);
        let categories = take_counts(from, &CATEGORIES, |name| name.parse::<ErrorCategory>().ok())?;
        sums.errors_by_category = categories.into_iter().collect();
        sums.usage = TokenUsage::of_sum(take_counts(from, &UNITS, Unit::named)?);
        for _ in 0..from.number()? {
            let currency: Currency = take_name(from, &CURRENCIES)?.parse().ok()?;
            *sums.cost.amounts.in_currency(currency) = take_amounts(from)?;
        }
        sums.failed_usd = Money::from_ticks(take_money(from)?);
        let known = sums.cost.usd().ticks().wrapping_sub(take_money(from)?);
        sums.known_costs.sum = Money::from_ticks(known);
        sums.period = take_period(from)?;
        let is_part = |rate: Rate| rate.hits <= rate.of;
        (is_part(sums.success) && is_part(sums.truncated)).then_some(sums)
    }

    /// The numbers that are often zero, or what stands beside them.
    fn numbers(&self) -> [u64; NUMBERS] {
        let cost = &self.cost;
        [
            self.success.complement().hits,
            self.runs ^ self.success.of,
            self.abandoned,
            self.timeouts,
            self.retries,
            self.errors,
            self.warnings,
            self.calls_with_usage,
            self.truncated.of,
            self.truncated.hits,
            self.tool_replies,
            cost.exact_calls,
            cost.estimated_calls,
            cost.free_calls,
            cost.unpriced_calls,
            cost.calls_without_usage,
            cost.unpriced_tokens,
            self.other_currency_calls,
            self.known_costs.operations ^ self.success.of,
        ]
    }

    fn put_numbers(&mut self, numbers: [u64; NUMBERS]) {
        let [
            failed,
            runs,
            abandoned,
            timeouts,
            retries,
            errors,
            warnings,
            calls_with_usage,
            replies,
            cut,
            tool_replies,
            exact_calls,
            estimated_calls,
            free_calls,
            unpriced_calls,
            calls_without_usage,
            unpriced_tokens,
            other_currency_calls,
            known,
        ] = numbers;
        let count = self.success.of;
        // Below zero it would be no part, which is looked for at the end.
        self.success.hits = count.wrapping_sub(failed);
        self.runs = runs ^ count;
        (self.abandoned, self.timeouts, self.retries) = (abandoned, timeouts, retries);
        (self.errors, self.warnings, self.calls_with_usage) = (errors, warnings, calls_with_usage);
        self.truncated = Rate { hits: cut, of: replies };
        self.tool_replies = tool_replies;
        self.cost = CostTotals {
            amounts: AmountsByCurrency::default(),
            exact_calls,
            estimated_calls,
            free_calls,
            unpriced_calls,
            calls_without_usage,
            unpriced_tokens,
        };
        self.other_currency_calls = other_currency_calls;
        self.known_costs = KnownCosts { sum: Money::ZERO, operations: known ^ count };
    }
}

const NUMBERS: usize = 19;

const WRONG: SumsError = SumsError::Damaged("a number cannot be");

/// What stands behind the version.
fn versioned(bytes: &[u8]) -> Result<Reader<'_>, SumsError> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => Ok(Reader(rest)),
        Some((newer, _)) if *newer > VERSION => Err(SumsError::Newer(*newer)),
        _ => Err(SumsError::Damaged("they have no version")),
    }
}

/// Which numbers are not zero, as bits, and these.
fn put_present(to: &mut Writer, numbers: &[u64; NUMBERS]) {
    let mut present = 0_u64;
    for (at, number) in numbers.iter().enumerate() {
        present |= u64::from(*number != 0) << at;
    }
    to.number(present);
    numbers.iter().filter(|number| **number != 0).for_each(|number| to.number(*number));
}

fn take_present(from: &mut Reader<'_>) -> Option<[u64; NUMBERS]> {
    let present = from.number()?;
    let mut numbers = [0; NUMBERS];
    for (at, number) in numbers.iter_mut().enumerate() {
        if present & (1 << at) != 0 {
            *number = from.number()?;
        }
    }
    (present >> NUMBERS == 0).then_some(numbers)
}

/// A name by its place in a list, counted from 1, or in full.
fn put_name(to: &mut Writer, list: &[&str], name: &str) {
    if let Some(at) = list.iter().position(|known| *known == name) {
        return to.number(at as u64 + 1);
    }
    to.byte(0);
    to.text(name);
}

fn take_name<'a>(from: &mut Reader<'a>, list: &[&'a str]) -> Option<&'a str> {
    match usize::try_from(from.number()?).ok()?.checked_sub(1) {
        Some(at) => list.get(at).copied(),
        None => from.text(),
    }
}

fn put_counts<'a>(to: &mut Writer, list: &[&str], counts: impl Iterator<Item = (&'a str, u64)>) {
    for (name, count) in counts {
        to.number(count);
        put_name(to, list, name);
    }
    // No count is zero.
    to.byte(0);
}

fn take_counts<'a, K>(
    from: &mut Reader<'a>,
    list: &[&'a str],
    read: impl Fn(&str) -> Option<K>,
) -> Option<Vec<(K, u64)>> {
    let mut counts = Vec::new();
    loop {
        match from.number()? {
            0 => return Some(counts),
            count => counts.push((read(take_name(from, list)?)?, count)),
        }
    }
}

/// Input and output are most often the whole.
fn put_amounts(to: &mut Writer, amounts: Amounts) {
    let [exact, estimated, input, output] =
        [amounts.exact, amounts.estimated, amounts.input, amounts.output].map(Money::ticks);
    put_money(to, exact);
    put_money(to, estimated);
    put_money(to, input);
    put_money(to, exact.wrapping_add(estimated).wrapping_sub(input).wrapping_sub(output));
}

fn take_amounts(from: &mut Reader<'_>) -> Option<Amounts> {
    let (exact, estimated, input) = (take_money(from)?, take_money(from)?, take_money(from)?);
    let output = exact.wrapping_add(estimated).wrapping_sub(input).wrapping_sub(take_money(from)?);
    let [exact, estimated, input, output] =
        [exact, estimated, input, output].map(Money::from_ticks);
    Some(Amounts { exact, estimated, input, output })
}

/// Ticks without the zeros at their end, behind the number of these and one; no money is a zero.
fn put_money(to: &mut Writer, mut ticks: i128) {
    if ticks == 0 {
        return to.byte(0);
    }
    let mut zeros = 0;
    for (more, power) in [(16, 10_i128.pow(16)), (8, 100_000_000), (4, 10_000), (2, 100), (1, 10)] {
        if ticks % power == 0 {
            ticks /= power;
            zeros += more;
        }
    }
    to.byte(zeros + 1);
    to.signed(ticks);
}

fn take_money(from: &mut Reader<'_>) -> Option<i128> {
    match from.byte()? {
        0 => Some(0),
        zeros => from.signed()?.checked_mul(10_i128.checked_pow(u32::from(zeros) - 1)?),
    }
}

/// The seconds of the first moment, those from it to the last, and what is left of both. Nothing is before all moments.
fn put_period(to: &mut Writer, period: Option<(DateTime<Utc>, DateTime<Utc>)>) {
    let Some((first, last)) = period else { return to.byte(0) };
    to.byte(1);
    to.signed(first.timestamp().into());
    to.number((last.timestamp() - first.timestamp()).cast_unsigned());
    to.number(first.timestamp_subsec_nanos().into());
    to.number(last.timestamp_subsec_nanos().into());
}

#[expect(clippy::option_option, reason = "the outer one is that nothing could be read")]
fn take_period(from: &mut Reader<'_>) -> Option<Option<(DateTime<Utc>, DateTime<Utc>)>> {
    if from.byte()? == 0 {
        return Some(None);
    }
    let first = i64::try_from(from.signed()?).ok()?;
    let last = first.checked_add_unsigned(from.number()?)?;
    let mut moment =
        |seconds| DateTime::from_timestamp(seconds, u32::try_from(from.number()?).ok()?);
    let (first, last) = (moment(first)?, moment(last)?);
    (first <= last).then_some(Some((first, last)))
}

/// Each bucket by how many lie between it and the one before, with a bit that says whether there are more values than one in
/// it. Of two values at most, the sums follow from the smallest and the largest.
fn put_histogram(to: &mut Writer, histogram: &Histogram) {
    let (Moments { sum, squares, min, max }, counts) = (histogram.moments(), histogram.counts());
    to.number(counts.iter().count() as u64);
    let Some((first, last)) = counts.range() else { return };
    let mut next = 0;
    for (bucket, count) in counts.iter() {
        to.number(((bucket - next) as u64) << 1 | u64::from(count > 1));
        if count > 1 {
            to.number(count);
        }
        next = bucket + 1;
    }
    let count = histogram.count();
    to.number(min - Counts::ends(first).0);
    if count > 1 {
        to.number(Counts::ends(last).1 - max);
    }
    if count > 2 {
        to.large(sum);
        to.large(squares);
    }
}

fn take_histogram(from: &mut Reader<'_>) -> Option<Histogram> {
    let buckets = from.number()?;
    let mut counts = Vec::new();
    let mut next = 0_u16;
    for _ in 0..buckets {
        let step = from.number()?;
        let bucket = next.checked_add(u16::try_from(step >> 1).ok()?)?;
        if usize::from(bucket) >= BUCKETS {
            return None;
        }
        let count = if step & 1 == 1 { from.number().filter(|count| *count > 1)? } else { 1 };
        counts.push((bucket, count));
        next = bucket + 1;
    }
    let counts = Counts::of(counts);
    let Some((first, last)) = counts.range() else { return Some(Histogram::default()) };
    let ((smallest, below), (from_here, largest)) = (Counts::ends(first), Counts::ends(last));
    let count = counts.sum();
    let min = smallest.checked_add(from.number()?)?;
    let max = if count > 1 { largest.checked_sub(from.number()?)? } else { min };
    let (low, high) = (u128::from(min), u128::from(max));
    let (sum, squares) = match count {
        1 => (low, low * low),
        2 => (low + high, (low * low).saturating_add(high * high)),
        _ => (from.large()?, from.large()?),
    };
    let holds = min <= below && max >= from_here && min <= max;
    let holds = holds && sum >= low.saturating_mul(count.into());
    let holds = holds && sum <= high.saturating_mul(count.into());
    holds.then(|| Histogram::of_counts(counts, Moments { sum, squares, min, max }))
}
