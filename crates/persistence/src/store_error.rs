//! What can go wrong between records and their store, with what to do about it.

use std::path::PathBuf;

use thiserror::Error;

/// Why a store was not opened, written or read. Each one names what was being done, to what, and what to do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no store there, and none was to be made.
    #[error("opening the store {path:?}: it is not there; name the folder or file of a store")]
    NotFound {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// What is there is not to be opened: a symbolic link, no regular file, or a file of another user.
    #[error("opening the store {path:?}: it is {what}; name a regular file of this user")]
    Unfit {
        /// What was found.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// There is no room: on the disk, or in the quota of the user.
    #[error(
        "{doing} the store {path:?}: there is no room left; free some, it goes on by itself then"
    )]
    Full {
        /// What was being done, such as `writing`.
        doing: &'static str,
        /// The store.
        path: PathBuf,
    },
    /// The store may not be written.
    #[error(
        "{doing} the store {path:?}: it is read-only; let this user write there, or choose another place"
    )]
    ReadOnly {
        /// What was being done.
        doing: &'static str,
        /// The store.
        path: PathBuf,
    },
    /// Another process held the store for longer than was waited.
    #[error("{doing} the store {path:?}: another process holds it; try again later")]
    Busy {
        /// What was being done.
        doing: &'static str,
        /// The store.
        path: PathBuf,
    },
    /// The store was written by a newer version of this library. It was left as it is.
    #[error(
        "opening the store {path:?}: it has version {version}, and this library reads up to {reads_up_to}; \
         use a newer taximeter"
    )]
    NewerVersion {
        /// The store.
        path: PathBuf,
        /// Its version.
        version: i64,
        /// The newest that is read.
        reads_up_to: i64,
    },
    /// The store was written by an older version of this library, and is brought to this one by who may write.
    #[error(
        "opening the store {path:?} to read: it has version {version}, and this library reads from {reads} on; \
         bring it there once: taximeter store migrate --store {path:?}"
    )]
    OlderVersion {
        /// The store.
        path: PathBuf,
        /// Its version.
        version: i64,
        /// The oldest that is read.
        reads: i64,
    },
    /// What is there is no store, or is damaged.
    #[error("{doing} the store {path:?}: {what}; `taximeter store repair` saves what can be saved")]
    Damaged {
        /// What was being done.
        doing: &'static str,
        /// The store.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// An operation holds something that could not be read again. Nothing of its batch was taken.
    #[error("writing operation {id} to the store: {what} could not be read again; leave it out")]
    Unstorable {
        /// The operation.
        id: taximeter_models::OperationId,
        /// Which of its values.
        what: &'static str,
    },
    /// The system or the engine refused otherwise.
    #[error("{doing} the store {path:?} failed; see the cause, and try again")]
    Failed {
        /// What was being done.
        doing: &'static str,
        /// The store.
        path: PathBuf,
        /// What it said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl StoreError {
    /// Whether there was no room.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }

    /// Whether it may go by itself: there was no room, or another process held the store.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::Busy { .. })
    }

    /// Whether the store was written by a newer version of this library.
    pub fn is_newer_version(&self) -> bool {
        matches!(self, Self::NewerVersion { .. })
    }
}
