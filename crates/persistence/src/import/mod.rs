//! Import: what was written elsewhere, as operation records one by one, in memory that does not grow with the file.

mod claude_code;
mod codex;
mod csv;
mod error;
mod family;
mod files;
mod format;
mod frame;
mod id;
mod json;
mod langfuse;
mod litellm;
mod options;
mod outline;
mod output;
#[cfg(feature = "parquet")]
mod parquet;
mod parts;
mod phoenix;
mod records;
mod turn;

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use taximeter_models::OperationRecord;

pub use error::{Counts, ImportError, Rejected, Why};
pub use format::{Format, UnknownFormatName};
pub use options::ImportOptions;

use files::ListedFile;
use format::{Guess, HEAD_BYTES};
use frame::{Cutter, Frame, Head, Next, Place};
use output::Output;
pub(crate) use records::header;

/// The buffer of a file.
const BUFFER: usize = 256 << 10;

/// Gives the operations of a file, of all files below a folder, or of a stream, one by one.
///
/// An item is an [`OperationRecord`], or a [`Rejected`] line that does not fit, with its place and reason; an
/// [`ImportError`] ends the import. Ids come out the same whenever the same thing is imported, so that a store that
/// knows its ids takes nothing twice.
///
/// Memory: one line or element, at most the limit of the options; of a log the turns that are open; and of logs about a
/// hundred bytes at most for each reply seen, by which copies of it in other files are known.
///
/// ```
/// use taximeter_persistence::Importer;
///
/// # let folder = tempfile::tempdir().expect("a folder");
/// let path = folder.path().join("operations.jsonl");
/// let lines = r#"{"operation_name": "qa", "start_time": 1763900000.5, "total_duration": 0.5}
/// {"operation_name": "qa"}
/// "#;
/// std::fs::write(&path, lines).expect("it can be written");
///
/// let mut importer = Importer::open(&path)?;
/// for item in &mut importer {
///     match item? {
///         Ok(record) => assert_eq!(record.name, *"qa"),
///         Err(rejected) => assert!(rejected.to_string().contains("operations.jsonl:2: it does not fit")),
///     }
/// }
/// assert_eq!((importer.counts().records, importer.counts().rejected), (1, 1));
/// assert_eq!(importer.position().bytes_read, lines.len() as u64);
///
/// std::fs::write(&path, "dear diary").expect("it can be written");
/// assert!(Importer::open(&path).unwrap_err().is_unknown_format());
/// # Ok::<(), taximeter_persistence::ImportError>(())
/// ```
pub struct Importer {
    options: ImportOptions,
    files: Vec<ListedFile>,
    /// How many of the files were begun.
    begun: usize,
    current: Option<Box<dyn Source>>,
    out: Output,
    read_before: u64,
    is_folder: bool,
    ended: bool,
}

/// Where an import is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Position {
    /// The file that is read; none where it is a stream.
    pub path: Option<Arc<Path>>,
    /// Which file it is, counted from 1.
    pub file: usize,
    /// How many files there are.
    pub files: usize,
    /// The line that comes next, counted from 1; 0 where the format has no lines.
    pub line: u64,
    /// The byte of the file that comes next.
    pub offset: u64,
    /// The bytes that were read, of all files.
    pub bytes_read: u64,
    /// The bytes that there are in all files; none where it is a stream.
    pub bytes: Option<u64>,
}

/// Where an import can go on, should it be broken off. It can be kept as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The file that was read, and those before it as they were then.
    path: PathBuf,
    state: u64,
    offset: u64,
    line: u64,
    index: u64,
}

/// Something that is read piece by piece.
trait Source {
    /// Reads the next piece and puts out what is in it; whether there may be more.
    fn advance(&mut self, out: &mut Output) -> Result<bool, ImportError>;

    /// Where the next piece begins.
    fn place(&self) -> Place;

    /// Where reading can begin again without the pieces before.
    fn restart(&self) -> Place;

    /// Whether what it tells may belong to what other files tell.
    fn is_linked(&self) -> bool {
        false
    }
}

/// Reads frames of one format.
trait Parser {
    /// Reads a frame. Only what stops the import is an error; what does not fit is put out as rejected.
    fn frame(
        &mut self,
        frame: &Frame<'_>,
        head: &Head,
        out: &mut Output,
    ) -> Result<(), ImportError>;

    /// Gives out what waited for more, when the file is at its end.
    fn end(&mut self, _out: &mut Output) {}
}

