//! Where ended records wait for the worker, and where every operation is counted.
//!
//! The intake is split into slots, each behind a mutex of its own, and a thread uses always the same slot: the lock is
//! as good as never waited for. Each step in an operation's life (started, ended, stored, lost) changes the counts of
//! one slot under its lock, so a snapshot that holds all locks at once is exact.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};

use crate::budget::Budget;
use crate::chunk::{CHUNK, Chunk};
use crate::closed::{Closed, Spare};
use crate::counts::{Counts, LossReason};
use crate::frame::Buffer;
use crate::ledger::{Flaw, Ledger};
use crate::limits::{Limits, WhenFull};
use crate::plain;
use crate::redact::Redaction;
use crate::slots::{SLOTS, of_thread};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Brief, BriefGuard, Mutex, MutexGuard};

#[derive(Debug)]
pub(crate) struct Intake {
    slots: Arc<Slots>,
    bytes: Budget,
    records: Budget,
    /// How many empty chunks all slots may keep.
    spares: Budget,
    /// How long a chunk is, and how many records a slot draws from the budget at once.
    chunk: usize,
    portion: usize,
    // Set before the worker's last drain and read under a slot's lock: a record is either in that drain or refused.
    closed: AtomicBool,
    process: u32,
    // Set once by whoever first finds itself in a forked child.
    forked: AtomicBool,
    limits: Limits,
    redaction: Redaction,
    is_plain: bool,
}

/// All of them; a thread may hold them for longer than there is an intake.
pub(crate) type Slots = [Brief<Slot>; SLOTS];

/// On its own cache lines, so that two threads do not slow one another by being neighbours.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Slot {
    chunk: Chunk,
    full: VecDeque<Chunk>,
    /// Empty chunks to be filled again; they stay within the budget of bytes. A slot has its own back: to write where another
    /// thread wrote last costs twice as much, for its processor holds the memory.
    spares: Vec<Buffer>,
    /// How many of them have not been needed since the worker looked.
    unneeded: usize,
    /// How many records may still be queued before the budget is asked again.
    allowance: usize,
    ledger: Ledger,
    /// Operations that have ended and that nobody else looks at: the next ones need no memory of their own.
    pool: Vec<Spare>,
}

/// What became of a record that was handed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It waits.
    Queued,
    /// It waits, and so many others do that the worker is to look.
    Pressing,
    /// It was lost for lack of room; the worker is to look.
    NoRoom,
    /// It was lost.
    Lost,
    /// There was no room, and some is to be made.
    Back,
}

/// So many operations are kept in a slot to be used again.
const POOL: usize = 64;

/// So many full chunks of a slot are much.
const MANY: usize = 16;

/// So many empty chunks are kept in a slot; the memory of more goes back to the system. It is as much as a thread fills that
/// records without end while the worker waits for its turn on a processor: memory that is fresh from the system costs an
/// operation as much as all else that is done for it.
const SPARES: usize = 8 * MANY;

/// So many of them stay though they are not needed: as many as wait before the worker is woken.
const FEW: usize = MANY;

