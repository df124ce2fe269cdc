//! Whole numbers as bytes: seven bits to a byte, the lowest first, and small ones in one byte.
//!
//! Postcard writes numbers in the same way; but it wants them in a struct, and to put a window into one first takes longer
//! than to write it.

/// Bytes that numbers are put behind.
#[derive(Debug, Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    #[expect(clippy::cast_possible_truncation, reason = "seven bits are taken at a time")]
    pub(super) fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.byte(value as u8 | 0x80);
            value >>= 7;
        }
        self.byte(value as u8);
    }

    #[expect(clippy::cast_possible_truncation, reason = "what is above 64 bits goes first")]
    pub(super) fn large(&mut self, mut value: u128) {
        while value > u128::from(u64::MAX) {
            self.byte(value as u8 | 0x80);
            value >>= 7;
        }
        self.number(value as u64);
    }

    /// Small ones of either sign are short.
    pub(super) fn signed(&mut self, value: i128) {
        self.large(((value << 1) ^ (value >> 127)).cast_unsigned());
    }

    pub(super) fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }
}

/// Bytes that numbers are taken from. None where they end too early or a number is too large.
#[derive(Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        u64::try_from(self.large()?).ok()
    }

    pub(super) fn large(&mut self) -> Option<u128> {
        let mut value = 0_u128;
        for shift in (0..128).step_by(7) {
            let byte = self.byte()?;
            let bits = u128::from(byte & 0x7f);
            value |= bits << shift;
            if byte & 0x80 == 0 {
                let fits = (bits << shift) >> shift == bits;
                return fits.then_some(value);
            }
        }
        None
    }

    pub(super) fn signed(&mut self) -> Option<i128> {
        let folded = self.large()?;
        Some((folded >> 1).cast_signed() ^ -((folded & 1).cast_signed()))
    }

    pub(super) fn text(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.number()?).ok()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_and_back(value: u128, small: u64, signed: i128, text: String) {
            let mut writer = Writer::default();
            for shift in [0, 1, 64, 100, 121, 127] {
                writer.large(value >> shift);
                writer.signed(signed >> shift);
            }
            writer.number(small);
            writer.text(&text);
            let mut reader = Reader(&writer.0);
            for shift in [0, 1, 64, 100, 121, 127] {
                prop_assert_eq!(reader.large(), Some(value >> shift));
                prop_assert_eq!(reader.signed(), Some(signed >> shift));
            }
            prop_assert_eq!(reader.number(), Some(small));
            prop_assert_eq!(reader.text(), Some(text.as_str()));
            prop_assert_eq!((reader.byte(), reader.number()), (None, None));
        }
    }

    #[test]
    fn numbers_without_an_end_are_none() {
        assert_eq!(Reader(&[0xff; 40]).large(), None);
        assert_eq!(Reader(&[0x80, 0x80]).number(), None);
        assert_eq!(
            Reader(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]).number(),
            None
        );
        assert_eq!(Reader(&[5, b'a']).text(), None);
        assert_eq!(Reader(&[1, 0xff]).text(), None);
    }
}
