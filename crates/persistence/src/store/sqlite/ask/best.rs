//! The slowest and the dearest: found out by two columns, and only those that are shown are read whole. A piece in which
//! none can be among the best is not looked into.

use std::ops::ControlFlow;
use std::path::Path;

use taximeter_models::{Money, OperationId, OperationRecord};

use super::{Piece, What, hot, sealed};
use crate::StoreError;
use crate::store::block::{self, BlockError, Rows};
use crate::store::rows::{Best, Rank, duration_nanos, nanos};
use crate::store::sqlite::Reader;
use crate::store::sqlite::blocks::Sheet;
use crate::store::sqlite::error::failed;
use crate::store::sqlite::extents::Extent;
use crate::store::sqlite::read;
use crate::store::sqlite::wants::Wants;
use crate::store::{Block, Column, Order, Query, Scanned, Table};

/// One that may be shown.
enum Found {
    /// In rows, by its number.
    Hot(i64),
    Sealed(Box<OperationRecord>),
}

pub(super) fn show(
    reader: &mut Reader,
    mut pieces: Vec<Piece>,
    query: &Query,
    each: &mut dyn FnMut(OperationRecord) -> ControlFlow<()>,
    path: &Path,
) -> Result<Scanned, StoreError> {
    // The more promising come first, so that the others need not be looked into.
    pieces.sort_by_key(|piece| first_of(piece, query.order));
    // Few of all: by what their cells say, which is believed as soon as those that are shown fit their checksums.
    if query.conditions.is_empty() && query.limit.is_some() {
        let mut scanned = Scanned::default();
        let best = ranked(reader, &pieces, query, Cells::Believed, &mut scanned, path)?;
        let records: Option<Vec<_>> =
            best.map(|found| found.record(reader, path).transpose()).collect();
        if let Some(records) = records {
            return shown(records.into_iter(), scanned, each);
        }
    }
    let mut scanned = Scanned::default();
    let best = ranked(reader, &pieces, query, Cells::Checked, &mut scanned, path)?;
    let records = best.filter_map(|found| found.record(reader, path).transpose());
    shown(records, scanned, each)
}

fn shown(
    records: impl Iterator<Item = Result<OperationRecord, StoreError>>,
    mut scanned: Scanned,
    each: &mut dyn FnMut(OperationRecord) -> ControlFlow<()>,
) -> Result<Scanned, StoreError> {
    for record in records {
        scanned.shown += 1;
        if each(record?).is_break() {
            break;
        }
    }
    Ok(scanned)
}

/// Whether hot operations are ranked by their cells as they stand, or as far as they fit their checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cells {
    Believed,
    Checked,
}

fn ranked(
    reader: &mut Reader,
    pieces: &[Piece],
    query: &Query,
    cells: Cells,
    scanned: &mut Scanned,
    path: &Path,
) -> Result<impl Iterator<Item = Found> + use<>, StoreError> {
    let mut best = Best::new(query.limit);
    for piece in pieces {
        match &piece.what {
            What::Hot(extent) if cells == Cells::Believed => {
                by_cells(reader, *extent, query, &mut best, scanned)
                    .map_err(failed("reading", path))?;
            }
            What::Hot(extent) => {
                let wants = Wants { cost: query.order == Order::Dearest, ..Wants::of(query) };
                for (seq, record, cost) in hot(reader, *extent, query, wants, scanned, path)? {
                    let (started, took) =
                        (nanos(record.started_at), duration_nanos(record.duration));
                    let rank = Rank::new(query.order, started, took, cost, record.id);
                    best.offer(rank, || Found::Hot(seq));
                }
            }
            What::Sealed(sheet) => {
                if first_of(piece, query.order).is_some_and(|first| best.is_beyond(first)) {
                    continue;
                }
                for record in of_block(reader, piece, sheet, query, scanned, path)? {
                    let rank = Rank::of(&record, query.order);
                    best.offer(rank, || Found::Sealed(Box::new(record)));
                }
            }
        }
    }
    Ok(best.into_sorted())
}

