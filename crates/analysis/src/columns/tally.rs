//! Groups counted side by side into buckets, and their percentiles out of the buckets.

use super::buckets::{BUCKETS, bounds, bucket};
use super::places::{PERCENTILES, places, settle};
use super::sums::Sums;
use super::{ColumnGroup, Percentiles, to_float};

/// The sums of each group, and how many of its values lie in each bucket.
pub(super) struct Tally {
    sums: Vec<Sums>,
    /// For each group and bucket, how many values of the group lie in it or in a lower one.
    ends: Vec<usize>,
}

impl Tally {
    /// Counts rows of key, value and failure, whose keys are below `groups`.
    pub(super) fn of(groups: usize, rows: impl Iterator<Item = (usize, u64, bool)>) -> Self {
        let mut sums = vec![Sums::default(); groups];
        let mut counts = vec![0; groups * BUCKETS];
        for (key, value, error) in rows {
            counts[key * BUCKETS + bucket(value)] += 1;
            sums[key].add(value, error);
        }
        for counts in counts.chunks_exact_mut(BUCKETS) {
            let mut end = 0;
            for count in counts {
                end += *count;
                *count = end;
            }
        }
        Self { sums, ends: counts }
    }

    /// What each group comes to that has rows, from the same rows once more.
    pub(super) fn groups(
        &self,
        percentiles: Percentiles,
        rows: impl Iterator<Item = (usize, u64)>,
    ) -> Vec<ColumnGroup> {
        let mut drawers = Drawers::default();
        if percentiles == Percentiles::Exact {
            drawers = self.drawers();
            drawers.fill(rows);
        }
        let group = |(key, sums): (usize, &Sums)| {
            let count = self.count(key);
            let mut found = [0.0; PERCENTILES];
            for (percentile, place) in found.iter_mut().zip(places(count)) {
                let value = |index| {
                    let spot = self.spot(key, index);
                    drawers.value(&spot).unwrap_or_else(|| spot.middle())
                };
                *percentile = place.between(value(place.below), value(place.above));
            }
            sums.group(key, count, found)
        };
        self.sums.iter().enumerate().filter_map(group).collect()
    }

    /// Empty drawers for the buckets whose values have to be known, which are those of the percentiles.
    fn drawers(&self) -> Drawers {
        let mut drawers = Drawers { of_bucket: vec![0; self.ends.len()], drawers: Vec::new() };
        for key in 0..self.sums.len() {
            for place in places(self.count(key)) {
                drawers.want(&self.spot(key, place.below));
                drawers.want(&self.spot(key, place.above));
            }
        }
        drawers
    }

    fn count(&self, key: usize) -> usize {
        self.ends[key * BUCKETS + BUCKETS - 1]
    }

    /// Where the value lies that has this index when those of its group are sorted.
    fn spot(&self, key: usize, index: usize) -> Spot {
        let ends = &self.ends[key * BUCKETS..][..BUCKETS];
        let bucket = ends.partition_point(|end| *end <= index);
        let begin = if bucket > 0 { ends[bucket - 1] } else { 0 };
        let (smallest, largest) = bounds(bucket);
        let (min, max) = self.sums[key].extremes();
        Spot {
            bucket: key * BUCKETS + bucket,
            index: index - begin,
            count: ends[bucket] - begin,
            bounds: (smallest.max(min), largest.min(max)),
        }
    }
}

/// A value of which the bucket is known, and its index among those in the bucket.
struct Spot {
    /// The bucket, over all groups.
    bucket: usize,
    index: usize,
    /// How many values are in the bucket.
    count: usize,
    /// Between what they lie.
    bounds: (u64, u64),
}

impl Spot {
    /// The middle of the bucket, which is the value itself where it can be no other.
    fn middle(&self) -> f64 {
        f64::midpoint(to_float(self.bounds.0), to_float(self.bounds.1))
    }
}

/// The values of a few buckets.
#[derive(Default)]
struct Drawers {
    /// For each bucket of each group the number of its drawer, from 1 on, or 0.
    of_bucket: Vec<u16>,
    drawers: Vec<Drawer>,
}

struct Drawer {
    values: Vec<u64>,
    /// The indices of the values that are asked for.
    wanted: Vec<usize>,
}

impl Drawers {
    fn want(&mut self, spot: &Spot) {
        if spot.bounds.0 == spot.bounds.1 {
            return;
        }
        let drawer = &mut self.of_bucket[spot.bucket];
        if *drawer == 0 {
            // There are at most eight drawers for each of a few groups.
            self.drawers.push(Drawer { values: Vec::with_capacity(spot.count), wanted: vec![] });
            *drawer = u16::try_from(self.drawers.len()).unwrap_or_default();
        }
        let drawer = usize::from(*drawer);
        if let Some(drawer) = self.drawers.get_mut(drawer.wrapping_sub(1)) {
            drawer.wanted.push(spot.index);
        }
    }

    fn fill(&mut self, rows: impl Iterator<Item = (usize, u64)>) {
        if self.drawers.is_empty() {
            return;
        }
        for (key, value) in rows {
            let drawer = self.of_bucket[key * BUCKETS + bucket(value)];
            // Few values are in a drawer, so that the branch is foreseen.
            if drawer != 0 {
                self.drawers[usize::from(drawer) - 1].values.push(value);
            }
        }
        for drawer in &mut self.drawers {
            settle(&mut drawer.values, drawer.wanted.iter().copied());
        }
    }

    /// The value at a spot that was wanted.
    fn value(&self, spot: &Spot) -> Option<f64> {
        let drawer = usize::from(*self.of_bucket.get(spot.bucket)?).checked_sub(1)?;
        self.drawers.get(drawer)?.values.get(spot.index).map(|value| to_float(*value))
    }
}
