//! Sums by what they are of, found by a few numbers: while rows are counted, names are places in a list.

use std::collections::HashMap;
use std::hash::Hash;

use taximeter_analysis::Sums;
use taximeter_models::{Name, TokenUsage, Unit};
use taximeter_persistence::store::Keys;

use super::firsts::Peak;

/// Gives each different thing a place in a list.
#[derive(Debug)]
pub(super) struct Places<K> {
    known: HashMap<K, usize>,
    list: Vec<K>,
    /// Where some that were asked for lately are: rows ask for few again and again.
    lately: Vec<Option<(K, usize)>>,
}

/// A power of two, so that a place is found by some bits.
const LATELY: usize = 256;

/// Something that tells a few bits of itself in no time.
pub(super) trait Bits: Clone + Eq + Hash {
    fn bits(&self) -> usize;
}

impl<K: Bits> Default for Places<K> {
    fn default() -> Self {
        Self { known: HashMap::new(), list: Vec::new(), lately: vec![None; LATELY] }
    }
}

impl<K: Bits> Places<K> {
    #[inline]
    pub(super) fn of(&mut self, what: K) -> usize {
        let slot = what.bits() % LATELY;
        if let Some((known, place)) = &self.lately[slot]
            && *known == what
        {
            return *place;
        }
        let place = self.find(&what);
        self.lately[slot] = Some((what, place));
        place
    }

    fn find(&mut self, what: &K) -> usize {
        if let Some(place) = self.known.get(what) {
            return *place;
        }
        self.known.insert(what.clone(), self.list.len());
        self.list.push(what.clone());
        self.list.len() - 1
    }

    pub(super) fn get(&self, place: usize) -> &K {
        &self.list[place]
    }

    pub(super) fn list(&self) -> &[K] {
        &self.list
    }
}

/// Names, and none.
pub(super) type Names = Places<Option<Name>>;

impl Bits for Option<Name> {
    fn bits(&self) -> usize {
        let text = self.as_deref().unwrap_or_default().as_bytes();
        let ends = (text.first().copied(), text.last().copied());
        text.len() + 7 * usize::from(ends.0.unwrap_or(0)) + 31 * usize::from(ends.1.unwrap_or(0))
    }
}

impl Names {
    /// The place of each row's text: a block has a list of its own, so that each text is looked up once.
    pub(super) fn rows(&mut self, texts: Option<Keys<'_>>, rows: usize) -> Vec<usize> {
        let Some(texts) = texts else { return vec![self.of(None); rows] };
        let places: Vec<usize> =
            texts.names.iter().map(|name| self.of(Some(name.clone()))).collect();
        let mut none = None;
        let place = |key: &u32| match places.get(*key as usize) {
            Some(place) => *place,
            None => *none.get_or_insert_with(|| self.of(None)),
        };
        texts.keys.iter().map(place).collect()
    }
}

/// Of which step sums are, and of what: two places of names, or one and none.
pub(super) type Key = (i64, usize, usize);

impl Bits for Key {
    fn bits(&self) -> usize {
        // Steps begin with whole minutes.
        let step = usize::try_from(self.0.div_euclid(60).rem_euclid(1 << 20)).unwrap_or_default();
        step ^ (self.1 << 3) ^ (self.2 << 6)
    }
}

/// Places of two names.
impl Bits for (usize, usize) {
    fn bits(&self) -> usize {
        self.0 ^ (self.1 << 4)
    }
}

/// Sums by key.
#[derive(Debug, Default)]
pub(super) struct Cells {
    places: Places<Key>,
    cells: Vec<Cell>,
}

/// Sums as they are counted.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) sums: Sums,
    /// When the first and the last of them began, or their operations, in nanoseconds since 1970.
    pub(super) ends_ns: (i64, i64),
    /// The greatest of operations.
    pub(super) peak: Option<Peak>,
    usage: Vec<(Unit, u64)>,
}

impl Default for Cell {
    fn default() -> Self {
        let (sums, usage) = Default::default();
        Self { sums, ends_ns: (i64::MAX, i64::MIN), peak: None, usage }
    }
}

impl Cells {
    #[inline]
    pub(super) fn of(&mut self, key: Key) -> &mut Cell {
        let place = self.places.of(key);
        if place == self.cells.len() {
            self.cells.push(Cell::default());
        }
        &mut self.cells[place]
    }

    pub(super) fn finish(self) -> impl Iterator<Item = (Key, Cell)> {
        self.places.list.into_iter().zip(self.cells.into_iter().map(Cell::finish))
    }
}

impl Cell {
    #[inline]
    pub(super) fn was_at(&mut self, nanos: i64) {
        self.ends_ns = (self.ends_ns.0.min(nanos), self.ends_ns.1.max(nanos));
    }

    #[inline]
    pub(super) fn consumed(&mut self, unit: Unit, count: u64) {
        match self.usage.iter_mut().find(|(known, _)| *known == unit) {
            Some((_, sum)) => *sum = sum.saturating_add(count),
            None => self.usage.push((unit, count)),
        }
    }

    fn finish(mut self) -> Self {
        self.sums.usage += &TokenUsage::of_sum(std::mem::take(&mut self.usage));
        let (first, last) = self.ends_ns;
        let at = chrono::DateTime::from_timestamp_nanos;
        self.sums.period = (first <= last).then(|| (at(first), at(last)));
        self
    }
}
