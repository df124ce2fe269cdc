//! Export: operations as lines of JSON, as tables of CSV, as Parquet, written as they come and put in place when whole.

mod columns;
pub(crate) mod csv;
mod error;
mod file;
#[cfg(feature = "parquet")]
pub(crate) mod parquet;
mod partial;

use std::fmt;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use taximeter_models::OperationRecord;

pub use columns::{ExportTable, UnknownExportTable};
pub use error::ExportError;
pub use partial::ExportMark;

use crate::import;
use crate::write::has_shallow_metadata;
use csv::CsvRows;
use file::Target;
use partial::Partial;

/// In which form operations are exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExportFormat {
    /// An operation a line, in the JSON that it has in a session, after a line that names the format and its version.
    /// Everything comes back as it was.
    Jsonl,
    /// A table as CSV. It is flat: what comes back of operations are sums.
    Csv(ExportTable),
    /// The table of operations as Parquet, with each operation as a whole in a further column, so that everything
    /// comes back as it was. Writing it takes the feature `parquet`.
    Parquet,
}

/// How operations are exported.
///
/// ```
/// use taximeter_models::OperationRecord;
/// use taximeter_persistence::{ExportFormat, ExportOptions, Importer};
///
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("operations.jsonl");
/// let options = ExportOptions::new(ExportFormat::Jsonl);
/// let mut exporter = options.create(&path)?;
/// exporter.write(&OperationRecord::new("qa"))?;
/// assert!(!path.exists()); // it is put in place when it is whole
/// assert_eq!(exporter.finish()?, 1);
///
/// assert_eq!(Importer::open(&path)?.count(), 1);
/// let error = options.create(&path).unwrap_err(); // nothing is overwritten unless that is asked for
/// assert!(error.is_taken());
/// options.overwrite(true).create(&path)?.finish()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "an export begins with `create` or `write_to`"]
pub struct ExportOptions {
    format: ExportFormat,
    overwrite: bool,
}

impl ExportOptions {
    /// The defaults, in this form.
    pub const fn new(format: ExportFormat) -> Self {
        Self { format, overwrite: false }
    }

    /// Whether a file that is there is replaced. Default: false.
    pub const fn overwrite(mut self, overwrite: bool) -> Self {
        self.overwrite = overwrite;
        self
    }

    /// Begins to write a file. It is put in place by [`Exporter::finish`], whole; without that, nothing is left.
    ///
    /// # Errors
    /// Where the file is there and may not be replaced, and where the system refuses.
    pub fn create(self, path: impl AsRef<Path>) -> Result<Exporter<'static>, ExportError> {
        let path = path.as_ref();
        let target = Target::new(path, self.overwrite)?;
        let rows = Rows::new(self.format, Box::new(BufWriter::new(target.writer()?)), true)
            .map_err(ExportError::io("writing", Some(path)))?;
        Ok(Exporter { rows, place: Place::Whole(target), written: 0 })
    }

    /// Begins to write a file that can be gone on with where that is broken off, or goes on with one, if it is of the same in
    /// the words of `of`. Until it is put in place it stands beside it, with `.partial` behind its name, and how far it came
    /// with `.partial.json`. The operations must come in the order of their beginning, and those of one moment in that of
    /// their ids; see [`Exporter::mark`].
    ///
    /// ```
    /// use taximeter_models::OperationRecord;
    /// use taximeter_persistence::{ExportFormat, ExportOptions, Importer};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("operations.jsonl");
    /// let options = ExportOptions::new(ExportFormat::Jsonl);
    /// let mut exporter = options.resume(&path, "all")?;
    /// let first = OperationRecord::new("qa");
    /// exporter.write(&first)?;
    /// exporter.checkpoint()?;
    /// drop(exporter); // the process is killed
    ///
    /// let mut exporter = options.resume(&path, "all")?;
    /// let mark = exporter.mark().expect("it was there before");
    /// assert!(!mark.is_before(&first)); // it is not written again
    /// assert_eq!(exporter.finish()?, 1);
    /// assert_eq!(Importer::open(&path)?.count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As for [`create`](Self::create), and for Parquet, whose index stands at its end.
    pub fn resume(
        self,
        path: impl AsRef<Path>,
        of: &str,
    ) -> Result<Exporter<'static>, ExportError> {
        let path = path.as_ref();
        if self.format == ExportFormat::Parquet {
            return Err(ExportError::NotResumable { path: path.into() });
        }
        if !self.overwrite && path.symlink_metadata().is_ok() {
            return Err(ExportError::Taken { path: path.into() });
        }
        let partial = Partial::open(path, &format!("{:?} {of}", self.format))?;
        let (mark, is_new) = (partial.last(), partial.last().is_none());
        let rows = Rows::new(self.format, Box::new(BufWriter::new(partial.writer()?)), is_new)
            .map_err(ExportError::io("writing", Some(path)))?;
        let place = Place::Partial { partial, last: mark, overwrite: self.overwrite };
        Ok(Exporter { rows, place, written: mark.map_or(0, |mark| mark.written) })
    }

    /// Begins to write to a stream, such as standard output.
    ///
    /// # Errors
    /// Where it cannot be written to.
    pub fn write_to<'w>(self, writer: impl Write + 'w) -> Result<Exporter<'w>, ExportError> {
        let rows = Rows::new(self.format, Box::new(BufWriter::new(writer)), true)
            .map_err(ExportError::io("writing", None))?;
        Ok(Exporter { rows, place: Place::Stream, written: 0 })
    }
}

