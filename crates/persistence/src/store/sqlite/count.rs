//! Counting by several at once: each reads by a connection of its own, and who is done with a piece takes the next.

use std::collections::{HashSet, VecDeque};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::ask::{self, Piece, Shown};
use super::error::failed;
use super::runs::Summed;
use super::{Reader, SqliteStore, blocks, summed};
use crate::StoreError;
use crate::store::{Block, Column, Counter, Query, Scanned, Table};

/// What is to be counted, and what of it nobody counts yet.
struct Counting<'a> {
    shown: Shown<'a>,
    left: Mutex<VecDeque<Share>>,
    path: &'a Path,
}

/// What one takes at a time.
enum Share {
    /// Pieces that have sums together.
    Run(Summed),
    Piece(Piece),
}

/// Lets as many count as there are readers that see the same blocks; the other counters stay as they are.
pub(super) fn count(
    store: &SqliteStore,
    tables: &[(Table, &[Column])],
    query: &Query,
    counters: &mut [&mut dyn Counter],
) -> Result<Scanned, StoreError> {
    let mut readers = alike(store, counters.len())?;
    let counted = count_with(&mut readers, store, Shown::of(tables, query), counters);
    for reader in readers {
        store.end(reader, counted.is_ok());
    }
    counted
}

/// So many times several are begun anew that do not see the same blocks: a moment later they do.
const TRIES: usize = 8;

/// As many readers that see the same blocks, or one where that cannot be had.
fn alike(store: &SqliteStore, many: usize) -> Result<Vec<Reader>, StoreError> {
    for _ in 0..TRIES {
        let begun = (0..many).map(|_| store.begin("reading"));
        let readers = begun.collect::<Result<Vec<_>, _>>()?;
        if are_alike(&readers).map_err(failed("reading", &store.path))? {
            return Ok(readers);
        }
        for reader in readers {
            store.end(reader, true);
        }
    }
    Ok(vec![store.begin("reading")?])
}

/// Whether what one sees in a block no other sees in another block or in rows: whatever makes a block, of rows or of others,
/// gives it a number above all others. Of rows there may be more for one than for another.
fn are_alike(readers: &[Reader]) -> rusqlite::Result<bool> {
    let last = readers.iter().map(|reader| blocks::last(&reader.connection));
    let last = last.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(last.windows(2).all(|two| two[0] == two[1]))
}

fn count_with(
    readers: &mut [Reader],
    store: &SqliteStore,
    shown: Shown<'_>,
    counters: &mut [&mut dyn Counter],
) -> Result<Scanned, StoreError> {
    let Some(first) = readers.first_mut() else { return Ok(Scanned::default()) };
    let (query, path) = (shown.query, &*store.path);
    let mut pieces = ask::pieces(first, query, path)?;
    let mut left = VecDeque::new();
    if counters.iter().all(|counter| counter.takes_sums()) {
        let runs = store.runs.within(first, query, path)?;
        let ids = runs.iter().flat_map(|run| run.sheets.iter().map(|sheet| sheet.id));
        let ids: HashSet<i64> = ids.collect();
        pieces.retain(|piece| piece.sealed().is_none_or(|sheet| !ids.contains(&sheet.id)));
        left.extend(runs.into_iter().map(Share::Run));
    }
    left.extend(pieces.into_iter().map(Share::Piece));
    Counting { shown, left: Mutex::new(left), path }.by_all(readers, counters)
}

