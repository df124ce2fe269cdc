//! Budgets over a history: what was spent of each, what is left, and when it will be gone.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use taximeter::analysis::{Dimension, Exhaustion, Series, Step, When, forecast};
use taximeter::history::{History, Period};
use taximeter::report::money;
use taximeter::{BudgetPeriod, BudgetPlan, KnownUsd, Money, Name, StoreError};

/// One budget of one group.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct BudgetState {
    /// What it is called.
    pub budget: Name,
    /// By what its groups are told apart: `all`, `user` and so on.
    #[serde(serialize_with = "as_text")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub by: Dimension,
    /// The group; none where nothing is told apart, or its operations did not tell it.
    pub key: Option<Name>,
    /// How long it lasts.
    pub per: BudgetPeriod,
    /// When its period began.
    pub since: DateTime<Utc>,
    /// When it ends.
    pub until: DateTime<Utc>,
    /// What may be spent, in US dollars.
    pub amount: Money,
    /// What is known to be spent so far, and what that leaves out.
    pub spent: KnownUsd,
    /// What is left, in US dollars; below 0 where more was spent. At most, where the spending is not known in whole.
    pub left: Money,
    /// When it will be gone; none where too few steps were seen.
    pub exhaustion: Option<Exhaustion>,
    /// Why that is not known.
    pub not_known: Option<String>,
}

/// The states of a budget, those of which the most was spent first.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct States {
    pub(crate) states: Vec<BudgetState>,
    /// Groups for which there was no room.
    pub(crate) more: usize,
}

/// So far back a forecast looks.
const PAST: TimeDelta = TimeDelta::days(84);

impl BudgetState {
    /// What is spent of it, as a part.
    pub fn share(&self) -> f64 {
        self.spent.usd.to_f64_lossy() / self.amount.to_f64_lossy()
    }

    /// Whether nothing is left.
    pub fn is_over(&self) -> bool {
        self.left <= Money::ZERO
    }

    /// How likely it is that it is gone before its period ends; none where that is not known.
    pub fn probability(&self) -> Option<f64> {
        if self.is_over() {
            return Some(1.0);
        }
        self.exhaustion.map(|gone| gone.probability)
    }

    /// It in words.
    pub fn in_words(&self) -> String {
        let least = if self.spent.coverage.is_complete() { "" } else { "at least " };
        let without = if self.spent.coverage.is_complete() {
            String::new()
        } else {
            format!(", {}", self.spent.coverage)
        };
        let (spent, amount, ends) =
            (money(self.spent.usd), money(self.amount), self.end_in_words());
        format!("{least}{spent} of {amount} spent in this {}{without}{ends}", self.per)
    }

    /// What is left, or how much more was spent, in words.
    pub fn left_in_words(&self) -> String {
        if self.is_over() {
            return format!("over by {}", money(-self.left));
        }
        format!("left: {}", money(self.left))
    }

    /// Whether it lasts.
    fn end_in_words(&self) -> String {
        let day = |at: DateTime<Utc>| match self.per {
            BudgetPeriod::Day => at.format("%F %H:%M UTC").to_string(),
            _ => at.format("%F").to_string(),
        };
        let when = |when: When| match when {
            When::At(at) => day(at),
            When::Never => "later".into(),
        };
        match (&self.exhaustion, &self.not_known) {
            _ if self.is_over() => "; it is gone".into(),
            (Some(gone), _) => match gone.estimate {
                When::Never => format!(
                    "; it lasts until {} with a probability of {:.0} %",
                    day(self.until),
                    (1.0 - gone.probability) * 100.0
                ),
                at @ When::At(_) => format!(
                    "; it is gone on {} (80 %: {} to {})",
                    when(at),
                    when(gone.earliest_80),
                    when(gone.latest_80)
                ),
            },
            (None, Some(why)) => format!("; whether it lasts is not known: {why}"),
            (None, None) => String::new(),
        }
    }
}

/// What each budget of a file comes to at a moment, by group: of each at most so many, those of which the most was spent;
/// with how many more there are of each.
///
/// # Errors
/// Where the store cannot be read.
pub fn budgets(
    plans: &[BudgetPlan],
    history: &History,
    now: DateTime<Utc>,
    most: usize,
) -> Result<Vec<(BudgetPlan, Vec<BudgetState>, usize)>, StoreError> {
    let of = |plan: &BudgetPlan| {
        let States { states, more } = states(plan, history, now, most)?;
        Ok((plan.clone(), states, more))
    };
    plans.iter().map(of).collect()
}

