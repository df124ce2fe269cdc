//! What stands beside the columns of a block: bytes that somebody made of them, which say of which block they are.

use super::bytes::{Cursor, put_number, zigzag};
use super::column::ColumnId;
use super::error::Broken;
use super::meta::Meta;
use super::seal::checksum;

/// The number under which the sums of a block are kept. The block does not list it: they may be made at any time after it.
pub(in crate::store) const SUMS: ColumnId = ColumnId::new(900);

/// The version of what stands around the bytes.
const VERSION: u8 = 1;

impl Meta {
    /// Sums of this block as they are kept. None at all say that it is not worth making any.
    pub(in crate::store) fn write_sums(&self, sums: &[u8]) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.stamp().to_le_bytes());
        bytes.extend_from_slice(sums);
        let check = checksum(SUMS, &bytes);
        bytes.extend_from_slice(&check.to_le_bytes());
        bytes
    }

    /// The sums out of what is kept; none where they are damaged, of another block, or of a newer version.
    pub(in crate::store) fn read_sums<'b>(&self, bytes: &'b [u8]) -> Option<&'b [u8]> {
        let read = || {
            let (body, check) = bytes.split_last_chunk::<4>().ok_or(Broken(""))?;
            let mut cursor = Cursor(body);
            let fits = checksum(SUMS, body) == u32::from_le_bytes(*check)
                && cursor.byte()? == VERSION
                && u32::from_le_bytes(cursor.array()?) == self.stamp();
            Ok::<_, Broken>(fits.then_some(cursor.0))
        };
        read().ok().flatten()
    }

    /// A number that another block hardly has: of how many operations it is, from when to when, and their ids.
    fn stamp(&self) -> u32 {
        let mut told = Vec::new();
        put_number(&mut told, self.rows() as u64);
        let (first, last) = self.range_ns();
        for at in [first, last] {
            put_number(&mut told, zigzag(at));
        }
        let (least, largest) = self.ids();
        for id in [least, largest] {
            told.extend(id.bits().to_le_bytes());
        }
        crc32fast::hash(&told)
    }
}

#[cfg(test)]
mod tests {
    use taximeter_models::{OperationId, OperationRecord};

    use super::*;
    use crate::store::block::seal;

    fn meta(first: u128) -> Meta {
        let mut record = OperationRecord::new("answer");
        record.id = OperationId::from_bits(first);
        Meta::read(&seal(std::slice::from_ref(&record)).unwrap().meta).unwrap()
    }

    #[test]
    fn sums_are_read_with_their_own_block_alone_and_only_whole() {
        let (own, other) = (meta(1), meta(2));
        let kept = own.write_sums(b"sums");
        assert_eq!(own.read_sums(&kept), Some(&b"sums"[..]));
        assert_eq!(own.read_sums(&own.write_sums(b"")), Some(&b""[..]));
        assert_eq!(other.read_sums(&kept), None);
        for at in 0..kept.len() {
            let mut flipped = kept.clone();
            flipped[at] ^= 4;
            assert_eq!(own.read_sums(&flipped), None, "byte {at}");
            assert_eq!(own.read_sums(&kept[..at]), None, "cut at {at}");
        }
    }
}
