//! What a store does by and by: sums are rolled up, old operations sealed, what is too old removed, room given back.
//!
//! Each call does a small piece of each and says whether there is more to do, so that nobody waits long for the store.

use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rusqlite::Connection;

use super::append::transaction;
use super::error::failed;
use super::extents::{self, Extent};
use super::work::{self, Who};
use super::{SqliteStore, Writer, blocks, seal, sums};
use crate::StoreError;
use crate::store::block::{Effort, MOST_RECORDS};
use crate::store::rows::nanos;
use crate::store::{Level, Maintained};

/// What is kept, where and for how long.
///
/// ```
/// use std::time::Duration;
/// use taximeter_persistence::store::{Keep, Level};
///
/// const DAY: Duration = Duration::from_secs(86_400);
/// let keep = Keep::default().operations_for(90 * DAY).sums_for(Level::Minute, 7 * DAY);
/// assert_eq!(keep.bytes, None); // no limit
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Keep {
    /// How many operations stay in rows; above that, the oldest are sealed. Default: 16,384.
    pub hot_operations: u64,
    /// After how long operations are sealed, as soon as they are some thousands. Default: an hour.
    pub hot_for: Duration,
    /// How many operations are in one block. They are sealed an eighth of that at a time, so that nobody waits long for it,
    /// and such small blocks are put together when there are enough of them. Default: 32,768.
    pub block_operations: u64,
    /// A batch of so many operations or more is sealed as it comes, and never stands in rows: that takes a fraction of the
    /// time. Default: 100.
    pub seal_at_once: u64,
    /// How long operations are kept, by when they began; none is for ever. The sums of their time stay. Default: for
    /// ever.
    pub operations_for: Option<Duration>,
    /// How many bytes the store may have; above that, the oldest operations go. None is no limit. Default: no limit.
    pub bytes: Option<u64>,
    /// How long the sums of minutes, hours and days are kept, those of minutes and hours after they are in the next level
    /// too; none is for ever. Default: three days, a hundred days, for ever.
    pub sums_for: [Option<Duration>; 3],
}

const DAY: Duration = Duration::from_secs(86_400);

impl Default for Keep {
    fn default() -> Self {
        Self {
            hot_operations: 16_384,
            hot_for: Duration::from_secs(3_600),
            block_operations: 32_768,
            seal_at_once: 100,
            operations_for: None,
            bytes: None,
            sums_for: [Some(DAY.saturating_mul(3)), Some(DAY.saturating_mul(100)), None],
        }
    }
}

impl Keep {
    /// So many operations in rows.
    pub fn hot_operations(mut self, operations: u64) -> Self {
        self.hot_operations = operations;
        self
    }

    /// Operations in rows for so long.
    pub fn hot_for(mut self, time: Duration) -> Self {
        self.hot_for = time;
        self
    }

    /// So many operations in a block.
    pub fn block_operations(mut self, operations: u64) -> Self {
        self.block_operations = operations;
        self
    }

    /// Batches of so many operations as blocks.
    pub fn seal_at_once(mut self, operations: u64) -> Self {
        self.seal_at_once = operations;
        self
    }

    /// Operations for so long.
    pub fn operations_for(mut self, time: Duration) -> Self {
        self.operations_for = Some(time);
        self
    }

    /// So many bytes in all.
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.bytes = Some(bytes);
        self
    }

    /// The sums of a level for so long.
    pub fn sums_for(mut self, level: Level, time: Duration) -> Self {
        self.sums_for[level as usize] = Some(time);
        self
    }

    /// How many operations are in a block at most.
    pub(super) fn operations_of_a_block(&self) -> usize {
        usize::try_from(self.block_operations).unwrap_or(MOST_RECORDS).clamp(1, MOST_RECORDS)
    }

    /// How many rows are sealed at a time.
    pub(super) fn operations_of_a_lot(&self) -> u64 {
        (self.block_operations / 8).max(1)
    }

    /// How hard a block of so many operations is to be pressed: what does not stay is not worth much.
    pub(super) fn effort(&self, operations: usize) -> Effort {
        if self.is_small(operations as u64) { Effort::Quick } else { Effort::Small }
    }

    /// Whether a block of so many operations is to be put together with others.
    pub(super) fn is_small(&self, operations: u64) -> bool {
        operations < self.block_operations / 2
    }
}

