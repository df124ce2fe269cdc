//! Writing a file whole or not at all: beside its target, to disk, then renamed into place.

use std::fs::{DirBuilder, File};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;
use taximeter_models::{Metadata, OperationRecord, Session};
use tempfile::NamedTempFile;

use crate::error::{Action, PersistenceError};
use crate::name::EXTENSION;

/// The most levels of metadata that are written: readers stop at 128, and the document itself takes a few.
const MOST_LEVELS: usize = 100;

/// Names with a number behind them are tried up to this one.
const MOST_NUMBERS: u32 = 100_000;

/// Writes a session under that name, in the place of what has it now.
pub(crate) fn replace(directory: &Path, name: &str, session: &Session) -> Written {
    let path = directory.join(name);
    let temporary = write_beside(directory, &path, session)?;
    temporary
        .persist(&path)
        .map_err(|refused| PersistenceError::io(Action::Rename, &path)(refused.error))?;
    sync_directory(directory)?;
    Ok(path)
}

/// Writes a session under a name that nothing has yet: the stem, or the stem with the first free number.
pub(crate) fn create(directory: &Path, stem: &str, session: &Session) -> Written {
    let path = directory.join(format!("{stem}{EXTENSION}"));
    let mut temporary = write_beside(directory, &path, session)?;
    for number in 1..MOST_NUMBERS {
        let path = match number {
            1 => path.clone(),
            _ => directory.join(format!("{stem}_{number}{EXTENSION}")),
        };
        // Looking first would leave a gap in which another process takes the name.
        match temporary.persist_noclobber(&path) {
            Ok(_) => return sync_directory(directory).map(|()| path),
            Err(taken) if taken.error.kind() == ErrorKind::AlreadyExists => temporary = taken.file,
            Err(refused) => return Err(PersistenceError::io(Action::Rename, path)(refused.error)),
        }
    }
    Err(PersistenceError::NoFreeName { directory: directory.into(), stem: stem.into() })
}

type Written = Result<PathBuf, PersistenceError>;

/// Writes a session to a temporary file and brings it to disk. Dropping the file removes it.
fn write_beside(
    directory: &Path,
    path: &Path,
    session: &Session,
) -> Result<NamedTempFile, PersistenceError> {
    check_depth(session, path)?;
    create_directory(directory)?;
    let mut temporary = create_temporary(directory)
        .map_err(PersistenceError::io(Action::CreateTemporary, directory))?;
    let mut writer = BufWriter::new(temporary.as_file_mut());
    serde_json::to_writer_pretty(&mut writer, session).map_err(|source| {
        if source.is_io() {
            PersistenceError::io(Action::Write, path)(source.into())
        } else {
            PersistenceError::Encode { path: path.into(), source }
        }
    })?;
    let finished = writer.write_all(b"\n").and_then(|()| writer.flush());
    drop(writer);
    // Without this a rename can reach the disk before what it renames, and a crash leaves an empty file.
    finished
        .and_then(|()| temporary.as_file().sync_all())
        .map_err(PersistenceError::io(Action::Write, path))?;
    Ok(temporary)
}

/// The name begins with a dot, so that lists pass over it, should a crash leave it behind.
pub(crate) fn create_temporary(directory: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".taximeter-").suffix(".tmp");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600));
    builder.tempfile_in(directory)
}

/// Creates the directory with what is missing above it, for this user alone, and brings the new entries to disk.
fn create_directory(directory: &Path) -> Result<(), PersistenceError> {
    let missing: Vec<&Path> =
        directory.ancestors().take_while(|one| *one != Path::new("") && !one.is_dir()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory).map_err(PersistenceError::io(Action::CreateDirectory, directory))?;
    missing.iter().filter_map(|one| one.parent()).try_for_each(sync_directory)
}

/// A new name is on disk only when its directory is.
pub(crate) fn sync_directory(directory: &Path) -> Result<(), PersistenceError> {
    let here = if directory == Path::new("") { Path::new(".") } else { directory };
    // Elsewhere a directory cannot be opened as a file, and the system keeps its own order.
    if !cfg!(unix) {
        return Ok(());
    }
    match File::open(here).and_then(|opened| opened.sync_all()) {
        // Some network file systems cannot do this at all, and say it so.
        Err(error) if !matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => {
            Err(PersistenceError::io(Action::SyncDirectory, here)(error))
        }
        _ => Ok(()),
    }
}

/// What could not be read again is refused before anything is written.
fn check_depth(session: &Session, path: &Path) -> Result<(), PersistenceError> {
    let too_deep = |of| PersistenceError::TooDeep { path: path.into(), of, limit: MOST_LEVELS };
    if !is_shallow(&session.metadata) {
        return Err(too_deep("the session".into()));
    }
    match session.operations.iter().find(|operation| !has_shallow_metadata(operation)) {
        Some(operation) => {
            Err(too_deep(format!("operation {:?} ({})", operation.name, operation.id)))
        }
        None => Ok(()),
    }
}

pub(crate) fn has_shallow_metadata(operation: &OperationRecord) -> bool {
    is_shallow(&operation.metadata)
        && operation.tool_calls.iter().all(|call| is_shallow(&call.metadata))
        && operation.llm_calls.iter().all(|call| is_shallow(&call.metadata))
}

fn is_shallow(metadata: &Metadata) -> bool {
    metadata.values().all(|value| is_within(value, MOST_LEVELS))
}

fn is_within(value: &Value, levels: usize) -> bool {
    let below = |value: &Value| levels > 0 && is_within(value, levels - 1);
    match value {
        Value::Array(list) => list.iter().all(below),
        Value::Object(map) => map.values().all(below),
        _ => true,
    }
}
