//! Answering questions about records: the pieces that may hold what is meant are read one after the other.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use rusqlite::OptionalExtension;
use taximeter_models::{Money, OperationId, OperationRecord};

use super::Reader;
use super::blocks::{self, Sheet};
use super::error::{damaged, failed};
use super::extents::{self, Extent};
use super::open::with_suffix;
use super::read;
use super::wants::Wants;
use crate::StoreError;
use crate::store::block::{self, BlockError, Rows};
use crate::store::gather::GatherAll;
use crate::store::rows::Rank;
use crate::store::{Block, Column, Order, Query, Scanned, StoreSpan, StoreStats, Table};

mod best;

/// A piece of the store.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    /// When its first operation began, in nanoseconds since 1970.
    from_ns: i64,
    /// When its last operation began, likewise.
    to_ns: i64,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    Hot(Extent),
    Sealed(Sheet),
}

impl Piece {
    /// A block, if there may be in it what a query means. What is damaged is asked too, so that it is counted.
    pub(super) fn that_may_match(sheet: Sheet, query: &Query) -> Option<Self> {
        let meta = sheet.meta.as_ref();
        let (from_ns, to_ns) = meta.map_or((i64::MIN, i64::MAX), |meta| meta.range_ns());
        let may_match = meta.is_none_or(|meta| meta.may_match(query));
        may_match.then_some(Self { from_ns, to_ns, what: What::Sealed(sheet) })
    }

    /// The block that it is; none where it is rows.
    pub(super) fn sealed(&self) -> Option<&Sheet> {
        match &self.what {
            What::Sealed(sheet) => Some(sheet),
            What::Hot(_) => None,
        }
    }

    /// Whether all its operations began within the time of a query.
    pub(super) fn is_within(&self, query: &Query) -> bool {
        query.holds_all(self.from_ns, self.to_ns)
    }
}

pub(super) fn get(
    reader: &mut Reader,
    id: OperationId,
    path: &Path,
) -> Result<Option<OperationRecord>, StoreError> {
    let said = failed("reading", path);
    let Reader { connection, texts, blocks, .. } = reader;
    let seq: Option<i64> = connection
        .prepare_cached("SELECT seq FROM operations WHERE id = ?1")
        .and_then(|mut select| {
            select.query_row([&id.bits().to_be_bytes()[..]], |row| row.get(0)).optional()
        })
        .map_err(said)?;
    if let Some(seq) = seq {
        let mut read = read::range(connection, texts, (seq, seq)).map_err(said)?;
        let record = read.pop().map(|read| read.record).transpose();
        return record
            .map_err(|wrong| damaged("reading", path, format!("operation {id}: {wrong}")));
    }
    for sheet in blocks::all(connection, blocks, path)? {
        let Some(meta) = sheet.meta.filter(|meta| meta.may_have_id(id)) else { continue };
        let mut block = blocks::reader(connection, sheet.id, meta);
        let found = block.position(id).and_then(|row| {
            row.map_or_else(|| Ok(Vec::new()), |row| block.records(&Rows::Some(vec![row])))
        });
        if let Some(record) = found.map_err(|error| blocks::refused(error, path))?.pop() {
            return Ok(Some(record));
        }
    }
    Ok(None)
}

pub(super) fn scan(
    reader: &mut Reader,
    query: &Query,
    each: &mut dyn FnMut(OperationRecord) -> ControlFlow<()>,
    path: &Path,
) -> Result<Scanned, StoreError> {
    let mut pieces = pieces(reader, query, path)?;
    match query.order {
        Order::OldestFirst => pieces.sort_by_key(|piece| piece.from_ns),
        Order::NewestFirst => pieces.sort_by_key(|piece| std::cmp::Reverse(piece.to_ns)),
        Order::Slowest | Order::Dearest => return best::show(reader, pieces, query, each, path),
    }
    in_time(reader, &pieces, query, each, path)
}

