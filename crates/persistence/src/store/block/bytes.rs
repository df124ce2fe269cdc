//! Numbers and texts as bytes: what metadata and the beginnings of columns are made of.

use super::error::Broken;

/// Writes a number in as many bytes as it needs, seven bits in each (LEB128).
pub(super) fn put_number(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    to.push(number.to_le_bytes()[0]);
}

/// Writes bytes, and before them how many.
pub(super) fn put_bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    put_number(to, bytes.len() as u64);
    to.extend_from_slice(bytes);
}

/// Bytes that are read from the front.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Cursor<'b>(pub(in crate::store) &'b [u8]);

impl<'b> Cursor<'b> {
    pub(in crate::store) fn take(&mut self, count: usize) -> Result<&'b [u8], Broken> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(SHORT)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(in crate::store) fn array<const N: usize>(&mut self) -> Result<[u8; N], Broken> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(SHORT)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(in crate::store) fn byte(&mut self) -> Result<u8, Broken> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn number(&mut self) -> Result<u64, Broken> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            if part << shift >> shift != part {
                return Err(Broken("a number has more than 64 bits"));
            }
            number |= part << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Broken("a number has no end"))
    }

    /// A number of things of which each takes a byte or more, so that what is left bounds it.
    pub(super) fn count(&mut self) -> Result<usize, Broken> {
        self.at_most(self.0.len())
    }

    pub(super) fn at_most(&mut self, most: usize) -> Result<usize, Broken> {
        let number = usize::try_from(self.number()?).map_err(|_| MANY)?;
        if number > most { Err(MANY) } else { Ok(number) }
    }

    pub(super) fn bytes(&mut self) -> Result<&'b [u8], Broken> {
        let count = self.count()?;
        self.take(count)
    }

    pub(super) fn text(&mut self) -> Result<&'b str, Broken> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Broken("a text is no UTF-8"))
    }

    /// Whether all was read.
    pub(super) fn end(self) -> Result<(), Broken> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Broken("there are more bytes than belong to it"))
        }
    }
}

const SHORT: Broken = Broken("there are fewer bytes than belong to it");
const MANY: Broken = Broken("a count is larger than what there is");

/// A number with a sign as one without, small where it is near zero.
pub(super) fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

pub(super) fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_and_back(number: u64, signed: i64) {
            let mut bytes = Vec::new();
            put_number(&mut bytes, number);
            put_number(&mut bytes, zigzag(signed));
            let mut cursor = Cursor(&bytes);
            prop_assert_eq!(cursor.number(), Ok(number));
            prop_assert_eq!(cursor.number().map(unzigzag), Ok(signed));
            prop_assert_eq!(cursor.end(), Ok(()));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = Cursor(&bytes).number();
            let _ = Cursor(&bytes).text();
        }
    }
}
