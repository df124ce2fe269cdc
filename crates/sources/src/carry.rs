//! Names that the tables no longer know, kept: an LLM is retired, never deleted, so that old calls keep their price.

use std::collections::BTreeSet;

use taximeter_models::Name;
use taximeter_pricing::ModelStatus;
use taximeter_pricing::form::{BookForm, ModelForm};

/// Carries over into a new book what only the previous one knows, and gives the names as `provider/name`. An LLM that
/// is gone is kept as it was, retired; a name that is gone becomes an alias of the LLM that has the others.
///
/// ```
/// use taximeter_pricing::form::{BookForm, ModelForm};
/// use taximeter_sources::carry;
///
/// let previous = BookForm { models: vec![ModelForm::new("p", "old")], ..BookForm::default() };
/// let mut book = BookForm { models: vec![ModelForm::new("p", "new")], ..BookForm::default() };
/// assert_eq!(carry::over(&previous, &mut book), ["p/old"]);
/// assert_eq!(book.models.len(), 2);
/// assert!(carry::over(&previous, &mut book).is_empty()); // nothing is carried twice
/// ```
pub fn over(previous: &BookForm, book: &mut BookForm) -> Vec<String> {
    let known: BTreeSet<(Name, String)> = book.models.iter().flat_map(names).collect();
    let mut carried = Vec::new();
    for old in &previous.models {
        let gone: Vec<Name> = std::iter::once(&old.id)
            .chain(&old.aliases)
            .filter(|name| !known.contains(&(old.provider.clone(), name.to_ascii_lowercase())))
            .cloned()
            .collect();
        if gone.is_empty() {
            continue;
        }
        carried.extend(gone.iter().map(|name| format!("{}/{name}", old.provider)));
        let is_successor = |model: &&mut ModelForm| {
            let own: BTreeSet<_> = names(model).collect();
            names(old).any(|name| own.contains(&name))
        };
        if let Some(successor) = book.models.iter_mut().find(is_successor) {
            successor.aliases.extend(gone);
        } else {
            book.models.push(ModelForm { status: ModelStatus::Retired, ..old.clone() });
            let described = book.providers.iter().any(|provider| provider.id == old.provider);
            let provider = previous.providers.iter().find(|provider| provider.id == old.provider);
            book.providers.extend(provider.filter(|_| !described).cloned());
        }
    }
    book.models.sort_by(|a, b| (&a.provider, &a.id).cmp(&(&b.provider, &b.id)));
    carried
}

fn names(model: &ModelForm) -> impl Iterator<Item = (Name, String)> + '_ {
    let all = std::iter::once(&model.id).chain(&model.aliases);
    all.map(|name| (model.provider.clone(), name.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
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
        assert_eq!(over(&previous, &mut book), ["p/A-2"]);
        assert_eq!(book.models[0].aliases, ["a", "A-2"]);
    }

    #[test]
    fn an_llm_that_is_gone_is_retired() {
        let previous = BookForm { models: vec![model("p", "a", &["b"])], ..BookForm::default() };
        let mut book = BookForm::default();
        assert_eq!(over(&previous, &mut book), ["p/a", "p/b"]);
        assert_eq!(
            (book.models[0].status, book.models[0].aliases.len()),
            (ModelStatus::Retired, 1)
        );
    }
}