impl Intake {
    pub(crate) fn new(limits: Limits, redaction: Redaction, shown: bool) -> Self {
        let chunk = CHUNK.min((limits.queued_bytes / 16).max(1_024));
        Self {
            slots: Arc::new(std::array::from_fn(|_| Brief::default())),
            bytes: Budget::new(limits.queued_bytes),
            records: Budget::new(limits.queued_records),
            spares: Budget::new(limits.queued_bytes / chunk / 4),
            chunk,
            portion: (limits.queued_records / 256).clamp(1, 256),
            closed: AtomicBool::new(false),
            process: std::process::id(),
            forked: AtomicBool::new(false),
            is_plain: plain::is_any(&limits, &redaction, shown),
            limits,
            redaction,
        }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn redaction(&self) -> &Redaction {
        &self.redaction
    }

    /// Whether short names and texts may be [plain].
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// The budget of bytes, of which open operations take their share.
    pub(crate) fn bytes(&self) -> &Budget {
        &self.bytes
    }

    /// Counts an operation that is about to start, and gives a place that can be used again, if there is one.
    #[inline]
    pub(crate) fn offered(&self) -> Option<Spare> {
        let mut slot = self.own_slot()?;
        slot.ledger.offered += 1;
        slot.ledger.open += 1;
        // Its frame will come here, if it ends on this thread.
        slot.chunk.bytes.fetch();
        slot.pool.pop()
    }

    /// Takes back the count of an operation that was prepared and not started.
    pub(crate) fn withdrawn(&self) {
        let Some(mut slot) = self.own_slot() else { return };
        slot.ledger.withdrawn += 1;
        slot.ledger.open -= 1;
    }

    pub(crate) fn flaw(&self, flaw: Flaw) {
        let Some(mut slot) = self.own_slot() else { return };
        let flaws = &mut slot.ledger.flaws;
        match flaw {
            Flaw::LatePart => flaws.late_parts += 1,
            Flaw::Truncated(count) => flaws.truncated += count,
            Flaw::InvalidUsage => flaws.invalid_usages += 1,
            Flaw::InvalidValue(count) => flaws.invalid_values += count,
            Flaw::Redacted(changes) => {
                flaws.redacted += changes.redacted;
                flaws.redaction_failed += changes.failed;
            }
            Flaw::InternalPanic => flaws.internal_panics += 1,
            Flaw::Aged => flaws.aged += 1,
        }
    }

    /// Whether of what comes while much waits only a sample is taken.
    #[inline]
    pub(crate) fn takes_samples(&self) -> bool {
        matches!(self.limits.when_full, WhenFull::Sample { .. })
    }

    /// Takes an operation that has ended, as [`queue`](Intake::queue) does. One that nobody else holds is kept to be used
    /// again.
    pub(crate) fn ended(&self, operation: &mut Closed<'_>, abandoned: bool) -> Taken {
        let Some(mut slot) = self.own_slot() else { return Taken::Lost };
        let copy = |place: &mut [u8]| operation.copy_to(place);
        let taken = self.queue(&mut slot, operation.len(), abandoned, copy);
        if !matches!(taken, Taken::Lost | Taken::Back)
            && slot.has_room()
            && let Some(spare) = operation.reusable()
        {
            slot.keep(spare);
        }
        taken
    }

    /// Takes the frame of an operation that has ended, of so many bytes, if there is room for it; where there is none, it is
    /// lost, or still counts as open, as the policy says.
    #[inline]
    pub(crate) fn queue(
        &self,
        slot: &mut Slot,
        length: usize,
        abandoned: bool,
        copy: impl FnOnce(&mut [u8]),
    ) -> Taken {
        if self.closed.load(Ordering::Acquire) {
            slot.ledger.lose(self.why_closed(), abandoned);
            return Taken::Lost;
        }
        let taken = match self.make_room(slot, length) {
            Some(taken) => taken,
            None if length > self.limits.queued_bytes => {
                slot.ledger.lose(LossReason::TooLarge, abandoned);
                return Taken::Lost;
            }
            None if self.limits.when_full.drops_newest() => {
                slot.ledger.lose(self.why_full(), abandoned);
                Taken::NoRoom
            }
            None => return Taken::Back,
        };
        if taken != Taken::NoRoom {
            slot.allowance -= 1;
            slot.chunk.push(length, copy);
            slot.ledger.open -= 1;
            slot.ledger.queued += 1;
            slot.ledger.abandoned += u64::from(abandoned);
        }
        taken
    }

    /// Counts an operation that has ended as lost.
    pub(crate) fn lost(&self, reason: LossReason, abandoned: bool) {
        if let Some(mut slot) = self.own_slot() {
            slot.ledger.lose(reason, abandoned);
        }
    }

    /// Sees to it that a frame can be pushed: it is queued, or so much waits that the worker is to look. None where there is
    /// no room.
    #[inline]
    fn make_room(&self, slot: &mut Slot, length: usize) -> Option<Taken> {
        if slot.allowance == 0 && !self.allow_more(slot) {
            return None;
        }
        if slot.chunk.fits(length) { Some(Taken::Queued) } else { self.next_chunk(slot, length) }
    }

    #[cold]
    fn allow_more(&self, slot: &mut Slot) -> bool {
        slot.allowance = self.records.take_up_to(self.portion, 1);
        slot.allowance > 0
    }

    #[cold]
    fn next_chunk(&self, slot: &mut Slot, length: usize) -> Option<Taken> {
        let bytes = self.empty(slot, length)?;
        let next = Chunk { bytes, records: 0, home: of_thread() % SLOTS };
        // Asked of the system only here, once for each chunk: nobody would ever take what waits in a child.
        if self.in_child() {
            self.forked.store(true, Ordering::Release);
            self.recycle(slot, next.bytes);
            return None;
        }
        let full = std::mem::replace(&mut slot.chunk, next);
        if full.records == 0 {
            self.recycle(slot, full.bytes);
            return Some(Taken::Queued);
        }
        slot.full.push_back(full);
        // Waking the worker costs more than ten operations: it looks by itself often enough for little.
        let much = slot.full.len() >= MANY
            || self.bytes.used() > self.limits.queued_bytes / 4
            || self.records.used() > self.limits.queued_records / 4;
        Some(if much { Taken::Pressing } else { Taken::Queued })
    }

    /// Memory for so many bytes, out of the budget.
    fn empty(&self, slot: &mut Slot, length: usize) -> Option<Buffer> {
        if length <= self.chunk
            && let Some(spare) = slot.spares.pop()
        {
            slot.unneeded = slot.unneeded.min(slot.spares.len());
            self.spares.give_back(1);
            return Some(spare);
        }
        let size = length.max(self.chunk);
        self.bytes.take(size).then(|| Buffer::of(size))
    }

    /// Keeps an empty chunk, or gives its memory back.
    fn recycle(&self, slot: &mut Slot, bytes: Buffer) {
        self.let_go(self.keep(slot, bytes));
    }

    /// Keeps an empty chunk to be filled again; gives it back where there are enough.
    fn keep(&self, slot: &mut Slot, mut bytes: Buffer) -> Option<Buffer> {
        bytes.clear();
        let room = bytes.memory() == self.chunk && slot.spares.len() < SPARES;
        if !(room && self.spares.take(1)) {
            return Some(bytes);
        }
        slot.spares.push(bytes);
        None
    }

    fn let_go(&self, unused: Option<Buffer>) {
        if let Some(bytes) = unused {
            let size = bytes.memory();
            drop(bytes);
            self.bytes.give_back(size);
        }
    }

    /// Throws away the oldest chunk that it can reach without waiting, to make room; says whether there was one.
    pub(crate) fn drop_oldest(&self) -> bool {
        let own = of_thread();
        let order = (0..self.slots.len()).map(|step| &self.slots[(own + step) % self.slots.len()]);
        for mutex in order {
            let Some(mut slot) = mutex.try_lock() else { continue };
            let current = &mut slot.chunk;
            let waiting = (current.records > 0).then(|| std::mem::take(current));
            let oldest = match slot.full.pop_front() {
                Some(oldest) => {
                    slot.chunk = waiting.unwrap_or_default();
                    oldest
                }
                None => match waiting {
                    Some(waiting) => waiting,
                    None => continue,
                },
            };
            slot.ledger.queued -= signed(oldest.records);
            slot.ledger.drop_many(LossReason::QueueFull, oldest.records as u64);
            drop(slot);
            self.records.give_back(oldest.records);
            self.done_with(oldest);
            return true;
        }
        false
    }

    /// Whether more than half of the room is taken.
    pub(crate) fn is_half_full(&self) -> bool {
        self.bytes.used() > self.limits.queued_bytes / 2
            || self.records.used() > self.limits.queued_records / 2
    }

    /// Takes out all that waits, one chunk at a time: what is not taken out yet can still make way for newer ones.
    /// What is taken out still counts as queued, and its bytes against the budget.
    pub(crate) fn drain(&self) -> impl Iterator<Item = Chunk> + '_ {
        self.slots.iter().flat_map(|slot| {
            // No more than waited at first, or a thread that records without end would keep the worker for itself.
            let waiting = slot.lock().full.len() + 1;
            (0..waiting).filter_map(|_| self.take(slot))
        })
    }

