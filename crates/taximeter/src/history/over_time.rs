//! A period in steps of equal length: what each of them spent, how long operations took, how many failed.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use taximeter_analysis::{Sums, TokenSummary};
use taximeter_models::{Currency, ErrorCategory, Money, Name};
use taximeter_persistence::StoreError;
use taximeter_persistence::store::Level;

use super::windows::{self, unpriced};
use super::{By, History, Period};

/// A period in steps. Steps without operations are there too, with nothing in them.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct OverTime {
    /// How long a step is: minutes up to three hours, hours up to two weeks, else days.
    pub step: By,
    /// The steps in their order.
    pub moments: Vec<Moment>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Moment {
    /// When it begins.
    pub start: DateTime<Utc>,
    /// Operations that began in it.
    pub operations: u64,
    /// Those of them that did not succeed.
    pub failed: u64,
    /// Errors by category, as far as they were kept.
    pub errors_by_category: BTreeMap<ErrorCategory, u64>,
    /// What is known of the cost, in US dollars.
    pub total_cost: Money,
    /// The part of it for input tokens; costs that were not told apart are in neither part.
    pub input_cost: Money,
    /// The part of it for output tokens.
    pub output_cost: Money,
    /// What is known of the cost by LLM.
    pub cost_by_llm: BTreeMap<Name, Money>,
    /// What the calls of each LLM did, as far as there were any.
    pub by_llm: BTreeMap<Name, LlmMoment>,
    /// LLM calls whose cost is not known.
    pub unpriced_calls: u64,
    /// Input tokens.
    pub input_tokens: u64,
    /// Input tokens that were read from a cache.
    pub cache_read_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// Half of the operations did not take longer, in seconds; none of none.
    pub p50_seconds: Option<f64>,
    /// 90 % did not.
    pub p90_seconds: Option<f64>,
    /// 95 % did not.
    pub p95_seconds: Option<f64>,
    /// 99 % did not.
    pub p99_seconds: Option<f64>,
    /// 95 % of the first tokens did not take longer, in seconds; none where none told.
    pub first_token_p95_seconds: Option<f64>,
}

/// The calls of one LLM in one step.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct LlmMoment {
    /// The calls.
    pub calls: u64,
    /// Those of them that did not succeed.
    pub failed: u64,
    /// Input tokens, the cached ones included.
    pub input_tokens: u64,
    /// Input tokens that were read from a cache.
    pub cache_read_tokens: u64,
    /// Input tokens that were written into a cache.
    pub cache_write_tokens: u64,
    /// Output tokens, reasoning included.
    pub output_tokens: u64,
    /// What is known of their cost, in US dollars.
    pub total_cost: Money,
    /// Calls whose cost is not known.
    pub unpriced_calls: u64,
    /// Half of the calls did not take longer, in seconds; none of none.
    pub p50_seconds: Option<f64>,
    /// 95 % did not.
    pub p95_seconds: Option<f64>,
    /// 95 % of the first tokens did not take longer, in seconds; none where none told.
    pub first_token_p95_seconds: Option<f64>,
    /// Output tokens in a second after the first: the median.
    pub output_tokens_per_second: Option<f64>,
}

/// The calls of one LLM in one stretch of time.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct LlmStretch {
    /// When it begins.
    pub start: DateTime<Utc>,
    /// The LLM, with its provider.
    pub llm: Name,
    /// What its calls did.
    #[serde(flatten)]
    pub calls: LlmMoment,
}

impl LlmMoment {
    fn of(sums: &Sums) -> Self {
        let tokens = TokenSummary::of(&sums.usage);
        let took = sums.nanos.distribution(1e-9);
        let speed = sums.milli_tokens_per_second.distribution(1e-3);
        Self {
            calls: sums.success.of,
            failed: sums.success.complement().hits,
            input_tokens: tokens.input_tokens,
            cache_read_tokens: tokens.cache_read.hits,
            cache_write_tokens: windows::cache_writes(&sums.usage),
            output_tokens: tokens.output_tokens,
            total_cost: sums.cost.usd(),
            unpriced_calls: unpriced(sums),
            p50_seconds: took.map(|took| took.p50),
            p95_seconds: took.map(|took| took.p95),
            first_token_p95_seconds: sums.first_token_nanos.distribution(1e-9).map(|f| f.p95),
            output_tokens_per_second: speed.map(|speed| speed.p50),
        }
    }
}

/// More steps than this are not made: the beginning of such a period is left out.
const MOST_STEPS: i64 = 1_500;