/// Ranks hot operations by four of their cells. What cannot be read there does not fit its checksum either, and is offered
/// first, so that somebody looks.
fn by_cells(
    reader: &Reader,
    extent: Extent,
    query: &Query,
    best: &mut Best<Found>,
    scanned: &mut Scanned,
) -> rusqlite::Result<()> {
    let sql = "SELECT seq, id, started_ns, duration_ns, cost_usd FROM operations
               WHERE seq BETWEEN ?1 AND ?2 AND started_ns >= ?3 AND (started_ns < ?4 OR ?4 IS NULL)";
    let mut select = reader.connection.prepare_cached(sql)?;
    let (first, last) = extent.numbers();
    let since = query.since.map_or(i64::MIN, nanos);
    let mut rows = select.query((first, last, since, query.until.map(nanos)))?;
    while let Some(row) = rows.next()? {
        scanned.rows += 1;
        let seq = row.get(0)?;
        let read = || -> Option<Rank> {
            let id = u128::from_be_bytes(row.get_ref(1).ok()?.as_blob().ok()?.try_into().ok()?);
            let cost = match row.get_ref(4).ok()?.as_str_or_null().ok()? {
                Some(cost) if query.order == Order::Dearest => cost.parse().ok()?,
                _ => Money::ZERO,
            };
            let took = row.get::<_, i64>(3).ok()?.cast_unsigned().min(Block::NONE - 1);
            Some(Rank::new(query.order, row.get(2).ok()?, took, cost, OperationId::from_bits(id)))
        };
        let unreadable = || Rank::first_of(query.order, Block::NONE, Money::from_ticks(i128::MAX));
        best.offer(read().unwrap_or_else(unreadable), || Found::Hot(seq));
    }
    Ok(())
}

/// Before this, nothing of a piece stands; none where that is not known.
fn first_of(piece: &Piece, order: Order) -> Option<Rank> {
    let What::Sealed(sheet) = &piece.what else { return None };
    let (longest, dearest) = match order {
        Order::Dearest => (0, sheet.dearest?),
        _ => (sheet.meta.as_ref()?.longest_ns(), Money::ZERO),
    };
    Some(Rank::first_of(order, longest, dearest))
}

impl Found {
    /// The whole record; none where it does not fit its checksum, or is gone.
    fn record(
        self,
        reader: &mut Reader,
        path: &Path,
    ) -> Result<Option<OperationRecord>, StoreError> {
        let seq = match self {
            Self::Sealed(record) => return Ok(Some(*record)),
            Self::Hot(seq) => seq,
        };
        let read = read::range(&reader.connection, &mut reader.texts, (seq, seq));
        Ok(read.map_err(failed("reading", path))?.pop().and_then(|read| read.record.ok()))
    }
}

/// The best of a block: as many as are shown, and those that are as good as the last of them.
fn of_block(
    reader: &Reader,
    piece: &Piece,
    sheet: &Sheet,
    query: &Query,
    scanned: &mut Scanned,
    path: &Path,
) -> Result<Vec<OperationRecord>, StoreError> {
    // Times that nanoseconds do not hold stand in an order of their own.
    let is_far = piece.from_ns == i64::MIN || piece.to_ns == i64::MAX;
    let limit = query.limit.filter(|_| !is_far);
    let ask = |block: &mut block::Reader<'_>| {
        let looked_at = block.meta().rows() as u64;
        let rows = block.matching(query)?;
        let rows = match limit {
            Some(limit) if limit < rows.len() => first_rows(block, &rows, query, limit)?,
            _ => rows,
        };
        Ok((looked_at, block.records(&rows)?))
    };
    let (rows, records) = sealed(reader, sheet, scanned, ask, path)?.unwrap_or_default();
    scanned.rows += rows;
    Ok(records)
}

/// Of rows that are meant the best. They stand in the order of time, so that of equals the first come first.
fn first_rows(
    block: &mut block::Reader<'_>,
    rows: &Rows,
    query: &Query,
    limit: usize,
) -> Result<Rows, BlockError> {
    let column = if query.order == Order::Dearest { Column::CostUsd } else { Column::Duration };
    let mut values: Vec<i128> = Vec::with_capacity(rows.len());
    let columns = [column.clone()];
    let _ = block.scan(Table::Operations, query, &columns, &mut |block| {
        let numbers = block.numbers(&column).unwrap_or_default();
        let money = block.money(&column).unwrap_or_default();
        values.extend(numbers.iter().map(|number| i128::from(*number)));
        values.extend(money.iter().map(|money| money.ticks()));
        ControlFlow::Continue(())
    })?;
    let mut places: Vec<(i128, usize)> =
        values.into_iter().map(i128::saturating_neg).zip(rows.iter()).collect();
    if limit < places.len() && limit > 0 {
        places.select_nth_unstable(limit - 1);
    }
    places.truncate(limit);
    let mut rows: Vec<u32> =
        places.into_iter().filter_map(|(_, row)| u32::try_from(row).ok()).collect();
    rows.sort_unstable();
    Ok(Rows::Some(rows))
}
