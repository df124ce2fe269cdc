//! Where records are kept for good: the small trait behind which every engine stands, and its twin in memory.
//!
//! A store takes records in batches, each record once by its id, and keeps the sums of every minute, hour and day beside
//! them in the same transaction. It is asked in three ways: for whole records ([`Store::scan`], [`Store::get`]), for
//! columns of what was recorded ([`Store::columns`]), and for sums ([`Store::rollups`]).

#[cfg(feature = "sealed")]
mod beside;
#[cfg(feature = "sealed")]
pub mod block;
mod columns;
mod counter;
mod gather;
mod memory;
mod note;
mod query;
mod rollup;
mod rows;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::fmt;
use std::ops::{AddAssign, ControlFlow};

use chrono::{DateTime, Utc};
use taximeter_models::{Name, OperationId, OperationRecord};

pub use columns::{Block, Column, Keys, Usages};
pub use counter::Counter;
pub use memory::MemoryStore;
pub use note::Note;
pub use query::{Condition, Detail, Order, Query, Table};
pub use rollup::{
    Dimension, Level, Numbers, Place, Rollup, RollupQuery, Summarize, Unreadable, WindowBytes,
};
#[cfg(feature = "sqlite")]
pub use sqlite::{
    Answer, Checked, Journal, JournalEntry, JournalTrace, Keep, OpenSqlite, Repaired, Sql,
    SqliteStore,
};

use crate::StoreError;

/// Keeps records for good. All methods may be called from any thread.
///
/// What an engine promises when `append` and `flush` return is its durability, which it documents.
pub trait Store: Send + Sync + fmt::Debug {
    /// Takes a batch. A record whose id is there already changes nothing, and is counted. Either the whole batch is
    /// taken or none of it.
    ///
    /// # Errors
    /// Where the batch was not taken; it may be offered again.
    fn append(&self, records: &[OperationRecord]) -> Result<Appended, StoreError>;

    /// Makes everything that was taken so far as safe as the durability of the store says.
    ///
    /// # Errors
    /// Where that failed.
    fn flush(&self) -> Result<(), StoreError>;

    /// Appends as [`append`](Self::append) does, but one operation that cannot be stored takes no others with it: they
    /// are appended one by one then, and `refused` is told of each that was not.
    ///
    /// # Errors
    /// Where the batch was refused as a whole, for no fault of one operation.
    fn append_each(
        &self,
        records: &[OperationRecord],
        refused: &mut dyn FnMut(StoreError),
    ) -> Result<Appended, StoreError> {
        match self.append(records) {
            Err(StoreError::Unstorable { .. }) => {}
            other => return other,
        }
        let mut all = Appended::default();
        for record in records {
            match self.append(std::slice::from_ref(record)) {
                Ok(appended) => {
                    all.stored += appended.stored;
                    all.known += appended.known;
                }
                Err(error) => refused(error),
            }
        }
        Ok(all)
    }

    /// One record; none where there is none of that id.
    ///
    /// # Errors
    /// Where the store cannot be read.
    fn get(&self, id: OperationId) -> Result<Option<OperationRecord>, StoreError>;

    /// Shows the records that a query asks for, one by one, in constant memory but for what its order needs.
    ///
    /// # Errors
    /// Where the store cannot be read.
    fn scan(
        &self,
        query: &Query,
        each: &mut dyn FnMut(OperationRecord) -> ControlFlow<()>,
    ) -> Result<Scanned, StoreError>;

