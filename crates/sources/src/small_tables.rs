//! What the tests of every importer ask of a small table.

use taximeter_models::TokenUsage;
use taximeter_pricing::form::{CardForm, ModelForm};
use taximeter_pricing::{PriceBook, Query, Selectors};

use crate::{Import, Note, NoteKind, Origin};

pub(crate) fn origin(id: &str, version: &str, checked_on: &str) -> Origin {
    Origin {
        id: id.to_owned(),
        version: Some(version.to_owned()),
        url: None,
        checked_on: checked_on.parse().ok(),
    }
}

/// The only LLM of the table.
pub(crate) fn only(import: &Import) -> &ModelForm {
    let [model] = import.book.models.as_slice() else { panic!("{:?}", import.book.models) };
    model
}

pub(crate) fn card(import: &Import, at: usize) -> &CardForm {
    &only(import).cards[at]
}

pub(crate) fn rate(card: &CardForm, unit: &str) -> serde_json::Value {
    serde_json::to_value(&card.rates[unit]).unwrap()
}

pub(crate) fn units(card: &CardForm) -> Vec<&str> {
    card.rates.keys().map(String::as_str).collect()
}

pub(crate) fn noted(import: &Import, kind: NoteKind) -> Vec<&Note> {
    import.notes.iter().filter(|note| note.kind == kind).collect()
}

/// The cost of a call of the only LLM in US dollars, or the word for why there is none.
pub(crate) fn cost(import: &Import, at: &str, usage: &TokenUsage, selectors: &Selectors) -> String {
    let model = only(import);
    let book = PriceBook::try_from(import.book.clone()).unwrap();
    let outcome = book.price(&Query {
        provider: Some(&model.provider),
        model: &model.id,
        at: at.parse().unwrap(),
        usage,
        selectors,
    });
    match outcome.amount() {
        Some((amount, _)) if outcome.is_known() => amount.to_string(),
        _ => outcome.as_str().to_owned(),
    }
}

/// The cost of a million tokens of input.
pub(crate) fn million(import: &Import, at: &str, selectors: &Selectors) -> String {
    cost(import, at, &TokenUsage::new(1_000_000, 0), selectors)
}
