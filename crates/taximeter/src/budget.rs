//! Budgets: what may be spent in a day, a week or a month, and what of it is left, without asking the store.

mod counter;
mod plan;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use taximeter_analysis::Dimension;
use taximeter_models::{KnownUsd, Money, Name};
use thiserror::Error;

pub(crate) use self::counter::Counter;
pub use self::plan::{BudgetPeriod, BudgetPlan, BudgetPlanError};
use crate::Meter;

/// What is left of a budget, as far as the meter knows: what it has recorded itself since it began, and what stood in its
/// store then.
///
/// It **cannot know** what operations will cost that have not ended (`in_flight` counts them), nor what other processes
/// have spent since the store was last read ([`Meter::reread_budgets`]), nor the price of what is
/// [unpriced](taximeter_models::Coverage): then at least so much was spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Budget {
    /// Something is left.
    Within {
        /// So much, in US dollars; at most, where the spending is not known in whole.
        left: Money,
        /// The same in parts.
        account: Account,
    },
    /// Nothing is left.
    Over {
        /// So much more than the budget was spent, in US dollars; at least, where it is not known in whole.
        over: Money,
        /// The same in parts.
        account: Account,
    },
}

/// A budget and what was spent of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Account {
    /// What may be spent in the period, in US dollars.
    pub amount: Money,
    /// What is known to be spent, in US dollars, with the calls that this leaves out: `coverage.unpriced_calls` and so on.
    pub spent: KnownUsd,
    /// When the period began.
    pub since: DateTime<Utc>,
    /// When it ends, and the budget is whole again.
    pub until: DateTime<Utc>,
    /// Operations of this meter that have not ended, or that its worker has not counted yet. They are in no sum.
    pub in_flight: u64,
    /// Whether the group is counted together with others, because there are too many: what was spent is that of all of
    /// these.
    pub shared: bool,
}

/// Why there is no answer about a budget.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BudgetError {
    /// The meter has no such budget.
    #[error("checking the budget {name:?}: the meter has none of this name; it has {}", names(.known))]
    NoSuchBudget {
        /// The name that was asked for.
        name: String,
        /// The names that there are.
        known: Vec<Name>,
    },
    /// The budget is one for each group, and none was named; or the other way round.
    #[error("checking the budget {name:?}: it is {}", if *.by_group {
        "one for each group; name the group by check_budget_of()"
    } else {
        "one for all together; ask by check_budget()"
    })]
    Group {
        /// The name that was asked for.
        name: String,
        /// Whether it is one for each group.
        by_group: bool,
    },
}

fn names(known: &[Name]) -> String {
    if known.is_empty() {
        return "none: give it one by MeterBuilder::budget()".into();
    }
    known.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join(", ")
}

impl Budget {
    /// Whether something is left.
    pub fn is_within(&self) -> bool {
        matches!(self, Self::Within { .. })
    }

    /// The budget and what was spent of it.
    pub fn account(&self) -> &Account {
        match self {
            Self::Within { account, .. } | Self::Over { account, .. } => account,
        }
    }

    /// Whether the cost of every call that was counted is known in whole, and no other group is in it.
    pub fn is_exact(&self) -> bool {
        let account = self.account();
        account.spent.coverage.is_complete() && !account.shared
    }

    fn of(account: Account) -> Self {
        let left = account.amount - account.spent.usd;
        if left > Money::ZERO {
            Self::Within { left, account }
        } else {
            Self::Over { over: -left, account }
        }
    }
}

