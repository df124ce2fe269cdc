//! The twin in memory: a store that is gone with the process. For tests, and to see what the engines have to do.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::{Bound, ControlFlow};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use taximeter_models::{Name, OperationId, OperationRecord};

use super::gather::Gather;
use super::rows::{Best, Rank, nanos};
use super::{
    Appended, Block, Column, Level, Note, Place, Query, Rollup, RollupQuery, Scanned, Store,
    StoreStats, Summarize, Table, WindowBytes,
};
use crate::StoreError;

/// Keeps records in memory, and forgets them with the process.
///
/// ```
/// use taximeter_models::OperationRecord;
/// use taximeter_persistence::store::{MemoryStore, Store};
///
/// let store = MemoryStore::new();
/// let record = OperationRecord::new("qa_response");
/// assert_eq!(store.append(std::slice::from_ref(&record))?.stored, 1);
/// // A record that is there already changes nothing.
/// assert_eq!(store.append(std::slice::from_ref(&record))?.known, 1);
/// assert_eq!(store.get(record.id)?, Some(record));
/// # Ok::<(), taximeter_persistence::StoreError>(())
/// ```
#[derive(Debug, Default)]
pub struct MemoryStore {
    kept: Mutex<Kept>,
    summarize: Option<Arc<dyn Summarize>>,
}

#[derive(Debug, Default)]
struct Kept {
    records: Vec<Arc<OperationRecord>>,
    places: HashMap<OperationId, usize>,
    minutes: Minutes,
    notes: BTreeMap<String, Note>,
    known: u64,
}

/// The sums of each minute, by the second in which it begins.
type Minutes = BTreeMap<(i64, Place), WindowBytes>;

/// So many rows are shown at once.
const ROWS_OF_A_BLOCK: usize = 8_192;

