//! The store in one file of SQLite.
//!
//! Recent operations are rows of ordinary tables, which everybody can read; older ones, and those that come in large
//! batches, are sealed in columns. The sums of minutes, hours and days stand beside them. A batch, its rows and its sums
//! are one transaction.

mod append;
mod ask;
mod blocks;
mod cells;
mod check;
mod count;
mod error;
mod extents;
mod fit;
mod journal;
mod maintain;
mod merge;
mod more;
mod names;
mod notes;
mod open;
mod packs;
mod parts;
mod price;
mod read;
mod repair;
mod runs;
mod schema;
mod seal;
mod sql;
mod summed;
mod sums;
mod version_1;
mod wants;
mod whole;
mod work;
mod write;

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use rusqlite::Connection;
use taximeter_models::{OperationId, OperationRecord};

pub use self::check::Checked;
use self::error::failed;
use self::extents::Extent;
pub use self::journal::{Journal, JournalEntry, JournalTrace};
pub use self::maintain::Keep;
use self::names::Texts;
pub use self::repair::Repaired;
pub use self::sql::{Answer, Sql};
use self::work::Who;
use super::{
    Appended, Block, Column, Counter, Durability, Maintained, Note, Query, Rollup, RollupQuery,
    Scanned, ShowWindow, Store, StoreSpan, StoreStats, Summarize, Table,
};
use crate::StoreError;

/// Keeps records in one file of SQLite.
///
/// ```
/// use taximeter_models::OperationRecord;
/// use taximeter_persistence::StoreError;
/// use taximeter_persistence::store::{Durability, SqliteStore, Store};
///
/// # let room = tempfile::tempdir().expect("a temporary directory");
/// # let folder = room.path();
/// let store = SqliteStore::at(folder).durability(Durability::Fsync).open()?;
/// let record = OperationRecord::new("qa_response");
/// store.append(std::slice::from_ref(&record))?;
/// assert_eq!(store.get(record.id)?, Some(record));
/// assert!(store.path().ends_with("taximeter.db"));
///
/// // A store that is not there is made only where that was asked for.
/// let missing = SqliteStore::at(folder.join("elsewhere.db")).create(false).open();
/// assert!(matches!(missing, Err(StoreError::NotFound { .. })));
/// # Ok::<(), StoreError>(())
/// ```
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    how: open::How,
    keep: Keep,
    summarize: Option<Arc<dyn Summarize>>,
    /// Those that nobody is reading with just now. They are closed before the writer: the last one to close the file
    /// empties its log and takes it away, and who may only read cannot.
    readers: Mutex<Vec<Reader>>,
    /// What these know of blocks.
    metas: blocks::Metas,
    runs: runs::Runs,
    /// None where the store may only be read.
    writer: Option<Mutex<Writer>>,
    work: work::Work,
}

/// The one connection that writes.
#[derive(Debug)]
struct Writer {
    connection: Connection,
    memory: write::Memory,
    blocks: blocks::Known,
    /// Extents of which nothing more can be sealed as they are.
    stuck: HashMap<i64, Extent>,
    /// Small blocks that cannot be put together with others.
    lone: HashSet<i64>,
    /// Every block up to this number has sums, or is to have none.
    summed_upto: i64,
    /// Whether the file failed, so that it is opened anew before it is written again.
    failed: bool,
}

impl Writer {
    fn new(connection: Connection) -> Self {
        Self {
            connection,
            memory: write::Memory::default(),
            blocks: blocks::Known::default(),
            stuck: HashMap::new(),
            lone: HashSet::new(),
            summed_upto: 0,
            failed: false,
        }
    }
}

/// A connection that reads.
#[derive(Debug)]
struct Reader {
    connection: Connection,
    access: open::Access,
    texts: Texts,
    blocks: blocks::Known,
}

/// So many connections are kept that nobody reads with just now.
const MOST_READERS: usize = 6;

impl Reader {
    fn open(path: &Path, how: &open::How, metas: &blocks::Metas) -> Result<Self, StoreError> {
        let (connection, access) = open::for_reading(path, how)?;
        let (texts, blocks) = (Texts::default(), blocks::Known::sharing(metas));
        Ok(Self { connection, access, texts, blocks })
    }
}

/// Opens a [`SqliteStore`].
#[derive(Debug)]
#[must_use = "the store is there after `open()`"]
pub struct OpenSqlite {
    path: PathBuf,
    how: open::How,
    keep: Keep,
    summarize: Option<Arc<dyn Summarize>>,
}

