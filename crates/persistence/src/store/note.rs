//! What is kept beside the records: short notes of whoever uses the store, each under a key.

use chrono::{DateTime, Utc};
use serde_json::Value;

/// Something that is kept beside the records, such as what a meter has counted, or how far an import came. The store knows
/// nothing of what is in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    /// Under what it is kept; a second note of this key takes the place of the first.
    pub key: String,
    /// As of when it is. An earlier note does not take the place of a later one.
    pub at: DateTime<Utc>,
    /// What it says.
    pub value: Value,
}

/// The part of a key up to its last `/`, with it; and the rest.
pub(crate) fn parts(key: &str) -> (&str, &str) {
    key.split_at(key.rfind('/').map_or(0, |slash| slash + 1))
}

impl Note {
    /// A note.
    pub fn new(key: impl Into<String>, at: DateTime<Utc>, value: impl Into<Value>) -> Self {
        Self { key: key.into(), at, value: value.into() }
    }
}
