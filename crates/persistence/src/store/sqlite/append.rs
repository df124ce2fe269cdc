//! Taking a batch: what is new goes in, few operations as rows and many as a block, and their sums, in one transaction.

use std::path::Path;

use rusqlite::Connection;
use taximeter_models::OperationRecord;

use super::blocks::Known;
use super::error::failed;
use super::extents::{self, Extent};
use super::write::{Inserts, Memory};
use super::{Keep, Writer, blocks, fit, seal, sums};
use crate::StoreError;
use crate::store::beside::beside;
use crate::store::rows::nanos;
use crate::store::{Appended, Summarize};

pub(super) fn append(
    writer: &mut Writer,
    records: &[OperationRecord],
    summarize: Option<&dyn Summarize>,
    keep: &Keep,
    path: &Path,
) -> Result<Appended, StoreError> {
    let said = failed("writing", path);
    let mut blocks = std::mem::take(&mut writer.blocks);
    let done = transaction(writer, path, |connection, memory| {
        let mut new = unknown(connection, records).map_err(said)?;
        leave_out_sealed(connection, &mut blocks, &mut new, path)?;
        let mut put = || put(connection, memory, &new, keep, path);
        if let Some(summarize) = summarize {
            // Sums take as long as the rows or the block do.
            let is_worth = new.len() >= WORTH_A_THREAD;
            let (windows, put) = beside(is_worth, || sums::windows(&new, summarize), put);
            put?;
            sums::Adder::prepare(connection, summarize, path)?.add_new(windows)?;
        } else {
            put()?;
        }
        let known = (records.len() - new.len()) as u64;
        count_known(connection, known).map_err(said)?;
        Ok(Appended { stored: new.len() as u64, known })
    });
    writer.blocks = blocks;
    done
}

/// Of fewer operations than this, the sums are made sooner than a thread is.
const WORTH_A_THREAD: usize = 512;

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
    let Writer { connection, memory, failed: has_failed, .. } = writer;
    // The lock is taken at once: a transaction that begins by reading may be refused it later, when it is too late.
    let begun = connection.execute_batch("BEGIN IMMEDIATE").map_err(said);
    let done = begun
        .and_then(|()| work(connection, memory))
        .and_then(|done| connection.execute_batch("COMMIT").map_err(said).map(|()| done));
    if let Err(error) = &done {
        // Where the disk is full, SQLite has given the transaction up itself.
        let _ = connection.execute_batch("ROLLBACK");
        memory.names.forget();
        *has_failed = matches!(error, StoreError::Failed { .. } | StoreError::ReadOnly { .. });
    }
    done
}

/// Those whose id is not there yet, each once, in the order of their ids: ids of one time lie side by side in the index.
fn unknown<'r>(
    connection: &Connection,
    records: &'r [OperationRecord],
) -> rusqlite::Result<Vec<&'r OperationRecord>> {
    let mut new: Vec<&OperationRecord> = records.iter().collect();
    // Most come in order, and of those with one id the first one stays the first.
    new.sort_by_key(|record| record.id);
    new.dedup_by_key(|record| record.id);
    let known = known(connection, &new)?;
    let mut known = known.into_iter();
    new.retain(|_| !known.next().unwrap_or(false));
    Ok(new)
}

/// So many ids that are there are read in a row for each that is looked for; where there are more between the first and
/// the last, each is looked up by itself.
const STRIDE: usize = 4;

/// Which of these, in the order of their ids, are there.
fn known(connection: &Connection, new: &[&OperationRecord]) -> rusqlite::Result<Vec<bool>> {
    let (Some(first), Some(last)) = (new.first(), new.last()) else { return Ok(Vec::new()) };
    let sql = "SELECT id FROM operations WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT ?3";
    let mut between = connection.prepare_cached(sql)?;
    let most = STRIDE * new.len();
    let limit = i64::try_from(most).unwrap_or(i64::MAX);
    let mut rows = between.query((bytes(first), bytes(last), limit))?;
    let (mut there, mut read) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        // What is no id any more is damaged, and nobody's.
        let id = row.get_ref(0)?.as_blob().ok().and_then(|bytes| bytes.try_into().ok());
        there.extend(id.map(u128::from_be_bytes));
        read += 1;
    }
    if read < most {
        let is_there = |record: &&OperationRecord| there.binary_search(&record.id.bits()).is_ok();
        return Ok(new.iter().map(is_there).collect());
    }
    let mut select = connection.prepare_cached("SELECT 1 FROM operations WHERE id = ?1")?;
    new.iter().map(|record| select.exists([bytes(record)])).collect()
}

fn bytes(record: &OperationRecord) -> [u8; 16] {
    record.id.bits().to_be_bytes()
}

/// Puts new operations in: few as rows, and so many that they are worth it as blocks, which spares a row's way in and out.
fn put(
    connection: &Connection,
    memory: &mut Memory,
    new: &[&OperationRecord],
    keep: &Keep,
    path: &Path,
) -> Result<(), StoreError> {
    if (new.len() as u64) < keep.seal_at_once.max(1) {
        return rows(connection, memory, new, path);
    }
    let most = keep.operations_of_a_block();
    let mut unsealed = Vec::new();
    for lot in new.chunks(new.len().div_ceil(new.len().div_ceil(most))) {
        unsealed.extend(seal::at_once(connection, lot, keep, path)?);
    }
    rows(connection, memory, &unsealed, path)
}

/// Puts operations in as rows. What could not be read again, no block takes either, so that it is found here.
fn rows(
    connection: &Connection,
    memory: &mut Memory,
    new: &[&OperationRecord],
    path: &Path,
) -> Result<(), StoreError> {
    if new.is_empty() {
        return Ok(());
    }
    for record in new {
        if let Some(what) = fit::unfit(record) {
            return Err(StoreError::Unstorable { id: record.id, what });
        }
    }
    insert(connection, memory, new).map_err(failed("writing", path))
}

fn insert(
    connection: &Connection,
    memory: &mut Memory,
    new: &[&OperationRecord],
) -> rusqlite::Result<()> {
    let mut seq = next_number(connection)?;
    let mut extent = extents::of(connection, seq)?;
    let mut inserts = Inserts::prepare(connection)?;
    for record in new {
        if seq > extent.numbers().1 {
            extent.write(connection)?;
            extent = extents::of(connection, seq)?;
        }
        inserts.record(seq, record, memory)?;
        Extent::add(&mut extent, nanos(record.started_at));
        seq += 1;
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
