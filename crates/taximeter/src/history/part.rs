//! Some operations as a store of their own: what is asked of it is asked of the whole store with their conditions, and the
//! sums that it keeps of all of them are counted over its columns.

mod alone;
mod cells;
mod firsts;
mod kept;
mod kinds;
mod rows;
mod sums;
#[cfg(test)]
mod tests;
mod together;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use taximeter_analysis::Sums;
use taximeter_models::{Name, OperationId, OperationRecord};
use taximeter_persistence::StoreError;
use taximeter_persistence::store::{
    Appended, Block, Column, Condition, Counter, Level, Order, Query, Rollup, RollupQuery, Scanned,
    Store, StoreStats, Table,
};

pub(super) use self::firsts::{NAMED, Promising};
use self::kept::Taken;
pub(super) use self::kept::{merged, of_block};
pub(super) use self::rows::TABLES;
use self::rows::{Rows, SPENT};
use self::sums::Counted;
use super::counting::Counting;
use super::report::MOST_COUNTED;
use super::{Group, Period, windows};

/// The operations of a store that began within a period and fulfil every condition.
#[derive(Debug)]
pub(super) struct Part {
    whole: Arc<dyn Store>,
    conditions: Vec<Condition>,
    period: Period,
    /// From when to when operations are asked for, both included, in nanoseconds since 1970.
    asked_ns: (i64, i64),
    /// Moments in seconds at which sums are cut, beside the beginnings of their windows.
    cuts: Vec<i64>,
    /// Windows of this level are counted where no shorter ones are asked for.
    level: Level,
    /// What was counted so far, by the level of its windows.
    counted: Mutex<BTreeMap<Level, Arc<Counted>>>,
}

impl Part {
    /// Those of a period, and of the one before, which are told apart.
    pub(super) fn new(
        whole: Arc<dyn Store>,
        conditions: Vec<Condition>,
        asked: Period,
        level: Level,
    ) -> Self {
        let before = asked.previous();
        let since = before.map_or(asked.since, |before| before.since);
        let cuts = [since, asked.since, asked.until].into_iter().flatten();
        let mut cuts: Vec<i64> = cuts.map(|at| at.timestamp()).collect();
        cuts.sort_unstable();
        let period = Period { since, until: asked.until };
        let end = |at: Option<DateTime<Utc>>, none| {
            at.map_or(none, |at| at.timestamp_nanos_opt().unwrap_or(none))
        };
        let last = asked.until.map(|until| until - TimeDelta::nanoseconds(1));
        let asked_ns = (end(asked.since, i64::MIN), end(last, i64::MAX));
        Self { whole, conditions, period, asked_ns, cuts, level, counted: Mutex::default() }
    }

    /// How many operations there are.
    pub(super) fn scanned(&self) -> Result<Scanned, StoreError> {
        Ok(self.counted(self.level)?.scanned)
    }

    /// What was spent for each user and each conversation from a moment on, where any was told. The rest of the numbers of
    /// these groups is nothing.
    pub(super) fn spent(
        &self,
        since: Option<DateTime<Utc>>,
    ) -> Result<[Vec<Group>; 2], StoreError> {
        let (counted, since) = (self.counted(self.level)?, since.map(|since| since.timestamp()));
        if counted.has_spent {
            return Ok(counted.spent(since));
        }
        // Sums of blocks tell no users and no conversations: all operations are gone through again, also those that do not
        // fulfil the conditions. Of what failed, or was abandoned, whose it was is worth the time.
        let is_outcome = |condition: &Condition| matches!(condition, Condition::Outcome(_));
        if counted.scanned.rows > MOST_COUNTED && !self.conditions.iter().any(is_outcome) {
            return Ok([Vec::new(), Vec::new()]);
        }
        Ok(self.count_spent()?.spent(since))
    }

    /// Where the operations of the period asked for are to be looked for that come first in an order, as far as what was counted
    /// tells that.
    pub(super) fn firsts(&self, order: Order) -> Result<Option<Promising>, StoreError> {
        let counted = self.counted(self.level)?;
        let known = counted.peaks.as_ref().filter(|_| counted.scanned.damaged == 0);
        let is_told = matches!(order, Order::Slowest | Order::Dearest);
        let others = known.filter(|_| is_told);
        Ok(others.map(|others| Promising::of(&counted.firsts, others, order, self.asked_ns)))
    }

    /// Since when the operations are looked at.
    pub(super) fn since(&self) -> Option<DateTime<Utc>> {
        self.period.since
    }

