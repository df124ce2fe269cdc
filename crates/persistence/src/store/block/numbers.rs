//! A column of numbers: one number for all rows, or pco over the narrowest type that holds them.

use std::borrow::Cow;
use std::ops::Range;

use pco::data_types::Number;
use pco::standalone::{simple_compress, simple_decompress_into};
use pco::{ChunkConfig, DeltaSpec};

use super::bytes::{Cursor, put_bytes, put_number};
use super::effort::Effort;
use super::error::{Broken, SealError};
use super::matching::Rows;
use super::packed::{self, Packed};

/// How hard pco tries. Level 4 takes a quarter of the time of its default, 8, for under one per cent more bytes.
const LEVEL: usize = 4;

/// Numbers are packed where that takes at most nine eighths of what pco makes of them: they are read that much faster.
const PACKED_BELOW: (usize, usize) = (9, 8);

/// So many runs of so many numbers stand for a column.
const RUNS: usize = 4;
const RUN: usize = 512;

/// What the first byte of a column of numbers says.
mod form {
    pub(super) const CONSTANT: u8 = 0;
    pub(super) const SHORT: u8 = 1;
    pub(super) const WORD: u8 = 2;
    pub(super) const LONG: u8 = 3;
    pub(super) const FLOAT: u8 = 4;
    pub(super) const REPEATING: u8 = 5;
    pub(super) const PACKED: u8 = 6;
}

/// The numbers of a column.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Numbers {
    /// So many times the same.
    Constant(u64, usize),
    /// Each by itself.
    Each(Vec<u64>),
    /// As they were written: who asks for a few of them has no other read.
    Packed(Packed),
}

impl Default for Numbers {
    fn default() -> Self {
        Self::Constant(0, 0)
    }
}

