//! A file that is written beside its place and can be gone on with: how far it came stands in a mark beside it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use taximeter_models::{OperationId, OperationRecord};

use super::ExportError;
use crate::write::{create_temporary, sync_directory};

/// How far an export came: the last operation in it. Those after it, by when they began and then by their id, are to be
/// written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ExportMark {
    /// When that operation began.
    pub started_at: DateTime<Utc>,
    /// Its id.
    pub id: OperationId,
    /// How many operations are in the file.
    pub written: u64,
}

impl ExportMark {
    /// Whether an operation comes after the last one.
    pub fn is_before(&self, operation: &OperationRecord) -> bool {
        (self.started_at, self.id) < (operation.started_at, operation.id)
    }
}

/// The mark as it is kept.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    /// What is exported, in the words of whoever exports it.
    of: String,
    /// So long is the file with all that the mark is of.
    bytes: u64,
    last: ExportMark,
}

/// A file to be, beside its place.
#[derive(Debug)]
pub(super) struct Partial {
    path: PathBuf,
    of: String,
    file: File,
    last: Option<ExportMark>,
}

impl Partial {
    /// Begins anew, or goes on with what is there of the same.
    pub(super) fn open(path: &Path, of: &str) -> Result<Self, ExportError> {
        let said = |doing| ExportError::io(doing, Some(path));
        let beside = beside(path, ".partial");
        let kept = fs::read(mark(path)).ok().and_then(|text| serde_json::from_slice(&text).ok());
        let kept = kept.filter(|kept: &Kept| kept.of == of);
        if let Some(kept) = kept
            && let Some(file) = go_on(&beside, kept.bytes).map_err(said("going on with it"))?
        {
            let last = Some(kept.last);
            return Ok(Self { path: path.into(), of: of.into(), file, last });
        }
        // What is there is of something else, or too little of it came to the disk.
        for old in [mark(path), beside.clone()] {
            match fs::remove_file(old) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(said("beginning it anew")(error));
                }
                _ => {}
            }
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(beside).map_err(said("creating a file beside it"))?;
        Ok(Self { path: path.into(), of: of.into(), file, last: None })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A handle to write with.
    pub(super) fn writer(&self) -> Result<File, ExportError> {
        self.file.try_clone().map_err(ExportError::io("writing", Some(&self.path)))
    }

    /// What was in the file when it was opened; none of a new one.
    pub(super) fn last(&self) -> Option<ExportMark> {
        self.last
    }

    /// Notes how far it came; all of that was handed to the system. The mark is not there before what it is of.
    pub(super) fn note(&self, last: ExportMark) -> io::Result<()> {
        self.file.sync_data()?;
        let kept = Kept { of: self.of.clone(), bytes: self.file.metadata()?.len(), last };
        let mut mark_to_be = create_temporary(folder(&self.path))?;
        serde_json::to_writer(&mut mark_to_be, &kept)?;
        mark_to_be.as_file().sync_data()?;
        mark_to_be.persist(mark(&self.path)).map(drop).map_err(|refused| refused.error)
    }

    pub(super) fn put_in_place(self, overwrite: bool) -> Result<(), ExportError> {
        let said = |doing| ExportError::io(doing, Some(&self.path));
        self.file.sync_all().map_err(said("writing"))?;
        if !overwrite && self.path.symlink_metadata().is_ok() {
            return Err(ExportError::Taken { path: self.path });
        }
        fs::rename(beside(&self.path, ".partial"), &self.path)
            .map_err(said("putting it in place"))?;
        let _ = fs::remove_file(mark(&self.path));
        sync_directory(folder(&self.path)).map_err(|error| {
            ExportError::io("bringing its folder to disk", Some(&self.path))(io::Error::other(
                error,
            ))
        })
    }
}

/// The file with so many bytes in it, and behind these; none where it is not there, or shorter.
fn go_on(beside: &Path, bytes: u64) -> io::Result<Option<File>> {
    match beside.symlink_metadata() {
        Ok(seen) if seen.is_file() && seen.len() >= bytes => {}
        _ => return Ok(None),
    }
    let mut file = OpenOptions::new().write(true).open(beside)?;
    file.set_len(bytes)?;
    file.seek(SeekFrom::End(0))?;
    Ok(Some(file))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn mark(path: &Path) -> PathBuf {
    beside(path, ".partial.json")
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."))
}
