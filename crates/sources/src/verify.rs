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
            Some(_) => {}
        }
    }
    coverage
}