    fn counted(&self, level: Level) -> Result<Arc<Counted>, StoreError> {
        let mut known = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counted) = known.get(&level) {
            return Ok(Arc::clone(counted));
        }
        let query = self.query(&Query::default());
        let counted = Arc::new(self.count_anew(&query, level)?);
        known.insert(level, Arc::clone(&counted));
        Ok(counted)
    }

    /// One pass over all tables.
    fn count_anew(&self, query: &Query, level: Level) -> Result<Counted, StoreError> {
        let take = |(_, taken): &mut (_, Taken<'_>), sums: &[u8]| taken.take(sums);
        let is_told = kept::tell(&query.conditions);
        let counting = Counting {
            tables: &TABLES,
            nothing: &|| {
                let rows = Rows::new(&self.cuts, level).ranking(self.asked_ns);
                (rows, Taken::new(&query.conditions, &self.cuts, level))
            },
            add: &|(rows, _): &mut (Rows<'_>, Taken<'_>), blocks: &[Block<'_>]| rows.count(blocks),
            take: is_told.then_some(&take),
        };
        let (counts, scanned) = counting.of(&*self.whole, query)?;
        let mut counted = Counted { scanned, ..Counted::default() };
        for (rows, taken) in counts {
            counted.has_spent &= !taken.some;
            counted.merge(rows.finish());
            counted.merge(taken.finish());
        }
        Ok(counted)
    }

    /// The same of what was spent for whom alone.
    fn count_spent(&self) -> Result<Counted, StoreError> {
        let counting = Counting {
            tables: &SPENT,
            nothing: &|| Rows::new(&self.cuts, self.level),
            add: &|rows: &mut Rows<'_>, blocks: &[Block<'_>]| rows.count_spent(blocks),
            take: None,
        };
        let (counts, _) = counting.of(&*self.whole, &self.query(&Query::default()))?;
        let mut counted = Counted::default();
        for rows in counts {
            counted.merge(rows.finish());
        }
        Ok(counted)
    }

    /// The same question of the whole store.
    fn query(&self, asked: &Query) -> Query {
        let mut query = asked.clone();
        query.since = self.period.since.max(asked.since);
        query.until = match (self.period.until, asked.until) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        query.conditions.extend(self.conditions.iter().cloned());
        query
    }

    /// The longest windows out of which these seconds can be put together.
    fn level_for(&self, query: &RollupQuery) -> Level {
        let (from, to) = query.seconds();
        let fits = |level: &Level| {
            [from, to].into_iter().flatten().all(|at| {
                level.start(at) == at || self.cuts.binary_search(&at).is_ok() || self.is_end(at)
            })
        };
        let most = query.each.unwrap_or(self.level).min(self.level);
        let levels = Level::ALL.into_iter().rev().filter(|level| *level <= most);
        levels.into_iter().find(fits).unwrap_or(Level::Minute)
    }

    /// Whether nothing was counted before a second of the first window, or from it on in the last one.
    fn is_end(&self, second: i64) -> bool {
        let known = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let ends = known.values().next().and_then(|counted| counted.ends_ns);
        ends.is_some_and(|(first, last)| {
            let [first, last] = [first, last].map(|nanos| nanos.div_euclid(1_000_000_000));
            second <= first || second > last
        })
    }
}

impl Store for Part {
    fn append(&self, records: &[OperationRecord]) -> Result<Appended, StoreError> {
        self.whole.append(records)
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.whole.flush()
    }

    fn get(&self, id: OperationId) -> Result<Option<OperationRecord>, StoreError> {
        self.whole.get(id)
    }

    fn scan(
        &self,
        query: &Query,
        each: &mut dyn FnMut(OperationRecord) -> ControlFlow<()>,
    ) -> Result<Scanned, StoreError> {
        self.whole.scan(&self.query(query), each)
    }

    fn columns(
        &self,
        table: Table,
        query: &Query,
        columns: &[Column],
        each: &mut dyn FnMut(&Block<'_>) -> ControlFlow<()>,
    ) -> Result<Scanned, StoreError> {
        self.whole.columns(table, &self.query(query), columns, each)
    }

    fn tables(
        &self,
        query: &Query,
        tables: &[(Table, &[Column])],
        each: &mut dyn FnMut(&[Block<'_>]) -> ControlFlow<()>,
    ) -> Result<Scanned, StoreError> {
        self.whole.tables(&self.query(query), tables, each)
    }

    fn count(
        &self,
        query: &Query,
        tables: &[(Table, &[Column])],
        counters: &mut [&mut dyn Counter],
    ) -> Result<Scanned, StoreError> {
        self.whole.count(&self.query(query), tables, counters)
    }

    fn rollups(&self, query: &RollupQuery) -> Result<Vec<Rollup>, StoreError> {
        let counted = self.counted(self.level_for(query))?;
        let (from, to) = query.seconds();
        let mut groups = BTreeMap::<(Option<i64>, Option<Name>), Sums>::new();
        for window in counted.windows(&query.dimension) {
            let is_in = from.is_none_or(|from| window.start >= from)
                && to.is_none_or(|to| window.start < to);
            if is_in && (query.key.is_none() || window.key == query.key) {
                let group = (query.group(window.start), window.key.clone());
                groups.entry(group).or_default().merge(&window.sums);
            }
        }
        let rollup = |((start, key), sums): ((Option<i64>, Option<Name>), Sums)| Rollup {
            start: start.and_then(|start| DateTime::from_timestamp(start, 0)),
            key,
            window: windows::window(&sums),
        };
        Ok(groups.into_iter().map(rollup).collect())
    }

    fn stats(&self) -> Result<StoreStats, StoreError> {
        let counted = self.counted(self.level)?;
        let mut stats = StoreStats::default();
        stats.sealed_operations = counted.scanned.shown;
        (stats.first_ns, stats.last_ns) = counted.ends_ns.unzip();
        Ok(stats)
    }
}
