//! How far the parts of a streamed reply were apart: counted as the histogram of the conventions counts them, and kept in
//! the metadata of the call, since a record has no room for each of them.

use std::time::Duration;

use taximeter_models::LlmCall;

/// Where it stands in the metadata of a call: `{"buckets": [0, 41, …], "sum_ns": 1234567890}`.
pub(crate) const KEY: &str = "time_per_output_chunk";

/// As many as the bounds of durations in the conventions, which are 10 ms doubled each time, and what is above.
const BUCKETS: usize = 15;
#[cfg(any(feature = "reply", test))]
const FIRST_BOUND: u64 = 10_000_000;

/// The times from one part of a streamed reply to the next.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ChunkTimes {
    /// How many there are within each bound.
    pub(crate) buckets: [u64; BUCKETS],
    pub(crate) sum: Duration,
}

impl ChunkTimes {
    /// Takes in how long the next part was waited for.
    #[cfg(any(feature = "reply", test))]
    pub(crate) fn add(&mut self, time: Duration) {
        let is_below = |at: &usize| time > Duration::from_nanos(FIRST_BOUND << at);
        let bucket = (0..BUCKETS - 1).take_while(is_below).count();
        self.buckets[bucket] += 1;
        self.sum = self.sum.saturating_add(time);
    }

    /// Keeps it with a call, where there is anything to keep.
    #[cfg(any(feature = "reply", test))]
    pub(crate) fn put_on(&self, call: &mut LlmCall) {
        if *self != Self::default() {
            let nanos = u64::try_from(self.sum.as_nanos()).unwrap_or(u64::MAX);
            let told = serde_json::json!({ "buckets": self.buckets, "sum_ns": nanos });
            call.metadata.insert(KEY.to_owned(), told);
        }
    }

    /// What a call keeps of it. What is not of this form, as others may send it, says nothing.
    #[cfg(any(feature = "prometheus", test))]
    pub(crate) fn of(call: &LlmCall) -> Option<Self> {
        let told = call.metadata.get(KEY)?;
        let (counts, nanos) = (told.get("buckets")?.as_array()?, told.get("sum_ns")?.as_u64()?);
        let mut buckets = [0; BUCKETS];
        if counts.len() != BUCKETS {
            return None;
        }
        for (bucket, count) in buckets.iter_mut().zip(counts) {
            *bucket = count.as_u64()?;
        }
        Some(Self { buckets, sum: Duration::from_nanos(nanos) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_call_keeps_is_what_was_counted() {
        let mut times = ChunkTimes::default();
        let mut call = LlmCall::default();
        times.put_on(&mut call);
        assert_eq!((ChunkTimes::of(&call), call.metadata.len()), (None, 0));
        for micros in [0, 10_000, 10_001, 20_000, 81_920_000, 81_920_001, 900_000_000] {
            times.add(Duration::from_micros(micros));
        }
        assert_eq!(
            (times.buckets[..3].to_vec(), times.buckets[13..].to_vec()),
            (vec![2, 2, 0], vec![1, 2])
        );
        times.put_on(&mut call);
        assert_eq!(ChunkTimes::of(&call), Some(times));
        for broken in [
            serde_json::json!(1),
            serde_json::json!({ "buckets": [1], "sum_ns": 1 }),
            serde_json::json!({ "buckets": vec![-1; BUCKETS], "sum_ns": 1 }),
            serde_json::json!({ "buckets": vec![1; BUCKETS], "sum_ns": "1" }),
        ] {
            call.metadata.insert(KEY.to_owned(), broken);
            assert_eq!(ChunkTimes::of(&call), None);
        }
    }

    #[cfg(feature = "prometheus")]
    #[test]
    fn the_bounds_are_those_of_durations() {
        for (at, bound) in crate::metrics::DURATION_SECONDS.into_iter().enumerate() {
            let mut times = ChunkTimes::default();
            times.add(Duration::from_secs_f64(bound));
            assert_eq!(times.buckets[at], 1, "{bound}");
        }
        assert_eq!(BUCKETS, crate::metrics::DURATION_SECONDS.len() + 1);
    }
}
