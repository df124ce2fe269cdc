//! A column of values by a column of keys: count, sum, extremes, deviation and percentiles of each group.

pub(crate) mod buckets;
mod places;
mod sums;
mod tally;

use serde::Serialize;
use thiserror::Error;

use places::{PERCENTILES, places, settle};
use sums::Sums;
use tally::Tally;

/// More groups than this are not taken: as many as a key of 16 bits tells apart.
const MOST_GROUPS: usize = 1 << 16;
/// So many groups are counted side by side, since their buckets fit into the cache of a core together.
const SIDE_BY_SIDE: usize = 32;
/// With fewer rows than this in a group it is faster to select among them than to count them into buckets.
const ENOUGH_ROWS: usize = 4_096;

/// Whole columns, of which each row is a value, the key of its group and perhaps whether it failed.
///
/// It is for many values that are at hand as columns: durations in nanoseconds, tokens, bytes. Names are turned into
/// keys before, as their places in a list. It takes two passes over the rows for exact percentiles and one for
/// sketched ones, and no copy of the column; with many groups or few rows it sorts the rows by their key first.
///
/// ```
/// use taximeter_analysis::{Columns, Percentiles};
///
/// let names = ["index", "ask"];
/// let keys: [u16; 5] = [1, 0, 1, 1, 0];
/// let nanos = [900, 100, 1_200, 600, 300];
/// let failed = [false, false, true, false, false];
///
/// let columns = Columns::new(&keys, &nanos, names.len())?.errors(&failed)?;
/// let groups = columns.summarize(Percentiles::Exact);
/// let ask = &groups[1];
/// assert_eq!((names[ask.key], ask.count, ask.errors, ask.sum), ("ask", 3, 1, 2_700));
/// assert_eq!((ask.p50, ask.mean, ask.std_deviation), (900.0, 900.0, Some(300.0)));
///
/// let wrong = Columns::new(&keys, &nanos, 1).unwrap_err();
/// assert_eq!(wrong.to_string(), "columns: the key 1 of row 0 is not below the number of groups, 1");
/// # Ok::<(), taximeter_analysis::ColumnsError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Columns<'a, K> {
    keys: &'a [K],
    values: &'a [u64],
    errors: Option<&'a [bool]>,
    groups: usize,
}

/// How percentiles are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Percentiles {
    /// To the last digit, those of [`quantile`](crate::statistics::quantile).
    Exact,
    /// Within [`SKETCH_ERROR`](Self::SKETCH_ERROR) of the exact ones, and faster. All other numbers are exact.
    Sketch,
}

impl Percentiles {
    /// How far a sketched percentile is from the exact one at most, as a part of the exact one: 0.4 %.
    pub const SKETCH_ERROR: f64 = 0.004;
}

/// What a column of keys can be made of: `u8`, `u16` and `u32`.
pub trait ColumnKey: Copy + Ord + Into<u32> + sealed::Sealed {}

impl ColumnKey for u8 {}
impl ColumnKey for u16 {}
impl ColumnKey for u32 {}

mod sealed {
    pub trait Sealed {}

    impl Sealed for u8 {}
    impl Sealed for u16 {}
    impl Sealed for u32 {}
}

/// Columns that do not go together.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ColumnsError {
    /// A column has another length than that of the values.
    #[error("columns: {values} values and {found} {column}; as many are expected")]
    Lengths {
        /// The column: `keys` or `errors`.
        column: &'static str,
        /// How many rows it has.
        found: usize,
        /// How many values there are.
        values: usize,
    },
    /// A key names no group.
    #[error("columns: the key {key} of row {row} is not below the number of groups, {groups}")]
    Key {
        /// The first key that is too large.
        key: u32,
        /// Its row, from 0 on.
        row: usize,
        /// How many groups there are.
        groups: usize,
    },
    /// There are more groups than are taken.
    #[error("columns: {0} groups; 65536 are the most")]
    Groups(usize),
}

/// What the rows of one key come to. The unit is that of the values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ColumnGroup {
    /// The key of the rows.
    pub key: usize,
    /// How many rows there are, one at least.
    pub count: u64,
    /// How many of them failed; 0 where no such column was given.
    pub errors: u64,
    /// The sum of their values, exact.
    pub sum: u128,
    /// The smallest value.
    pub min: u64,
    /// The largest value.
    pub max: u64,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation, of the sample (with n − 1); none of one row.
    pub std_deviation: Option<f64>,
    /// The median.
    pub p50: f64,
    /// 90 % are not above this.
    pub p90: f64,
    /// 95 % are not above this.
    pub p95: f64,
    /// 99 % are not above this.
    pub p99: f64,
}

