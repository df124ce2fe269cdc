//! The written form of a price book, as JSON or TOML has it, and the way from it to the book.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use taximeter_models::{CardBasis, Currency, Money, Name, RateCardRef, Unit};

use crate::{
    BookError, Minimum, Model, ModelStatus, Multiplier, PriceBook, Provider, RateCard, Schedule,
    Selectors, Source, Tier, TierBound, TierMetric, TierScope, UnitPrice, validate,
};

/// The newest form that is read.
const SCHEMA: u32 = 1;

/// A price book as it is written down. [`PriceBook::try_from`] checks it.
///
/// ```
/// use taximeter_pricing::PriceBook;
/// use taximeter_pricing::form::{BookForm, CardForm, ModelForm};
///
/// let mut card = CardForm::default();
/// card.rates.insert("input".into(), Some("2.5".into()));
/// let model = ModelForm { cards: vec![card], ..ModelForm::new("openai", "mine") };
/// let book = PriceBook::try_from(BookForm { models: vec![model], ..BookForm::default() })?;
/// assert!(book.find(Some("openai"), "mine").is_some());
///
/// let nameless = ModelForm::new("openai", " ");
/// assert!(PriceBook::try_from(BookForm { models: vec![nameless], ..BookForm::default() }).is_err());
/// # Ok::<(), taximeter_pricing::BookError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BookForm {
    /// The version of the form; 1.
    #[serde(default = "first_schema")]
    pub schema: u32,
    /// The day of which the prices are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<NaiveDate>,
    /// Where the prices were read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Source>,
    /// The providers. One that is only named by its LLMs need not stand here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub providers: Vec<Provider>,
    /// The LLMs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<ModelForm>,
}

/// One LLM of one provider; see [`Model`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the fields are those of Model, where they are explained")]
pub struct ModelForm {
    pub provider: Name,
    pub id: Name,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<Name>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patterns: Vec<Name>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub dated_ids: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    pub status: ModelStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<NaiveDate>,
    /// Empty where the LLM is known and no price of it was ever published; that must be written down.
    pub cards: Vec<CardForm>,
}

/// One rate card; see [`RateCard`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardForm {
    /// The first moment at which it holds, as `2026-01-31` (midnight UTC) or `2026-01-31T16:00:00Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The first moment at which it holds no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// How a call must have been served.
    #[serde(default, skip_serializing_if = "Selectors::is_empty")]
    pub when: Selectors,
    /// The hours and weekdays at which it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// How its beginning is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<CardBasis>,
    /// Where it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Name>,
    /// When it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_on: Option<NaiveDate>,
    /// The currency of its prices; US dollars.
    #[serde(default, skip_serializing_if = "is_default")]
    pub currency: Currency,
    /// The prices by unit. `null` is a price that is not published.
    pub rates: Rates,
    /// Other prices for large requests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<TierForm>,
    /// Factors on top.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub multipliers: Vec<MultiplierForm>,
    /// The least that is billed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub minimums: Vec<MinimumForm>,
}

/// Prices by the name of their unit.
pub type Rates = BTreeMap<String, Option<PriceForm>>;

/// A tier; see [`Tier`]. It begins either above a number or from one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the fields are those of Tier, where they are explained")]
pub struct TierForm {
    pub metric: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub marginal: bool,
    pub rates: Rates,
}

/// A factor; see [`Multiplier`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the fields are those of Multiplier, where they are explained")]
pub struct MultiplierForm {
    #[serde(default, skip_serializing_if = "Selectors::is_empty")]
    pub when: Selectors,
    pub num: u64,
    pub den: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub units: Vec<String>,
}

/// A minimum; see [`Minimum`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the fields are those of Minimum, where they are explained")]
pub struct MinimumForm {
    pub unit: String,
    pub quantity: u64,
}

/// A price: a bare amount is that of a million tokens or characters, and of one of anything else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum PriceForm {
    /// The amount for the usual number.
    Plain(Amount),
    /// The amount for another number.
    Per(PerForm),
}

/// An amount for so many of a unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "an amount and what it is for")]
pub struct PerForm {
    pub amount: Amount,
    pub per: u64,
}

