//! Whether a book knows every name of the tables that it was made of.

use taximeter_pricing::{Model, PriceBook};

use crate::{Import, merge};

/// How much of a table a book knows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Coverage {
    /// The names of the table.
    pub names: usize,
    /// Those of them for which the table has a price that can be right.
    pub priced: usize,
    /// Those of them for which the book has one too.
    pub found: usize,
    /// Names that lead to no LLM in the book, as `provider/name`.
    pub unknown: Vec<String>,
    /// Names with a price in the table that lead to an LLM without one.
    pub unpriced: Vec<String>,
}

impl Coverage {
    /// Whether every name is known, and every priced one priced.
    pub fn is_complete(&self) -> bool {
        self.unknown.is_empty() && self.unpriced.is_empty()
    }
}

/// Looks every name of a table up.
///
/// ```
/// use taximeter_pricing::PriceBook;
/// use taximeter_sources::{Origin, litellm, verify};
///
/// let origin = Origin { id: "LiteLLM".into(), version: None, url: None, checked_on: None };
/// let table = r#"{"mine": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-06}}"#;
/// let import = litellm::read(table, &origin)?;
/// let book = PriceBook::try_from(import.book.clone())?;
/// assert!(verify::coverage(&book, &import).is_complete());
/// assert_eq!(verify::coverage(&PriceBook::default(), &import).unknown, ["openai/mine"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn coverage(book: &PriceBook, import: &Import) -> Coverage {
    let mut coverage = Coverage::default();
    let labels = import.labels.iter().map(|label| (&label.provider, &label.label, true));
    let models = import.book.models.iter().flat_map(|model| {
        let priced = model.cards.iter().any(merge::is_believed);
        std::iter::once(&model.id)
            .chain(&model.aliases)
            .map(move |name| (&model.provider, name, priced))
    });
    for (provider, name, priced) in models.chain(labels) {
        coverage.names += 1;
        coverage.priced += usize::from(priced);
        match book.find(Some(provider), name) {
            None => coverage.unknown.push(format!("{provider}/{name}")),
            Some(Model { cards, .. }) if cards.is_empty() && priced => {
                coverage.unpriced.push(format!("{provider}/{name}"));
            }
            Some(_) => coverage.found += usize::from(priced),
        }
    }
    coverage
}

#[cfg(test)]
mod tests {
    use taximeter_pricing::form::{BookForm, CardForm, ModelForm};

    use super::*;

    fn model(id: &str, price: Option<&str>) -> ModelForm {
        let card = |price: &str| CardForm {
            rates: [("input".to_owned(), Some(price.into()))].into(),
            ..CardForm::default()
        };
        ModelForm { cards: price.map(card).into_iter().collect(), ..ModelForm::new("p", id) }
    }

    #[test]
    fn what_is_unknown_or_without_a_price_is_told() {
        let models = |models| BookForm { models, ..BookForm::default() };
        let table = models(vec![
            model("known", Some("1")),
            model("bare", Some("1")),
            model("gone", Some("1")),
            model("free-of-prices", None),
            model("mistaken", Some("5000")),
        ]);
        let import = Import { book: table, labels: Vec::new(), notes: Vec::new() };
        let book = PriceBook::try_from(models(vec![
            model("known", Some("2")),
            model("bare", None),
            model("free-of-prices", None),
            model("mistaken", None),
        ]));
        let coverage = coverage(&book.unwrap(), &import);
        assert_eq!((coverage.names, coverage.priced, coverage.found), (5, 3, 1));
        assert_eq!(coverage.unknown, ["p/gone"]);
        assert_eq!(coverage.unpriced, ["p/bare"]);
        assert!(!coverage.is_complete());
    }
}
