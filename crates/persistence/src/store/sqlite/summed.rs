//! Sums of sealed blocks: who counts some operations of millions takes them, and need not look at the columns.
//!
//! They are made of a block that is there already, one at a time, when nothing else is to be done. So blocks of older
//! versions get theirs too; a block without any is counted by its columns.

use std::ops::ControlFlow;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};

use super::append::transaction;
use super::blocks::{self, Sheet};
use super::error::failed;
use super::{Reader, SqliteStore};
use crate::StoreError;
use crate::store::block::{Meta, SUMS};
use crate::store::{Query, Summarize};

/// Fewer operations are counted sooner than their sums are read.
const WORTH_SUMS: u64 = 2_048;

/// The sums of a block, as they are kept.
pub(super) fn read(connection: &Connection, block: i64) -> rusqlite::Result<Option<Vec<u8>>> {
    let sql = "SELECT bytes FROM block_columns WHERE part = ?1";
    let mut select = connection.prepare_cached(sql)?;
    select.query_row([blocks::part(block, SUMS)], |row| row.get(0)).optional()
}

/// Makes the sums of the next block that lacks them, if there is one; how many operations that holds.
pub(super) fn step(store: &SqliteStore) -> Result<Option<u64>, StoreError> {
    let Some(summarize) = store.summarize.as_deref() else { return Ok(None) };
    let said = failed("maintaining", &store.path);
    let upto = {
        let writer = store.writer("maintaining")?;
        let last = blocks::last(&writer.connection).map_err(said)?;
        if last.is_none_or(|last| last <= writer.summed_upto) {
            return Ok(None);
        }
        writer.summed_upto
    };
    let (next, made) = store.read("maintaining", |reader| {
        let next = next(reader, upto, store)?;
        let made = next.sheet.as_ref().and_then(|(sheet, meta)| {
            let sums = make(reader, sheet, meta, summarize);
            sums.map(|sums| (sheet.clone(), meta.write_sums(&sums)))
        });
        Ok((next, made))
    })?;
    let mut writer = store.writer("maintaining")?;
    if let Some((sheet, bytes)) = &made {
        transaction(&mut writer, &store.path, |connection, _| {
            // Another process may have removed it meanwhile, or made the same.
            let sql = "INSERT OR IGNORE INTO block_columns
                       SELECT ?1, ?2 WHERE EXISTS (SELECT 1 FROM blocks WHERE id = ?3)";
            let mut insert = connection.prepare_cached(sql).map_err(said)?;
            insert.execute((blocks::part(sheet.id, SUMS), bytes, sheet.id)).map_err(said)
        })?;
    }
    writer.summed_upto = writer.summed_upto.max(next.upto);
    Ok(made.map(|(sheet, _)| sheet.operations))
}

/// A block to be summed up, and up to which number there is nothing to do behind that.
struct Next {
    sheet: Option<(Sheet, Arc<Meta>)>,
    upto: i64,
}

fn next(reader: &mut Reader, upto: i64, store: &SqliteStore) -> Result<Next, StoreError> {
    let mut next = Next { sheet: None, upto };
    for sheet in blocks::all(&reader.connection, &mut reader.blocks, &store.path)? {
        if sheet.id <= upto {
            continue;
        }
        next.upto = sheet.id;
        // What is damaged is for a repair, and what is small for another block.
        let least = WORTH_SUMS.max(store.keep.block_operations / 2);
        let Some(meta) = sheet.meta.clone().filter(|_| sheet.operations >= least) else {
            continue;
        };
        let kept = read(&reader.connection, sheet.id);
        if kept.map_err(failed("maintaining", &store.path))?.is_none() {
            next.sheet = Some((sheet, meta));
            break;
        }
    }
    Ok(next)
}

/// None where the block cannot be read: a check finds that.
fn make(
    reader: &Reader,
    sheet: &Sheet,
    meta: &Arc<Meta>,
    summarize: &dyn Summarize,
) -> Option<Vec<u8>> {
    let tables = summarize.tables();
    if tables.is_empty() {
        return None;
    }
    let mut sums = None;
    let mut block = blocks::reader(&reader.connection, sheet.id, Arc::clone(meta));
    let _ = block
        .scan_tables(&Query::default(), tables, &mut |shown| {
            sums = summarize.block(shown);
            ControlFlow::Continue(())
        })
        .ok()?;
    Some(sums.unwrap_or_default())
}
