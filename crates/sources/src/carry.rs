//! What the tables no longer know, kept: an LLM is retired, never deleted, so that old calls keep their price.

use std::collections::BTreeSet;

use taximeter_models::Name;
use taximeter_pricing::ModelStatus;
use taximeter_pricing::form::{BookForm, ModelForm};

/// What was carried over, as `provider/name`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Carried {
    /// Names that no table knows any more.
    pub names: Vec<String>,
    /// LLMs that are still known, but without a price; they keep those that they had.
    pub prices: Vec<String>,
}

/// Carries over into a new book what only the previous one knows. An LLM that is gone is kept as it was, retired; a
/// name that is gone becomes an alias of the LLM that has the others; an LLM that lost all its prices keeps them.
///
/// ```
/// use taximeter_pricing::form::{BookForm, ModelForm};
/// use taximeter_sources::carry;
///
/// let previous = BookForm { models: vec![ModelForm::new("p", "old")], ..BookForm::default() };
/// let mut book = BookForm { models: vec![ModelForm::new("p", "new")], ..BookForm::default() };
/// assert_eq!(carry::over(&previous, &mut book).names, ["p/old"]);
/// assert_eq!(book.models.len(), 2);
/// assert!(carry::over(&previous, &mut book).names.is_empty()); // nothing is carried twice
/// ```
pub fn over(previous: &BookForm, book: &mut BookForm) -> Carried {
    let known: BTreeSet<(Name, String)> = book.models.iter().flat_map(names).collect();
    let mut carried = Carried::default();
    for old in &previous.models {
        let gone: Vec<Name> = std::iter::once(&old.id)
            .chain(&old.aliases)
            .filter(|name| !known.contains(&(old.provider.clone(), name.to_ascii_lowercase())))
            .cloned()
            .collect();
        carried.names.extend(gone.iter().map(|name| format!("{}/{name}", old.provider)));
        let is_successor = |model: &&mut ModelForm| {
            let own: BTreeSet<_> = names(model).collect();
            model.provider == old.provider && names(old).any(|name| own.contains(&name))
        };
        if gone.len() > old.aliases.len() {
            add(previous, old, book);
        } else if let Some(successor) = book.models.iter_mut().find(is_successor) {
            successor.aliases.extend(gone);
            if successor.cards.is_empty() && !old.cards.is_empty() {
                carried.prices.push(format!("{}/{}", successor.provider, successor.id));
                successor.cards.clone_from(&old.cards);
                add_sources(previous, book);
            }
        }
    }
    book.models.sort_by(|a, b| (&a.provider, &a.id).cmp(&(&b.provider, &b.id)));
    carried
}

/// Adds an LLM of which no table has any name, with its provider and its sources.
fn add(previous: &BookForm, old: &ModelForm, book: &mut BookForm) {
    book.models.push(ModelForm { status: ModelStatus::Retired, ..old.clone() });
    let described = book.providers.iter().any(|provider| provider.id == old.provider);
    let provider = previous.providers.iter().find(|provider| provider.id == old.provider);
    book.providers.extend(provider.filter(|_| !described).cloned());
    add_sources(previous, book);
}

/// What is kept was read in one of the sources of its book, and whose it is must still be said.
fn add_sources(previous: &BookForm, book: &mut BookForm) {
    for source in &previous.sources {
        if !book.sources.contains(source) {
            book.sources.push(source.clone());
        }
    }
}

fn names(model: &ModelForm) -> impl Iterator<Item = (Name, String)> + '_ {
    let all = std::iter::once(&model.id).chain(&model.aliases);
    all.map(|name| (model.provider.clone(), name.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use taximeter_pricing::Source;
    use taximeter_pricing::form::CardForm;

    use super::*;

    fn model(provider: &str, id: &str, aliases: &[&str]) -> ModelForm {
        ModelForm {
            aliases: aliases.iter().copied().map(Name::from).collect(),
            ..ModelForm::new(provider, id)
        }
    }

    #[test]
    fn a_name_that_is_gone_stays_with_its_llm() {
        let previous =
            BookForm { models: vec![model("p", "a", &["a-1", "A-2"])], ..BookForm::default() };
        let mut book = BookForm {
            models: vec![model("p", "a-1", &["a"]), model("q", "a-2", &[])],
            ..BookForm::default()
        };
        assert_eq!(over(&previous, &mut book).names, ["p/A-2"]);
        assert_eq!(book.models[0].aliases, ["a", "A-2"]);
    }

    #[test]
    fn an_llm_that_is_gone_is_retired() {
        let previous = BookForm { models: vec![model("p", "a", &["b"])], ..BookForm::default() };
        let mut book = BookForm::default();
        assert_eq!(over(&previous, &mut book).names, ["p/a", "p/b"]);
        assert_eq!(
            (book.models[0].status, book.models[0].aliases.len()),
            (ModelStatus::Retired, 1)
        );
    }
    #[test]
    fn prices_that_are_gone_are_kept_with_their_source() {
        let mut old = model("p", "a", &[]);
        old.cards.push(CardForm::default());
        let sources = vec![Source::named("one"), Source::named("two")];
        let previous =
            BookForm { models: vec![old], sources: sources.clone(), ..BookForm::default() };
        let mut book = BookForm { models: vec![model("p", "a", &[])], ..BookForm::default() };
        assert_eq!(over(&previous, &mut book).prices, ["p/a"]);
        assert_eq!((book.models[0].cards.len(), book.sources), (1, sources));
    }
}
