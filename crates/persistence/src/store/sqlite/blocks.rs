//! Sealed blocks in their tables: a row for the metadata of each, and a row for each column.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use foldhash::fast::RandomState;
use rusqlite::{Connection, OptionalExtension, Row};
use taximeter_models::{Money, OperationId};

use super::cells::{Sum, int, text};
use super::error::{damaged, failed};
use crate::StoreError;
use crate::store::block::{BlockError, ColumnId, Meta, Reader, Sealed};

/// A sealed block. What is damaged has no metadata.
#[derive(Debug, Clone)]
pub(super) struct Sheet {
    pub(super) id: i64,
    pub(super) meta: Option<Arc<Meta>>,
    /// How many operations are said to be in it.
    pub(super) operations: u64,
    /// No operation in it cost more; none where that is not known.
    pub(super) dearest: Option<Money>,
}

/// The list of blocks and their metadata, which never change, and the ids in those that were looked into.
#[derive(Debug, Default)]
pub(super) struct Known {
    list: Vec<Listed>,
    metas: Metas,
    ids: HashMap<i64, Arc<[OperationId]>, RandomState>,
}

/// The metadata of blocks. Connections that read share them, since there are more with each block. One that writes has its
/// own: what it sees before its transaction is over may never be there.
#[derive(Debug, Default, Clone)]
pub(super) struct Metas(Arc<Mutex<HashMap<i64, Arc<Meta>, RandomState>>>);

impl Known {
    /// With metadata that others have read, or are to use too.
    pub(super) fn sharing(metas: &Metas) -> Self {
        Self { metas: metas.clone(), ..Self::default() }
    }
}

impl Metas {
    /// Forgets them all.
    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// The ids of so many blocks are remembered.
const MOST_IDS: usize = 32;

/// Every block.
pub(super) fn all(
    connection: &Connection,
    known: &mut Known,
    path: &Path,
) -> Result<Vec<Sheet>, StoreError> {
    let said = failed("reading", path);
    let Known { list, metas, .. } = known;
    renew(connection, list).map_err(said)?;
    // Who comes while another reads them waits, and has them then.
    let metas = &mut *metas.0.lock().unwrap_or_else(PoisonError::into_inner);
    if metas.len() > list.len() {
        metas.retain(|id, _| list.binary_search_by_key(id, |(id, ..)| *id).is_ok());
    }
    let sheet = |&(id, operations, dearest): &Listed| {
        let meta = match metas.get(&id) {
            Some(meta) => Some(Arc::clone(meta)),
            None => meta(connection, id, path)?.map(Arc::new),
        };
        if let Some(meta) = meta.as_ref().filter(|_| !metas.contains_key(&id)) {
            metas.insert(id, Arc::clone(meta));
        }
        Ok(Sheet { id, meta, operations: operations.max(0).cast_unsigned(), dearest })
    };
    list.iter().map(sheet).collect()
}

/// A block, how many operations it has, and the most that one of them cost.
type Listed = (i64, i64, Option<Money>);

/// Reads of the list what is new. Numbers of blocks grow and rows of the list never change: where the last one is the same
/// none came, and where there are as many then none went.
fn renew(connection: &Connection, list: &mut Vec<Listed>) -> rusqlite::Result<()> {
    let ends = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?));
    let sql = "SELECT count(*), max(id) FROM blocks";
    let (count, last) = connection.prepare_cached(sql)?.query_row([], ends)?;
    let read = |from: i64, list: &mut Vec<Listed>| -> rusqlite::Result<()> {
        let sql = "SELECT * FROM blocks WHERE id > ?1 ORDER BY id";
        let mut select = connection.prepare_cached(sql)?;
        for listed in select.query_map([from], listed)? {
            list.push(listed?);
        }
        Ok(())
    };
    let known = list.last().map(|(id, ..)| *id);
    if known < last {
        read(known.unwrap_or(i64::MIN), list)?;
    }
    if i64::try_from(list.len()) != Ok(count) || list.last().map(|(id, ..)| *id) != last {
        list.clear();
        read(i64::MIN, list)?;
    }
    Ok(())
}

/// A row of the list: the block, how many operations it has, and the most that one of them cost, which is believed
/// only with its checksum.
fn listed(row: &Row<'_>) -> rusqlite::Result<Listed> {
    let (id, operations) = (row.get(0)?, row.get(3)?);
    let mut sum = Sum::default();
    for place in 0..5 {
        sum.add(row.get_ref(place)?);
    }
    let fits = row.get_ref(5)?.as_i64() == Ok(sum.checked());
    let dearest = row.get_ref(4)?.as_str_or_null().ok().flatten().filter(|_| fits);
    Ok((id, operations, dearest.and_then(|text| text.parse().ok())))
}

