//! Sealed blocks in memory with all their columns: what is made of them needs no connection.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::Connection;
use taximeter_models::Money;

use super::blocks::{self, Sheet};
use crate::store::block::{self, ColumnId, Meta};

/// A listed block whose metadata can be read.
pub(super) type Sound = (Sheet, Arc<Meta>);

/// A sealed block with all its columns.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) id: i64,
    pub(super) meta: Arc<Meta>,
    /// No operation in it cost more; none where that is not known.
    pub(super) dearest: Option<Money>,
    columns: HashMap<ColumnId, Vec<u8>>,
}

impl Whole {
    /// Reads the columns of a block.
    pub(super) fn read(connection: &Connection, (sheet, meta): &Sound) -> rusqlite::Result<Self> {
        let columns = blocks::columns(connection, sheet.id)?;
        Ok(Self { id: sheet.id, meta: Arc::clone(meta), dearest: sheet.dearest, columns })
    }

    /// Reads the block out of these columns.
    pub(super) fn reader(&self) -> block::Reader<'_> {
        let columns = &self.columns;
        let fetch = move |column: ColumnId| {
            columns.get(&column).cloned().ok_or(rusqlite::Error::QueryReturnedNoRows)
        };
        block::Reader::of(Arc::clone(&self.meta), fetch)
    }

    /// Whether it is in the store as it was when it was read. Another process may have put it together with others or
    /// removed it meanwhile.
    pub(super) fn is_there(&self, connection: &Connection) -> rusqlite::Result<bool> {
        let sql = "SELECT 1 FROM blocks WHERE id = ?1 AND from_ns = ?2 AND to_ns = ?3 AND operations = ?4";
        let (from_ns, to_ns) = self.meta.range_ns();
        let operations = i64::try_from(self.meta.rows()).unwrap_or(i64::MAX);
        connection.prepare_cached(sql)?.exists((self.id, from_ns, to_ns, operations))
    }
}
