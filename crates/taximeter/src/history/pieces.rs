//! Counting over columns on as many threads as there are cores: time is cut into pieces, and who is done with one takes the
//! next.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::{DateTime, Utc};
use taximeter_persistence::StoreError;
use taximeter_persistence::store::{Block, Column, Query, Scanned, Store, Table};

/// Threads that count at once; the rest of the machine is somebody else's.
const MOST_THREADS: usize = 4;
/// Pieces of time for each thread.
const PIECES: usize = 8;
/// The same where it costs something to cut.
const FEW_PIECES: usize = 2;
/// Fewer operations are counted before a second thread is there.
const WORTH_THREADS: u64 = 50_000;

/// Adds what was summed up already, and says of how many operations; none where that does not serve.
type Take<'a, C> = &'a (dyn Fn(&mut C, &[u8]) -> Option<u64> + Sync);

/// What is counted, and how: a count of nothing, and what a piece of the tables adds to it.
pub(super) struct Counting<'a, C> {
    pub(super) tables: &'a [(Table, &'a [Column])],
    pub(super) nothing: &'a (dyn Fn() -> C + Sync),
    pub(super) add: &'a (dyn Fn(&mut C, &[Block<'_>]) + Sync),
    /// Adds what the store has summed up of a piece already, if that serves, and says of how many operations.
    pub(super) take: Option<Take<'a, C>>,
}

impl<C: Send> Counting<'_, C> {
    /// Counts what a query asks for: a count from each thread, and what was touched by all.
    pub(super) fn of(
        &self,
        store: &dyn Store,
        query: &Query,
    ) -> Result<(Vec<C>, Scanned), StoreError> {
        let span = store.span()?;
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let few = span.operations < WORTH_THREADS;
        let threads = if few { 1 } else { threads.min(MOST_THREADS) };
        // Where pieces meet, sums do not serve.
        let many = if self.take.is_some() { FEW_PIECES } else { PIECES };
        let pieces = match span.first_ns.zip(span.last_ns) {
            Some(ends) if threads > 1 => pieces(query, ends, many * threads, &store.seams()?),
            _ => vec![query.clone()],
        };
        let (counts, scanned) = self.all(store, &pieces, threads)?;
        if scanned.damaged > 0 && pieces.len() > 1 {
            // Of what is damaged it is not known when it was, so that every piece met it.
            return self.all(store, std::slice::from_ref(query), 1);
        }
        Ok((counts, scanned))
    }

    fn all(
        &self,
        store: &dyn Store,
        pieces: &[Query],
        threads: usize,
    ) -> Result<(Vec<C>, Scanned), StoreError> {
        let next = AtomicUsize::new(0);
        let counted = std::thread::scope(|scope| {
            let count = || self.some(store, pieces, &next);
            let others: Vec<_> = (1..threads.min(pieces.len()))
                .filter_map(|_| std::thread::Builder::new().spawn_scoped(scope, count).ok())
                .collect();
            let mut counted = vec![count()];
            counted.extend(others.into_iter().map(|other| {
                other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            }));
            counted.into_iter().collect::<Result<Vec<_>, _>>()
        })?;
        let mut all = Scanned::default();
        let counts = counted.into_iter().map(|(count, scanned)| {
            all.rows += scanned.rows;
            all.shown += scanned.shown;
            all.damaged += scanned.damaged;
            count
        });
        let counts = counts.collect();
        Ok((counts, all))
    }

    /// Counts piece after piece, as long as there are some that nobody counts.
    fn some(
        &self,
        store: &dyn Store,
        pieces: &[Query],
        next: &AtomicUsize,
    ) -> Result<(C, Scanned), StoreError> {
        let (count, mut all) = (RefCell::new((self.nothing)()), Scanned::default());
        while let Some(piece) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut add = |blocks: &[Block<'_>]| {
                (self.add)(&mut count.borrow_mut(), blocks);
                ControlFlow::Continue(())
            };
            let scanned = match self.take {
                None => store.tables(piece, self.tables, &mut add),
                Some(take) => {
                    let mut take = |sums: &[u8]| take(&mut count.borrow_mut(), sums);
                    store.tables_or_sums(piece, self.tables, &mut take, &mut add)
                }
            }?;
            all.rows += scanned.rows;
            all.shown += scanned.shown;
            all.damaged += scanned.damaged;
        }
        Ok((count.into_inner(), all))
    }
}

