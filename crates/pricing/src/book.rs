//! The price book: providers, LLMs, rate cards, and the index over them.

use std::sync::{Arc, LazyLock};

use chrono::{NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use taximeter_models::{CardBasis, Name, RateCardRef};

use crate::form::BookForm;
use crate::index::{Index, fold};
use crate::{BookError, Model, Provider};

/// The table that is compiled in; `data/README.md` says where it comes from.
const EMBEDDED: &str = include_str!("../data/book.json");

/// Prices of LLMs with their history.
///
/// ```
/// use taximeter_pricing::PriceBook;
///
/// let mine = PriceBook::from_json(
///     r#"{"models": [{"provider": "openai", "id": "gpt-4o", "cards": [{"rates": {"input": "2", "output": "8"}}]}]}"#,
/// )?;
/// let book = PriceBook::embedded().with_overrides(mine);
/// assert_eq!(book.find(Some("openai"), "gpt-4o").map(|model| model.cards.last().unwrap().rates.len()), Some(2));
///
/// // A price that cannot be is refused, with its place.
/// let wrong = PriceBook::from_json(
///     r#"{"models": [{"provider": "p", "id": "m", "cards": [{"rates": {"input": "-1"}}]}]}"#,
/// );
/// assert!(wrong.unwrap_err().to_string().contains("p/m"));
/// # Ok::<(), taximeter_pricing::BookError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct PriceBook {
    pub(crate) as_of: Option<NaiveDate>,
    pub(crate) sources: Vec<Source>,
    pub(crate) providers: Vec<Provider>,
    pub(crate) models: Vec<Model>,
    pub(crate) index: Index,
}

/// Where prices of a book were read, with the licence under which they may be passed on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Source {
    /// Its name.
    pub id: Name,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Name>,
    /// Its licence, as an SPDX identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<Name>,
    /// Where it is found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Name>,
    /// The day on which it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_on: Option<NaiveDate>,
}

impl Source {
    /// A source of which only the name is known.
    pub fn named(id: &str) -> Self {
        Self { id: Name::from(id), version: None, licence: None, url: None, checked_on: None }
    }
}

impl PriceBook {
    /// The book that is compiled in. It is decoded at its first use.
    pub fn embedded() -> &'static Self {
        // A test keeps a broken table from being shipped; were one shipped all the same, every price would be
        // unknown, which is better than a panic in the program that is metered.
        static BOOK: LazyLock<PriceBook> =
            LazyLock::new(|| PriceBook::from_json(EMBEDDED).unwrap_or_default());
        &BOOK
    }

    /// Reads a book from JSON, in the form of `data/book.json`.
    ///
    /// # Errors
    /// Where the text is not JSON of that form, or a newer one; where an amount is negative, no number or above
    /// 0.05 per token; where cards overlap or end before they begin; where a name is given twice or a unit is not
    /// known. The error says at which LLM and card, and what to do.
    pub fn from_json(text: &str) -> Result<Self, BookError> {
        serde_json::from_str::<BookForm>(text)?.try_into()
    }

    pub(crate) fn of(
        as_of: Option<NaiveDate>,
        sources: Vec<Source>,
        providers: Vec<Provider>,
        models: Vec<Model>,
        index: Index,
    ) -> Self {
        Self { as_of, sources, providers, models, index }
    }

    /// This book with another one over it. Where both know a price, the other one's is taken; its cards say that
    /// they are [`CardBasis::Override`]. Moments and LLMs that the other one does not know keep their prices.
    pub fn with_overrides(&self, overrides: Self) -> Self {
        let mut providers = self.providers.clone();
        for provider in overrides.providers {
            self.merge_provider(&mut providers, provider);
        }
        let layer = self.cards().map(|card| card.layer).max().unwrap_or_default();
        let mut models = Vec::with_capacity(self.models.len() + overrides.models.len());
        let mut replaced = vec![false; self.models.len()];
        for mut model in overrides.models {
            mark_override(&mut model, layer + 1);
            self.keep_what_was(&mut model, &mut replaced);
            models.push(model);
        }
        // The overrides stand first, so that a name which both claim is theirs.
        let kept = self.models.iter().zip(replaced).filter(|(_, replaced)| !replaced);
        models.extend(kept.map(|(model, _)| model.clone()));
        let mut sources = self.sources.clone();
        sources.extend(overrides.sources);
        let (index, _) = Index::new(&providers, &models);
        Self { as_of: self.as_of, sources, providers, models, index }
    }

    fn merge_provider(&self, providers: &mut Vec<Provider>, new: Provider) {
        let Some(known) = self.index.provider(&new.id) else {
            providers.push(new);
            return;
        };
        let known = &mut providers[known];
        let fresh = new.names().filter(|name| self.index.provider(name).is_none());
        known.aliases.extend(fresh.map(Name::from).collect::<Vec<_>>());
        known.is_local |= new.is_local;
        if new.default_region.is_some() {
            known.default_region = new.default_region;
        }
    }

    /// Gives an overriding LLM the names and the cards of the one that it overrides.
    fn keep_what_was(&self, model: &mut Model, replaced: &mut [bool]) {
        let Some(provider) = self.index.provider(&model.provider) else { return };
        model.provider = self.providers[provider].id.clone();
        for card in &mut model.cards {
            Arc::make_mut(&mut card.reference).provider = model.provider.clone();
        }
        let Some(found) = self.index.model(provider, &fold(&model.id)) else { return };
        let old = &self.models[found.at];
        model.cards.splice(0..0, old.cards.iter().cloned());
        if !found.alias {
            // The same LLM: its other names lead to the new prices too.
            replaced[found.at] = true;
            model.aliases.extend(old.aliases.iter().cloned());
            model.dated_ids |= old.dated_ids;
        }
    }

    /// The day of which the prices are; none if the book does not say.
    pub fn as_of(&self) -> Option<NaiveDate> {
        self.as_of
    }

    /// Where the prices were read.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// The providers.
    pub fn providers(&self) -> impl Iterator<Item = &Provider> + '_ {
        self.providers.iter()
    }

    /// The LLMs, retired ones among them, by provider.
    pub fn models(&self) -> impl Iterator<Item = &Model> + '_ {
        self.models.iter()
    }

    /// The LLM that a call of that name would be priced as, if there is one. Names of LLMs lead to it as they do
    /// in [`PriceBook::price`].
    pub fn find(&self, provider: Option<&str>, model: &str) -> Option<&Model> {
        let found = self.look_up(provider, model, Utc::now()).ok()?;
        found.model.map(|(model, _)| model)
    }

    fn cards(&self) -> impl Iterator<Item = &crate::RateCard> + '_ {
        self.models.iter().flat_map(|model| &model.cards)
    }
}

fn mark_override(model: &mut Model, layer: u32) {
    for card in &mut model.cards {
        card.layer = layer;
        let reference: &mut RateCardRef = Arc::make_mut(&mut card.reference);
        reference.basis = CardBasis::Override;
    }
}
