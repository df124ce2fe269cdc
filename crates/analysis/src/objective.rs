//! Whether a promise to users is kept, how much of what may go wrong is used up, and how fast it goes.

use std::convert::Infallible;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use taximeter_models::{OperationRecord, Rate};
use thiserror::Error;

/// A promise: so large a part of operations succeeds, and within a time.
///
/// ```
/// use std::time::Duration;
/// use taximeter_analysis::Objective;
///
/// let objective = Objective::new(0.99)?.within(Duration::from_secs(3));
/// assert_eq!(objective.target(), 0.99);
/// assert!(Objective::new(1.0).unwrap_err().to_string().contains("below 1")); // nobody keeps that
/// # Ok::<(), taximeter_analysis::ObjectiveError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Objective {
    target: f64,
    within: Option<Duration>,
}

/// A promise that cannot be.
#[derive(Debug, Clone, PartialEq, Error)]
#[error(
    "objective: a target of {target} cannot be; a part above 0 and below 1 is expected (0.99 for 99 %)"
)]
pub struct ObjectiveError {
    /// The target as it was given.
    pub target: f64,
}

impl Objective {
    /// That this part of operations succeeds.
    ///
    /// # Errors
    /// Where the part is not above 0 and below 1: with a target of 1 there is nothing that may go wrong.
    pub fn new(target: f64) -> Result<Self, ObjectiveError> {
        if target > 0.0 && target < 1.0 {
            Ok(Self { target, within: None })
        } else {
            Err(ObjectiveError { target })
        }
    }

    /// That they do so within a time.
    pub fn within(mut self, time: Duration) -> Self {
        self.within = Some(time);
        self
    }

    /// The part that is to be good, 0 to 1.
    pub fn target(&self) -> f64 {
        self.target
    }

    /// How fast what may go wrong is used up by those of which so many were good: 1 is the pace at which it lasts for just
    /// the period. None of none.
    pub fn pace(&self, good: Rate) -> Option<f64> {
        good.complement().fraction().map(|bad| bad / (1.0 - self.target))
    }

    /// How fast it goes in each pair of windows, of rates that somebody else has counted: `good_of_last` gives those that
    /// were good of the last so many seconds.
    ///
    /// ```
    /// use std::convert::Infallible;
    /// use taximeter_analysis::Objective;
    /// use taximeter_models::Rate;
    ///
    /// let objective = Objective::new(0.99)?;
    /// // Every fifth has failed for hours: twenty times the pace.
    /// let Ok(burns) = objective.burns(|_| Ok::<_, Infallible>(Rate { hits: 80, of: 100 }));
    /// assert!(burns[0].alarms() && burns[0].over_long.unwrap() > 19.9);
    /// assert!(objective.burns(|_| Err("no store")).is_err());
    /// # Ok::<(), taximeter_analysis::ObjectiveError>(())
    /// ```
    ///
    /// # Errors
    /// Where the rates cannot be told.
    pub fn burns<E>(
        &self,
        mut good_of_last: impl FnMut(Duration) -> Result<Rate, E>,
    ) -> Result<Vec<Burn>, E> {
        let mut pace = |length| Ok(self.pace(good_of_last(seconds(length))?));
        let burn = |(long, short, limit)| {
            Ok(Burn {
                long_seconds: long,
                short_seconds: short,
                over_long: pace(long)?,
                over_short: pace(short)?,
                limit,
            })
        };
        BURNS.into_iter().map(burn).collect()
    }

    /// The time within which they are to succeed, if one was named.
    pub fn time(&self) -> Option<Duration> {
        self.within
    }

    fn is_good(&self, took: Duration, success: bool) -> bool {
        success && self.within.is_none_or(|time| took <= time)
    }
}

/// How a promise was kept over a period.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Kept {
    /// The operations that were as promised, of all in the period.
    pub good: Rate,
    /// Of what may go wrong in the period, the part that is left: 1 where nothing did, below 0 where more did than may.
    /// None of no operations.
    pub budget_left: Option<f64>,
    /// How content users are with the time, as [`apdex`] says, where the promise names one.
    pub apdex: Option<f64>,
    /// How fast it goes, in pairs of a long and a short window.
    pub burns: Vec<Burn>,
}

impl Kept {
    /// Whether some pair of windows says that somebody should look now.
    pub fn alarms(&self) -> bool {
        self.burns.iter().any(Burn::alarms)
    }
}

/// How fast a budget goes: 1 is the pace at which it lasts for just the period.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Burn {
    /// The long window, in seconds.
    pub long_seconds: u64,
    /// The short window, in seconds; it ends an alarm soon after its cause is gone.
    pub short_seconds: u64,
    /// The pace over the long window; none of no operations.
    pub over_long: Option<f64>,
    /// The pace over the short window; none of no operations.
    pub over_short: Option<f64>,
    /// The pace from which on it alarms.
    pub limit: f64,
}

