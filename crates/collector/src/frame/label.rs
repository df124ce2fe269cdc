//! A short text in two registers: most names and keys are such.

/// A text of no more than fifteen bytes: its bytes in their order, zeros behind them, and its length as the last byte.
///
/// It is made where a part is recorded, by code that is put in there: of a text that is known to the compiler nothing
/// but two numbers is left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Label {
    low: u64,
    high: u64,
}

/// The highest byte, in which the length is.
const LENGTH: u32 = 56;

impl Label {
    /// The bytes of the longest.
    pub(crate) const MOST: usize = 15;

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "of a text that the compiler knows, numbers are left")]
    pub(crate) fn of(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let length = bytes.len();
        if length > Self::MOST {
            return None;
        }
        let [low, high] = two_words(bytes);
        Some(Self { low, high: high | (length as u64) << LENGTH })
    }

    #[inline]
    pub(crate) fn len(self) -> usize {
        // No more than fifteen.
        (self.high >> LENGTH) as usize
    }

    /// Whether it holds a character, which is no number below sixteen.
    #[inline]
    pub(crate) fn holds(self, character: u8) -> bool {
        const ONES: u64 = u64::MAX / 255;
        // The length, which is the last of these bytes, is such a number.
        [self.low, self.high].iter().any(|word| {
            let other = word ^ (ONES * u64::from(character));
            other.wrapping_sub(ONES) & !other & (ONES << 7) != 0
        })
    }

    /// Its bytes, in two words.
    #[inline]
    pub(super) fn words(self) -> [u64; 2] {
        [self.low, self.high & ((1 << LENGTH) - 1)]
    }

    /// Shows the text.
    pub(crate) fn show<R>(self, see: impl FnOnce(&str) -> R) -> R {
        let mut bytes = [0; 16];
        let (places, _) = bytes.as_chunks_mut::<8>();
        places.iter_mut().zip(self.words()).for_each(|(place, word)| *place = word.to_le_bytes());
        let text = bytes.get(..self.len()).and_then(|bytes| std::str::from_utf8(bytes).ok());
        see(text.unwrap_or_default())
    }
}

/// No more than sixteen bytes, in their order, as two words with zeros behind them.
#[inline(always)]
#[expect(clippy::inline_always, reason = "of a text that the compiler knows, numbers are left")]
pub(super) fn two_words(bytes: &[u8]) -> [u64; 2] {
    match (bytes.first_chunk(), bytes.last_chunk()) {
        (Some(first), Some(last)) => {
            // What both have falls out; in two steps, for a word is not moved by all of its bits.
            let by = 4 * (16 - bytes.len());
            [u64::from_le_bytes(*first), u64::from_le_bytes(*last) >> by >> by]
        }
        _ => [few(bytes), 0],
    }
}

/// Fewer than eight bytes, as a word. Two readings that overlap say the same of what both read.
#[inline]
pub(super) fn few(bytes: &[u8]) -> u64 {
    let length = bytes.len();
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let [first, last] = [first, last].map(|half| u64::from(u32::from_le_bytes(*half)));
        return first | last << (8 * (length - 4));
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let [first, last] = [first, last].map(|half| u64::from(u16::from_le_bytes(*half)));
        return first | last << (8 * (length - 2));
    }
    bytes.first().copied().map_or(0, u64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_its_text() {
        for length in 0..=Label::MOST {
            let text = &"abcdefghijklmno"[..length];
            let label = Label::of(text).expect("it is short");
            assert_eq!(label.len(), length);
            label.show(|shown| assert_eq!(shown, text));
            for character in b'a'..=b'p' {
                assert_eq!(label.holds(character), text.as_bytes().contains(&character));
            }
        }
        assert_eq!(Label::of("abcdefghijklmnop"), None);
    }
}
