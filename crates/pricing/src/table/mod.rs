//! The compact table that is compiled in: looked up where it lies, each LLM decoded when it is first asked for.
//!
//! Five parts follow one another, each with its length before it: the head, which is decoded at first use; a pool of
//! text; the names, of eight bytes each, by LLM; the slots of a hash table over the names; the LLMs, and the prices
//! that they share. All numbers are little-endian. The table is made by [`pack`] from the reviewable book beside it
//! and never leaves the crate, so it needs no version.

mod pack;
mod record;

use std::fmt;
use std::sync::OnceLock;

use crate::Model;
use record::Head;

pub(crate) use pack::pack;
pub(crate) use record::{PackedProvider, PackedSource, day};

/// A table whose head has been read.
pub(crate) struct Table {
    head: Head,
    parts: Parts,
    /// For each LLM, itself once it was asked for.
    models: Box<[OnceLock<Option<Box<Model>>>]>,
}

/// The parts of a table, as they lie in memory.
#[derive(Clone, Copy)]
struct Parts {
    text: &'static str,
    names: &'static [u8],
    slots: &'static [u8],
    records: &'static [u8],
    offers: &'static [u8],
}

/// The bytes of a name: where its text is, its provider, its LLM.
const NAME: usize = 8;
/// Set in the number of an LLM where the name is not its first.
const ALIAS: u16 = 1 << 15;

/// A name of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NameAt {
    /// The number of the LLM.
    pub(crate) model: usize,
    /// Whether the name is an alias.
    pub(crate) alias: bool,
}

impl Table {
    /// Reads the head; none where the bytes are no table.
    pub(crate) fn open(bytes: &'static [u8]) -> Option<Self> {
        let mut rest = bytes;
        let mut part = || -> Option<&'static [u8]> {
            let (length, after) = rest.split_first_chunk::<4>()?;
            let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
            let (part, after) = after.split_at_checked(length)?;
            rest = after;
            Some(part)
        };
        let head: Head = postcard::from_bytes(part()?).ok()?;
        let text = std::str::from_utf8(part()?).ok()?;
        let (names, slots, records, offers) = (part()?, part()?, part()?, part()?);
        let parts = Parts { text, names, slots, records, offers };
        let models = (0..head.count).map(|_| OnceLock::new()).collect();
        Some(Self { head, parts, models })
    }

    pub(crate) const fn head(&self) -> &Head {
        &self.head
    }

    /// The LLM of a provider by any of its names, in upper or lower case.
    pub(crate) fn find(&self, provider: usize, name: &str) -> Option<NameAt> {
        let mut same = self.chain(name);
        same.find(|(text, owner, _)| *owner == provider && text.eq_ignore_ascii_case(name))
            .map(|(_, _, found)| found)
    }

    /// The providers that have an LLM of this name.
    pub(crate) fn providers_of<'n>(&'n self, name: &'n str) -> impl Iterator<Item = usize> + 'n {
        let same = self.chain(name).filter(move |(text, _, _)| text.eq_ignore_ascii_case(name));
        same.map(|(_, owner, _)| owner)
    }

    /// The names from the slot where this one should be to the first free slot; it is among them if it is known.
    fn chain(&self, name: &str) -> impl Iterator<Item = (&'static str, usize, NameAt)> + '_ {
        let count = self.parts.slots.len() / 2;
        let mask = count.saturating_sub(1);
        let first = hash(name.as_bytes());
        (0..count).map_while(move |step| {
            let at = usize::from(u16_at(self.parts.slots, ((first + step) & mask) * 2)?)
                .checked_sub(1)?;
            self.name(at)
        })
    }

    /// The LLM of that number.
    pub(crate) fn model(&self, number: usize) -> Option<&Model> {
        self.models.get(number)?.get_or_init(|| self.decode(number).map(Box::new)).as_deref()
    }

    /// How many LLMs there are.
    pub(crate) const fn len(&self) -> usize {
        self.models.len()
    }

    /// All names of a provider's LLMs, which stand together: names are in the order of their providers.
    pub(crate) fn names_of(&self, provider: usize) -> impl Iterator<Item = &str> + '_ {
        let owner = |at: usize| self.name(at).map(|(_, owner, _)| owner);
        let (mut first, mut end) = (0, self.parts.names.len() / NAME);
        while first < end {
            let middle = first.midpoint(end);
            if owner(middle).is_some_and(|owner| owner < provider) {
                first = middle + 1;
            } else {
                end = middle;
            }
        }
        let own = (first..)
            .map_while(|at| self.name(at))
            .take_while(move |(_, owner, _)| *owner == provider);
        own.map(|(text, _, _)| text)
    }

    /// The name of that number: its text, its provider, its LLM.
    fn name(&self, at: usize) -> Option<(&'static str, usize, NameAt)> {
        let bytes: &[u8; NAME] = self.parts.names.get(at * NAME..)?.first_chunk()?;
        let begin =
            usize::from(bytes[0]) | usize::from(bytes[1]) << 8 | usize::from(bytes[2]) << 16;
        let text = self.parts.text.get(begin..begin + usize::from(bytes[3]))?;
        let provider = u16::from_le_bytes([bytes[4], bytes[5]]);
        let model = u16::from_le_bytes([bytes[6], bytes[7]]);
        let found = NameAt { model: usize::from(model & !ALIAS), alias: model & ALIAS != 0 };
        Some((text, usize::from(provider), found))
    }
}

/// The number of a slot for a name. It takes letters of both cases alike, and some other characters too, which costs
/// a comparison and nothing else.
fn hash(name: &[u8]) -> usize {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    const LOWER: u64 = 0x2020_2020_2020_2020;
    let mix = |state: u64, word: u64| (state.rotate_left(23) ^ (word | LOWER)).wrapping_mul(FACTOR);
    let mut words = name.chunks_exact(8);
    let mut state = FACTOR;
    for word in &mut words {
        state = mix(state, word.try_into().map_or(0, u64::from_le_bytes));
    }
    let mut last = [0; 8];
    let rest = words.remainder();
    last[..rest.len()].copy_from_slice(rest);
    state = mix(state, u64::from_le_bytes(last) ^ (name.len() as u64) << 56);
    usize::try_from(state >> 40).unwrap_or_default()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_le_bytes(*bytes))
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("models", &self.len()).finish_non_exhaustive()
    }
}
