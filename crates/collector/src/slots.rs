//! Which slot of a collector a thread uses: one of its own, as long as there are enough.
#![cfg_attr(
    taximeter_model,
    allow(dead_code, reason = "a model's threads are none of the machine's")
)]

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// How many slots there are: one for each bit of a word. A model has few, so that threads meet in them.
pub(crate) const SLOTS: usize = if cfg!(taximeter_model) { 2 } else { 64 };

/// A bit for each slot that a living thread holds. Relaxed: the number spreads threads over locks, no more.
static HELD: AtomicU64 = AtomicU64::new(0);

struct Seat {
    slot: usize,
    /// Whether no other thread has the same.
    own: bool,
}

impl Seat {
    fn take() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let mut slot = 0;
        let own = HELD.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
            slot = held.trailing_ones() as usize;
            (slot < SLOTS).then(|| held | 1 << slot)
        });
        match own {
            Ok(_) => Self { slot, own: true },
            Err(_) => Self { slot: NEXT.fetch_add(1, Ordering::Relaxed) % SLOTS, own: false },
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.own {
            HELD.fetch_and(!(1 << self.slot), Ordering::Relaxed);
        }
        let _ = NUMBER.try_with(|number| number.set(usize::MAX));
    }
}

thread_local! {
    // The number stands apart from the seat, which has a destructor and so is slower to reach.
    static NUMBER: Cell<usize> = const { Cell::new(usize::MAX) };
    static SEAT: Seat = Seat::take();
}

/// The slot of a thread of a model, which is no thread of the machine.
#[cfg(taximeter_model)]
pub(crate) fn of_thread() -> usize {
    shuttle::current::get_current_task().map_or(0, usize::from) % SLOTS
}

/// The slot of this thread.
#[cfg(not(taximeter_model))]
#[inline]
pub(crate) fn of_thread() -> usize {
    match NUMBER.try_with(Cell::get) {
        Ok(usize::MAX) => first_time(),
        Ok(number) => number,
        Err(_) => 0,
    }
}

/// The token of nobody.
pub(crate) const NOBODY: u64 = u64::MAX;

#[cfg(not(taximeter_model))]
thread_local! {
    // Without a destructor, so it is there until the very end of the thread. Zero before the first draw.
    static TOKEN: Cell<u64> = const { Cell::new(0) };
}

/// A number that this thread alone has had and will ever have in this process.
#[cfg(not(taximeter_model))]
#[inline]
pub(crate) fn token() -> u64 {
    match TOKEN.get() {
        0 => draw_token(),
        token => token,
    }
}

#[cfg(not(taximeter_model))]
#[cold]
fn draw_token() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    // Relaxed: only that no two threads draw the same matters.
    TOKEN.set(NEXT.fetch_add(1, Ordering::Relaxed));
    TOKEN.get()
}

/// Whether a token is this thread's.
#[cfg(not(taximeter_model))]
#[inline]
pub(crate) fn is_own(token: u64) -> bool {
    token == TOKEN.get()
}

/// The token of a thread of a model.
#[cfg(taximeter_model)]
pub(crate) fn token() -> u64 {
    shuttle::current::get_current_task().map_or(0, |task| usize::from(task) as u64 + 1)
}

#[cfg(taximeter_model)]
pub(crate) fn is_own(of: u64) -> bool {
    of == token()
}

#[cold]
fn first_time() -> usize {
    // A thread that is being torn down has no seat any more; it shares the first.
    let number = SEAT.try_with(|seat| seat.slot).unwrap_or(0);
    let _ = NUMBER.try_with(|cell| cell.set(number));
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_live_side_by_side_have_slots_of_their_own() {
        let barrier = std::sync::Barrier::new(8);
        let slots = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        let slot = of_thread();
                        barrier.wait();
                        assert_eq!(slot, of_thread());
                        slot
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        let mut apart = slots.clone();
        apart.sort_unstable();
        apart.dedup();
        // Other tests of this process hold slots too, but never all of them.
        assert_eq!(apart.len(), slots.len(), "{slots:?}");
    }
}
