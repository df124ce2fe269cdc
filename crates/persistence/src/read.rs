//! Reading a session file: only a regular one, only up to a size, and in a stream.

use std::fs::{self, File, Metadata};
use std::io::{self, BufReader, Read, Seek};
use std::path::Path;

use serde::Deserialize;
use taximeter_models::Session;

use crate::error::{Action, PersistenceError};

/// The newest version of the documents that `taximeter-models` reads; a test compares the two.
pub(crate) const READS_UP_TO: u64 = 1;

/// How often opening is tried while the file is being replaced. A replacement must fall into the few microseconds
/// between a look and an opening to count, so that even two in a row are rare.
const MOST_TRIES: u32 = 64;

/// Reads the session in a file of ours, found by name: a symbolic link there was not made by us, and is refused.
pub(crate) fn by_name(path: &Path, limit: u64) -> Result<Session, PersistenceError> {
    for _ in 0..MOST_TRIES {
        let seen = fs::symlink_metadata(path).map_err(PersistenceError::io(Action::Open, path))?;
        if seen.is_symlink() {
            return Err(PersistenceError::SymbolicLink { path: path.into() });
        }
        let (file, opened) = open(path, &seen)?;
        // If another file was put there after the look, it may be a link: look again.
        if is_same(&seen, &opened) {
            return session(path, file, &opened, limit);
        }
    }
    Err(PersistenceError::Unsteady { path: path.into() })
}

/// Reads the session in whatever regular file the user names.
pub(crate) fn by_path(path: &Path, limit: u64) -> Result<Session, PersistenceError> {
    let seen = fs::metadata(path).map_err(PersistenceError::io(Action::Open, path))?;
    let (file, opened) = open(path, &seen)?;
    session(path, file, &opened, limit)
}

/// Opens a regular file. Its kind is looked at before, since merely opening a FIFO waits for a writer, and after.
fn open(path: &Path, seen: &Metadata) -> Result<(File, Metadata), PersistenceError> {
    let not_a_file =
        |what: &Metadata| PersistenceError::NotAFile { path: path.into(), what: kind(what) };
    if !seen.is_file() {
        return Err(not_a_file(seen));
    }
    let file = File::open(path).map_err(PersistenceError::io(Action::Open, path))?;
    let opened = file.metadata().map_err(PersistenceError::io(Action::Open, path))?;
    if opened.is_file() { Ok((file, opened)) } else { Err(not_a_file(&opened)) }
}

#[cfg(unix)]
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(not(unix))]
fn is_same(_: &Metadata, _: &Metadata) -> bool {
    true
}

#[cfg(unix)]
fn kind(what: &Metadata) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    match what.file_type() {
        kind if kind.is_dir() => "a directory",
        kind if kind.is_fifo() => "a FIFO",
        kind if kind.is_socket() => "a socket",
        kind if kind.is_block_device() || kind.is_char_device() => "a device",
        _ => "something else",
    }
}

#[cfg(not(unix))]
fn kind(what: &Metadata) -> &'static str {
    if what.is_dir() { "a directory" } else { "something else" }
}

fn session(
    path: &Path,
    file: File,
    opened: &Metadata,
    limit: u64,
) -> Result<Session, PersistenceError> {
    let bytes = opened.len();
    if bytes > limit {
        return Err(PersistenceError::TooLarge { path: path.into(), bytes, limit });
    }
    // A file that grows while it is read is not read beyond the limit either.
    let mut reader = BufReader::new(file.take(limit));
    serde_json::from_reader(&mut reader).map_err(|source| {
        if source.is_io() {
            return PersistenceError::io(Action::Read, path)(source.into());
        }
        match version(reader.into_inner().into_inner(), limit) {
            Ok(version) if version > READS_UP_TO => PersistenceError::NewerVersion {
                path: path.into(),
                version,
                reads_up_to: READS_UP_TO,
            },
            _ => PersistenceError::Json { path: path.into(), source },
        }
    })
}

/// The version of a document that could not be read: a newer one may fail anywhere, not only at its version.
fn version(mut file: File, limit: u64) -> io::Result<u64> {
    #[derive(Deserialize)]
    struct Head {
        taximeter_version: u64,
    }
    file.rewind()?;
    let head: Head = serde_json::from_reader(BufReader::new(file.take(limit)))?;
    Ok(head.taximeter_version)
}
