//! Since when something is worse, and in what most of it lies.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;
use taximeter_analysis::statistics::change_points;
use taximeter_analysis::{Dimension, Sums, why_mean};
use taximeter_models::{Money, Name, OperationRecord};
use taximeter_persistence::StoreError;
use taximeter_persistence::store::{Condition, Detail, Level};

use super::windows::{self, provider_and_model};
use super::{Attention, By, Concern, History, Period, Selection, Summed, over_time};

/// Since when something is worse, and in what most of it lies; as far as either can be told.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Cause {
    /// Since when; none where it came little by little, or over too few steps to tell.
    pub since: Option<Since>,
    /// In what most of it lies; none where it is alike in everything, or over too few operations to tell.
    pub driver: Option<MainDriver>,
}

/// The step of time with which something became worse.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Since {
    /// When the step begins.
    pub at: DateTime<Utc>,
    /// How long it is.
    pub step: By,
    /// How likely so large a change is by chance.
    pub p_value: f64,
}

/// The user, LLM, tool, operation or tag in which most of a change lies.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct MainDriver {
    /// What it is.
    pub by: Dimension,
    /// Which; none for operations that did not tell theirs.
    pub key: Option<Name>,
    /// Its part of the change of the mean; above 1 where the others went the other way.
    pub share_of_change: f64,
    /// So many operations were looked at of each side: the newest ones before, and since.
    pub operations: u64,
}

/// So many operations are looked at of each side.
const MOST: usize = 256;
/// They are looked for in so many sealed pieces of the store at most.
const PIECES: usize = 4;
/// Fewer say too little.
const ENOUGH: usize = 20;
/// A level holds for so many steps at least.
const SHORTEST: usize = 4;
/// Where nothing failed before, keys are measured by how many operations they have.
const HARDLY: f64 = 1e-6;

impl History {
    /// Says of what is worse than in the period before since when it is, and in what most of that lies.
    pub(super) fn put_causes(
        &self,
        all: &mut [Attention],
        period: Period,
    ) -> Result<(), StoreError> {
        let Some(before) = period.previous().and_then(|before| before.since) else { return Ok(()) };
        let both = Period { since: Some(before), until: period.until };
        let level = over_time::level(period).max(self.reach()?.finest(both));
        let mut steps = BTreeMap::<&'static str, Vec<Summed>>::new();
        for one in all {
            let Some(dimension) = one.by.as_ref().and_then(kept) else { continue };
            if !is_worse(&one.concern) {
                continue;
            }
            if !steps.contains_key(dimension) {
                steps.insert(dimension, self.sums(dimension, both, Some(level))?);
            }
            let of_all = steps.get(dimension).into_iter().flatten();
            let since = since(of_all.filter(|at| at.key.as_ref() == Some(&one.about)), one, level);
            let turn = since.as_ref().map(|since| since.at).or(period.since);
            let driver = match turn {
                Some(turn) => self.driver(one, both, turn)?,
                None => None,
            };
            one.cause = Some(Cause { since, driver }).filter(Cause::is_told);
        }
        Ok(())
    }

    /// In what the change lies that came with a moment.
    fn driver(
        &self,
        one: &Attention,
        both: Period,
        turn: DateTime<Utc>,
    ) -> Result<Option<MainDriver>, StoreError> {
        let newest = |period: Period| {
            let mut query = selection(one).query(period).detail(Detail::Line);
            query.pieces = Some(PIECES);
            self.records(query, MOST).map(|(records, _)| records)
        };
        let before = newest(Period { until: Some(turn), ..both })?;
        let since = newest(Period { since: Some(turn), ..both })?;
        // As many of each, so that no side weighs more.
        let many = before.len().min(since.len());
        if many < ENOUGH {
            return Ok(None);
        }
        let (before, since) = (&before[before.len() - many..], &since[since.len() - many..]);
        let mean = |side: &[OperationRecord]| side.iter().map(|of| amount(one, of)).sum::<f64>();
        if mean(since) <= mean(before) {
            return Ok(None);
        }
        let driven = why_mean(before, since, |operation| amount(one, operation));
        let mut others =
            driven.into_iter().filter(|found| Some(&found.dimension) != one.by.as_ref());
        Ok(others.next().and_then(|found| {
            let first = found.by.into_iter().next()?;
            Some(MainDriver {
                by: found.dimension,
                key: first.key,
                share_of_change: first.share_of_change,
                operations: many as u64,
            })
        }))
    }
}

