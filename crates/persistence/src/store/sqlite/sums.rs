//! The sums of minutes, hours and days.
//!
//! A batch is summed into the rows of its minutes; of a dimension in which it has many keys, all of them are a row of their
//! own. What is rolled up stays where it is and is marked, so that at every instant an hour is the sum of its row and of the
//! minutes in it that are not marked; see [`SqliteStore::maintain`].
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
use super::packs;
use crate::StoreError;
use crate::store::memory::by_minute;
use crate::store::{Level, Numbers, Rollup, RollupQuery, Summarize, WindowBytes};

/// Not in a row of the next level yet.
pub(super) const OPEN: i64 = 0;
/// In a row of the next level too.
pub(super) const ROLLED: i64 = 1;
/// As `OPEN`, beside a row of this place that could not be read: what is wrong there loses nothing that comes later.
pub(super) const BESIDE: i64 = 2;

/// Where a row of sums stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct At {
    level: i64,
    start: i64,
    dimension: Name,
    key: Key,
    rolled: i64,
}

/// Whose sums a row holds.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    /// Those of one key, or of those that told none.
    One(Option<Name>),
    /// Those of many keys in one row, by a number that no other has in this minute.
    Many(i64),
}

/// So many windows of one dimension that come at once for one minute are one row.
const MANY: usize = 64;
/// Of a dimension and minute at most so many such rows wait to be rolled up; then they become one.
const MOST_PACKS: usize = 8;

/// What a batch adds to the sums.
#[derive(Debug, Default)]
pub(super) struct New {
    single: Vec<(At, WindowBytes)>,
    packed: Vec<(At, WindowBytes)>,
}

/// The windows of the minutes in which records began, with the places where they belong.
pub(super) fn windows(records: &[&OperationRecord], summarize: &dyn Summarize) -> New {
    let mut new = New::default();
    for (start, records) in by_minute(records) {
        let mut made = BTreeMap::<_, Vec<_>>::new();
        summarize.windows(&records, &mut |place, window| {
            made.entry(place.dimension).or_default().push((place.key, window));
        });
        let level = number(Level::Minute);
        for (dimension, keys) in made {
            let at = |key| At { level, start, dimension: dimension.clone(), key, rolled: OPEN };
            if keys.len() < MANY {
                let single = keys.into_iter().map(|(key, window)| (at(Key::One(key)), window));
                new.single.extend(single);
                continue;
            }
            let mut pack = packs::empty();
            for (key, window) in &keys {
                packs::push(&mut pack, key.as_deref(), window);
            }
            new.packed.push((at(Key::Many(0)), pack));
        }
    }
    new
}

/// Adds windows to the rows of their places.
pub(super) struct Adder<'c> {
    read: CachedStatement<'c>,
    insert: CachedStatement<'c>,
    update: CachedStatement<'c>,
    delete: CachedStatement<'c>,
    packs: CachedStatement<'c>,
    read_pack: CachedStatement<'c>,
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
        let (delete, packs, read_pack) = (prepare(DELETE)?, prepare(PACKS)?, prepare(READ_PACK)?);
        Ok(Self { read, insert, update, delete, packs, read_pack, summarize, path })
    }

    /// Adds all that a batch adds.
    pub(super) fn add_new(&mut self, new: New) -> Result<(), StoreError> {
        let New { single, packed } = new;
        single.into_iter().try_for_each(|(at, window)| self.add(at, window))?;
        packed.into_iter().try_for_each(|(at, pack)| self.add_pack(at, &pack))
    }

    fn add(&mut self, mut at: At, window: WindowBytes) -> Result<(), StoreError> {
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

    /// Adds windows of many keys as a row of their own; where enough of those wait, as one with them.
    fn add_pack(&mut self, mut at: At, pack: &WindowBytes) -> Result<(), StoreError> {
        let said = failed("summing up in", self.path);
        let (last, open) = self.packs(&at).map_err(said)?;
        at.key = Key::Many(last + 1);
        let sum =
            if open.len() < MOST_PACKS { None } else { self.sum(&open, pack).map_err(said)? };
        for old in open.iter().filter(|_| sum.is_some()) {
            self.delete.execute(parameters(old)).map_err(said)?;
        }
        put(&mut self.insert, &at, sum.as_ref().unwrap_or(pack)).map_err(said)
    }

    /// Rows of many keys and one more as one; none where one cannot be read, which stays as it is for a repair.
    fn sum(&mut self, rows: &[At], more: &WindowBytes) -> rusqlite::Result<Option<WindowBytes>> {
        let mut all = Vec::with_capacity(rows.len() + 1);
        for row in rows {
            let Ok(pack) = self.read_pack(row)? else { return Ok(None) };
            all.push(pack);
        }
        all.push(more.clone());
        Ok(packs::together(&all, |windows| together(self.summarize, windows)).ok())
    }

    /// The largest number that a row of many keys has here, and the rows that are not rolled up.
    fn packs(&mut self, at: &At) -> rusqlite::Result<(i64, Vec<At>)> {
        let (mut last, mut open) = (0, Vec::new());
        let mut rows = self.packs.query((at.level, &*at.dimension, at.start))?;
        while let Some(row) = rows.next()? {
            last = row.get(0)?;
            if row.get::<_, i64>(1)? == OPEN {
                open.push(At { key: Key::Many(last), ..at.clone() });
            }
        }
        Ok((last, open))
    }

    fn read(&mut self, at: &At) -> rusqlite::Result<Option<Bytes>> {
        let row = |row: &Row<'_>| Ok(verified(at, row.get(0)?, row.get(1)?));
        self.read.query_row(parameters(at), row).optional()
    }

    /// A row of many keys, with what they come to together.
    fn read_pack(&mut self, at: &At) -> rusqlite::Result<Result<WindowBytes, String>> {
        let row = |row: &Row<'_>| {
            let (bytes, numbers) = (verified(at, row.get(0)?, row.get(1)?), numbers(row, 2)?);
            Ok(bytes.map(|bytes| WindowBytes { bytes, numbers }))
        };
        self.read_pack.query_row(parameters(at), row)
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
        Err(format!("the sums of {} do not fit their checksum", at.dimension))
    }
}

