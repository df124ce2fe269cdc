//! What a rule sees at a moment: questions to the history, and pure functions over what it answers.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use taximeter::analysis::{
    Anomaly, AnomalyConfig, Burn, Dimension, Quantity as SeriesQuantity, Series, Step, Sums,
    anomalies,
};
use taximeter::history::{GroupSums, Period};
use taximeter::store::Level;
use taximeter::{Name, Rate, StoreError};

use crate::amount::Measured;
use crate::evidence::Evidence;
use crate::judge::{Place, Seen};
use crate::rule::{Baseline, Kind, Limit, Rule, Side, in_words};
use crate::source::Source;
use crate::{Amount, BudgetState, Quantity, Rules, Unit};

/// What a rule sees of each group.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    pub(crate) seen: Vec<Seen>,
    /// Groups for which there is no room.
    pub(crate) overflow: usize,
}

/// The sums of each group.
type Groups = BTreeMap<Option<Name>, Sums>;
/// So far back anomalies are looked for.
const PAST: TimeDelta = TimeDelta::days(84);
/// A group of which nothing came for so long is not waited for any more.
const WAITED_FOR: TimeDelta = TimeDelta::days(1);

/// What a rule sees at a moment, which is one of whole minutes. Those of whom is `known` that they fire come first.
pub(crate) fn ask(
    rule: &Rule,
    rules: &Rules,
    source: &Source<'_>,
    at: DateTime<Utc>,
    known: &dyn Fn(Option<&Name>) -> bool,
) -> Result<Asked, StoreError> {
    let asking = Asking { rule, source, at };
    let seen = match &rule.kind {
        Kind::Threshold { quantity, window, limit } => {
            let groups = asking.groups(Some(*quantity), *window, at)?;
            groups.iter().map(|group| asking.threshold(group, *quantity, *window, limit)).collect()
        }
        Kind::Change { quantity, window, baseline, limit, at_least } => {
            let now = asking.groups(Some(*quantity), *window, at)?;
            let until = match baseline {
                Baseline::Previous => at - *window,
                Baseline::LastWeek => at - TimeDelta::weeks(1),
            };
            let before = asking.groups(Some(*quantity), *window, until)?;
            let changing = Changing { quantity: *quantity, window: *window, at_least: *at_least };
            now.iter().map(|group| asking.change(group, &before, changing, limit)).collect()
        }
        Kind::Anomaly { quantity, step, config, side } => {
            asking.anomalies(*quantity, *step, config, *side)?
        }
        Kind::Forecast { budget, limit } => {
            let Some(plan) = rules.budget(budget) else {
                return Ok(Asked { seen: Vec::new(), overflow: 0 });
            };
            let found = crate::budgets::states(plan, source.history, at, rule.most_groups)?;
            let is_meant = |state: &&BudgetState| {
                rule.keys.is_empty()
                    || state.key.as_ref().is_some_and(|key| rule.keys.contains(key))
            };
            let states = found.states.iter().filter(is_meant);
            let seen = states.map(|state| forecast(state, limit, at)).collect();
            return Ok(Asked { seen, overflow: found.more });
        }
        Kind::BurnRate { objective, windows } => {
            let mut rates = BTreeMap::<Option<Name>, Vec<(u64, Rate)>>::new();
            for seconds in [300, 1_800, 3_600, 6 * 3_600, 72 * 3_600] {
                let window = TimeDelta::seconds(seconds);
                for (key, sums) in asking.groups(None, window, at)? {
                    rates.entry(key).or_default().push((seconds.cast_unsigned(), sums.success));
                }
            }
            let burns = |rates: &[(u64, Rate)]| {
                let of_last = |window: std::time::Duration| {
                    let rate = rates.iter().find(|(seconds, _)| *seconds == window.as_secs());
                    Ok::<_, std::convert::Infallible>(
                        rate.map(|(_, rate)| *rate).unwrap_or_default(),
                    )
                };
                let Ok(burns) = objective.burns(of_last);
                burns
            };
            let seen = |(key, rates): (&Option<Name>, &Vec<(u64, Rate)>)| {
                asking.burn(key.as_ref(), &burns(rates), windows, rates)
            };
            rates.iter().map(seen).collect()
        }
        Kind::NoData { window } => asking.no_data(*window)?,
    };
    Ok(asking.limited(seen, known))
}

