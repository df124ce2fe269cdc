//! What a reader takes off the bytes that it has left: numbers, moments, texts, and what fills up words.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::LONG;
use super::read::Reader;

impl<'b, N> Reader<'b, '_, N> {
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*byte)
    }

    pub(super) fn array<const N2: usize>(&mut self) -> Option<[u8; N2]> {
        let (array, rest) = self.bytes.split_first_chunk::<N2>()?;
        self.bytes = rest;
        Some(*array)
    }

    pub(super) fn wide(&mut self) -> Option<u128> {
        self.array().map(u128::from_le_bytes)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        // Most are short.
        match self.bytes {
            [byte @ ..0x80, rest @ ..] => {
                self.bytes = rest;
                Some((*byte).into())
            }
            _ => self.long_number(),
        }
    }

    #[cold]
    fn long_number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    /// A number of as many bytes as this power of two.
    pub(super) fn sized(&mut self, power: u8) -> Option<u64> {
        Some(match power {
            0 => self.byte()?.into(),
            1 => u16::from_le_bytes(self.array()?).into(),
            2 => u32::from_le_bytes(self.array()?).into(),
            _ => u64::from_le_bytes(self.array()?),
        })
    }

    /// A number of five bytes.
    pub(super) fn five(&mut self) -> Option<u64> {
        let mut bytes = [0; 8];
        *bytes.first_chunk_mut::<5>()? = self.array()?;
        Some(u64::from_le_bytes(bytes))
    }

    pub(super) fn nanos(&mut self) -> Option<Duration> {
        let nanos = self.five()?;
        let long = nanos == LONG;
        Some(Duration::from_nanos(if long { u64::from_le_bytes(self.array()?) } else { nanos }))
    }

    pub(super) fn instant(&mut self) -> Option<DateTime<Utc>> {
        Some(DateTime::from_timestamp_nanos(i64::from_le_bytes(self.array()?)))
    }

    pub(super) fn far_instant(&mut self) -> Option<DateTime<Utc>> {
        let seconds = i64::from_le_bytes(self.array()?);
        DateTime::from_timestamp(seconds, u32::from_le_bytes(self.array()?))
    }

    pub(super) fn bytes_of_text(&mut self) -> Option<&'b [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        self.take(length)
    }

    pub(super) fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let (bytes, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(bytes)
    }

    pub(super) fn text(&mut self) -> Option<&'b str> {
        std::str::from_utf8(self.bytes_of_text()?).ok()
    }
}
