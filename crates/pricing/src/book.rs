//! The price book: providers, LLMs, rate cards, and the index over them.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use chrono::{NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use taximeter_models::{CardBasis, Name, RateCardRef};

use crate::form::BookForm;
use crate::index::{Index, ModelAt, fold};
use crate::nearest::Memory;
use crate::table::{NameAt, PackedProvider, PackedSource, Table, day, pack};
use crate::{BookError, Grammar, Model, ModelStatus, Provider};

/// The table that is compiled in; `data/README.md` says where it comes from.
pub(crate) const EMBEDDED: &[u8] = include_bytes!("../data/book.bin");

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
    /// The LLMs that were read; all but those of the table below.
    pub(crate) models: Vec<Model>,
    pub(crate) index: Index,
    /// The compact table that lies under them, if one does.
    table: Option<Arc<Table>>,
    /// The LLMs of the table that others stand in for.
    replaced: BTreeSet<usize>,
    pub(crate) nearest: Memory,
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
            LazyLock::new(|| PriceBook::from_table(EMBEDDED).unwrap_or_default());
        &BOOK
    }

    fn over(table: Table) -> Self {
        let head = table.head();
        let providers: Vec<_> = head.providers.iter().map(PackedProvider::unpack).collect();
        let (index, _) = Index::new(&providers, &[]);
        Self {
            as_of: head.as_of.and_then(day),
            sources: head.sources.iter().map(PackedSource::unpack).collect(),
            providers,
            index,
            table: Some(Arc::new(table)),
            ..Self::default()
        }
    }

    /// The bytes of the compact table of this book, which stands in `data/book.bin` for the embedded one.
    ///
    /// # Errors
    /// Where the book is too large for the table: 65,535 names, or 32,767 LLMs.
    #[doc(hidden)]
    pub fn to_table(&self) -> Result<Vec<u8>, BookError> {
        pack(self)
    }

    /// The book over the bytes of a compact table; none where they are no table.
    #[doc(hidden)]
    pub fn from_table(bytes: &'static [u8]) -> Option<Self> {
        Table::open(bytes).map(Self::over)
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
        Self { as_of, sources, providers, models, index, ..Self::default() }
    }

    /// This book with another one over it. Where both know a price, the other one's is taken; its cards say that
    /// they are [`CardBasis::Override`]. Moments and LLMs that the other one does not know keep their prices.
    pub fn with_overrides(&self, overrides: Self) -> Self {
        let mut providers = self.providers.clone();
        for provider in overrides.providers {
            self.merge_provider(&mut providers, provider);
        }
        let layer = self.models.iter().flat_map(|model| &model.cards).map(|card| card.layer).max();
        let mut models = Vec::with_capacity(self.models.len() + overrides.models.len());
        let mut replaced = Replaced { own: BTreeSet::new(), in_table: self.replaced.clone() };
        for mut model in overrides.models {
            mark_override(&mut model, layer.unwrap_or_default() + 1);
            self.keep_what_was(&mut model, &mut replaced);
            models.push(model);
        }
        // The overrides stand first, so that a name which both claim is theirs.
        let kept = self.models.iter().enumerate().filter(|(at, _)| !replaced.own.contains(at));
        models.extend(kept.map(|(_, model)| model.clone()));
        let mut sources = self.sources.clone();
        sources.extend(overrides.sources);
        let (index, _) = Index::new(&providers, &models);
        Self {
            as_of: self.as_of,
            sources,
            providers,
            models,
            index,
            table: self.table.clone(),
            replaced: replaced.in_table,
            nearest: Memory::default(),
        }
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
        known.makes.extend(new.makes);
        if new.grammar != Grammar::default() {
            known.grammar = new.grammar;
        }
        if new.default_region.is_some() {
            known.default_region = new.default_region;
        }
    }

    /// Gives an overriding LLM the names and the cards of the one that it overrides.
    fn keep_what_was(&self, model: &mut Model, replaced: &mut Replaced) {
        let Some(provider) = self.index.provider(&model.provider) else { return };
        model.provider = self.providers[provider].id.clone();
        for card in &mut model.cards {
            Arc::make_mut(&mut card.reference).provider = model.provider.clone();
        }
        let Some((old, found)) = self.named(provider, &fold(&model.id)) else { return };
        model.cards.splice(0..0, old.cards.iter().cloned());
        if !found.alias {
            // The same LLM: its other names lead to the new prices too.
            replaced.add(found);
            let given: BTreeSet<String> = model.names().map(str::to_ascii_lowercase).collect();
            let fresh = old.names().filter(|name| !given.contains(&name.to_ascii_lowercase()));
            model.aliases.extend(fresh.map(Name::from));
            model.patterns.extend(old.patterns.iter().cloned());
            model.dated_ids |= old.dated_ids;
            if model.status == ModelStatus::default() {
                model.status = old.status;
            }
            model.retired_at = model.retired_at.or(old.retired_at);
        }
    }

    /// The LLM that has this name at a provider, as its id or an alias, in upper or lower case; no grammar is tried.
    pub fn find_exact(&self, provider: &str, model: &str) -> Option<&Model> {
        self.named(self.index.provider(provider)?, &fold(model)).map(|(model, _)| model)
    }

    /// The LLM that has exactly this name at a provider, the name being folded.
    pub(crate) fn named(&self, provider: usize, name: &str) -> Option<(&Model, ModelAt)> {
        if let Some(found) = self.index.model(provider, name) {
            return Some((self.models.get(found.at)?, found));
        }
        let table = self.table.as_ref()?;
        let NameAt { model, alias } = table.find(provider, name)?;
        Some((table.model(model)?, ModelAt { at: model, in_table: true, alias }))
    }

    /// The one provider that has an LLM of exactly this name, the name being folded; none where there are several.
    pub(crate) fn only_provider_of(&self, name: &str) -> Option<usize> {
        let own =
            (0..self.providers.len()).filter(|place| self.index.model(*place, name).is_some());
        let in_table = self.table.iter().flat_map(|table| table.providers_of(name));
        let mut places = own.chain(in_table);
        let first = places.next()?;
        places.all(|place| place == first).then_some(first)
    }

    /// All names of a provider's LLMs, in no particular order.
    pub(crate) fn names_of(&self, provider: usize) -> impl Iterator<Item = &str> + '_ {
        let in_table = self.table.iter().flat_map(move |table| table.names_of(provider));
        self.index.model_names(provider).chain(in_table)
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
        let kept = |table: &'_ Table| (0..table.len()).filter(|at| !self.replaced.contains(at));
        let table = self.table.as_deref();
        let in_table =
            table.into_iter().flat_map(move |table| kept(table).filter_map(|at| table.model(at)));
        self.models.iter().chain(in_table)
    }

    /// The LLM that a call of that name would be priced as, if there is one. Names of LLMs lead to it as they do
    /// in [`PriceBook::price`].
    pub fn find(&self, provider: Option<&str>, model: &str) -> Option<&Model> {
        let found = self.look_up(provider, model, Utc::now()).ok()?;
        found.model.map(|(model, _)| model)
    }
}

/// The LLMs that others stand in for.
struct Replaced {
    own: BTreeSet<usize>,
    in_table: BTreeSet<usize>,
}

impl Replaced {
    fn add(&mut self, found: ModelAt) {
        if found.in_table {
            self.in_table.insert(found.at)
        } else {
            self.own.insert(found.at)
        };
    }
}

fn mark_override(model: &mut Model, layer: u32) {
    for card in &mut model.cards {
        card.layer = layer;
        let reference: &mut RateCardRef = Arc::make_mut(&mut card.reference);
        reference.basis = CardBasis::Override;
    }
}
