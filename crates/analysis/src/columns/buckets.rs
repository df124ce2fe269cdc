//! Buckets of values, whose width grows with the values: 128 to each doubling for columns, fewer for what is kept.
//!
//! The same buckets are those of the crate hdrhistogram with two digits. Its counting is as fast as this one (31 and
//! 33 ms for 10 million values), but the bucket of a value is its own secret; and exact percentiles are found by
//! looking again at the values of a few buckets.

/// The logarithm of the buckets to each doubling.
const BITS: u32 = 7;

/// How many buckets there are for all values of 64 bits.
pub(super) const BUCKETS: usize = count::<BITS>();

/// The bucket of a value: larger values are never in lower buckets. Below 256 each value has one of its own.
#[inline]
pub(super) fn bucket(value: u64) -> usize {
    place::<BITS>(value)
}

/// The smallest and the largest value of a bucket.
pub(super) fn bounds(bucket: usize) -> (u64, u64) {
    ends::<BITS>(bucket)
}

/// How many buckets there are with 2ᵇⁱᵗˢ to each doubling.
pub(crate) const fn count<const BITS: u32>() -> usize {
    (65 - BITS as usize) << BITS
}

/// The bucket of a value, with 2ᵇⁱᵗˢ to each doubling.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the bits that are left are few")]
pub(crate) fn place<const BITS: u32>(value: u64) -> usize {
    let shift = (value | 1 << BITS).ilog2() - BITS;
    ((shift as usize) << BITS) + (value >> shift) as usize
}

/// The smallest and the largest value of a bucket, with 2ᵇⁱᵗˢ to each doubling.
pub(crate) fn ends<const BITS: u32>(bucket: usize) -> (u64, u64) {
    let shift = (bucket >> BITS).saturating_sub(1);
    let smallest = ((bucket - (shift << BITS)) as u64) << shift;
    (smallest, smallest + ((1 << shift) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Percentiles;

    #[test]
    fn every_value_is_in_one_bucket() {
        let mut next = Some(0);
        for index in 0..BUCKETS {
            let (smallest, largest) = bounds(index);
            assert_eq!(Some(smallest), next, "{index}");
            assert_eq!((bucket(smallest), bucket(largest)), (index, index));
            next = largest.checked_add(1);
        }
        assert_eq!(next, None); // the last one ends with the largest value there is
    }

    /// The middle is away from an end by half the width, and the values are no less than the smallest one.
    #[test]
    #[expect(clippy::cast_precision_loss, reason = "a width needs no more digits")]
    fn no_bucket_is_wider_than_the_sketch_may_err() {
        for index in 1..BUCKETS {
            let (smallest, largest) = bounds(index);
            let error = (largest - smallest) as f64 / 2.0 / smallest as f64;
            assert!(error < Percentiles::SKETCH_ERROR, "{index}: {error}");
        }
    }
}