    fn take(&self, slot: &Brief<Slot>) -> Option<Chunk> {
        let mut slot = slot.lock();
        self.records.give_back(std::mem::take(&mut slot.allowance));
        let oldest = slot
            .full
            .pop_front()
            .or_else(|| (slot.chunk.records > 0).then(|| std::mem::take(&mut slot.chunk)))?;
        self.records.give_back(oldest.records);
        Some(oldest)
    }

    /// Gives the memory of a chunk back that has been handed over.
    pub(crate) fn done_with(&self, chunk: Chunk) {
        // The system takes memory back when the lock is let go; in a forked child it may never come.
        let unused = match self.lock_slot(&self.slots[chunk.home % SLOTS]) {
            Some(mut slot) => self.keep(&mut slot, chunk.bytes),
            None => Some(chunk.bytes),
        };
        self.let_go(unused);
    }

    /// Gives memory back that was needed once and has not been since the last time: of each slot an empty chunk.
    pub(crate) fn shrink(&self) {
        for slot in self.slots.iter() {
            let unneeded = slot.lock().unneeded_spare();
            self.spares.give_back(unneeded.iter().len());
            self.let_go(unneeded);
        }
    }

    /// Counts what became of a batch.
    pub(crate) fn settled(&self, stored: u64, lost: u64, reason: Option<LossReason>) {
        let Some(mut slot) = self.own_slot() else { return };
        slot.ledger.queued -= i64::try_from(stored + lost).unwrap_or(i64::MAX);
        slot.ledger.stored += stored;
        if let Some(reason) = reason {
            slot.ledger.drop_many(reason, lost);
        }
    }

