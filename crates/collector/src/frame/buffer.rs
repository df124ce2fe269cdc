//! Bytes that are appended to, in small pieces and often.

/// No longer text is written at fixed places.
const SHORT: usize = 32;

/// The longest of them, tag and length; and no fewer bytes than any number has.
const ROOM: usize = SHORT + 2;

/// The bytes of a line, by which memory goes from one processor to another.
const LINE: usize = 64;

/// So many bytes are fetched: as many as most frames have.
const NEXT: usize = 6 * LINE;

/// A growing piece of memory whose unused end is initialised, so that a part is written by one check of its length.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    memory: Vec<u8>,
    length: usize,
}

impl Buffer {
    /// An empty one of so many bytes of memory.
    pub(crate) fn of(memory: usize) -> Self {
        Self { memory: vec![0; memory], length: 0 }
    }

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
    pub(crate) fn extend(&mut self, by: usize) -> &mut [u8] {
        let (from, to) = (self.length, self.length + by);
        if to > self.memory.len() {
            self.grow(to);
        }
        self.length = to;
        self.memory.get_mut(from..to).unwrap_or_default()
    }

    /// As [`extend`](Buffer::extend), if there is memory for them.
    #[inline]
    pub(crate) fn room_for(&mut self, bytes: usize) -> Option<&mut [u8]> {
        let room = self.memory.get_mut(self.length..)?.get_mut(..bytes)?;
        self.length += bytes;
        Some(room)
    }

    /// Asks for each line of memory that is likely to be filled next, but for the one that is being filled. The processor has
    /// them then by the time that they are: to get them from where they were since another one read them takes as long as
    /// a frame takes to be put together.
    #[inline]
    pub(crate) fn fetch(&mut self) {
        let ahead = self.memory.get_mut(self.length + LINE..);
        if let Some(ahead) = ahead.and_then(|ahead| ahead.first_chunk_mut::<NEXT>()) {
            ahead.as_chunks_mut::<LINE>().0.iter_mut().for_each(ask_for);
        }
    }

    /// Sees to it that so many bytes fit.
    #[cold]
    #[inline(never)]
    pub(crate) fn grow(&mut self, to: usize) {
        self.memory.resize(to.next_power_of_two().max(256), 0);
    }

    #[inline]
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        match self.room().and_then(|room| room.first_chunk_mut()) {
            Some(room) if bytes.len() <= SHORT => copy_short(room, bytes),
            _ => return self.put_long(bytes),
        }
        self.length += bytes.len();
    }

    #[cold]
    #[inline(never)]
    fn put_long(&mut self, bytes: &[u8]) {
        self.extend(bytes.len()).copy_from_slice(bytes);
    }

    /// The next bytes, if there is memory for so many: they are written at fixed places, by one check.
    #[inline]
    fn room(&mut self) -> Option<&mut [u8; ROOM]> {
        self.memory.get_mut(self.length..)?.first_chunk_mut()
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

    /// All of it, filled up with zeros to whole words.
    #[inline]
    pub(crate) fn padded(&mut self) -> &[u8] {
        if let Some(room) = self.room() {
            room[..8].fill(0);
            self.length = self.length.next_multiple_of(8);
        } else {
            self.extend(self.length.next_multiple_of(8) - self.length).fill(0);
        }
        self.as_slice()
    }

    #[inline]
    pub(super) fn byte(&mut self, byte: u8) {
        if let [place] = self.extend(1) {
            *place = byte;
        }
    }

    #[inline]
    pub(super) fn number(&mut self, mut number: u64) {
        loop {
            let [digits, ..] = number.to_le_bytes();
            number >>= 7;
            if number == 0 {
                return self.byte(digits & 0x7f);
            }
            self.byte(digits | 0x80);
        }
    }

    /// A number in as many bytes as the power of two that its tag says.
    pub(super) fn sized(&mut self, number: u64) {
        let bytes = 1 << super::power(number);
        self.put(number.to_le_bytes().get(..bytes).unwrap_or_default());
    }

    #[inline]
    pub(super) fn tagged(&mut self, tag: u8, text: &str) {
        let bytes = text.as_bytes();
        match self.room() {
            Some(room) if bytes.len() <= SHORT => {
                tag_and_text(room, tag, bytes);
                self.length += 2 + bytes.len();
            }
            _ => self.tagged_long(tag, text),
        }
    }

    #[inline]
    pub(super) fn nanos(&mut self, nanos: u64) {
        let bytes = nanos.min(super::LONG).to_le_bytes();
        if let Some(room) = self.room() {
            room[..8].copy_from_slice(&bytes);
            self.length += 5;
        } else {
            self.put(bytes.first_chunk::<5>().unwrap_or(&[0; 5]));
        }
        if nanos >= super::LONG {
            self.put(&nanos.to_le_bytes());
        }
    }
}

/// Has a line come nearer, without waiting for it: whatever was written after a write to it would have to.
#[cfg(target_arch = "x86_64")]
#[inline]
fn ask_for(line: &mut [u8; LINE]) {
    safe_arch::prefetch_et0(line);
}

/// Has a line come nearer. No way is known here that does not wait and is safe.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn ask_for([first, ..]: &mut [u8; LINE]) {
    *first = 0;
}

/// Writes a tag, the length of a short text, and the text.
#[inline]
fn tag_and_text(room: &mut [u8; ROOM], tag: u8, text: &[u8]) {
    let [place, length, room @ ..] = room;
    *place = tag;
    [*length, ..] = text.len().to_le_bytes();
    copy_short(room, text);
}

/// Copies a short text. Two moves that overlap cost less than a call.
#[inline]
fn copy_short(room: &mut [u8; SHORT], from: &[u8]) {
    match from.len() {
        8..=16 => ends::<8>(room, from),
        17..=SHORT => ends::<16>(room, from),
        4..=7 => ends::<4>(room, from),
        2..=3 => ends::<2>(room, from),
        _ => ends::<1>(room, from),
    }
}

#[inline]
fn ends<const N: usize>(room: &mut [u8; SHORT], from: &[u8]) {
    let Some((first, last)) = from.first_chunk::<N>().zip(from.last_chunk::<N>()) else { return };
    if let Some(place) = room.get_mut(from.len() - N..).and_then(|room| room.first_chunk_mut()) {
        *place = *last;
    }
    if let Some(place) = room.first_chunk_mut() {
        *place = *first;
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
