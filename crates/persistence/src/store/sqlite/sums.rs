//! The sums of minutes, hours and days.
//!
//! A batch is summed into the rows of its minutes. What is rolled up stays where it is and is marked, so that at every
//! instant an hour is the sum of its row and of the minutes in it that are not marked; see [`SqliteStore::maintain`].
//!
//! [`SqliteStore::maintain`]: super::SqliteStore

use std::collections::BTreeMap;
use std::path::Path;

use chrono::DateTime;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, Statement};
use taximeter_models::{Name, OperationRecord};

use super::cells::{Sum, blob, int, text};
use super::error::{damaged, failed};
use crate::StoreError;
use crate::store::memory::by_minute;
use crate::store::{Level, Place, Rollup, RollupQuery, Summarize, WindowBytes};

/// Not in a row of the next level yet.
pub(super) const OPEN: i64 = 0;
/// In a row of the next level too.
pub(super) const ROLLED: i64 = 1;
/// As `OPEN`, beside a row of this place that could not be read: what is wrong there loses nothing that comes later.
pub(super) const BESIDE: i64 = 2;

/// Where a row of sums stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct At {
    pub(super) level: i64,
    pub(super) start: i64,
    pub(super) place: Place,
    pub(super) rolled: i64,
}

/// The windows of the minutes in which records began, with the places where they belong.
pub(super) fn windows(
    records: &[&OperationRecord],
    summarize: &dyn Summarize,
) -> Vec<(At, WindowBytes)> {
    let mut made = Vec::new();
    for (start, records) in by_minute(records) {
        summarize.windows(&records, &mut |place, window| {
            let at = At { level: number(Level::Minute), start, place, rolled: OPEN };
            made.push((at, window));
        });
    }
    made
}

/// Adds windows to the rows of their places.
pub(super) struct Adder<'c> {
    read: CachedStatement<'c>,
    insert: CachedStatement<'c>,
    update: CachedStatement<'c>,
    summarize: &'c dyn Summarize,
    path: &'c Path,
}

impl<'c> Adder<'c> {
    pub(super) fn prepare(
        connection: &'c Connection,
        summarize: &'c dyn Summarize,
        path: &'c Path,
    ) -> Result<Self, StoreError> {
        let prepare = |sql| connection.prepare_cached(sql).map_err(failed("summing up in", path));
        let (read, insert, update) = (prepare(READ)?, prepare(INSERT)?, prepare(UPDATE)?);
        Ok(Self { read, insert, update, summarize, path })
    }

    pub(super) fn add(&mut self, mut at: At, window: WindowBytes) -> Result<(), StoreError> {
        let said = failed("summing up in", self.path);
        let Some(old) = self.read(&at).map_err(said)? else {
            return put(&mut self.insert, &at, &window).map_err(said);
        };
        match old.and_then(|old| together(self.summarize, &[&old, &window.bytes])) {
            Ok(sum) => put(&mut self.update, &at, &sum).map_err(said),
            Err(wrong) if at.rolled != OPEN => Err(damaged("summing up in", self.path, wrong)),
            Err(_) => {
                at.rolled = BESIDE;
                self.add(at, window)
            }
        }
    }

    fn read(&mut self, at: &At) -> rusqlite::Result<Option<Bytes>> {
        let one = (at.level, &*at.place.dimension, at.start, key(&at.place), at.rolled);
        let row = |row: &Row<'_>| Ok(verified(at, row.get(0)?, row.get(1)?));
        self.read.query_row(one, row).optional()
    }
}

fn together(summarize: &dyn Summarize, windows: &[&[u8]]) -> Result<WindowBytes, String> {
    summarize.merge(windows).map_err(|unreadable| unreadable.to_string())
}

type Bytes = Result<Vec<u8>, String>;

fn verified(at: &At, window: Vec<u8>, sum: i64) -> Bytes {
    if checked(at, &window) == sum {
        Ok(window)
    } else {
        Err(format!("the sums of {} do not fit their checksum", at.place.dimension))
    }
}

const READ: &str = "SELECT window, checked FROM rollups
    WHERE level = ?1 AND dimension = ?2 AND start = ?3 AND key = ?4 AND rolled = ?5";
