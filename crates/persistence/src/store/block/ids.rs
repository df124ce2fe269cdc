//! Ids in few bits: those of a collector hold the time of start, the number of a thread, and a counter.
//!
//! The upper half is written as its difference to what the time of start lets expect, the random part of the thread once,
//! the counter as its step from the last id of that thread. Any other id comes back just as well; it takes 16 bytes.

use std::collections::HashMap;

use foldhash::fast::RandomState;

/// The bits of the counter of a thread.
const COUNTER_BITS: u32 = 22;
const COUNTER: u64 = (1 << COUNTER_BITS) - 1;

/// The upper half of a UUID of version 7 that was made at this time (RFC 9562, section 5.7, with method 3 of section 6.2).
pub(super) fn expected_high(start: i64) -> u64 {
    let nanos = start.max(0).unsigned_abs();
    let millis = (nanos / 1_000_000) & 0xffff_ffff_ffff;
    let fraction = nanos % 1_000_000 * 4_096 / 1_000_000;
    millis << 16 | 7 << 12 | fraction
}

/// The last counter of each thread.
#[derive(Debug, Default)]
pub(super) struct Threads {
    last: HashMap<u64, u64, RandomState>,
}

impl Threads {
    /// The thread of the lower half of an id, and the step of its counter.
    pub(super) fn step(&mut self, low: u64) -> (u64, u64) {
        let (thread, counter) = (low >> COUNTER_BITS, low & COUNTER);
        let last = self.last.insert(thread, counter).unwrap_or_default();
        (thread, counter.wrapping_sub(last) & COUNTER)
    }

    /// The lower half of an id, from its thread and the step of its counter.
    pub(super) fn low(&mut self, thread: u64, step: u64) -> u64 {
        let last = self.last.entry(thread).or_default();
        *last = last.wrapping_add(step) & COUNTER;
        thread << COUNTER_BITS | *last
    }
}
