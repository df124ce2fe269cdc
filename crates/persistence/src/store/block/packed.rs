//! Numbers in as many bits as the largest of them needs, counted from the smallest.
//!
//! They take a little more room than pco needs where some are rarer than others, and are read in a quarter of the time.

use std::ops::Range;

use super::bytes::{Cursor, put_number};
use super::error::Broken;

/// A number that begins within a byte reaches over eight bytes at most.
const MOST_BITS: u32 = 57;
/// Reading takes eight bytes at a time, the last number included.
const PADDING: usize = 7;

/// How many bytes these numbers would take; none where they are too far apart.
pub(super) fn size(numbers: &[u64]) -> Option<usize> {
    let (least, bits) = span(numbers)?;
    let first = (u64::BITS - least.leading_zeros()).div_ceil(7).max(1) as usize;
    Some(first + 1 + (numbers.len() * bits as usize).div_ceil(8) + PADDING)
}

fn span(numbers: &[u64]) -> Option<(u64, u32)> {
    let (least, most) = (numbers.iter().min()?, numbers.iter().max()?);
    let bits = u64::BITS - (most - least).leading_zeros();
    (bits <= MOST_BITS).then_some((*least, bits))
}

/// Writes numbers whose [`size`] is known.
pub(super) fn encode(to: &mut Vec<u8>, numbers: &[u64]) {
    let Some((least, bits)) = span(numbers) else { return };
    put_number(to, least);
    to.push(bits.to_le_bytes()[0]);
    // Eight bytes at a time: what of a number is beyond them begins the next eight.
    let (mut pending, mut filled) = (0_u64, 0);
    for number in numbers {
        let number = number - least;
        pending |= number << filled;
        filled += bits;
        if filled >= u64::BITS {
            to.extend(pending.to_le_bytes());
            filled -= u64::BITS;
            pending = if filled > 0 { number >> (bits - filled) } else { 0 };
        }
    }
    to.extend(&pending.to_le_bytes()[..filled.div_ceil(8) as usize]);
    to.extend([0; PADDING]);
}

/// Numbers as they were written, of which each is read by itself.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Packed {
    bytes: Vec<u8>,
    /// Where the numbers are in the bytes.
    begin: usize,
    how: How,
}

/// How numbers were packed.
#[derive(Debug, Clone, Copy, PartialEq)]
struct How {
    least: u64,
    bits: usize,
    count: usize,
}

impl How {
    /// Reads it from the front, and checks that just so many numbers follow.
    fn read(cursor: &mut Cursor<'_>, count: usize) -> Result<Self, Broken> {
        let (least, bits) = (cursor.number()?, u32::from(cursor.byte()?));
        let expected = (count * bits as usize).div_ceil(8) + PADDING;
        if bits > MOST_BITS || cursor.0.len() != expected {
            return Err(Broken("it has another count of numbers than its block says"));
        }
        Ok(Self { least, bits: bits as usize, count })
    }

    #[inline]
    fn number(self, packed: &[u8], at: usize) -> u64 {
        let bit = at * self.bits;
        let eight =
            packed[bit / 8..].first_chunk::<8>().map_or(0, |eight| u64::from_le_bytes(*eight));
        self.least.wrapping_add(eight >> (bit % 8) & ((1_u64 << self.bits) - 1))
    }

    fn each<T>(self, packed: &[u8], number: impl Fn(u64) -> T) -> Vec<T> {
        (0..self.count).map(|at| number(self.number(packed, at))).collect()
    }
}

impl Packed {
    /// So many numbers that take a part of these bytes.
    pub(super) fn read(bytes: Vec<u8>, within: Range<usize>, count: usize) -> Result<Self, Broken> {
        let mut cursor = Cursor(bytes.get(within.clone()).unwrap_or_default());
        let how = How::read(&mut cursor, count)?;
        let begin = within.end - cursor.0.len();
        Ok(Self { bytes, begin, how })
    }

    pub(super) fn len(&self) -> usize {
        self.how.count
    }

    /// The number at a place; there are more of them.
    #[inline]
    pub(super) fn get(&self, at: usize) -> u64 {
        self.how.number(&self.bytes[self.begin..], at)
    }

    pub(super) fn each(&self) -> Vec<u64> {
        self.how.each(&self.bytes[self.begin..], |number| number)
    }
}

/// Reads so many numbers, from bytes that hold nothing else.
pub(super) fn decode<T>(
    bytes: &[u8],
    count: usize,
    number: impl Fn(u64) -> T,
) -> Result<Vec<T>, Broken> {
    let mut cursor = Cursor(bytes);
    let how = How::read(&mut cursor, count)?;
    Ok(how.each(cursor.0, number))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back(numbers in prop::collection::vec(any::<u64>(), 1..100), shift in 0..64_u32, base: u32) {
            let numbers: Vec<u64> = numbers.iter().map(|number| (number >> shift).saturating_add(base.into())).collect();
            if let Some(size) = size(&numbers) {
                let mut bytes = Vec::new();
                encode(&mut bytes, &numbers);
                prop_assert_eq!(bytes.len(), size);
                prop_assert_eq!(decode(&bytes, numbers.len(), |number| number), Ok(numbers.clone()));
                // One by one, wherever they lie.
                let within = 3..bytes.len() + 3;
                let among = [&[7; 3], &bytes[..], &[7; 2]].concat();
                let packed = Packed::read(among, within, numbers.len()).unwrap();
                prop_assert_eq!((0..packed.len()).map(|at| packed.get(at)).collect::<Vec<_>>(), numbers.clone());
                prop_assert_eq!(packed.each(), numbers.clone());
                let same = numbers.iter().all(|number| *number == numbers[0]);
                prop_assert!(same || decode(&bytes, numbers.len() + 9, |number| number).is_err());
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, count in 0..2_000_usize) {
            let _ = decode(&bytes, count, |number| number);
        }
    }
}