const INSERT: &str = "INSERT INTO rollups VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
/// Of a row that is there: nothing that its index knows of is written again.
const UPDATE: &str = "UPDATE rollups SET count = ?6, failed = ?7, duration_ns = ?8, input_tokens = ?9, output_tokens = ?10,
      cost_usd = ?11, unpriced = ?12, window = ?13, checked = ?14
    WHERE level = ?1 AND start = ?2 AND dimension = ?3 AND key = ?4 AND rolled = ?5";

fn put(write: &mut Statement<'_>, at: &At, window: &WindowBytes) -> rusqlite::Result<()> {
    let numbers = &window.numbers;
    let readable = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    write.execute(rusqlite::params![
        at.level,
        at.start,
        &*at.place.dimension,
        key(&at.place),
        at.rolled,
        readable(numbers.count),
        readable(numbers.failed),
        readable(numbers.duration_ns),
        readable(numbers.input_tokens),
        readable(numbers.output_tokens),
        numbers.cost_usd.to_string(),
        readable(numbers.unpriced),
        window.bytes,
        checked(at, &window.bytes),
    ])?;
    Ok(())
}

fn checked(at: &At, window: &[u8]) -> i64 {
    let mut sum = Sum::default();
    for cell in [int(at.level), int(at.start), text(&*at.place.dimension), cell(&at.place)] {
        sum.add(cell);
    }
    sum.add(int(at.rolled));
    sum.add(blob(window));
    sum.checked()
}

fn key(place: &Place) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(cell(place))
}

/// No key is no text, and an empty one is: so it is no bytes at all.
fn cell(place: &Place) -> ValueRef<'_> {
    place.key.as_deref().map_or(blob(&[][..]), text)
}

pub(super) fn number(level: Level) -> i64 {
    match level {
        Level::Minute => 0,
        Level::Hour => 1,
        Level::Day => 2,
    }
}

/// A row of sums as it was read.
pub(super) fn row(row: &Row<'_>) -> rusqlite::Result<(At, Bytes)> {
    // What is no text any more does not fit the checksum either.
    let name = |bytes: &[u8]| Name::from(String::from_utf8_lossy(bytes).into_owned());
    let key = match row.get_ref(3)? {
        ValueRef::Text(bytes) => Some(name(bytes)),
        _ => None,
    };
    let dimension = row.get_ref(2)?.as_bytes().map(name).unwrap_or_default();
    let place = Place { dimension, key };
    let at = At { level: row.get(0)?, start: row.get(1)?, place, rolled: row.get(4)? };
    let window = verified(&at, row.get(5)?, row.get(6)?);
    Ok((at, window))
}

/// The windows of a level.
const OF_LEVEL: &str = "SELECT level, start, dimension, key, rolled, window, checked FROM rollups
    WHERE level = ?1 AND dimension = ?2 AND start >= ?3 AND start < ?4";
/// Windows that are in none of the next level yet. Few are: they are found by that, and not among all of their dimension,
/// of which there are more with each minute.
const OPEN_BELOW: &str = "SELECT level, start, dimension, key, rolled, window, checked
    FROM rollups INDEXED BY rollups_by_age
    WHERE level = ?1 AND rolled IN (0, 2) AND start >= ?3 AND start < ?4 AND dimension = ?2";

/// When the first window of a level begins, from a second on, that is in none of the next level yet.
fn open_since(connection: &Connection, level: i64, from: i64) -> rusqlite::Result<Option<i64>> {
    // By itself SQLite would read every row of the level.
    let sql = "SELECT min(start) FROM rollups INDEXED BY rollups_by_age
               WHERE level = ?1 AND rolled = ?2 AND start >= ?3";
    let mut select = connection.prepare_cached(sql)?;
    let mut first = |rolled| select.query_row((level, rolled, from), |row| row.get(0));
    let (open, beside): (Option<i64>, Option<i64>) = (first(OPEN)?, first(BESIDE)?);
    Ok(open.into_iter().chain(beside).min())
}