/// An amount of money as it is written: text, or a number, which is taken by its text and never through a float.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Amount(pub String);

impl From<&str> for PriceForm {
    fn from(amount: &str) -> Self {
        Self::Plain(Amount(amount.to_owned()))
    }
}

/// Reads what an amount may be written as; with `per`, an object of amount and number too.
struct Written {
    per: bool,
}

impl<'de> Visitor<'de> for Written {
    type Value = PriceForm;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a price as decimal text or a number")?;
        if self.per {
            f.write_str(r#", or of the form {"amount": "10", "per": 1000}"#)
        } else {
            Ok(())
        }
    }

    fn visit_str<E>(self, text: &str) -> Result<PriceForm, E> {
        Ok(PriceForm::from(text))
    }

    fn visit_u64<E>(self, value: u64) -> Result<PriceForm, E> {
        Ok(PriceForm::from(value.to_string().as_str()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<PriceForm, E> {
        Ok(PriceForm::from(value.to_string().as_str()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<PriceForm, E> {
        // The shortest decimal that reads back as this float is the one that was written.
        Ok(PriceForm::from(value.to_string().as_str()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<PriceForm, A::Error> {
        if self.per {
            PerForm::deserialize(MapAccessDeserializer::new(map)).map(PriceForm::Per)
        } else {
            Err(A::Error::invalid_type(Unexpected::Map, &self))
        }
    }
}

impl<'de> Deserialize<'de> for PriceForm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written { per: true })
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_any(Written { per: false })? {
            PriceForm::Plain(amount) | PriceForm::Per(PerForm { amount, .. }) => Ok(amount),
        }
    }
}

const fn first_schema() -> u32 {
    1
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Default for BookForm {
    fn default() -> Self {
        Self {
            schema: SCHEMA,
            as_of: None,
            sources: Vec::new(),
            providers: Vec::new(),
            models: Vec::new(),
        }
    }
}

impl ModelForm {
    /// An LLM of which nothing but its name is known.
    pub fn new(provider: &str, id: &str) -> Self {
        Self {
            provider: Name::from(provider),
            id: Name::from(id),
            aliases: Vec::new(),
            patterns: Vec::new(),
            dated_ids: false,
            status: ModelStatus::default(),
            retired_at: None,
            cards: Vec::new(),
        }
    }
}

impl TryFrom<BookForm> for PriceBook {
    type Error = BookError;

    /// Checks a book.
    ///
    /// # Errors
    /// As [`PriceBook::from_json`].
    fn try_from(form: BookForm) -> Result<Self, BookError> {
        if form.schema > SCHEMA {
            return Err(BookError::NewerSchema { found: form.schema, known: SCHEMA });
        }
        let mut providers = form.providers;
        let mut places = std::collections::HashMap::new();
        for (at, provider) in providers.iter().enumerate() {
            for name in provider.names() {
                places.entry(name.to_ascii_lowercase()).or_insert(at);
            }
        }
        let mut models = Vec::with_capacity(form.models.len());
        for model in form.models {
            let at = *places.entry(model.provider.to_ascii_lowercase()).or_insert_with(|| {
                // A book of one's own names a provider without describing it.
                providers.push(Provider::named(&model.provider));
                providers.len() - 1
            });
            models.push(model.build(providers[at].id.clone())?);
        }
        let index = validate::book(&providers, &models)?;
        Ok(Self::of(form.as_of, form.sources, providers, models, index))
    }
}

impl ModelForm {
    fn build(mut self, provider: Name) -> Result<Model, BookError> {
        // Names are compared without blanks around them, so that they are kept without.
        for name in std::iter::once(&mut self.id).chain(&mut self.aliases) {
            if name.trim().len() < name.len() {
                *name = Name::from(name.trim());
            }
        }
        let cards = self.cards.into_iter().map(|card| card.build(&provider, &self.id));
        let cards = cards.collect::<Result<_, _>>()?;
        Ok(Model {
            cards,
            provider,
            id: self.id,
            aliases: self.aliases,
            patterns: self.patterns,
            dated_ids: self.dated_ids,
            status: self.status,
            retired_at: self.retired_at,
        })
    }
}

impl CardForm {
    fn build(self, provider: &Name, model: &Name) -> Result<RateCard, BookError> {
        let since = self.from.clone().unwrap_or_else(|| "the beginning".to_owned());
        self.fill(provider, model).map_err(|why| {
            BookError::invalid(format!("{provider}/{model}, card from {since}"), why)
        })
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
            rates: prices(&self.rates)?,
            tiers: self.tiers.iter().map(TierForm::build).collect::<Result<_, _>>()?,
            multipliers: self
                .multipliers
                .into_iter()
                .map(MultiplierForm::build)
                .collect::<Result<_, _>>()?,
            minimums: self.minimums.iter().map(MinimumForm::build).collect::<Result<_, _>>()?,
            reference: Arc::new(reference),
            layer: 0,
        })
    }
}

impl TierForm {
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
        let metric = TierMetric::named(&self.metric).ok_or_else(|| {
            format!("there is no metric {:?}; it is prompt_tokens, or a unit", self.metric)
        })?;
        let scope = if self.marginal { TierScope::Marginal } else { TierScope::WholeRequest };
        Ok(Tier { metric, bound, scope, rates: prices(&self.rates)? })
    }
}

impl MultiplierForm {
    fn build(self) -> Result<Multiplier, String> {
        let units = self.units.iter().map(|name| unit(name)).collect::<Result<_, _>>()?;
        Ok(Multiplier { when: self.when, num: self.num, den: self.den, units })
    }
}

impl MinimumForm {
    fn build(&self) -> Result<Minimum, String> {
        Ok(Minimum { unit: unit(&self.unit)?, quantity: self.quantity })
    }
}

/// The moment that a text means: a day, which begins at midnight UTC, or a moment with its time.
///
/// # Errors
/// Where the text is neither; the error says how to write it.
///
/// ```
/// use taximeter_pricing::form::moment;
///
/// assert_eq!(moment("2026-01-31"), moment("2026-01-31T01:00:00+01:00"));
/// assert!(moment("soon").is_err());
/// ```
pub fn moment(text: &str) -> Result<DateTime<Utc>, String> {
    let day = || Some(text.parse::<NaiveDate>().ok()?.and_time(NaiveTime::MIN).and_utc());
    let moment = DateTime::parse_from_rfc3339(text).ok().map(|moment| moment.to_utc());
    moment.or_else(day).ok_or_else(|| {
        format!("{text:?} is not a moment; write it as 2026-01-31 or 2026-01-31T16:00:00Z")
    })
}

fn unit(name: &str) -> Result<Unit, String> {
    Unit::named(name).ok_or_else(|| {
        let names: Vec<&str> = Unit::ALL.iter().map(|unit| unit.as_str()).collect();
        format!("there is no unit {name:?}; the units are {}", names.join(", "))
    })
}

/// The prices by unit, in the order of the units. A price of `null` is one that is not published.
fn prices(form: &Rates) -> Result<Vec<UnitPrice>, String> {
    let published = form.iter().filter_map(|(name, price)| Some((name, price.as_ref()?)));
    let mut rates: Vec<UnitPrice> =
        published.map(|(name, value)| price(unit(name)?, value)).collect::<Result<_, _>>()?;
    rates.sort_unstable_by_key(|price| price.unit);
    Ok(rates)
}

fn price(unit: Unit, form: &PriceForm) -> Result<UnitPrice, String> {
    let (amount, per) = match form {
        PriceForm::Plain(amount) => (amount, usual_per(unit)),
        PriceForm::Per(PerForm { amount, per }) => (amount, *per),
    };
    // Amounts are read from their text, so that none goes through a float.
    let amount: Money =
        amount.0.parse().map_err(|error| format!("the price of {unit}: {error}"))?;
    Ok(UnitPrice::new(unit, amount, per))
}

/// How many of a unit a bare number is the price of: a million tokens or characters, one of anything else.
pub fn usual_per(unit: Unit) -> u64 {
    let counts_tokens = unit.is_input_tokens() || unit.is_output_tokens();
    let others = [Unit::Reasoning, Unit::Citation, Unit::InputCharacter, Unit::OutputCharacter];
    if counts_tokens || others.contains(&unit) { 1_000_000 } else { 1 }
}
