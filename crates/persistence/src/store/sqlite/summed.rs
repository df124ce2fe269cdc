//! Sums of sealed blocks: who counts some operations of millions takes them, and need not look at the columns.
//!
//! A block that is put together has them at once. Others get theirs one at a time, when nothing else is to be done, and so
//! do blocks of older versions; a block without any is counted by its columns.

use std::ops::ControlFlow;

use rusqlite::{Connection, OptionalExtension};

use super::append::transaction;
use super::blocks;
use super::error::failed;
use super::whole::{Sound, Whole};
use super::{Reader, SqliteStore};
use crate::StoreError;
use crate::store::block::{self, SUMS};
use crate::store::{Block, Query, Summarize};

/// Fewer operations are counted sooner than their sums are read.
const WORTH_SUMS: u64 = 2_048;

/// The sums of a block, as they are kept.
pub(super) fn read(connection: &Connection, block: i64) -> rusqlite::Result<Option<Vec<u8>>> {
    let sql = "SELECT bytes FROM block_columns WHERE part = ?1";
    let mut select = connection.prepare_cached(sql)?;
    select.query_row([blocks::part(block, SUMS)], |row| row.get(0)).optional()
}

/// A block that lacks sums.
#[derive(Debug)]
pub(super) struct Unsummed(Whole);

/// Its sums as they are kept; none where it cannot be read, or none are made.
#[derive(Debug)]
pub(super) struct Summed {
    block: Whole,
    sums: Option<Vec<u8>>,
}

/// The next block that lacks sums, if there is one.
pub(super) fn next(store: &SqliteStore) -> Result<Option<Unsummed>, StoreError> {
    if store.summarize.as_deref().is_none_or(|summarize| summarize.tables().is_empty()) {
        return Ok(None);
    }
    let said = failed("maintaining", &store.path);
    let upto = {
        let writer = store.writer("maintaining")?;
        let last = blocks::last(&writer.connection).map_err(said)?;
        if last.is_none_or(|last| last <= writer.summed_upto) {
            return Ok(None);
        }
        writer.summed_upto
    };
    let (next, upto) = store.read("maintaining", |reader| {
        let (next, upto) = find(reader, upto, store)?;
        let whole = |sound| Whole::read(&reader.connection, &sound).map(Unsummed);
        Ok((next.map(whole).transpose().map_err(said)?, upto))
    })?;
    note(store, upto)?;
    Ok(next)
}

/// The next block that lacks sums, and up to which number none does.
fn find(
    reader: &mut Reader,
    mut upto: i64,
    store: &SqliteStore,
) -> Result<(Option<Sound>, i64), StoreError> {
    let least = WORTH_SUMS.max(store.keep.block_operations / 2);
    for sheet in blocks::all(&reader.connection, &mut reader.blocks, &store.path)? {
        if sheet.id <= upto {
            continue;
        }
        // What is damaged is for a repair, and what is small for another block.
        if let Some(meta) = sheet.meta.clone().filter(|_| sheet.operations >= least) {
            let kept = read(&reader.connection, sheet.id);
            if kept.map_err(failed("maintaining", &store.path))?.is_none() {
                return Ok((Some((sheet, meta)), upto));
            }
        }
        upto = sheet.id;
    }
    Ok((None, upto))
}

/// Remembers that no block up to this number lacks sums.
fn note(store: &SqliteStore, upto: i64) -> Result<(), StoreError> {
    let mut writer = store.writer("maintaining")?;
    writer.summed_upto = writer.summed_upto.max(upto);
    Ok(())
}

impl Unsummed {
    /// Sums it up.
    pub(super) fn sum(self, summarize: Option<&dyn Summarize>) -> Summed {
        let sums = summarize.and_then(|summarize| make(self.0.reader(), summarize));
        Summed { block: self.0, sums }
    }
}

impl Summed {
    /// Puts the sums beside the block, if that is there still.
    pub(super) fn put(self, store: &SqliteStore) -> Result<(), StoreError> {
        let Self { block, sums } = self;
        let said = failed("maintaining", &store.path);
        if let Some(sums) = sums {
            let mut writer = store.writer("maintaining")?;
            transaction(&mut writer, &store.path, |connection, _| {
                // Another process may have made the same meanwhile.
                let is_meant = block.is_there(connection).map_err(said)?
                    && read(connection, block.id).map_err(said)?.is_none();
                if is_meant {
                    blocks::insert_column(connection, block.id, SUMS, &sums).map_err(said)?;
                }
                Ok(())
            })?;
        }
        note(store, block.id)
    }
}

/// The sums of a block as they are kept; none where it cannot be read, which a check finds, or none are made.
pub(super) fn make(mut block: block::Reader<'_>, summarize: &dyn Summarize) -> Option<Vec<u8>> {
    let tables = summarize.tables();
    if tables.is_empty() {
        return None;
    }
    let mut sums = None;
    let shown = &mut |shown: &[Block<'_>]| {
        sums = summarize.block(shown);
        ControlFlow::Continue(())
    };
    let _ = block.scan_tables(&Query::default(), tables, shown).ok()?;
    Some(block.meta().write_sums(&sums.unwrap_or_default()))
}
