//! Reads the JSON of genai-prices: a list of providers, each with its LLMs, their names by rules and their prices by
//! dates, hours and ways of serving.
//!
//! | Room | Does |
//! |---|---|
//! | `table` | the file's own form |
//! | `names` | rules that fit names become names, where they are certain |
//! | `cards` | dates, hours and ways of serving become cards |
//! | `rates` | price fields become prices of units |
//!
//! The prices of another provider, where the table falls back to them, are not taken: they are a guess.

mod cards;
mod names;
mod rates;
mod table;
#[cfg(test)]
mod tests;

use taximeter_models::Name;
use taximeter_pricing::form::ModelForm;
use taximeter_pricing::{ModelStatus, PriceBook};

use crate::draft::Draft;
use crate::{Import, ImportError, NoteKind, Origin};
use table::{Model, Provider};

/// The name of the table in errors.
const TABLE: &str = "genai-prices";

/// The table has one provider for both of Google's ways to serve.
const GOOGLE: &str = "google";
const VERTEX: &str = "vertex_ai";

/// Reads the table. Every LLM of Google stands in the book for Vertex AI too.
///
/// ```
/// use taximeter_pricing::PriceBook;
/// use taximeter_sources::{ImportError, Origin, genai};
///
/// let origin = Origin { id: "genai-prices".to_owned(), version: None, url: None, checked_on: None };
/// let table = |field| {
///     format!(
///         r#"[{{"id": "openai", "models": [
///             {{"id": "gpt-4o", "match": {{"equals": "gpt-4o"}}, "prices": {{"{field}": 2.5}}}}
///         ]}}]"#
///     )
/// };
/// let import = genai::read(&table("input_mtok"), &origin)?;
/// assert!(PriceBook::try_from(import.book)?.find(Some("openai"), "gpt-4o").is_some());
///
/// // A price of something that is not known is never dropped in silence.
/// let refused = genai::read(&table("smell_mtok"), &origin);
/// assert!(matches!(refused, Err(ImportError::UnknownField { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Where the text is not of the table's form, has a price field that is not known, or makes no valid book.
pub fn read(text: &str, origin: &Origin) -> Result<Import, ImportError> {
    let providers: Vec<Provider> =
        serde_json::from_str(text).map_err(|why| ImportError::Json { table: TABLE, why })?;
    let mut draft = Draft::default();
    for provider in &providers {
        for at in 0..provider.models.len() {
            add(&mut draft, provider, at, origin)?;
        }
    }
    let mut import = draft.finish(origin);
    // The entries of one LLM often call for the same note.
    import.notes.dedup();
    PriceBook::try_from(import.book.clone())?;
    Ok(import)
}

fn add(
    draft: &mut Draft,
    provider: &Provider,
    at: usize,
    origin: &Origin,
) -> Result<(), ImportError> {
    let model = &provider.models[at];
    let place = format!("{}/{}", provider.id, model.id);
    let names = names::of(model, &provider.models[..at]);
    for why in names.left_out {
        draft.note(NoteKind::LeftOut, &place, why);
    }
    let Some(id) = names.id else {
        draft.note(NoteKind::LeftOut, &place, "no rule gives it a whole name");
        return Ok(());
    };
    let form = ModelForm {
        aliases: names.aliases.iter().map(|alias| Name::from(alias.as_str())).collect(),
        patterns: names.patterns.iter().map(|pattern| Name::from(pattern.as_str())).collect(),
        dated_ids: names.dated_ids,
        status: if model.deprecated { ModelStatus::Deprecated } else { ModelStatus::Active },
        cards: cards::of(model, &place, origin, draft)?,
        ..ModelForm::new(&provider.id, &id)
    };
    let label = Some(model.id.as_str()).filter(|_| !names.label_fits);
    if provider.id == GOOGLE {
        add_vertex(draft, model, label, &form, place);
    }
    draft.add(form, label);
    Ok(())
}

/// Adds the same LLM at Vertex AI; but what the Gemini API gives away, Vertex AI runs on machines that it bills.
fn add_vertex(
    draft: &mut Draft,
    model: &Model,
    label: Option<&str>,
    form: &ModelForm,
    place: String,
) {
    if model.prices.iter().any(|entry| entry.prices.is_empty()) {
        draft.note(NoteKind::LeftOut, place, "it is free at the Gemini API only, not at Vertex AI");
    } else {
        draft.add(ModelForm { provider: Name::from(VERTEX), ..form.clone() }, label);
    }
}
