//! Several tables, one book: which price is taken where they differ, and since when.
//!
//! Names are the atoms: for each name that any table knows, one table's current prices are taken whole, by the first
//! of the rules of [`Rule`] that decides; older prices are laid before them. Names that lead to the same prices and
//! that a table calls the same LLM become one LLM with aliases.

mod choose;
mod clean;
mod complete;
mod group;
mod history;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use taximeter_models::Name;
use taximeter_pricing::form::{self, BookForm, CardForm, ModelForm};
use taximeter_pricing::{Model, PriceBook, Source};

use crate::{Import, ImportError, Note, NoteKind, providers};

pub use choose::{Conflict, Rule, Table};

/// The tables that make a book. Any of them may be missing.
#[derive(Debug, Default)]
pub struct Tables {
    /// LiteLLM's table of today.
    pub litellm: Option<Import>,
    /// Older tables of LiteLLM's form, by the day on which they were published.
    pub older: Vec<(NaiveDate, Import)>,
    /// The table of genai-prices.
    pub genai: Option<Import>,
    /// The snapshot of model-prices, and the day on which it was made.
    pub model_prices: Option<(NaiveDate, Import)>,
}

/// One book of several tables.
#[derive(Debug, Default)]
pub struct Merged {
    /// The book.
    pub book: BookForm,
    /// How many names each table's price was taken for, by the rule that decided; conflicts or none.
    pub decided: BTreeMap<(Rule, Table), usize>,
    /// Where the tables differ, and what was decided.
    pub conflicts: Vec<Conflict>,
    /// What was left out, changed or doubted, of the tables and of the book.
    pub notes: Vec<Note>,
}

/// Makes one book, of prices as they are at the end of a day.
///
/// # Errors
/// Where a table makes no valid book.
pub fn merge(tables: Tables, as_of: NaiveDate) -> Result<Merged, ImportError> {
    let at = as_of.and_time(NaiveTime::from_hms_opt(12, 0, 0).unwrap_or_default()).and_utc();
    let shelf = Shelf::new(tables, at)?;
    let mut names: BTreeMap<(String, String), Known<'_>> = BTreeMap::new();
    shelf.gather(&mut names);
    let mut merged = Merged::default();
    let mut priced = Vec::with_capacity(names.len());
    for ((provider, name), known) in &names {
        let choice = choose::choose(known, provider, name, &shelf);
        *merged.decided.entry((choice.rule, choice.table)).or_default() += 1;
        merged.conflicts.extend(choice.conflict(provider, name, known, &shelf));
        let mut cards = history::cards(known, &choice, &shelf);
        cards.iter_mut().for_each(clean::card);
        priced.push(group::Priced { provider, name, known, cards });
    }
    merged.book.models = group::group(priced, &shelf, &mut merged.notes);
    merged.book.as_of = Some(as_of);
    merged.book.sources.clone_from(&shelf.sources);
    merged.book.providers = Shelf::described(&merged.book.models);
    merged.notes.extend(shelf.notes);
    merged.notes.sort();
    merged.notes.dedup();
    Ok(merged)
}

/// The tables with their books, to look prices up in.
struct Shelf {
    at: DateTime<Utc>,
    litellm: Opened,
    genai: Opened,
    model_prices: Opened,
    /// When the snapshot of model-prices was made.
    snapshot: Option<NaiveDate>,
    older: Vec<(NaiveDate, Opened)>,
    sources: Vec<Source>,
    notes: Vec<Note>,
}

/// A table that was read, as it is written and as a book.
#[derive(Default)]
struct Opened {
    form: Vec<ModelForm>,
    book: PriceBook,
}

/// What the tables know of one name.
#[derive(Default)]
struct Known<'t> {
    /// The name as a table spells it.
    spelling: Name,
    litellm: Option<&'t ModelForm>,
    genai: Option<&'t ModelForm>,
    model_prices: Option<&'t ModelForm>,
    /// In the order of their days.
    older: Vec<(NaiveDate, &'t ModelForm)>,
}