/// Answers a question about sums.
pub(super) fn ask(
    connection: &Connection,
    query: &RollupQuery,
    summarize: &dyn Summarize,
    path: &Path,
) -> Result<Vec<Rollup>, StoreError> {
    let mut groups = BTreeMap::<(Option<i64>, Option<Name>), Vec<Vec<u8>>>::new();
    show(connection, query, path, &mut |start, key, window| {
        groups.entry((start, key)).or_default().push(window);
        Ok(())
    })?;
    let mut rollups = Vec::with_capacity(groups.len());
    for ((start, key), windows) in groups {
        let windows: Vec<&[u8]> = windows.iter().map(Vec::as_slice).collect();
        let window =
            together(summarize, &windows).map_err(|wrong| damaged("reading", path, wrong))?;
        let start = start.and_then(|start| DateTime::from_timestamp(start, 0));
        rollups.push(Rollup { start, key, window });
    }
    Ok(rollups)
}

/// Shows each window that answers a question about sums, with the second in which its answer begins, and its key.
pub(super) fn show(
    connection: &Connection,
    query: &RollupQuery,
    path: &Path,
    each: &mut dyn FnMut(Option<i64>, Option<Name>, Vec<u8>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let said = failed("reading", path);
    let (from, to) = query.seconds();
    let level = number(query.level());
    for below in 0..=level {
        let (mut from, to) = (from.unwrap_or(i64::MIN), to.unwrap_or(i64::MAX));
        let sql = if below == level { OF_LEVEL } else { OPEN_BELOW };
        if below < level {
            match open_since(connection, below, from).map_err(said)? {
                Some(first) => from = first,
                None => continue,
            }
        }
        let mut select = connection.prepare_cached(sql).map_err(said)?;
        let mut rows = select.query((below, &*query.dimension, from, to)).map_err(said)?;
        while let Some(found) = rows.next().map_err(said)? {
            let (at, window) = row(found).map_err(said)?;
            if query.means(&at.place) {
                let window = window.map_err(|wrong| damaged("reading", path, wrong))?;
                each(query.group(at.start), at.place.key, window)?;
            }
        }
    }
    Ok(())
}

/// Adds open rows of a level, the oldest first and so many at most, to the rows of the next, and marks them.
pub(super) fn roll_up(
    connection: &Connection,
    (level, next): (Level, Level),
    before: i64,
    most: u32,
    summarize: &dyn Summarize,
    path: &Path,
) -> Result<u32, StoreError> {
    let said = failed("maintaining", path);
    let wrong = |wrong| damaged("maintaining", path, wrong);
    let open = open(connection, level, before, most).map_err(said)?;
    if open.is_empty() {
        return Ok(0);
    }
    let mut adder = Adder::prepare(connection, summarize, path)?;
    let mut groups = BTreeMap::<(i64, Place), Vec<Vec<u8>>>::new();
    let mut rolled = 0;
    for (at, window) in open {
        // What cannot be read stays where it is, for a repair.
        let Ok(window) = window else { continue };
        mark(connection, &at, &window, &mut adder)?;
        groups.entry((next.start(at.start), at.place)).or_default().push(window);
        rolled += 1;
    }
    for ((start, place), windows) in groups {
        let windows: Vec<&[u8]> = windows.iter().map(Vec::as_slice).collect();
        let window = together(summarize, &windows).map_err(wrong)?;
        adder.add(At { level: number(next), start, place, rolled: OPEN }, window)?;
    }
    Ok(rolled)
}

fn open(
    connection: &Connection,
    level: Level,
    before: i64,
    most: u32,
) -> rusqlite::Result<Vec<(At, Bytes)>> {
    // By itself SQLite would read every row of the level, of which there are more with each minute.
    let sql = "SELECT level, start, dimension, key, rolled, window, checked
               FROM rollups INDEXED BY rollups_by_age
               WHERE level = ?1 AND rolled IN (0, 2) AND start < ?2 ORDER BY start LIMIT ?3";
    let mut select = connection.prepare_cached(sql)?;
    select.query_map((number(level), before, most), row)?.collect()
}

/// Marks a row as rolled up; where one of its place is already, they become one.
fn mark(
    connection: &Connection,
    at: &At,
    window: &[u8],
    adder: &mut Adder<'_>,
) -> Result<(), StoreError> {
    let said = failed("maintaining", adder.path);
    let rolled = At { rolled: ROLLED, ..at.clone() };
    let sql = "UPDATE OR IGNORE rollups SET rolled = ?6, checked = ?7
               WHERE level = ?1 AND dimension = ?2 AND start = ?3 AND key = ?4 AND rolled = ?5";
    let (dimension, sum) = (&*at.place.dimension, checked(&rolled, window));
    let all = (at.level, dimension, at.start, key(&at.place), at.rolled, ROLLED, sum);
    let mark = connection.prepare_cached(sql).and_then(|mut mark| mark.execute(all));
    if mark.map_err(said)? > 0 {
        return Ok(());
    }
    let sql = "DELETE FROM rollups
               WHERE level = ?1 AND dimension = ?2 AND start = ?3 AND key = ?4 AND rolled = ?5";
    let one = (at.level, dimension, at.start, key(&at.place), at.rolled);
    let delete = connection.prepare_cached(sql).and_then(|mut delete| delete.execute(one));
    delete.map_err(said)?;
    let window = together(adder.summarize, &[window]);
    let window = window.map_err(|wrong| damaged("maintaining", adder.path, wrong))?;
    adder.add(rolled, window)
}

/// Where it stands in the counters from which second on the rows of a level are whole.
fn whole_since(level: Level) -> String {
    format!("sums_since_{}", number(level))
}

/// Notes that rows of a level may be gone that begin before a second.
pub(super) fn note_removed(
    connection: &Connection,
    level: Level,
    before: i64,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO counters VALUES (?1, ?2)
               ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)";
    connection.prepare_cached(sql)?.execute((whole_since(level), before)).map(drop)
}