impl OpenSqlite {
    /// What is safe when `append` has returned. Default: [`Durability::Os`].
    pub fn durability(mut self, durability: Durability) -> Self {
        self.how.durability = durability;
        self
    }

    /// How the sums of minutes, hours and days are made. Default: none are.
    pub fn summarize(mut self, summarize: Arc<dyn Summarize>) -> Self {
        self.summarize = Some(summarize);
        self
    }

    /// What is kept, where and for how long. Default: [`Keep::default`].
    pub fn keep(mut self, keep: Keep) -> Self {
        self.keep = keep;
        self
    }

    /// How long another process is waited for that holds the store. Default: five seconds.
    pub fn wait(mut self, timeout: Duration) -> Self {
        self.how.busy = timeout;
        self
    }

    /// Whether a store is made where there is none. Default: yes.
    pub fn create(mut self, create: bool) -> Self {
        self.how.create = create;
        self
    }

    /// Opens the store for writing and reading. Where it is made, the file is for this user alone, and so are the
    /// folders that were missing. A store of an older version is brought to this one.
    ///
    /// # Errors
    /// Where there is none and none was to be made, where what is there is no store, damaged or newer, is a link or
    /// another user's, and where the system refuses.
    pub fn open(self) -> Result<SqliteStore, StoreError> {
        let connection = open::for_writing(&self.path, &self.how)?;
        Ok(self.finish(Some(Mutex::new(Writer::new(connection)))))
    }

    /// Opens the store for reading alone: nothing is made, and nothing changed.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn open_to_read(self) -> Result<SqliteStore, StoreError> {
        let store = self.finish(None);
        let reader = Reader::open(&store.path, &store.how, &store.metas)?;
        store.keep_reader(reader);
        Ok(store)
    }

    fn finish(self, writer: Option<Mutex<Writer>>) -> SqliteStore {
        let Self { path, how, keep, summarize } = self;
        let (readers, metas, runs, work) = Default::default();
        SqliteStore { path, how, keep, summarize, readers, metas, runs, writer, work }
    }
}

impl SqliteStore {
    /// The store in this file; or in the file `taximeter.db` where this is a folder, or is not there and has no
    /// extension.
    pub fn at(path: impl AsRef<Path>) -> OpenSqlite {
        let how = open::How {
            durability: Durability::default(),
            busy: Duration::from_secs(5),
            create: true,
        };
        OpenSqlite { path: open::file(path.as_ref()), how, keep: Keep::default(), summarize: None }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is kept, where and for how long, whenever this one looks after the store.
    pub fn keep(&self) -> Keep {
        self.keep
    }

    /// What is safe when `append` has returned.
    pub fn durability(&self) -> Durability {
        self.how.durability
    }

    fn writer(&self, doing: &'static str) -> Result<MutexGuard<'_, Writer>, StoreError> {
        let read_only = || StoreError::ReadOnly { doing, path: self.path.clone() };
        let writer = self.writer.as_ref().ok_or_else(read_only)?;
        let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
        if writer.failed {
            self.open_anew(&mut writer)?;
        }
        Ok(writer)
    }

    /// Opens the file again after it failed: SQLite remembers that its index of the log could only be read, and shares
    /// that among the connections of a process, so that those are closed first that nobody uses.
    fn open_anew(&self, writer: &mut Writer) -> Result<(), StoreError> {
        writer.connection = Connection::open_in_memory().map_err(failed("opening", &self.path))?;
        self.readers().clear();
        self.metas.clear();
        *writer = Writer::new(open::for_writing(&self.path, &self.how)?);
        Ok(())
    }

    fn readers(&self) -> MutexGuard<'_, Vec<Reader>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads in one transaction, so that what others write meanwhile is seen whole or not at all. The connection is
    /// nobody else's while that lasts, so that who looks at what was read may ask on.
    fn read<T>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&mut Reader) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut reader = self.begin(doing)?;
        let done = work(&mut reader);
        self.end(reader, done.is_ok());
        done
    }

    /// Begins to read; what is seen is what is there at the first question.
    fn begin(&self, doing: &'static str) -> Result<Reader, StoreError> {
        let free = self.readers().pop();
        let reader = match free {
            Some(reader) => reader,
            None => Reader::open(&self.path, &self.how, &self.metas)?,
        };
        reader.connection.execute_batch("BEGIN").map_err(failed(doing, &self.path))?;
        Ok(reader)
    }

    /// What failed once is not used again.
    fn end(&self, reader: Reader, is_well: bool) {
        if reader.connection.execute_batch("ROLLBACK").is_ok() && is_well {
            self.keep_reader(reader);
        }
    }

