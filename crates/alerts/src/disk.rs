//! Files that are replaced as a whole, by one process at a time.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::path::Path;

/// Writes beside the file, to the disk, and puts it in its place: a kill leaves the file from before, or the new one.
/// Without permissions it is for its owner alone.
pub(crate) fn replace(
    path: &Path,
    bytes: &[u8],
    permissions: Option<Permissions>,
) -> io::Result<()> {
    let folder = folder(path);
    fs::create_dir_all(folder)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside)?;
    if let Some(permissions) = permissions {
        file.set_permissions(permissions)?;
    }
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    // That the name is new must be on the disk, too; where folders cannot be opened, it is by and by.
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Keeps others out while a file is read, changed and replaced, so that two processes do not undo one another: it is held
/// until it is dropped, or the process is killed. Where the system knows no such thing, nobody is kept out.
#[derive(Debug)]
pub(crate) struct Turn {
    _folder: Option<File>,
}

impl Turn {
    /// Waits for the others. The folder is what is held, since the file itself is another after each change.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let folder = folder(path);
        fs::create_dir_all(folder)?;
        #[cfg(unix)]
        {
            let folder = File::open(folder)?;
            // Some file systems have no locks; a change there is as safe as it was without.
            let _ = rustix::fs::flock(&folder, rustix::fs::FlockOperation::LockExclusive);
            Ok(Self { _folder: Some(folder) })
        }
        #[cfg(not(unix))]
        Ok(Self { _folder: None })
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