/// A minute or hour is rolled up so long after its end: by then, nearly all that began in it has ended.
const GRACE: i64 = 300;
/// Minutes are rolled up ten at a time, and hours four: what is in no longer sum yet stays little to read.
const PARTS: i64 = 6;
/// So many pages are given back in one step: two mebibytes.
const PAGES: i64 = 256;
/// A log of more bytes is emptied when there is nothing else to do.
const LOG: u64 = 4 << 20;

impl SqliteStore {
    pub(super) fn do_step(&self, now: DateTime<Utc>, who: Who) -> Result<Maintained, StoreError> {
        let mut done = Maintained::default();
        self.roll_up(now, &mut done)?;
        if let Some(sealed) = seal::step(self, now)? {
            done.sealed += sealed;
            done.more = true;
        }
        work::step(self, who, &mut done)?;
        let mut writer = self.writer("maintaining")?;
        self.remove_old(&mut writer, now, &mut done)?;
        // As long as there is more to do, what is free is soon written again.
        if !done.more {
            self.give_back(&writer.connection, &mut done)?;
        }
        if !done.more && self.log_bytes() > LOG {
            self.shorten_log(&writer.connection)?;
        }
        Ok(done)
    }

    /// Rolls sums up and removes old ones, in one transaction: most often there is nothing to do.
    fn roll_up(&self, now: DateTime<Utc>, done: &mut Maintained) -> Result<(), StoreError> {
        let mut writer = self.writer("maintaining")?;
        transaction(&mut writer, &self.path, |connection, _| {
            if let Some(summarize) = self.summarize.as_deref() {
                for (level, next) in [(Level::Minute, Level::Hour), (Level::Hour, Level::Day)] {
                    let part = next.seconds() / PARTS;
                    let before = (now.timestamp() - GRACE).div_euclid(part) * part;
                    let rolled =
                        sums::roll_up(connection, (level, next), before, summarize, &self.path)?;
                    done.rolled_up += rolled.windows;
                    done.more |= rolled.more;
                }
            }
            self.remove_sums(connection, now, done).map_err(failed("maintaining", &self.path))
        })
    }

    fn remove_sums(
        &self,
        connection: &Connection,
        now: DateTime<Utc>,
        done: &mut Maintained,
    ) -> rusqlite::Result<()> {
        for (level, time) in Level::ALL.into_iter().zip(self.keep.sums_for) {
            let Some(time) = time else { continue };
            let before = before(now, time).timestamp();
            let removed = sums::remove(connection, level, before, sums::ROWS)?;
            if removed > 0 {
                sums::note_removed(connection, level, before)?;
            }
            done.removed_sums += removed;
            done.more |= removed == u64::from(sums::ROWS);
        }
        Ok(())
    }

    /// Removes the oldest piece where it is too old or there is too much.
    fn remove_old(
        &self,
        writer: &mut Writer,
        now: DateTime<Utc>,
        done: &mut Maintained,
    ) -> Result<(), StoreError> {
        if self.keep.operations_for.is_none() && self.keep.bytes.is_none() {
            return Ok(());
        }
        let said = failed("maintaining", &self.path);
        let oldest = oldest(&writer.connection, &self.path)?;
        let Some((to_ns, piece)) = oldest else { return Ok(()) };
        let limit = self.keep.operations_for.map(|time| nanos(before(now, time)));
        let is_old = limit.is_some_and(|limit| to_ns < limit);
        let used = used_bytes(&writer.connection).map_err(said)?;
        let is_much = self.keep.bytes.is_some_and(|most| used > most);
        if is_old || is_much {
            done.removed_operations += transaction(writer, &self.path, |connection, _| {
                note_removed(connection, to_ns).map_err(said)?;
                match piece {
                    Piece::Hot(extent) => remove_extent(connection, &extent).map_err(said),
                    Piece::Block(block) => blocks::remove(connection, block).map_err(said),
                }
            })?;
            done.more = true;
        }
        Ok(())
    }

