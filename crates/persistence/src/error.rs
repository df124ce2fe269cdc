//! What can go wrong between a session and its file, with what to do about it.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use thiserror::Error;

use crate::NameProblem;

/// Why a session was not saved, loaded or listed. Each one names what was being done, to what, and what to do.
///
/// ```
/// use taximeter_persistence::SessionFiles;
///
/// let error = SessionFiles::new("no/such/place").load("evening").expect_err("nothing is there");
/// assert!(error.is_not_found());
/// assert_eq!(
///     error.to_string(),
///     "opening the session file \"no/such/place/evening.json\" failed: it is not there; \
///      list the directory to see what is",
/// );
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PersistenceError {
    /// The name that was given cannot be the name of a session file.
    #[error("taking {name:?} as the name of a session file: {problem}; {}", problem.advice())]
    InvalidName {
        /// The name, shortened if it is long.
        name: String,
        /// What is wrong with it.
        problem: NameProblem,
    },
    /// The system refused.
    #[error("{action} {path:?} failed: {}", advice(*action, source))]
    Io {
        /// What was being done.
        action: Action,
        /// The file or directory to which it was done.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What bears the name is a symbolic link.
    #[error(
        "opening the session file {path:?}: it is a symbolic link, and those are not followed by name; \
         if you trust it, load what it points to by its path"
    )]
    SymbolicLink {
        /// The link.
        path: PathBuf,
    },
    /// What bears the name is no regular file.
    #[error(
        "opening the session file {path:?}: it is {what}, not a regular file; name a session file"
    )]
    NotAFile {
        /// Where it is.
        path: PathBuf,
        /// What it is instead, such as `a directory`.
        what: &'static str,
    },
    /// The file was put in the place of another again and again while it was being opened.
    #[error(
        "opening the session file {path:?}: it is being replaced without a pause; try again later"
    )]
    Unsteady {
        /// The file.
        path: PathBuf,
    },
    /// The file is larger than is allowed.
    #[error(
        "reading the session file {path:?}: it has {bytes} bytes, and at most {limit} are read; \
         raise the limit if the file is what you expect"
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The limit in force.
        limit: u64,
    },
    /// The file was written by a newer version of this library. It was left as it is.
    #[error(
        "reading the session file {path:?}: it has version {version}, and this library reads up to \
         {reads_up_to}; use a newer taximeter"
    )]
    NewerVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u64,
        /// The newest version that this library reads.
        reads_up_to: u64,
    },
    /// The file holds no session.
    #[error(
        "reading the session file {path:?} failed at line {}, column {}: {}",
        source.line(), source.column(), json_advice(source)
    )]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong with it; it knows line and column too.
        source: serde_json::Error,
    },
    /// The session cannot be written as JSON.
    #[error("writing the session as JSON for {path:?} failed; please report this, with the cause")]
    Encode {
        /// The file that was to be written.
        path: PathBuf,
        /// The cause.
        source: serde_json::Error,
    },
    /// Some metadata is nested so deep that no common JSON reader would read the file again.
    #[error(
        "writing the session as JSON for {path:?}: the metadata of {of} is nested more than {limit} levels \
         deep, and could not be read again; flatten it or leave it out"
    )]
    TooDeep {
        /// The file that was to be written.
        path: PathBuf,
        /// Whose metadata it is.
        of: String,
        /// The deepest that is written.
        limit: usize,
    },
    /// All the names that a session could get by itself are taken.
    #[error(
        "choosing a name for a session in {directory:?}: {stem:?} and all its numbered followers are taken; \
         give a name, or move old files away"
    )]
    NoFreeName {
        /// The directory.
        directory: PathBuf,
        /// The name without a number.
        stem: String,
    },
}

/// What was being done when the system refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// Creating the directory of session files.
    CreateDirectory,
    /// Creating the temporary file in that directory.
    CreateTemporary,
    /// Writing the temporary file that was to become this session file.
    Write,
    /// Renaming the temporary file to the session file.
    Rename,
    /// Bringing the directory to disk after the rename: the new file is in place, and may be lost with the power.
    SyncDirectory,
    /// Opening a session file.
    Open,
    /// Reading a session file.
    Read,
    /// Listing the directory.
    List,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CreateDirectory => "creating the directory",
            Self::CreateTemporary => "creating a temporary file in",
            Self::Write => "writing the session file",
            Self::Rename => "putting in place the session file",
            Self::SyncDirectory => "bringing to disk the directory",
            Self::Open => "opening the session file",
            Self::Read => "reading the session file",
            Self::List => "listing the directory",
        })
    }
}

impl PersistenceError {
    /// Whether the file or directory is not there.
    pub fn is_not_found(&self) -> bool {
        self.io_kind() == Some(ErrorKind::NotFound)
    }

    /// Whether the file was written by a newer version of this library.
    pub fn is_newer_version(&self) -> bool {
        matches!(self, Self::NewerVersion { .. })
    }

    /// Whether the name that was given cannot be the name of a session file.
    pub fn is_invalid_name(&self) -> bool {
        matches!(self, Self::InvalidName { .. })
    }

    /// Whether the file could be read and does not hold a session.
    pub fn is_invalid_document(&self) -> bool {
        matches!(self, Self::Json { .. })
    }

    /// Whether there was no room: on the disk, or in the quota of the user.
    pub fn is_no_space(&self) -> bool {
        matches!(self.io_kind(), Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded))
    }

    /// Whether the user may not do this to the file or directory.
    pub fn is_permission_denied(&self) -> bool {
        matches!(self.io_kind(), Some(ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem))
    }

    fn io_kind(&self) -> Option<ErrorKind> {
        match self {
            Self::Io { source, .. } => Some(source.kind()),
            _ => None,
        }
    }

    /// Makes an error of what the system said, where a closure is wanted.
    pub(crate) fn io(action: Action, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}

/// What to do about a refusal of the system, by its kind; the words of the system itself are in the cause.
fn advice(action: Action, error: &io::Error) -> &'static str {
    let reading = matches!(action, Action::Open | Action::Read | Action::List);
    match error.kind() {
        ErrorKind::NotFound if reading => "it is not there; list the directory to see what is",
        ErrorKind::NotFound => "the directory went away meanwhile; try again",
        ErrorKind::PermissionDenied if reading => "let this user read it",
        ErrorKind::PermissionDenied => "let this user write there, or choose another directory",
        ErrorKind::ReadOnlyFilesystem => "the disk is read-only; choose another directory",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "there is no room left; free some, or choose another directory"
        }
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            "a file stands where a directory should be; move it away, or choose another directory"
        }
        ErrorKind::IsADirectory => "a directory has that name; choose another name",
        _ if action == Action::SyncDirectory => "the file is in place, but check the disk",
        _ => "see the cause, and try again",
    }
}

fn json_advice(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Eof => "the file is cut short; restore it from a copy",
        serde_json::error::Category::Syntax => "it is not JSON; restore it from a copy",
        _ => "it is JSON but not a session; name a session file, or correct that place",
    }
}
