//! A journal of requests in a file of SQLite of its own: what a server took and has not made records of yet.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OpenFlags, params};

use super::error::{damaged, failed};
use super::open::{check_file, create_folder, folder, place, system, with_suffix};
use crate::StoreError;
use crate::store::Durability;

/// Stands in the head of the file: `txmj`.
const APPLICATION: i64 = 0x7478_6d6a;
const VERSION: i64 = 2;

const SCHEMA: &str = "
    PRAGMA page_size = 8192;
    PRAGMA auto_vacuum = INCREMENTAL;
    PRAGMA journal_mode = WAL;
    BEGIN;
    -- Requests as they came; `kind` is what their reader needs to know of them.
    CREATE TABLE requests (mark INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, kind TEXT NOT NULL, body BLOB NOT NULL);
    -- Traces that were closed together: the id of each and the mark of the last request that told of it, 24 bytes; and
    -- the last of these marks.
    CREATE TABLE closings (number INTEGER PRIMARY KEY, stored INTEGER NOT NULL, last INTEGER NOT NULL, traces BLOB NOT NULL);
    PRAGMA application_id = 1954049386;
    PRAGMA user_version = 2;
    COMMIT;";

/// The first version had a row for each trace, which cost more than all else.
const FROM_VERSION_1: &str = "
    CREATE TABLE closings (number INTEGER PRIMARY KEY, stored INTEGER NOT NULL, last INTEGER NOT NULL, traces BLOB NOT NULL);
    INSERT INTO closings (stored, last, traces) SELECT stored, mark, unhex(hex(trace) || printf('%016x', mark)) FROM closed;
    DROP TABLE closed;
    PRAGMA user_version = 2;";

/// A request that is written down before it is acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalEntry {
    /// When it came.
    pub at: DateTime<Utc>,
    /// What its reader needs to know of it: the journal does not look into it.
    pub kind: String,
    /// The body as it came.
    pub body: Vec<u8>,
}

/// A trace that was closed, as the journal keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct JournalTrace {
    /// Its id.
    pub trace: u128,
    /// The mark of the last request that told of it.
    pub mark: u64,
    /// Whether its records are known to be stored.
    pub stored: bool,
}

/// Requests in the order in which they came, each with a mark that grows.
///
/// ```
/// use chrono::Utc;
/// use taximeter_persistence::StoreError;
/// use taximeter_persistence::store::{Durability, Journal, JournalEntry};
///
/// # let room = tempfile::tempdir().expect("a temporary directory");
/// let journal = Journal::open(&room.path().join("journal.db"), Durability::Os)?;
/// let entry = JournalEntry { at: Utc::now(), kind: "traces".into(), body: b"a request".to_vec() };
/// let mark = journal.append(&[entry.clone()])?; // from here on, it may be acknowledged
///
/// let mut again = Vec::new();
/// journal.replay(|mark, entry| again.push((mark, entry)))?;
/// assert_eq!(again, [(mark, entry)]);
///
/// journal.stored(mark + 1)?; // all below is done with
/// assert_eq!(journal.len()?, 0);
///
/// // One server at a time.
/// assert!(Journal::open(&room.path().join("journal.db"), Durability::Os).is_err());
/// # Ok::<(), StoreError>(())
/// ```
#[derive(Debug)]
pub struct Journal {
    inside: Mutex<Inside>,
    path: PathBuf,
}

#[derive(Debug)]
struct Inside {
    connection: Connection,
    /// The mark of the next request: nobody else writes the file.
    next: i64,
}

impl Journal {
    /// Opens the journal in a file, and makes it where it is not there.
    ///
    /// # Errors
    /// Where it cannot be opened or made, is damaged, of a newer version, or held by another process.
    pub fn open(path: &Path, durability: Durability) -> Result<Self, StoreError> {
        let said = failed("opening", path);
        make(path)?;
        check_file(path, true)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let place = place(path).map_err(system("opening", path))?;
        let connection = Connection::open_with_flags(place, flags).map_err(said)?;
        connection.busy_timeout(Duration::from_millis(200)).map_err(said)?;
        let synchronous = match durability {
            Durability::Os => "NORMAL",
            Durability::Fsync => "FULL",
        };
        // The lock is held from the first read on until the connection is closed: a journal has one server.
        connection
            .execute_batch(&format!(
                "PRAGMA locking_mode = EXCLUSIVE;
                 PRAGMA synchronous = {synchronous};
                 PRAGMA cell_size_check = ON;
                 PRAGMA trusted_schema = OFF;
                 PRAGMA wal_autocheckpoint = 4000;
                 PRAGMA journal_size_limit = 67108864;"
            ))
            .map_err(said)?;
        let next = prepare(&connection, path)?;
        Ok(Self { inside: Mutex::new(Inside { connection, next }), path: path.to_owned() })
    }

