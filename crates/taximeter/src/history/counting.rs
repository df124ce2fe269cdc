//! Counting over columns on as many threads as there are cores.

use taximeter_persistence::StoreError;
use taximeter_persistence::store::{Block, Column, Counter, Query, Scanned, Store, Table};

/// Threads that count at once; the rest of the machine is somebody else's.
const MOST_THREADS: usize = 4;
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
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let few = store.span()?.operations < WORTH_THREADS;
        let threads = if few { 1 } else { threads.min(MOST_THREADS) };
        let one = || One { how: self, count: (self.nothing)() };
        let mut each: Vec<_> = std::iter::repeat_with(one).take(threads).collect();
        let mut counters: Vec<_> = each.iter_mut().map(|one| one as &mut dyn Counter).collect();
        let scanned = store.count(query, self.tables, &mut counters)?;
        Ok((each.into_iter().map(|one| one.count).collect(), scanned))
    }
}

/// What one thread counts.
struct One<'a, C> {
    how: &'a Counting<'a, C>,
    count: C,
}

impl<C: Send> Counter for One<'_, C> {
    fn columns(&mut self, blocks: &[Block<'_>]) {
        (self.how.add)(&mut self.count, blocks);
    }

    fn takes_sums(&self) -> bool {
        self.how.take.is_some()
    }

    fn sums(&mut self, sums: &[u8]) -> Option<u64> {
        self.how.take.and_then(|take| take(&mut self.count, sums))
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