impl Cause {
    fn is_told(&self) -> bool {
        self.since.is_some() || self.driver.is_some()
    }
}

/// In words: `since 2026-11-26 14:00 UTC (by hour, p 0.0004); 92 % of it lies in user ann, of 256 operations before and
/// since`.
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Since { at, step, p_value }) = &self.since {
            let chance =
                if *p_value < 0.001 { "p below 0.001".into() } else { format!("p {p_value:.3}") };
            write!(f, "since {} UTC (by {step}, {chance})", at.format("%F %H:%M"))?;
        }
        let Some(driver) = &self.driver else { return Ok(()) };
        let between = if self.since.is_some() { "; " } else { "" };
        let key = driver.key.as_deref().unwrap_or("(not told)");
        let percent = driver.share_of_change * 100.0;
        write!(
            f,
            "{between}{percent:.0} % of it lies in {} {key}, by the newest {} operations before and since",
            driver.by, driver.operations
        )
    }
}

fn is_worse(concern: &Concern) -> bool {
    matches!(concern, Concern::MoreErrors { .. } | Concern::Slower { .. } | Concern::Dearer { .. })
}

fn kept(by: &Dimension) -> Option<&'static str> {
    Some(match by {
        Dimension::Operation => windows::OPERATION,
        Dimension::Tool => windows::TOOL,
        Dimension::Llm => windows::LLM,
        _ => return None,
    })
}

/// The largest step upwards of what is worse.
fn since<'a>(
    steps: impl Iterator<Item = &'a Summed>,
    one: &Attention,
    level: Level,
) -> Option<Since> {
    let told = steps.filter_map(|at| Some((at.start?, value(&one.concern, &at.sums)?)));
    let mut told: Vec<_> = told.collect();
    told.sort_by_key(|(start, _)| *start);
    let values: Vec<f64> = told.iter().map(|(_, value)| *value).collect();
    let upwards = change_points(&values, 0.05, SHORTEST).into_iter();
    let upwards = upwards.filter(|change| change.after > change.before);
    let size = |change: &taximeter_analysis::statistics::ChangePoint| change.after - change.before;
    let change = upwards.max_by(|one, other| size(one).total_cmp(&size(other)))?;
    let at = told.get(change.at)?.0;
    Some(Since { at, step: By::Time(level), p_value: change.p_value })
}

/// What is worse, in one step.
fn value(concern: &Concern, sums: &Sums) -> Option<f64> {
    match concern {
        Concern::MoreErrors { .. } => sums.success.complement().fraction(),
        Concern::Slower { .. } => sums.nanos.distribution(1e-9).map(|took| took.p95),
        Concern::Dearer { .. } => sums.cost.usd().mean(sums.success.of).map(Money::to_f64_lossy),
        _ => None,
    }
}

/// The same of one operation.
fn amount(one: &Attention, of: &OperationRecord) -> f64 {
    let name = &*one.about;
    let llms = || of.llm_calls.iter().filter(|call| call.llm_key() == name);
    let tools = || of.tool_calls.iter().filter(|call| call.name == *name);
    let seconds = |took: Option<std::time::Duration>| took.unwrap_or_default().as_secs_f64();
    let usd = |cost: Option<Money>| cost.unwrap_or_default().to_f64_lossy();
    let failed = |failed: usize| f64::from(u32::try_from(failed).unwrap_or(u32::MAX)) + HARDLY;
    match (&one.concern, one.by.as_ref()) {
        (Concern::MoreErrors { .. }, Some(Dimension::Tool)) => {
            failed(tools().filter(|call| !call.is_success()).count())
        }
        (Concern::MoreErrors { .. }, Some(Dimension::Llm)) => {
            failed(llms().filter(|call| !call.is_success()).count())
        }
        (Concern::MoreErrors { .. }, _) => failed(usize::from(!of.is_success())),
        (Concern::Slower { .. }, Some(Dimension::Tool)) => {
            tools().map(|call| seconds(call.duration)).sum()
        }
        (Concern::Slower { .. }, Some(Dimension::Llm)) => {
            llms().map(|call| seconds(call.duration)).sum()
        }
        (Concern::Slower { .. }, _) => of.duration.as_secs_f64(),
        (_, Some(Dimension::Llm)) => llms().map(|call| usd(call.cost.known_usd())).sum(),
        _ => of.cost().usd().to_f64_lossy(),
    }
}