impl Numbers {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Constant(_, count) => *count,
            Self::Each(numbers) => numbers.len(),
            Self::Packed(numbers) => numbers.len(),
        }
    }

    /// The number of a row; the length was checked where the column was read.
    #[inline]
    pub(super) fn get(&self, row: usize) -> u64 {
        match self {
            Self::Constant(number, _) => *number,
            Self::Each(numbers) => numbers[row],
            Self::Packed(numbers) => numbers.get(row),
        }
    }

    /// The number of each row.
    pub(super) fn each(&self) -> Cow<'_, [u64]> {
        match self {
            Self::Constant(number, count) => vec![*number; *count].into(),
            Self::Each(numbers) => numbers.into(),
            Self::Packed(numbers) => numbers.each().into(),
        }
    }

    /// The numbers of some rows, in their order.
    pub(super) fn of<U>(&self, rows: &Rows, value: impl Fn(u64) -> U) -> Vec<U> {
        match (self, rows) {
            (Self::Constant(number, _), _) => (0..rows.len()).map(|_| value(*number)).collect(),
            (Self::Each(numbers), Rows::All(_)) => numbers.iter().map(|one| value(*one)).collect(),
            (Self::Packed(numbers), Rows::All(_)) => {
                (0..numbers.len()).map(|row| value(numbers.get(row))).collect()
            }
            (Self::Each(numbers), Rows::Some(rows)) => {
                rows.iter().map(|row| value(numbers[*row as usize])).collect()
            }
            (Self::Packed(numbers), Rows::Some(rows)) => {
                rows.iter().map(|row| value(numbers.get(*row as usize))).collect()
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        (0..self.len()).map(|row| self.get(row))
    }
}

/// Writes numbers.
pub(super) fn encode(to: &mut Vec<u8>, numbers: &[u64], effort: Effort) -> Result<(), SealError> {
    let first = numbers.first().copied().unwrap_or_default();
    if numbers.iter().all(|number| *number == first) {
        to.push(form::CONSTANT);
        put_number(to, first);
        return Ok(());
    }
    let packed = packed::size(numbers);
    if packed.is_some_and(|size| effort == Effort::Quick || !may_pay(numbers, size)) {
        to.push(form::PACKED);
        packed::encode(to, numbers);
        return Ok(());
    }
    let mut compressed = Vec::new();
    compress_narrow(&mut compressed, numbers, effort)?;
    if packed.is_some_and(|size| is_near(size, compressed.len())) {
        to.push(form::PACKED);
        packed::encode(to, numbers);
    } else {
        to.append(&mut compressed);
    }
    Ok(())
}

/// Whether packed numbers take little enough more than compressed ones.
fn is_near(packed: usize, compressed: usize) -> bool {
    packed <= compressed / PACKED_BELOW.1 * PACKED_BELOW.0
}

/// Whether pco may make enough less of numbers than packing them does, by what it makes of some of them. Of most columns it
/// does not, and to see that by all of their numbers took longer than all else that sealing does.
fn may_pay(numbers: &[u64], packed: usize) -> bool {
    let step = numbers.len() / RUNS;
    if step < 4 * RUN {
        return true;
    }
    let some: Vec<u64> =
        (0..RUNS).flat_map(|run| numbers[run * step..][..RUN].iter().copied()).collect();
    let mut compressed = Vec::new();
    // What cannot be compressed is said where all of it is.
    let done = compress_narrow(&mut compressed, &some, Effort::Small);
    done.is_err() || !is_near(packed, compressed.len() * numbers.len() / some.len())
}

fn compress_narrow(to: &mut Vec<u8>, numbers: &[u64], effort: Effort) -> Result<(), SealError> {
    let largest = numbers.iter().copied().max().unwrap_or_default();
    #[expect(clippy::cast_possible_truncation, reason = "the largest fits")]
    if u16::try_from(largest).is_ok() {
        to.push(form::SHORT);
        compress(to, &numbers.iter().map(|number| *number as u16).collect::<Vec<_>>(), effort)
    } else if u32::try_from(largest).is_ok() {
        to.push(form::WORD);
        compress(to, &numbers.iter().map(|number| *number as u32).collect::<Vec<_>>(), effort)
    } else {
        to.push(form::LONG);
        compress(to, numbers, effort)
    }
}

/// Writes numbers of which many are the same though far apart, such as hashes: each once, and which of them a row has.
pub(super) fn encode_repeating(
    to: &mut Vec<u8>,
    numbers: &[u64],
    effort: Effort,
) -> Result<(), SealError> {
    let mut distinct = numbers.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() < 2 || distinct.len() > numbers.len() / 2 {
        return encode(to, numbers, effort);
    }
    let place = |number: &u64| distinct.partition_point(|known| known < number) as u64;
    let places: Vec<u64> = numbers.iter().map(place).collect();
    let mut list = Vec::new();
    encode(&mut list, &distinct, effort)?;
    to.push(form::REPEATING);
    put_number(to, distinct.len() as u64);
    put_bytes(to, &list);
    encode(to, &places, effort)
}

/// Writes floats, which come back bit by bit.
pub(super) fn encode_floats(
    to: &mut Vec<u8>,
    bits: &[u64],
    effort: Effort,
) -> Result<(), SealError> {
    let floats: Vec<f64> = bits.iter().map(|bits| f64::from_bits(*bits)).collect();
    to.push(form::FLOAT);
    compress(to, &floats, effort)
}

fn compress<T: Number>(to: &mut Vec<u8>, numbers: &[T], effort: Effort) -> Result<(), SealError> {
    let (level, delta) = match effort {
        Effort::Quick => (0, DeltaSpec::NoOp),
        Effort::Small => (LEVEL, DeltaSpec::Auto),
    };
    let config = ChunkConfig::default().with_compression_level(level).with_delta_spec(delta);
    let bytes = simple_compress(numbers, &config)
        .map_err(|error| SealError::Compress { source: error.into() })?;
    to.extend_from_slice(&bytes);
    Ok(())
}

/// Reads so many numbers that take a part of these bytes; what is packed stays so.
pub(super) fn read(bytes: Vec<u8>, within: Range<usize>, count: usize) -> Result<Numbers, Broken> {
    let written = bytes.get(within.clone()).unwrap_or_default();
    match written.first() {
        Some(&form::PACKED) => {
            let packed = within.start + 1..within.end;
            Packed::read(bytes, packed, count).map(Numbers::Packed)
        }
        _ => decode(written, count),
    }
}

/// Reads so many numbers, from bytes that hold nothing else.
pub(super) fn decode(bytes: &[u8], count: usize) -> Result<Numbers, Broken> {
    let mut cursor = Cursor(bytes);
    Ok(match cursor.byte()? {
        form::CONSTANT => {
            let number = cursor.number()?;
            cursor.end()?;
            Numbers::Constant(number, count)
        }
        form::SHORT => Numbers::Each(decompress::<u16, _>(cursor.0, count, u64::from)?),
        form::WORD => Numbers::Each(decompress::<u32, _>(cursor.0, count, u64::from)?),
        form::LONG => Numbers::Each(exactly(cursor.0, count)?),
        form::PACKED => Numbers::Each(packed::decode(cursor.0, count, |number| number)?),
        form::FLOAT => Numbers::Each(decompress(cursor.0, count, f64::to_bits)?),
        form::REPEATING => {
            let distinct = cursor.at_most(count)?;
            let list = plain(cursor.bytes()?, distinct)?;
            let places = plain(cursor.0, count)?;
            let number = |place: u64| usize::try_from(place).ok().filter(|at| *at < distinct);
            let numbers = places.iter().map(|place| number(place).map(|at| list.get(at)));
            Numbers::Each(numbers.collect::<Option<_>>().ok_or(OUTSIDE)?)
        }
        _ => return Err(Broken("its numbers have a form that is not known")),
    })
}

/// Numbers of 32 bits at most.
#[derive(Debug)]
pub(super) enum Words {
    Constant(u64, usize),
    Short(Vec<u16>),
    Word(Vec<u32>),
}

/// Reads so many numbers that are at most as large as a count of rows, without making them wider than they are.
pub(super) fn decode_words(bytes: &[u8], count: usize) -> Result<Words, Broken> {
    let mut cursor = Cursor(bytes);
    Ok(match cursor.byte()? {
        form::CONSTANT => {
            let number = cursor.number()?;
            cursor.end()?;
            Words::Constant(number, count)
        }
        form::SHORT => Words::Short(exactly(cursor.0, count)?),
        form::WORD => Words::Word(exactly(cursor.0, count)?),
        // What does not fit is a key outside of every list.
        form::PACKED => {
            let word = |number| u32::try_from(number).unwrap_or(u32::MAX);
            Words::Word(packed::decode(cursor.0, count, word)?)
        }
        _ => return Err(Broken("its keys have a form that is not known")),
    })
}

const OUTSIDE: Broken = Broken("a key points outside of its list");

/// Numbers that are no list of repeating ones: those hold others, which hold none.
fn plain(bytes: &[u8], count: usize) -> Result<Numbers, Broken> {
    if bytes.first() == Some(&form::REPEATING) {
        return Err(Broken("a list of numbers lies within another one"));
    }
    decode(bytes, count)
}

fn decompress<T: Number + Default, N>(
    bytes: &[u8],
    count: usize,
    number: impl Fn(T) -> N,
) -> Result<Vec<N>, Broken> {
    Ok(exactly(bytes, count)?.into_iter().map(number).collect())
}

fn exactly<T: Number + Default>(bytes: &[u8], count: usize) -> Result<Vec<T>, Broken> {
    let mut numbers = vec![T::default(); count];
    let done = simple_decompress_into(bytes, &mut numbers)
        .map_err(|_| Broken("pco cannot read its numbers"))?;
    if done.finished && done.n_processed == count {
        Ok(numbers)
    } else {
        Err(Broken("it has another count of numbers than its block says"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn back(
        encode: impl Fn(&mut Vec<u8>, &[u64], Effort) -> Result<(), SealError>,
        numbers: &[u64],
    ) {
        for effort in [Effort::Quick, Effort::Small] {
            let mut bytes = Vec::new();
            encode(&mut bytes, numbers, effort).unwrap();
            assert_eq!(decode(&bytes, numbers.len()).unwrap().iter().collect::<Vec<_>>(), numbers);
            let among = [&[form::PACKED; 3], &bytes[..], &[7; 2]].concat();
            let read = read(among, 3..bytes.len() + 3, numbers.len()).unwrap();
            assert_eq!(*read.each(), *numbers);
            let every_other = (0_u32..).step_by(2).take(numbers.len().div_ceil(2)).collect();
            for rows in [Rows::All(numbers.len()), Rows::Some(every_other)] {
                let asked: Vec<u64> = rows.iter().map(|row| numbers[row]).collect();
                assert_eq!(read.of(&rows, |number| number), asked);
            }
            assert!(
                numbers.is_empty()
                    || bytes[0] == form::CONSTANT
                    || decode(&bytes, numbers.len() + 9).is_err()
            );
        }
    }

    #[test]
    fn repeating_numbers_are_kept_once() {
        let mut bytes = Vec::new();
        let numbers: Vec<u64> =
            (0..3_000_u64).map(|row| (row % 3).wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
        encode_repeating(&mut bytes, &numbers, Effort::Small).unwrap();
        assert_eq!(bytes[0], form::REPEATING);
        back(encode_repeating, &numbers);
    }

    proptest! {
        #[test]
        fn numbers_come_back(numbers: Vec<u64>, shift in 0..64_u32) {
            let numbers: Vec<u64> = numbers.iter().map(|number| number >> shift).collect();
            back(encode, &numbers);
            back(encode_repeating, &numbers);
            back(encode_floats, &numbers);
        }

        #[test]
        fn no_bytes_make_it_panic(mut bytes: Vec<u8>, form in 0..8_u8, count in 0..2_000_usize) {
            bytes.insert(0, form);
            let _ = decode(&bytes, count);
        }
    }
}
