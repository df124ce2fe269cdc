//! The slowest and the dearest: found out by a few columns, and only those that are shown are read whole. A piece in which
//! none can be among the best is not looked into.

use std::collections::{BTreeMap, HashMap};
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
use crate::store::{Block, Detail, Order, Query, Scanned};

/// One that may be shown.
#[derive(Debug, Clone, Copy)]
enum Found {
    /// In rows, by its number.
    Hot(i64),
    /// In a block, by the place of its piece and its row.
    Sealed(usize, u32),
}

/// Whether hot operations are ranked by their cells as they stand, or as far as they fit their checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cells {
    Believed,
    Checked,
}

/// What was found, read whole.
enum Whole {
    All(Vec<OperationRecord>),
    /// A row does not fit its checksum, or is gone.
    NotHot,
    /// The block of this piece is damaged.
    NotSealed(usize),
}

pub(super) fn show(
    reader: &mut Reader,
    mut pieces: Vec<Piece>,
    query: &Query,
    each: &mut dyn FnMut(OperationRecord) -> ControlFlow<()>,
    path: &Path,
) -> Result<Scanned, StoreError> {
    // The more promising come first, so that the others need not be looked into; where rows are looked into one by one, they
    // come last.
    let one_by_one = !query.conditions.is_empty();
    let is_last = |piece: &Piece| one_by_one && matches!(piece.what, What::Hot(_));
    pieces.sort_by_key(|piece| (is_last(piece), first_of(piece, query.order)));
    // Few: by what their cells say, which is believed as soon as those that are shown fit their checksums.
    let mut cells = if query.limit.is_some() { Cells::Believed } else { Cells::Checked };
    // How many operations are in pieces that turned out to be damaged.
    let mut damaged = HashMap::<usize, u64>::new();
    loop {
        let mut scanned = Scanned::default();
        let found = ranked(reader, (&pieces, &damaged), query, cells, &mut scanned, path)?;
        let Some(found) = found else {
            cells = Cells::Checked;
            continue;
        };
        scanned.damaged += damaged.values().sum::<u64>();
        match whole(reader, &pieces, &found, (cells, query.detail), path)? {
            Whole::All(records) => return Ok(shown(records, scanned, each)),
            Whole::NotHot => cells = Cells::Checked,
            Whole::NotSealed(place) => {
                let operations = match &pieces[place].what {
                    What::Sealed(sheet) => sheet.operations,
                    What::Hot(_) => 0,
                };
                damaged.insert(place, operations);
            }
        }
    }
}

fn shown(
    records: Vec<OperationRecord>,
    mut scanned: Scanned,
    each: &mut dyn FnMut(OperationRecord) -> ControlFlow<()>,
) -> Scanned {
    for record in records {
        scanned.shown += 1;
        if each(record).is_break() {
            break;
        }
    }
    scanned
}

/// The best of all pieces; none where cells were believed that do not fit their checksums.
fn ranked(
    reader: &mut Reader,
    (pieces, damaged): (&[Piece], &HashMap<usize, u64>),
    query: &Query,
    cells: Cells,
    scanned: &mut Scanned,
    path: &Path,
) -> Result<Option<Vec<Found>>, StoreError> {
    let said = failed("reading", path);
    let mut best = Best::new(query.limit);
    for (place, piece) in pieces.iter().enumerate() {
        match &piece.what {
            What::Hot(extent) if cells == Cells::Believed && query.conditions.is_empty() => {
                let offer = &mut |rank, seq| best.offer(rank, || Found::Hot(seq));
                by_cells(reader, *extent, query, scanned, offer).map_err(said)?;
            }
            What::Hot(extent) if cells == Cells::Believed => {
                let mut promising = Best::new(Some(TRIED));
                let offer = &mut |rank, seq| promising.offer(rank, || (rank, seq));
                by_cells(reader, *extent, query, scanned, offer).map_err(said)?;
                let promising = promising.into_sorted();
                match of_promising(reader, promising, query, &mut best, path)? {
                    Tried::Enough => {}
                    Tried::Few(tried) => {
                        let mut scanned = Scanned::default();
                        let rest = (extent.numbers(), tried.as_slice());
                        of_rows(reader, rest, query, &mut best, &mut scanned, path)?;
                        if scanned.damaged > 0 {
                            return Ok(None);
                        }
                    }
                    Tried::Damaged => return Ok(None),
                }
            }
            What::Hot(extent) => {
                of_rows(reader, (extent.numbers(), &[]), query, &mut best, scanned, path)?;
            }
            What::Sealed(sheet) => {
                let is_beyond =
                    first_of(piece, query.order).is_some_and(|first| best.is_beyond(first));
                if is_beyond || damaged.contains_key(&place) {
                    continue;
                }
                of_block(reader, (sheet, place), query, &mut best, scanned, path)?;
            }
        }
    }
    Ok(Some(best.into_sorted().collect()))
}

