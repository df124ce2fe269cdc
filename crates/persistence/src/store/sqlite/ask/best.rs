//! The slowest and the dearest: found out by two columns, and only those that are shown are read whole. A piece in which
//! none can be among the best is not looked into.

use std::ops::ControlFlow;
use std::path::Path;

use taximeter_models::{Money, OperationRecord};

use super::{Piece, What, hot, sealed};
use crate::StoreError;
use crate::store::block::{self, BlockError, Rows};
use crate::store::rows::{Best, Rank, duration_nanos, nanos};
use crate::store::sqlite::Reader;
use crate::store::sqlite::blocks::Sheet;
use crate::store::sqlite::error::{damaged, failed};
use crate::store::sqlite::read;
use crate::store::sqlite::wants::Wants;
use crate::store::{Column, Order, Query, Scanned, Table};

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
    let (mut scanned, mut best) = (Scanned::default(), Best::new(query.limit));
    // The more promising come first, so that the others need not be looked into.
    pieces.sort_by_key(|piece| first_of(piece, query.order));
    for piece in &pieces {
        match &piece.what {
            What::Hot(extent) => {
                let wants = Wants { cost: query.order == Order::Dearest, ..Wants::of(query) };
                for (seq, record, cost) in hot(reader, *extent, query, wants, &mut scanned, path)? {
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
                for record in of_block(reader, piece, sheet, query, &mut scanned, path)? {
                    let rank = Rank::of(&record, query.order);
                    best.offer(rank, || Found::Sealed(Box::new(record)));
                }
            }
        }
    }
    for found in best.into_sorted() {
        let record = match found {
            Found::Hot(seq) => whole(reader, seq, path)?,
            Found::Sealed(record) => *record,
        };
        scanned.shown += 1;
        if each(record).is_break() {
            break;
        }
    }
    Ok(scanned)
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

fn whole(reader: &mut Reader, seq: i64, path: &Path) -> Result<OperationRecord, StoreError> {
    let read = read::range(&reader.connection, &mut reader.texts, (seq, seq));
    let read = read.map_err(failed("reading", path))?.pop();
    let gone = || "it is gone".to_owned();
    read.map_or_else(|| Err(gone()), |read| read.record)
        .map_err(|wrong| damaged("reading", path, format!("operation number {seq}: {wrong}")))
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