    /// From here on, ended operations are refused.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Lets go of the operations that were kept to be used again: they know the collector, which could not end else.
    pub(crate) fn empty_pools(&self) {
        for slot in self.slots.iter() {
            // They are dropped after the lock is let go: dropping one may be the end of the whole collector.
            let pool = self.lock_slot(slot).map(|mut slot| std::mem::take(&mut slot.pool));
            drop(pool);
        }
    }

    /// The counts at one instant: all slots are held at once, in order.
    pub(crate) fn counts(&self) -> Counts {
        self.is_in_child();
        let slots = self.lock_all();
        let mut counts = Counts::default();
        let (mut open, mut queued) = (0_i64, 0_i64);
        let withdrawn: u64 = slots.iter().map(|slot| slot.ledger.withdrawn).sum();
        for ledger in slots.iter().map(|slot| &slot.ledger) {
            open += ledger.open;
            queued += ledger.queued;
            ledger.add_to(&mut counts);
        }
        counts.open = u64::try_from(open).unwrap_or_default();
        counts.queued = u64::try_from(queued).unwrap_or_default();
        counts.offered = counts.offered.saturating_sub(withdrawn);
        counts.queue_bytes = self.bytes.used() as u64;
        let forked: i64 = slots.iter().map(|slot| slot.ledger.lost_in_fork).sum();
        if forked > 0 {
            *counts.dropped.entry(LossReason::Fork).or_default() += forked.unsigned_abs();
        }
        counts
    }

    /// Whether this is a forked child of the process that made the collector: there is no worker here, and a lock
    /// that another thread held at that moment is never let go. What waited is the parent's; it is counted as lost.
    #[cold]
    pub(crate) fn is_in_child(&self) -> bool {
        if !self.in_child() {
            return false;
        }
        self.forked.store(true, Ordering::Release);
        self.close();
        for slot in self.slots.iter() {
            let Some(mut slot) = self.lock_slot(slot) else { continue };
            let queued = std::mem::take(&mut slot.ledger.queued);
            slot.chunk = Chunk::default();
            slot.full.clear();
            // Those of other slots may be counted below zero here: only the sum is a number of operations.
            slot.ledger.lost_in_fork += queued;
        }
        true
    }

    fn in_child(&self) -> bool {
        std::process::id() != self.process
    }

    fn why_full(&self) -> LossReason {
        if self.forked.load(Ordering::Acquire) { LossReason::Fork } else { LossReason::QueueFull }
    }

    fn why_closed(&self) -> LossReason {
        if self.forked.load(Ordering::Acquire) {
            LossReason::Fork
        } else {
            LossReason::AfterShutdown
        }
    }

    /// All slots.
    #[inline]
    pub(crate) fn slots(&self) -> &Arc<Slots> {
        &self.slots
    }

