//! The form of the table's file. A field that might change a price and is not known is an error.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::de::{DeserializeOwned, Error, IgnoredAny};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use taximeter_pricing::{Selectors, Window};

use super::names::Clause;
use crate::Number;

/// Who serves LLMs.
#[derive(Debug, Deserialize)]
pub(super) struct Provider {
    pub(super) id: String,
    pub(super) models: Vec<Model>,
}

/// One LLM.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Model {
    /// A name, or a mere label.
    pub(super) id: String,
    /// Which names mean it.
    pub(super) r#match: Clause,
    /// Of several entries the last one that holds is the price.
    #[serde(deserialize_with = "one_or_many")]
    pub(super) prices: Vec<Entry>,
    #[serde(default)]
    pub(super) price_variants: Vec<Variant>,
    /// The provider says that it will stop to serve it, and still does.
    #[serde(default)]
    pub(super) deprecated: bool,
    #[serde(default, rename = "name")]
    _name: IgnoredAny,
    #[serde(default, rename = "description")]
    _description: IgnoredAny,
    #[serde(default, rename = "context_window")]
    _context_window: IgnoredAny,
    #[serde(default, rename = "price_comments")]
    _price_comments: IgnoredAny,
}

/// Prices, and when they hold.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    #[serde(default)]
    pub(super) constraint: Option<Constraint>,
    pub(super) prices: Prices,
}

/// Prices that replace some of the others for calls that were served in a certain way.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Variant {
    pub(super) when: Selectors,
    #[serde(default)]
    pub(super) constraint: Option<StartDate>,
    pub(super) prices: Prices,
}

/// The first day of a variant; hours of the day are not known of variants.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StartDate {
    pub(super) start_date: NaiveDate,
}

/// When an entry holds.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "WrittenConstraint")]
pub(super) enum Constraint {
    /// From midnight UTC of this day on.
    Since(NaiveDate),
    /// At these hours of every day.
    Daily(Window),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenConstraint {
    start_date: Option<NaiveDate>,
    start_time: Option<String>,
    end_time: Option<String>,
}

/// Prices by the names of their fields.
pub(super) type Prices = BTreeMap<String, Price>;

/// A price, and other ones for large requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Price {
    pub(super) base: Number,
    pub(super) tiers: Vec<Tier>,
}

/// The price of a request with more input tokens than `start`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tier {
    pub(super) start: u64,
    pub(super) price: Number,
}

impl TryFrom<WrittenConstraint> for Constraint {
    type Error = String;

    fn try_from(written: WrittenConstraint) -> Result<Self, String> {
        match (written.start_date, written.start_time, written.end_time) {
            (Some(day), None, None) => Ok(Self::Since(day)),
            (None, Some(from), Some(until)) => {
                let window = format!("{}-{}", minute(&from)?, minute(&until)?);
                Ok(Self::Daily(window.parse()?))
            }
            _ => Err("a constraint is a start_date, or a start_time and an end_time".to_owned()),
        }
    }
}

/// The hour and minute of a time in UTC, such as `00:30:00+00:00`.
fn minute(time: &str) -> Result<&str, String> {
    let utc = time.strip_suffix("+00:00").or_else(|| time.strip_suffix('Z'));
    utc.and_then(|utc| utc.strip_suffix(":00"))
        .ok_or_else(|| format!("{time:?} is not a whole minute in UTC, such as 00:30:00+00:00"))
}

impl Price {
    /// A price for requests of any size.
    pub(super) const fn flat(base: Number) -> Self {
        Self { base, tiers: Vec::new() }
    }

    /// All amounts.
    pub(super) fn amounts(&self) -> impl Iterator<Item = Number> + '_ {
        std::iter::once(self.base).chain(self.tiers.iter().map(|tier| tier.price))
    }
}

impl<'de> Deserialize<'de> for Price {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Tiered {
            base: Number,
            tiers: Vec<Tier>,
        }
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        if !raw.get().starts_with('{') {
            return Ok(Self::flat(inner(&raw)?));
        }
        let Tiered { base, mut tiers } = inner(&raw)?;
        tiers.sort_by_key(|tier| tier.start);
        Ok(Self { base, tiers })
    }
}

/// Reads one set of prices that always holds, or a list of entries.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Entry>, D::Error> {
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    if raw.get().starts_with('[') {
        inner(&raw)
    } else {
        Ok(vec![Entry { constraint: None, prices: inner(&raw)? }])
    }
}

fn inner<T: DeserializeOwned, E: Error>(raw: &RawValue) -> Result<T, E> {
    serde_json::from_str(raw.get()).map_err(E::custom)
}
