//! What may be spent, in which period, by whom.

use std::fmt;

use chrono::{DateTime, Datelike, NaiveTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use taximeter_analysis::Dimension;
use taximeter_models::{Money, Name};
use thiserror::Error;

/// How long a budget lasts. Days, weeks and months are those of UTC; a week begins on Monday.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum BudgetPeriod {
    /// A day.
    Day,
    /// A week.
    Week,
    /// A month.
    Month,
}

impl BudgetPeriod {
    /// The first moment of the period in which a moment is, and the moment after the last.
    ///
    /// ```
    /// use taximeter::BudgetPeriod;
    ///
    /// let (since, until) = BudgetPeriod::Week.around("2026-11-26T17:00:00Z".parse()?); // a Thursday
    /// assert_eq!(since.to_string(), "2026-11-23 00:00:00 UTC");
    /// assert_eq!(until.to_string(), "2026-11-30 00:00:00 UTC");
    /// # Ok::<(), chrono::ParseError>(())
    /// ```
    pub fn around(self, now: DateTime<Utc>) -> (DateTime<Utc>, DateTime<Utc>) {
        let day = now.date_naive();
        let days = |days| TimeDelta::days(days);
        let first = match self {
            Self::Day => Some(day),
            Self::Week => day.checked_sub_signed(days(day.weekday().num_days_from_monday().into())),
            Self::Month => day.with_day(1),
        };
        let first = first.unwrap_or(day);
        let next = match self {
            Self::Day => first.checked_add_signed(days(1)),
            Self::Week => first.checked_add_signed(days(7)),
            Self::Month => first.checked_add_signed(days(31)).and_then(|later| later.with_day(1)),
        };
        let midnight = |day: chrono::NaiveDate| day.and_time(NaiveTime::MIN).and_utc();
        (midnight(first), next.map_or(DateTime::<Utc>::MAX_UTC, midnight))
    }
}

impl fmt::Display for BudgetPeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        })
    }
}

/// What may be spent in a period: by all together, or by each group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetPlan {
    name: Name,
    amount: Money,
    per: BudgetPeriod,
    by: Dimension,
}

/// A budget that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BudgetPlanError {
    /// Of nothing, nothing can be spent.
    #[error("budget {name:?}: ${amount} cannot be a budget; an amount above 0 is expected")]
    Amount {
        /// Its name.
        name: Name,
        /// The amount as it was given.
        amount: Money,
    },
    /// What is spent has no such group.
    #[error(
        "budget {name:?}: nothing is spent by {by}; expected all, operation, provider, llm, user, session or tag:NAME"
    )]
    By {
        /// Its name.
        name: Name,
        /// The dimension as it was given.
        by: Dimension,
    },
}

impl BudgetPlan {
    /// What all together may spend in each period, in US dollars.
    ///
    /// ```
    /// use taximeter::analysis::Dimension;
    /// use taximeter::{BudgetPeriod, BudgetPlan};
    ///
    /// let month = BudgetPlan::new("everything", "500".parse()?, BudgetPeriod::Month)?;
    /// assert!(month.by(Dimension::Tool).unwrap_err().to_string().contains("tool"));
    /// assert!(BudgetPlan::new("nothing", "0".parse()?, BudgetPeriod::Day).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Where the amount is not above 0.
    pub fn new(
        name: impl Into<Name>,
        amount: Money,
        per: BudgetPeriod,
    ) -> Result<Self, BudgetPlanError> {
        let name = name.into();
        if amount <= Money::ZERO {
            return Err(BudgetPlanError::Amount { name, amount });
        }
        Ok(Self { name, amount, per, by: Dimension::All })
    }

    /// The same for each group: each user, each value of a tag and so on has the whole amount.
    ///
    /// # Errors
    /// Where money is not spent by such groups: tools and components have no cost of their own.
    pub fn by(mut self, by: Dimension) -> Result<Self, BudgetPlanError> {
        if matches!(by, Dimension::Tool | Dimension::Component) {
            return Err(BudgetPlanError::By { name: self.name, by });
        }
        self.by = by;
        Ok(self)
    }

    /// What it is called.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// What may be spent, in US dollars.
    pub fn amount(&self) -> Money {
        self.amount
    }

    /// In which period.
    pub fn per(&self) -> BudgetPeriod {
        self.per
    }

    /// By whom.
    pub fn dimension(&self) -> &Dimension {
        &self.by
    }
}