    #[inline]
    fn own_slot(&self) -> Option<BriefGuard<'_, Slot>> {
        self.lock_own(&self.slots)
    }

    /// Locks that of its slots which is this thread's; none in a forked child, where the lock may never come.
    #[inline]
    pub(crate) fn lock_own<'s>(&self, slots: &'s Slots) -> Option<BriefGuard<'s, Slot>> {
        self.lock_slot(&slots[of_thread() % SLOTS])
    }

    /// Locks them all, in order; in a forked child those whose locks come.
    pub(crate) fn lock_all(&self) -> Vec<BriefGuard<'_, Slot>> {
        self.slots.iter().filter_map(|slot| self.lock_slot(slot)).collect()
    }

    /// Locks a slot; none in a forked child, where the lock may never come.
    #[inline]
    fn lock_slot<'s>(&self, slot: &'s Brief<Slot>) -> Option<BriefGuard<'s, Slot>> {
        match slot.try_lock() {
            Some(slot) => Some(slot),
            None => self.wait_for(slot),
        }
    }

    /// Locks what several threads share; nothing in a forked child where it is taken, for it may never come.
    pub(crate) fn lock_if_it_comes<'l, T>(&self, mutex: &'l Mutex<T>) -> Option<MutexGuard<'l, T>> {
        match mutex.try_lock() {
            Ok(guard) => Some(guard),
            Err(_) => (!self.in_child()).then(|| lock(mutex)),
        }
    }

    /// Waits for a lock; not in a forked child, where it may never come.
    #[cold]
    pub(crate) fn wait_for<'l, T>(&self, lock: &'l Brief<T>) -> Option<BriefGuard<'l, T>> {
        (!self.in_child()).then(|| lock.lock())
    }
}

impl Drop for Intake {
    /// Nothing is left in the slots, for a thread may hold them longer.
    fn drop(&mut self) {
        for slot in self.slots.iter() {
            let left = slot.try_lock().map(|mut slot| std::mem::take(&mut *slot));
            drop(left);
        }
    }
}

impl Slot {
    /// An empty chunk that was not needed since the last time, if there are more than a few.
    fn unneeded_spare(&mut self) -> Option<Buffer> {
        let spare = if self.unneeded > FEW { self.spares.pop() } else { None };
        self.unneeded = self.spares.len();
        spare
    }

    /// Whether one more place is kept to be used again.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        self.pool.len() < POOL
    }

    /// Keeps a place to be used again.
    #[inline]
    pub(crate) fn keep(&mut self, spare: Spare) {
        self.pool.push(spare);
    }
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A panic while a lock is held can only come from a failing allocation; what the lock guards is still sound.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(all(test, not(taximeter_model)))]
mod tests {
    use super::*;

    #[test]
    fn a_slot_keeps_some_chunks_and_all_slots_a_quarter_of_the_budget_and_no_more_for_long_than_it_needs()
     {
        for (budget, kept) in [(64 << 20, [SPARES, SPARES]), (40 << 20, [SPARES, 160 - SPARES])] {
            let limits = Limits { queued_bytes: budget, ..Limits::default() };
            let intake = Intake::new(limits, Redaction::default(), false);
            let mut slots = [Slot::default(), Slot::default()];
            for slot in &mut slots {
                let chunks: Vec<_> = (0..=SPARES).map_while(|_| intake.empty(slot, 1)).collect();
                assert_eq!(chunks.len(), SPARES + 1);
                for chunk in chunks {
                    intake.recycle(slot, chunk);
                }
            }
            assert_eq!(slots.each_ref().map(|slot| slot.spares.len()), kept);
            let held = kept.iter().sum::<usize>() * CHUNK;
            assert_eq!(intake.bytes.used(), held);
            // What is kept is used again, and takes nothing more out of the budget.
            let [slot, _] = &mut slots;
            assert!(intake.empty(slot, 1).is_some() && slot.spares.len() == SPARES - 1);
            assert_eq!(intake.bytes.used(), held);
            *intake.slots[0].lock() = std::mem::take(slot);
            let spares = || intake.slots[0].lock().spares.len();
            // All were needed, or nearly all; from then on none.
            intake.shrink();
            assert_eq!(spares(), SPARES - 1);
            let mut slot = intake.slots[0].lock();
            let chunks: Vec<_> =
                (0..SPARES - 3).map_while(|_| intake.empty(&mut slot, 1)).collect();
            for chunk in chunks {
                intake.recycle(&mut slot, chunk);
            }
            drop(slot);
            intake.shrink();
            assert_eq!(spares(), SPARES - 1);
            (0..SPARES).for_each(|_| intake.shrink());
            assert_eq!(spares(), FEW);
            assert_eq!(intake.bytes.used(), held - (SPARES - 1 - FEW) * CHUNK);
            assert_eq!(intake.spares.used(), FEW + kept[1]);
        }
    }
}
