//! Ids of operations, made of the ids of spans: the same span gives the same id, whenever and wherever it is read.

use taximeter_models::OperationId;

/// The id of the operation that a span is: a UUID of version 7 with the millisecond of the span's start, and 74 bits
/// made of its trace id and its span id. Delivered again, it is the same.
pub(crate) fn operation_id(trace: u128, span: u64, start: u64) -> OperationId {
    let millis = u128::from(start / 1_000_000) & 0xffff_ffff_ffff;
    let [high, low] = halves(trace);
    let first = mix(high ^ mix(low ^ mix(span)));
    let second = mix(first ^ span.rotate_left(32));
    let random_a = u128::from(second & 0xfff);
    let random_b = u128::from(first & 0x3fff_ffff_ffff_ffff);
    OperationId::from_bits(millis << 80 | 7 << 76 | random_a << 64 | 2 << 62 | random_b)
}

/// A hash that is the same on every machine and in every version: FNV-1a, mixed.
pub(crate) fn hash_text(text: &str) -> u64 {
    let fnv = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    mix(text.bytes().fold(0xcbf2_9ce4_8422_2325, fnv)).max(1)
}

#[expect(clippy::cast_possible_truncation, reason = "each half is what is asked for")]
const fn halves(bits: u128) -> [u64; 2] {
    [(bits >> 64) as u64, bits as u64]
}

/// Puts two hashes together.
pub(crate) const fn join(one: u64, other: u64) -> u64 {
    mix(one ^ mix(other))
}

/// The finaliser of `SplitMix64`: every bit of the input changes half of the output's. It maps no two inputs to one.
const fn mix(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_version_7_sorted_by_time_and_never_the_same() {
        let early = operation_id(1 << 90, 7, 1_000_000_000);
        let late = operation_id(3, 1, 2_000_000_000);
        assert!(early < late);
        assert_eq!((early.bits() >> 76) & 0xf, 7);
        assert_eq!((early.bits() >> 62) & 3, 2);
        assert_eq!(early, operation_id(1 << 90, 7, 1_000_000_000));
        let ids = (0..100).flat_map(|trace| (0..100).map(move |span| operation_id(trace, span, 0)));
        assert_eq!(ids.collect::<HashSet<_>>().len(), 10_000);
    }
}