const READ: &str = "SELECT window, checked FROM rollups
    WHERE level = ?1 AND dimension = ?2 AND start = ?3 AND key = ?4 AND rolled = ?5";
const INSERT: &str = "INSERT INTO rollups VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
/// Of a row that is there: nothing that its index knows of is written again.
const UPDATE: &str = "UPDATE rollups SET count = ?6, failed = ?7, duration_ns = ?8, input_tokens = ?9, output_tokens = ?10,
      cost_usd = ?11, unpriced = ?12, window = ?13, checked = ?14
    WHERE level = ?1 AND start = ?2 AND dimension = ?3 AND key = ?4 AND rolled = ?5";
const DELETE: &str = "DELETE FROM rollups
    WHERE level = ?1 AND dimension = ?2 AND start = ?3 AND key = ?4 AND rolled = ?5";
/// The rows of many keys of a place: numbers come before texts and bytes.
const PACKS: &str = "SELECT key, rolled FROM rollups
    WHERE level = ?1 AND dimension = ?2 AND start = ?3 AND key < '' ORDER BY key";
const READ_PACK: &str = "SELECT window, checked, count, failed, duration_ns, input_tokens, output_tokens, cost_usd, unpriced
    FROM rollups WHERE level = ?1 AND dimension = ?2 AND start = ?3 AND key = ?4 AND rolled = ?5";

fn put(write: &mut Statement<'_>, at: &At, window: &WindowBytes) -> rusqlite::Result<()> {
    let numbers = &window.numbers;
    let readable = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    write.execute(rusqlite::params![
        at.level,
        at.start,
        &*at.dimension,
        ToSqlOutput::Borrowed(cell(&at.key)),
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
    for cell in [int(at.level), int(at.start), text(&*at.dimension), cell(&at.key)] {
        sum.add(cell);
    }
    sum.add(int(at.rolled));
    sum.add(blob(window));
    sum.checked()
}

/// No key is no text, and an empty one is: so it is no bytes at all.
fn cell(key: &Key) -> ValueRef<'_> {
    match key {
        Key::One(key) => key.as_deref().map_or(blob(&[][..]), text),
        Key::Many(number) => int(*number),
    }
}

/// Where a row stands, as the statements have it.
fn parameters(at: &At) -> (i64, &str, i64, ToSqlOutput<'_>, i64) {
    (at.level, &*at.dimension, at.start, ToSqlOutput::Borrowed(cell(&at.key)), at.rolled)
}

/// The numbers of a row, from a column on.
fn numbers(row: &Row<'_>, from: usize) -> rusqlite::Result<Numbers> {
    let number = |at| row.get::<_, i64>(from + at).map(|number| number.max(0).cast_unsigned());
    let cost_usd = row.get_ref(from + 5)?.as_str().ok().and_then(|text| text.parse().ok());
    Ok(Numbers {
        count: number(0)?,
        failed: number(1)?,
        duration_ns: number(2)?,
        input_tokens: number(3)?,
        output_tokens: number(4)?,
        cost_usd: cost_usd.unwrap_or_default(),
        unpriced: number(6)?,
    })
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
        ValueRef::Text(bytes) => Key::One(Some(name(bytes))),
        ValueRef::Integer(number) => Key::Many(number),
        _ => Key::One(None),
    };
    let dimension = row.get_ref(2)?.as_bytes().map(name).unwrap_or_default();
    let at = At { level: row.get(0)?, start: row.get(1)?, dimension, key, rolled: row.get(4)? };
    let window = verified(&at, row.get(5)?, row.get(6)?);
    Ok((at, window))
}

