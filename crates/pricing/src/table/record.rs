//! What the table says of an LLM, packed, and the way back to the LLM.

use std::sync::Arc;

use chrono::{DateTime, Days, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use taximeter_models::{CardBasis, Currency, Money, Name, RateCardRef, Unit};

use super::Table;
use crate::{
    Grammar, Minimum, Model, ModelStatus, Multiplier, Provider, RateCard, Schedule, Selectors,
    Source, Tier, TierBound, TierMetric, TierScope, UnitPrice,
};

/// What is decoded when the table is opened.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) as_of: Option<PackedDay>,
    pub(crate) sources: Vec<PackedSource>,
    pub(crate) providers: Vec<PackedProvider>,
    /// How many LLMs there are.
    pub(super) count: usize,
    /// Texts, selectors and schedules that many cards share.
    pub(super) read_at: Vec<Name>,
    pub(super) whens: Vec<Vec<(Name, Name)>>,
    pub(super) schedules: Vec<PackedSchedule>,
}

/// A day, counted from the first of January 2020; prices are younger.
pub(crate) type PackedDay = u16;
/// A moment, in seconds since 1970.
type PackedMoment = i64;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PackedSource(
    pub(super) Name,
    pub(super) Option<Name>,
    pub(super) Option<Name>,
    pub(super) Option<Name>,
    pub(super) Option<PackedDay>,
);

/// Id, aliases, grammar, whether it is local, whether it is a first party, default region, what it makes.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PackedProvider(
    pub(super) Name,
    pub(super) Vec<Name>,
    pub(super) Grammar,
    pub(super) bool,
    pub(super) bool,
    pub(super) Option<Name>,
    pub(super) Vec<Name>,
);