/// What changes, over how long a time, and how much that must be at least.
#[derive(Clone, Copy)]
struct Changing {
    quantity: Quantity,
    window: TimeDelta,
    at_least: Option<Amount>,
}

/// A rule, a history and a moment.
struct Asking<'a> {
    rule: &'a Rule,
    source: &'a Source<'a>,
    at: DateTime<Utc>,
}

impl Asking<'_> {
    /// The sums of each group over a window, those that are named and have none included.
    fn groups(
        &self,
        quantity: Option<Quantity>,
        window: TimeDelta,
        until: DateTime<Utc>,
    ) -> Result<Groups, StoreError> {
        let is_of_tools = quantity == Some(Quantity::ToolErrorRate);
        let by = if is_of_tools { &Dimension::Tool } else { &self.rule.by };
        let mut groups = Groups::new();
        for (key, sums) in self.source.sums(by, until - window, until)? {
            let key = if self.rule.by == Dimension::All { None } else { key };
            if self.is_meant(key.as_ref()) {
                groups.entry(key).or_default().merge(&sums);
            }
        }
        self.add_named(&mut groups);
        Ok(groups)
    }

    fn is_meant(&self, key: Option<&Name>) -> bool {
        self.rule.keys.is_empty() || key.is_some_and(|key| self.rule.keys.contains(key))
    }

    fn add_named<V: Default>(&self, groups: &mut BTreeMap<Option<Name>, V>) {
        for key in &self.rule.keys {
            groups.entry(Some(key.clone())).or_default();
        }
        if self.rule.by == Dimension::All {
            groups.entry(None).or_default();
        }
    }

    /// Those that fire first, then those that are beyond the limit, then the largest.
    fn limited(&self, mut seen: Vec<Seen>, known: &dyn Fn(Option<&Name>) -> bool) -> Asked {
        let overflow = seen.len().saturating_sub(self.rule.most_groups);
        if overflow > 0 {
            let rank = |one: &Seen| {
                let is_quiet = !known(one.key.as_ref());
                (is_quiet, one.place != Place::Beyond, std::cmp::Reverse(one.of))
            };
            seen.sort_by_key(rank);
            seen.truncate(self.rule.most_groups);
        }
        Asked { seen, overflow }
    }

    fn threshold(
        &self,
        (key, sums): (&Option<Name>, &Sums),
        quantity: Quantity,
        window: TimeDelta,
        limit: &Limit,
    ) -> Seen {
        let measured = quantity.of(sums);
        let place = self.place(&measured, limit);
        let unit = quantity.unit();
        let value = measured.value.map_or_else(|| "not known".into(), |value| value.in_words(unit));
        let least = if measured.at_least { "at least " } else { "" };
        let text = format!(
            "{quantity} over {} is {least}{value} of {} (limit: {} {})",
            in_words(window),
            measured.of,
            side_in_words(limit.side),
            limit.at.in_words(unit),
        );
        self.seen(key.as_ref(), place, &measured, Some(limit.at), unit, text)
    }

    /// What is at least so much may be too much, and never too little.
    fn place(&self, measured: &Measured, limit: &Limit) -> Place {
        let Some(value) = measured.value.filter(|_| measured.of >= self.rule.minimum) else {
            return Place::Unknown;
        };
        let place = place(value, limit);
        match (measured.at_least, limit.side, place) {
            (true, Side::Below, _) if place != Place::Within => Place::Unknown,
            _ => place,
        }
    }

    fn change(
        &self,
        (key, sums): (&Option<Name>, &Sums),
        before: &Groups,
        Changing { quantity, window, at_least }: Changing,
        limit: &Limit,
    ) -> Seen {
        let now = quantity.of(sums);
        let was = before.get(key).map_or_else(|| quantity.of(&Sums::default()), |b| quantity.of(b));
        let enough = now.of >= self.rule.minimum && was.of >= self.rule.minimum;
        let both = now.value.zip(was.value).filter(|_| enough);
        let ratio = both.filter(|(_, was)| was.lossy() > 0.0);
        let ratio = ratio.map(|(now, was)| now.lossy() / was.lossy() - 1.0);
        let is_felt = both.is_none_or(|(now, was)| {
            let difference = (now.lossy() - was.lossy()).abs();
            at_least.is_none_or(|least| difference >= least.lossy())
        });
        let changed = Measured { value: ratio.map(Amount::Number), of: now.of, at_least: false };
        let place = match changed.value {
            // Of a change of what is not known in whole nothing is known either.
            Some(_) if now.at_least || was.at_least => Place::Unknown,
            Some(ratio) if is_felt => place(ratio, limit),
            Some(_) => Place::Within,
            None => Place::Unknown,
        };
        let words = |value: Option<Amount>| {
            value.map_or_else(|| "not known".into(), |value| value.in_words(quantity.unit()))
        };
        let by = changed.value.map_or_else(|| "not known".into(), |by| by.in_words(Unit::Change));
        let text = format!(
            "{quantity} over {} is {} of {}, and was {} of {}: {by} (limit: {} {})",
            in_words(window),
            words(now.value),
            now.of,
            words(was.value),
            was.of,
            side_in_words(limit.side),
            limit.at.in_words(Unit::Change),
        );
        self.seen(key.as_ref(), place, &changed, Some(limit.at), Unit::Change, text)
    }

    fn anomalies(
        &self,
        quantity: SeriesQuantity,
        step: Step,
        config: &AnomalyConfig,
        side: Option<Side>,
    ) -> Result<Vec<Seen>, StoreError> {
        let length = step.seconds();
        let end = self.at.timestamp() - self.at.timestamp().rem_euclid(length);
        let until = DateTime::from_timestamp(end, 0).unwrap_or(self.at);
        let level = if step == Step::Hour { Level::Hour } else { Level::Day };
        let period = Period { since: Some(until - PAST), until: Some(until) };
        let mut groups = BTreeMap::<Option<Name>, BTreeMap<i64, Sums>>::new();
        for GroupSums { key, start, sums, .. } in
            self.source.history.sums_by(&self.rule.by, period, Some(level))?
        {
            if let Some(start) = start.filter(|_| self.is_meant(key.as_ref())) {
                groups.entry(key).or_default().insert(start.timestamp(), sums);
            }
        }
        self.add_named(&mut groups);
        let last = end - length;
        let seen = |(key, steps): (Option<Name>, BTreeMap<i64, Sums>)| {
            let first = steps.keys().next().copied().unwrap_or(end);
            let of = steps.get(&last).map_or(0, Sums::count);
            let mut steps = steps;
            let all: Vec<Sums> = (first..end)
                .step_by(usize::try_from(length).unwrap_or(1))
                .map(|at| steps.remove(&at).unwrap_or_default())
                .collect();
            let start = DateTime::from_timestamp(first, 0).unwrap_or(until);
            let series = Series::of_sums(start, step, quantity, &all);
            self.anomaly(key.as_ref(), quantity, &series, config, side, of)
        };
        Ok(groups.into_iter().map(seen).collect())
    }

    /// Whether the last step of a series is out of the ordinary.
    fn anomaly(
        &self,
        key: Option<&Name>,
        quantity: SeriesQuantity,
        series: &Series,
        config: &AnomalyConfig,
        side: Option<Side>,
        of: u64,
    ) -> Seen {
        let (unit, name) = match quantity {
            SeriesQuantity::CostUsd => (Unit::Usd, "cost"),
            SeriesQuantity::MeanSeconds => (Unit::Seconds, "latency_mean"),
            SeriesQuantity::Tokens => (Unit::Count, "tokens"),
            SeriesQuantity::Operations => (Unit::Count, "count"),
            SeriesQuantity::Calls => (Unit::Count, "calls"),
        };
        let value = series.values().last().copied().flatten();
        let last = series.values().len().checked_sub(1).map(|place| series.at(place));
        let is_meant = |anomaly: &Anomaly| match side {
            None => true,
            Some(Side::Above) => anomaly.value > anomaly.expected,
            Some(Side::Below) => anomaly.value < anomaly.expected,
        };
        let words = |value: f64| match unit {
            Unit::Usd => format!("${value:.4}"),
            unit => Amount::Number(value).in_words(unit),
        };
        let (place, limit, text) = match anomalies(series, config) {
            Err(too_few) => (Place::Unknown, None, format!("{name}: {too_few}")),
            Ok(_) if of < self.rule.minimum => {
                (Place::Unknown, None, format!("{name}: only {of} in the last step"))
            }
            Ok(found) => {
                let own = found.found.into_iter().find(|one| Some(one.at) == last && is_meant(one));
                match own {
                    Some(one) => {
                        let limit = if one.value > one.expected { one.high } else { one.low };
                        let text = format!(
                            "{name} from {} UTC on is {}, and {} was to be expected ({} to {})",
                            one.at.format("%F %H:%M"),
                            words(one.value),
                            words(one.expected),
                            words(one.low),
                            words(one.high),
                        );
                        (Place::Beyond, Some(Amount::Number(limit)), text)
                    }
                    None => (Place::Within, None, format!("{name} is as was to be expected")),
                }
            }
        };
        let measured = Measured { value: value.map(Amount::Number), of, at_least: false };
        self.seen(key, place, &measured, limit, unit, text)
    }

    /// Whether a promise is broken too fast, by the worst of the pairs that count.
    fn burn(
        &self,
        key: Option<&Name>,
        burns: &[Burn],
        windows: &[TimeDelta],
        rates: &[(u64, Rate)],
    ) -> Seen {
        let is_meant = |burn: &&Burn| {
            windows.iter().any(|window| window.num_seconds().cast_unsigned() == burn.long_seconds)
        };
        let meant: Vec<_> = burns.iter().filter(is_meant).collect();
        let of = |burn: &Burn| {
            rates.iter().find(|(seconds, _)| *seconds == burn.long_seconds).map_or(0, |(_, r)| r.of)
        };
        let enough = |burn: &&&Burn| of(burn) >= self.rule.minimum.max(1);
        let excess = |burn: &Burn| burn.over_long.unwrap_or_default() / burn.limit;
        let worst = meant.iter().filter(enough).copied().max_by(|one, other| {
            let rank = |burn: &Burn| (burn.alarms(), excess(burn));
            let (one, other) = (rank(one), rank(other));
            one.0.cmp(&other.0).then(one.1.total_cmp(&other.1))
        });
        let Some(burn) = worst else {
            let of = rates.iter().map(|(_, rate)| rate.of).max().unwrap_or_default();
            let measured = Measured { value: None, of, at_least: false };
            let text = "too few operations to tell".to_owned();
            return self.seen(key, Place::Unknown, &measured, None, Unit::Pace, text);
        };
        let place = if burn.alarms() { Place::Beyond } else { Place::Within };
        let pace = |pace: Option<f64>| {
            let pace = pace.map(Amount::Number);
            pace.map_or_else(|| "nothing".into(), |pace| pace.in_words(Unit::Pace))
        };
        let time = |seconds: u64| in_words(TimeDelta::seconds(seconds.cast_signed()));
        let text = format!(
            "over {}: {} of {}, over {}: {} (limit {:.1}, over both)",
            time(burn.long_seconds),
            pace(burn.over_long),
            of(burn),
            time(burn.short_seconds),
            pace(burn.over_short),
            burn.limit,
        );
        let value = burn.over_long.map(Amount::Number);
        let measured = Measured { value, of: of(burn), at_least: false };
        self.seen(key, place, &measured, Some(Amount::Number(burn.limit)), Unit::Pace, text)
    }

    /// Whether something came; of groups, of those that came in the day before.
    fn no_data(&self, window: TimeDelta) -> Result<Vec<Seen>, StoreError> {
        let now = self.groups(None, window, self.at)?;
        let mut all = now.clone();
        if self.rule.keys.is_empty() && self.rule.by != Dimension::All {
            let before = self.groups(None, WAITED_FOR.max(window), self.at)?;
            all.extend(before.into_keys().map(|key| (key, Sums::default())));
        }
        let seen = |key: &Option<Name>| {
            let of = now.get(key).map_or(0, Sums::count);
            let place = if of == 0 { Place::Beyond } else { Place::Within };
            let measured = Measured { value: Some(Amount::whole(of)), of, at_least: false };
            let text = match of {
                0 => format!("nothing came for {}", in_words(window)),
                of => format!("{of} came in {}", in_words(window)),
            };
            self.seen(key.as_ref(), place, &measured, None, Unit::Count, text)
        };
        Ok(all.keys().map(seen).collect())
    }

    fn seen(
        &self,
        key: Option<&Name>,
        place: Place,
        measured: &Measured,
        limit: Option<Amount>,
        unit: Unit,
        text: String,
    ) -> Seen {
        let Measured { value, of, at_least } = *measured;
        let evidence = Some(self.evidence(key));
        Seen { key: key.cloned(), place, value, limit, unit, of, at_least, text, evidence }
    }

    /// The operations behind it.
    fn evidence(&self, key: Option<&Name>) -> Evidence {
        let window = match &self.rule.kind {
            Kind::Threshold { window, .. }
            | Kind::Change { window, .. }
            | Kind::NoData { window } => *window,
            Kind::Anomaly { step, .. } => TimeDelta::seconds(step.seconds()),
            Kind::Forecast { .. } => TimeDelta::days(1),
            Kind::BurnRate { .. } => TimeDelta::hours(1),
        };
        let of_failures = match &self.rule.kind {
            Kind::Threshold { quantity, .. } | Kind::Change { quantity, .. } => {
                *quantity == Quantity::ErrorRate
            }
            Kind::BurnRate { .. } => true,
            _ => false,
        };
        // An operation may be well all the same where one of its calls failed.
        let calls = matches!(self.rule.by, Dimension::Tool | Dimension::Llm | Dimension::Provider);
        Evidence::new(&self.rule.by, key, self.at - window, self.at, of_failures && !calls)
    }
}

fn place(value: Amount, limit: &Limit) -> Place {
    if limit.is_broken(value) {
        Place::Beyond
    } else if limit.is_clear(value) {
        Place::Within
    } else {
        Place::Between
    }
}

fn side_in_words(side: Side) -> &'static str {
    match side {
        Side::Above => "above",
        Side::Below => "below",
    }
}

/// Whether a budget will be gone before its period ends.
fn forecast(state: &BudgetState, limit: &Limit, at: DateTime<Utc>) -> Seen {
    let probability = state.probability();
    let place = match probability {
        Some(probability) => place(Amount::Number(probability), limit),
        None => Place::Unknown,
    };
    Seen {
        key: state.key.clone(),
        place,
        value: probability.map(Amount::Number),
        limit: Some(limit.at),
        unit: Unit::Probability,
        of: state.spent.coverage.calls,
        at_least: !state.spent.coverage.is_complete(),
        text: state.in_words(),
        evidence: Some(Evidence::new(&state.by, state.key.as_ref(), state.since, at, false)),
    }
}
