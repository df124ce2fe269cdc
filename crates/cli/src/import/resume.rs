//! How far imports came that were broken off, as notes in the store: each is written after the records before it.

use std::fs;
use std::path::Path;
use std::time::UNIX_EPOCH;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use taximeter::StoreError;
use taximeter::import::{Checkpoint, Format, Importer};
use taximeter::store::{Note, Store};

/// How far the import of one file came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    checkpoint: Checkpoint,
    /// The bytes that were read.
    pub(super) bytes_read: u64,
    /// The file as it was: one that was written since is read from its beginning.
    bytes: u64,
    modified_ns: u64,
    /// As what it was read, where that was said.
    format: Option<String>,
}

impl Progress {
    /// Where the import of a file can go on; none for folders and streams, whose files may tell of one another.
    pub(super) fn of(path: &Path, format: Option<Format>, importer: &Importer) -> Option<Self> {
        let (bytes, modified_ns) = state(path)?;
        let (checkpoint, bytes_read) = (importer.checkpoint()?, importer.position().bytes_read);
        let format = format.map(|format| format.to_string());
        Some(Self { checkpoint, bytes_read, bytes, modified_ns, format })
    }

    pub(super) fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }
}

/// The key of a file's note. No other's key begins so.
fn key(path: &Path) -> Option<String> {
    let path = path.canonicalize().ok()?;
    Some(format!("import/{}\n", path.to_str()?))
}

fn state(path: &Path) -> Option<(u64, u64)> {
    let seen = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    let age = seen.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some((seen.len(), u64::try_from(age.as_nanos()).ok()?))
}

/// How far an import of this file came that was broken off.
pub(super) fn find(
    store: &dyn Store,
    path: &Path,
    format: Option<Format>,
) -> Result<Option<Progress>, StoreError> {
    let Some((key, state)) = key(path).zip(state(path)) else { return Ok(None) };
    let notes = store.notes(&key)?;
    let read = notes.into_iter().find_map(|note| serde_json::from_value(note.value).ok());
    let format = format.map(|format| format.to_string());
    Ok(read.filter(|found: &Progress| {
        (found.bytes, found.modified_ns) == state && found.format == format
    }))
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

/// The file was read to its end.
pub(super) fn forget(store: &dyn Store, path: &Path) -> Result<(), StoreError> {
    match key(path) {
        Some(key) => store.forget_notes(&key, DateTime::<Utc>::MAX_UTC).map(drop),
        None => Ok(()),
    }
}
