//! Why a price book was refused.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a price book was refused. Each says where the fault is and what to do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BookError {
    /// The text is not JSON of the right shape.
    #[error("it is no price book in JSON: {0}; docs/FORMATS.md describes the form")]
    Json(#[from] serde_json::Error),
    /// The text is not TOML of the right shape.
    #[error(
        "it is no price book in TOML: line {line}, column {column}: {why}; docs/FORMATS.md describes the form"
    )]
    Toml {
        /// The line at which it went wrong, from 1.
        line: usize,
        /// The character of that line, from 1.
        column: usize,
        /// What is wrong.
        why: String,
    },
    /// The book was written for a newer version of this crate.
    #[error("its schema is {found}, and this version reads {known} at most; update taximeter")]
    NewerSchema {
        /// The schema of the book.
        found: u32,
        /// The newest schema that is read.
        known: u32,
    },
    /// An entry cannot be right.
    #[error("{place}: {why}")]
    Invalid {
        /// The provider, or the LLM and the beginning of its card.
        place: String,
        /// What is wrong with it, and what to do.
        why: String,
    },
}

impl BookError {
    /// Whether the text could be read but says something that cannot be right.
    pub fn is_invalid(&self) -> bool {
        matches!(self, Self::Invalid { .. })
    }

    pub(crate) fn invalid(place: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Invalid { place: place.into(), why: why.into() }
    }
}

/// Why the price book in a file was refused. Each names the file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadBookError {
    /// The file is not there, or cannot be read.
    #[error("reading the price book {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file is larger than [`PriceBook::LARGEST_FILE`](crate::PriceBook::LARGEST_FILE).
    #[error(
        "reading the price book {}: it is larger than {} MiB, the most that is read; is it another file?",
        path.display(), crate::PriceBook::LARGEST_FILE >> 20
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file is in TOML, and this program was built without the feature that reads it.
    #[error(
        "reading the price book {}: TOML is read with the feature `toml` of taximeter-pricing only; switch it on, or \
         write the book in JSON",
        path.display()
    )]
    NoToml {
        /// The file.
        path: PathBuf,
    },
    /// What the file says is no price book.
    #[error("reading the price book {}: {source}", path.display())]
    Book {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: BookError,
    },
}

impl ReadBookError {
    /// The file.
    pub fn path(&self) -> &Path {
        match self {
            Self::Io { path, .. }
            | Self::TooLarge { path }
            | Self::NoToml { path }
            | Self::Book { path, .. } => path,
        }
    }
}