    /// Shows columns of what a query asks for, block by block; only the blocks and columns that are needed are read.
    /// A row is an operation, or one of its calls or components, as `table` says. The order of the rows is that in which
    /// they are stored: the query's order and limit are not looked at.
    ///
    /// # Errors
    /// Where the store cannot be read.
    fn columns(
        &self,
        table: Table,
        query: &Query,
        columns: &[Column],
        each: &mut dyn FnMut(&Block<'_>) -> ControlFlow<()>,
    ) -> Result<Scanned, StoreError>;

    /// Shows columns of several tables at once, piece by piece: the rows of all are those of the same operations, and
    /// [`Column::Owner`] says of which. Of a piece in which no operation is meant nothing is shown. Else as
    /// [`columns`](Self::columns); the rows of the first table are counted. Default: out of whole records.
    ///
    /// # Errors
    /// Where the store cannot be read.
    fn tables(
        &self,
        query: &Query,
        tables: &[(Table, &[Column])],
        each: &mut dyn FnMut(&[Block<'_>]) -> ControlFlow<()>,
    ) -> Result<Scanned, StoreError> {
        gather::tables(|each| self.scan(&query.clone().anyhow(), each), tables, each)
    }

    /// Lets several count at once what a query asks for: each piece is shown to one of them, as by [`tables`](Self::tables). No
    /// operation is met twice, and none is left out that was there, whatever is written meanwhile. Of a piece whose operations
    /// all began within the time of the query, they may take the sums instead. Default: the first counts all.
    ///
    /// # Errors
    /// Where the store cannot be read.
    fn count(
        &self,
        query: &Query,
        tables: &[(Table, &[Column])],
        counters: &mut [&mut dyn Counter],
    ) -> Result<Scanned, StoreError> {
        let Some(first) = counters.first_mut() else { return Ok(Scanned::default()) };
        self.tables(query, tables, &mut |blocks| {
            first.columns(blocks);
            ControlFlow::Continue(())
        })
    }

    /// The sums of whole minutes, hours or days, merged to what the query asks for.
    ///
    /// # Errors
    /// Where the store cannot be read, or a window was made by a newer version.
    fn rollups(&self, query: &RollupQuery) -> Result<Vec<Rollup>, StoreError>;

    /// Shows the windows of which [`rollups`](Self::rollups) makes one of each group, without merging them, for who merges
    /// them himself: when the answer begins, its key, and the window. Default: those that are merged already.
    ///
    /// # Errors
    /// Where the store cannot be read, or `each` says so.
    fn windows(&self, query: &RollupQuery, each: ShowWindow<'_>) -> Result<(), StoreError> {
        for rollup in self.rollups(query)? {
            each(rollup.start, rollup.key, &rollup.window.bytes)?;
        }
        Ok(())
    }

    /// Does a small piece of what is to be done by and by, as of a moment: sums up further, seals, removes what is too
    /// old, gives room back. Says what was done and whether there is more. It is called by who has time for it.
    /// Default: there is nothing to do.
    ///
    /// # Errors
    /// Where the store cannot be written. What was done before stays done.
    fn maintain(&self, now: DateTime<Utc>) -> Result<Maintained, StoreError> {
        let _ = now;
        Ok(Maintained::default())
    }

    /// The same for the thread that appends, which calls it between batches: what takes long may be done on another thread
    /// meanwhile, and comes in at a later call. How much may be left to do so is bounded. Default: as
    /// [`maintain`](Self::maintain).
    ///
    /// # Errors
    /// As for [`maintain`](Self::maintain).
    fn maintain_beside(&self, now: DateTime<Utc>) -> Result<Maintained, StoreError> {
        self.maintain(now)
    }

    /// Makes ready in memory a piece of what questions ask for again and again, and says whether there may be more. It is for
    /// who answers many, and is called when nothing waits. Default: nothing can be made ready.
    ///
    /// # Errors
    /// Where the store cannot be read.
    fn warm(&self) -> Result<bool, StoreError> {
        Ok(false)
    }

    /// Since when the sums of minutes, hours and days are whole; those before were removed, or may have been. None where
    /// all are there. Default: all are there.
    ///
    /// # Errors
    /// Where the store cannot be read.
    fn sums_since(&self) -> Result<[Option<DateTime<Utc>>; 3], StoreError> {
        Ok([None; 3])
    }

    /// Keeps a note in the place of an earlier one of its key. Default: it is forgotten.
    ///
    /// # Errors
    /// Where the store cannot be written.
    fn put_note(&self, note: &Note) -> Result<(), StoreError> {
        let _ = note;
        Ok(())
    }

    /// The notes whose keys begin so, in the order of these. Default: there are none.
    ///
    /// # Errors
    /// Where the store cannot be read.
    fn notes(&self, beginning: &str) -> Result<Vec<Note>, StoreError> {
        let _ = beginning;
        Ok(Vec::new())
    }

    /// Of the notes whose keys begin so, the last one of each series, in the order of these: a series is what has the same key
    /// up to its last `/`. Those whose keys go on behind that with a text above `upto` are left out. Default: out of all
    /// [`notes`](Self::notes); a store that can find the last one without them is to do so.
    ///
    /// ```
    /// use taximeter_persistence::store::{MemoryStore, Note, Store};
    ///
    /// let store = MemoryStore::new();
    /// let now = "2026-11-27T12:00:00Z".parse().expect("a moment");
    /// for key in ["meter/a/01", "meter/a/02", "meter/a/03", "meter/b/01"] {
    ///     store.put_note(&Note::new(key, now, 7))?;
    /// }
    /// let last = store.last_notes("meter/", Some("02"))?;
    /// assert_eq!(last.iter().map(|note| &*note.key).collect::<Vec<_>>(), ["meter/a/02", "meter/b/01"]);
    /// # Ok::<(), taximeter_persistence::StoreError>(())
    /// ```
    ///
    /// # Errors
    /// Where the store cannot be read.
    fn last_notes(&self, beginning: &str, upto: Option<&str>) -> Result<Vec<Note>, StoreError> {
        let mut last: Vec<Note> = Vec::new();
        for note in self.notes(beginning)? {
            let (series, text) = note::parts(&note.key);
            if upto.is_some_and(|upto| text > upto) {
                continue;
            }
            match last.last_mut() {
                Some(before) if note::parts(&before.key).0 == series => *before = note,
                _ => last.push(note),
            }
        }
        Ok(last)
    }

    /// Forgets the notes whose keys begin so and that are older, and says how many these were. Default: there are none.
    ///
    /// # Errors
    /// Where the store cannot be written.
    fn forget_notes(&self, beginning: &str, before: DateTime<Utc>) -> Result<u64, StoreError> {
        let _ = (beginning, before);
        Ok(0)
    }

    /// What is there: how many records from when to when, and what they take.
    ///
    /// # Errors
    /// Where the store cannot be read.
    fn stats(&self) -> Result<StoreStats, StoreError>;

    /// What of it can be told without counting, however much is there. Default: out of [`stats`](Self::stats).
    ///
    /// # Errors
    /// Where the store cannot be read.
    fn span(&self) -> Result<StoreSpan, StoreError> {
        let stats = self.stats()?;
        let operations = stats.hot_operations + stats.sealed_operations;
        let StoreStats { sealed_operations, first_ns, last_ns, bytes, known, .. } = stats;
        Ok(StoreSpan { operations, sealed_operations, first_ns, last_ns, bytes, known })
    }
}

/// Is shown a window: when its answer begins, its key, and its bytes.
pub type ShowWindow<'s> =
    &'s mut (dyn FnMut(Option<DateTime<Utc>>, Option<Name>, &[u8]) -> Result<(), StoreError> + 's);

/// What is safe when [`append`](Store::append) has returned.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// The operating system has it: it survives the end of the process, however that comes. When the power goes, the
    /// last batches may be lost; what is there is whole. SQLite's `synchronous = NORMAL`.
    #[default]
    Os,
    /// The disk has it: it survives when the power goes, as far as the disk says the truth. SQLite's
    /// `synchronous = FULL`.
    Fsync,
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Appended {
    /// Records that are new.
    pub stored: u64,
    /// Records whose id was there already.
    pub known: u64,
}

/// What was done by [`Store::maintain`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Maintained {
    /// Rows of sums that are in the next level now too.
    pub rolled_up: u64,
    /// Operations that were sealed.
    pub sealed: u64,
    /// Operations of small blocks that were put together in one.
    pub merged: u64,
    /// Operations that were removed.
    pub removed_operations: u64,
    /// Rows of sums that were removed.
    pub removed_sums: u64,
    /// Bytes that were given back to the file system.
    pub freed_bytes: u64,
    /// Whether there is more to do.
    pub more: bool,
}

/// What a question touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Scanned {
    /// Rows that were looked at.
    pub rows: u64,
    /// Rows that the query asked for and that were shown.
    pub shown: u64,
    /// Operations that were met and could not be read because their bytes are damaged. They are in no answer; a check
    /// counts all that there are, and a repair says which.
    pub damaged: u64,
    /// Whether older ones were not looked for, because they are in more pieces than were to be looked into.
    pub broken_off: bool,
}

