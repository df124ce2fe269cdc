//! The sums of neighbouring blocks together, held in memory: who counts some operations of millions takes a few of these, and
//! not those of every block.
//!
//! Blocks never change, so what was made of them is right as long as all of them are there. Nothing is made by who asks; a
//! process that answers one question has no use for it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::blocks::{self, Sheet};
use super::error::failed;
use super::{Reader, summed};
use crate::StoreError;
use crate::store::{Query, Summarize};

/// So many blocks in a row make a run.
const TOGETHER: usize = 16;
/// Fewer are taken one by one.
const WORTH_A_RUN: usize = 4;
/// All together take so many bytes at most: the newest are kept.
const MOST_BYTES: usize = 64 << 20;

/// The runs that were made, by the number of their first block.
#[derive(Debug, Default)]
pub(super) struct Runs(Mutex<HashMap<i64, Run>>);

#[derive(Debug, Clone)]
struct Run {
    /// Its blocks.
    ids: Vec<i64>,
    /// None where these cannot be put together.
    sums: Option<Arc<[u8]>>,
}

/// Blocks in a row as they are now.
#[derive(Debug)]
struct Neighbours {
    sheets: Vec<Sheet>,
    /// What was made of them, if it was.
    run: Option<Run>,
}

/// Blocks in a row of which every operation began within the time of a query, and their sums together.
#[derive(Debug)]
pub(super) struct Summed {
    pub(super) sheets: Vec<Sheet>,
    pub(super) sums: Arc<[u8]>,
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

/// Cuts the list of blocks into neighbours. Those of a run that was made stay together as long as they follow one another;
/// those between are cut anew, but for the last ones, of which there may be more soon.
fn cut(sheets: Vec<Sheet>, made: &HashMap<i64, Run>) -> Vec<Neighbours> {
    let ids: Vec<i64> = sheets.iter().map(|sheet| sheet.id).collect();
    let (mut all, mut between) = (Vec::new(), Vec::new());
    let mut sheets = sheets.into_iter();
    let mut place = 0;
    while let Some(sheet) = sheets.next() {
        let run = made.get(&sheet.id).filter(|run| ids[place..].starts_with(&run.ids));
        place += run.map_or(1, |run| run.ids.len());
        let Some(run) = run else {
            between.push(sheet);
            continue;
        };
        put(&mut between, WORTH_A_RUN, &mut all);
        let others = sheets.by_ref().take(run.ids.len() - 1);
        let sheets = [sheet].into_iter().chain(others).collect();
        all.push(Neighbours { sheets, run: Some(run.clone()) });
    }
    put(&mut between, TOGETHER, &mut all);
    all
}

/// Makes neighbours of so many, and leaves those out that are fewer than what is worth it.
fn put(between: &mut Vec<Sheet>, least: usize, all: &mut Vec<Neighbours>) {
    let some = between.chunks(TOGETHER).filter(|some| some.len() >= least);
    all.extend(some.map(|sheets| Neighbours { sheets: sheets.to_vec(), run: None }));
    between.clear();
}

impl Runs {
    fn made(&self) -> std::sync::MutexGuard<'_, HashMap<i64, Run>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The blocks as they are now.
    fn now(&self, reader: &mut Reader, path: &Path) -> Result<Vec<Neighbours>, StoreError> {
        let sheets = blocks::all(&reader.connection, &mut reader.blocks, path)?;
        Ok(cut(sheets, &self.made()))
    }

    /// Those that were made of which every operation began within the time of a query.
    pub(super) fn within(
        &self,
        reader: &mut Reader,
        query: &Query,
        path: &Path,
    ) -> Result<Vec<Summed>, StoreError> {
        if self.made().is_empty() {
            return Ok(Vec::new());
        }
        let all = self.now(reader, path)?.into_iter();
        let summed = |neighbours: Neighbours| {
            let sums = neighbours.run.as_ref()?.sums.clone()?;
            neighbours.are_within(query).then_some(Summed { sheets: neighbours.sheets, sums })
        };
        Ok(all.filter_map(summed).collect())
    }

    /// Makes the newest run that lacks, and says whether there was one.
    pub(super) fn make(
        &self,
        reader: &mut Reader,
        summarize: &dyn Summarize,
        path: &Path,
    ) -> Result<bool, StoreError> {
        let all = self.now(reader, path)?;
        let room = {
            let first = |neighbours: &Neighbours| neighbours.run.as_ref().map(|run| run.ids[0]);
            let there: Vec<i64> = all.iter().filter_map(first).collect();
            let mut made = self.made();
            made.retain(|first, _| there.contains(first));
            let bytes = made.values().filter_map(|run| run.sums.as_ref()).map(|sums| sums.len());
            MOST_BYTES.saturating_sub(bytes.sum())
        };
        for neighbours in all.into_iter().rev().filter(|neighbours| neighbours.run.is_none()) {
            let Some(sums) = merged(reader, &neighbours, summarize, path)? else { continue };
            if sums.as_ref().is_some_and(|sums| sums.len() > room) {
                return Ok(false);
            }
            let ids = neighbours.ids();
            self.made().insert(ids[0], Run { ids, sums });
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

#[cfg(test)]
mod tests {
    use super::*;

    fn sheets(ids: impl IntoIterator<Item = i64>) -> Vec<Sheet> {
        let sheet = |id| Sheet { id, meta: None, operations: 1, dearest: None };
        ids.into_iter().map(sheet).collect()
    }

    /// The ids of each neighbours, and whether they are a run that was made.
    fn cut_into(
        ids: impl IntoIterator<Item = i64>,
        made: &HashMap<i64, Run>,
    ) -> Vec<(Vec<i64>, bool)> {
        let all = cut(sheets(ids), made).into_iter();
        all.map(|neighbours| (neighbours.ids(), neighbours.run.is_some())).collect()
    }

    fn made(runs: &[std::ops::Range<i64>]) -> HashMap<i64, Run> {
        let run = |ids: &std::ops::Range<i64>| Run { ids: ids.clone().collect(), sums: None };
        runs.iter().map(|ids| (ids.start, run(ids))).collect()
    }

    #[test]
    fn blocks_in_a_row_go_together_whatever_their_numbers_are() {
        // As they are where small ones were put together.
        let ids: Vec<i64> = (0..40).map(|place| place * 9).collect();
        let cut = cut_into(ids.iter().copied(), &HashMap::new());
        assert_eq!(cut, [(ids[..16].to_vec(), false), (ids[16..32].to_vec(), false)]);
    }

    #[test]
    fn a_run_that_was_made_stays_while_its_blocks_follow_one_another() {
        let known = made(&[16..32, 32..48]);
        // The first ones went, and one of the last run.
        let ids = (10..40).chain(41..70);
        let cut = cut_into(ids, &known);
        let expected: Vec<(Vec<i64>, bool)> = vec![
            ((10..16).collect(), false),
            ((16..32).collect(), true),
            ((32..40).chain(41..49).collect(), false),
            ((49..65).collect(), false),
        ];
        assert_eq!(cut, expected);
    }

    #[test]
    fn few_between_two_runs_are_left_alone() {
        let known = made(&[0..16, 18..34]);
        assert_eq!(
            cut_into(0..34, &known),
            [((0..16).collect::<Vec<_>>(), true), ((18..34).collect(), true)]
        );
    }
}