impl Counting<'_> {
    /// Each reader counts for one; what was touched by all.
    fn by_all(
        &self,
        readers: &mut [Reader],
        counters: &mut [&mut dyn Counter],
    ) -> Result<Scanned, StoreError> {
        let mut each = readers.iter_mut().zip(counters);
        let Some((reader, counter)) = each.next() else { return Ok(Scanned::default()) };
        std::thread::scope(|scope| {
            let others: Vec<_> = each
                .filter_map(|(reader, counter)| {
                    let count = move || self.all(reader, *counter);
                    // Where there is no thread to be had, the others count what it would have.
                    std::thread::Builder::new().spawn_scoped(scope, count).ok()
                })
                .collect();
            let mut scanned = self.all(reader, *counter)?;
            for other in others {
                scanned += other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            }
            Ok(scanned)
        })
    }

    fn left(&self) -> MutexGuard<'_, VecDeque<Share>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn all(&self, reader: &mut Reader, counter: &mut dyn Counter) -> Result<Scanned, StoreError> {
        let mut scanned = Scanned::default();
        loop {
            let Some(share) = self.left().pop_front() else { return Ok(scanned) };
            match share {
                Share::Run(run) => match counter.sums(&run.sums) {
                    Some(operations) => {
                        let rows = run.sheets.iter().map(|sheet| sheet.operations);
                        scanned.rows += rows.sum::<u64>();
                        scanned.shown += operations;
                    }
                    None => self.left().extend(
                        run.sheets
                            .into_iter()
                            .filter_map(|sheet| Piece::that_may_match(sheet, self.shown.query))
                            .map(Share::Piece),
                    ),
                },
                Share::Piece(piece) => self.one(reader, &piece, counter, &mut scanned)?,
            }
        }
    }

    fn one(
        &self,
        reader: &mut Reader,
        piece: &Piece,
        counter: &mut dyn Counter,
        scanned: &mut Scanned,
    ) -> Result<(), StoreError> {
        if counter.takes_sums() && self.is_summed(reader, piece, counter, scanned) {
            return Ok(());
        }
        let each = &mut |blocks: &[Block<'_>]| {
            counter.columns(blocks);
            ControlFlow::Continue(())
        };
        ask::show(reader, piece, self.shown, each, scanned, self.path).map(drop)
    }

    /// Whether the sums of a block were taken, of which every operation began within the time. Sums that cannot be read are
    /// none: the columns say the same.
    fn is_summed(
        &self,
        reader: &Reader,
        piece: &Piece,
        counter: &mut dyn Counter,
        scanned: &mut Scanned,
    ) -> bool {
        let sheet = piece.sealed().filter(|_| piece.is_within(self.shown.query));
        let Some((sheet, meta)) = sheet.and_then(|sheet| sheet.meta.as_ref().map(|m| (sheet, m)))
        else {
            return false;
        };
        let kept = summed::read(&reader.connection, sheet.id).ok().flatten();
        let sums = kept.as_deref().and_then(|kept| meta.read_sums(kept));
        let taken = sums.filter(|sums| !sums.is_empty()).and_then(|sums| counter.sums(sums));
        if let Some(operations) = taken {
            scanned.rows += sheet.operations;
            scanned.shown += operations;
        }
        taken.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Keep, Store};
    use taximeter_models::{OperationId, OperationRecord};

    #[test]
    fn readers_are_alike_while_no_block_came_between_them() {
        let room = tempfile::tempdir().unwrap();
        let keep = Keep::default().block_operations(300).seal_at_once(100);
        let store = SqliteStore::at(room.path()).keep(keep).open().unwrap();
        let mut ids = (1..).map(OperationId::from_bits);
        let mut append = |many: usize| {
            let record = |id| {
                let mut record = OperationRecord::new("answer");
                record.id = id;
                record
            };
            let records: Vec<_> = ids.by_ref().take(many).map(record).collect();
            store.append(&records).unwrap();
        };
        let begun = || {
            let reader = store.begin("reading").unwrap();
            // It sees what is there now.
            assert!(are_alike(std::slice::from_ref(&reader)).unwrap());
            reader
        };
        let mut readers = vec![begun()];
        append(10);
        readers.push(begun());
        assert!(are_alike(&readers).unwrap());
        append(120);
        readers.push(begun());
        assert!(!are_alike(&readers).unwrap());
        append(120);
        append(120);
        // One block in the place of three.
        let mut readers = vec![begun()];
        let last = || blocks::last(&begun().connection).unwrap();
        let before = last();
        while store.maintain(chrono::Utc::now()).unwrap().more {}
        assert!(last() > before);
        readers.push(begun());
        assert!(!are_alike(&readers).unwrap());
        assert_eq!(alike(&store, 3).unwrap().len(), 3);
    }
}