    /// Writes requests down, all of them or none, and gives the mark of the first; the others follow one by one.
    ///
    /// # Errors
    /// Where they could not be written; nothing of them is kept then.
    pub fn append(&self, entries: &[JournalEntry]) -> Result<u64, StoreError> {
        self.transaction("writing", |Inside { connection, next }| {
            let first = *next;
            let mut insert =
                connection.prepare_cached("INSERT INTO requests VALUES (?1, ?2, ?3, ?4)")?;
            for (mark, entry) in (first..).zip(entries) {
                let at = entry.at.timestamp_nanos_opt().unwrap_or(i64::MAX);
                insert.execute(params![mark, at, entry.kind, entry.body])?;
            }
            // Marks that were not written after all are passed over.
            *next += i64::try_from(entries.len()).unwrap_or(0);
            Ok(unsigned(first))
        })
    }

    /// Gives every request that is still needed, in the order in which they came.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    pub fn replay(&self, mut each: impl FnMut(u64, JournalEntry)) -> Result<(), StoreError> {
        let said = failed("reading", &self.path);
        let connection = &self.lock().connection;
        let mut select = connection
            .prepare("SELECT mark, at_ns, kind, body FROM requests ORDER BY mark")
            .map_err(said)?;
        let mut rows = select.query([]).map_err(said)?;
        while let Some(row) = rows.next().map_err(said)? {
            let read = || -> rusqlite::Result<(i64, JournalEntry)> {
                let at = DateTime::from_timestamp_nanos(row.get(1)?);
                Ok((row.get(0)?, JournalEntry { at, kind: row.get(2)?, body: row.get(3)? }))
            };
            let (mark, entry) = read().map_err(said)?;
            each(unsigned(mark), entry);
        }
        Ok(())
    }

    /// The traces that were closed, as far as requests that tell of them are kept.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    pub fn closed(&self) -> Result<Vec<JournalTrace>, StoreError> {
        let said = failed("reading", &self.path);
        let connection = &self.lock().connection;
        let mut select = connection
            .prepare("SELECT stored, traces FROM closings ORDER BY number")
            .map_err(said)?;
        let mut rows = select.query([]).map_err(said)?;
        let mut closed = Vec::new();
        while let Some(row) = rows.next().map_err(said)? {
            let read = || Ok((row.get::<_, bool>(0)?, row.get::<_, Vec<u8>>(1)?));
            let (stored, traces) = read().map_err(said)?;
            closed.extend(unpacked(&traces).map(|(trace, mark)| JournalTrace {
                trace,
                mark,
                stored,
            }));
        }
        Ok(closed)
    }

    /// Writes down which traces were closed, each with its mark, before their records are stored.
    ///
    /// # Errors
    /// Where that could not be written; the records are not to be stored then.
    pub fn closing(&self, closed: impl IntoIterator<Item = (u128, u64)>) -> Result<(), StoreError> {
        let (mut traces, mut last) = (Vec::new(), 0);
        for (trace, mark) in closed {
            traces.extend(trace.to_be_bytes());
            traces.extend(mark.to_be_bytes());
            last = last.max(mark);
        }
        if traces.is_empty() {
            return Ok(());
        }
        self.transaction("writing", |Inside { connection, .. }| {
            let insert = "INSERT INTO closings (stored, last, traces) VALUES (0, ?1, ?2)";
            connection.prepare_cached(insert)?.execute(params![signed(last), traces]).map(drop)
        })
    }

    /// The records of all closed traces are stored: forgets what tells of nothing else, all below a mark.
    ///
    /// # Errors
    /// Where that could not be written; it is all the same to do it later.
    pub fn stored(&self, below: u64) -> Result<(), StoreError> {
        self.transaction("writing", |Inside { connection, .. }| {
            let below = params![signed(below)];
            let run = |sql, parameters: &[&dyn rusqlite::ToSql]| {
                connection.prepare_cached(sql)?.execute(parameters)
            };
            run("DELETE FROM requests WHERE mark < ?1", below)?;
            run("DELETE FROM closings WHERE last < ?1", below)?;
            run("UPDATE closings SET stored = 1 WHERE stored = 0", &[]).map(drop)
        })
    }

    /// How many requests are kept.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    pub fn len(&self) -> Result<u64, StoreError> {
        let connection = &self.lock().connection;
        let count = connection.query_row("SELECT count(*) FROM requests", [], |row| row.get(0));
        count.map(unsigned).map_err(failed("reading", &self.path))
    }

    /// Whether no request is kept.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    pub fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.len()? == 0)
    }

    /// How many bytes its file and the log of that take.
    pub fn bytes(&self) -> u64 {
        let length = |suffix| {
            let file = std::fs::metadata(with_suffix(&self.path, suffix));
            file.map_or(0, |file| file.len())
        };
        length("") + length("-wal")
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn transaction<T>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&mut Inside) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let inside = &mut *self.lock();
        inside.connection.execute_batch("BEGIN IMMEDIATE").map_err(failed(doing, &self.path))?;
        let done = work(inside).and_then(|done| {
            inside.connection.execute_batch("COMMIT")?;
            Ok(done)
        });
        done.map_err(|error| {
            let _ = inside.connection.execute_batch("ROLLBACK");
            failed(doing, &self.path)(error)
        })
    }

    /// A transaction that was left halfway is rolled back by the next `BEGIN`'s failure; there is none that can panic.
    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes the tables where there are none, and gives the mark of the next request.
