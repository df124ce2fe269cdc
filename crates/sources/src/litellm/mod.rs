//! Reads LiteLLM's `model_prices_and_context_window_backup.json`, older files of it, and tokencost's, which has the
//! same form.

mod entry;
mod field;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use taximeter_models::Name;
use taximeter_pricing::ModelStatus;
use taximeter_pricing::form::ModelForm;

use crate::draft::Draft;
use crate::{Import, ImportError, NoteKind, Origin, providers};

const TABLE: &str = "LiteLLM's prices";
/// Keys at the top of the file that are no LLMs.
const NO_LLMS: [&str; 2] = ["sample_spec", "fallback_generalizations"];

/// The fields of one LLM, as they are written.
type Fields<'t> = BTreeMap<&'t str, &'t RawValue>;

/// Reads the table.
///
/// A field that looks like a price and is not known is an error; what is known and cannot be held by a book is
/// noted. Prices by service tier, batch and size multiply: each way of serving becomes a card of its own, in which a
/// price that the table gives only for the standard way is that one, as LiteLLM itself does it.
///
/// # Errors
/// Where the text is not such a file, or has a price field that is not known.
///
/// ```
/// use taximeter_pricing::PriceBook;
/// use taximeter_sources::{Origin, litellm};
///
/// let origin = Origin { id: "LiteLLM".into(), version: None, url: None, checked_on: None };
/// let table = r#"{"gpt-4o": {"litellm_provider": "openai", "mode": "chat",
///     "input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05}}"#;
/// let book = PriceBook::try_from(litellm::read(table, &origin)?.book)?;
/// assert!(book.find(Some("openai"), "gpt-4o").is_some());
///
/// let table = r#"{"gpt-4o": {"litellm_provider": "openai", "input_cost_per_smell": 1.0}}"#;
/// assert!(litellm::read(table, &origin).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read(text: &str, origin: &Origin) -> Result<Import, ImportError> {
    let json = |why| ImportError::Json { table: TABLE, why };
    let entries: BTreeMap<&str, &RawValue> = serde_json::from_str(text).map_err(json)?;
    let mut draft = Draft::default();
    // Where `deepseek-chat` and `deepseek/deepseek-chat` both stand there, the one that names its provider counts.
    let (with_provider, bare): (Vec<_>, Vec<_>) = entries
        .into_iter()
        .filter(|(key, _)| !NO_LLMS.contains(key))
        .partition(|(key, _)| key.contains('/'));
    for (key, raw) in with_provider.into_iter().chain(bare) {
        let fields: Fields<'_> = serde_json::from_str(raw.get()).map_err(json)?;
        if let Some(model) = model(key, &fields, origin, &mut draft)? {
            draft.add(model, None);
        }
    }
    Ok(draft.finish(origin))
}

fn model(
    key: &str,
    fields: &Fields<'_>,
    origin: &Origin,
    draft: &mut Draft,
) -> Result<Option<ModelForm>, ImportError> {
    let Some(label) = text(fields, "litellm_provider") else {
        draft.note(NoteKind::LeftOut, key, "it names no provider");
        return Ok(None);
    };
    let mut model = ModelForm::new(&label, name_at_provider(key, &label));
    let retired = text(fields, "deprecation_date").and_then(|date| date.parse().ok());
    let over = retired.zip(origin.checked_on).is_some_and(|(end, today)| end <= today);
    model.retired_at = retired;
    model.status = match retired {
        Some(_) if over => ModelStatus::Retired,
        Some(_) => ModelStatus::Deprecated,
        None => ModelStatus::Active,
    };
    model.cards = entry::cards(key, fields, origin, draft)?;
    Ok(Some(model))
}

/// The name of the LLM without its provider's, which stands before it in most keys.
fn name_at_provider<'k>(key: &'k str, label: &str) -> &'k str {
    let Some((head, rest)) = key.split_once('/') else { return key };
    let same = head.eq_ignore_ascii_case(label)
        || providers::canonical(head) == providers::canonical(label);
    // A size such as `1024-x-1024/` is a part of the name.
    if same && !rest.is_empty() { rest } else { key }
}

fn text(fields: &Fields<'_>, field: &str) -> Option<String> {
    serde_json::from_str(fields.get(field)?.get()).ok()
}

/// The name as it is written in notes.
fn place(key: &str, field: &str) -> Name {
    Name::from(format!("{key} {field}"))
}