impl Importer {
    /// Opens a file, or all files below a folder, with the defaults of [`ImportOptions`].
    ///
    /// # Errors
    /// Where nothing is there or it cannot be read, and where the file is of no format that is known.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ImportError> {
        ImportOptions::new().open(path)
    }

    /// Where the import is, to show how far it came.
    pub fn position(&self) -> Position {
        let place = self.current.as_ref().map_or(Place::START, |source| source.place());
        Position {
            path: self.out.path.clone(),
            file: self.begun.max(1),
            files: self.files.len().max(1),
            line: place.line,
            offset: place.offset,
            bytes_read: self.read_before + place.offset,
            bytes: (!self.files.is_empty()).then(|| self.files.iter().map(|file| file.bytes).sum()),
        }
    }

    /// What was counted so far.
    pub fn counts(&self) -> &Counts {
        &self.out.counts
    }

    /// Where [`ImportOptions::resume`] can go on so that nothing is left out that was not given yet; none for a
    /// stream. Of a log that is the beginning of its file: what is given again then has the same ids.
    pub fn checkpoint(&self) -> Option<Checkpoint> {
        let path = self.files.get(self.begun.checked_sub(1)?)?.path.clone();
        let place = self.current.as_ref().map_or(Place::START, |source| source.restart());
        let index = place.index.saturating_sub(self.out.waiting());
        // Where its file is read from its beginning again, that may have grown.
        let read = if place.offset == 0 { self.begun - 1 } else { self.begun };
        let state = files::state(&self.files[..read]);
        Some(Checkpoint { path, state, offset: place.offset, line: place.line, index })
    }

    fn new(options: ImportOptions, files: Vec<ListedFile>) -> Self {
        let out = Output::new(&options);
        Self {
            options,
            files,
            begun: 0,
            current: None,
            out,
            read_before: 0,
            is_folder: false,
            ended: false,
        }
    }

    fn at(
        options: ImportOptions,
        path: &Path,
        checkpoint: Option<&Checkpoint>,
    ) -> Result<Self, ImportError> {
        let files = files::list(path)?;
        let mut importer = Self::new(options, files);
        importer.is_folder = path.is_dir();
        let (file, place) = match checkpoint.and_then(|stopped| importer.stopped_at(stopped)) {
            Some((file, place)) => (file, Some(place)),
            None => (0, None),
        };
        importer.pass_over(file)?;
        importer.begin_file(place)?;
        Ok(importer)
    }

    /// The number of the file in which an import stopped, and where; none where a file up to there is another than it was.
    fn stopped_at(&self, checkpoint: &Checkpoint) -> Option<(usize, Place)> {
        let file = self.files.iter().position(|file| file.path == checkpoint.path)?;
        let read = if checkpoint.offset == 0 { file } else { file + 1 };
        let is_same = files::state(&self.files[..read]) == checkpoint.state;
        is_same.then(|| (file, checkpoint.place()))
    }

    /// Passes over the files before this one. Those that later ones may tell of again are read, and nothing of them is
    /// given out.
    fn pass_over(&mut self, file: usize) -> Result<(), ImportError> {
        while self.begun < file {
            self.begin_file(None)?;
            if let Some(mut source) = self.current.take().filter(|source| source.is_linked()) {
                while source.advance(&mut self.out)? {
                    self.out.forget();
                }
            }
        }
        self.out.forget();
        self.read_before = self.files[..file].iter().map(|file| file.bytes).sum();
        Ok(())
    }

    fn of_stream(options: ImportOptions, reader: Box<dyn BufRead>) -> Result<Self, ImportError> {
        let mut importer = Self::new(options, Vec::new());
        importer.begun = 1;
        let (guess, reader) = importer.guess(reader, None)?;
        importer.current = Some(importer.source(guess, reader, None)?);
        Ok(importer)
    }

    /// Begins the next file. In a folder, one that cannot be opened or is of no known format is rejected as a whole.
    fn begin_file(&mut self, at: Option<Place>) -> Result<(), ImportError> {
        let Some(file) = self.files.get(self.begun).cloned() else { return Ok(()) };
        self.begun += 1;
        self.out.path = Some(Arc::from(file.path.as_path()));
        match self.open_file(&file.path, at) {
            Ok(source) => self.current = Some(source),
            Err(_) if file.bytes == 0 && self.is_folder => self.out.counts.ignore("empty file"),
            Err(error @ ImportError::NewerVersion { .. }) => return Err(error),
            Err(error) if self.is_folder => {
                self.out.reject(Place::START, Why::File(error.to_string()));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn open_file(&self, path: &Path, at: Option<Place>) -> Result<Box<dyn Source>, ImportError> {
        let failed = || ImportError::io("opening it", Some(path));
        let open = || File::open(path).map(|file| BufReader::with_capacity(BUFFER, file));
        let (guess, reader) = self.guess(Box::new(open().map_err(failed())?), Some(path))?;
        let at = at.filter(|at| at.offset > 0);
        if guess.format == Format::Parquet {
            return of_parquet(path, at.unwrap_or(Place::START));
        }
        let Some(at) = at else { return self.source(guess, reader, Some(path)) };
        let mut behind = open().map_err(failed())?;
        behind.seek(SeekFrom::Start(at.offset)).map_err(failed())?;
        if guess.format == Format::Csv {
            let rows = csv::CsvRows::new(reader, self.options.limit, Some(path))?;
            return Ok(Box::new(rows.resume(Box::new(behind), at)));
        }
        let mut frames = self.frames(guess, reader);
        frames.cutter.enter().map_err(ImportError::io("reading it", Some(path)))?;
        frames.cutter.resume(Box::new(behind), at);
        Ok(Box::new(frames))
    }

    fn source(
        &self,
        guess: Guess,
        reader: Box<dyn BufRead>,
        path: Option<&Path>,
    ) -> Result<Box<dyn Source>, ImportError> {
        match guess.format {
            Format::Csv => {
                let beside = self.options.beside.iter();
                let beside = beside.map(|table| csv::Beside::open(table, self.options.limit));
                let beside = beside.collect::<Result<_, _>>()?;
                let rows = csv::CsvRows::new(reader, self.options.limit, path)?;
                Ok(Box::new(rows.with(beside)))
            }
            other if !self.options.beside.is_empty() => Err(ImportError::Unsupported {
                path: path.map(Into::into),
                format: other,
                what: "holds the parts of its operations itself, and is read with no table beside it",
            }),
            Format::Parquet => Err(ImportError::Unsupported {
                path: path.map(Into::into),
                format: guess.format,
                what: "has its beginning at its end, and takes a file and no stream",
            }),
            _ => Ok(Box::new(self.frames(guess, reader))),
        }
    }

    /// Looks at the beginning, and gives the reader back with the beginning in it.
    fn guess(
        &self,
        mut reader: Box<dyn BufRead>,
        path: Option<&Path>,
    ) -> Result<(Guess, Box<dyn BufRead>), ImportError> {
        let mut head = Vec::new();
        let failed = ImportError::io("reading it", path);
        reader.by_ref().take(HEAD_BYTES as u64).read_to_end(&mut head).map_err(failed)?;
        let unknown = |what| ImportError::UnknownFormat { path: path.map(Into::into), what };
        let guess = match self.options.format {
            Some(format) => Guess { format, framing: format::framing_as(format, &head) },
            None => format::look(&head).map_err(unknown)?,
        };
        Ok((guess, Box::new(Cursor::new(head).chain(reader))))
    }

    fn frames(&self, guess: Guess, reader: Box<dyn BufRead>) -> Frames {
        let parser: Box<dyn Parser> = match guess.format {
            Format::ClaudeCode => Box::new(claude_code::Log::default()),
            Format::Codex => Box::new(codex::Log::default()),
            Format::LiteLlm => Box::new(litellm::SpendLogs),
            Format::Langfuse => Box::new(langfuse::Observations),
            Format::Phoenix => Box::new(phoenix::Spans),
            format => Box::new(records::Records { format }),
        };
        let cutter = Cutter::new(reader, guess.framing, self.options.limit);
        Frames { cutter, parser, is_linked: guess.format.is_linked(), limit: self.options.limit }
    }

    /// Reads on until there is something to give, or nothing more.
    fn advance(&mut self) -> Result<(), ImportError> {
        while self.out.is_empty() {
            match &mut self.current {
                Some(source) => {
                    if !source.advance(&mut self.out)? {
                        self.read_before += source.place().offset;
                        self.current = None;
                    }
                }
                None if self.begun < self.files.len() => self.begin_file(None)?,
                None => {
                    self.ended = true;
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

#[cfg(feature = "parquet")]
fn of_parquet(path: &Path, at: Place) -> Result<Box<dyn Source>, ImportError> {
    Ok(Box::new(parquet::Groups::open(path, at)?))
}

#[cfg(not(feature = "parquet"))]
fn of_parquet(path: &Path, _: Place) -> Result<Box<dyn Source>, ImportError> {
    Err(ImportError::Unsupported {
        path: Some(path.into()),
        format: Format::Parquet,
        what: "is read where taximeter-persistence is built with its feature `parquet`",
    })
}

impl Iterator for Importer {
    type Item = Result<Result<OperationRecord, Rejected>, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.out.is_empty()
            && !self.ended
            && let Err(error) = self.advance()
        {
            self.ended = true;
            return Some(Err(error));
        }
        self.out.next().map(Ok)
    }
}

impl fmt::Debug for Importer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Importer").field("position", &self.position()).finish_non_exhaustive()
    }
}

impl Checkpoint {
    fn place(&self) -> Place {
        Place { line: self.line, offset: self.offset, index: self.index }
    }
}

/// A stream that is cut into frames, and who reads them.
struct Frames {
    cutter: Cutter,
    parser: Box<dyn Parser>,
    is_linked: bool,
    limit: usize,
}

impl Source for Frames {
    fn advance(&mut self, out: &mut Output) -> Result<bool, ImportError> {
        let failed = |error: io::Error| ImportError::io("reading it", out.path.as_deref())(error);
        match self.cutter.next().map_err(failed)? {
            Next::Frame(place) => {
                let (frame, head) = self.cutter.frame(place);
                self.parser.frame(&frame, head, out)?;
            }
            Next::TooLong(place) => out.reject(place, Why::TooLong { limit: self.limit }),
            Next::Cut(place) => out.reject(place, Why::CutShort),
            Next::End => {
                self.parser.end(out);
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn place(&self) -> Place {
        self.cutter.place()
    }

    fn restart(&self) -> Place {
        if self.is_linked { Place::START } else { self.cutter.place() }
    }

    fn is_linked(&self) -> bool {
        self.is_linked
    }
}