impl<'a, K: ColumnKey> Columns<'a, K> {
    /// Values with their keys, each of which is below `groups`, 65,536 at most.
    ///
    /// # Errors
    /// Says which column has the wrong length, or which row has a key that names no group.
    pub fn new(keys: &'a [K], values: &'a [u64], groups: usize) -> Result<Self, ColumnsError> {
        same_length("keys", keys.len(), values.len())?;
        if groups > MOST_GROUPS {
            return Err(ColumnsError::Groups(groups));
        }
        if let Some(row) = first_above(keys, groups) {
            return Err(ColumnsError::Key { key: keys[row].into(), row, groups });
        }
        Ok(Self { keys, values, errors: None, groups })
    }

    /// The same with a column that says which rows failed.
    ///
    /// # Errors
    /// Where it has another length than the values.
    pub fn errors(self, errors: &'a [bool]) -> Result<Self, ColumnsError> {
        same_length("errors", errors.len(), self.values.len())?;
        Ok(Self { errors: Some(errors), ..self })
    }

    /// What each group comes to, in the order of the keys. A group without rows is left out, as by a database.
    ///
    /// The order of the rows changes no digit: what is added up are integers.
    pub fn summarize(&self, percentiles: Percentiles) -> Vec<ColumnGroup> {
        let rows = self.values.len();
        if self.groups <= SIDE_BY_SIDE && rows >= self.groups * ENOUGH_ROWS {
            self.side_by_side(percentiles)
        } else {
            self.one_by_one(percentiles)
        }
    }

    fn side_by_side(&self, percentiles: Percentiles) -> Vec<ColumnGroup> {
        let rows = || self.keys().zip(self.values.iter().copied());
        let tally = match self.errors {
            Some(errors) => Tally::of(
                self.groups,
                rows().zip(errors).map(|((key, value), error)| (key, value, *error)),
            ),
            None => Tally::of(self.groups, rows().map(|(key, value)| (key, value, false))),
        };
        tally.groups(percentiles, rows())
    }

    fn one_by_one(&self, percentiles: Percentiles) -> Vec<ColumnGroup> {
        let (mut values, ends) = self.by_key();
        let mut errors = vec![0; self.groups];
        for (key, error) in self.keys().zip(self.errors.unwrap_or_default()) {
            errors[key] += u64::from(*error);
        }
        let mut groups = Vec::new();
        let mut begin = 0;
        for (key, end) in ends.into_iter().enumerate() {
            if let Some(found) = group_of(&mut values[begin..end], percentiles) {
                groups.push(ColumnGroup { key, errors: errors[key], ..found });
            }
            begin = end;
        }
        groups
    }

    /// The values sorted by their keys alone, and where those of each key end.
    fn by_key(&self) -> (Vec<u64>, Vec<usize>) {
        let mut next = vec![0; self.groups + 1];
        for key in self.keys() {
            next[key + 1] += 1;
        }
        for key in 0..self.groups {
            next[key + 1] += next[key];
        }
        let mut sorted = vec![0; self.values.len()];
        for (key, value) in self.keys().zip(self.values) {
            sorted[next[key]] = *value;
            next[key] += 1;
        }
        // Where the next value of a key would go is now where its values end.
        next.truncate(self.groups);
        (sorted, next)
    }

    fn keys(&self) -> impl Iterator<Item = usize> {
        self.keys.iter().map(|key| (*key).into() as usize)
    }
}

/// The row of the first key that names no group. To find the largest key first takes a fifth of the time of looking at
/// one after the other, since many are compared at once.
fn first_above<K: ColumnKey>(keys: &[K], groups: usize) -> Option<usize> {
    let above = |key: K| key.into() as usize >= groups;
    keys.iter().copied().reduce(Ord::max).filter(|largest| above(*largest))?;
    keys.iter().position(|key| above(*key))
}

fn same_length(column: &'static str, found: usize, values: usize) -> Result<(), ColumnsError> {
    let same = found == values;
    if same { Ok(()) } else { Err(ColumnsError::Lengths { column, found, values }) }
}

/// What the values of one group come to, which may be put into another order; none of no values.
fn group_of(values: &mut [u64], percentiles: Percentiles) -> Option<ColumnGroup> {
    if values.len() >= ENOUGH_ROWS {
        let rows = || values.iter().map(|value| (0, *value));
        let tally = Tally::of(1, rows().map(|(key, value)| (key, value, false)));
        return tally.groups(percentiles, rows()).pop();
    }
    let mut sums = Sums::default();
    for value in values.iter() {
        sums.add(*value, false);
    }
    settle(values, places(values.len()).flat_map(|place| [place.below, place.above]));
    let mut found = [0.0; PERCENTILES];
    for (percentile, place) in found.iter_mut().zip(places(values.len())) {
        *percentile = place.between(to_float(values[place.below]), to_float(values[place.above]));
    }
    sums.group(0, values.len(), found)
}

#[expect(clippy::cast_precision_loss, reason = "an answer is a float; 53 bits are its precision")]
fn to_float(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests;
