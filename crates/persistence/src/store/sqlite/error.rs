//! What SQLite says, as errors of the store.

use std::path::Path;

use rusqlite::ErrorCode;
use rusqlite::ffi;

use crate::StoreError;

/// Makes an error of what SQLite said while something was being done to the store at a path.
pub(super) fn failed(
    doing: &'static str,
    path: &Path,
) -> impl Fn(rusqlite::Error) -> StoreError + Copy {
    move |error| {
        let path = path.to_owned();
        let (code, extended) = match &error {
            rusqlite::Error::SqliteFailure(failure, _) => (failure.code, failure.extended_code),
            _ => return StoreError::Failed { doing, path, source: error.into() },
        };
        match (code, extended) {
            // The index of the log is a file too, and where it cannot grow there is no room.
            (ErrorCode::DiskFull, _) | (_, ffi::SQLITE_IOERR_SHMSIZE) => {
                StoreError::Full { doing, path }
            }
            (ErrorCode::ReadOnly | ErrorCode::PermissionDenied, _) => {
                StoreError::ReadOnly { doing, path }
            }
            (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => {
                StoreError::Busy { doing, path }
            }
            (ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase, _) => {
                StoreError::Damaged { doing, path, what: error.to_string() }
            }
            _ => StoreError::Failed { doing, path, source: error.into() },
        }
    }
}

/// Makes an error of what is wrong with the bytes in a store.
pub(super) fn damaged(doing: &'static str, path: &Path, what: impl Into<String>) -> StoreError {
    StoreError::Damaged { doing, path: path.to_owned(), what: what.into() }
}