/// Shows operations in the order of time. Pieces overlap little, so that few operations wait for those of other pieces.
fn in_time(
    reader: &mut Reader,
    pieces: &[Piece],
    query: &Query,
    each: &mut dyn FnMut(OperationRecord) -> ControlFlow<()>,
    path: &Path,
) -> Result<Scanned, StoreError> {
    let mut scanned = Scanned::default();
    let mut waiting = BTreeMap::<Rank, OperationRecord>::new();
    let most = query.pieces.filter(|_| query.order == Order::NewestFirst).unwrap_or(usize::MAX);
    let mut sealed = 0;
    for (place, piece) in pieces.iter().enumerate() {
        sealed += usize::from(matches!(piece.what, What::Sealed(_)));
        if sealed > most {
            scanned.broken_off = query.limit.is_none_or(|limit| scanned.shown < limit as u64);
            break;
        }
        for record in meant(reader, piece, query, Wants::ALL, &mut scanned, path)? {
            waiting.insert(Rank::of(&record, query.order), record);
        }
        let next = pieces.get(place + 1);
        while let Some(first) = waiting.first_entry() {
            let is_next = next.is_none_or(|next| match query.order {
                Order::NewestFirst => first.key().started_ns() > next.to_ns,
                _ => first.key().started_ns() < next.from_ns,
            });
            if !is_next {
                break;
            }
            if query.limit.is_some_and(|limit| scanned.shown >= limit as u64) {
                return Ok(scanned);
            }
            scanned.shown += 1;
            if each(first.remove()).is_break() {
                return Ok(scanned);
            }
        }
    }
    Ok(scanned)
}

/// Shows columns of several tables, a block of each from every piece.
pub(super) fn tables(
    reader: &mut Reader,
    tables: &[(Table, &[Column])],
    query: &Query,
    each: Show<'_>,
    path: &Path,
) -> Result<Scanned, StoreError> {
    let mut scanned = Scanned::default();
    let how = Shown::of(tables, query);
    for piece in pieces(reader, query, path)? {
        if show(reader, &piece, how, each, &mut scanned, path)?.is_break() {
            break;
        }
    }
    Ok(scanned)
}

/// Is shown columns, and says whether it goes on.
pub(super) type Show<'s> = &'s mut (dyn FnMut(&[Block<'_>]) -> ControlFlow<()> + 's);

/// What is shown of a piece.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown<'a> {
    tables: &'a [(Table, &'a [Column])],
    pub(super) query: &'a Query,
    wants: Wants,
}

impl<'a> Shown<'a> {
    pub(super) fn of(tables: &'a [(Table, &'a [Column])], query: &'a Query) -> Self {
        let wants = Wants::of(query);
        let wants = tables.iter().fold(wants, |wants, (table, of)| wants.and(*table, of));
        Self { tables, query, wants }
    }
}

/// Shows columns of several tables of one piece.
pub(super) fn show(
    reader: &mut Reader,
    piece: &Piece,
    how: Shown<'_>,
    each: Show<'_>,
    scanned: &mut Scanned,
    path: &Path,
) -> Result<ControlFlow<()>, StoreError> {
    let Shown { tables, query, wants } = how;
    match &piece.what {
        What::Hot(_) => {
            let mut gathered = GatherAll::new(tables);
            for record in meant(reader, piece, query, wants, scanned, path)? {
                gathered.add(&record);
            }
            scanned.shown += gathered.rows() as u64;
            Ok(match gathered.operations() {
                0 => ControlFlow::Continue(()),
                _ => gathered.show(each),
            })
        }
        What::Sealed(sheet) => {
            let ask = |block: &mut block::Reader<'_>| block.scan_tables(query, tables, each);
            let answer = sealed(reader, sheet, scanned, ask, path)?;
            Ok(answer.map_or(ControlFlow::Continue(()), |(of_block, going)| {
                scanned.rows += of_block.rows;
                scanned.shown += of_block.shown;
                going
            }))
        }
    }
}

