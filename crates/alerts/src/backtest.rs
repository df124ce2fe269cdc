//! A rule over the past: when it would have fired, for how long, and for whom.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use taximeter::history::{History, Period};
use taximeter::{Name, StoreError};
use thiserror::Error;

use crate::ask::ask;
use crate::event::look;
use crate::evidence::Evidence;
use crate::judge::{Place, State, Step};
use crate::source::Source;
use crate::watch::{minute, unknown};
use crate::{Amount, Kind, Rule, Rules, Unit};

/// What a rule would have done.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "RuleBacktest"))]
#[non_exhaustive]
pub struct Backtest {
    /// The version of the document.
    pub taximeter_version: u32,
    /// `backtest`.
    pub document: &'static str,
    /// The rule.
    pub rule: Name,
    /// What it says, in a sentence.
    pub says: String,
    /// The first moment at which it was looked at.
    pub since: DateTime<Utc>,
    /// The last.
    pub until: DateTime<Utc>,
    /// From one look to the next, in seconds: as long as the rule's own, or longer where that would be more than ten
    /// thousand looks.
    pub step_seconds: i64,
    /// How often it was looked at.
    pub looks: u64,
    /// At how many of these some group had no data, or too little.
    pub looks_without_data: u64,
    /// How often it would have fired.
    pub would_have_fired: usize,
    /// Each of these, in the order of time: at most a thousand.
    pub fired: Vec<Fired>,
    /// The same by group, those that fired for the longest time first.
    pub groups: Vec<GroupFired>,
    /// The most groups for which there was no room.
    pub overflow: usize,
}

/// That it would have fired.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Fired {
    /// The group; none where nothing is told apart, or its operations did not tell it.
    pub key: Option<Name>,
    /// Since when it was so.
    pub since: DateTime<Utc>,
    /// When it would have fired.
    pub fired_at: DateTime<Utc>,
    /// When it would have been over; none where it still was not at the end.
    pub resolved_at: Option<DateTime<Utc>>,
    /// Whether the file muted it then.
    pub muted: bool,
    /// What was seen.
    pub value: Option<Amount>,
    /// Its unit.
    pub unit: Unit,
    /// It in words.
    pub text: String,
    /// The command that shows the operations behind it.
    pub look: String,
    /// The same for a program; none where nothing is known.
    pub evidence: Option<Evidence>,
}

/// How often and how long a group would have fired.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct GroupFired {
    /// The group.
    pub key: Option<Name>,
    /// How often.
    pub times: usize,
    /// For how long altogether, in seconds.
    pub seconds: i64,
}

/// Why there is no answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BacktestError {
    /// The period has no beginning, or ends before it.
    #[error(
        "testing the rule {rule:?} over {period}: a period with a beginning before its end is expected, such as 7d"
    )]
    Period {
        /// The rule.
        rule: Name,
        /// The period.
        period: Period,
    },
    /// The history cannot be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// More looks than this are not made; of anomalies and forecasts, a tenth.
const MOST_LOOKS: i64 = 10_000;
/// So many are told one by one.
const MOST_FIRED: usize = 1_000;