impl At {
    /// The windows of a row, each with its key.
    fn windows<'w>(&'w self, row: &'w [u8]) -> Result<Vec<packs::Keyed<'w>>, String> {
        match &self.key {
            Key::One(key) => Ok(vec![(key.as_deref(), row)]),
            Key::Many(_) => packs::windows(row),
        }
    }

    /// Whether a key, or any of none, may be in the row.
    fn may_have(&self, asked: Option<&Name>) -> bool {
        match (&self.key, asked) {
            (Key::One(key), Some(asked)) => key.as_ref() == Some(asked),
            _ => true,
        }
    }
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
        groups.entry((start, key)).or_default().push(window.to_owned());
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

/// Is shown a window, with the second in which its answer begins, and its key.
type Show<'a> = &'a mut dyn FnMut(Option<i64>, Option<Name>, &[u8]) -> Result<(), StoreError>;

/// Shows each window that answers a question about sums, with the second in which its answer begins, and its key.
pub(super) fn show(
    connection: &Connection,
    query: &RollupQuery,
    path: &Path,
    each: Show<'_>,
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
            if !at.may_have(query.key.as_ref()) {
                continue;
            }
            let start = query.group(at.start);
            let windows =
                window.as_deref().map_err(Clone::clone).and_then(|window| at.windows(window));
            for (key, window) in windows.map_err(|wrong| damaged("reading", path, wrong))? {
                if query.key.is_none() || query.key.as_deref() == key {
                    each(start, key.map(Name::from), window)?;
                }
            }
        }
    }
    Ok(())
}

/// So many rows of sums are rolled up or removed in one step.
pub(super) const ROWS: u32 = 4_096;
/// No more are rolled up in one step once they have so many bytes: a row may hold the sums of many keys.
const BYTES: usize = 2 << 20;

/// What a step rolled up.
pub(super) struct RolledUp {
    pub(super) windows: u64,
    /// Whether there may be more.
    pub(super) more: bool,
}

/// Adds open rows of a level, the oldest first and some at most, to the rows of the next, and marks them.
pub(super) fn roll_up(
    connection: &Connection,
    (level, next): (Level, Level),
    before: i64,
    summarize: &dyn Summarize,
    path: &Path,
) -> Result<RolledUp, StoreError> {
    let said = failed("maintaining", path);
    let wrong = |wrong| damaged("maintaining", path, wrong);
    let (open, more) = open(connection, level, before).map_err(said)?;
    let mut done = RolledUp { windows: 0, more: false };
    if open.is_empty() {
        return Ok(done);
    }
    let mut adder = Adder::prepare(connection, summarize, path)?;
    let mut groups = BTreeMap::<(i64, &Name, Option<&str>), Vec<&[u8]>>::new();
    for (at, window) in &open {
        // What cannot be read stays where it is, for a repair.
        let Ok(window) = window else { continue };
        let Ok(windows) = at.windows(window) else { continue };
        mark(connection, at, window, &mut adder)?;
        done.windows += windows.len() as u64;
        for (key, window) in windows {
            groups.entry((next.start(at.start), &at.dimension, key)).or_default().push(window);
        }
    }
    for ((start, dimension, key), windows) in groups {
        let window = together(summarize, &windows).map_err(wrong)?;
        let (dimension, key) = (dimension.clone(), Key::One(key.map(Name::from)));
        adder.add(At { level: number(next), start, dimension, key, rolled: OPEN }, window)?;
    }
    // What cannot be read stays where it is, and is no reason to go on.
    done.more = more && done.windows > 0;
    Ok(done)
}

/// Open rows of a level, and whether there may be more.
fn open(
    connection: &Connection,
    level: Level,
    before: i64,
) -> rusqlite::Result<(Vec<(At, Bytes)>, bool)> {
    // By itself SQLite would read every row of the level, of which there are more with each minute.
    let sql = "SELECT level, start, dimension, key, rolled, window, checked
               FROM rollups INDEXED BY rollups_by_age
               WHERE level = ?1 AND rolled IN (0, 2) AND start < ?2 ORDER BY start LIMIT ?3";
    let mut select = connection.prepare_cached(sql)?;
    let (mut open, mut bytes) = (Vec::new(), 0);
    for found in select.query_map((number(level), before, ROWS), row)? {
        let found = found?;
        bytes += found.1.as_ref().map_or(0, Vec::len);
        open.push(found);
        if bytes >= BYTES {
            return Ok((open, true));
        }
    }
    let more = open.len() >= ROWS as usize;
    Ok((open, more))
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
    let (level, dimension, start, key, was) = parameters(at);
    let all = (level, dimension, start, key, was, ROLLED, checked(&rolled, window));
    let mark = connection.prepare_cached(sql).and_then(|mut mark| mark.execute(all));
    if mark.map_err(said)? > 0 {
        return Ok(());
    }
    adder.delete.execute(parameters(at)).map_err(said)?;
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
