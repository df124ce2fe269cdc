//! Bytes that are appended to, in small pieces and often.

/// A growing piece of memory whose unused end is initialised, so that a part is written by one check of its length.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    memory: Vec<u8>,
    length: usize,
}

impl Buffer {
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.length = 0;
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// The bytes of memory that it holds.
    #[inline]
    pub(crate) fn memory(&self) -> usize {
        self.memory.len()
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        self.memory.get(..self.length).unwrap_or_default()
    }

    #[inline]
    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        self.memory.get_mut(..self.length).unwrap_or_default()
    }

    /// Appends so many bytes, to be filled.
    #[inline]
    fn extend(&mut self, by: usize) -> &mut [u8] {
        let (from, to) = (self.length, self.length + by);
        if to > self.memory.len() {
            self.grow(to);
        }
        self.length = to;
        self.memory.get_mut(from..to).unwrap_or_default()
    }

    /// Sees to it that so many bytes fit.
    #[cold]
    #[inline(never)]
    pub(crate) fn grow(&mut self, to: usize) {
        self.memory.resize(to.next_power_of_two().max(256), 0);
    }

    #[inline]
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        let place = self.extend(bytes.len());
        copy(place, bytes);
    }

    #[inline]
    pub(crate) fn byte(&mut self, byte: u8) {
        if let [place] = self.extend(1) {
            *place = byte;
        }
    }

    #[inline]
    pub(crate) fn number(&mut self, mut number: u64) {
        loop {
            let [digits, ..] = number.to_le_bytes();
            number >>= 7;
            if number == 0 {
                return self.byte(digits & 0x7f);
            }
            self.byte(digits | 0x80);
        }
    }

    /// A tag and a text: the most frequent of all.
    #[inline]
    pub(crate) fn tagged(&mut self, tag: u8, text: &str) {
        let bytes = text.as_bytes();
        let (from, length) = (self.length, bytes.len());
        let to = from + length + 2;
        match self.memory.get_mut(from..to) {
            Some([place, number, rest @ ..]) if length <= 0x7f && rest.len() == length => {
                *place = tag;
                [*number, ..] = length.to_le_bytes();
                copy(rest, bytes);
                self.length = to;
            }
            _ => self.tagged_long(tag, text),
        }
    }

    #[cold]
    #[inline(never)]
    fn tagged_long(&mut self, tag: u8, text: &str) {
        self.byte(tag);
        self.text(text);
    }

    #[inline]
    pub(crate) fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.put(text.as_bytes());
    }

    /// Nanoseconds: five bytes up to eighteen minutes, else thirteen.
    #[inline]
    pub(crate) fn nanos(&mut self, nanos: u64) {
        let bytes = nanos.min(super::LONG).to_le_bytes();
        self.put(bytes.first_chunk::<5>().unwrap_or(&[0; 5]));
        if nanos >= super::LONG {
            self.put(&nanos.to_le_bytes());
        }
    }
}

/// Copies bytes to a place of their length. Most are few: two moves that overlap cost less than a call.
#[inline]
fn copy(to: &mut [u8], from: &[u8]) {
    match from.len() {
        8..=16 => ends::<8>(to, from),
        17..=32 => ends::<16>(to, from),
        4..=7 => ends::<4>(to, from),
        length if length == to.len() => to.copy_from_slice(from),
        _ => {}
    }
}

#[inline]
fn ends<const N: usize>(to: &mut [u8], from: &[u8]) {
    if let (Some(place), Some(first)) = (to.first_chunk_mut::<N>(), from.first_chunk::<N>()) {
        *place = *first;
    }
    if let (Some(place), Some(last)) = (to.last_chunk_mut::<N>(), from.last_chunk::<N>()) {
        *place = *last;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_put_in_comes_out(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..70), 0..40)) {
            let mut buffer = Buffer::default();
            for piece in &pieces {
                buffer.put(piece);
            }
            prop_assert_eq!(buffer.as_slice(), pieces.concat());
            prop_assert_eq!(buffer.len(), pieces.concat().len());
        }
    }
}
