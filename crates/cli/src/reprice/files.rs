//! The session files of a history: read one after the other, and replaced with the old one kept.

use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use chrono::Utc;
use taximeter::{Session, SessionFiles};
use thiserror::Error;

/// A session with the file that it was read from.
pub(super) struct SessionAt {
    pub(super) path: PathBuf,
    pub(super) session: Session,
}

/// A file that was written.
pub(super) struct Written {
    pub(super) path: PathBuf,
    /// Where the old file is now.
    pub(super) kept: PathBuf,
    /// How many calls have another cost.
    pub(super) calls: u64,
}

#[derive(Debug, Error)]
pub(super) enum FileError {
    #[error("reading {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("reading {path}: there are no session files in it")]
    Empty { path: PathBuf },
    #[error("writing {path}: only session files whose names end in .json are written")]
    Name { path: PathBuf },
    #[error("keeping the old {path}: {source}; nothing was written to it")]
    Keep { path: PathBuf, source: io::Error },
}

/// A session, or in words which file could not be read and why.
type Loaded = Result<SessionAt, String>;

/// The sessions of a file or of a directory, by name. A single file that cannot be read is an error; one of many
/// stops nobody.
pub(super) fn sessions(path: &Path) -> Result<Box<dyn Iterator<Item = Loaded>>, Box<dyn Error>> {
    let metadata =
        fs::metadata(path).map_err(|source| FileError::Read { path: path.into(), source })?;
    if !metadata.is_dir() {
        let session = SessionFiles::default().load_path(path)?;
        return Ok(Box::new(std::iter::once(Ok(SessionAt { path: path.into(), session }))));
    }
    let files = SessionFiles::new(path);
    let mut list = files.list()?;
    if list.files.is_empty() && list.skipped.is_empty() {
        return Err(FileError::Empty { path: path.into() }.into());
    }
    list.files.sort_by(|one, other| one.name.cmp(&other.name));
    let skipped = list.skipped.into_iter();
    let skipped = skipped.map(|entry| Err(format!("{}: {}", entry.path.display(), entry.why)));
    let loaded = list.files.into_iter().map(move |file| {
        let session = files.load(&file.name).map_err(|error| error.to_string())?;
        Ok(SessionAt { path: file.path, session })
    });
    Ok(Box::new(loaded.chain(skipped)))
}

/// Writes a session in the place of its file, whole or not at all, after the old file was copied beside it.
pub(super) fn replace(
    path: &Path,
    session: &Session,
    calls: u64,
) -> Result<Written, Box<dyn Error>> {
    // A link would be replaced by a file; what it leads to is meant.
    let path =
        path.canonicalize().map_err(|source| FileError::Read { path: path.into(), source })?;
    let refused = || FileError::Name { path: path.clone() };
    let directory = path.parent().ok_or_else(refused)?;
    let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(refused)?;
    if path.extension().is_none_or(|extension| extension != "json") {
        return Err(refused().into());
    }
    let kept = keep(&path).map_err(|source| FileError::Keep { path: path.clone(), source })?;
    let path = SessionFiles::new(directory).save(session, Some(name), Utc::now())?;
    Ok(Written { path, kept, calls })
}

/// Copies a file to the first free one of `NAME.old`, `NAME.old2` and so on; no session is listed under such a name.
fn keep(path: &Path) -> io::Result<PathBuf> {
    for number in 1_u32.. {
        let mut name = path.as_os_str().to_owned();
        name.push(if number == 1 { ".old".into() } else { format!(".old{number}") });
        let copy = PathBuf::from(name);
        match OpenOptions::new().write(true).create_new(true).open(&copy) {
            Ok(mut target) => {
                let mut source = File::open(path)?;
                target.set_permissions(source.metadata()?.permissions())?;
                io::copy(&mut source, &mut target)?;
                target.sync_all()?;
                return Ok(copy);
            }
            Err(taken) if taken.kind() == io::ErrorKind::AlreadyExists => {}
            Err(refused) => return Err(refused),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}