/// So many rows of an extent are looked into one by one, the most promising first.
const TRIED: usize = 64;

/// What looking into the most promising rows led to.
enum Tried {
    /// No other row is among the best.
    Enough,
    /// Others may be; these were looked into.
    Few(Vec<i64>),
    /// A row does not fit its checksum.
    Damaged,
}

/// Offers those of the most promising rows that fulfil what is asked for.
fn of_promising(
    reader: &mut Reader,
    promising: impl Iterator<Item = (Rank, i64)>,
    query: &Query,
    best: &mut Best<Found>,
    path: &Path,
) -> Result<Tried, StoreError> {
    let mut tried = Vec::new();
    for (rank, seq) in promising {
        if best.is_beyond(rank) {
            return Ok(Tried::Enough);
        }
        let mut scanned = Scanned::default();
        of_rows(reader, ((seq, seq), &[]), query, best, &mut scanned, path)?;
        if scanned.damaged > 0 {
            return Ok(Tried::Damaged);
        }
        tried.push(seq);
    }
    Ok(if tried.len() < TRIED { Tried::Enough } else { Tried::Few(tried) })
}

/// Offers the rows of these numbers that fulfil what is asked for, but for some.
fn of_rows(
    reader: &mut Reader,
    (numbers, but): ((i64, i64), &[i64]),
    query: &Query,
    best: &mut Best<Found>,
    scanned: &mut Scanned,
    path: &Path,
) -> Result<(), StoreError> {
    let wants = Wants { cost: query.order == Order::Dearest, ..Wants::of(query) };
    for (seq, record, cost) in hot(reader, numbers, query, wants, scanned, path)? {
        let (started, took) = (nanos(record.started_at), duration_nanos(record.duration));
        let rank = Rank::new(query.order, started, took, cost, record.id);
        if !but.contains(&seq) {
            best.offer(rank, || Found::Hot(seq));
        }
    }
    Ok(())
}

/// Ranks hot operations by four of their cells. What cannot be read there does not fit its checksum either, and is offered
/// first, so that somebody looks.
fn by_cells(
    reader: &Reader,
    extent: Extent,
    query: &Query,
    scanned: &mut Scanned,
    offer: &mut dyn FnMut(Rank, i64),
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
        let (longest, dearest) = (Block::NONE, Money::from_ticks(i128::MAX));
        let unreadable = || Rank::first_of(query.order, i64::MIN, longest, dearest);
        offer(read().unwrap_or_else(unreadable), seq);
    }
    Ok(())
}

/// Before this, nothing of a piece stands; none where that is not known. It tells when the piece begins, so that among many
/// equals, of which the oldest come first, the later pieces are not looked into.
fn first_of(piece: &Piece, order: Order) -> Option<Rank> {
    let What::Sealed(sheet) = &piece.what else { return None };
    let (longest, dearest) = match order {
        Order::Dearest => (0, sheet.dearest?),
        _ => (sheet.meta.as_ref()?.longest_ns(), Money::ZERO),
    };
    Some(Rank::first_of(order, piece.from_ns, longest, dearest))
}