impl History {
    /// A period in steps; one that has no beginning or end begins and ends with the operations that there are.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn over_time(&self, period: Period) -> Result<OverTime, StoreError> {
        let period = self.whole(self.bounded(period)?);
        let level = level(period).max(self.reach()?.finest(period));
        let step = By::Time(level);
        let Some((first, last)) = ends(period, level) else {
            return Ok(OverTime { step, moments: Vec::new() });
        };
        let mut moments: BTreeMap<i64, Moment> = (first..last)
            .step_by(usize::try_from(level.seconds()).unwrap_or(1))
            .filter_map(|second| Some((second, Moment::new(DateTime::from_timestamp(second, 0)?))))
            .collect();
        for all in self.sums(windows::ALL, period, Some(level))? {
            let start = all.start.map(|start| start.timestamp());
            if let Some(moment) = start.and_then(|start| moments.get_mut(&start)) {
                moment.fill(&all.sums);
            }
        }
        for llm in self.sums(windows::LLM, period, Some(level))? {
            let start = llm.start.map(|start| start.timestamp());
            let usd = llm.sums.cost.usd();
            if let Some(moment) = start.and_then(|start| moments.get_mut(&start)) {
                let key = llm.key.unwrap_or_else(|| "unknown".into());
                if !usd.is_zero() {
                    *moment.cost_by_llm.entry(key.clone()).or_default() += usd;
                }
                moment.by_llm.insert(key, LlmMoment::of(&llm.sums));
            }
        }
        Ok(OverTime { step, moments: moments.into_values().collect() })
    }

    /// The calls of each LLM in each stretch of time of that level, the oldest first; stretches without calls are left out.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub(super) fn llms_by_time(
        &self,
        level: Level,
        period: Period,
    ) -> Result<Vec<LlmStretch>, StoreError> {
        let period = self.whole(self.bounded(period)?);
        let level = level.max(self.reach()?.finest(period));
        let sums = self.sums(windows::LLM, period, Some(level))?;
        let stretch = |one: super::Summed| {
            let llm = one.key.unwrap_or_else(|| "unknown".into());
            Some(LlmStretch { start: one.start?, llm, calls: LlmMoment::of(&one.sums) })
        };
        Ok(sums.into_iter().filter_map(stretch).collect())
    }

    /// The same period with a beginning and an end: those of what is stored, where it has none.
    pub(super) fn bounded(&self, period: Period) -> Result<Period, StoreError> {
        if period.since.is_some() && period.until.is_some() {
            return Ok(period);
        }
        let span = self.store.span()?;
        let at = |nanos: Option<i64>| nanos.map(DateTime::from_timestamp_nanos);
        let last = at(span.last_ns).and_then(|last| last.checked_add_signed(TimeDelta::seconds(1)));
        Ok(Period::new(period.since.or(at(span.first_ns)), period.until.or(last)))
    }
}

impl Moment {
    fn new(start: DateTime<Utc>) -> Self {
        Self {
            start,
            operations: 0,
            failed: 0,
            errors_by_category: BTreeMap::new(),
            total_cost: Money::ZERO,
            input_cost: Money::ZERO,
            output_cost: Money::ZERO,
            cost_by_llm: BTreeMap::new(),
            by_llm: BTreeMap::new(),
            unpriced_calls: 0,
            input_tokens: 0,
            cache_read_tokens: 0,
            output_tokens: 0,
            p50_seconds: None,
            p90_seconds: None,
            p95_seconds: None,
            p99_seconds: None,
            first_token_p95_seconds: None,
        }
    }

    fn fill(&mut self, sums: &Sums) {
        self.operations = sums.success.of;
        self.failed = sums.success.complement().hits;
        self.errors_by_category.clone_from(&sums.errors_by_category);
        self.total_cost = sums.cost.usd();
        let told = sums.cost.amounts.get(&Currency::USD).copied().unwrap_or_default();
        (self.input_cost, self.output_cost) = (told.input, told.output);
        self.unpriced_calls = unpriced(sums);
        let tokens = TokenSummary::of(&sums.usage);
        self.input_tokens = tokens.input_tokens;
        self.cache_read_tokens = tokens.cache_read.hits;
        self.output_tokens = tokens.output_tokens;
        if let Some(took) = sums.nanos.distribution(1e-9) {
            self.p50_seconds = Some(took.p50);
            self.p90_seconds = Some(took.p90);
            self.p95_seconds = Some(took.p95);
            self.p99_seconds = Some(took.p99);
        }
        let first = sums.first_token_nanos.distribution(1e-9);
        self.first_token_p95_seconds = first.map(|first| first.p95);
    }
}

pub(super) fn level(period: Period) -> Level {
    match period.length() {
        Some(length) if length <= TimeDelta::hours(3) => Level::Minute,
        Some(length) if length <= TimeDelta::weeks(2) => Level::Hour,
        _ => Level::Day,
    }
}

/// The seconds in which the first step begins and the last one ends.
fn ends(period: Period, level: Level) -> Option<(i64, i64)> {
    let (since, until) = (period.since?.timestamp(), period.until?.timestamp());
    let last = level.start(until - 1) + level.seconds();
    let first = level.start(since).max(last - MOST_STEPS * level.seconds());
    (until > since).then_some((first, last))
}
