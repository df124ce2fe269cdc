//! The sums of neighbouring blocks together, held in memory: who counts some operations of millions takes a few of these, and
//! not those of every block.
//!
//! Blocks never change, so what was made of them is right as long as all of them are there. Nothing is made by who asks; a
//! process that answers one question has no use for it.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::blocks::{self, Sheet};
use super::error::failed;
use super::{Reader, summed};
use crate::StoreError;
use crate::store::{Query, Scanned, Summarize};

/// Blocks whose numbers are the same up to this many are neighbours.
const TOGETHER: i64 = 16;
/// Fewer blocks are taken one by one.
const WORTH_A_RUN: usize = 4;
/// All together take so many bytes at most: the newest are kept.
const MOST_BYTES: usize = 64 << 20;

/// The runs that were made, by the number of their place.
#[derive(Debug, Default)]
pub(super) struct Runs(Mutex<BTreeMap<i64, Run>>);

#[derive(Debug, Clone)]
struct Run {
    /// Its blocks.
    ids: Vec<i64>,
    /// None where these cannot be put together.
    sums: Option<Arc<[u8]>>,
}

/// Neighbours as they are now.
#[derive(Debug, Default)]
struct Neighbours {
    sheets: Vec<Sheet>,
}

impl Neighbours {
    fn ids(&self) -> Vec<i64> {
        self.sheets.iter().map(|sheet| sheet.id).collect()
    }

    fn are_within(&self, query: &Query) -> bool {
        let within = |sheet: &Sheet| {
            let range = sheet.meta.as_ref().map(|meta| meta.range_ns());
            range.is_some_and(|(from, to)| query.holds_all(from, to))
        };
        self.sheets.iter().all(within)
    }
}

/// The neighbours that there are, but for the last ones, which may get more.
fn neighbours(reader: &mut Reader, path: &Path) -> Result<BTreeMap<i64, Neighbours>, StoreError> {
    let mut all = BTreeMap::<i64, Neighbours>::new();
    for sheet in blocks::all(&reader.connection, &mut reader.blocks, path)? {
        all.entry(sheet.id / TOGETHER).or_default().sheets.push(sheet);
    }
    all.pop_last();
    all.retain(|_, neighbours| neighbours.sheets.len() >= WORTH_A_RUN);
    Ok(all)
}

impl Runs {
    fn made(&self) -> std::sync::MutexGuard<'_, BTreeMap<i64, Run>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the runs of which every operation began within the time of a query, and says which blocks these are.
    pub(super) fn take(
        &self,
        reader: &mut Reader,
        query: &Query,
        take: &mut dyn FnMut(&[u8]) -> Option<u64>,
        scanned: &mut Scanned,
        path: &Path,
    ) -> Result<HashSet<i64>, StoreError> {
        let mut taken = HashSet::new();
        let made = self.made().clone();
        if made.is_empty() {
            return Ok(taken);
        }
        for (place, neighbours) in neighbours(reader, path)? {
            let run = made.get(&place).filter(|run| run.ids == neighbours.ids());
            let sums = run.and_then(|run| run.sums.as_deref());
            let sums = sums.filter(|_| neighbours.are_within(query));
            if let Some(operations) = sums.and_then(&mut *take) {
                scanned.shown += operations;
                scanned.rows += neighbours.sheets.iter().map(|sheet| sheet.operations).sum::<u64>();
                taken.extend(neighbours.ids());
            }
        }
        Ok(taken)
    }

    /// Makes the newest run that lacks, and says whether there was one.
    pub(super) fn make(
        &self,
        reader: &mut Reader,
        summarize: &dyn Summarize,
        path: &Path,
    ) -> Result<bool, StoreError> {
        let all = neighbours(reader, path)?;
        let room = {
            let mut made = self.made();
            made.retain(|place, run| all.get(place).is_some_and(|now| now.ids() == run.ids));
            let bytes = made.values().filter_map(|run| run.sums.as_ref()).map(|sums| sums.len());
            MOST_BYTES.saturating_sub(bytes.sum())
        };
        for (place, neighbours) in all.into_iter().rev() {
            if self.made().contains_key(&place) {
                continue;
            }
            let Some(sums) = merged(reader, &neighbours, summarize, path)? else { continue };
            if sums.as_ref().is_some_and(|sums| sums.len() > room) {
                return Ok(false);
            }
            let run = Run { ids: neighbours.ids(), sums };
            self.made().insert(place, run);
            return Ok(true);
        }
        Ok(false)
    }
}

/// The sums of neighbours together, or none where these cannot be had; nothing where one lacks its own yet.
#[expect(clippy::option_option, reason = "the outer one is that it is too early")]
fn merged(
    reader: &Reader,
    neighbours: &Neighbours,
    summarize: &dyn Summarize,
    path: &Path,
) -> Result<Option<Option<Arc<[u8]>>>, StoreError> {
    let mut kept = Vec::new();
    for sheet in &neighbours.sheets {
        let read = summed::read(&reader.connection, sheet.id).map_err(failed("reading", path))?;
        let Some(read) = read else { return Ok(None) };
        kept.push((sheet, read));
    }
    let own = |(sheet, kept): &(&Sheet, Vec<u8>)| {
        let sums = sheet.meta.as_ref()?.read_sums(kept)?.to_vec();
        (!sums.is_empty()).then_some(sums)
    };
    let Some(sums) = kept.iter().map(own).collect::<Option<Vec<_>>>() else {
        return Ok(Some(None));
    };
    let sums: Vec<&[u8]> = sums.iter().map(Vec::as_slice).collect();
    Ok(Some(summarize.merge_blocks(&sums).map(Into::into)))
}
