//! Sealing: the oldest hot operations become a block, and their rows go, in one transaction; those that come in large
//! batches become one without ever being rows.

use std::collections::HashMap;
use std::path::Path;

use chrono::{DateTime, Utc};
use rusqlite::Connection;
use taximeter_models::{Money, OperationId, OperationRecord};

use super::append::transaction;
use super::blocks;
use super::error::failed;
use super::extents::{self, Extent};
use super::maintain::{remove_extent, remove_numbers};
use super::{Keep, SqliteStore, read};
use crate::StoreError;
use crate::store::block::{self, Meta, SealError, Sealed};
use crate::store::rows::nanos;

/// A record that cannot be sealed as it is stays hot; so many of one lot are put aside before it is given up.
const MOST_ASIDE: usize = 64;

/// What is to be sealed.
struct Lot {
    extents: Vec<Extent>,
    /// The number of each record.
    seqs: Vec<i64>,
    records: Vec<OperationRecord>,
}

impl Lot {
    /// Leaves out what is not to stay.
    fn retain(&mut self, stays: impl Fn(i64, &OperationRecord) -> bool) {
        let Self { seqs, records, .. } = self;
        let both = std::mem::take(seqs).into_iter().zip(std::mem::take(records));
        (*seqs, *records) = both.filter(|(seq, record)| stays(*seq, record)).unzip();
    }
}

/// Seals some rows, where there are enough old ones; how many they are.
pub(super) fn step(store: &SqliteStore, now: DateTime<Utc>) -> Result<Option<u64>, StoreError> {
    let stuck = store.writer("maintaining")?.stuck.clone();
    let Some(mut lot) = lot(store, now, &stuck)? else { return Ok(None) };
    let sealed = seal(&mut lot, store)?;
    let mut writer = store.writer("maintaining")?;
    let Some((sealed, meta)) = sealed else {
        writer.stuck.extend(lot.extents.iter().map(|extent| (extent.chunk, *extent)));
        return Ok(None);
    };
    let said = failed("maintaining", &store.path);
    let done = transaction(&mut writer, &store.path, |connection, _| {
        for extent in &lot.extents {
            // Another process may have sealed or removed them meanwhile, or put more there.
            if extents::of(connection, extent.numbers().0).map_err(said)? != *extent {
                return Ok(None);
            }
        }
        blocks::insert(connection, &sealed, &meta, dearest(&lot.records)).map_err(said)?;
        let left = remove(connection, &lot).map_err(said)?;
        Ok(Some((left, meta.rows() as u64)))
    })?;
    Ok(done.map(|(left, operations)| {
        writer.stuck.extend(left.into_iter().map(|extent| (extent.chunk, extent)));
        operations
    }))
}

/// Seals operations that stand in no row, within a transaction, and hands back those that cannot be sealed.
pub(super) fn at_once<'r>(
    connection: &Connection,
    lot: &[&'r OperationRecord],
    keep: &Keep,
    path: &Path,
) -> Result<Vec<&'r OperationRecord>, StoreError> {
    let (mut whole, mut aside) = (lot.to_vec(), Vec::new());
    let Ok(sealed) = seal_most(&mut whole, &mut aside, keep) else { return Ok(lot.to_vec()) };
    let meta = blocks::meta_of(&sealed, path)?;
    blocks::insert(connection, &sealed, &meta, dearest(whole)).map_err(failed("writing", path))?;
    Ok(lot.iter().copied().filter(|record| aside.contains(&record.id)).collect())
}

/// Seals records but for those that would not come back as they are, whose ids are put aside.
fn seal_most(
    lot: &mut Vec<&OperationRecord>,
    aside: &mut Vec<OperationId>,
    keep: &Keep,
) -> Result<Sealed, SealError> {
    loop {
        match block::seal_with(lot.iter().copied(), keep.effort(lot.len())) {
            Err(SealError::NotExact { id, .. }) if aside.len() < MOST_ASIDE && lot.len() > 1 => {
                lot.retain(|record| record.id != id);
                aside.push(id);
            }
            done => return done,
        }
    }
}

