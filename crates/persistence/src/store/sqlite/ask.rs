//! Answering questions about records: the pieces that may hold what is meant are read one after the other.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use rusqlite::OptionalExtension;
use taximeter_models::{OperationId, OperationRecord};

use super::Reader;
use super::error::{damaged, failed};
use super::extents::{self, Extent};
use super::open::with_suffix;
use super::read;
use crate::StoreError;
use crate::store::rows::{Best, Gather, Rank};
use crate::store::{Block, Column, Order, Query, Scanned, StoreStats, Table};

/// A piece of the store.
#[derive(Debug, Clone)]
struct Piece {
    /// When its first operation began, in nanoseconds since 1970.
    from_ns: i64,
    /// When its last operation began, likewise.
    to_ns: i64,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    Hot(Extent),
}

/// Those of a piece that a query means.
struct Meant {
    records: Vec<OperationRecord>,
    rows: u64,
    damaged: u64,
}

pub(super) fn get(
    reader: &mut Reader,
    id: OperationId,
    path: &Path,
) -> Result<Option<OperationRecord>, StoreError> {
    let said = failed("reading", path);
    let Reader { connection, texts } = reader;
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
        Order::Slowest | Order::Dearest => return best(reader, &pieces, query, each, path),
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
    for (place, piece) in pieces.iter().enumerate() {
        for record in meant(reader, piece, query, &mut scanned, path)? {
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

/// Shows operations in another order: as many as are shown are kept meanwhile.
fn best(
    reader: &mut Reader,
    pieces: &[Piece],
    query: &Query,
    each: &mut dyn FnMut(OperationRecord) -> ControlFlow<()>,
    path: &Path,
) -> Result<Scanned, StoreError> {
    let (mut scanned, mut best) = (Scanned::default(), Best::new(query.limit));
    for piece in pieces {
        for record in meant(reader, piece, query, &mut scanned, path)? {
            best.offer(Rank::of(&record, query.order), || record);
        }
    }
    for record in best.into_sorted() {
        scanned.shown += 1;
        if each(record).is_break() {
            break;
        }
    }
    Ok(scanned)
}

pub(super) fn columns(
    reader: &mut Reader,
    (table, columns): (Table, &[Column]),
    query: &Query,
    each: &mut dyn FnMut(&Block<'_>) -> ControlFlow<()>,
    path: &Path,
) -> Result<Scanned, StoreError> {
    let mut scanned = Scanned::default();
    for piece in pieces(reader, query, path)? {
        let mut gather = Gather::new(table, columns);
        for record in meant(reader, &piece, query, &mut scanned, path)? {
            gather.add(&record);
        }
        let (rows, values) = gather.take();
        scanned.shown += rows as u64;
        if rows > 0 && each(&Block::new(rows, &values)).is_break() {
            break;
        }
    }
    Ok(scanned)
}

/// The pieces in whose time a query may mean something.
fn pieces(reader: &Reader, query: &Query, path: &Path) -> Result<Vec<Piece>, StoreError> {
    let extents = extents::all(&reader.connection).map_err(failed("reading", path))?;
    let hot = extents.into_iter().map(|extent| Piece {
        from_ns: extent.from_ns,
        to_ns: extent.to_ns,
        what: What::Hot(extent),
    });
    Ok(hot.filter(|piece| query.touches(piece.from_ns, piece.to_ns)).collect())
}

fn meant(
    reader: &mut Reader,
    piece: &Piece,
    query: &Query,
    scanned: &mut Scanned,
    path: &Path,
) -> Result<Vec<OperationRecord>, StoreError> {
    let meant = match &piece.what {
        What::Hot(extent) => hot(reader, *extent, query, path)?,
    };
    scanned.rows += meant.rows;
    scanned.damaged += meant.damaged;
    Ok(meant.records)
}

fn hot(
    reader: &mut Reader,
    extent: Extent,
    query: &Query,
    path: &Path,
) -> Result<Meant, StoreError> {
    let Reader { connection, texts } = reader;
    let read = read::range(connection, texts, extent.numbers()).map_err(failed("reading", path))?;
    let (rows, mut damaged) = (read.len() as u64, 0);
    let mut records = Vec::new();
    for read in read {
        match read.record {
            Ok(record) if query.holds(&record) => records.push(record),
            Ok(_) => {}
            Err(_) => damaged += 1,
        }
    }
    Ok(Meant { records, rows, damaged })
}

pub(super) fn stats(
    connection: &rusqlite::Connection,
    path: &Path,
) -> Result<StoreStats, StoreError> {
    let said = failed("reading", path);
    let mut stats = StoreStats::default();
    let count = |sql: &str| {
        connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map(i64::cast_unsigned)
    };
    let extents = extents::all(connection).map_err(said)?;
    stats.hot_operations = count("SELECT count(*) FROM operations").map_err(said)?;
    stats.first_ns = extents.iter().map(|extent| extent.from_ns).min();
    stats.last_ns = extents.iter().map(|extent| extent.to_ns).max();
    stats.rollups = count("SELECT count(*) FROM rollups").map_err(said)?;
    stats.known = count("SELECT value FROM counters WHERE name = 'known'").map_err(said)?;
    let size = |suffix: &str| {
        std::fs::metadata(with_suffix(path, suffix)).map_or(0, |metadata| metadata.len())
    };
    stats.bytes = size("") + size("-wal");
    Ok(stats)
}
