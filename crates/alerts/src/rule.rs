//! What a rule says: what is looked at, when it fires, for whom it is.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Datelike, NaiveTime, TimeDelta, Utc, Weekday};
use serde::{Deserialize, Serialize};
use taximeter::Name;
use taximeter::analysis::{AnomalyConfig, Dimension, Objective, Quantity as SeriesQuantity, Step};

use crate::{Amount, Quantity};

/// A rule, as it was read.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Rule {
    /// What it is called; no two rules of a file have one name.
    pub name: Name,
    /// What it looks at, and when it fires.
    pub kind: Kind,
    /// Each group of this has a state of its own. Default: all together.
    pub by: Dimension,
    /// Only these groups. Default: all that there are.
    pub keys: Vec<Name>,
    /// Of fewer operations or calls nothing is said: then there is no data. Default: 20 for shares, percentiles and means,
    /// and for changes of anything; else 0.
    pub minimum: u64,
    /// How long it must be so before it fires. Default: it fires at once.
    pub lasting: TimeDelta,
    /// What having no data means. Default: `ok`.
    pub missing: Missing,
    /// How bad it is. Default: `warning`.
    pub severity: Severity,
    /// What goes along with each alert.
    pub labels: BTreeMap<String, String>,
    /// The receivers that are told. Default: all of the file.
    pub to: Vec<Name>,
    /// When nobody is told.
    pub mutes: Vec<Mute>,
    /// How often it is looked at. Default: every minute; every step for an anomaly, and every hour for a forecast.
    pub every: TimeDelta,
    /// At most so many groups have a state; the others are counted. Default: 100.
    pub most_groups: usize,
    /// The line of the file on which it begins.
    pub line: usize,
}

/// When a rule fires.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// A quantity over the last minutes or hours is above or below a limit.
    Threshold {
        /// What.
        quantity: Quantity,
        /// Over how long a time.
        window: TimeDelta,
        /// Above or below what.
        limit: Limit,
    },
    /// It has changed against before, by so large a part.
    Change {
        /// What.
        quantity: Quantity,
        /// Over how long a time, now and before.
        window: TimeDelta,
        /// What it is compared with.
        baseline: Baseline,
        /// By what part; 0.5 is half as much again.
        limit: Limit,
        /// It must be so much more, or less, at the same time. Default: any.
        at_least: Option<Amount>,
    },
    /// The last whole hour or day is out of the ordinary.
    Anomaly {
        /// What.
        quantity: SeriesQuantity,
        /// In hours or days.
        step: Step,
        /// When something is out of the ordinary.
        config: AnomalyConfig,
        /// Only what is too much, or too little. Default: both.
        side: Option<Side>,
    },
    /// A budget will be gone before its period ends, or is.
    Forecast {
        /// The budget, of the same file.
        budget: Name,
        /// How likely that must be. Default: 0.5.
        limit: Limit,
    },
    /// A promise is being broken faster than may be, over a long and a short window.
    BurnRate {
        /// The promise.
        objective: Objective,
        /// The long windows whose pairs count. Default: an hour and six hours.
        windows: Vec<TimeDelta>,
    },
    /// Nothing came.
    NoData {
        /// For how long a time.
        window: TimeDelta,
    },
}

impl Kind {
    /// Its name, as in the file.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Threshold { .. } => "threshold",
            Self::Change { .. } => "change",
            Self::Anomaly { .. } => "anomaly",
            Self::Forecast { .. } => "forecast",
            Self::BurnRate { .. } => "burn_rate",
            Self::NoData { .. } => "no_data",
        }
    }
}

/// On which side of a limit it is too much, or too little.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Above it.
    Above,
    /// Below it.
    Below,
}

/// From where on it fires, and until where it goes on to do so.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// On which side.
    pub side: Side,
    /// From where on it fires.
    pub at: Amount,
    /// It is over only when this is not exceeded any more either. Default: the limit itself.
    pub clear: Amount,
}

impl Limit {
    /// Whether a value is on the wrong side.
    pub(crate) fn is_broken(&self, value: Amount) -> bool {
        self.is_beyond(value, self.at)
    }

