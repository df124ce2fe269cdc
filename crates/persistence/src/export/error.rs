//! What stops an export, with what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// What stops an export. The file that was to be written is then as it was.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The file is there, and was not to be replaced.
    #[error(
        "exporting to {path:?}: it is there already; choose another name, or say that it may be replaced"
    )]
    Taken {
        /// The file.
        path: PathBuf,
    },
    /// A file of this form cannot be gone on with.
    #[error(
        "exporting to {path:?}: Parquet has its index at its end, so that it cannot be gone on with; write it in one go, or as \
         JSON lines or CSV"
    )]
    NotResumable {
        /// The file.
        path: PathBuf,
    },
    /// The system refused.
    #[error("exporting to {}: {doing} failed; see the cause", .path.as_ref().map_or_else(|| "a stream".into(), |path| format!("\"{}\"", path.display())))]
    Io {
        /// What was being done, such as `writing`.
        doing: &'static str,
        /// The file; none where it is a stream.
        path: Option<PathBuf>,
        /// What the system said.
        source: io::Error,
    },
    /// Some metadata is nested so deep that no common JSON reader would read it again.
    #[error(
        "exporting the operation {of}: its metadata is nested too deep to be read again; flatten it or leave it out"
    )]
    TooDeep {
        /// The operation.
        of: String,
    },
}

impl ExportError {
    /// Whether the file is there, and was not to be replaced.
    pub fn is_taken(&self) -> bool {
        matches!(self, Self::Taken { .. })
    }

    /// Whether there was no room: on the disk, or in the quota of the user.
    pub fn is_no_space(&self) -> bool {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(self, Self::Io { source, .. } if matches!(source.kind(), StorageFull | QuotaExceeded))
    }

    /// Whether whoever reads the stream has gone away, as `head` does when it has seen enough.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
    }

    pub(crate) fn io(doing: &'static str, path: Option<&Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.map(Into::into);
        move |source| Self::Io { doing, path, source }
    }
}
