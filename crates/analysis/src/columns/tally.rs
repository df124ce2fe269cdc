//! Groups counted side by side into buckets, and their percentiles out of the buckets.

use super::buckets::{BUCKETS, bounds, bucket};
use super::places::{PERCENTILES, places, settle};
use super::sums::Sums;
use super::{ColumnGroup, Percentiles, to_float};

/// Groups by their keys. Each has a list of its own, since one list for all takes a third longer to count into.
pub(super) struct Tally(Vec<Counted>);

struct Counted {
    sums: Sums,
    /// For each bucket, how many values lie in it or in a lower one.
    ends: Vec<usize>,
}

impl Tally {
    /// Counts rows of key, value and failure, whose keys are below `groups`.
    pub(super) fn of(groups: usize, rows: impl Iterator<Item = (usize, u64, bool)>) -> Self {
        let empty = || Counted { sums: Sums::default(), ends: vec![0; BUCKETS] };
        let mut groups: Vec<Counted> = (0..groups).map(|_| empty()).collect();
        for (key, value, error) in rows {
            let group = &mut groups[key];
            group.ends[bucket(value)] += 1;
            group.sums.add(value, error);
        }
        for group in &mut groups {
            let mut end = 0;
            for count in &mut group.ends {
                end += *count;
                *count = end;
            }
        }
        Self(groups)
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
        let group = |(key, group): (usize, &Counted)| {
            let mut found = [0.0; PERCENTILES];
            for (percentile, place) in found.iter_mut().zip(places(group.count())) {
                let value = |index| {
                    let spot = group.spot(index);
                    drawers.value(key, &spot).unwrap_or_else(|| spot.middle())
                };
                *percentile = place.between(value(place.below), value(place.above));
            }
            group.sums.group(key, group.count(), found)
        };
        self.0.iter().enumerate().filter_map(group).collect()
    }

    /// Empty drawers for the buckets whose values have to be known, which are those of the percentiles.
    fn drawers(&self) -> Drawers {
        let of_bucket = vec![vec![0; BUCKETS]; self.0.len()];
        let mut drawers = Drawers { of_bucket, drawers: Vec::new() };
        for (key, group) in self.0.iter().enumerate() {
            for place in places(group.count()) {
                drawers.want(key, &group.spot(place.below));
                drawers.want(key, &group.spot(place.above));
            }
        }
        drawers
    }
}

impl Counted {
    fn count(&self) -> usize {
        self.ends[BUCKETS - 1]
    }

    /// Where the value lies that has this index, below the count, when all are sorted.
    fn spot(&self, index: usize) -> Spot {
        let bucket = self.ends.partition_point(|end| *end <= index);
        let begin = if bucket > 0 { self.ends[bucket - 1] } else { 0 };
        let (smallest, largest) = bounds(bucket);
        let (min, max) = self.sums.extremes();
        Spot {
            bucket,
            index: index - begin,
            count: self.ends[bucket] - begin,
            bounds: (smallest.max(min), largest.min(max)),
        }
    }
}

/// A value of which the bucket is known, and its index among those in the bucket.
struct Spot {
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
    of_bucket: Vec<Vec<u16>>,
    drawers: Vec<Drawer>,
}

struct Drawer {
    values: Vec<u64>,
    /// The indices of the values that are asked for.
    wanted: Vec<usize>,
}

impl Drawers {
    fn want(&mut self, key: usize, spot: &Spot) {
        if spot.bounds.0 == spot.bounds.1 {
            return;
        }
        let number = &mut self.of_bucket[key][spot.bucket];
        if *number == 0 {
            self.drawers.push(Drawer { values: Vec::with_capacity(spot.count), wanted: vec![] });
            // There are at most eight drawers for each of a few groups.
            *number = u16::try_from(self.drawers.len()).unwrap_or_default();
        }
        let place = usize::from(*number).checked_sub(1);
        if let Some(drawer) = place.and_then(|place| self.drawers.get_mut(place)) {
            drawer.wanted.push(spot.index);
        }
    }

    fn fill(&mut self, rows: impl Iterator<Item = (usize, u64)>) {
        if self.drawers.is_empty() {
            return;
        }
        for (key, value) in rows {
            // Few values are in a drawer, so that the branch is foreseen.
            if let Some(place) = usize::from(self.of_bucket[key][bucket(value)]).checked_sub(1) {
                self.drawers[place].values.push(value);
            }
        }
        for drawer in &mut self.drawers {
            settle(&mut drawer.values, drawer.wanted.iter().copied());
        }
    }

    /// The value at a spot that was wanted.
    fn value(&self, key: usize, spot: &Spot) -> Option<f64> {
        let number = self.of_bucket.get(key)?[spot.bucket];
        let drawer = self.drawers.get(usize::from(number).checked_sub(1)?)?;
        drawer.values.get(spot.index).map(|value| to_float(*value))
    }
}
