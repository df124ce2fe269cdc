//! From names with prices to LLMs with aliases.

use std::collections::BTreeMap;

use taximeter_pricing::form::{BookForm, CardForm, ModelForm};
use taximeter_pricing::{ModelStatus, PriceBook};

use super::{Known, Shelf, dropped};
use crate::{Note, providers};

/// A name with its cards.
pub(super) struct Priced<'n, 't> {
    pub(super) provider: &'n str,
    pub(super) name: &'n str,
    pub(super) known: &'n Known<'t>,
    pub(super) cards: Vec<CardForm>,
}

/// Providers that put dates behind the names of their LLMs, which cost what the name without one costs unless the
/// book knows the dated name.
const DATED: [&str; 6] = ["openai", "anthropic", "xai", "azure", "vertex_ai", "openrouter"];

/// The LLMs. Names become one where a table calls them the same LLM and their prices are the same throughout.
pub(super) fn group(
    priced: Vec<Priced<'_, '_>>,
    shelf: &Shelf,
    notes: &mut Vec<Note>,
) -> Vec<ModelForm> {
    let mut groups: BTreeMap<(String, String), Vec<Priced<'_, '_>>> = BTreeMap::new();
    for one in priced {
        groups.entry((one.provider.to_owned(), anchor(&one))).or_default().push(one);
    }
    let mut models = Vec::new();
    for ((_, anchor), names) in groups {
        let mut same: Vec<Vec<Priced<'_, '_>>> = Vec::new();
        for one in names {
            match same.iter_mut().find(|others| others[0].cards == one.cards) {
                Some(others) => others.push(one),
                None => same.push(vec![one]),
            }
        }
        models.extend(same.into_iter().map(|names| model(&anchor, names, shelf, notes)));
    }
    models.sort_by(|a, b| (&a.provider, &a.id).cmp(&(&b.provider, &b.id)));
    models
}

/// The LLM that a name belongs to, as the tables that know aliases call it.
fn anchor(one: &Priced<'_, '_>) -> String {
    let told = one.known.model_prices.or(one.known.genai);
    told.map_or_else(|| one.name.to_owned(), |model| model.id.to_ascii_lowercase())
}

fn model(
    anchor: &str,
    mut names: Vec<Priced<'_, '_>>,
    shelf: &Shelf,
    notes: &mut Vec<Note>,
) -> ModelForm {
    names.sort_by_key(|one| (one.name != anchor, one.name.len(), one.name.to_owned()));
    let mut spelled = names.iter().map(|one| one.known.spelling.clone());
    let id = spelled.next().unwrap_or_default();
    let aliases = spelled.collect();
    let mut model = ModelForm::new(names[0].provider, &id);
    model.aliases = aliases;
    model.dated_ids = (DATED.contains(&names[0].provider)
        && (!id.contains('/') || names[0].provider == "openrouter"))
        || told(&names).any(|told| told.dated_ids && told.id.eq_ignore_ascii_case(&id));
    (model.status, model.retired_at) = status(&names, shelf);
    model.cards = std::mem::take(&mut names[0].cards);
    valid(model, notes)
}

fn told<'t>(names: &[Priced<'_, 't>]) -> impl Iterator<Item = &'t ModelForm> {
    let tables: Vec<_> = names
        .iter()
        .flat_map(|one| [one.known.model_prices, one.known.litellm, one.known.genai])
        .flatten()
        .collect();
    tables.into_iter()
}

/// The word of a table that knows the LLM today; an LLM that only older tables know is retired, if its provider is
/// not gone from the table altogether.
fn status(names: &[Priced<'_, '_>], shelf: &Shelf) -> (ModelStatus, Option<chrono::NaiveDate>) {
    let today: Vec<&ModelForm> = told(names).collect();
    let retired_at = today.iter().find_map(|model| model.retired_at);
    let said = today.iter().map(|model| model.status).find(|status| *status != ModelStatus::Active);
    let still_listed =
        || shelf.litellm.form.iter().any(|model| *model.provider == *names[0].provider);
    let status = match said {
        Some(status) => status,
        None if today.is_empty() && still_listed() => ModelStatus::Retired,
        None => ModelStatus::Active,
    };
    (status, retired_at)
}

/// The LLM if a book takes it; where it does not take the history, the LLM without that.
fn valid(model: ModelForm, notes: &mut Vec<Note>) -> ModelForm {
    let book = |model: &ModelForm| {
        let providers = vec![providers::describe(&model.provider)];
        PriceBook::try_from(BookForm {
            providers,
            models: vec![model.clone()],
            ..BookForm::default()
        })
    };
    let Err(why) = book(&model) else { return model };
    notes.push(dropped(&model.provider, &model.id, format!("its history is left out: {why}")));
    let cards: Vec<CardForm> =
        model.cards.iter().filter(|card| card.until.is_none()).map(super::undated).collect();
    let bare = ModelForm { cards, ..model };
    match book(&bare) {
        Ok(_) => bare,
        Err(why) => {
            notes.push(dropped(
                &bare.provider,
                &bare.id,
                format!("its prices are left out: {why}"),
            ));
            ModelForm { cards: Vec::new(), ..bare }
        }
    }
}