impl Burn {
    /// Whether it is too fast over both windows.
    pub fn alarms(&self) -> bool {
        let above = |pace: Option<f64>| pace.is_some_and(|pace| pace >= self.limit);
        above(self.over_long) && above(self.over_short)
    }
}

/// Long window, short window, and the pace at which a part of a budget of 30 days is gone: 2 % in an hour, 5 % in six
/// hours, 10 % in three days.
const BURNS: [(u64, u64, f64); 3] =
    [(3_600, 300, 14.4), (6 * 3_600, 1_800, 6.0), (72 * 3_600, 6 * 3_600, 1.0)];

/// How a promise was kept by the operations that ended in the period before `now`.
///
/// The pairs of windows and their limits are those of "The Site Reliability Workbook" (Google, 2018), chapter 5, table
/// 5-8.
///
/// ```
/// use std::time::Duration;
/// use taximeter_analysis::{Objective, kept};
/// use taximeter_models::{OperationRecord, Outcome};
///
/// let mut operations = vec![OperationRecord::new("qa_response"); 200];
/// operations[0].outcome = Outcome::Failure;
/// let now = operations[0].ended_at();
/// let month = Duration::from_secs(30 * 86_400);
/// let found = kept(&operations, &Objective::new(0.99)?, month, now);
/// assert_eq!(found.good.to_string(), "99.5 % (199 of 200)");
/// assert!((found.budget_left.unwrap() - 0.5).abs() < 1e-9); // one of two that may fail has
/// assert!(!found.alarms());
/// assert_eq!(kept([], &Objective::new(0.99)?, month, now).budget_left, None);
/// # Ok::<(), taximeter_analysis::ObjectiveError>(())
/// ```
pub fn kept<'a>(
    operations: impl IntoIterator<Item = &'a OperationRecord>,
    objective: &Objective,
    period: Duration,
    now: DateTime<Utc>,
) -> Kept {
    let mut keeping = Keeping::new(*objective, period, now);
    for operation in operations {
        keeping.add(operation.ended_at(), operation.duration, operation.is_success());
    }
    keeping.finish()
}

/// Counts how a promise is [`kept`], one operation after the other, for who has columns and no records. Its memory does not
/// grow.
///
/// ```
/// use std::time::Duration;
/// use taximeter_analysis::{Keeping, Objective};
///
/// let now = "2026-11-24T12:00:00Z".parse()?;
/// let second = Duration::from_secs(1);
/// let mut keeping = Keeping::new(Objective::new(0.9)?.within(second), 3_600 * second, now);
/// keeping.add(now, second, true);
/// keeping.add(now, 3 * second, true); // too slow
/// keeping.add(now - chrono::TimeDelta::hours(2), second, false); // long ago
/// let kept = keeping.finish();
/// assert_eq!((kept.good.to_string().as_str(), kept.apdex), ("50.0 % (1 of 2)", Some(0.75)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Keeping {
    objective: Objective,
    now: DateTime<Utc>,
    /// When each window begins, and what was good in it: the period, then a long and a short one of each pair.
    windows: Vec<(DateTime<Utc>, Rate)>,
    content: Content,
}

impl Keeping {
    /// Nothing yet, for the period before `now`.
    pub fn new(objective: Objective, period: Duration, now: DateTime<Utc>) -> Self {
        let mut windows = vec![(start(now, period), Rate::default())];
        for (long, short, _) in BURNS {
            for length in [long, short] {
                windows.push((start(now, seconds(length)), Rate::default()));
            }
        }
        Self { objective, now, windows, content: Content::default() }
    }

    /// Counts an operation: when it ended, how long it took, and whether it succeeded.
    pub fn add(&mut self, ended_at: DateTime<Utc>, took: Duration, success: bool) {
        let good = self.objective.is_good(took, success);
        let (now, begin) = (self.now, self.windows[0].0);
        let holding =
            self.windows.iter_mut().filter(|(from, _)| *from <= ended_at && ended_at <= now);
        holding.for_each(|(_, rate)| rate.record(good));
        if let Some(time) = self.objective.within
            && begin <= ended_at
            && ended_at <= now
        {
            self.content.add(took, success, time);
        }
    }

    /// How it was kept so far.
    pub fn finish(&self) -> Kept {
        // The windows stand in the order in which they are asked for.
        let mut counted = self.windows.iter().map(|(_, good)| *good);
        let good = counted.next().unwrap_or_default();
        let of_last = |_| Ok::<_, Infallible>(counted.next().unwrap_or_default());
        let Ok(burns) = self.objective.burns(of_last);
        Kept {
            good,
            budget_left: self.objective.pace(good).map(|pace| 1.0 - pace),
            apdex: self.content.share(),
            burns,
        }
    }
}

/// How content users are: in halves, of so many operations.
#[derive(Debug, Clone, Copy, Default)]
struct Content {
    halves: u64,
    of: u64,
}

