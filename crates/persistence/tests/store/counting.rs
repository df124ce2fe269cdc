//! Several counting at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;

use taximeter_models::OperationRecord;
use taximeter_persistence::store::{
    Block, Column, Counter, Keep, MemoryStore, Place, Query, SqliteStore, Store, Summarize, Table,
    Unreadable, WindowBytes,
};

use crate::maintaining::{at, maintain, operations};

const BEGINNINGS: [(Table, &[Column]); 1] = [(Table::Operations, &[Column::StartedAt])];

/// Its sums of blocks are when the operations began, so that it is seen whether each is counted once.
#[derive(Debug)]
struct Beginnings;

impl Summarize for Beginnings {
    fn windows(&self, _: &[&OperationRecord], _: &mut dyn FnMut(Place, WindowBytes)) {}

    fn tables(&self) -> &[(Table, &[Column])] {
        &BEGINNINGS
    }

    fn block(&self, tables: &[Block<'_>]) -> Option<Vec<u8>> {
        let began = tables[0].numbers(&Column::StartedAt).unwrap();
        Some(began.iter().flat_map(|at| at.to_le_bytes()).collect())
    }

    fn merge_blocks(&self, blocks: &[&[u8]]) -> Option<Vec<u8>> {
        Some(blocks.concat())
    }

    fn merge(&self, _: &[&[u8]]) -> Result<WindowBytes, Unreadable> {
        Err(Unreadable { why: "there are none".into() })
    }
}

/// Collects when operations began.
#[derive(Default)]
struct Began {
    at_ns: Vec<i64>,
    takes_sums: bool,
    taken: usize,
}

impl Counter for Began {
    fn columns(&mut self, blocks: &[Block<'_>]) {
        let began = blocks[0].numbers(&Column::StartedAt).unwrap();
        self.at_ns.extend(began.iter().map(|at| at.cast_signed()));
    }

    fn takes_sums(&self) -> bool {
        self.takes_sums
    }

    fn sums(&mut self, sums: &[u8]) -> Option<u64> {
        // Not all: what is refused is to be shown as columns.
        self.taken += 1;
        if self.taken.is_multiple_of(3) {
            return None;
        }
        let (began, _) = sums.as_chunks::<8>();
        self.at_ns.extend(began.iter().map(|at| i64::from_le_bytes(*at)));
        Some(began.len() as u64)
    }
}

/// When those began that several counted, in the order of time, and how many of them took sums.
fn counted(store: &dyn Store, query: &Query, takes_sums: bool) -> (Vec<i64>, usize) {
    let mut each: [Began; 3] = std::array::from_fn(|_| Began { takes_sums, ..Began::default() });
    let mut counters = each.each_mut().map(|one| one as &mut dyn Counter);
    let scanned = store.count(query, &BEGINNINGS, &mut counters).unwrap();
    let mut began: Vec<i64> = each.iter().flat_map(|one| one.at_ns.iter().copied()).collect();
    assert_eq!(scanned.shown, began.len() as u64);
    began.sort_unstable();
    (began, each.iter().map(|one| one.taken).sum())
}

fn seconds(from: i64, to: i64) -> Vec<i64> {
    (from..to).map(|second| at(second).timestamp_nanos_opt().unwrap()).collect()
}

#[test]
fn several_count_what_one_does() {
    let room = tempfile::tempdir().unwrap();
    let keep = Keep::default().block_operations(2_100).seal_at_once(500);
    let opened = SqliteStore::at(room.path()).keep(keep).summarize(Arc::new(Beginnings)).open();
    let (store, memory) = (opened.unwrap(), MemoryStore::default());
    let all = operations(0, 84_300);
    let (sealed, rows) = all.split_at(84_000);
    // Numbered against the order of time, and a last part in rows.
    for batch in sealed.chunks(2_100).rev().chain(rows.chunks(100)) {
        store.append(batch).unwrap();
        memory.append(batch).unwrap();
    }
    maintain(&store, at(84_000));
    let within = |from: i64, to: i64| Query::default().since(at(from)).until(at(to));
    let check = || {
        let mut taken = 0;
        for (query, expected) in [
            (Query::default(), seconds(0, 84_300)),
            (within(1_500, 82_123), seconds(1_500, 82_123)),
            (within(40_000, 41_000), seconds(40_000, 41_000)),
            (within(84_000, 99_999), seconds(84_000, 84_300)),
            (within(-5, 0), Vec::new()),
        ] {
            assert_eq!(counted(&memory, &query, true), (expected.clone(), 0));
            assert_eq!(counted(&store, &query, false), (expected.clone(), 0));
            let (began, sums) = counted(&store, &query, true);
            assert_eq!(began, expected);
            taken += sums;
        }
        taken
    };
    // Every whole block, and then 16 of them at a time.
    let one_by_one = check();
    while store.warm().unwrap() {}
    let in_runs = check();
    assert!(in_runs * 2 < one_by_one && in_runs > 0, "{in_runs} of {one_by_one}");
}

#[test]
fn nothing_is_counted_twice_while_rows_are_sealed_and_blocks_put_together() {
    let room = tempfile::tempdir().unwrap();
    let keep = Keep::default().block_operations(4_200).hot_operations(300).seal_at_once(500);
    let opened = SqliteStore::at(room.path()).keep(keep).summarize(Arc::new(Beginnings)).open();
    let store = opened.unwrap();
    let acknowledged = AtomicI64::new(0);
    let all = 60_000;
    let writing = || {
        let mut next = 0;
        for many in [700, 90, 90, 90].into_iter().cycle() {
            let many = many.min(all - next);
            store.append(&operations(next, many)).unwrap();
            next += many;
            acknowledged.store(next, Ordering::Release);
            if next == all {
                return;
            }
            store.maintain(at(all)).unwrap();
        }
    };
    thread::scope(|scope| {
        let writer = scope.spawn(writing);
        while !writer.is_finished() {
            for takes_sums in [true, false] {
                let before = acknowledged.load(Ordering::Acquire);
                let (began, _) = counted(&store, &Query::default(), takes_sums);
                let upto = i64::try_from(began.len()).unwrap();
                assert!(upto >= before, "{upto} of {before} are there");
                assert_eq!(began, seconds(0, upto));
            }
            store.warm().unwrap();
        }
    });
    assert_eq!(counted(&store, &Query::default(), true).0, seconds(0, all));
}
