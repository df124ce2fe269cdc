//! A part of few bytes, put together on the stack: most are such.

/// What the most frequent parts are written to.
pub(crate) trait Put {
    fn byte(&mut self, byte: u8);

    /// A number of 64 bits, in as many bytes as it needs.
    fn number(&mut self, number: u64);

    /// A tag and a text: the most frequent of all.
    fn tagged(&mut self, tag: u8, text: &str);

    /// Nanoseconds: five bytes up to eighteen minutes, else thirteen.
    fn nanos(&mut self, nanos: u64);
}

/// The bytes of a short part.
const SIZE: usize = 128;

/// No longer text is written at fixed places.
pub(super) const SHORT: usize = 32;

/// The longest of them, tag and length; and no fewer bytes than any number has.
pub(super) const ROOM: usize = SHORT + 2;

/// A part of few bytes; one that is longer overflows, and is to be put together elsewhere.
pub(crate) struct Short {
    bytes: [u8; SIZE],
    length: usize,
}

impl Short {
    #[inline]
    pub(crate) fn new() -> Self {
        Self { bytes: [0; SIZE], length: 0 }
    }

    /// The bytes, filled up with zeros to whole words; none where there were too many.
    #[inline]
    pub(crate) fn padded(&self) -> Option<&[u8]> {
        self.bytes.get(..self.length.next_multiple_of(8))
    }

    /// The next bytes, at fixed places by one check.
    #[inline]
    fn room(&mut self) -> Option<&mut [u8; ROOM]> {
        self.bytes.get_mut(self.length..)?.first_chunk_mut()
    }

    #[cold]
    fn overflow(&mut self) {
        self.length = SIZE + 1;
    }

    /// The low bytes of a word, of which the others are zero.
    #[inline]
    fn low(&mut self, word: u64, bytes: usize) {
        if let Some(room) = self.room() {
            room[..8].copy_from_slice(&word.to_le_bytes());
            self.length += bytes;
        } else {
            self.overflow();
        }
    }
}

impl Put for Short {
    #[inline]
    fn byte(&mut self, byte: u8) {
        self.low(byte.into(), 1);
    }

    #[inline]
    fn number(&mut self, mut number: u64) {
        while number > 0x7f {
            self.low(number & 0x7f | 0x80, 1);
            number >>= 7;
        }
        self.low(number, 1);
    }

    #[inline]
    fn tagged(&mut self, tag: u8, text: &str) {
        let bytes = text.as_bytes();
        match self.room() {
            Some(room) if bytes.len() <= SHORT => {
                tag_and_text(room, tag, bytes);
                self.length += 2 + bytes.len();
            }
            _ => self.overflow(),
        }
    }

    #[inline]
    fn nanos(&mut self, nanos: u64) {
        self.low(nanos.min(super::LONG), 5);
        if nanos >= super::LONG {
            self.low(nanos, 8);
        }
    }
}

/// Writes a tag, the length of a short text, and the text.
#[inline]
pub(super) fn tag_and_text(room: &mut [u8; ROOM], tag: u8, text: &[u8]) {
    let [place, length, room @ ..] = room;
    *place = tag;
    [*length, ..] = text.len().to_le_bytes();
    copy_short(room, text);
}

/// Copies a short text. Two moves that overlap cost less than a call.
#[inline]
pub(super) fn copy_short(room: &mut [u8; SHORT], from: &[u8]) {
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