/// Lists a block: its number, when its operations began, how many there are, and the most that one of them cost.
pub(super) fn list(
    connection: &Connection,
    (id, from_ns, to_ns, operations): (i64, i64, i64, i64),
    dearest: Option<Money>,
) -> rusqlite::Result<()> {
    let dearest = dearest.map(|money| money.to_string());
    let mut sum = Sum::default();
    sum.add_all(&[int(id), int(from_ns), int(to_ns), int(operations), text(dearest.as_deref())]);
    let cells = (id, from_ns, to_ns, operations, dearest, sum.checked());
    connection.prepare_cached("INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?)")?.execute(cells)?;
    Ok(())
}

/// The number of the column that holds the metadata of a block.
const META: i64 = 0;

fn meta(connection: &Connection, id: i64, path: &Path) -> Result<Option<Meta>, StoreError> {
    let bytes: Option<Vec<u8>> = connection
        .prepare_cached("SELECT bytes FROM block_columns WHERE part = ?1")
        .and_then(|mut select| select.query_row([id << 16 | META], |row| row.get(0)).optional())
        .map_err(failed("reading", path))?;
    match Meta::read(&bytes.unwrap_or_default()) {
        Ok(meta) => Ok(Some(meta)),
        Err(error) if error.is_damaged() => Ok(None),
        Err(error) => Err(refused(error, path)),
    }
}

/// Reads a block; what it needs of it is fetched when it is needed.
pub(super) fn reader(connection: &Connection, id: i64, meta: Arc<Meta>) -> Reader<'_> {
    let fetch = move |column: ColumnId| {
        let mut select =
            connection.prepare_cached("SELECT bytes FROM block_columns WHERE part = ?1")?;
        select.query_row([part(id, column)], |row| row.get::<_, Vec<u8>>(0))
    };
    Reader::of(meta, fetch)
}

/// A column has the number of its block times 65,536, plus its own.
pub(super) fn part(block: i64, column: ColumnId) -> i64 {
    (block << 16) | i64::from(column.get())
}

/// Whether what a block could not be read for is damage of its bytes. A column that is missing is.
pub(super) fn is_damage(error: &BlockError) -> bool {
    let lost = |source: &(dyn std::error::Error + 'static)| {
        matches!(source.downcast_ref(), Some(rusqlite::Error::QueryReturnedNoRows))
    };
    match error {
        BlockError::Fetch { source, .. } => lost(source.as_ref()),
        other => other.is_damaged(),
    }
}

/// Makes an error of the store of what a block could not be read for.
pub(super) fn refused(error: BlockError, path: &Path) -> StoreError {
    match error {
        BlockError::Newer { version, reads_up_to } => StoreError::NewerVersion {
            path: path.to_owned(),
            version: version.into(),
            reads_up_to: reads_up_to.into(),
        },
        BlockError::Fetch { source, .. } => match source.downcast::<rusqlite::Error>() {
            Ok(source) => failed("reading", path)(*source),
            Err(source) => StoreError::Failed { doing: "reading", path: path.to_owned(), source },
        },
        other => damaged("reading", path, other.to_string()),
    }
}

/// Which of these ids, in rising order, are in blocks. A block that cannot be read has none: who offers what was in it
/// again brings it back.
pub(super) fn having(
    connection: &Connection,
    known: &mut Known,
    ids: &[OperationId],
    path: &Path,
) -> Result<Vec<bool>, StoreError> {
    let mut found = vec![false; ids.len()];
    let (Some(first), Some(last)) = (ids.first(), ids.last()) else { return Ok(found) };
    for sheet in all(connection, known, path)? {
        let Some(meta) = sheet.meta else { continue };
        let (least, largest) = meta.ids();
        if *first > largest || *last < least {
            continue;
        }
        let within =
            ids.partition_point(|id| *id < least)..ids.partition_point(|id| *id <= largest);
        if within.is_empty() {
            continue;
        }
        let there = sorted_ids(connection, known, sheet.id, &meta, path)?;
        for place in within {
            found[place] = found[place] || there.binary_search(&ids[place]).is_ok();
        }
    }
    Ok(found)
}