/// What a rule would have done over a period, looked at as often as it is. Where the period has no end, it ends `now`.
///
/// ```
/// use std::sync::Arc;
/// use chrono::TimeDelta;
/// use taximeter::history::{History, Period, Windows};
/// use taximeter::store::MemoryStore;
/// use taximeter::{OperationId, OperationRecord, Outcome};
/// use taximeter_alerts::{Rules, backtest};
///
/// // An operation every minute of a day; those from ten to half past ten fail.
/// let midnight = "2026-11-23T00:00:00Z".parse()?;
/// let history = History::new(Arc::new(MemoryStore::summarizing(Arc::new(Windows))));
/// let operation = |minute: i64| {
///     let mut operation = OperationRecord::new("qa_response");
///     operation.id = OperationId::from_bits(minute as u128);
///     operation.started_at = midnight + TimeDelta::minutes(minute);
///     operation.outcome =
///         if (600..630).contains(&minute) { Outcome::Failure } else { Outcome::Success };
///     operation
/// };
/// history.append((0..1_440).map(operation).collect())?;
///
/// let rules: Rules = r#"
///     [[rule]]
///     name = "answers fail"
///     kind = "threshold"
///     quantity = "error_rate"
///     above = 0.5
///     window = "20m"
/// "#.parse()?;
/// let now = midnight + TimeDelta::days(1);
/// let found = backtest(&rules.rules[0], &rules, &history, Period::new(Some(midnight), None), now)?;
/// assert_eq!(found.would_have_fired, 1);
/// assert_eq!(found.fired[0].fired_at.to_string(), "2026-11-23 10:11:00 UTC");
/// assert_eq!(found.groups[0].seconds, 29 * 60);
/// assert!(backtest(&rules.rules[0], &rules, &history, Period::ALL, now).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Where the period has no beginning, or the store cannot be read.
pub fn backtest(
    rule: &Rule,
    rules: &Rules,
    history: &History,
    period: Period,
    now: DateTime<Utc>,
) -> Result<Backtest, BacktestError> {
    let until = minute(period.until.unwrap_or(now).min(now));
    let Some(since) = period.since.map(minute).filter(|since| *since < until) else {
        return Err(BacktestError::Period { rule: rule.name.clone(), period });
    };
    let step = step(rule, until - since);
    let source = Source::sliding(history);
    let mut past = Past { rule, states: BTreeMap::new(), fired: Vec::new(), without_data: 0 };
    let (mut at, mut looks, mut overflow) = (first(since, step), 0, 0);
    let begins = at;
    while at <= until {
        let firing = |key: Option<&Name>| {
            past.states.get(&key.cloned()).is_some_and(|(state, _)| state.firing.is_some())
        };
        let asked = ask(rule, rules, &source, at, &firing)?;
        overflow = overflow.max(asked.overflow);
        past.look(asked.seen, at);
        looks += 1;
        at += step;
    }
    let ends = at - step;
    let (fired, groups) = (past.fired, past.states);
    let mut by_group = BTreeMap::<Option<Name>, GroupFired>::new();
    for one in &fired {
        let group = by_group.entry(one.key.clone()).or_insert_with(|| GroupFired {
            key: one.key.clone(),
            times: 0,
            seconds: 0,
        });
        group.times += 1;
        group.seconds += (one.resolved_at.unwrap_or(ends) - one.fired_at).num_seconds();
    }
    drop(groups);
    let mut groups: Vec<_> = by_group.into_values().collect();
    groups.sort_by(|one, other| {
        other.seconds.cmp(&one.seconds).then_with(|| one.key.cmp(&other.key))
    });
    Ok(Backtest {
        taximeter_version: 1,
        document: "backtest",
        rule: rule.name.clone(),
        says: rule.to_string(),
        since: begins,
        until: ends,
        step_seconds: step.num_seconds(),
        looks,
        looks_without_data: past.without_data,
        would_have_fired: fired.len(),
        fired: fired.into_iter().take(MOST_FIRED).collect(),
        groups,
        overflow,
    })
}

/// The rule's own step, or the shortest multiple of it with which there are not too many.
fn step(rule: &Rule, period: TimeDelta) -> TimeDelta {
    let own = rule.every.num_seconds().max(60);
    let looks = period.num_seconds() / own;
    // What goes through weeks of the past at each look is looked at less often.
    let most = match rule.kind {
        Kind::Anomaly { .. } | Kind::Forecast { .. } => MOST_LOOKS / 10,
        _ => MOST_LOOKS,
    };
    let times = (looks + most - 1) / most;
    TimeDelta::seconds(own * times.max(1))
}

/// The first moment from `since` on at which such a rule is looked at.
fn first(since: DateTime<Utc>, step: TimeDelta) -> DateTime<Utc> {
    let (second, step) = (since.timestamp(), step.num_seconds());
    let up = (second + step - 1).div_euclid(step) * step;
    DateTime::from_timestamp(up, 0).unwrap_or(since)
}

/// What was so far.
struct Past<'r> {
    rule: &'r Rule,
    /// The state of each group, and which of `fired` it is in.
    states: BTreeMap<Option<Name>, (State, Option<usize>)>,
    fired: Vec<Fired>,
    without_data: u64,
}

impl Past<'_> {
    fn look(&mut self, mut seen: Vec<crate::Seen>, at: DateTime<Utc>) {
        let gone = self.states.keys().filter(|key| !seen.iter().any(|one| one.key == **key));
        let gone: Vec<_> = gone.cloned().map(unknown).collect();
        seen.extend(gone);
        self.without_data += u64::from(seen.iter().any(|one| one.place == Place::Unknown));
        for one in seen {
            let (state, own) = self.states.entry(one.key.clone()).or_default();
            match state.step(self.rule, one.place, at) {
                None => {}
                Some(Step::Resolved(_)) => {
                    if let Some(fired) = own.take().and_then(|own| self.fired.get_mut(own)) {
                        fired.resolved_at = Some(at);
                    }
                }
                Some(Step::Fired) => {
                    let since = state.firing.as_ref().map_or(at, |firing| firing.since);
                    *own = Some(self.fired.len());
                    self.fired.push(Fired {
                        key: one.key,
                        since,
                        fired_at: at,
                        resolved_at: None,
                        muted: self.rule.is_muted(at),
                        value: one.value,
                        unit: one.unit,
                        text: one.text,
                        look: look(one.evidence.as_ref()),
                        evidence: one.evidence,
                    });
                }
            }
        }
        self.states.retain(|_, (state, _)| !state.is_quiet());
    }
}
