//! Opening the file of a store: whose it is, which version it has, and how it is made where it is not there.

use std::fs::{self, DirBuilder, File, Metadata};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::error::{damaged, failed};
use super::schema;
use crate::StoreError;
use crate::store::Durability;

/// The name of the file, where a folder is named.
pub(super) const FILE: &str = "taximeter.db";

/// How a store is opened.
#[derive(Debug, Clone)]
pub(super) struct How {
    pub(super) durability: Durability,
    pub(super) busy: Duration,
    pub(super) create: bool,
}

/// The file of a store: the path itself, or the file of the usual name where the path is a folder's. A path that does
/// not exist yet is a folder's where it has no extension.
pub(super) fn file(path: &Path) -> PathBuf {
    let is_folder = path.is_dir() || (!path.exists() && path.extension().is_none());
    if is_folder { path.join(FILE) } else { path.to_owned() }
}

/// Opens a store for writing, and makes it where it is not there and may be made.
pub(super) fn for_writing(path: &Path, how: &How) -> Result<Connection, StoreError> {
    if missing(path)? {
        if !how.create {
            return Err(StoreError::NotFound { path: path.to_owned() });
        }
        create(path)?;
    }
    check_file(path, true)?;
    let opened = check_version(path, how, Access::Shared)
        .and_then(|_| connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, how, Access::Shared));
    let connection = opened.map_err(|error| match error {
        // SQLite only says that it cannot open a file.
        StoreError::Failed { doing, path, .. } if !may_write(folder(&path)) => {
            StoreError::ReadOnly { doing, path }
        }
        other => other,
    })?;
    schema::migrate(&connection, path)?;
    Ok(connection)
}

/// Who else may be at the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Others may write it.
    Shared,
    /// Nobody writes it, so that nothing need be written beside it in order to read it.
    Immutable,
}

/// Opens a store for reading.
pub(super) fn for_reading(path: &Path, how: &How) -> Result<(Connection, Access), StoreError> {
    if missing(path)? {
        return Err(StoreError::NotFound { path: path.to_owned() });
    }
    check_file(path, false)?;
    let (access, opened) = match check_version(path, how, Access::Shared) {
        Err(StoreError::Failed { .. } | StoreError::ReadOnly { .. }) if is_put_by(path) => {
            (Access::Immutable, check_version(path, how, Access::Immutable))
        }
        // Who may not even read the log cannot know what is in the store.
        Err(StoreError::Failed { .. }) if is_denied(&with_suffix(path, "-wal")) => {
            return Err(StoreError::ReadOnly { doing: "opening", path: path.to_owned() });
        }
        other => (Access::Shared, other),
    };
    let (connection, version) = opened?;
    if version < schema::READ_FROM {
        let (path, reads) = (path.to_owned(), schema::READ_FROM);
        return Err(StoreError::OlderVersion { path, version, reads });
    }
    Ok((connection, access))
}

/// Whether a store was put where nobody writes: everything is in its file, and no log can be made beside it.
fn is_put_by(path: &Path) -> bool {
    let log = fs::metadata(with_suffix(path, "-wal"));
    log.map_or(true, |log| log.len() == 0) && !may_write(folder(path))
}

fn is_denied(path: &Path) -> bool {
    File::open(path).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
}

#[cfg(unix)]
fn may_write(folder: &Path) -> bool {
    rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_ok()
}

#[cfg(not(unix))]
fn may_write(folder: &Path) -> bool {
    fs::metadata(folder).is_ok_and(|seen| !seen.permissions().readonly())
}

fn missing(path: &Path) -> Result<bool, StoreError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(false),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) => Err(system("opening", path)(error)),
    }
}

/// Only a regular file of this user is a store, and so are the log and its index beside it: what others put there may
/// lead anywhere, and opening a FIFO waits for ever.
pub(super) fn check_file(path: &Path, writing: bool) -> Result<(), StoreError> {
    for beside in ["", "-wal", "-shm"] {
        let one = with_suffix(path, beside);
        match fs::symlink_metadata(&one) {
            Ok(seen) => {
                if let Some(what) = unfit(&seen, writing) {
                    return Err(StoreError::Unfit { path: one, what });
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(system("opening", &one)(error)),
        }
    }
    Ok(())
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(unix)]
fn unfit(seen: &Metadata, writing: bool) -> Option<&'static str> {
    use std::os::unix::fs::MetadataExt;
    let user = rustix::process::geteuid();
    if seen.is_symlink() {
        Some("a symbolic link")
    } else if !seen.is_file() {
        Some("no regular file")
    } else if writing && seen.nlink() > 1 {
        // SQLite names the log after one of the names, and would not find it under the other.
        Some("a file with several names")
    } else if writing && seen.uid() != user.as_raw() && !user.is_root() {
        Some("a file of another user")
    } else {
        None
    }
}

#[cfg(not(unix))]
fn unfit(seen: &Metadata, _: bool) -> Option<&'static str> {
    if seen.is_symlink() {
        Some("a symbolic link")
    } else {
        (!seen.is_file()).then_some("no regular file")
    }
}