fn sorted_ids(
    connection: &Connection,
    known: &mut Known,
    id: i64,
    meta: &Arc<Meta>,
    path: &Path,
) -> Result<Arc<[OperationId]>, StoreError> {
    if let Some(ids) = known.ids.get(&id) {
        return Ok(Arc::clone(ids));
    }
    let mut ids = match reader(connection, id, Arc::clone(meta)).ids() {
        Ok(ids) => ids,
        Err(error) if is_damage(&error) => Vec::new(),
        Err(error) => return Err(refused(error, path)),
    };
    ids.sort_unstable();
    let ids: Arc<[OperationId]> = ids.into();
    if known.ids.len() >= MOST_IDS {
        known.ids.clear();
    }
    known.ids.insert(id, Arc::clone(&ids));
    Ok(ids)
}

/// The metadata of a block that was sealed just now.
pub(super) fn meta_of(sealed: &Sealed, path: &Path) -> Result<Meta, StoreError> {
    Meta::read(&sealed.meta).map_err(|error| damaged("sealing in", path, error.to_string()))
}

/// Puts a block in; its number.
pub(super) fn insert(
    connection: &Connection,
    sealed: &Sealed,
    meta: &Meta,
    dearest: Option<Money>,
) -> rusqlite::Result<i64> {
    let id: i64 = connection
        .prepare_cached(
            "SELECT max(coalesce((SELECT value FROM counters WHERE name = 'next_block'), 1),
                        coalesce((SELECT max(id) FROM blocks), 0) + 1)",
        )?
        .query_row([], |row| row.get(0))?;
    let sql = "UPDATE counters SET value = ?1 WHERE name = 'next_block'";
    connection.prepare_cached(sql)?.execute([id + 1])?;
    let (from_ns, to_ns) = meta.range_ns();
    let operations = i64::try_from(meta.rows()).unwrap_or(i64::MAX);
    list(connection, (id, from_ns, to_ns, operations), dearest)?;
    let mut insert = connection.prepare_cached("INSERT INTO block_columns VALUES (?, ?)")?;
    insert.execute((id << 16 | META, &sealed.meta))?;
    for (column, bytes) in &sealed.columns {
        insert.execute((part(id, *column), bytes))?;
    }
    Ok(id)
}

/// Puts a column beside those of a block that is there.
pub(super) fn insert_column(
    connection: &Connection,
    block: i64,
    column: ColumnId,
    bytes: &[u8],
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached("INSERT INTO block_columns VALUES (?, ?)")?;
    insert.execute((part(block, column), bytes)).map(drop)
}

/// All columns of a block.
pub(super) fn columns(
    connection: &Connection,
    id: i64,
) -> rusqlite::Result<HashMap<ColumnId, Vec<u8>>> {
    let sql = "SELECT part & 65535, bytes FROM block_columns WHERE part > ?1 AND part <= ?2";
    let column = |row: &Row<'_>| Ok((ColumnId::new(row.get(0)?), row.get(1)?));
    connection
        .prepare_cached(sql)?
        .query_map([id << 16 | META, (id << 16) | 0xffff], column)?
        .collect()
}

/// Removes a block; how many operations it had.
pub(super) fn remove(connection: &Connection, id: i64) -> rusqlite::Result<u64> {
    let operations: i64 = connection
        .prepare_cached("SELECT operations FROM blocks WHERE id = ?1")?
        .query_row([id], |row| row.get(0))?;
    connection
        .prepare_cached("DELETE FROM block_columns WHERE part BETWEEN ?1 AND ?2")?
        .execute([id << 16, (id << 16) | 0xffff])?;
    connection.prepare_cached("DELETE FROM blocks WHERE id = ?1")?.execute([id])?;
    Ok(operations.max(0).cast_unsigned())
}

/// The number of the newest block.
pub(super) fn last(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    connection.prepare_cached("SELECT max(id) FROM blocks")?.query_row([], |row| row.get(0))
}

/// The block whose last operation began first, with when that was.
pub(super) fn oldest(connection: &Connection) -> rusqlite::Result<Option<(i64, i64)>> {
    connection
        .prepare_cached("SELECT to_ns, id FROM blocks ORDER BY to_ns LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

/// How many operations are in blocks, and when the first and the last began.
pub(super) fn span(connection: &Connection) -> rusqlite::Result<(i64, Option<i64>, Option<i64>)> {
    let sql = "SELECT coalesce(sum(operations), 0), min(from_ns), max(to_ns) FROM blocks";
    let span = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    connection.prepare_cached(sql)?.query_row([], span)
}