/// Reads what was found, each block once.
fn whole(
    reader: &mut Reader,
    pieces: &[Piece],
    found: &[Found],
    (cells, detail): (Cells, Detail),
    path: &Path,
) -> Result<Whole, StoreError> {
    let mut of_pieces = BTreeMap::<usize, Vec<u32>>::new();
    for found in found {
        if let Found::Sealed(place, row) = found {
            of_pieces.entry(*place).or_default().push(*row);
        }
    }
    let mut sealed_ones = HashMap::new();
    for (place, mut rows) in of_pieces {
        let What::Sealed(sheet) = &pieces[place].what else { continue };
        rows.sort_unstable();
        let asked = Rows::Some(rows.clone());
        let read = |block: &mut block::Reader<'_>| block.records_of(&asked, detail);
        let Some(read) = sealed(reader, sheet, &mut Scanned::default(), read, path)? else {
            return Ok(Whole::NotSealed(place));
        };
        sealed_ones.extend(rows.into_iter().map(|row| (place, row)).zip(read));
    }
    let mut all = Vec::with_capacity(found.len());
    for found in found {
        match found {
            Found::Sealed(place, row) => all.extend(sealed_ones.remove(&(*place, *row))),
            Found::Hot(seq) => {
                let read = read::range(&reader.connection, &mut reader.texts, (*seq, *seq));
                let read = read.map_err(failed("reading", path))?.pop();
                match read.and_then(|read| read.record.ok()) {
                    None if cells == Cells::Believed => return Ok(Whole::NotHot),
                    record => all.extend(record),
                }
            }
        }
    }
    Ok(Whole::All(all))
}

/// Offers the best of a block.
fn of_block(
    reader: &Reader,
    (sheet, place): (&Sheet, usize),
    query: &Query,
    best: &mut Best<Found>,
    scanned: &mut Scanned,
    path: &Path,
) -> Result<(), StoreError> {
    let ask = |block: &mut block::Reader<'_>| {
        Ok((block.meta().rows() as u64, ranks(block, query, best)?))
    };
    let (rows, ranks) = sealed(reader, sheet, scanned, ask, path)?.unwrap_or_default();
    scanned.rows += rows;
    for (rank, row) in ranks {
        best.offer(rank, || Found::Sealed(place, row));
    }
    Ok(())
}

/// The best of a block, as many as are shown and those that are their equals, as far as they can be among the best of all.
/// What decides first is looked at in every row, the rest in those that are left.
fn ranks(
    block: &mut block::Reader<'_>,
    query: &Query,
    best: &Best<Found>,
) -> Result<Vec<(Rank, u32)>, BlockError> {
    let rows = block.matching(query)?;
    let mut left: Vec<(i128, u32)> = decisive(block, &rows, query.order)?
        .into_iter()
        .zip(rows.iter())
        .filter(|(first, _)| best.may_take(*first))
        .filter_map(|(first, row)| Some((first, u32::try_from(row).ok()?)))
        .collect();
    if let Some(limit) = query.limit.filter(|limit| 0 < *limit && *limit < left.len()) {
        let (_, (last, _), _) = left.select_nth_unstable(limit - 1);
        let last = *last;
        left.retain(|(first, _)| *first <= last);
    }
    if left.is_empty() {
        return Ok(Vec::new());
    }
    let (ids, starts) = (block.ids()?, block.starts()?);
    let rank = |(first, row): (i128, u32)| {
        let at = row as usize;
        (Rank::decided(first, starts[at], ids[at]), row)
    };
    Ok(left.into_iter().map(rank).collect())
}

/// What decides first of each of these rows.
fn decisive(
    block: &mut block::Reader<'_>,
    rows: &Rows,
    order: Order,
) -> Result<Vec<i128>, BlockError> {
    if order == Order::Dearest {
        let costs = block.costs_of(rows)?.into_iter();
        return Ok(costs.map(|cost| Rank::decisive(order, 0, 0, cost)).collect());
    }
    let took = block.durations_of(rows)?.into_iter();
    Ok(took.map(|took| Rank::decisive(order, 0, took, Money::ZERO)).collect())
}
