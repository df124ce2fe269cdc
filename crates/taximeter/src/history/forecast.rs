//! What the next hours or days will cost or take, by the sums of those before.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use taximeter_analysis::{Exhaustion, Forecast, NotEnough, Quantity, Series, Step, Sums, Total};
use taximeter_models::Money;
use taximeter_persistence::StoreError;
use taximeter_persistence::store::Level;

use super::numbers::{midnight, month_of};
use super::{History, Period, VERSION, windows};

/// What is to be forecast.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct OutlookAsk {
    /// What. Default: the cost.
    pub quantity: Quantity,
    /// In hours or days. Default: days.
    pub step: Step,
    /// How many of them. Default: 30.
    pub steps: usize,
    /// From when on: the step of this moment is not over, and the first to be forecast.
    pub now: DateTime<Utc>,
    /// Until when the sum is asked for. Default: none.
    pub total_until: Option<DateTime<Utc>>,
    /// The budget of the month of `now`, in US dollars. Default: none.
    pub budget: Option<Money>,
}

impl OutlookAsk {
    /// The cost of the next 30 days.
    pub fn new(now: DateTime<Utc>) -> Self {
        let (quantity, step, steps) = (Quantity::CostUsd, Step::Day, 30);
        Self { quantity, step, steps, now, total_until: None, budget: None }
    }
}

/// What comes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Outlook {
    /// The version of the document.
    pub taximeter_version: u32,
    /// `forecast`.
    pub document: &'static str,
    /// What was forecast.
    pub quantity: Quantity,
    /// The steps that were seen, the oldest first; none where a step has no value.
    pub seen: Vec<(DateTime<Utc>, Option<f64>)>,
    /// The forecast; none where too few steps were seen.
    pub forecast: Option<Forecast>,
    /// Why there is none.
    pub not_enough: Option<NotEnough>,
    /// The sum until the moment that was asked for.
    pub total: Option<Total>,
    /// What the month has cost before the first step that is forecast; none without a budget.
    pub spent_of_budget: Option<Money>,
    /// The budget, if one was named.
    pub budget: Option<Money>,
    /// When it is gone; none without a budget, or where nothing was forecast.
    pub exhaustion: Option<Exhaustion>,
}

/// So much of the past is looked at: more is not taken by a forecast.
const PAST: [(Step, i64); 2] = [(Step::Hour, 84), (Step::Day, 2_016)];

impl History {
    /// What the next steps will come to.
    ///
    /// # Errors
    /// Where the store cannot be read. That too little was recorded is an answer.
    pub fn forecast(&self, ask: &OutlookAsk) -> Result<Outlook, StoreError> {
        let series = self.series(ask.quantity, ask.step, ask.now)?;
        let told = taximeter_analysis::forecast(&series, ask.steps);
        let seen = series.values().iter().enumerate();
        let seen = seen.map(|(place, value)| (series.at(place), *value)).collect();
        let (forecast, not_enough) = match told {
            Ok(forecast) => (Some(forecast), None),
            Err(not_enough) => (None, Some(not_enough)),
        };
        let total = ask.total_until.and_then(|until| forecast.as_ref()?.total_until(until));
        let begun = level(ask.step).start(ask.now.timestamp());
        let spent = match (ask.budget, month_of(ask.now.date_naive())) {
            (Some(_), Some((first, _))) => {
                let until = DateTime::from_timestamp(begun, 0);
                Some(self.all(Period { since: Some(first), until })?.known_usd())
            }
            _ => None,
        };
        let exhaustion = ask.budget.zip(spent);
        let exhaustion =
            exhaustion.and_then(|(budget, spent)| forecast.as_ref()?.exhaustion(spent, budget));
        Ok(Outlook {
            taximeter_version: VERSION,
            document: "forecast",
            quantity: ask.quantity,
            seen,
            forecast,
            not_enough,
            total,
            spent_of_budget: spent.map(|spent| spent.usd),
            budget: ask.budget,
            exhaustion,
        })
    }

    /// The steps from the first operation to the last one that is over.
    pub(super) fn series(
        &self,
        quantity: Quantity,
        step: Step,
        now: DateTime<Utc>,
    ) -> Result<Series, StoreError> {
        let level = level(step);
        let end = level.start(now.timestamp());
        let days = PAST.iter().find(|(of, _)| *of == step).map_or(84, |(_, days)| *days);
        let from = midnight(now.date_naive()).checked_sub_signed(TimeDelta::days(days));
        let until = DateTime::from_timestamp(end, 0);
        let mut sums = self.sums(windows::ALL, Period { since: from, until }, Some(level))?;
        sums.sort_by_key(|at| at.start);
        let first = sums.iter().find_map(|at| at.start).map(|start| start.timestamp());
        let Some(first) = first.filter(|first| *first < end) else {
            return Ok(Series::new(now, step, Vec::new()));
        };
        let steps = usize::try_from((end - first) / level.seconds()).unwrap_or_default();
        let mut all = vec![Sums::default(); steps];
        for at in sums {
            let place = at.start.map(|start| (start.timestamp() - first) / level.seconds());
            let place = place.and_then(|place| usize::try_from(place).ok());
            if let Some(step) = place.and_then(|place| all.get_mut(place)) {
                step.merge(&at.sums);
            }
        }
        let start = DateTime::from_timestamp(first, 0).unwrap_or(now);
        Ok(Series::of_sums(start, step, quantity, &all))
    }
}

fn level(step: Step) -> Level {
    match step {
        Step::Hour => Level::Hour,
        Step::Day => Level::Day,
    }
}
