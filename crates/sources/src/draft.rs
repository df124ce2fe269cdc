//! A book while a table is read: LLMs by provider and name, in the order of the alphabet.

use std::collections::{BTreeMap, BTreeSet};

use taximeter_models::Name;
use taximeter_pricing::form::{BookForm, ModelForm};

use crate::{Import, Label, Note, NoteKind, Origin, providers};

/// LLMs and notes that are gathered.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    /// By provider and folded id.
    models: BTreeMap<(String, String), ModelForm>,
    pub(crate) notes: Vec<Note>,
    labels: Vec<Label>,
}

impl Draft {
    pub(crate) fn note(
        &mut self,
        kind: NoteKind,
        place: impl Into<String>,
        why: impl Into<String>,
    ) {
        self.notes.push(Note::new(kind, place, why));
    }

    /// Adds an LLM, and the label by which the table calls it, where that is none of its names. Its provider is any
    /// label of a table; a name that stands there already is noted and dropped.
    pub(crate) fn add(&mut self, mut model: ModelForm, label: Option<&str>) {
        let provider = providers::canonical(&model.provider);
        model.provider = Name::from(provider.as_str());
        let key = (provider, model.id.to_ascii_lowercase());
        if self.models.contains_key(&key) {
            let place = format!("{}/{}", key.0, key.1);
            self.note(
                NoteKind::LeftOut,
                place,
                "the name stands there twice; the first one is kept",
            );
            return;
        }
        self.labels.extend(label.map(|label| Label {
            provider: model.provider.clone(),
            label: Name::from(label),
            id: model.id.clone(),
        }));
        self.models.insert(key, model);
    }

    /// The book: every name belongs to one LLM, an id before an alias, an alias to the first that claims it.
    pub(crate) fn finish(mut self, origin: &Origin) -> Import {
        let mut taken: BTreeSet<(String, String)> = self.models.keys().cloned().collect();
        for ((provider, id), model) in &mut self.models {
            let mut aliases = Vec::new();
            for alias in std::mem::take(&mut model.aliases) {
                let folded = alias.to_ascii_lowercase();
                if folded == *id {
                    continue;
                }
                if taken.insert((provider.clone(), folded)) {
                    aliases.push(alias);
                } else {
                    let why = format!("the alias {alias} is another LLM's name");
                    self.notes.push(Note::new(NoteKind::LeftOut, format!("{provider}/{id}"), why));
                }
            }
            model.aliases = aliases;
        }
        // What is a name already needs no label, and a label that stands there twice is that of the first.
        let is_new = |label: &Label| {
            taken.insert((label.provider.to_string(), label.label.to_ascii_lowercase()))
        };
        let labels = self.labels.into_iter().filter(is_new).collect();
        let ids: BTreeSet<&str> =
            self.models.keys().map(|(provider, _)| provider.as_str()).collect();
        let mut described: Vec<_> = ids.iter().map(|id| providers::describe(id)).collect();
        described.extend(providers::local().filter(|local| !ids.contains(local.id.as_str())));
        self.notes.sort();
        let book = BookForm {
            as_of: origin.checked_on,
            sources: vec![origin.source()],
            providers: described,
            models: self.models.into_values().collect(),
            ..BookForm::default()
        };
        Import { book, notes: self.notes, labels }
    }
}