impl Shelf {
    fn new(tables: Tables, at: DateTime<Utc>) -> Result<Self, ImportError> {
        let (mut sources, mut notes) = (Vec::new(), Vec::new());
        let mut open = |mut import: Import| -> Result<Opened, ImportError> {
            for label in &import.labels {
                // By the table alone no call means it; in a book of several it is a name like any other.
                let stands_for = |model: &&mut ModelForm| {
                    model.provider == label.provider && model.id == label.id
                };
                if let Some(model) = import.book.models.iter_mut().find(stands_for) {
                    model.aliases.push(label.label.clone());
                }
            }
            for model in &mut import.book.models {
                let (provider, id) = (model.provider.clone(), model.id.clone());
                model.cards.retain(|card| match clean::mistaken(card) {
                    Some(why) => {
                        let place = format!(
                            "{provider}/{id} of {}",
                            card.source.as_deref().unwrap_or("a table")
                        );
                        notes.push(Note::new(NoteKind::Refused, place, why));
                        false
                    }
                    None => true,
                });
            }
            import.book.models.iter_mut().flat_map(|model| &mut model.cards).for_each(clean::card);
            sources.extend(import.book.sources.iter().cloned());
            notes.extend(import.notes);
            let form = import.book.models.clone();
            Ok(Opened { form, book: PriceBook::try_from(import.book)? })
        };
        let snapshot = tables.model_prices.as_ref().map(|(day, _)| *day);
        let mut optional = |import: Option<Import>| match import {
            Some(import) => open(import),
            None => Ok(Opened::default()),
        };
        let model_prices = optional(tables.model_prices.map(|(_, import)| import))?;
        let genai = optional(tables.genai)?;
        let litellm = optional(tables.litellm)?;
        let mut older = Vec::new();
        for (day, import) in tables.older {
            older.push((day, open(import)?));
        }
        older.sort_by_key(|(day, _)| *day);
        Ok(Self { at, litellm, genai, model_prices, snapshot, older, sources, notes })
    }

    /// Every name of every table, with the LLM that each table means by it.
    fn gather<'t>(&'t self, names: &mut BTreeMap<(String, String), Known<'t>>) {
        let mut each = |form: &'t [ModelForm], put: &dyn Fn(&mut Known<'t>, &'t ModelForm)| {
            for model in form {
                for name in std::iter::once(&model.id).chain(&model.aliases) {
                    let key = (model.provider.to_string(), name.to_ascii_lowercase());
                    let known = names.entry(key).or_default();
                    if known.spelling.is_empty() {
                        known.spelling = name.clone();
                    }
                    put(known, model);
                }
            }
        };
        each(&self.model_prices.form, &|known, model| known.model_prices = Some(model));
        each(&self.genai.form, &|known, model| known.genai = Some(model));
        each(&self.litellm.form, &|known, model| known.litellm = Some(model));
        for (day, opened) in &self.older {
            each(&opened.form, &|known, model| known.older.push((*day, model)));
        }
    }

    fn described(models: &[ModelForm]) -> Vec<taximeter_pricing::Provider> {
        let mut ids: Vec<&str> = models.iter().map(|model| model.provider.as_str()).collect();
        ids.dedup();
        let mut described: Vec<_> = ids.iter().map(|id| providers::describe(id)).collect();
        described.extend(providers::local().filter(|local| !ids.contains(&local.id.as_str())));
        described
    }
}

impl Opened {
    /// The LLM of exactly this name, in the book.
    fn model(&self, provider: &str, name: &str) -> Option<&Model> {
        self.book.find_exact(provider, name)
    }
}

/// Whether a card's prices can be right, so that a book of several tables has them.
pub(crate) fn is_believed(card: &CardForm) -> bool {
    clean::mistaken(card).is_none()
}

/// A card without its moments.
fn undated(card: &CardForm) -> CardForm {
    CardForm { from: None, until: None, ..card.clone() }
}

fn moment(text: &str) -> Option<DateTime<Utc>> {
    form::moment(text).ok()
}

fn day_text(day: NaiveDate) -> String {
    day.to_string()
}

fn dropped(provider: &str, name: &str, why: impl Into<String>) -> Note {
    Note::new(NoteKind::LeftOut, format!("{provider}/{name}"), why)
}