impl AddAssign for Scanned {
    fn add_assign(&mut self, other: Self) {
        self.rows += other.rows;
        self.shown += other.shown;
        self.damaged += other.damaged;
        self.broken_off |= other.broken_off;
    }
}

/// How many operations a store holds, from when to when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct StoreSpan {
    /// Operations.
    pub operations: u64,
    /// Those of them that are in sealed columns.
    pub sealed_operations: u64,
    /// When the first of them began, in nanoseconds since 1970; none where there is none.
    pub first_ns: Option<i64>,
    /// When the last of them began, likewise.
    pub last_ns: Option<i64>,
    /// Bytes on disk, the log of what is not yet in its place included; 0 in memory.
    pub bytes: u64,
    /// Operations that were refused because their id was there already, since the store was made.
    pub known: u64,
}

/// What a store holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct StoreStats {
    /// Operations in rows that can be read one by one.
    pub hot_operations: u64,
    /// Operations in sealed columns.
    pub sealed_operations: u64,
    /// When the first operation began, in nanoseconds since 1970; none where there is none.
    pub first_ns: Option<i64>,
    /// When the last operation began, likewise.
    pub last_ns: Option<i64>,
    /// Sums of minutes, hours and days.
    pub rollups: u64,
    /// Bytes on disk, the log of what is not yet in its place included; 0 in memory.
    pub bytes: u64,
    /// Bytes of the sealed columns alone.
    pub sealed_bytes: u64,
    /// Operations that were refused because their id was there already, since the store was made.
    pub known: u64,
}
