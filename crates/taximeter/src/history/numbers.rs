//! The six numbers that come first, each with its line over time and its change against the period before.

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};
use serde::Serialize;
use taximeter_analysis::statistics::{Proportion, Z_95, wilson};
use taximeter_analysis::{Exhaustion, Sums, TokenSummary, Total};
use taximeter_models::{CostTotals, KnownUsd, Money, Rate, TokenUsage};
use taximeter_persistence::StoreError;
use taximeter_pricing::{Query as PriceQuery, Selectors};

use super::sums::PeriodSums;
use super::windows;
use super::{Ask, History, OutlookAsk, OverTime, Period, Summed};

/// One value for each step of the period, in its order; none where a step has none.
pub type Spark = Vec<Option<f64>>;

/// A number, and what it was in the period of the same length before; none where nothing was recorded then.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Change<V> {
    /// In this period.
    pub now: V,
    /// In the period before.
    pub before: Option<V>,
    /// Step by step through this period.
    pub over_time: Spark,
}

/// The six numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SixNumbers {
    /// What is known of the cost, in US dollars; what is estimated and unpriced of it stands in the totals.
    pub spend: Change<Money>,
    /// What this month will come to; none where there are too few days to say.
    pub month: Option<Month>,
    /// Operations.
    pub operations: Change<u64>,
    /// LLM calls.
    pub llm_calls: Change<u64>,
    /// Operations that did not succeed, of all.
    pub errors: Change<Rate>,
    /// The interval of that share with 95 % confidence, 0 to 1.
    pub errors_interval_95: Option<(f64, f64)>,
    /// 95 % of the operations did not take longer, in seconds.
    pub p95_seconds: Change<Option<f64>>,
    /// 95 % of the first tokens did not take longer, in seconds.
    pub first_token_p95_seconds: Change<Option<f64>>,
    /// How much of the input came from prompt caches.
    pub cache: Cache,
}

/// What prompt caches gave.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Cache {
    /// Input tokens that were read from a cache, of all.
    pub read: Change<Rate>,
    /// What these would have cost more as plain input, by the prices of the end of the period; none where nothing was
    /// read from a cache.
    pub saved: Option<Money>,
    /// Tokens read from a cache whose saving is not known, because their LLM has no price.
    pub unpriced_tokens: u64,
}

/// What a month will come to.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Month {
    /// The month, as its first day.
    pub month: NaiveDate,
    /// What its whole days so far have cost, in US dollars.
    pub so_far: Money,
    /// What the rest of it will cost, in US dollars.
    pub rest: Total,
    /// The budget of the month, if one was named.
    pub budget: Option<Money>,
    /// When the budget is gone, if one was named.
    pub exhaustion: Option<Exhaustion>,
}

impl Month {
    /// What the whole month is expected to come to, with the range that holds it with 80 %.
    pub fn expected(&self) -> (f64, f64, f64) {
        let so_far = self.so_far.to_f64_lossy();
        (so_far + self.rest.low_80, so_far + self.rest.value, so_far + self.rest.high_80)
    }
}

impl History {
    pub(super) fn six_numbers(
        &self,
        (present, before): (&PeriodSums, Option<&PeriodSums>),
        over_time: &OverTime,
        ask: &Ask,
    ) -> Result<SixNumbers, StoreError> {
        let before = before.map(|before| &before.all);
        let both = Both { now: &present.all, before, over_time };
        let errors = present.all.success.complement();
        let p95 = |sums: &Sums| sums.nanos.distribution(1e-9).map(|took| took.p95);
        let first_token = |sums: &Sums| sums.first_token_nanos.distribution(1e-9).map(|f| f.p95);
        Ok(SixNumbers {
            spend: both.change(|sums| sums.cost.usd(), |at| Some(at.total_cost.to_f64_lossy())),
            month: self.month(ask.now, ask.budget)?,
            operations: both.change(|sums| sums.success.of, |at| Some(float(at.operations))),
            llm_calls: both.change(|sums| calls(&sums.cost), |_| None),
            errors: both
                .change(|sums| sums.success.complement(), |at| share(at.failed, at.operations)),
            errors_interval_95: wilson(errors, Z_95).map(|ends| (ends.low, ends.high)),
            p95_seconds: both.change(p95, |at| at.p95_seconds),
            first_token_p95_seconds: both.change(first_token, |at| at.first_token_p95_seconds),
            cache: self.cache(ask.period, &present.llms, &both),
        })
    }

