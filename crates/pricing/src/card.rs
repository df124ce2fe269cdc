//! A rate card: what one LLM costs from one moment to another, for calls that were served in one way.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use taximeter_models::{Currency, Money, RateCardRef, Unit};

use crate::{Schedule, Selectors};

/// The prices of one LLM for calls between two moments that fulfil all of its conditions.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateCard {
    /// The first moment at which it holds; none if it is not known since when.
    pub from: Option<DateTime<Utc>>,
    /// The first moment at which it holds no more; none if it still does.
    pub until: Option<DateTime<Utc>>,
    /// How a call must have been served; all of it must hold.
    pub when: Selectors,
    /// The hours and weekdays at which it holds; none for always.
    pub schedule: Option<Schedule>,
    /// The currency of all its prices.
    pub currency: Currency,
    /// The prices, at most one for each unit. A unit that is not here has no published price, which is not zero.
    pub rates: Vec<UnitPrice>,
    /// Other prices for large requests, by ascending bound.
    pub tiers: Vec<Tier>,
    /// Factors on top.
    pub multipliers: Vec<Multiplier>,
    /// The least that is billed.
    pub minimums: Vec<Minimum>,
    /// Whose card this is and where it was read; what a cost points to.
    pub reference: Arc<RateCardRef>,
    /// Which book it came from: the books layered over the first one count up from 1, and win.
    pub(crate) layer: u32,
}

/// What `per` of a unit costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct UnitPrice {
    /// What is counted.
    pub unit: Unit,
    /// The price of `per` of it, in the card's currency.
    pub amount: Money,
    /// How many the price is for; never zero.
    pub per: u64,
    /// The ticks of one of it, where they are a whole number: almost always, and it saves the division.
    pub(crate) each: Option<i128>,
}

impl UnitPrice {
    /// The price of `per` of a unit, which must not be zero.
    pub(crate) const fn new(unit: Unit, amount: Money, per: u64) -> Self {
        let (ticks, per_signed) = (amount.ticks(), per as i128);
        let whole = per_signed != 0 && ticks % per_signed == 0;
        Self { unit, amount, per, each: if whole { Some(ticks / per_signed) } else { None } }
    }
}

/// Other prices for a request that is large. A unit that is not named here keeps its price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tier {
    /// What is measured.
    pub metric: TierMetric,
    /// Where the tier begins.
    pub bound: TierBound,
    /// What the prices hold for.
    pub scope: TierScope,
    /// The prices.
    pub rates: Vec<UnitPrice>,
}

/// What decides on a tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TierMetric {
    /// All tokens that went in: uncached, read from a cache, written to one.
    PromptTokens,
    /// The quantity of one unit.
    Of(Unit),
}

/// Where a tier begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TierBound {
    /// With one more than this.
    Above(u64),
    /// With this.
    From(u64),
}

/// What the prices of a tier hold for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TierScope {
    /// Everything in the request.
    #[default]
    WholeRequest,
    /// What each unit has beyond the bound; what lies below it keeps its price.
    Marginal,
}

/// A factor on some prices, for calls that were served in a certain way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Multiplier {
    /// How a call must have been served; all of it must hold.
    pub when: Selectors,
    /// The numerator of the factor.
    pub num: u64,
    /// The denominator of the factor; never zero.
    pub den: u64,
    /// The units that it is for; empty for all.
    pub units: Vec<Unit>,
}

/// The least of a unit that is billed, where there is any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Minimum {
    /// What is counted.
    pub unit: Unit,
    /// The least that is billed.
    pub quantity: u64,
}

impl RateCard {
    /// Whether the card holds at this moment.
    pub fn holds_at(&self, at: DateTime<Utc>) -> bool {
        self.from.is_none_or(|from| from <= at)
            && self.until.is_none_or(|until| at < until)
            && self.schedule.as_ref().is_none_or(|schedule| schedule.covers(at))
    }

    /// The price of a unit outside all tiers, if one is published.
    pub fn rate(&self, unit: Unit) -> Option<&UnitPrice> {
        find(&self.rates, unit)
    }

    /// Whether every price on the card is zero.
    pub fn is_free(&self) -> bool {
        let tiers = self.tiers.iter().flat_map(|tier| &tier.rates);
        self.rates.iter().chain(tiers).all(|price| price.amount.is_zero())
    }

    /// Whether the two cards are for the same calls at different moments.
    pub(crate) fn same_conditions(&self, other: &Self) -> bool {
        self.when == other.when && self.schedule == other.schedule
    }

    /// Whether there is a moment at which both hold, schedules aside.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let before = |until: Option<DateTime<Utc>>, from: Option<DateTime<Utc>>| {
            until.zip(from).is_some_and(|(until, from)| until <= from)
        };
        !before(self.until, other.from) && !before(other.until, self.from)
    }
}

impl Tier {
    /// The price of a unit in this tier, if it has one of its own.
    pub fn rate(&self, unit: Unit) -> Option<&UnitPrice> {
        find(&self.rates, unit)
    }
}

impl TierMetric {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PromptTokens => "prompt_tokens",
            Self::Of(unit) => unit.as_str(),
        }
    }

    /// The metric of that name on the wire, if there is one.
    pub fn named(name: &str) -> Option<Self> {
        if name == "prompt_tokens" {
            Some(Self::PromptTokens)
        } else {
            Unit::named(name).map(Self::Of)
        }
    }
}

impl TierBound {
    /// The number that the provider names.
    pub const fn number(self) -> u64 {
        match self {
            Self::Above(bound) | Self::From(bound) => bound,
        }
    }

    /// Whether a value lies within the tier.
    pub const fn reached_by(self, value: u64) -> bool {
        match self {
            Self::Above(bound) => value > bound,
            Self::From(bound) => value >= bound,
        }
    }
}

fn find(rates: &[UnitPrice], unit: Unit) -> Option<&UnitPrice> {
    rates.iter().find(|price| price.unit == unit)
}
