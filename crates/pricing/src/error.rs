//! Why a price book was refused.

use thiserror::Error;

/// Why a price book was refused. Each says where the fault is and what to do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BookError {
    /// The text is not JSON of the right shape.
    #[error("reading a price book: {0}; its form is that of data/book.json of taximeter-pricing")]
    Json(#[from] serde_json::Error),
    /// The book was written for a newer version of this crate.
    #[error(
        "reading a price book: its schema is {found}, and this version reads {known} at most; update taximeter"
    )]
    NewerSchema {
        /// The schema of the book.
        found: u32,
        /// The newest schema that is read.
        known: u32,
    },
    /// An entry cannot be right.
    #[error("reading a price book: {place}: {why}")]
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