    /// Keeps a reader for the next question, unless enough wait for one: each remembers pages and texts. Where nobody wrote, it
    /// is to be seen anew whether somebody does.
    fn keep_reader(&self, reader: Reader) {
        let mut readers = self.readers();
        if reader.access == open::Access::Shared && readers.len() < MOST_READERS {
            readers.push(reader);
        }
    }
}

impl Store for SqliteStore {
    fn append(&self, records: &[OperationRecord]) -> Result<Appended, StoreError> {
        let mut writer = self.writer("writing")?;
        append::append(&mut writer, records, self.summarize.as_deref(), &self.keep, &self.path)
    }

    fn flush(&self) -> Result<(), StoreError> {
        // A batch is as safe as it gets when its transaction is over.
        Ok(())
    }

    fn get(&self, id: OperationId) -> Result<Option<OperationRecord>, StoreError> {
        self.read("reading", |reader| ask::get(reader, id, &self.path))
    }

    fn scan(
        &self,
        query: &Query,
        each: &mut dyn FnMut(OperationRecord) -> ControlFlow<()>,
    ) -> Result<Scanned, StoreError> {
        self.read("reading", |reader| ask::scan(reader, query, each, &self.path))
    }

    fn columns(
        &self,
        table: Table,
        query: &Query,
        columns: &[Column],
        each: &mut dyn FnMut(&Block<'_>) -> ControlFlow<()>,
    ) -> Result<Scanned, StoreError> {
        self.tables(query, &[(table, columns)], &mut |blocks| match blocks {
            [block] if block.rows() > 0 => each(block),
            _ => ControlFlow::Continue(()),
        })
    }

    fn tables(
        &self,
        query: &Query,
        tables: &[(Table, &[Column])],
        each: &mut dyn FnMut(&[Block<'_>]) -> ControlFlow<()>,
    ) -> Result<Scanned, StoreError> {
        self.read("reading", |reader| ask::tables(reader, tables, query, each, &self.path))
    }

    fn count(
        &self,
        query: &Query,
        tables: &[(Table, &[Column])],
        counters: &mut [&mut dyn Counter],
    ) -> Result<Scanned, StoreError> {
        count::count(self, tables, query, counters)
    }

    fn warm(&self) -> Result<bool, StoreError> {
        let Some(summarize) = self.summarize.as_deref() else { return Ok(false) };
        self.read("reading", |reader| self.runs.make(reader, summarize, &self.path))
    }

    fn rollups(&self, query: &RollupQuery) -> Result<Vec<Rollup>, StoreError> {
        let Some(summarize) = self.summarize.as_deref() else { return Ok(Vec::new()) };
        self.read("reading", |reader| sums::ask(&reader.connection, query, summarize, &self.path))
    }

    fn windows(&self, query: &RollupQuery, each: ShowWindow<'_>) -> Result<(), StoreError> {
        if self.summarize.is_none() {
            return Ok(());
        }
        self.read("reading", |reader| {
            sums::show(&reader.connection, query, &self.path, &mut |start, key, window| {
                let start = start.and_then(|start| DateTime::from_timestamp(start, 0));
                each(start, key, window)
            })
        })
    }

    fn sums_since(&self) -> Result<[Option<DateTime<Utc>>; 3], StoreError> {
        self.read("reading", |reader| {
            sums::since(&reader.connection).map_err(failed("reading", &self.path))
        })
    }

    fn put_note(&self, note: &Note) -> Result<(), StoreError> {
        SqliteStore::put_note(self, note)
    }

    fn notes(&self, beginning: &str) -> Result<Vec<Note>, StoreError> {
        self.read_notes(beginning)
    }

    fn last_notes(&self, beginning: &str, upto: Option<&str>) -> Result<Vec<Note>, StoreError> {
        self.read_last_notes(beginning, upto)
    }

    fn forget_notes(&self, beginning: &str, before: DateTime<Utc>) -> Result<u64, StoreError> {
        SqliteStore::forget_notes(self, beginning, before)
    }

    fn stats(&self) -> Result<StoreStats, StoreError> {
        self.read("reading", |reader| ask::stats(&reader.connection, &self.path))
    }

    fn span(&self) -> Result<StoreSpan, StoreError> {
        self.read("reading", |reader| ask::span(&reader.connection, &self.path))
    }

    fn maintain(&self, now: DateTime<Utc>) -> Result<Maintained, StoreError> {
        self.do_step(now, Who::Idle)
    }

    fn maintain_beside(&self, now: DateTime<Utc>) -> Result<Maintained, StoreError> {
        self.do_step(now, Who::Appending)
    }
}