    /// The sums of all operations of a period.
    pub(super) fn all(&self, period: Period) -> Result<Sums, StoreError> {
        let mut all = Sums::default();
        for part in self.sums(windows::ALL, period, None)? {
            all.merge(&part.sums);
        }
        Ok(all)
    }

    fn cache(&self, period: Period, llms: &[Summed], both: &Both<'_>) -> Cache {
        let at = period.until.unwrap_or_else(Utc::now);
        let (mut saved, mut unpriced_tokens, mut read) = (Money::ZERO, 0_u64, false);
        for llm in llms {
            let tokens = TokenSummary::of(&llm.sums.usage).cache_read.hits;
            if tokens == 0 {
                continue;
            }
            let (provider, model) = windows::provider_and_model(llm.key.as_deref());
            match self.saved_by_a_thousand(&provider, &model, at) {
                Some(thousandth) => {
                    read = true;
                    let ticks = thousandth.ticks().saturating_mul(i128::from(tokens)) / 1_000;
                    saved += Money::from_ticks(ticks);
                }
                None => unpriced_tokens = unpriced_tokens.saturating_add(tokens),
            }
        }
        let rate = |sums: &Sums| TokenSummary::of(&sums.usage).cache_read;
        let read_change = both.change(rate, |at| share(at.cache_read_tokens, at.input_tokens));
        Cache { read: read_change, saved: read.then_some(saved), unpriced_tokens }
    }

    /// What a thousand tokens cost less when they are read from a cache. A request of a thousand tokens is in no tier for
    /// long ones.
    fn saved_by_a_thousand(&self, provider: &str, model: &str, at: DateTime<Utc>) -> Option<Money> {
        let selectors = Selectors::new();
        let price = |usage: &TokenUsage| {
            let query =
                PriceQuery { provider: Some(provider), model, at, usage, selectors: &selectors };
            self.prices.price(&query).known_usd()
        };
        let cached = TokenUsage::inclusive(1_000, 0).cache_read(1_000).build().ok()?;
        Some(price(&TokenUsage::new(1_000, 0))? - price(&cached)?)
    }

    /// What the month of that moment will come to.
    fn month(
        &self,
        now: DateTime<Utc>,
        budget: Option<Money>,
    ) -> Result<Option<Month>, StoreError> {
        let Some((first, end)) = month_of(now.date_naive()) else { return Ok(None) };
        // Of some operations alone nothing is known of the time before.
        let known_since = self.part.as_ref().and_then(|part| part.since());
        if known_since.is_some_and(|since| since > first) {
            return Ok(None);
        }
        let today = midnight(now.date_naive());
        let mut ask = OutlookAsk::new(now);
        ask.steps = usize::try_from((end - today).num_days()).unwrap_or_default();
        ask.total_until = Some(end);
        let so_far = Period { since: Some(first), until: Some(today) };
        let so_far =
            if first == today { KnownUsd::default() } else { self.all(so_far)?.known_usd() };
        let outlook = self.forecast(&ask)?;
        let Some(forecast) = outlook.forecast else { return Ok(None) };
        let Some(rest) = forecast.total_until(end) else { return Ok(None) };
        let exhaustion = budget.and_then(|budget| forecast.exhaustion(so_far, budget));
        let so_far = so_far.usd;
        Ok(Some(Month { month: first.date_naive(), so_far, rest, budget, exhaustion }))
    }
}

/// The sums of two periods, and the steps of the first.
struct Both<'a> {
    now: &'a Sums,
    before: Option<&'a Sums>,
    over_time: &'a OverTime,
}

impl Both<'_> {
    fn change<V>(
        &self,
        of: impl Fn(&Sums) -> V,
        at: impl Fn(&super::Moment) -> Option<f64>,
    ) -> Change<V> {
        Change {
            now: of(self.now),
            before: self.before.map(&of),
            over_time: self.over_time.moments.iter().map(at).collect(),
        }
    }
}

fn calls(cost: &CostTotals) -> u64 {
    cost.calls()
}

fn share(part: u64, whole: u64) -> Option<f64> {
    Proportion::of(Rate { hits: part.min(whole), of: whole }).share
}

#[expect(clippy::cast_precision_loss, reason = "a line needs no more than 53 bits")]
fn float(count: u64) -> f64 {
    count as f64
}

/// The first day of a month and that of the next one.
pub(super) fn month_of(day: NaiveDate) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let first = day.with_day(1)?;
    let next = first.checked_add_signed(TimeDelta::days(31))?.with_day(1)?;
    Some((midnight(first), midnight(next)))
}

pub(super) fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(chrono::NaiveTime::MIN).and_utc()
}
