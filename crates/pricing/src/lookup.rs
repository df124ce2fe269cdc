//! From the name of an LLM, as a call gives it, to the LLM in the book. Nothing here guesses.

use chrono::{DateTime, Days, NaiveDate, Utc};
use taximeter_models::{CostOutcome, MatchKind, Name};

use crate::index::fold;
use crate::nearest::nearest;
use crate::{Grammar, Model, PriceBook, Provider};

/// What a name led to.
#[derive(Debug)]
pub(crate) struct Found<'b> {
    pub(crate) provider: &'b Provider,
    /// The LLM; none at a local server, which serves LLMs of any name.
    pub(crate) model: Option<(&'b Model, MatchKind)>,
    pub(crate) provider_inferred: bool,
}

impl PriceBook {
    /// Finds the LLM, or says as an outcome why there is none.
    pub(crate) fn look_up(
        &self,
        provider: Option<&str>,
        model: &str,
        at: DateTime<Utc>,
    ) -> Result<Found<'_>, CostOutcome> {
        let name = fold(model);
        match provider.map(str::trim).filter(|given| !given.is_empty()) {
            Some(given) => {
                let unknown = || CostOutcome::UnknownProvider { provider: Some(Name::from(given)) };
                self.at_provider(self.index.provider(given).ok_or_else(unknown)?, &name, at)
            }
            // A provider's name before a slash is as good as a provider that was given.
            None => match name.split_once('/').and_then(|(head, _)| self.index.provider(head)) {
                Some(provider) => self.at_provider(provider, &name, at),
                None => self.inferred(&name, at),
            },
        }
    }

    fn at_provider(
        &self,
        provider: usize,
        name: &str,
        at: DateTime<Utc>,
    ) -> Result<Found<'_>, CostOutcome> {
        let model = self.resolve(provider, name, at);
        let found = Found { provider: &self.providers[provider], model, provider_inferred: false };
        if found.model.is_some() || (found.provider.is_local && !name.is_empty()) {
            return Ok(found);
        }
        let nearest = nearest(name, self.names_of(provider));
        Err(CostOutcome::UnknownModel { nearest })
    }

    /// The one provider that made an LLM of that name.
    fn inferred(&self, name: &str, at: DateTime<Utc>) -> Result<Found<'_>, CostOutcome> {
        let first_party = self.providers.iter().enumerate().filter(|(_, known)| known.first_party);
        let mut found = first_party.filter_map(|(place, provider)| {
            let model = Some(self.resolve(place, name, at)?);
            Some(Found { provider, model, provider_inferred: true })
        });
        match (found.next(), found.next()) {
            (Some(only), None) => Ok(only),
            _ => Err(CostOutcome::UnknownProvider { provider: None }),
        }
    }

    /// Tries the steps in their order: the name itself, the name without its date, the provider's grammar.
    pub(crate) fn resolve(
        &self,
        provider: usize,
        name: &str,
        at: DateTime<Utc>,
    ) -> Option<(&Model, MatchKind)> {
        if let Some((model, found)) = self.named(provider, name) {
            let kind = if found.alias { MatchKind::Alias } else { MatchKind::Exact };
            return Some((model, kind));
        }
        if let Some(model) = self.without_date(provider, name, at) {
            return Some((model, MatchKind::DateStripped));
        }
        let inner = reduce(&self.providers[provider], name)?;
        let model = self.named(provider, inner).map(|(model, _)| model);
        let model = model.or_else(|| self.without_date(provider, inner, at))?;
        Some((model, MatchKind::Grammar))
    }

    fn without_date(&self, provider: usize, name: &str, at: DateTime<Utc>) -> Option<&Model> {
        let (stem, date) = split_date(name)?;
        let (model, _) = self.named(provider, stem)?;
        // No call is answered by an LLM that is dated later; a day is left for clocks and time zones.
        let latest = at.date_naive().checked_add_days(Days::new(1))?;
        (model.dated_ids && date <= latest).then_some(model)
    }
}

/// What a provider's grammar leaves of a name, if it takes something off. Each grammar has its line here.
fn reduce<'n>(provider: &Provider, name: &'n str) -> Option<&'n str> {
    if let Some((head, rest)) = name.split_once('/')
        && provider.names().any(|known| known.eq_ignore_ascii_case(head))
    {
        return Some(rest);
    }
    match provider.grammar {
        Grammar::Plain => None,
        Grammar::OpenAi => fine_tuned_base(name),
        Grammar::Gemini => name.strip_prefix("models/"),
        _ => None,
    }
}

/// `ft:base` of `ft:base:organisation:name:id`: a fine-tuned LLM has the price of all those with the same base.
fn fine_tuned_base(name: &str) -> Option<&str> {
    let after = name.strip_prefix("ft:")?;
    let base = after.find(':')?;
    Some(&name[.."ft:".len() + base])
}

/// A name that ends in a date, as what stands before it and the date.
fn split_date(name: &str) -> Option<(&str, NaiveDate)> {
    let dashed = |name: &'_ str| -> Option<(usize, NaiveDate)> {
        let cut = name.len().checked_sub("-2026-01-31".len())?;
        let date = name.get(cut..)?.strip_prefix('-')?;
        Some((cut, NaiveDate::parse_from_str(date, "%Y-%m-%d").ok()?))
    };
    let compact = |name: &'_ str| -> Option<(usize, NaiveDate)> {
        let cut = name.len().checked_sub("-20260131".len())?;
        let digits = name.get(cut..)?.strip_prefix(['-', '@'])?;
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        let date = NaiveDate::parse_from_str(digits, "%Y%m%d").ok()?;
        plain.then_some((cut, date))
    };
    let (cut, date) = dashed(name).or_else(|| compact(name))?;
    let begin = NaiveDate::from_ymd_opt(2020, 1, 1)?;
    (cut > 0 && date >= begin).then(|| (&name[..cut], date))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_date(name: &str, stem: Option<&str>) {
        assert_eq!(split_date(name).map(|(stem, _)| stem), stem, "{name}");
    }

    #[test]
    fn dates_are_real_and_stand_at_the_end() {
        check_date("gpt-4o-2024-08-06", Some("gpt-4o"));
        check_date("claude-opus-4-5-20251101", Some("claude-opus-4-5"));
        check_date("claude-opus-4-5@20251101", Some("claude-opus-4-5"));
        check_date("gpt-4o-2024-13-06", None);
        check_date("gpt-4o-2024-02-30", None);
        check_date("gpt-4o-20240230", None);
        check_date("gpt-4o-1999-01-01", None);
        check_date("gpt-4o-2024-8-6", None);
        check_date("gpt-4o-2024-08-06-mini", None);
        check_date("-2024-08-06", None);
        check_date("ü2024-08-06", None);
        check_date("@20240806", None);
    }

    #[test]
    fn the_base_of_a_fine_tuned_name() {
        assert_eq!(fine_tuned_base("ft:gpt-4o-2024-08-06:me:x:1"), Some("ft:gpt-4o-2024-08-06"));
        assert_eq!(fine_tuned_base("ft:gpt-4o-2024-08-06"), None);
        assert_eq!(fine_tuned_base("gpt-4o"), None);
    }
}
