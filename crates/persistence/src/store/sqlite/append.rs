//! Taking a batch: what is new goes in, rows and sums in one transaction.

use std::collections::HashSet;
use std::path::Path;

use rusqlite::Connection;
use taximeter_models::OperationRecord;

use super::blocks::Known;
use super::error::failed;
use super::extents::{self, Extent};
use super::write::{Inserts, Memory};
use super::{Writer, blocks, fit, sums};
use crate::StoreError;
use crate::store::rows::nanos;
use crate::store::{Appended, Summarize};

pub(super) fn append(
    writer: &mut Writer,
    records: &[OperationRecord],
    summarize: Option<&dyn Summarize>,
    path: &Path,
) -> Result<Appended, StoreError> {
    for record in records {
        if let Some(what) = fit::unfit(record) {
            return Err(StoreError::Unstorable { id: record.id, what });
        }
    }
    let said = failed("writing", path);
    let mut blocks = std::mem::take(&mut writer.blocks);
    let done = transaction(writer, path, |connection, memory| {
        let mut new = unknown(connection, records).map_err(said)?;
        leave_out_sealed(connection, &mut blocks, &mut new, path)?;
        put(connection, memory, &new).map_err(said)?;
        if let Some(summarize) = summarize {
            sums::add(connection, &new, summarize, path)?;
        }
        let known = (records.len() - new.len()) as u64;
        count_known(connection, known).map_err(said)?;
        Ok(Appended { stored: new.len() as u64, known })
    });
    writer.blocks = blocks;
    done
}

fn leave_out_sealed(
    connection: &Connection,
    blocks: &mut Known,
    new: &mut Vec<&OperationRecord>,
    path: &Path,
) -> Result<(), StoreError> {
    let ids: Vec<_> = new.iter().map(|record| record.id).collect();
    let mut sealed = blocks::having(connection, blocks, &ids, path)?.into_iter();
    new.retain(|_| !sealed.next().unwrap_or(false));
    Ok(())
}

/// Does work whole or not at all.
pub(super) fn transaction<T>(
    writer: &mut Writer,
    path: &Path,
    work: impl FnOnce(&Connection, &mut Memory) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let said = failed("writing", path);
    let Writer { connection, memory, .. } = writer;
    // The lock is taken at once: a transaction that begins by reading may be refused it later, when it is too late.
    connection.execute_batch("BEGIN IMMEDIATE").map_err(said)?;
    let done = work(connection, memory)
        .and_then(|done| connection.execute_batch("COMMIT").map_err(said).map(|()| done));
    if done.is_err() {
        // Where the disk is full, SQLite has given the transaction up itself.
        let _ = connection.execute_batch("ROLLBACK");
        memory.names.forget();
    }
    done
}

/// Those whose id is not there yet, each once, in the order of their ids: ids of one time lie side by side in the index.
fn unknown<'r>(
    connection: &Connection,
    records: &'r [OperationRecord],
) -> rusqlite::Result<Vec<&'r OperationRecord>> {
    let mut ids =
        HashSet::with_capacity_and_hasher(records.len(), foldhash::fast::RandomState::default());
    let mut new: Vec<&OperationRecord> =
        records.iter().filter(|record| ids.insert(record.id)).collect();
    new.sort_unstable_by_key(|record| record.id);
    let mut select = connection.prepare_cached("SELECT 1 FROM operations WHERE id = ?1")?;
    let mut known = Vec::with_capacity(new.len());
    for record in &new {
        known.push(select.exists([&record.id.bits().to_be_bytes()[..]])?);
    }
    let mut known = known.into_iter();
    new.retain(|_| !known.next().unwrap_or(false));
    Ok(new)
}

fn put(
    connection: &Connection,
    memory: &mut Memory,
    new: &[&OperationRecord],
) -> rusqlite::Result<()> {
    if new.is_empty() {
        return Ok(());
    }
    let mut seq = next_number(connection)?;
    let mut extent = extents::of(connection, seq)?;
    let mut inserts = Inserts::prepare(connection)?;
    for record in new {
        if seq > extent.numbers().1 {
            extent.write(connection)?;
            extent = extents::of(connection, seq)?;
        }
        let room = inserts.record(seq, record, memory)?;
        Extent::add(&mut extent, nanos(record.started_at));
        seq += room;
    }
    inserts.finish()?;
    extent.write(connection)?;
    connection
        .prepare_cached("UPDATE counters SET value = ?1 WHERE name = 'next_seq'")?
        .execute([seq])?;
    Ok(())
}

/// The number of the next operation: behind all that were given, also where the counter was lost.
fn next_number(connection: &Connection) -> rusqlite::Result<i64> {
    let sql = "SELECT max(coalesce((SELECT value FROM counters WHERE name = 'next_seq'), 1),
                          coalesce((SELECT max(seq) FROM operations), 0) + 1)";
    connection.prepare_cached(sql)?.query_row([], |row| row.get(0))
}

fn count_known(connection: &Connection, known: u64) -> rusqlite::Result<()> {
    if known > 0 {
        let sql = "UPDATE counters SET value = value + ?1 WHERE name = 'known'";
        connection.prepare_cached(sql)?.execute([known.cast_signed()])?;
    }
    Ok(())
}