    /// Gives free pages back, a few at a time, where there are many.
    fn give_back(&self, connection: &Connection, done: &mut Maintained) -> Result<(), StoreError> {
        let said = failed("maintaining", &self.path);
        let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let (free, all) =
            (number("freelist_count").map_err(said)?, number("page_count").map_err(said)?);
        // Only much of it is worth the work.
        if free > PAGES && free > all / 8 {
            let mut vacuum =
                connection.prepare(&format!("PRAGMA incremental_vacuum({PAGES})")).map_err(said)?;
            let mut rows = vacuum.query([]).map_err(said)?;
            while rows.next().map_err(said)?.is_some() {}
            let left = number("page_count").map_err(said)?;
            let page = number("page_size").map_err(said)?;
            done.freed_bytes += ((all - left) * page).max(0).cast_unsigned();
            done.more |= left < all;
        }
        Ok(())
    }

    fn log_bytes(&self) -> u64 {
        let log = super::open::with_suffix(&self.path, "-wal");
        std::fs::metadata(log).map_or(0, |metadata| metadata.len())
    }

    /// Empties the log after much was written, unless somebody reads from it: then it is emptied some other time.
    fn shorten_log(&self, connection: &Connection) -> Result<(), StoreError> {
        let said = failed("maintaining", &self.path);
        connection.busy_timeout(Duration::ZERO).map_err(said)?;
        let done = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        connection.busy_timeout(self.how.busy).map_err(said)?;
        match done.map_err(said) {
            Err(StoreError::Busy { .. }) => Ok(()),
            other => other,
        }
    }
}

/// The moment so long before another.
fn before(now: DateTime<Utc>, time: Duration) -> DateTime<Utc> {
    let time = chrono::TimeDelta::from_std(time).ok();
    time.and_then(|time| now.checked_sub_signed(time)).unwrap_or(DateTime::<Utc>::MIN_UTC)
}

enum Piece {
    Hot(Extent),
    Block(i64),
}

/// The piece whose last operation began first, with when that was.
fn oldest(connection: &Connection, path: &Path) -> Result<Option<(i64, Piece)>, StoreError> {
    let said = failed("maintaining", path);
    let hot = extents::all(connection).map_err(said)?;
    let hot = hot.into_iter().map(|extent| (extent.to_ns, Piece::Hot(extent)));
    let sealed = blocks::oldest(connection).map_err(said)?;
    let sealed = sealed.map(|(to_ns, block)| (to_ns, Piece::Block(block)));
    Ok(hot.chain(sealed).min_by_key(|(to_ns, _)| *to_ns))
}

/// Bytes that are in use; those that are free do not count, for removing more would not make them less.
fn used_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let used = number("page_count")? - number("freelist_count")?;
    Ok((used * number("page_size")?).max(0).cast_unsigned())
}

/// The sums of the time until then cannot be checked against operations any more.
fn note_removed(connection: &Connection, to_ns: i64) -> rusqlite::Result<()> {
    let sql = "INSERT INTO counters VALUES ('removed_until_ns', ?1)
               ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)";
    connection.prepare_cached(sql)?.execute([to_ns])?;
    Ok(())
}

/// Removes the operations of an extent; how many there were.
pub(super) fn remove_extent(connection: &Connection, extent: &Extent) -> rusqlite::Result<u64> {
    remove_numbers(connection, extent.numbers())
        .and_then(|removed| extents::remove(connection, extent.chunk).map(|()| removed))
}

/// Removes operations by their numbers, both ends included.
pub(super) fn remove_numbers(
    connection: &Connection,
    (first, last): (i64, i64),
) -> rusqlite::Result<u64> {
    let removed = connection
        .prepare_cached("DELETE FROM operations WHERE seq BETWEEN ?1 AND ?2")?
        .execute([first, last])?;
    Ok(removed as u64)
}
