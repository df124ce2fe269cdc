//! Which files a folder has to import, and in which order.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use walkdir::WalkDir;

use super::error::ImportError;
use super::id::hash;

/// The endings of files that are looked at in a folder.
const ENDINGS: &[&str] = &["json", "jsonl", "ndjson", "csv", "parquet"];

/// A file to import, as it was when it was listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedFile {
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    /// When it was last written, in nanoseconds since 1970; 0 where the system does not say.
    modified_ns: u128,
}

impl ListedFile {
    fn new(path: PathBuf, seen: &Metadata) -> Self {
        let modified = seen.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let modified_ns = modified.unwrap_or_default().as_nanos();
        Self { path, bytes: seen.len(), modified_ns }
    }
}

/// What tells these files, as they are, from others and from what becomes of them.
pub(crate) fn state(files: &[ListedFile]) -> u64 {
    files.iter().fold(0, |state, file| {
        let (bytes, modified) = (file.bytes.to_string(), file.modified_ns.to_string());
        hash(&[&state.to_string(), &file.path.to_string_lossy(), &bytes, &modified])
    })
}

/// The file that was named, or those below the folder that was named.
///
/// The order is the same on every run: by path, with the logs of sub-agents behind all others, since they may tell
/// again of what their parents did, and those of the Codex CLI by the times in their names, for the same reason. Links to folders are not followed, so that no circle is walked.
pub(crate) fn list(path: &Path) -> Result<Vec<ListedFile>, ImportError> {
    let seen = std::fs::metadata(path).map_err(ImportError::io("opening it", Some(path)))?;
    if seen.is_file() {
        return Ok(vec![ListedFile::new(path.into(), &seen)]);
    }
    if !seen.is_dir() {
        return Err(ImportError::NotAFile { path: path.into() });
    }
    let mut files = Vec::new();
    for entry in WalkDir::new(path) {
        let entry =
            entry.map_err(|error| ImportError::io("listing it", Some(path))(error.into()))?;
        // A link to a file is read as the file.
        let Ok(metadata) = std::fs::metadata(entry.path()) else { continue };
        if metadata.is_file() && has_ending(entry.path()) {
            files.push(ListedFile::new(entry.into_path(), &metadata));
        }
    }
    if files.is_empty() {
        return Err(ImportError::NothingThere { path: path.into() });
    }
    files.sort_by(|a, b| order(&a.path).cmp(&order(&b.path)));
    Ok(files)
}

fn order(path: &Path) -> (bool, Option<&str>, &Path) {
    let name = path.file_name().and_then(|name| name.to_str());
    (is_of_agent(path), name.filter(|name| name.starts_with("rollout-")), path)
}

fn has_ending(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)))
}

/// Whether Claude Code wrote it for a sub-agent: below `subagents/`, or beside the sessions as `agent-….jsonl`.
fn is_of_agent(path: &Path) -> bool {
    let named = path.file_name().and_then(|name| name.to_str());
    path.components().any(|part| part.as_os_str() == "subagents")
        || named.is_some_and(|name| name.starts_with("agent-"))
}