/// The state of each group of a budget.
pub(crate) fn states(
    plan: &BudgetPlan,
    history: &History,
    now: DateTime<Utc>,
    most: usize,
) -> Result<States, StoreError> {
    let (since, until) = plan.per().around(now);
    let period = Period::new(Some(since), Some(now + TimeDelta::nanoseconds(1)));
    let mut groups = BTreeMap::<Option<Name>, KnownUsd>::new();
    for spending in history.spending(plan.dimension(), period, None)? {
        *groups.entry(spending.key).or_default() += spending.spent;
    }
    if *plan.dimension() == Dimension::All {
        groups.entry(None).or_default();
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by(|one, other| other.1.usd.cmp(&one.1.usd).then_with(|| one.0.cmp(&other.0)));
    let more = groups.len().saturating_sub(most);
    groups.truncate(most);
    let (coarse, fine) = match plan.per() {
        BudgetPeriod::Day => (None, Step::Hour),
        _ => (Some(Step::Day), Step::Hour),
    };
    let coarse = coarse.map(|step| Seen::ask(plan, history, now, step)).transpose()?;
    let mut fine_seen = None;
    let mut states = Vec::new();
    for (key, spent) in groups {
        let mut gone =
            coarse.as_ref().map(|seen| seen.exhaustion(key.as_ref(), plan, (since, until)));
        if gone.as_ref().is_none_or(Result::is_err) {
            // Where there are too few days, hours may be enough.
            if fine_seen.is_none() {
                fine_seen = Some(Seen::ask(plan, history, now, fine)?);
            }
            let seen = fine_seen.as_ref();
            gone = seen.map(|seen| seen.exhaustion(key.as_ref(), plan, (since, until)));
        }
        let (exhaustion, not_known) = match gone {
            Some(Ok(exhaustion)) => (exhaustion, None),
            Some(Err(why)) => (None, Some(why)),
            None => (None, None),
        };
        states.push(BudgetState {
            budget: plan.name().clone(),
            by: plan.dimension().clone(),
            key,
            per: plan.per(),
            since,
            until,
            amount: plan.amount(),
            left: plan.amount() - spent.usd,
            spent,
            exhaustion,
            not_known,
        });
    }
    Ok(States { states, more })
}

/// What was spent in each step that is over.
struct Seen {
    step: Step,
    /// Where the last step that is over ends.
    end: i64,
    groups: BTreeMap<Option<Name>, BTreeMap<i64, KnownUsd>>,
}

impl Seen {
    fn ask(
        plan: &BudgetPlan,
        history: &History,
        now: DateTime<Utc>,
        step: Step,
    ) -> Result<Self, StoreError> {
        let end = now.timestamp() - now.timestamp().rem_euclid(step.seconds());
        let until = DateTime::from_timestamp(end, 0).unwrap_or(now);
        let from = (until - PAST).timestamp();
        let from = DateTime::from_timestamp(from - from.rem_euclid(86_400), 0);
        let period = Period { since: from, until: Some(until) };
        let mut groups = BTreeMap::<_, BTreeMap<_, _>>::new();
        for spending in history.spending(plan.dimension(), period, Some(step))? {
            if let Some(start) = spending.start {
                groups.entry(spending.key).or_default().insert(start.timestamp(), spending.spent);
            }
        }
        Ok(Self { step, end, groups })
    }

    /// When a budget will be gone; none where its period is over.
    fn exhaustion(
        &self,
        key: Option<&Name>,
        plan: &BudgetPlan,
        (since, until): (DateTime<Utc>, DateTime<Utc>),
    ) -> Result<Option<Exhaustion>, String> {
        let length = self.step.seconds();
        let none = BTreeMap::new();
        let steps = self.groups.get(&key.cloned()).unwrap_or(&none);
        let first = steps.keys().next().copied().unwrap_or(self.end);
        let costs: Vec<KnownUsd> = (first..self.end)
            .step_by(usize::try_from(length).unwrap_or(1))
            .map(|at| steps.get(&at).copied().unwrap_or_default())
            .collect();
        let start = DateTime::from_timestamp(first, 0).unwrap_or(since);
        let series = Series::of_costs(start, self.step, &costs);
        let ahead = (until.timestamp() - self.end).max(0);
        let ahead = usize::try_from((ahead + length - 1) / length).unwrap_or_default();
        let forecast = forecast(&series, ahead).map_err(|why| why.to_string())?;
        let before = since.timestamp()..self.end;
        let spent: KnownUsd =
            steps.range(before.start..before.end.max(before.start)).map(|(_, spent)| *spent).sum();
        Ok(forecast.exhaustion(spent, plan.amount()))
    }
}

fn as_text<S: serde::Serializer>(by: &Dimension, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(by)
}