/// Windows as text, weekdays from 0 for Monday, exceptions.
#[derive(Debug, Serialize, Deserialize, PartialEq)]
pub(super) struct PackedSchedule(
    pub(super) Vec<String>,
    pub(super) Vec<u8>,
    pub(super) Vec<PackedDay>,
);

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PackedModel {
    /// The number of its first name, and how many there are.
    pub(super) name: u16,
    pub(super) names: u16,
    pub(super) patterns: Vec<Name>,
    pub(super) dated_ids: bool,
    pub(super) status: u8,
    pub(super) retired_at: Option<PackedDay>,
    pub(super) cards: Vec<PackedCard>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PackedCard {
    pub(super) from: Option<PackedMoment>,
    pub(super) until: Option<PackedMoment>,
    pub(super) when: u16,
    /// The number of the schedule, from 1; 0 for none.
    pub(super) schedule: u16,
    pub(super) basis: u8,
    pub(super) read_at: u16,
    pub(super) checked_on: Option<PackedDay>,
    /// Where its prices are.
    pub(super) offer: u32,
}

/// The prices of a card, which many cards share.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PackedOffer {
    pub(super) currency: Option<String>,
    pub(super) rates: Vec<PackedPrice>,
    pub(super) tiers: Vec<PackedTier>,
    pub(super) multipliers: Vec<PackedMultiplier>,
    pub(super) minimums: Vec<(u8, u64)>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PackedPrice {
    pub(super) unit: u8,
    /// 0 for the usual number.
    pub(super) per: u64,
    pub(super) amount: PackedMoney,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum PackedMoney {
    /// Digits, and how many of them stand behind the point.
    Decimal(u64, u8),
    /// Anything else, as text.
    Text(String),
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PackedTier {
    /// A unit, from 1; 0 for all prompt tokens.
    pub(super) metric: u8,
    pub(super) bound: u64,
    pub(super) from: bool,
    pub(super) marginal: bool,
    pub(super) rates: Vec<PackedPrice>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PackedMultiplier {
    pub(super) when: u16,
    pub(super) num: u64,
    pub(super) den: u64,
    pub(super) units: Vec<u8>,
}

pub(super) const BASES: [CardBasis; 5] = [
    CardBasis::Documented,
    CardBasis::SourceCommit,
    CardBasis::FirstObserved,
    CardBasis::Unknown,
    CardBasis::Override,
];
pub(super) const STATUSES: [ModelStatus; 3] =
    [ModelStatus::Active, ModelStatus::Deprecated, ModelStatus::Retired];
pub(super) const FIRST_DAY: NaiveDate = NaiveDate::from_ymd_opt(2020, 1, 1).expect("a day");

pub(crate) fn day(packed: PackedDay) -> Option<NaiveDate> {
    FIRST_DAY.checked_add_days(Days::new(packed.into()))
}

impl PackedProvider {
    pub(crate) fn unpack(&self) -> Provider {
        let mut provider = Provider::named(&self.0);
        provider.aliases.clone_from(&self.1);
        (provider.grammar, provider.is_local, provider.first_party) = (self.2, self.3, self.4);
        provider.default_region.clone_from(&self.5);
        provider.makes.clone_from(&self.6);
        provider
    }
}

impl PackedSource {
    pub(crate) fn unpack(&self) -> Source {
        let mut source = Source::named(&self.0);
        (source.version, source.licence, source.url) =
            (self.1.clone(), self.2.clone(), self.3.clone());
        source.checked_on = self.4.and_then(day);
        source
    }
}

impl Table {
    /// The LLM of that number; none where the table is broken.
    pub(super) fn decode(&self, number: usize) -> Option<Model> {
        let begin = u32_at(self.parts.records, number * 4)?;
        let packed: PackedModel =
            postcard::take_from_bytes(self.parts.records.get(begin..)?).ok()?.0;
        let first = usize::from(packed.name);
        let (id, provider, _) = self.name(first)?;
        let (id, provider) = (Name::from(id), self.head.providers.get(provider)?.0.clone());
        let aliases = first + 1..first + usize::from(packed.names);
        let cards = packed.cards.iter().map(|card| self.card(card, &provider, &id));
        Some(Model {
            cards: cards.collect::<Option<_>>()?,
            aliases: aliases.map(|at| Some(Name::from(self.name(at)?.0))).collect::<Option<_>>()?,
            patterns: packed.patterns,
            dated_ids: packed.dated_ids,
            status: *STATUSES.get(usize::from(packed.status))?,
            retired_at: packed.retired_at.and_then(day),
            provider,
            id,
        })
    }

    fn card(&self, packed: &PackedCard, provider: &Name, model: &Name) -> Option<RateCard> {
        let offer = self.parts.offers.get(usize::try_from(packed.offer).ok()?..)?;
        let offer: PackedOffer = postcard::take_from_bytes(offer).ok()?.0;
        let from = packed.from.map(|seconds| DateTime::<Utc>::from_timestamp(seconds, 0));
        let until = packed.until.map(|seconds| DateTime::<Utc>::from_timestamp(seconds, 0));
        let reference = RateCardRef {
            provider: provider.clone(),
            model: model.clone(),
            valid_from: from.flatten(),
            basis: *BASES.get(usize::from(packed.basis))?,
            source: self.head.read_at.get(usize::from(packed.read_at))?.clone(),
            checked_on: packed.checked_on.and_then(day),
        };
        let schedule = match usize::from(packed.schedule).checked_sub(1) {
            Some(number) => Some(self.head.schedules.get(number)?.unpack()?),
            None => None,
        };
        Some(RateCard {
            from: from.flatten(),
            until: until.flatten(),
            when: self.when(packed.when)?,
            schedule,
            currency: match offer.currency {
                Some(code) => code.parse().ok()?,
                None => Currency::USD,
            },
            rates: prices(&offer.rates)?,
            tiers: offer.tiers.iter().map(PackedTier::unpack).collect::<Option<_>>()?,
            multipliers: offer
                .multipliers
                .iter()
                .map(|one| self.multiplier(one))
                .collect::<Option<_>>()?,
            minimums: offer
                .minimums
                .iter()
                .map(|(at, quantity)| Some(Minimum { unit: unit(*at)?, quantity: *quantity }))
                .collect::<Option<_>>()?,
            reference: Arc::new(reference),
            layer: 0,
        })
    }

    fn when(&self, number: u16) -> Option<Selectors> {
        let pairs = self.head.whens.get(usize::from(number))?;
        let with =
            |set: Selectors, (key, value): &(Name, Name)| set.with(key.as_str().into(), value);
        Some(pairs.iter().fold(Selectors::new(), with))
    }

    fn multiplier(&self, packed: &PackedMultiplier) -> Option<Multiplier> {
        let units = packed.units.iter().map(|at| unit(*at)).collect::<Option<_>>()?;
        Some(Multiplier { when: self.when(packed.when)?, num: packed.num, den: packed.den, units })
    }
}

impl PackedSchedule {
    fn unpack(&self) -> Option<Schedule> {
        Some(Schedule {
            windows: self.0.iter().map(|text| text.parse().ok()).collect::<Option<_>>()?,
            weekdays: self.1.iter().map(|day| (*day).try_into().ok()).collect::<Option<_>>()?,
            except: self.2.iter().map(|packed| day(*packed)).collect::<Option<_>>()?,
        })
    }
}

impl PackedTier {
    fn unpack(&self) -> Option<Tier> {
        Some(Tier {
            metric: match self.metric.checked_sub(1) {
                Some(at) => TierMetric::Of(unit(at)?),
                None => TierMetric::PromptTokens,
            },
            bound: if self.from {
                TierBound::From(self.bound)
            } else {
                TierBound::Above(self.bound)
            },
            scope: if self.marginal { TierScope::Marginal } else { TierScope::WholeRequest },
            rates: prices(&self.rates)?,
        })
    }
}

fn prices(packed: &[PackedPrice]) -> Option<Vec<UnitPrice>> {
    packed.iter().map(PackedPrice::unpack).collect()
}

impl PackedPrice {
    fn unpack(&self) -> Option<UnitPrice> {
        let unit = unit(self.unit)?;
        let per = if self.per == 0 { crate::form::usual_per(unit) } else { self.per };
        let amount = match &self.amount {
            PackedMoney::Decimal(digits, places) => {
                Money::ratio((*digits).into(), 10_i128.checked_pow((*places).into())?)?.0
            }
            PackedMoney::Text(text) => text.parse().ok()?,
        };
        Some(UnitPrice::new(unit, amount, per))
    }
}

fn unit(at: u8) -> Option<Unit> {
    Unit::ALL.get(usize::from(at)).copied()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    usize::try_from(u32::from_le_bytes(*bytes)).ok()
}