impl Content {
    fn add(&mut self, took: Duration, success: bool, satisfied: Duration) {
        self.of += 1;
        self.halves += match took {
            _ if !success => 0,
            took if took <= satisfied => 2,
            took if took <= satisfied.saturating_mul(4) => 1,
            _ => 0,
        };
    }

    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    fn share(self) -> Option<f64> {
        (self.of > 0).then(|| self.halves as f64 / (2 * self.of) as f64)
    }
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn start(now: DateTime<Utc>, window: Duration) -> DateTime<Utc> {
    let window = TimeDelta::from_std(window).unwrap_or(TimeDelta::MAX);
    now.checked_sub_signed(window).unwrap_or(DateTime::<Utc>::MIN_UTC)
}

/// How content users are with the time that operations take, from 0 to 1: those that took no longer than `satisfied`
/// count in full, those up to four times as long by half, and all that failed or took longer for nothing. None of no
/// operations.
///
/// Source: "Application Performance Index – Apdex technical specification", version 1.1 (2007), sections 3 and 4.
///
/// ```
/// use std::time::Duration;
/// use taximeter_analysis::apdex;
/// use taximeter_models::OperationRecord;
///
/// let mut operations = vec![OperationRecord::new("qa_response"); 4];
/// for (operation, seconds) in operations.iter_mut().zip([1, 2, 5, 60]) {
///     operation.duration = Duration::from_secs(seconds);
/// }
/// assert_eq!(apdex(&operations, Duration::from_secs(2)), Some(0.625));
/// assert_eq!(apdex([], Duration::from_secs(2)), None);
/// ```
pub fn apdex<'a>(
    operations: impl IntoIterator<Item = &'a OperationRecord>,
    satisfied: Duration,
) -> Option<f64> {
    let mut content = Content::default();
    for operation in operations {
        content.add(operation.duration, operation.is_success(), satisfied);
    }
    content.share()
}

#[cfg(test)]
mod tests {
    use taximeter_models::Outcome;

    use super::*;

    fn at(minutes_ago: i64, good: bool, now: DateTime<Utc>) -> OperationRecord {
        let mut operation = OperationRecord::new("op");
        operation.started_at = now - TimeDelta::minutes(minutes_ago);
        operation.duration = Duration::from_secs(1);
        operation.outcome = if good { Outcome::Success } else { Outcome::Failure };
        operation
    }

    #[test]
    fn a_fast_burn_alarms_as_long_as_it_goes_on() {
        let now: DateTime<Utc> = "2026-11-24T12:00:00Z".parse().unwrap();
        let objective = Objective::new(0.99).unwrap();
        let month = Duration::from_secs(30 * 86_400);
        // One operation a minute; of the last hour every fifth fails: twenty times the pace.
        let mut operations: Vec<_> =
            (1..3_000).map(|minute| at(minute, minute > 60 || minute % 5 > 0, now)).collect();
        let found = kept(&operations, &objective, month, now);
        assert!(found.alarms() && found.burns[0].over_long.unwrap() > 14.4, "{found:?}");
        // Whatever ends later than now is not known now.
        operations.push(at(-5, false, now));
        assert_eq!(kept(&operations, &objective, month, now), found);
        // The last half hour was good: the short windows end the alarm.
        operations.retain(|operation| {
            operation.is_success() || operation.ended_at() < now - TimeDelta::minutes(31)
        });
        assert!(!kept(&operations, &objective, month, now).alarms());
    }

    #[test]
    fn what_is_too_slow_is_not_as_promised() {
        let now: DateTime<Utc> = "2026-11-24T12:00:00Z".parse().unwrap();
        let operations = [at(1, true, now), at(2, true, now)];
        let strict = Objective::new(0.5).unwrap().within(Duration::from_millis(999));
        let found = kept(&operations, &strict, Duration::from_secs(3_600), now);
        assert_eq!((found.good, found.budget_left), (Rate { hits: 0, of: 2 }, Some(-1.0)));
        assert!(Objective::new(f64::NAN).is_err() && Objective::new(0.0).is_err());
    }

    /// Of a hundred, sixty are satisfied and thirty bear it: 60 and a half of 30. Both bounds belong to the better side.
    #[test]
    fn users_are_content_by_halves() {
        let satisfied = Duration::from_secs(3);
        let took = |at: u32| match at {
            0..60 => satisfied,
            60..90 => 4 * satisfied,
            _ => 4 * satisfied + Duration::from_nanos(1),
        };
        let mut operations: Vec<_> = (0..100)
            .map(|at| {
                let mut operation = OperationRecord::new("op");
                operation.duration = took(at);
                operation
            })
            .collect();
        assert_eq!(apdex(&operations, satisfied), Some(0.75));
        // Whatever fails contents nobody, however fast it does.
        for operation in &mut operations[..20] {
            operation.outcome = Outcome::Failure;
        }
        assert_eq!(apdex(&operations, satisfied), Some(0.55));
    }
}