/// The operations behind it.
fn selection(one: &Attention) -> Selection {
    let all = Selection::default();
    match one.by.as_ref() {
        Some(Dimension::Tool) => all.and(Condition::Tool(one.about.clone())),
        Some(Dimension::Llm) => {
            let (provider, model) = provider_and_model(Some(&one.about));
            let asked = all.and(Condition::Llm(model));
            if one.about.contains('/') { asked.and(Condition::Provider(provider)) } else { asked }
        }
        _ => all.and(Condition::Operation(one.about.clone())),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use chrono::TimeDelta;
    use taximeter_models::{OperationId, Outcome};
    use taximeter_persistence::store::MemoryStore;

    use super::super::{Ask, Report, Windows};
    use super::*;

    /// Two days of answers, twenty an hour, of two users; something of them may be another from an hour on.
    fn report(worse: impl Fn(usize, &mut OperationRecord)) -> Report {
        let history = History::new(Arc::new(MemoryStore::summarizing(Arc::new(Windows))));
        let begun: DateTime<Utc> = "2026-11-24T00:00:00Z".parse().unwrap();
        let mut records = Vec::new();
        for number in 0..48 * 20_usize {
            let mut answer = OperationRecord::new("answer");
            answer.id = OperationId::from_bits(number as u128 + 1);
            let minutes = i64::try_from(number * 3).unwrap();
            answer.started_at = begun + TimeDelta::minutes(minutes);
            answer.duration = Duration::from_millis(900 + number as u64 * 7 % 200);
            answer.user = Some(if number.is_multiple_of(2) { "ann" } else { "bob" }.into());
            worse(number / 20, &mut answer);
            records.push(answer);
        }
        history.append(records).unwrap();
        let now = begun + TimeDelta::days(2);
        let period = Period::new(Some(begun + TimeDelta::days(1)), Some(now));
        history.report(&Ask::new(period, now)).unwrap()
    }

    #[test]
    fn what_fails_more_often_says_since_when_and_whose_it_is() {
        let is_bob = |of: &OperationRecord| of.user.as_deref() == Some("bob");
        let found = report(|hour, answer| {
            if hour >= 36 && is_bob(answer) {
                answer.outcome = Outcome::Failure;
            }
        });
        let cause = found.attention[0].cause.clone().expect("a cause is told");
        let since = cause.since.as_ref().expect("a change is found");
        assert_eq!(since.at.to_string(), "2026-11-25 12:00:00 UTC");
        let driver = cause.driver.as_ref().expect("a driver is found");
        assert_eq!((&driver.by, driver.key.as_deref()), (&Dimension::User, Some("bob")));
        assert_eq!(
            cause.to_string(),
            "since 2026-11-25 12:00 UTC (by hour, p below 0.001); 100 % of it lies in user bob, by the newest 240 \
             operations before and since"
        );
    }

    #[test]
    fn what_is_slower_for_all_has_no_driver_and_what_is_not_worse_no_cause() {
        let slower = report(|hour, answer| {
            if hour >= 30 {
                answer.duration *= 2;
            }
        });
        let cause = slower.attention[0].cause.as_ref().expect("a cause is told");
        assert!(cause.driver.is_none(), "{cause}");
        assert_eq!(cause.to_string(), "since 2026-11-25 06:00 UTC (by hour, p below 0.001)");
        assert!(report(|_, _| {}).attention.is_empty());
    }
}
