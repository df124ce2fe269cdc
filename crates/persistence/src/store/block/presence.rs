//! Which rows have a value, and where it is among those that there are.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use taximeter_models::Name;

use super::error::Broken;
use super::matching::Rows;
use super::numbers::Numbers;
use super::texts::Texts;
use crate::store::Keys;

/// Which rows of a table have a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Presence {
    /// Every one, its own.
    All,
    /// None of so many.
    Nothing(usize),
    /// For each row the place of its value, or [`ABSENT`].
    Some(Vec<u32>),
}

const ABSENT: u32 = u32::MAX;
/// Stands for a bit that every mask has.
pub(super) const EVERY: u64 = u64::MAX;

impl Presence {
    /// The rows whose mask has a bit, and how many they are.
    pub(super) fn of(mask: &Numbers, bit: u64) -> (Self, usize) {
        match mask {
            mask if bit == EVERY => (Self::All, mask.len()),
            Numbers::Constant(mask, count) if mask & bit != 0 => (Self::All, *count),
            Numbers::Constant(_, count) => (Self::Nothing(*count), 0),
            mask => {
                let mask = mask.each();
                // Nearly always all have it or none, which is told in a fraction of the time.
                match mask.iter().filter(|mask| **mask & bit != 0).count() {
                    0 => (Self::Nothing(mask.len()), 0),
                    all if all == mask.len() => (Self::All, all),
                    _ => Self::where_it_is(mask.iter().map(|mask| mask & bit != 0)),
                }
            }
        }
    }

    /// The rows of which it is true, and how many they are.
    pub(super) fn where_it_is(rows: impl Iterator<Item = bool>) -> (Self, usize) {
        let mut next = 0_u32;
        let places = rows.map(|there| {
            let place = if there { next } else { ABSENT };
            next += u32::from(there);
            place
        });
        let places: Vec<u32> = places.collect();
        let count = next as usize;
        if count == places.len() { (Self::All, count) } else { (Self::Some(places), count) }
    }

    /// The place of the value of a row.
    pub(super) fn place(&self, row: usize) -> Option<usize> {
        match self {
            Self::All => Some(row),
            Self::Nothing(_) => None,
            Self::Some(places) => {
                let place = places[row];
                (place != ABSENT).then_some(place as usize)
            }
        }
    }
}

/// The numbers of those rows that have one.
#[derive(Debug)]
pub(super) struct SomeNumbers {
    pub(super) presence: Presence,
    pub(super) numbers: Arc<Numbers>,
}

impl SomeNumbers {
    /// Of so many rows of which none has one.
    pub(super) fn none(rows: usize) -> Self {
        Self { presence: Presence::Nothing(rows), numbers: Arc::default() }
    }

    #[inline]
    pub(super) fn get(&self, row: usize) -> Option<u64> {
        self.presence.place(row).map(|place| self.numbers.get(place))
    }

    /// The numbers of some rows, or another one where a row has none.
    pub(super) fn of(&self, rows: &Rows, absent: u64, value: impl Fn(u64) -> u64) -> Vec<u64> {
        match &self.presence {
            Presence::All => self.numbers.of(rows, value),
            Presence::Nothing(_) => vec![absent; rows.len()],
            Presence::Some(_) => {
                rows.iter().map(|row| self.get(row).map_or(absent, &value)).collect()
            }
        }
    }
}

/// The texts of those rows that have one.
#[derive(Debug)]
pub(super) struct SomeTexts {
    pub(super) presence: Presence,
    pub(super) texts: Arc<Texts>,
}

impl SomeTexts {
    /// For each row the place of its text in the list of different texts, or [`Keys::NONE`].
    pub(super) fn keys(&self) -> Cow<'_, [u32]> {
        let keys = self.texts.keys();
        match &self.presence {
            Presence::All => keys,
            Presence::Nothing(rows) => vec![Keys::NONE; *rows].into(),
            Presence::Some(places) => places
                .iter()
                .map(|place| if *place == ABSENT { Keys::NONE } else { keys[*place as usize] })
                .collect(),
        }
    }

    pub(super) fn text(&self, row: usize) -> Option<Cow<'_, str>> {
        self.presence.place(row).map(|place| self.texts.text(place))
    }

    pub(super) fn name(&self, row: usize) -> Option<Name> {
        self.presence.place(row).map(|place| self.texts.name(place))
    }

    /// The place of the text of a row in the list of different texts.
    pub(super) fn key(&self, row: usize) -> Option<usize> {
        self.presence.place(row).map(|place| self.texts.key(place))
    }
}

/// Which rows of another table are the parts of each row.
#[derive(Debug)]
pub(super) enum Ranges {
    /// So many parts of each row.
    Same(usize),
    /// Where the parts of each row begin, and where those of the last row end.
    Begins(Vec<u32>),
}

impl Ranges {
    /// From how many parts each row has; in all there are so many.
    pub(super) fn of(counts: &Numbers, parts: usize) -> Result<Self, Broken> {
        if let Numbers::Constant(count, rows) = counts {
            let count = usize::try_from(*count).map_err(|_| OTHER_COUNT)?;
            let fits = count.checked_mul(*rows) == Some(parts);
            return if fits { Ok(Self::Same(count)) } else { Err(OTHER_COUNT) };
        }
        let mut begins = Vec::with_capacity(counts.len() + 1);
        let mut end = 0_u32;
        begins.push(end);
        for count in counts.iter() {
            let count = u32::try_from(count).ok();
            end = count.and_then(|count| end.checked_add(count)).ok_or(OTHER_COUNT)?;
            begins.push(end);
        }
        if end as usize == parts { Ok(Self::Begins(begins)) } else { Err(OTHER_COUNT) }
    }

    pub(super) fn get(&self, row: usize) -> Range<usize> {
        match self {
            Self::Same(count) => row * count..(row + 1) * count,
            Self::Begins(begins) => begins[row] as usize..begins[row + 1] as usize,
        }
    }

    /// Whether each row has one part, so that both tables have the same rows.
    pub(super) fn is_one_each(&self) -> bool {
        matches!(self, Self::Same(1))
    }
}

const OTHER_COUNT: Broken = Broken("it counts other parts than there are");