/// Looks at the version without writing anything: a newer store stays as it is, to the byte.
fn check_version(path: &Path, how: &How, access: Access) -> Result<(Connection, i64), StoreError> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY, how, access)?;
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let application = pragma("application_id").map_err(failed("opening", path))?;
    let version = pragma("user_version").map_err(failed("opening", path))?;
    if application != schema::APPLICATION {
        return Err(damaged("opening", path, "it is a database, but of another program"));
    }
    if version > schema::VERSION {
        let (path, reads_up_to) = (path.to_owned(), schema::VERSION);
        return Err(StoreError::NewerVersion { path, version, reads_up_to });
    }
    Ok((connection, version))
}

fn connect(
    path: &Path,
    flags: OpenFlags,
    how: &How,
    access: Access,
) -> Result<Connection, StoreError> {
    // Every connection stands behind a lock of ours.
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let said = failed("opening", path);
    let place = place(path).map_err(system("opening", path))?;
    let connection = match access {
        Access::Shared => Connection::open_with_flags(place, flags),
        Access::Immutable => {
            Connection::open_with_flags(immutable(&place), flags | OpenFlags::SQLITE_OPEN_URI)
        }
    };
    let connection = connection.map_err(said)?;
    connection.busy_timeout(how.busy).map_err(said)?;
    connection.set_prepared_statement_cache_capacity(64);
    // Else a statement with a limit is prepared anew each time, for its plan might depend on how large that is.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(said)?;
    let synchronous = match how.durability {
        Durability::Os => "NORMAL",
        Durability::Fsync => "FULL",
    };
    connection
        .execute_batch(&format!(
            "PRAGMA synchronous = {synchronous};
             PRAGMA cell_size_check = ON;
             PRAGMA trusted_schema = OFF;
             PRAGMA temp_store = MEMORY;
             PRAGMA cache_size = -16384;
             PRAGMA wal_autocheckpoint = 2000;
             PRAGMA journal_size_limit = 33554432;"
        ))
        .map_err(said)?;
    Ok(connection)
}

/// The path with every link above the file followed: SQLite is told to follow none at all. And a path that begins with
/// `file:` is a path, and no address of SQLite's.
pub(super) fn place(path: &Path) -> std::io::Result<PathBuf> {
    let name = path.file_name().ok_or(ErrorKind::InvalidInput)?;
    Ok(folder(path).canonicalize()?.join(name))
}

/// The address of a file that nobody writes, as SQLite reads it.
fn immutable(place: &Path) -> String {
    let mut address = String::from("file:");
    for byte in place.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                address.push(char::from(*byte));
            }
            other => {
                let digit = |four: u8| char::from_digit(four.into(), 16).unwrap_or('0');
                address.extend(['%', digit(other >> 4), digit(other & 15)]);
            }
        }
    }
    address + "?immutable=1"
}

pub(super) fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."))
}

/// Makes an empty store whole, beside its place, and puts it there: nobody ever sees half a store, and of two processes
/// that make one, the second finds that of the first.
fn create(path: &Path) -> Result<(), StoreError> {
    let said = system("making", path);
    create_folder(folder(path)).map_err(&said)?;
    let folder = folder(path).canonicalize().map_err(&said)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".taximeter-").suffix(".tmp");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600));
    let temporary = builder.tempfile_in(&folder).map_err(&said)?;
    schema::create(temporary.path(), path)?;
    temporary.as_file().sync_all().map_err(&said)?;
    match temporary.persist_noclobber(path) {
        Ok(_) => {}
        Err(taken) if taken.error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        Err(refused) => return Err(said(refused.error)),
    }
    if cfg!(unix) {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(&said)?;
    }
    Ok(())
}

pub(super) fn create_folder(folder: &Path) -> std::io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Makes an error of what the system said.
pub(super) fn system(
    doing: &'static str,
    path: &Path,
) -> impl Fn(std::io::Error) -> StoreError + use<> {
    let path = path.to_owned();
    move |error| {
        let path = path.clone();
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Full { doing, path },
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                StoreError::ReadOnly { doing, path }
            }
            _ => StoreError::Failed { doing, path, source: error.into() },
        }
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;

    #[test]
    fn a_statement_with_a_limit_is_prepared_once() {
        let room = tempfile::tempdir().unwrap();
        let how = How { durability: Durability::Os, busy: Duration::ZERO, create: true };
        let connection = for_writing(&room.path().join("store.db"), &how).unwrap();
        let sql = "SELECT value FROM counters WHERE value > ?1 LIMIT ?2";
        let mut select = connection.prepare(sql).unwrap();
        for limit in 1..4 {
            let rows = select.query_map([0, limit], |row| row.get::<_, i64>(0)).unwrap();
            assert!(rows.count() > 0);
        }
        assert_eq!(select.get_status(StatementStatus::RePrepare), 0);
    }
}