/// Does one thing on a thread of its own, where there is one to be had, while this one does another.
pub(super) fn beside<A: Send, B>(one: impl Fn() -> A + Sync, other: impl FnOnce() -> B) -> (A, B) {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, &one).ok();
        let other = other();
        let one = thread.map_or_else(&one, |thread| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        (one, other)
    })
}

/// The same question of so many pieces of time, one after the other.
fn pieces(
    query: &Query,
    (first, last): (i64, i64),
    many: usize,
    seams: &[(i64, u64)],
) -> Vec<Query> {
    let nanos = |at: DateTime<Utc>| at.timestamp_nanos_opt();
    let first = query.since.and_then(nanos).map_or(first, |since| since.max(first));
    let last = query.until.and_then(nanos).map_or(last, |until| until.min(last));
    let cuts = at_seams((first, last), many, seams).unwrap_or_else(|| even((first, last), many));
    let at = DateTime::<Utc>::from_timestamp_nanos;
    // The first and the last piece have the ends of the question, whatever came meanwhile.
    let begins = [query.since].into_iter().chain(cuts.iter().map(|cut| Some(at(*cut))));
    let ends = cuts.iter().map(|cut| Some(at(*cut))).chain([query.until]);
    let piece = |(since, until)| {
        let mut piece = query.clone();
        (piece.since, piece.until) = (since, until);
        piece
    };
    begins.zip(ends).map(piece).collect()
}

/// Cuts between which are about as many operations, where the store has enough seams between two moments.
fn at_seams((first, last): (i64, i64), many: usize, seams: &[(i64, u64)]) -> Option<Vec<i64>> {
    let within: Vec<_> = seams.iter().filter(|(at, _)| first < *at && *at < last).collect();
    if within.len() < many {
        return None;
    }
    let all: u64 = within.iter().map(|(_, operations)| operations).sum();
    let each = all / many as u64 + 1;
    let (mut cuts, mut sum, mut next) = (Vec::with_capacity(many), 0, each);
    for (at, operations) in within {
        if sum >= next && cuts.last() != Some(at) {
            cuts.push(*at);
            next += each;
        }
        sum += operations;
    }
    Some(cuts)
}

/// Cuts as far apart from one another.
fn even((first, last): (i64, i64), many: usize) -> Vec<i64> {
    let many = i64::try_from(many).unwrap_or(1);
    let step = last.saturating_sub(first) / many;
    if step <= 0 { Vec::new() } else { (1..many).map(|number| first + step * number).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_follow_one_another_from_one_end_to_the_other() {
        let at = |nanos| Some(DateTime::<Utc>::from_timestamp_nanos(nanos));
        let open = Query::default();
        let mut bounded = Query::default();
        (bounded.since, bounded.until) = (at(-500), at(700));
        for query in [open, bounded] {
            let pieces = pieces(&query, (-1_000, 1_000), 16, &[]);
            assert_eq!(pieces.len(), 16);
            assert_eq!((pieces[0].since, pieces[15].until), (query.since, query.until));
            assert!(pieces.windows(2).all(|two| two[0].until == two[1].since));
            let cuts: Vec<_> = pieces[1..].iter().map(|piece| piece.since).collect();
            assert!(cuts.is_sorted() && cuts[0] > query.since);
        }
        assert_eq!(pieces(&Query::default(), (7, 7), 16, &[]).len(), 1);
    }

    #[test]
    fn pieces_begin_where_the_store_has_seams_and_hold_as_much() {
        let seams: Vec<_> = (0..100).map(|at| (at * 10, if at < 50 { 1 } else { 3 })).collect();
        let pieces = pieces(&Query::default(), (0, 1_000), 4, &seams);
        let cuts: Vec<_> = pieces[1..].iter().filter_map(|piece| piece.since).collect();
        let cuts: Vec<_> = cuts.iter().filter_map(DateTime::timestamp_nanos_opt).collect();
        // 199 operations: 50, 50 and 50 of them before these.
        assert_eq!(cuts, [510, 670, 840]);
    }
}
