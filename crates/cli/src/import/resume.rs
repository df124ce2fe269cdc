//! How far imports came that were broken off, as notes in the store: each is written after the records before it.

use std::path::Path;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use taximeter::StoreError;
use taximeter::import::{Checkpoint, Format, Importer};
use taximeter::store::{Note, Store};

/// How far the import of one file or folder came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    checkpoint: Checkpoint,
    /// As what it was read, where that was said.
    format: Option<String>,
}

impl Progress {
    /// Where an import can go on.
    pub(super) fn of(format: Option<Format>, importer: &Importer) -> Option<Self> {
        let format = format.map(|format| format.to_string());
        Some(Self { checkpoint: importer.checkpoint()?, format })
    }

    pub(super) fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }
}

/// The key of a path's note. No other's key begins so.
fn key(path: &Path) -> Option<String> {
    let path = path.canonicalize().ok()?;
    Some(format!("import/{}\n", path.to_str()?))
}

/// How far an import of this path came that was broken off.
pub(super) fn find(
    store: &dyn Store,
    path: &Path,
    format: Option<Format>,
) -> Result<Option<Progress>, StoreError> {
    let Some(key) = key(path) else { return Ok(None) };
    let notes = store.notes(&key)?;
    let read = notes.into_iter().find_map(|note| serde_json::from_value(note.value).ok());
    let format = format.map(|format| format.to_string());
    Ok(read.filter(|found: &Progress| found.format == format))
}

pub(super) fn keep(
    store: &dyn Store,
    path: &Path,
    progress: &Progress,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let Some(key) = key(path) else { return Ok(()) };
    // Numbers and paths that are text always can be written.
    let value = serde_json::to_value(progress).unwrap_or_default();
    store.put_note(&Note::new(key, now, value))
}

/// It was read to its end.
pub(super) fn forget(store: &dyn Store, path: &Path) -> Result<(), StoreError> {
    match key(path) {
        Some(key) => store.forget_notes(&key, DateTime::<Utc>::MAX_UTC).map(drop),
        None => Ok(()),
    }
}
