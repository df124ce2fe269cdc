//! Which texts a block may have: a Bloom filter over the different texts of its columns.
//!
//! B. H. Bloom, "Space/Time Trade-offs in Hash Coding with Allowable Errors", CACM 13 (7), 1970. With 8 bits for each
//! text and 4 probes, 2.4 % of the texts that are not there seem to be.

const BITS_PER_TEXT: usize = 8;
const PROBES: u32 = 4;

/// The bits, a power of two of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filter {
    bits: Vec<u8>,
}

/// The hash of a text of a column.
pub(super) fn hash(column: &[u8], text: &str) -> u64 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(column);
    hasher.update(&[0xff]);
    hasher.update(text.as_bytes());
    spread(hasher.finalize())
}

/// 64 bits out of 32, each of which depends on all: the finalizer of `SplitMix64` (Steele, Lea, Flood, 2014).
fn spread(hash: u32) -> u64 {
    let mut bits = u64::from(hash).wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

impl Filter {
    pub(super) fn of(hashes: &[u64]) -> Self {
        let bytes = (hashes.len() * BITS_PER_TEXT).div_ceil(8).max(1);
        let mut filter = Self { bits: vec![0; bytes] };
        for hash in hashes {
            for at in filter.probes(*hash) {
                filter.bits[at / 8] |= 1 << (at % 8);
            }
        }
        filter
    }

    /// A filter from its bits; none without any.
    pub(super) fn from_bits(bits: &[u8]) -> Option<Self> {
        (!bits.is_empty()).then(|| Self { bits: bits.to_vec() })
    }

    pub(super) fn bits(&self) -> &[u8] {
        &self.bits
    }

    /// Whether the text of this hash may be there. If it is there, this is true.
    pub(super) fn may_have(&self, hash: u64) -> bool {
        self.probes(hash).all(|at| self.bits[at / 8] & 1 << (at % 8) != 0)
    }

    /// Places from two halves of one hash (Kirsch and Mitzenmacher, 2008).
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the halves are meant, and a place is below the bits"
    )]
    fn probes(&self, hash: u64) -> impl Iterator<Item = usize> + use<> {
        let (first, step) = (hash as u32, (hash >> 32) as u32 | 1);
        let bits = self.bits.len() as u64 * 8;
        (0..PROBES).map(move |probe| {
            let hash = first.wrapping_add(step.wrapping_mul(probe));
            // The place by a product spares a division (Lemire, 2016).
            ((u64::from(hash) * bits) >> 32) as usize
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_found_and_little_else() {
        let texts: Vec<String> = (0..10_000).map(|n| format!("user {n}")).collect();
        let hashes: Vec<u64> = texts.iter().map(|text| hash(b"user", text)).collect();
        let filter = Filter::of(&hashes);
        assert!(hashes.iter().all(|hash| filter.may_have(*hash)));
        let seem =
            (10_000..110_000).filter(|n| filter.may_have(hash(b"user", &format!("user {n}"))));
        let seem = seem.count();
        assert!((1_500..3_500).contains(&seem), "{seem} of 100,000");
        assert!(!Filter::of(&[]).may_have(7));
    }
}
