//! A directory of session files.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use taximeter_models::Session;

use crate::error::PersistenceError;
use crate::list::{self, SessionList};
use crate::{name, read, write};

/// Where session files are kept unless another directory is set.
const DIRECTORY: &str = "data/metrics";

/// The largest file that is read unless another limit is set: 1 GiB.
const READ_LIMIT: u64 = 1 << 30;

/// A directory of session files. Nothing is created before the first session is saved.
///
/// ```
/// use taximeter_models::Session;
/// use taximeter_persistence::{PersistenceError, SessionFiles};
///
/// # let room = tempfile::tempdir().expect("a temporary directory");
/// # let directory = room.path();
/// let files = SessionFiles::new(directory).read_limit(1 << 20);
/// let now = "2026-11-23T12:00:00Z".parse().expect("a time");
/// files.save(&Session::new("evening", now), Some("evening"), now)?;
/// assert_eq!(files.list()?.files[0].name, "evening.json");
///
/// let small = files.read_limit(10);
/// let error = small.load("evening").expect_err("it is larger");
/// assert!(matches!(error, PersistenceError::TooLarge { limit: 10, .. }));
/// # Ok::<(), PersistenceError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionFiles {
    directory: PathBuf,
    read_limit: u64,
}

impl Default for SessionFiles {
    /// The files in `data/metrics`, below the working directory.
    fn default() -> Self {
        Self::new(DIRECTORY)
    }
}

impl SessionFiles {
    /// The files in that directory.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), read_limit: READ_LIMIT }
    }

    /// Refuses to read files with more bytes than that. Default: 1 GiB.
    pub fn read_limit(mut self, bytes: u64) -> Self {
        self.read_limit = bytes;
        self
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Saves a session and says where.
    ///
    /// With a name, the file of that name is replaced; `.json` is put behind it where it is missing. Without one,
    /// the name is `metrics_<session>_<timestamp>.json`, with a number where that is taken, and nothing is replaced.
    /// Readers see the old file or the new one, whole; both directory and file are for this user alone.
    ///
    /// # Errors
    /// Where the name is a path or otherwise no plain file name, where some metadata is nested too deep, and where
    /// the system refuses. The file that was there is then as it was, except after [`Action::SyncDirectory`].
    ///
    /// [`Action::SyncDirectory`]: crate::Action::SyncDirectory
    pub fn save(
        &self,
        session: &Session,
        name: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<PathBuf, PersistenceError> {
        match name {
            Some(name) => write::replace(&self.directory, &name::file_name(name)?, session),
            None => {
                write::create(&self.directory, &name::automatic_stem(&session.id, now), session)
            }
        }
    }

    /// Loads a session by its name in the directory, with or without `.json`.
    ///
    /// # Errors
    /// Where the name is no plain file name, where the file is missing, a symbolic link, not a regular file, too
    /// large, newer than this library or not a session, and where the system refuses.
    pub fn load(&self, name: &str) -> Result<Session, PersistenceError> {
        read::by_name(&self.directory.join(name::file_name(name)?), self.read_limit)
    }

    /// Loads a session from any regular file that the user names, one of the original system too. Links are followed.
    ///
    /// # Errors
    /// Where the file is missing, not a regular file, too large, newer than this library or not a session, and where
    /// the system refuses.
    pub fn load_path(&self, path: impl AsRef<Path>) -> Result<Session, PersistenceError> {
        read::by_path(path.as_ref(), self.read_limit)
    }

    /// Lists the session files, the newest first, without opening them. A directory that is not there has none.
    ///
    /// # Errors
    /// Where the directory cannot be read.
    pub fn list(&self) -> Result<SessionList, PersistenceError> {
        list::list(&self.directory)
    }
}
