//! The wire format of protobuf, read in place: fields of a message one after the other, nothing copied.
//!
//! A message of OTLP is walked and not built, because one byte on the wire may become hundreds in memory.
//! Source: <https://protobuf.dev/programming-guides/encoding/>.

use super::DecodeError;

/// What stands behind the number of a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Payload<'a> {
    Varint(u64),
    Fixed64(u64),
    /// A text, bytes, a message within, or packed numbers: the schema knows.
    Bytes(&'a [u8]),
    Fixed32(u32),
}

/// Why bytes are no message. It is no more than a word, since every field may be none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Broken(&'static str);

impl From<Broken> for DecodeError {
    fn from(Broken(why): Broken) -> Self {
        Self::Protobuf(why)
    }
}

/// The fields of one message. It ends after the first error.
#[derive(Debug, Clone)]
pub(crate) struct Message<'a> {
    rest: &'a [u8],
}

impl<'a> Message<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    #[inline]
    fn field(&mut self) -> Result<(u32, Payload<'a>), Broken> {
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).ok().filter(|number| *number > 0);
        let number = number.ok_or(Broken("a field has an impossible number"))?;
        let payload = match key & 7 {
            0 => Payload::Varint(self.varint()?),
            1 => Payload::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = self.varint()?;
                let length = usize::try_from(length)
                    .map_err(|_| Broken("a length is above the address space"))?;
                Payload::Bytes(self.take(length)?)
            }
            5 => Payload::Fixed32(u32::from_le_bytes(self.array()?)),
            _ => return Err(Broken("a field has an impossible wire type")),
        };
        Ok((number, payload))
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, Broken> {
        // Most keys and lengths are one byte.
        if let Some((&byte, rest)) = self.rest.split_first()
            && byte < 0x80
        {
            self.rest = rest;
            return Ok(u64::from(byte));
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Result<u64, Broken> {
        let mut value = 0_u64;
        for (at, &byte) in self.rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte < 0x80 {
                self.rest = &self.rest[at + 1..];
                return Ok(value);
            }
        }
        Err(Broken("a number does not end"))
    }

    #[inline]
    fn take(&mut self, length: usize) -> Result<&'a [u8], Broken> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(Broken("a field is longer than what is there"))?;
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Broken> {
        let (taken, rest) =
            self.rest.split_first_chunk().ok_or(Broken("a field is longer than what is there"))?;
        self.rest = rest;
        Ok(*taken)
    }
}

impl<'a> Iterator for Message<'a> {
    type Item = Result<(u32, Payload<'a>), Broken>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

/// Appends a field that is a text or a message; an empty one is left out, as proto3 has it.
pub(crate) fn put_bytes(into: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    if !bytes.is_empty() {
        into.push(number << 3 | 2);
        put_varint(into, bytes.len() as u64);
        into.extend_from_slice(bytes);
    }
}

/// Appends a field that is a number; zero is left out, as proto3 has it.
pub(crate) fn put_number(into: &mut Vec<u8>, number: u8, value: u64) {
    if value > 0 {
        into.push(number << 3);
        put_varint(into, value);
    }
}

fn put_varint(into: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        into.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    into.push(value.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_of_every_size() {
        for value in [1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            put_number(&mut bytes, 3, value);
            assert_eq!(Message::new(&bytes).next(), Some(Ok((3, Payload::Varint(value)))));
        }
    }

    #[test]
    fn what_is_cut_off_is_an_error_and_the_last_item() {
        let mut message = Message::new(&[0x0a, 5, b'a']);
        assert!(matches!(message.next(), Some(Err(_))));
        assert_eq!(message.next(), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Message::new(&bytes).count();
        }
    }
}
