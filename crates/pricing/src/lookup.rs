//! From the name of an LLM, as a call gives it, to the LLM in the book. Nothing here guesses.

use chrono::{DateTime, Days, Utc};
use taximeter_models::{CostOutcome, MatchKind, Name};

use crate::grammar::{self, split_date};
use crate::index::fold;
use crate::nearest::nearest;
use crate::{Grammar, Model, PriceBook, Provider};

/// What a name led to.
#[derive(Debug)]
pub(crate) struct Found<'b, 'n> {
    pub(crate) provider: &'b Provider,
    /// The LLM; none at a local server, which serves LLMs of any name.
    pub(crate) model: Option<(&'b Model, MatchKind)>,
    pub(crate) provider_inferred: bool,
    /// The region that was taken off the name to find the LLM.
    pub(crate) region: Option<&'n str>,
}

/// Why a name led nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Miss {
    /// The provider that was given is not known.
    Provider,
    /// No provider was given, and the LLM's name fits none or several.
    NoProvider,
    /// The provider of that number has no LLM of that name.
    Model(usize),
}

/// The LLM that has a name, how that is known, and the region that was taken off the name.
type Resolved<'b, 'n> = (&'b Model, MatchKind, Option<&'n str>);

impl PriceBook {
    /// Finds the LLM, or says why there is none.
    pub(crate) fn look_up<'n>(
        &self,
        provider: Option<&str>,
        model: &'n str,
        at: DateTime<Utc>,
    ) -> Result<Found<'_, 'n>, Miss> {
        let name = fold(model);
        let known = match provider.map(str::trim).filter(|given| !given.is_empty()) {
            Some(given) => Some(self.index.provider(given).ok_or(Miss::Provider)?),
            // A provider's name before a slash is as good as a provider that was given.
            None => name.split_once('/').and_then(|(head, _)| self.index.provider(head)),
        };
        let (place, resolved) = match known {
            Some(place) => (place, self.at_provider(place, &name, at)?),
            None => self.inferred(&name, at).map(|(place, resolved)| (place, Some(resolved)))?,
        };
        Ok(Found {
            provider: &self.providers[place],
            model: resolved.map(|(model, kind, _)| (model, kind)),
            provider_inferred: known.is_none(),
            region: resolved.and_then(|(_, _, region)| as_given(model.trim(), &name, region?)),
        })
    }

    /// The provider's LLM of that name; none at a local server that has no prices.
    fn at_provider<'n>(
        &self,
        provider: usize,
        name: &'n str,
        at: DateTime<Utc>,
    ) -> Result<Option<Resolved<'_, 'n>>, Miss> {
        let resolved = self.resolve(provider, name, at);
        if resolved.is_some() || (self.providers[provider].is_local && !name.is_empty()) {
            return Ok(resolved);
        }
        Err(Miss::Model(provider))
    }

    /// What is said of a name that led nowhere.
    pub(crate) fn unknown(&self, provider: Option<&str>, model: &str, miss: Miss) -> CostOutcome {
        match miss {
            Miss::Provider => CostOutcome::UnknownProvider {
                provider: provider.map(|given| Name::from(given.trim())),
            },
            Miss::NoProvider => CostOutcome::UnknownProvider { provider: None },
            Miss::Model(place) => {
                let name = fold(model);
                let nearest =
                    self.nearest.of(place, &name, || nearest(&name, self.names_of(place)));
                CostOutcome::UnknownModel { nearest }
            }
        }
    }

    /// The one provider that made an LLM of that name, and the LLM; or else the one provider that has an LLM of
    /// exactly this name.
    fn inferred<'n>(
        &self,
        name: &'n str,
        at: DateTime<Utc>,
    ) -> Result<(usize, Resolved<'_, 'n>), Miss> {
        let first_party = self.providers.iter().enumerate().filter(|(_, known)| known.first_party);
        let mut found =
            first_party.filter_map(|(place, _)| Some((place, self.resolve(place, name, at)?)));
        match (found.next(), found.next()) {
            (Some(only), None) => Ok(only),
            (Some(first), Some(second)) => {
                // Some who make LLMs resell those of others.
                let made = |place: usize| {
                    self.providers[place].makes.iter().any(|begin| name.starts_with(&**begin))
                };
                let mut makers =
                    [first, second].into_iter().chain(found).filter(|(place, _)| made(*place));
                makers.next().filter(|_| makers.next().is_none()).ok_or(Miss::NoProvider)
            }
            (None, _) => {
                let place = self.only_provider_of(name).ok_or(Miss::NoProvider)?;
                // That nobody named a provider must not make a call free.
                let sold = |model: &Model| model.cards.iter().any(|card| !card.is_free());
                let named = self.named(place, name).filter(|(model, _)| sold(model));
                let (model, found) = named.ok_or(Miss::NoProvider)?;
                let kind = if found.alias { MatchKind::Alias } else { MatchKind::Exact };
                Ok((place, (model, kind, None)))
            }
        }
    }

    /// Tries the steps in their order: the name itself, the name without its date, the provider's grammar, patterns.
    pub(crate) fn resolve<'n>(
        &self,
        provider: usize,
        name: &'n str,
        at: DateTime<Utc>,
    ) -> Option<Resolved<'_, 'n>> {
        if let Some((model, found)) = self.named(provider, name) {
            let kind = if found.alias { MatchKind::Alias } else { MatchKind::Exact };
            return Some((model, kind, None));
        }
        if let Some(model) = self.without_date(provider, name, at) {
            return Some((model, MatchKind::DateStripped, None));
        }
        let mut seek = |reading: &str, region| {
            let exact = self.named(provider, reading).map(|(model, _)| model);
            let model = exact.or_else(|| self.without_date(provider, reading, at))?;
            Some((model, MatchKind::Grammar, region))
        };
        grammar::read(&self.providers[provider], name, &mut seek)
            .or_else(|| Some((self.by_pattern(provider, name)?, MatchKind::Pattern, None)))
    }

    fn without_date(&self, provider: usize, name: &str, at: DateTime<Utc>) -> Option<&Model> {
        let (stem, date) = split_date(name)?;
        let (model, _) = self.named(provider, stem)?;
        // No call is answered by an LLM that is dated later; a day is left for clocks and time zones.
        let latest = at.date_naive().checked_add_days(Days::new(1))?;
        // A version after the sign pins the LLM that stands before it: Vertex AI sells no version apart.
        let pinned = self.providers[provider].grammar == Grammar::Vertex
            && name[stem.len()..].starts_with('@');
        ((model.dated_ids || pinned) && date <= latest).then_some(model)
    }

    fn by_pattern(&self, place: usize, name: &str) -> Option<&Model> {
        let provider = &self.providers[place];
        let inner = grammar::without_provider(provider, name);
        let fits = |pattern: &str, name| grammar::fits_in(provider.grammar, pattern, name);
        let mut patterns = self.index.patterns(place).iter();
        let (_, at) = patterns.find(|(pattern, _)| {
            fits(pattern, name) || inner.is_some_and(|inner| fits(pattern, inner))
        })?;
        self.models.get(*at)
    }
}

/// A part of a folded name as it was given: folding leaves every byte in its place.
fn as_given<'n>(given: &'n str, folded: &str, part: &str) -> Option<&'n str> {
    let begin = folded.find(part)?;
    given.get(begin..begin + part.len())
}
