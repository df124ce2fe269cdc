//! What stops an import, what it passes over, and what it counts.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use taximeter_models::UsageError;
use thiserror::Error;

use super::Format;
use super::frame::Place;

/// What stops an import. What was given before it stays as it is; to import the same again changes nothing.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The system refused.
    #[error("importing {}: {doing} failed; {}", shown(path.as_deref()), advice(source))]
    Io {
        /// What was being done, such as `opening it`.
        doing: &'static str,
        /// The file or folder; none where a stream was read.
        path: Option<PathBuf>,
        /// What the system said.
        source: io::Error,
    },
    /// The beginning of the file fits no format.
    #[error(
        "importing {}: {what}; what can be imported is {}; say which it is, if it is one of these",
        shown(path.as_deref()), Format::list()
    )]
    UnknownFormat {
        /// The file; none where a stream was read.
        path: Option<PathBuf>,
        /// What it is instead, as far as that can be seen.
        what: &'static str,
    },
    /// There is nothing in the folder that could be imported.
    #[error(
        "importing {path:?}: there is no file in it that ends in .json, .jsonl, .ndjson, .csv or .parquet"
    )]
    NothingThere {
        /// The folder.
        path: PathBuf,
    },
    /// What is there is neither a regular file nor a folder.
    #[error(
        "importing {path:?}: it is neither a regular file nor a folder; for a stream, read it from standard input"
    )]
    NotAFile {
        /// Where it is.
        path: PathBuf,
    },
    /// The document was written by a newer version of this library. It was left as it is.
    #[error(
        "importing {}: it has version {version}, and this library reads up to {reads_up_to}; use a newer taximeter",
        shown(path.as_deref())
    )]
    NewerVersion {
        /// The file; none where a stream was read.
        path: Option<PathBuf>,
        /// Its version.
        version: u64,
        /// The newest version that this library reads.
        reads_up_to: u64,
    },
    /// This format cannot be read from a stream, or from where it was asked to go on.
    #[error("importing {}: {format} {what}", shown(path.as_deref()))]
    Unsupported {
        /// The file; none where a stream was read.
        path: Option<PathBuf>,
        /// The format.
        format: Format,
        /// What it cannot do, and what to do instead.
        what: &'static str,
    },
}

impl ImportError {
    /// Whether the file or folder is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// Whether the beginning of the file fits no format.
    pub fn is_unknown_format(&self) -> bool {
        matches!(self, Self::UnknownFormat { .. })
    }

    pub(crate) fn io(doing: &'static str, path: Option<&Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.map(Into::into);
        move |source| Self::Io { doing, path, source }
    }
}

fn shown(path: Option<&Path>) -> String {
    path.map_or_else(|| "a stream".into(), |path| format!("\"{}\"", path.display()))
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "it is not there",
        io::ErrorKind::PermissionDenied => "let this user read it",
        _ => "see the cause, and try again: what was imported once is not imported twice",
    }
}

/// A line, or an element of a document, that was not imported, and why. It is never guessed at.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rejected {
    /// The file; none where a stream was read.
    pub path: Option<Arc<Path>>,
    /// The line on which it begins, counted from 1.
    pub line: u64,
    /// The byte at which it begins, counted from 0.
    pub offset: u64,
    /// What is wrong with it.
    pub why: Why,
}

impl Rejected {
    pub(crate) fn new(path: Option<Arc<Path>>, place: Place, why: Why) -> Self {
        Self { path, line: place.line, offset: place.offset, why }
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "{}:{}: {}", path.display(), self.line, self.why),
            None => write!(f, "line {}: {}", self.line, self.why),
        }
    }
}

/// Why something was not imported.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Why {
    /// It is longer than the limit, and was passed over unread.
    #[error("it is longer than {limit} bytes; raise the limit if that is what you expect")]
    TooLong {
        /// The limit in force.
        limit: usize,
    },
    /// It is not JSON, or no CSV, or its text is not UTF-8.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// The file ends in the middle of it.
    #[error("the file ends in the middle of it")]
    CutShort,
    /// It could be read, and is not what the format asks for.
    #[error("it does not fit: {0}")]
    DoesNotFit(String),
    /// It does not say when it happened.
    #[error("it has no time: {0}")]
    NoTime(&'static str),
    /// The tokens that it tells of cannot be.
    #[error("{0}")]
    Usage(#[from] UsageError),
    /// It tells of more tokens for a reply that was given out already.
    #[error("it adds {tokens} tokens to the reply {id:?}, which was counted already with fewer")]
    TooLate {
        /// The reply.
        id: String,
        /// How many more tokens it tells of.
        tokens: u64,
    },
    /// The whole file could not be opened, or fits no format.
    #[error("the file was passed over: {0}")]
    File(String),
}

impl Why {
    /// What serde says of a text that is no JSON, or JSON of another shape.
    pub(crate) fn json(error: &serde_json::Error) -> Self {
        // A text can be quoted in it at full length.
        let said: String = error.to_string().chars().take(300).collect();
        match error.classify() {
            serde_json::error::Category::Data => Self::DoesNotFit(said),
            serde_json::error::Category::Eof => Self::CutShort,
            _ => Self::Unreadable(said),
        }
    }
}

/// What an import counted so far.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
    /// Records that were given out.
    pub records: u64,
    /// Lines or elements that were rejected.
    pub rejected: u64,
    /// Lines that told again of what had been counted: streaming duplicates, copies in resumed sessions, replays.
    pub duplicates: u64,
    /// Operations that may still go on, and are left for the next import.
    pub held_back: u64,
    /// Lines of which nothing is taken, by their kind in the source.
    pub ignored: BTreeMap<String, u64>,
}

/// The most kinds of ignored lines that are told apart; a file of garbage must not fill the memory with its words.
const MOST_KINDS: usize = 128;

impl Counts {
    pub(crate) fn ignore(&mut self, kind: &str) {
        if let Some(count) = self.ignored.get_mut(kind) {
            *count += 1;
            return;
        }
        let kind: String = if self.ignored.len() < MOST_KINDS {
            kind.chars().take(64).collect()
        } else {
            "other".into()
        };
        *self.ignored.entry(kind).or_default() += 1;
    }

    /// All lines of which nothing is taken.
    pub fn ignored_lines(&self) -> u64 {
        self.ignored.values().sum()
    }
}