fn prepare(connection: &Connection, path: &Path) -> Result<i64, StoreError> {
    let said = failed("opening", path);
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (application, version) =
        (pragma("application_id").map_err(said)?, pragma("user_version").map_err(said)?);
    match (application, version) {
        (0, 0) => connection.execute_batch(SCHEMA).map_err(said)?,
        (APPLICATION, 1 | VERSION) => {}
        (APPLICATION, version) => {
            let (path, reads_up_to) = (path.to_owned(), VERSION);
            return Err(StoreError::NewerVersion { path, version, reads_up_to });
        }
        _ => {
            return Err(damaged("opening", path, "it is a database, but of another program"));
        }
    }
    // Takes the lock for good.
    let migration = if (application, version) == (APPLICATION, 1) { FROM_VERSION_1 } else { "" };
    connection.execute_batch(&format!("BEGIN IMMEDIATE; {migration} COMMIT;")).map_err(said)?;
    let last = "SELECT max(coalesce((SELECT max(mark) FROM requests), 0),
                           coalesce((SELECT max(last) FROM closings), 0))";
    let last = connection.query_row(last, [], |row| row.get::<_, i64>(0)).map_err(said)?;
    Ok(last + 1)
}

/// Traces with their marks, out of the bytes of a row.
fn unpacked(traces: &[u8]) -> impl Iterator<Item = (u128, u64)> {
    traces.chunks_exact(24).filter_map(|one| {
        let (trace, mark) = one.split_at_checked(16)?;
        Some((
            u128::from_be_bytes(trace.try_into().ok()?),
            u64::from_be_bytes(mark.try_into().ok()?),
        ))
    })
}

/// Makes an empty file that only this user reads.
fn make(path: &Path) -> Result<(), StoreError> {
    let said = system("making", path);
    create_folder(folder(path)).map_err(&said)?;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(said(error)),
    }
}

/// Marks grow one by one, so they never come near the bounds.
fn signed(mark: u64) -> i64 {
    i64::try_from(mark).unwrap_or(i64::MAX)
}

fn unsigned(mark: i64) -> u64 {
    u64::try_from(mark).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_of_the_first_version_is_taken_over() {
        let room = tempfile::tempdir().expect("a temporary directory");
        let path = room.path().join("journal.db");
        make(&path).expect("a file can be made");
        let first = Connection::open(&path).expect("it can be opened");
        first
            .execute_batch(
                "PRAGMA journal_mode = WAL;
                 CREATE TABLE requests (mark INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, kind TEXT NOT NULL, body BLOB NOT NULL);
                 CREATE TABLE closed (trace BLOB NOT NULL, stored INTEGER NOT NULL, mark INTEGER NOT NULL,
                     PRIMARY KEY (trace, stored)) WITHOUT ROWID;
                 INSERT INTO requests VALUES (7, 1, 'traces protobuf identity', x'01');
                 INSERT INTO closed VALUES (x'000000000000000000000000000000ff', 1, 9);
                 INSERT INTO closed VALUES (x'0000000000000000000000000000000e', 0, 300);
                 PRAGMA application_id = 1954049386;
                 PRAGMA user_version = 1;",
            )
            .expect("it is as the first version made it");
        drop(first);
        let journal = Journal::open(&path, Durability::Os).expect("it is taken over");
        let mut closed = journal.closed().expect("it can be read");
        closed.sort_by_key(|trace| trace.mark);
        let told = closed.iter().map(|one| (one.trace, one.mark, one.stored)).collect::<Vec<_>>();
        assert_eq!(told, [(0xff, 9, true), (0xe, 300, false)]);
        // Marks go on behind all that were given, also to requests that are gone.
        let entry = JournalEntry { at: Utc::now(), kind: "traces".into(), body: vec![2] };
        assert_eq!(journal.append(&[entry]).expect("it can be written"), 301);
        assert_eq!(journal.len().expect("it can be read"), 2);
        journal.stored(100).expect("it can be written");
        let closed = journal.closed().expect("it can be read");
        assert_eq!(
            closed.iter().map(|one| (one.trace, one.stored)).collect::<Vec<_>>(),
            [(0xe, true)]
        );
    }
}
