//! Bytes that zstd makes smaller, where it does.

use super::bytes::{Cursor, put_number};
use super::effort::Effort;
use super::error::{Broken, SealError};

/// How hard zstd tries.
const LEVEL: i32 = 3;
/// What shrinks further than this is kept as it is, so that a few damaged bytes never ask for much memory.
const MOST_TIMES_SMALLER: usize = 1_000;
const SPARE: usize = 64 * 1024;

/// Writes bytes: how many they are, and what zstd makes of them, or they themselves.
pub(super) fn encode(to: &mut Vec<u8>, bytes: &[u8], effort: Effort) -> Result<(), SealError> {
    if effort == Effort::Quick {
        put_number(to, bytes.len() as u64);
        to.push(false.into());
        to.extend_from_slice(bytes);
        return Ok(());
    }
    let small = zstd::bulk::compress(bytes, LEVEL)
        .map_err(|error| SealError::Compress { source: error.into() })?;
    put_number(to, bytes.len() as u64);
    let pays = small.len() < bytes.len() && bytes.len() <= most(small.len());
    to.push(pays.into());
    to.extend_from_slice(if pays { &small } else { bytes });
    Ok(())
}

fn most(small: usize) -> usize {
    small.saturating_mul(MOST_TIMES_SMALLER).saturating_add(SPARE)
}

/// Reads bytes, from bytes that hold nothing else.
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<u8>, Broken> {
    let mut cursor = Cursor(bytes);
    let (length, squeezed) = (cursor.number()?, cursor.byte()?);
    let length = usize::try_from(length).ok().filter(|length| *length <= most(cursor.0.len()));
    let length = length.ok_or(Broken("its texts are larger than they can be"))?;
    let bytes = match squeezed {
        0 => cursor.0.to_vec(),
        1 => zstd::bulk::decompress(cursor.0, length)
            .map_err(|_| Broken("zstd cannot read its texts"))?,
        _ => return Err(Broken("its texts have a form that is not known")),
    };
    if bytes.len() == length { Ok(bytes) } else { Err(Broken("its texts have another length")) }
}
