//! The rows of a table that a scan shows, and what it gathers of them.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use taximeter_models::{Name, Unit};

use super::matching::Rows;
use super::presence::{Presence, SomeNumbers, SomeTexts};
use super::texts::Texts;
use crate::store::columns::Values;
use crate::store::{Block, Keys, Table};

/// Rows of a table, and the operations that they belong to.
pub(super) struct Picked {
    pub(super) table: Table,
    pub(super) rows: Rows,
    /// The operation of each row that was picked; none where the rows are operations.
    pub(super) owners: Option<Rows>,
    /// The place of each row's operation among those that are meant, where that was wanted and they are not all.
    pub(super) places: Option<Vec<u32>>,
}

impl Picked {
    /// These operations.
    pub(super) fn operations(rows: &Rows) -> Self {
        Self { table: Table::Operations, rows: rows.clone(), owners: None, places: None }
    }

    /// The operation of the row at a place of those that were picked.
    pub(super) fn owner(&self, at: usize) -> usize {
        let place = |rows: &Rows| match rows {
            Rows::All(_) => at,
            Rows::Some(rows) => rows[at] as usize,
        };
        place(self.owners.as_ref().unwrap_or(&self.rows))
    }

    /// The place of the operation of a row among those that are meant.
    pub(super) fn place(&self, at: usize) -> usize {
        match (&self.places, &self.owners) {
            (Some(places), _) => places[at] as usize,
            (None, Some(_)) => self.owner(at),
            (None, None) => at,
        }
    }

    /// Of each row, by its place among those that were picked and its place in the table.
    pub(super) fn map<T>(&self, mut value: impl FnMut(usize, usize) -> T) -> Vec<T> {
        self.rows.iter().enumerate().map(|(at, row)| value(at, row)).collect()
    }

    pub(super) fn numbers(&self, number: impl FnMut(usize, usize) -> u64) -> Values {
        Values::Numbers(self.map(number))
    }

    /// Times, of which the largest number stands for one that was not told.
    pub(super) fn told(&self, times: &SomeNumbers) -> Values {
        Values::Numbers(times.of(&self.rows, Block::NONE, |time| time.min(Block::NONE - 1)))
    }

    /// The keys of texts of operations.
    pub(super) fn some_keys(&self, texts: &SomeTexts) -> Values {
        keys_of(self.owners.as_ref().unwrap_or(&self.rows), texts)
    }

    /// The keys of texts of the rows that were picked.
    pub(super) fn own_keys(&self, texts: &SomeTexts) -> Values {
        keys_of(&self.rows, texts)
    }

    pub(super) fn no_keys(&self) -> Values {
        Values::Keys { keys: vec![Keys::NONE; self.rows.len()], names: Vec::new() }
    }
}

/// The keys of some rows, and the texts that they point to: of few rows, those that they have.
fn keys_of(rows: &Rows, some: &SomeTexts) -> Values {
    let texts = &some.texts;
    let mut keys: Vec<u32> = match &some.presence {
        Presence::All => {
            let all = texts.keys();
            match rows {
                Rows::All(_) => all.into_owned(),
                Rows::Some(rows) => rows.iter().map(|row| all[*row as usize]).collect(),
            }
        }
        _ => rows.iter().map(|row| some.key(row).map_or(Keys::NONE, as_key)).collect(),
    };
    let names = if keys.len() < texts.distinct() {
        renumber(&mut keys, texts)
    } else {
        texts.names().to_vec()
    };
    Values::Keys { keys, names }
}

/// Gives the texts that are pointed to the places in which they come first.
fn renumber(keys: &mut [u32], texts: &Texts) -> Vec<Name> {
    let mut places = vec![Keys::NONE; texts.distinct()];
    let mut names = Vec::new();
    for key in keys.iter_mut().filter(|key| **key != Keys::NONE) {
        let place = &mut places[*key as usize];
        if *place == Keys::NONE {
            *place = as_key(names.len());
            names.push(Name::from(&*texts.different(*key as usize)));
        }
        *key = *place;
    }
    names
}

/// A place in a list of texts, which never has more.
pub(super) fn as_key(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(Keys::NONE)
}

/// The buckets of usage, by unit.
pub(super) struct Units(Vec<Option<SomeNumbers>>);

impl Units {
    pub(super) fn of(units: Vec<(Unit, SomeNumbers)>) -> Self {
        let mut by_unit: Vec<_> = Unit::ALL.iter().map(|_| None).collect();
        for (unit, numbers) in units {
            by_unit[unit as usize] = Some(numbers);
        }
        Self(by_unit)
    }

    /// How much of a unit each row consumed; none where no row consumed any.
    pub(super) fn numbers(&self, unit: Unit) -> Option<&SomeNumbers> {
        self.0[unit as usize].as_ref()
    }

    #[inline]
    pub(super) fn count(&self, unit: Unit, row: usize) -> u64 {
        self.0[unit as usize].as_ref().and_then(|numbers| numbers.get(row)).unwrap_or_default()
    }
}

/// Gives texts their place in a list of different ones.
#[derive(Default)]
pub(super) struct Interner {
    pub(super) places: HashMap<Name, u32, RandomState>,
    pub(super) names: Vec<Name>,
}

impl Interner {
    pub(super) fn key(&mut self, text: &str) -> u32 {
        if let Some(place) = self.places.get(text) {
            return *place;
        }
        let place = as_key(self.names.len());
        let name = Name::from(text);
        self.names.push(name.clone());
        self.places.insert(name, place);
        place
    }

    pub(super) fn all(&mut self, texts: &Texts) -> Vec<u32> {
        texts.list().iter().map(|text| self.key(text)).collect()
    }
}