/// Since when the rows of each level are whole; none where none was ever removed.
pub(super) fn since(
    connection: &Connection,
) -> rusqlite::Result<[Option<DateTime<chrono::Utc>>; 3]> {
    let mut since = [None; 3];
    let mut select = connection.prepare_cached("SELECT value FROM counters WHERE name = ?1")?;
    for (level, since) in Level::ALL.into_iter().zip(&mut since) {
        let second = select.query_row([whole_since(level)], |row| row.get(0)).optional()?;
        *since = second.and_then(|second| DateTime::from_timestamp(second, 0));
    }
    Ok(since)
}

/// Removes rows of a level that are older, so many at most; those that are in no row of the next level stay.
pub(super) fn remove(
    connection: &Connection,
    level: Level,
    before: i64,
    most: u32,
) -> rusqlite::Result<u64> {
    let sql = "DELETE FROM rollups WHERE (level, dimension, start, key, rolled) IN (
                 SELECT level, dimension, start, key, rolled FROM rollups
                 WHERE level = ?1 AND rolled = ?2 AND start < ?3 LIMIT ?4)";
    // There is no level above the days.
    let rolled = if level == Level::Day { OPEN } else { ROLLED };
    let removed = connection.prepare_cached(sql)?.execute((number(level), rolled, before, most))?;
    Ok(removed as u64)
}

const EVERY: &str = "SELECT level, start, dimension, key, rolled, window, checked FROM rollups";

/// How many rows do not fit their checksums.
pub(super) fn unreadable(connection: &Connection) -> rusqlite::Result<u64> {
    let mut select = connection.prepare(EVERY)?;
    let mut rows = select.query([])?;
    let mut wrong = 0;
    while let Some(found) = rows.next()? {
        wrong += u64::from(row(found)?.1.is_err());
    }
    Ok(wrong)
}

/// Copies every row that can be read, as it is.
pub(super) fn copy(from: &Connection, to: &Connection) -> rusqlite::Result<()> {
    let mut select = from.prepare("SELECT * FROM rollups")?;
    let mut insert =
        to.prepare("INSERT INTO rollups VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        for place in 0..14 {
            let cell = ToSqlOutput::Borrowed(row.get_ref(place)?);
            insert.raw_bind_parameter(place + 1, cell)?;
        }
        insert.raw_execute()?;
    }
    for (level, since) in Level::ALL.into_iter().zip(since(from)?) {
        if let Some(since) = since {
            note_removed(to, level, since.timestamp())?;
        }
    }
    Ok(())
}

/// Every dimension of which there are sums.
pub(super) fn dimensions(connection: &Connection) -> rusqlite::Result<Vec<Name>> {
    let mut select = connection.prepare("SELECT DISTINCT dimension FROM rollups")?;
    let name = |row: &Row<'_>| Ok(row.get_ref(0)?.as_str().unwrap_or_default().into());
    select.query_map([], name)?.collect()
}
