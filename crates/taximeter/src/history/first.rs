//! The slowest and the dearest operations of a period.

use std::cmp::Reverse;

use chrono::DateTime;
use taximeter_models::OperationId;
use taximeter_persistence::StoreError;
use taximeter_persistence::store::{Detail, Order, Query};

use super::part::{NAMED, Promising};
use super::{History, Line, Period};

/// Where an operation stands: the larger come first, among equals the older. What cannot be counted twice is told apart by id.
type Rank = (Reverse<i128>, i64, OperationId);

impl History {
    /// Those that come first: by what was counted as far as that tells where they are, else the store looks for them.
    pub(super) fn first(&self, period: Period, order: Order) -> Result<Vec<Line>, StoreError> {
        let found = self.part.as_ref().map(|part| part.firsts(order)).transpose()?.flatten();
        if let Some(promising) = found
            && let Some(lines) = self.first_of(&promising, order)?
        {
            return Ok(lines);
        }
        Ok(self.operations(&period.query().order(order).limit(NAMED))?.0)
    }

    /// The first of those that began there; none where there is a moment at which none began, or something cannot be read.
    fn first_of(
        &self,
        promising: &Promising,
        order: Order,
    ) -> Result<Option<Vec<Line>>, StoreError> {
        let mut ranked = Vec::new();
        for moment in &promising.moments {
            let before = ranked.len();
            let is_whole = self.rank((*moment, *moment), order, None, &mut ranked)?;
            if !is_whole || ranked.len() == before {
                return Ok(None);
            }
        }
        cut(&mut ranked);
        for stretch in &promising.stretches {
            // The next stretches promise no more.
            let first = (Reverse(stretch.largest), stretch.began_ns.0, OperationId::from_bits(0));
            if ranked.get(NAMED - 1).is_some_and(|(last, _)| *last < first) {
                break;
            }
            if !self.rank(stretch.began_ns, order, Some(NAMED), &mut ranked)? {
                return Ok(None);
            }
            cut(&mut ranked);
        }
        Ok(Some(ranked.into_iter().map(|(_, line)| line).collect()))
    }

    /// Adds those that began between two moments, both included: all of them, or as many as come first. Whether all that were
    /// met could be read.
    fn rank(
        &self,
        (first, last): (i64, i64),
        order: Order,
        most: Option<usize>,
        ranked: &mut Vec<(Rank, Line)>,
    ) -> Result<bool, StoreError> {
        let at = DateTime::from_timestamp_nanos;
        let mut query = Query::default().since(at(first)).detail(Detail::Line);
        query.until = last.checked_add(1).map(at);
        if most.is_some() {
            (query.order, query.limit) = (order, most);
        }
        let scanned = self.scan(&query, |record| {
            let size = match order {
                Order::Dearest => record.cost().usd().ticks(),
                _ => i128::try_from(record.duration.as_nanos()).unwrap_or(i128::MAX),
            };
            let started = record.started_at.timestamp_nanos_opt().unwrap_or(first);
            ranked.push(((Reverse(size), started, record.id), Line::of(&record)));
        })?;
        Ok(scanned.damaged == 0)
    }
}

/// Leaves as many as are named, each once: stretches may overlap.
fn cut(ranked: &mut Vec<(Rank, Line)>) {
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.dedup_by_key(|(rank, _)| *rank);
    ranked.truncate(NAMED);
}