/// Asks a block; none where it is damaged, which is counted.
fn sealed<T>(
    reader: &Reader,
    sheet: &Sheet,
    scanned: &mut Scanned,
    ask: impl FnOnce(&mut block::Reader<'_>) -> Result<T, BlockError>,
    path: &Path,
) -> Result<Option<T>, StoreError> {
    let answer = sheet
        .meta
        .as_ref()
        .map(|meta| ask(&mut blocks::reader(&reader.connection, sheet.id, Arc::clone(meta))));
    match answer {
        Some(Ok(answer)) => Ok(Some(answer)),
        Some(Err(error)) if !blocks::is_damage(&error) => Err(blocks::refused(error, path)),
        _ => {
            scanned.damaged += sheet.operations;
            Ok(None)
        }
    }
}

/// The pieces in which there may be what a query means.
pub(super) fn pieces(
    reader: &mut Reader,
    query: &Query,
    path: &Path,
) -> Result<Vec<Piece>, StoreError> {
    let Reader { connection, blocks, .. } = reader;
    let extents = extents::all(connection).map_err(failed("reading", path))?;
    let hot = extents.into_iter().map(|extent| Piece {
        from_ns: extent.from_ns,
        to_ns: extent.to_ns,
        what: What::Hot(extent),
    });
    let mut pieces: Vec<Piece> =
        hot.filter(|piece| query.touches(piece.from_ns, piece.to_ns)).collect();
    let sheets = blocks::all(connection, blocks, path)?.into_iter();
    pieces.extend(sheets.filter_map(|sheet| Piece::that_may_match(sheet, query)));
    Ok(pieces)
}

fn meant(
    reader: &mut Reader,
    piece: &Piece,
    query: &Query,
    wants: Wants,
    scanned: &mut Scanned,
    path: &Path,
) -> Result<Vec<OperationRecord>, StoreError> {
    match &piece.what {
        What::Hot(extent) => {
            let read = hot(reader, extent.numbers(), query, wants, scanned, path)?;
            Ok(read.into_iter().map(|(_, record, _)| record).collect())
        }
        What::Sealed(sheet) => {
            let is_far = piece.from_ns == i64::MIN || piece.to_ns == i64::MAX;
            let ask = |block: &mut block::Reader<'_>| {
                let mut rows = block.matching(query)?;
                // The rows of a block stand in the order of time, unless nanoseconds do not hold them.
                match (query.limit.filter(|_| !is_far), query.order) {
                    (Some(limit), Order::OldestFirst) => rows.keep_first(limit),
                    (Some(limit), Order::NewestFirst) => rows.keep_last(limit),
                    _ => {}
                }
                let looked_at = block.meta().rows() as u64;
                Ok((looked_at, block.records_of(&rows, query.detail)?))
            };
            let answer = sealed(reader, sheet, scanned, ask, path)?;
            let (rows, records) = answer.unwrap_or_default();
            scanned.rows += rows;
            Ok(records)
        }
    }
}

/// Hot operations that are meant, each with its number and what it cost.
fn hot(
    reader: &mut Reader,
    numbers: (i64, i64),
    query: &Query,
    wants: Wants,
    scanned: &mut Scanned,
    path: &Path,
) -> Result<Vec<(i64, OperationRecord, Money)>, StoreError> {
    let Reader { connection, texts, .. } = reader;
    let read = read::parts_of(connection, texts, numbers, wants, query);
    let (rows, read) = read.map_err(failed("reading", path))?;
    scanned.rows += rows;
    let mut records = Vec::new();
    for read in read {
        match read.record {
            Ok(record) if query.holds(&record) => records.push((read.seq, record, read.cost_usd)),
            Ok(_) => {}
            Err(_) => scanned.damaged += 1,
        }
    }
    Ok(records)
}

pub(super) fn stats(
    connection: &rusqlite::Connection,
    path: &Path,
) -> Result<StoreStats, StoreError> {
    let said = failed("reading", path);
    let span = span(connection, path)?;
    let count = |sql: &str| {
        let count = connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        count.map(|count| count.max(0).cast_unsigned()).map_err(said)
    };
    Ok(StoreStats {
        hot_operations: count("SELECT count(*) FROM operations")?,
        sealed_operations: count("SELECT coalesce(sum(operations), 0) FROM blocks")?,
        sealed_bytes: count("SELECT coalesce(sum(length(bytes)), 0) FROM block_columns")?,
        rollups: count("SELECT count(*) FROM rollups")?,
        first_ns: span.first_ns,
        last_ns: span.last_ns,
        bytes: span.bytes,
        known: span.known,
    })
}

/// By the lists of extents and blocks, which are short.
pub(super) fn span(
    connection: &rusqlite::Connection,
    path: &Path,
) -> Result<StoreSpan, StoreError> {
    let said = failed("reading", path);
    let extents = extents::all(connection).map_err(said)?;
    let hot: i64 = extents.iter().map(|extent| extent.operations).sum();
    let (sealed, first_ns, last_ns) = blocks::span(connection).map_err(said)?;
    let known: i64 = connection
        .query_row("SELECT value FROM counters WHERE name = 'known'", [], |row| row.get(0))
        .map_err(said)?;
    let size = |suffix: &str| {
        std::fs::metadata(with_suffix(path, suffix)).map_or(0, |metadata| metadata.len())
    };
    Ok(StoreSpan {
        operations: hot.saturating_add(sealed).max(0).cast_unsigned(),
        sealed_operations: sealed.max(0).cast_unsigned(),
        first_ns: extents.iter().map(|extent| extent.from_ns).chain(first_ns).min(),
        last_ns: extents.iter().map(|extent| extent.to_ns).chain(last_ns).max(),
        bytes: size("") + size("-wal"),
        known: known.cast_unsigned(),
    })
}