impl MemoryStore {
    /// An empty store that keeps no sums.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty store whose sums are made so.
    pub fn summarizing(summarize: Arc<dyn Summarize>) -> Self {
        Self { summarize: Some(summarize), ..Self::default() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The minutes that change when these come in.
    fn sums(&self, kept: &Kept, new: &[&OperationRecord]) -> Result<Minutes, StoreError> {
        let mut sums = Minutes::new();
        let Some(summarize) = &self.summarize else { return Ok(sums) };
        for (start, records) in by_minute(new) {
            let mut made = Vec::new();
            summarize.windows(&records, &mut |place, window| made.push((place, window)));
            for (place, window) in made {
                let key = (start, place);
                let sum = match sums.get(&key).or_else(|| kept.minutes.get(&key)) {
                    Some(old) => summarize.merge(&[&old.bytes, &window.bytes]).map_err(damaged)?,
                    None => window,
                };
                sums.insert(key, sum);
            }
        }
        Ok(sums)
    }

    /// Those that a query means, in the order in which they came. The lock is free again, so that who looks at them
    /// may ask on.
    fn meant(&self, query: &Query) -> (Scanned, Vec<Arc<OperationRecord>>) {
        let kept = self.kept();
        let meant = kept.records.iter().filter(|record| query.holds(record)).cloned().collect();
        (Scanned { rows: kept.records.len() as u64, ..Scanned::default() }, meant)
    }
}

impl Store for MemoryStore {
    fn append(&self, records: &[OperationRecord]) -> Result<Appended, StoreError> {
        let mut kept = self.kept();
        let mut ids = HashSet::new();
        let is_new = |record: &&OperationRecord| {
            !kept.places.contains_key(&record.id) && ids.insert(record.id)
        };
        let new: Vec<&OperationRecord> = records.iter().filter(is_new).collect();
        // The sums come first: where they cannot be made, nothing was taken.
        let sums = self.sums(&kept, &new)?;
        kept.minutes.extend(sums);
        for record in &new {
            let place = kept.records.len();
            kept.places.insert(record.id, place);
            kept.records.push(Arc::new((*record).clone()));
        }
        let known = (records.len() - new.len()) as u64;
        kept.known += known;
        Ok(Appended { stored: new.len() as u64, known })
    }

    fn flush(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn get(&self, id: OperationId) -> Result<Option<OperationRecord>, StoreError> {
        let kept = self.kept();
        Ok(kept.places.get(&id).map(|place| kept.records[*place].as_ref().clone()))
    }

    fn scan(
        &self,
        query: &Query,
        each: &mut dyn FnMut(OperationRecord) -> ControlFlow<()>,
    ) -> Result<Scanned, StoreError> {
        let (mut scanned, meant) = self.meant(query);
        let mut best = Best::new(query.limit);
        for record in meant {
            best.offer(Rank::of(&record, query.order), || record);
        }
        for record in best.into_sorted() {
            scanned.shown += 1;
            if each(record.as_ref().clone()).is_break() {
                break;
            }
        }
        Ok(scanned)
    }

    fn columns(
        &self,
        table: Table,
        query: &Query,
        columns: &[Column],
        each: &mut dyn FnMut(&Block<'_>) -> ControlFlow<()>,
    ) -> Result<Scanned, StoreError> {
        let (mut scanned, meant) = self.meant(query);
        let mut gather = Gather::new(table, columns);
        for (number, record) in meant.iter().enumerate() {
            gather.add(record);
            if gather.rows() < ROWS_OF_A_BLOCK && number + 1 < meant.len() {
                continue;
            }
            let (rows, values) = gather.take();
            scanned.shown += rows as u64;
            if rows > 0 && each(&Block::new(rows, &values)).is_break() {
                break;
            }
        }
        Ok(scanned)
    }

    fn rollups(&self, query: &RollupQuery) -> Result<Vec<Rollup>, StoreError> {
        let Some(summarize) = &self.summarize else { return Ok(Vec::new()) };
        let kept = self.kept();
        let (from, to) = query.seconds();
        let none = Place { dimension: Name::default(), key: None };
        let upper = to.map_or(Bound::Unbounded, |to| Bound::Excluded((to, none.clone())));
        let lower = Bound::Included((from.unwrap_or(i64::MIN), none));
        let mut groups = Groups::new();
        if to.is_some_and(|to| from.is_some_and(|from| from >= to)) {
            return Ok(Vec::new());
        }
        for ((start, place), window) in kept.minutes.range((lower, upper)) {
            if query.means(place) {
                let group = (query.group(*start), place.key.clone());
                groups.entry(group).or_default().push(&window.bytes);
            }
        }
        merged(&**summarize, groups)
    }

    fn put_note(&self, note: &Note) -> Result<(), StoreError> {
        let mut kept = self.kept();
        if kept.notes.get(&note.key).is_none_or(|old| old.at <= note.at) {
            kept.notes.insert(note.key.clone(), note.clone());
        }
        Ok(())
    }

    fn notes(&self, beginning: &str) -> Result<Vec<Note>, StoreError> {
        let kept = self.kept();
        let meant = kept.notes.values().filter(|note| note.key.starts_with(beginning));
        Ok(meant.cloned().collect())
    }

    fn forget_notes(&self, beginning: &str, before: DateTime<Utc>) -> Result<u64, StoreError> {
        let mut kept = self.kept();
        let all = kept.notes.len();
        kept.notes.retain(|key, note| !key.starts_with(beginning) || note.at >= before);
        Ok((all - kept.notes.len()) as u64)
    }

    fn stats(&self) -> Result<StoreStats, StoreError> {
        let kept = self.kept();
        let starts = || kept.records.iter().map(|record| nanos(record.started_at));
        Ok(StoreStats {
            hot_operations: kept.records.len() as u64,
            first_ns: starts().min(),
            last_ns: starts().max(),
            rollups: kept.minutes.len() as u64,
            known: kept.known,
            ..StoreStats::default()
        })
    }
}

/// Records by the second in which the minute of their beginning begins.
pub(crate) fn by_minute<'a>(
    records: &[&'a OperationRecord],
) -> BTreeMap<i64, Vec<&'a OperationRecord>> {
    let mut minutes = BTreeMap::<_, Vec<_>>::new();
    for record in records {
        let start = Level::Minute.start(record.started_at.timestamp());
        minutes.entry(start).or_default().push(*record);
    }
    minutes
}

/// The windows of each answer: by the second in which it begins, and its key.
type Groups<'a> = BTreeMap<(Option<i64>, Option<Name>), Vec<&'a [u8]>>;

/// One window of each group, in the order of the groups.
fn merged(summarize: &dyn Summarize, groups: Groups<'_>) -> Result<Vec<Rollup>, StoreError> {
    let mut rollups = Vec::with_capacity(groups.len());
    for ((start, key), windows) in groups {
        let start = start.and_then(|start| DateTime::from_timestamp(start, 0));
        rollups.push(Rollup { start, key, window: summarize.merge(&windows).map_err(damaged)? });
    }
    Ok(rollups)
}

#[expect(clippy::needless_pass_by_value, reason = "this is what map_err gives")]
fn damaged(unreadable: super::Unreadable) -> StoreError {
    let what = unreadable.to_string();
    StoreError::Damaged { doing: "summing up in", path: "memory".into(), what }
}