/// Where operations are written to.
enum Place {
    Stream,
    Whole(Target),
    Partial { partial: Partial, last: Option<ExportMark>, overwrite: bool },
}

impl Place {
    fn path(&self) -> Option<&Path> {
        match self {
            Self::Stream => None,
            Self::Whole(target) => Some(target.path()),
            Self::Partial { partial, .. } => Some(partial.path()),
        }
    }
}

/// How far an export came is noted after so many operations.
const NOTED_EACH: u64 = 10_000;

/// Writes operations one by one, in memory that does not grow with their number.
#[must_use = "what was written is in place after `finish`"]
pub struct Exporter<'w> {
    rows: Rows<'w>,
    place: Place,
    written: u64,
}

impl Exporter<'_> {
    /// Writes an operation.
    ///
    /// # Errors
    /// Where its metadata is nested so deep that it could not be read again, and where the system refuses.
    pub fn write(&mut self, operation: &OperationRecord) -> Result<(), ExportError> {
        if !has_shallow_metadata(operation) {
            return Err(ExportError::TooDeep {
                of: format!("{:?} ({})", operation.name, operation.id),
            });
        }
        self.rows
            .write(operation)
            .map_err(|error| ExportError::io("writing", self.place.path())(error))?;
        self.written += 1;
        if let Place::Partial { last, .. } = &mut self.place {
            let (started_at, id) = (operation.started_at, operation.id);
            *last = Some(ExportMark { started_at, id, written: self.written });
            if self.written.is_multiple_of(NOTED_EACH) {
                self.checkpoint()?;
            }
        }
        Ok(())
    }

    /// The last operation that is in the file, where it can be gone on with: what comes after it is to be written.
    pub fn mark(&self) -> Option<ExportMark> {
        match &self.place {
            Place::Partial { last, .. } => *last,
            _ => None,
        }
    }

    /// Notes how far it came, where it can be gone on with. That is done by itself every 10,000 operations.
    ///
    /// # Errors
    /// Where the system refuses.
    pub fn checkpoint(&mut self) -> Result<(), ExportError> {
        let Place::Partial { partial, last: Some(last), .. } = &self.place else { return Ok(()) };
        let noted = self.rows.flush().and_then(|()| partial.note(*last));
        noted.map_err(ExportError::io("noting how far it came beside it", Some(partial.path())))
    }

    /// Writes all of these operations.
    ///
    /// # Errors
    /// As for [`Exporter::write`].
    pub fn write_all<'a>(
        &mut self,
        operations: impl IntoIterator<Item = &'a OperationRecord>,
    ) -> Result<(), ExportError> {
        operations.into_iter().try_for_each(|operation| self.write(operation))
    }

    /// Brings everything to disk, puts the file in place, and says how many operations are in it.
    ///
    /// # Errors
    /// Where the system refuses, and where somebody else made the file meanwhile.
    pub fn finish(self) -> Result<u64, ExportError> {
        let said = ExportError::io("writing", self.place.path());
        self.rows.finish().map_err(said)?;
        match self.place {
            Place::Stream => {}
            Place::Whole(target) => target.put_in_place()?,
            Place::Partial { partial, overwrite, .. } => partial.put_in_place(overwrite)?,
        }
        Ok(self.written)
    }
}

impl fmt::Debug for Exporter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exporter").field("written", &self.written).finish_non_exhaustive()
    }
}

type Sink<'w> = Box<dyn Write + 'w>;

/// Who writes the rows of a form.
enum Rows<'w> {
    Jsonl(Sink<'w>),
    Csv(Box<CsvRows<Sink<'w>>>),
    #[cfg(feature = "parquet")]
    Parquet(Box<parquet::ParquetRows<Sink<'w>>>),
}

impl<'w> Rows<'w> {
    fn new(format: ExportFormat, mut writer: Sink<'w>, is_new: bool) -> io::Result<Self> {
        match format {
            ExportFormat::Jsonl => {
                if is_new {
                    serde_json::to_writer(&mut writer, &import::header())?;
                    writer.write_all(b"\n")?;
                }
                Ok(Self::Jsonl(writer))
            }
            ExportFormat::Csv(table) => {
                Ok(Self::Csv(Box::new(CsvRows::new(writer, table, is_new)?)))
            }
            #[cfg(feature = "parquet")]
            ExportFormat::Parquet => {
                Ok(Self::Parquet(Box::new(parquet::ParquetRows::new(writer)?)))
            }
            #[cfg(not(feature = "parquet"))]
            ExportFormat::Parquet => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "Parquet is written where taximeter-persistence is built with its feature `parquet`",
            )),
        }
    }

    fn write(&mut self, operation: &OperationRecord) -> io::Result<()> {
        match self {
            Self::Jsonl(writer) => {
                serde_json::to_writer(&mut *writer, operation)?;
                writer.write_all(b"\n")
            }
            Self::Csv(rows) => rows.write(operation),
            #[cfg(feature = "parquet")]
            Self::Parquet(rows) => rows.write(operation),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Jsonl(writer) => writer.flush(),
            Self::Csv(rows) => rows.flush(),
            #[cfg(feature = "parquet")]
            Self::Parquet(_) => Ok(()),
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Jsonl(mut writer) => writer.flush(),
            Self::Csv(rows) => rows.finish()?.flush(),
            #[cfg(feature = "parquet")]
            Self::Parquet(rows) => rows.finish()?.flush(),
        }
    }
}
