//! Where the ids of operations come from.

use std::cell::Cell;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use taximeter_models::OperationId;

/// A source of ids that are never given twice.
pub trait IdSource: Send + Sync + fmt::Debug {
    /// A new id for an operation that starts at this time.
    fn next(&self, now: DateTime<Utc>) -> OperationId;
}

/// Ids in the layout of UUID version 7 (RFC 9562, section 5.7), made without a lock.
///
/// | bits | content |
/// |---|---|
/// | 48 | milliseconds since 1970 |
/// | 4 | version 7 |
/// | 12 | the next digits of the time, to 1/4096 ms (RFC 9562, section 6.2, method 3) |
/// | 2 | variant |
/// | 40 | random, drawn anew for each thread and each 2²² ids |
/// | 22 | a counter of the thread |
///
/// Within a thread the counter keeps ids apart; between threads and processes the random part does: two of a million
/// threads that start an operation within the same quarter of a microsecond share it with a chance of 1 in 10¹².
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemIds;

/// The ids of a collector: its own source is asked without a detour.
#[derive(Debug, Clone)]
pub(crate) enum Ids {
    System,
    Other(Arc<dyn IdSource>),
}

const COUNTER_BITS: u32 = 22;

thread_local! {
    /// The random part and the counter of this thread, as one number; zero before the first draw.
    static TAIL: Cell<u64> = const { Cell::new(0) };
}

impl IdSource for SystemIds {
    fn next(&self, now: DateTime<Utc>) -> OperationId {
        Self::next_at(crate::frame::unix_nanos(now))
    }
}

impl SystemIds {
    /// A new id for an operation that starts so many nanoseconds after 1970.
    #[inline]
    pub(crate) fn next_at(nanos: i64) -> OperationId {
        let nanos = nanos.max(0).unsigned_abs();
        let millis = u128::from(nanos / 1_000_000) & 0xffff_ffff_ffff;
        let fraction = u128::from(nanos % 1_000_000 * 4_096 / 1_000_000);
        // A thread that is being torn down has no cell any more; a fresh draw serves it as well.
        let tail = TAIL.try_with(next_tail).unwrap_or_else(|_| draw());
        OperationId::from_bits(
            millis << 80 | 7 << 76 | fraction << 64 | 0b10 << 62 | u128::from(tail),
        )
    }
}

fn next_tail(cell: &Cell<u64>) -> u64 {
    let next = cell.get().wrapping_add(1);
    let next = if next.trailing_zeros() >= COUNTER_BITS || next == 1 { draw() } else { next };
    cell.set(next);
    next
}

/// 40 random bits above a counter that starts at 1. The standard library's hasher keys are its one source of
/// randomness; a process-wide count keeps two draws of one process apart for certain to 2²⁰ threads' draws.
fn draw() -> u64 {
    static DRAWS: AtomicU64 = AtomicU64::new(0);
    // Relaxed is enough: only that no two draws see the same number matters.
    let draw = DRAWS.fetch_add(1, Ordering::Relaxed);
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u64(draw);
    hasher.write_u32(std::process::id());
    (hasher.finish() & 0xff_ffff_ffff) << COUNTER_BITS | 1
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_of_one_instant_from_many_threads_differ_and_are_version_7() {
        let now = "2026-11-23T12:00:00.123456789Z".parse().unwrap();
        let threads: Vec<_> = (0..8)
            .map(|_| {
                std::thread::spawn(move || {
                    (0..20_000).map(|_| SystemIds.next(now)).collect::<Vec<_>>()
                })
            })
            .collect();
        let ids: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 160_000);
        assert!(ids.iter().all(|id| id.bits() >> 76 & 0xf == 7 && id.bits() >> 62 & 0b11 == 0b10));
    }

    #[test]
    fn ids_sort_by_time() {
        let at = |text: &str| SystemIds.next(text.parse().unwrap());
        let ids = [
            at("1960-01-01T00:00:00Z"),
            at("2026-11-23T12:00:00.123Z"),
            at("2026-11-23T12:00:00.123500Z"),
            at("2026-11-23T12:00:00.124Z"),
            at("2106-01-01T00:00:00Z"),
        ];
        assert!(ids.is_sorted(), "{ids:?}");
    }

    #[test]
    fn the_counter_runs_over_into_a_new_draw() {
        let cell = Cell::new((7 << COUNTER_BITS) - 1);
        let next = next_tail(&cell);
        assert_eq!(next & ((1 << COUNTER_BITS) - 1), 1);
        assert_eq!(next_tail(&cell), next + 1);
    }
}