impl Meter {
    /// What is left of a budget for all together. It reads counters that are held in memory and asks nothing of the store,
    /// so that it can be asked before every call.
    ///
    /// The meter's worker counts an operation some milliseconds after its end; who must not miss the last one flushes first.
    /// See [`Budget`] for what it cannot know.
    ///
    /// ```
    /// use std::time::Duration;
    /// use taximeter::{Budget, BudgetPeriod, BudgetPlan, Meter, TokenUsage};
    ///
    /// let plan = BudgetPlan::new("answers", "0.01".parse()?, BudgetPeriod::Day)?;
    /// let meter = Meter::builder().budget(plan).build()?;
    /// let mut asked = 0;
    /// for question in 0..100 {
    ///     if let Budget::Over { over, account } = meter.check_budget("answers")? {
    ///         // Stop before more is spent, and say until when.
    ///         println!("over by ${over} until {}", account.until);
    ///         break;
    ///     }
    ///     let op = meter.operation("qa_response").with("question", question).start();
    ///     op.record_usage("openai", "gpt-4o", TokenUsage::new(1_000, 100)); // $0.0035
    ///     op.succeed();
    ///     asked += 1;
    ///     meter.flush(Duration::from_secs(5))?; // one at a time: each is counted before the next is asked
    /// }
    /// assert_eq!(asked, 3);
    /// assert!(meter.check_budget("replies").unwrap_err().to_string().contains("answers"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Where the meter has no budget of this name, or one for each group.
    pub fn check_budget(&self, name: &str) -> Result<Budget, BudgetError> {
        self.check(name, None)
    }

    /// What is left of a budget of one group: a user, an operation, an LLM (`openai/gpt-4o`), or the value of a tag.
    ///
    /// ```
    /// use taximeter::analysis::Dimension;
    /// use taximeter::{Budget, BudgetPeriod, BudgetPlan, Meter, TokenUsage};
    ///
    /// let plan = BudgetPlan::new("each user", "0.003".parse()?, BudgetPeriod::Month)?;
    /// let meter = Meter::builder().budget(plan.by(Dimension::User)?).build()?;
    /// let op = meter.operation("qa_response").user("ann").start();
    /// op.record_usage("openai", "gpt-4o", TokenUsage::new(1_000, 100));
    /// op.record_usage("somebody", "something", TokenUsage::new(1_000, 100)); // nobody knows its price
    /// op.succeed();
    /// meter.totals(); // waits until it is counted
    ///
    /// let ann = meter.check_budget_of("each user", "ann")?;
    /// assert!(matches!(ann, Budget::Over { .. }) && !ann.is_exact());
    /// assert_eq!(ann.account().spent.to_string(), "at least $0.0035, without 1 of 2 calls (1 unpriced)");
    /// assert!(meter.check_budget_of("each user", "bob")?.is_within());
    /// assert!(meter.check_budget("each user").unwrap_err().to_string().contains("check_budget_of"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Where the meter has no budget of this name, or one for all together.
    pub fn check_budget_of(&self, name: &str, group: &str) -> Result<Budget, BudgetError> {
        self.check(name, Some(group))
    }

    fn check(&self, name: &str, group: Option<&str>) -> Result<Budget, BudgetError> {
        let budgets = self.state.pipeline.budgets();
        let Some((place, plan)) = budgets.find(name) else {
            let known = budgets.plans().map(|plan| plan.name().clone()).collect();
            return Err(BudgetError::NoSuchBudget { name: name.into(), known });
        };
        let by_group = *plan.dimension() != Dimension::All;
        if by_group != group.is_some() {
            return Err(BudgetError::Group { name: name.into(), by_group });
        }
        let counts = self.collector.counts();
        let in_flight = counts.open.saturating_add(counts.queued);
        Ok(Budget::of(budgets.account(place, group, in_flight, self.state.clock.wall())))
    }

    /// Reads what was spent in the periods that run now from the store again: so that what other processes have stored
    /// meanwhile counts too. It asks the store, and takes as long as that; some minutes between two of them are enough.
    ///
    /// Where the meter has no store, nothing happens.
    ///
    /// # Errors
    /// Where the store cannot be read; what was counted before stays.
    #[cfg(feature = "store")]
    pub fn reread_budgets(&self) -> Result<(), crate::Error> {
        self.settle();
        let Some(store) = self.store() else { return Ok(()) };
        Ok(self.state.pipeline.budgets().read(store, self.state.clock.wall())?)
    }
}
