//! One LLM of one provider, with all the prices that it ever had.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use taximeter_models::Name;

use crate::{RateCard, Selectors};

/// An LLM at a provider. It is retired, never deleted: old calls keep their prices.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Model {
    /// The provider's id.
    pub provider: Name,
    /// The LLM's name.
    pub id: Name,
    /// Other names of exactly the same LLM.
    pub aliases: Vec<Name>,
    /// Patterns that fit a name of this LLM from its beginning to its end, in lower case; `*` stands for any text.
    pub patterns: Vec<Name>,
    /// Whether the name with a date behind it (`-2026-01-31`, `-20260131`, `@20260131`) is this LLM too.
    pub dated_ids: bool,
    /// Whether the provider still serves it.
    pub status: ModelStatus,
    /// The day on which the provider stops, or stopped, to serve it, if that is known.
    pub retired_at: Option<NaiveDate>,
    /// Its prices, old and new; none where it is known and no price of it was ever published.
    pub cards: Vec<RateCard>,
}

/// Whether a provider serves an LLM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelStatus {
    /// It does.
    #[default]
    Active,
    /// It does, but says that it will stop.
    Deprecated,
    /// It did once.
    Retired,
}

impl Model {
    /// Its id, then its aliases.
    pub fn names(&self) -> impl Iterator<Item = &str> + '_ {
        std::iter::once(&self.id).chain(&self.aliases).map(Name::as_str)
    }

    /// The card for a call at this moment that was served like this; none where no price was known then.
    ///
    /// Of several the user's own comes first, then the one with the most conditions, then the newest.
    pub fn card_at(&self, at: DateTime<Utc>, selectors: &Selectors) -> Option<&RateCard> {
        self.cards
            .iter()
            .filter(|card| card.holds_at(at) && card.when.all_hold_in(selectors))
            .max_by_key(|card| (card.layer, card.when.len(), card.schedule.is_some(), card.from))
    }

    /// When the first price of a call that was served like this begins; none if that is not known.
    pub fn first_price(&self, selectors: &Selectors) -> Option<DateTime<Utc>> {
        let cards = self.cards.iter().filter(|card| card.when.all_hold_in(selectors));
        cards.map(|card| card.from).min().flatten()
    }
}
