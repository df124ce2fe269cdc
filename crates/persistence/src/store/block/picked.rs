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
        let told = |time: u64| time.min(Block::NONE - 1);
        match times.presence {
            Presence::All => Values::Numbers(self.own(&times.each(Block::NONE), told)),
            _ => self.numbers(|_, row| times.get(row).map_or(Block::NONE, told)),
        }
    }

    /// Those of the rows that were picked, out of those of all rows.
    pub(super) fn own<T: Copy, U>(&self, all: &[T], value: impl Fn(T) -> U) -> Vec<U> {
        gather(&self.rows, all, value)
    }

    /// The keys of texts of operations.
    pub(super) fn some_keys(&self, texts: &SomeTexts) -> Values {
        let owners = self.owners.as_ref().unwrap_or(&self.rows);
        Values::Keys { keys: gather(owners, &texts.keys(), |key| key), names: names(&texts.texts) }
    }

    pub(super) fn no_keys(&self) -> Values {
        Values::Keys { keys: vec![Keys::NONE; self.rows.len()], names: Vec::new() }
    }
}

pub(super) fn gather<T: Copy, U>(rows: &Rows, all: &[T], value: impl Fn(T) -> U) -> Vec<U> {
    match rows {
        Rows::All(_) => all.iter().map(|all| value(*all)).collect(),
        Rows::Some(rows) => rows.iter().map(|row| value(all[*row as usize])).collect(),
    }
}

pub(super) fn names(texts: &Texts) -> Vec<Name> {
    texts.list().iter().map(Name::from).collect()
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
        let place = u32::try_from(self.names.len()).unwrap_or(Keys::NONE);
        let name = Name::from(text);
        self.names.push(name.clone());
        self.places.insert(name, place);
        place
    }

    pub(super) fn all(&mut self, texts: &Texts) -> Vec<u32> {
        texts.list().iter().map(|text| self.key(text)).collect()
    }
}
