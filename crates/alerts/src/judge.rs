//! Whether a group fires: a pure step from one state to the next, by what was seen.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use taximeter::Name;

use crate::evidence::Evidence;
use crate::rule::{Missing, Rule};
use crate::{Amount, Unit};

/// Where a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Beyond the limit.
    Beyond,
    /// Within the limit, but not yet so far that what fires is over.
    Between,
    /// Well within.
    Within,
    /// There is nothing to measure, or too little.
    Unknown,
}

/// What was seen of one group.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Seen {
    /// The group; none where nothing is told apart, or its operations did not tell it.
    pub key: Option<Name>,
    /// Where the value is.
    pub place: Place,
    /// The value; none where there is nothing to measure.
    pub value: Option<Amount>,
    /// The limit.
    pub limit: Option<Amount>,
    /// The unit of both.
    pub unit: Unit,
    /// Of how many operations or calls.
    pub of: u64,
    /// Whether it is at least that, because the cost of some calls is not known.
    pub at_least: bool,
    /// It in words.
    pub text: String,
    /// The operations behind it; none where nothing is known.
    pub evidence: Option<Evidence>,
}

/// That something fires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Firing {
    /// Since when it is so.
    pub since: DateTime<Utc>,
    /// When it fired.
    pub fired_at: DateTime<Utc>,
    /// Whether the receivers are told, or about to be; else it was muted all the time.
    pub told: bool,
}

/// The state of one group of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct State {
    /// Since when it is beyond the limit without firing yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<DateTime<Utc>>,
    /// That it fires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firing: Option<Firing>,
}

/// What a step did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Fired,
    Resolved(Firing),
}

impl State {
    /// Whether there is nothing to remember.
    pub(crate) fn is_quiet(&self) -> bool {
        self.pending.is_none() && self.firing.is_none()
    }

    /// Goes on by what was seen at a moment.
    pub(crate) fn step(&mut self, rule: &Rule, place: Place, at: DateTime<Utc>) -> Option<Step> {
        let place = match (place, rule.missing) {
            (Place::Unknown, Missing::Keep) => return None,
            (Place::Unknown, Missing::Ok) => Place::Within,
            (Place::Unknown, Missing::Alert) => Place::Beyond,
            (place, _) => place,
        };
        match place {
            Place::Beyond if self.firing.is_none() => {
                let since = *self.pending.get_or_insert(at);
                if at - since < rule.lasting {
                    return None;
                }
                self.pending = None;
                self.firing = Some(Firing { since, fired_at: at, told: false });
                Some(Step::Fired)
            }
            Place::Beyond => None,
            // What does not fire yet begins anew; what fires goes on.
            Place::Between => {
                self.pending = None;
                None
            }
            Place::Within | Place::Unknown => {
                self.pending = None;
                self.firing.take().map(Step::Resolved)
            }
        }
    }
}
