//! How an import is made.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use super::{Checkpoint, Format, ImportError, Importer};

/// The longest line or element that is read unless another limit is set: 64 MiB.
const LIMIT: usize = 64 << 20;

/// How an import is made.
///
/// ```
/// use taximeter_persistence::{Format, ImportOptions};
///
/// let line = br#"{"operation_name": "qa", "start_time": 1763900000.5, "total_duration": 0.5}"#;
/// let mut importer = ImportOptions::new().limit(40).read(&line[..])?;
/// let rejected = importer.next().expect("a line")?.expect_err("it is longer than 40 bytes");
/// assert!(rejected.to_string().starts_with("line 1: it is longer than 40 bytes"));
///
/// let error = ImportOptions::new().format(Format::Parquet).read(&line[..]).unwrap_err();
/// assert!(error.to_string().contains("parquet"));
/// # Ok::<(), taximeter_persistence::ImportError>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "an import begins with `open` or `read`"]
pub struct ImportOptions {
    pub(super) format: Option<Format>,
    pub(super) limit: usize,
    pub(super) hold_back: bool,
    pub(super) now: DateTime<Utc>,
    pub(super) beside: Vec<PathBuf>,
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self { format: None, limit: LIMIT, hold_back: true, now: Utc::now(), beside: Vec::new() }
    }
}

impl ImportOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads everything as this format. Default: each file's is told by its beginning.
    pub fn format(mut self, format: Format) -> Self {
        self.format = Some(format);
        self
    }

    /// Rejects lines, and elements of documents, of more bytes than that. Default: 64 MiB.
    pub fn limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    /// Whether the last turn of a log waits for the next import while it may still go on. Default: true.
    ///
    /// A turn that grew after it was imported has the same id as before, and a store keeps what it has. So a turn at
    /// the end of a file is held back, and counted, until its last line is two minutes old; or six hours, where a
    /// tool has not answered or the reply is not at its end.
    pub fn hold_back(mut self, hold_back: bool) -> Self {
        self.hold_back = hold_back;
        self
    }

    /// The time by which it is decided what may still go on. Default: when the options were made.
    pub fn now(mut self, now: DateTime<Utc>) -> Self {
        self.now = now;
        self
    }

    /// Reads the tables of parts in these files beside a table of operations, CSV both: the same export of the same
    /// operations as `tool_calls`, `llm_calls` or `components`. In memory there is a row of each. Default: none.
    pub fn beside(mut self, tables: impl IntoIterator<Item = PathBuf>) -> Self {
        self.beside.extend(tables);
        self
    }

    /// Opens a file, or all files below a folder.
    ///
    /// # Errors
    /// Where nothing is there or it cannot be read, and where the file is of no format that is known.
    pub fn open(self, path: impl AsRef<Path>) -> Result<Importer, ImportError> {
        Importer::at(self, path.as_ref(), None)
    }

    /// Opens the same file or folder again, and goes on where an import stopped: of a folder, with the file in which it
    /// did. Logs before it are read again, for later ones may repeat them, but not given out. Where a file was written
    /// since that had been read, the import begins at the beginning.
    ///
    /// # Errors
    /// As for [`ImportOptions::open`].
    pub fn resume(
        self,
        path: impl AsRef<Path>,
        checkpoint: &Checkpoint,
    ) -> Result<Importer, ImportError> {
        Importer::at(self, path.as_ref(), Some(checkpoint))
    }

    /// Reads a stream, such as standard input.
    ///
    /// # Errors
    /// Where it cannot be read, is of no format that is known, or of one that takes a file.
    pub fn read(self, reader: impl BufRead + 'static) -> Result<Importer, ImportError> {
        Importer::of_stream(self, Box::new(reader))
    }
}