/// The most that one of them cost.
fn dearest<'r>(records: impl IntoIterator<Item = &'r OperationRecord>) -> Option<Money> {
    records.into_iter().map(|record| record.cost().usd()).max()
}

/// The oldest hot operations, where they are enough and old, or too many are hot.
fn lot(
    store: &SqliteStore,
    now: DateTime<Utc>,
    stuck: &HashMap<i64, Extent>,
) -> Result<Option<Lot>, StoreError> {
    let said = failed("maintaining", &store.path);
    let keep = &store.keep;
    store.read("maintaining", |reader| {
        let mut all = extents::all(&reader.connection).map_err(said)?;
        let hot: i64 = all.iter().map(|extent| extent.operations).sum();
        // Trying again what is as it was would change nothing.
        let is_stuck = |extent: &Extent| stuck.get(&extent.chunk) == Some(extent);
        all.retain(|extent| !is_stuck(extent) && extent.operations > 0);
        all.sort_by_key(|extent| extent.to_ns);
        let wanted = i64::try_from(keep.operations_of_a_lot()).unwrap_or(i64::MAX);
        let mut many = 0;
        let enough = all.iter().position(|extent| {
            many += extent.operations;
            many >= wanted
        });
        let Some(last) = enough else { return Ok(None) };
        all.truncate(last + 1);
        let old = nanos(now)
            .saturating_sub_unsigned(u64::try_from(keep.hot_for.as_nanos()).unwrap_or(u64::MAX));
        let is_old = all.iter().all(|extent| extent.to_ns <= old);
        let too_many = (hot - many).max(0).cast_unsigned() >= keep.hot_operations;
        if !is_old && !too_many {
            return Ok(None);
        }
        let mut lot = Lot { extents: all, seqs: Vec::new(), records: Vec::new() };
        for extent in &lot.extents {
            let read = read::range(&reader.connection, &mut reader.texts, extent.numbers());
            let whole = read.map_err(said)?.into_iter();
            for (seq, record) in whole.filter_map(|read| Some((read.seq, read.record.ok()?))) {
                lot.seqs.push(seq);
                lot.records.push(record);
            }
        }
        Ok(Some(lot))
    })
}

/// Seals what can be sealed, and leaves the rest out of the lot.
fn seal(lot: &mut Lot, store: &SqliteStore) -> Result<Option<(Sealed, Meta)>, StoreError> {
    while !lot.records.is_empty() {
        let mut aside = Vec::new();
        match seal_most(&mut lot.records.iter().collect(), &mut aside, &store.keep) {
            Ok(sealed) => {
                lot.retain(|_, record| !aside.contains(&record.id));
                let meta = blocks::meta_of(&sealed, &store.path)?;
                return Ok(Some((sealed, meta)));
            }
            Err(SealError::TooMany { .. }) if lot.extents.len() > 1 => {
                let half = lot.extents.len() / 2;
                lot.extents.truncate(half);
                let extents = lot.extents.clone();
                lot.retain(|seq, _| extents.iter().any(|extent| extent.has(seq)));
            }
            Err(_) => return Ok(None),
        }
    }
    Ok(None)
}

/// Removes the rows of what was sealed. What was put aside or is damaged stays; the extents in which there is such.
fn remove(connection: &Connection, lot: &Lot) -> rusqlite::Result<Vec<Extent>> {
    let mut with_rest = Vec::new();
    for extent in &lot.extents {
        let sealed = lot.seqs.iter().filter(|seq| extent.has(**seq));
        if i64::try_from(sealed.clone().count()) == Ok(extent.operations) {
            remove_extent(connection, extent)?;
            continue;
        }
        let mut left = *extent;
        for seq in sealed {
            remove_numbers(connection, (*seq, *seq))?;
            left.operations -= 1;
        }
        left.write(connection)?;
        with_rest.push(left);
    }
    Ok(with_rest)
}