    /// Whether it is far enough on the right side again.
    pub(crate) fn is_clear(&self, value: Amount) -> bool {
        !self.is_beyond(value, self.clear)
    }

    fn is_beyond(&self, value: Amount, limit: Amount) -> bool {
        match self.side {
            Side::Above => value > limit,
            Side::Below => value < limit,
        }
    }
}

/// What a window is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Baseline {
    /// The window before it.
    Previous,
    /// The same time a week before.
    LastWeek,
}

/// What having no data means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// That all is well.
    #[default]
    Ok,
    /// That something is wrong.
    Alert,
    /// Nothing: all stays as it was.
    Keep,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// To be looked at.
    #[default]
    Warning,
    /// To be looked at now.
    Critical,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        })
    }
}

/// A time in which nobody is told. All times are UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mute {
    /// Until a moment.
    Until(DateTime<Utc>),
    /// At these hours, on these days of the week; on all where none is named. Hours that end before they begin go on into
    /// the next day.
    Hours {
        /// The days on which the hours begin.
        days: Vec<Weekday>,
        /// The first moment.
        from: NaiveTime,
        /// The moment after the last.
        to: NaiveTime,
    },
}

impl Mute {
    /// Whether nobody is told at that moment.
    pub fn holds(&self, at: DateTime<Utc>) -> bool {
        let Self::Hours { days, from, to } = self else {
            return matches!(self, Self::Until(until) if at < *until);
        };
        let is_named = |day: Weekday| days.is_empty() || days.contains(&day);
        let (today, time) = (at.weekday(), at.time());
        if from < to {
            return is_named(today) && *from <= time && time < *to;
        }
        (is_named(today) && *from <= time) || (is_named(today.pred()) && time < *to)
    }
}

impl Rule {
    /// Whether the file mutes it at that moment.
    pub fn is_muted(&self, at: DateTime<Utc>) -> bool {
        self.mutes.iter().any(|mute| mute.holds(at))
    }

    /// Whether it says the same, on whatever line.
    pub(crate) fn is_as(&self, other: &Self) -> bool {
        Self { line: 0, ..self.clone() } == Self { line: 0, ..other.clone() }
    }
}

/// What it says, in a sentence.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let over = |window: &TimeDelta| in_words(*window);
        match &self.kind {
            Kind::Threshold { quantity, window, limit } => {
                let at = limit.at.in_words(quantity.unit());
                write!(f, "{quantity} over {} {} {at}", over(window), beyond(limit.side))?;
            }
            Kind::Change { quantity, window, baseline, limit, .. } => {
                let before = match baseline {
                    Baseline::Previous => "the time before",
                    Baseline::LastWeek => "a week ago",
                };
                let at = limit.at.in_words(crate::Unit::Change);
                write!(
                    f,
                    "{quantity} over {} {} {at} against {before}",
                    over(window),
                    beyond(limit.side)
                )?;
            }
            Kind::Anomaly { step, .. } => {
                let step = if *step == Step::Hour { "hour" } else { "day" };
                write!(f, "the last {step} out of the ordinary")?;
            }
            Kind::Forecast { budget, .. } => write!(f, "the budget {budget} gone before its end")?,
            Kind::BurnRate { objective, .. } => {
                write!(f, "{} % promised, broken too fast", objective.target() * 100.0)?;
            }
            Kind::NoData { window } => write!(f, "nothing for {}", over(window))?,
        }
        if self.by != Dimension::All {
            write!(f, ", by {}", self.by)?;
        }
        if self.lasting > TimeDelta::zero() {
            write!(f, ", for {}", in_words(self.lasting))?;
        }
        Ok(())
    }
}

fn beyond(side: Side) -> &'static str {
    match side {
        Side::Above => "above",
        Side::Below => "below",
    }
}

/// A stretch of time as people write it: `15m`, `6h`.
pub(crate) fn in_words(time: TimeDelta) -> String {
    let seconds = time.num_seconds();
    for (unit, length) in [("d", 86_400), ("h", 3_600), ("m", 60)] {
        if seconds >= length && seconds % length == 0 {
            return format!("{}{unit}", seconds / length);
        }
    }
    format!("{seconds}s")
}
