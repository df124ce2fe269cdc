//! A file that is written beside its place, and put there when it is whole.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::ExportError;
use crate::write::{create_temporary, sync_directory};

/// A file to be.
pub(crate) struct Target {
    path: PathBuf,
    temporary: NamedTempFile,
    overwrite: bool,
}

impl Target {
    pub(crate) fn new(path: &Path, overwrite: bool) -> Result<Self, ExportError> {
        // Who has written for an hour should not learn at its end that the name is taken.
        if !overwrite && path.symlink_metadata().is_ok() {
            return Err(ExportError::Taken { path: path.into() });
        }
        let temporary = create_temporary(folder(path))
            .map_err(ExportError::io("creating a temporary file beside it", Some(path)))?;
        Ok(Self { path: path.into(), temporary, overwrite })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A handle to write with.
    pub(crate) fn writer(&self) -> Result<File, ExportError> {
        let file = self.temporary.as_file().try_clone();
        file.map_err(ExportError::io("writing", Some(&self.path)))
    }

    pub(crate) fn put_in_place(self) -> Result<(), ExportError> {
        let Self { path, temporary, overwrite } = self;
        // Without this a rename can reach the disk before what it renames, and a crash leaves an empty file.
        temporary.as_file().sync_all().map_err(ExportError::io("writing", Some(&path)))?;
        let placed =
            if overwrite { temporary.persist(&path) } else { temporary.persist_noclobber(&path) };
        if let Err(refused) = placed {
            return Err(match refused.error.kind() {
                ErrorKind::AlreadyExists => ExportError::Taken { path },
                _ => ExportError::io("putting it in place", Some(&path))(refused.error),
            });
        }
        sync_directory(folder(&path)).map_err(|error| {
            let source = std::io::Error::other(error);
            ExportError::io("bringing its folder to disk", Some(&path))(source)
        })
    }
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}
