//! What reading a table gives: a book, and what is to be known about it.

use chrono::NaiveDate;
use serde::Serialize;
use taximeter_models::Name;
use taximeter_pricing::form::BookForm;
use taximeter_pricing::{BookError, Source};
use thiserror::Error;

/// Which table is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The table's name, as cards tell it.
    pub id: String,
    /// Its version; none if it is not known.
    pub version: Option<String>,
    /// Where it is found.
    pub url: Option<String>,
    /// The day on which it was published or read.
    pub checked_on: Option<NaiveDate>,
}

impl Origin {
    /// What cards name as their source, such as `LiteLLM 1.109.1`.
    pub fn name(&self) -> Name {
        match &self.version {
            Some(version) => Name::from(format!("{} {version}", self.id)),
            None => Name::from(self.id.as_str()),
        }
    }

    /// The entry in the book's list of sources. All four tables are under the MIT licence.
    ///
    /// # Panics
    /// Never: the form is its own.
    pub fn source(&self) -> Source {
        let mut source = Source::named(&self.id);
        source.version = self.version.as_deref().map(Name::from);
        source.licence = Some(Name::from("MIT"));
        source.url = self.url.as_deref().map(Name::from);
        source.checked_on = self.checked_on;
        source
    }
}

/// A table that was read.
#[derive(Debug, Clone)]
pub struct Import {
    /// Its prices.
    pub book: BookForm,
    /// What was left out, changed or doubted.
    pub notes: Vec<Note>,
    /// What the table calls LLMs that it knows by other names only.
    pub labels: Vec<Label>,
}

/// What a table calls an LLM where that is none of its names: by the table alone no call means it. It is not in the
/// book, and whoever makes one of several tables may take it for another name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Label {
    /// The provider's id.
    pub provider: Name,
    /// The label, which is no name of any LLM of the provider in the book.
    pub label: Name,
    /// The id in the book of the LLM that it stands for.
    pub id: Name,
}

/// Something that was left out, changed or doubted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Note {
    /// What happened.
    pub kind: NoteKind,
    /// Where: the name in the table, and the field.
    pub place: String,
    /// Why.
    pub why: String,
}

/// What a note is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NoteKind {
    /// A price was refused: it cannot be right.
    Refused,
    /// A price was kept, though it is doubtful.
    Doubted,
    /// A field says nothing that a book could hold.
    LeftOut,
}

impl Note {
    pub(crate) fn new(kind: NoteKind, place: impl Into<String>, why: impl Into<String>) -> Self {
        Self { kind, place: place.into(), why: why.into() }
    }
}

/// Why a table could not be read.
#[derive(Debug, Error)]
pub enum ImportError {
    /// It is not JSON of the table's form.
    #[error("reading {table}: {why}; is it the table's own file, of a form that is known here?")]
    Json {
        /// The table.
        table: &'static str,
        /// What is wrong.
        why: serde_json::Error,
    },
    /// It has a price field that is not known, and that must not be dropped in silence.
    #[error(
        "reading {table}: {place} has {field:?}, which looks like a price and is not known; teach the importer"
    )]
    UnknownField {
        /// The table.
        table: &'static str,
        /// The name of the LLM.
        place: String,
        /// The field.
        field: String,
    },
    /// What was read makes no valid book.
    #[error("what was read makes no valid price book: {0}")]
    Book(#[from] BookError),
}
