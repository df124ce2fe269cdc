//! The JSON form of a price book, and the way from it to the book.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use serde::Deserialize;
use serde_json::{Map, Value};
use taximeter_models::{CardBasis, Currency, Money, Name, RateCardRef, Unit};

use crate::{
    BookError, Minimum, Model, ModelStatus, Multiplier, PriceBook, Provider, RateCard, Schedule,
    Selectors, Source, Tier, TierBound, TierMetric, TierScope, UnitPrice, validate,
};

/// The newest form that is read.
const SCHEMA: u32 = 1;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBook {
    #[serde(default = "first_schema")]
    schema: u32,
    as_of: Option<NaiveDate>,
    #[serde(default)]
    sources: Vec<Source>,
    #[serde(default)]
    providers: Vec<Provider>,
    #[serde(default)]
    models: Vec<RawModel>,
}

const fn first_schema() -> u32 {
    1
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawModel {
    provider: Name,
    id: Name,
    #[serde(default)]
    aliases: Vec<Name>,
    #[serde(default)]
    dated_ids: bool,
    #[serde(default)]
    status: ModelStatus,
    retired_at: Option<NaiveDate>,
    cards: Vec<RawCard>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCard {
    from: Option<String>,
    until: Option<String>,
    #[serde(default)]
    when: Selectors,
    schedule: Option<Schedule>,
    basis: Option<CardBasis>,
    source: Option<Name>,
    checked_on: Option<NaiveDate>,
    #[serde(default)]
    currency: Currency,
    rates: Map<String, Value>,
    #[serde(default)]
    tiers: Vec<RawTier>,
    #[serde(default)]
    multipliers: Vec<RawMultiplier>,
    #[serde(default)]
    minimums: Vec<RawMinimum>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTier {
    metric: RawMetric,
    above: Option<u64>,
    from: Option<u64>,
    #[serde(default)]
    marginal: bool,
    rates: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawMetric {
    PromptTokens,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMultiplier {
    #[serde(default)]
    when: Selectors,
    num: u64,
    den: u64,
    #[serde(default)]
    units: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMinimum {
    unit: String,
    quantity: u64,
}

/// Reads and validates a book.
pub(crate) fn read(text: &str) -> Result<PriceBook, BookError> {
    let raw: RawBook = serde_json::from_str(text)?;
    if raw.schema > SCHEMA {
        return Err(BookError::NewerSchema { found: raw.schema, known: SCHEMA });
    }
    let mut providers = raw.providers;
    let mut models = Vec::with_capacity(raw.models.len());
    for model in raw.models {
        let named =
            |provider: &Provider| provider.names().any(|n| n.eq_ignore_ascii_case(&model.provider));
        let provider =
            providers.iter().find(|provider| named(provider)).map(|known| known.id.clone());
        let provider = provider.unwrap_or_else(|| {
            // A book of one's own names a provider without describing it.
            let new = Provider::named(&model.provider);
            let id = new.id.clone();
            providers.push(new);
            id
        });
        models.push(model.build(provider)?);
    }
    let index = validate::book(&providers, &models)?;
    Ok(PriceBook { as_of: raw.as_of, sources: raw.sources, providers, models, index })
}

impl RawModel {
    fn build(self, provider: Name) -> Result<Model, BookError> {
        let cards = self.cards.into_iter().map(|card| card.build(&provider, &self.id));
        let cards = cards.collect::<Result<_, _>>()?;
        Ok(Model {
            cards,
            provider,
            id: self.id,
            aliases: self.aliases,
            dated_ids: self.dated_ids,
            status: self.status,
            retired_at: self.retired_at,
        })
    }
}

impl RawCard {
    fn build(self, provider: &Name, model: &Name) -> Result<RateCard, BookError> {
        let since = self.from.as_deref().unwrap_or("the beginning");
        let place = format!("{provider}/{model}, card from {since}");
        self.fill(provider, model).map_err(|why| BookError::invalid(place, why))
    }

    fn fill(self, provider: &Name, model: &Name) -> Result<RateCard, String> {
        let from = self.from.as_deref().map(moment).transpose()?;
        let reference = RateCardRef {
            provider: provider.clone(),
            model: model.clone(),
            valid_from: from,
            basis: self.basis.unwrap_or(CardBasis::Unknown),
            source: self.source.unwrap_or_else(|| Name::from("a book of one's own")),
            checked_on: self.checked_on,
        };
        Ok(RateCard {
            from,
            until: self.until.as_deref().map(moment).transpose()?,
            when: self.when,
            schedule: self.schedule,
            currency: self.currency,
            rates: rates(&self.rates)?,
            tiers: self.tiers.iter().map(RawTier::build).collect::<Result<_, _>>()?,
            multipliers: self
                .multipliers
                .into_iter()
                .map(RawMultiplier::build)
                .collect::<Result<_, _>>()?,
            minimums: self.minimums.iter().map(RawMinimum::build).collect::<Result<_, _>>()?,
            reference: Arc::new(reference),
            layer: 0,
        })
    }
}

impl RawTier {
    fn build(&self) -> Result<Tier, String> {
        let bound = match (self.above, self.from) {
            (Some(bound), None) => TierBound::Above(bound),
            (None, Some(bound)) => TierBound::From(bound),
            _ => {
                return Err(
                    "a tier begins either `above` a number or `from` one; give one of them".into(),
                );
            }
        };
        let RawMetric::PromptTokens = self.metric;
        Ok(Tier {
            metric: TierMetric::PromptTokens,
            bound,
            scope: if self.marginal { TierScope::Marginal } else { TierScope::WholeRequest },
            rates: rates(&self.rates)?,
        })
    }
}

impl RawMultiplier {
    fn build(self) -> Result<Multiplier, String> {
        let units = self.units.iter().map(|name| unit(name)).collect::<Result<_, _>>()?;
        Ok(Multiplier { when: self.when, num: self.num, den: self.den, units })
    }
}

impl RawMinimum {
    fn build(&self) -> Result<Minimum, String> {
        Ok(Minimum { unit: unit(&self.unit)?, quantity: self.quantity })
    }
}

/// A day, which begins at midnight UTC, or a moment.
fn moment(text: &str) -> Result<DateTime<Utc>, String> {
    let day = || Some(text.parse::<NaiveDate>().ok()?.and_time(NaiveTime::MIN).and_utc());
    let moment = DateTime::parse_from_rfc3339(text).ok().map(|moment| moment.to_utc());
    moment.or_else(day).ok_or_else(|| {
        format!("{text:?} is not a moment; write it as 2026-01-31 or 2026-01-31T16:00:00Z")
    })
}

fn unit(name: &str) -> Result<Unit, String> {
    let found = Unit::ALL.iter().find(|unit| unit.as_str() == name).copied();
    found.ok_or_else(|| {
        let names: Vec<&str> = Unit::ALL.iter().map(|unit| unit.as_str()).collect();
        format!("there is no unit {name:?}; the units are {}", names.join(", "))
    })
}

/// The prices by unit, in the order of the units. A price of `null` is one that is not published.
fn rates(raw: &Map<String, Value>) -> Result<Vec<UnitPrice>, String> {
    let published = raw.iter().filter(|(_, value)| !value.is_null());
    let mut rates: Vec<UnitPrice> =
        published.map(|(name, value)| price(unit(name)?, value)).collect::<Result<_, _>>()?;
    rates.sort_unstable_by_key(|price| price.unit);
    Ok(rates)
}

fn price(unit: Unit, value: &Value) -> Result<UnitPrice, String> {
    let Value::Object(parts) = value else {
        return Ok(UnitPrice { unit, amount: money(unit, value)?, per: usual_per(unit) });
    };
    let known = parts.keys().all(|key| key == "amount" || key == "per");
    let per = parts.get("per").map_or(Some(usual_per(unit)), Value::as_u64);
    match (parts.get("amount"), per) {
        (Some(amount), Some(per)) if known => {
            Ok(UnitPrice { unit, amount: money(unit, amount)?, per })
        }
        _ => Err(format!(
            "the price of {unit} is not of the form {{\"amount\": \"10\", \"per\": 1000}}"
        )),
    }
}

/// Amounts are read from their text, so that none goes through a float.
fn money(unit: Unit, value: &Value) -> Result<Money, String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return Err(format!("the price of {unit} is neither a number nor text")),
    };
    text.parse().map_err(|error| format!("the price of {unit}: {error}"))
}

/// How many of a unit a bare number is the price of: a million tokens or characters, one of anything else.
fn usual_per(unit: Unit) -> u64 {
    let counts_tokens = unit.is_input_tokens() || unit.is_output_tokens();
    let others = [Unit::Reasoning, Unit::Citation, Unit::InputCharacter, Unit::OutputCharacter];
    if counts_tokens || others.contains(&unit) { 1_000_000 } else { 1 }
}
