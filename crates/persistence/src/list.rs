//! What session files there are.

use std::fs::{self, DirEntry};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use crate::error::{Action, PersistenceError};
use crate::name::{self, EXTENSION};

/// The session files of a directory, and what was passed over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SessionList {
    /// The files that can be loaded by name, the newest first.
    pub files: Vec<SessionFile>,
    /// What ends in `.json` and cannot be loaded by name, with the reason.
    pub skipped: Vec<SkippedEntry>,
}

/// One session file, as the directory tells of it: it was not opened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionFile {
    /// Its name, to load it by.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// When it was written.
    pub modified: DateTime<Utc>,
}

/// Something that ends in `.json` and cannot be loaded by name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SkippedEntry {
    /// Where it is.
    pub path: PathBuf,
    /// Why it was passed over, in words.
    pub why: String,
}

/// Lists a directory; one that does not exist has no files yet.
pub(crate) fn list(directory: &Path) -> Result<SessionList, PersistenceError> {
    let failed = || PersistenceError::io(Action::List, directory);
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(SessionList::default()),
        entries => entries.map_err(failed())?,
    };
    let mut list = SessionList::default();
    for entry in entries {
        let entry = entry.map_err(failed())?;
        if !is_candidate(&entry) {
            continue;
        }
        match session_file(&entry) {
            Ok(file) => list.files.push(file),
            Err(why) => list.skipped.push(SkippedEntry { path: entry.path(), why }),
        }
    }
    list.files.sort_by(|a, b| (b.modified, &b.name).cmp(&(a.modified, &a.name)));
    list.skipped.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(list)
}

/// Temporary files, and what other parts of the system keep here, are nobody's business.
fn is_candidate(entry: &DirEntry) -> bool {
    let name = entry.file_name();
    let bytes = name.as_encoded_bytes();
    bytes.ends_with(EXTENSION.as_bytes()) && !bytes.starts_with(b".")
}

fn session_file(entry: &DirEntry) -> Result<SessionFile, String> {
    let name = entry.file_name().into_string().map_err(|_| "its name is not Unicode")?;
    name::file_name(&name).map_err(|error| error.to_string())?;
    // This does not follow links; a file that went away meanwhile is told here too.
    let metadata = entry.metadata().map_err(|error| error.to_string())?;
    if metadata.is_symlink() {
        return Err("it is a symbolic link".into());
    }
    if !metadata.is_file() {
        return Err("it is not a regular file".into());
    }
    let modified = metadata.modified().map_err(|error| error.to_string())?.into();
    Ok(SessionFile { name, path: entry.path(), bytes: metadata.len(), modified })
}
