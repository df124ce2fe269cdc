//! The table of notes. It is made when the first one is written, so that a store without any stays as it was.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension};

use super::cells::{Sum, int, text};
use super::error::failed;
use super::{SqliteStore, append};
use crate::StoreError;
use crate::store::note::{self, Note};
use crate::store::rows::nanos;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS notes (
  key TEXT PRIMARY KEY,
  at_ns INTEGER NOT NULL,
  value TEXT NOT NULL,
  checked INTEGER NOT NULL
) STRICT, WITHOUT ROWID";

impl SqliteStore {
    pub(super) fn put_note(&self, note: &Note) -> Result<(), StoreError> {
        let said = failed("writing", &self.path);
        let mut writer = self.writer("writing")?;
        append::transaction(&mut writer, &self.path, |connection, _| {
            connection.execute(TABLE, []).map_err(said)?;
            put(connection, &note.key, nanos(note.at), &note.value.to_string()).map_err(said)
        })
    }

    pub(super) fn read_notes(&self, beginning: &str) -> Result<Vec<Note>, StoreError> {
        self.read("reading", |reader| {
            let rows = rows(&reader.connection, beginning);
            let rows = rows.map_err(failed("reading", &self.path))?;
            // One that does not fit its checksum is in no answer; a check finds it.
            Ok(rows.into_iter().filter_map(Found::note).collect())
        })
    }

    pub(super) fn read_last_notes(
        &self,
        beginning: &str,
        upto: Option<&str>,
    ) -> Result<Vec<Note>, StoreError> {
        self.read("reading", |reader| {
            let last = last(&reader.connection, beginning, upto);
            last.map_err(failed("reading", &self.path))
        })
    }

    pub(super) fn forget_notes(
        &self,
        beginning: &str,
        before: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        let said = failed("writing", &self.path);
        let mut writer = self.writer("writing")?;
        append::transaction(&mut writer, &self.path, |connection, _| {
            if !is_there(connection).map_err(said)? {
                return Ok(0);
            }
            let sql = format!("DELETE FROM notes WHERE {} AND at_ns < ?3", of_beginning(beginning));
            let cells = (beginning, behind(beginning), nanos(before));
            let gone = connection.execute(&sql, cells).map_err(said)?;
            Ok(gone as u64)
        })
    }
}

/// A row as it was read.
struct Found {
    key: String,
    at: i64,
    value: String,
    checked: i64,
}

impl Found {
    fn fits(&self) -> bool {
        self.checked == checked(&self.key, self.at, &self.value)
    }

    fn note(self) -> Option<Note> {
        let value = serde_json::from_str(&self.value).ok().filter(|_| self.fits())?;
        Some(Note { at: DateTime::from_timestamp_nanos(self.at), value, key: self.key })
    }
}

fn checked(key: &str, at: i64, value: &str) -> i64 {
    let mut sum = Sum::default();
    sum.add(text(key));
    sum.add(int(at));
    sum.add(text(value));
    sum.checked()
}

fn put(connection: &Connection, key: &str, at: i64, value: &str) -> rusqlite::Result<()> {
    let sql = "INSERT INTO notes VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (key) DO UPDATE
               SET at_ns = excluded.at_ns, value = excluded.value, checked = excluded.checked
               WHERE excluded.at_ns >= at_ns";
    let checked = checked(key, at, value);
    connection.prepare_cached(sql)?.execute((key, at, value, checked)).map(drop)
}

pub(super) fn is_there(connection: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'notes'";
    connection.query_row(sql, [], |_| Ok(())).optional().map(|found| found.is_some())
}

fn rows(connection: &Connection, beginning: &str) -> rusqlite::Result<Vec<Found>> {
    if !is_there(connection)? {
        return Ok(Vec::new());
    }
    let meant = of_beginning(beginning);
    let sql = format!("SELECT key, at_ns, value, checked FROM notes WHERE {meant} ORDER BY key");
    let mut select = connection.prepare_cached(&sql)?;
    select.query_map((beginning, behind(beginning)), found)?.collect()
}

fn found(row: &rusqlite::Row<'_>) -> rusqlite::Result<Found> {
    let (key, value) = (lossy(row, 0)?, lossy(row, 2)?);
    Ok(Found { key, at: row.get(1)?, value, checked: row.get(3)? })
}

/// The last note of each series that fits its checksum. What lies between is not looked at: from the first key of a series
/// it is one step to its last one, and another to the next series.
fn last(
    connection: &Connection,
    beginning: &str,
    upto: Option<&str>,
) -> rusqlite::Result<Vec<Note>> {
    let (mut last, mut from) = (Vec::new(), beginning.to_owned());
    if !is_there(connection)? {
        return Ok(last);
    }
    let sql = "SELECT key FROM notes WHERE key >= ?1 ORDER BY key LIMIT 1";
    let mut first_key = connection.prepare_cached(sql)?;
    let sql = "SELECT key, at_ns, value, checked FROM notes
               WHERE key >= ?1 AND key < coalesce(?2, x'') AND (?3 IS NULL OR key <= ?3) ORDER BY key DESC";
    let mut of_series = connection.prepare_cached(sql)?;
    while let Some(key) = first_key.query_row([&from], |row| lossy(row, 0)).optional()? {
        let (series, _) = note::parts(&key);
        if !key.starts_with(beginning) {
            break;
        }
        let (end, most) = (behind(series), upto.map(|upto| format!("{series}{upto}")));
        let mut rows = of_series.query((series, &end, most))?;
        while let Some(row) = rows.next()? {
            if let Some(note) = found(row)?.note() {
                last.push(note);
                break;
            }
        }
        // A key that is no text any more may stand anywhere.
        let Some(next) = end.filter(|next| *next > from) else { break };
        from = next;
    }
    Ok(last)
}

/// Keys that begin so: from the least on, to what comes behind all of them. No other key is looked at. Every key begins with
/// nothing, also one that is no text any more.
fn of_beginning(beginning: &str) -> &'static str {
    match beginning {
        "" => "?1 = '' AND ?2 IS NULL",
        // A blob comes behind every text.
        _ => "key >= ?1 AND key < coalesce(?2, x'')",
    }
}

/// The least text that comes behind all that begin so; none where every text may.
fn behind(beginning: &str) -> Option<String> {
    let mut text = beginning.to_owned();
    while let Some(last) = text.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            text.push(next);
            return Some(text);
        }
    }
    None
}

/// What is no text any more does not fit the checksum either.
fn lossy(row: &rusqlite::Row<'_>, place: usize) -> rusqlite::Result<String> {
    let bytes = row.get_ref(place)?.as_bytes().unwrap_or_default();
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

/// How many notes do not fit their checksums.
pub(super) fn unreadable(connection: &Connection) -> rusqlite::Result<usize> {
    Ok(rows(connection, "")?.iter().filter(|found| !found.fits()).count())
}

/// Copies every note that can be read.
pub(super) fn copy(from: &Connection, to: &Connection) -> rusqlite::Result<()> {
    to.execute(TABLE, [])?;
    for found in rows(from, "")?.into_iter().filter(Found::fits) {
        put(to, &found.key, found.at, &found.value)?;
    }
    Ok(())
}
