//! Texts that are named again and again, each kept once under a number.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use foldhash::fast::RandomState;
use rusqlite::{Connection, OptionalExtension};
use taximeter_models::{CostOutcome, Metadata, Name};

use super::cells::{self, Sum, Wrong};

/// So many texts are remembered; above that, all are forgotten and looked up again.
const MOST_REMEMBERED: usize = 65_536;

/// The numbers of texts, for who writes. A number never changes, so another process that adds texts does no harm.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    known: HashMap<Name, i64, RandomState>,
    /// The numbers of lists of keys, by the hash of the keys: writing them as JSON takes longer than comparing them.
    keys: HashMap<u64, (Vec<String>, i64), RandomState>,
}

impl Numbers {
    /// The number of a text, which is added where it is new.
    pub(super) fn of(&mut self, connection: &Connection, text: &str) -> rusqlite::Result<i64> {
        if let Some(number) = self.known.get(text) {
            return Ok(*number);
        }
        let found = connection
            .prepare_cached("SELECT id FROM names WHERE text = ?1")?
            .query_row([text], |row| row.get(0))
            .optional()?;
        let number = match found {
            Some(number) => number,
            None => add(connection, text)?,
        };
        if self.known.len() >= MOST_REMEMBERED {
            self.known.clear();
        }
        self.known.insert(text.into(), number);
        Ok(number)
    }

    /// The number of the keys of metadata, which are kept as a list in JSON.
    pub(super) fn of_keys(
        &mut self,
        connection: &Connection,
        metadata: &Metadata,
    ) -> rusqlite::Result<i64> {
        let mut hasher = self.known.hasher().build_hasher();
        for key in metadata.keys() {
            key.hash(&mut hasher);
        }
        let hash = hasher.finish();
        if let Some((keys, number)) = self.keys.get(&hash)
            && keys.iter().eq(metadata.keys())
        {
            return Ok(*number);
        }
        let keys: Vec<String> = metadata.keys().cloned().collect();
        // Texts always can be written.
        let number = self.of(connection, &serde_json::to_string(&keys).unwrap_or_default())?;
        if self.keys.len() >= MOST_REMEMBERED {
            self.keys.clear();
        }
        self.keys.insert(hash, (keys, number));
        Ok(number)
    }

    /// After a transaction that was given up: what it added is not there.
    pub(super) fn forget(&mut self) {
        self.known.clear();
        self.keys.clear();
    }
}

fn add(connection: &Connection, text: &str) -> rusqlite::Result<i64> {
    let number: i64 = connection
        .prepare_cached("SELECT coalesce(max(id), 0) + 1 FROM names")?
        .query_row([], |row| row.get(0))?;
    let mut insert = connection.prepare_cached("INSERT INTO names VALUES (?1, ?2, ?3)")?;
    insert.execute((number, text, checked(number, text)))?;
    Ok(number)
}

fn checked(number: i64, text: &str) -> i64 {
    let mut sum = Sum::default();
    sum.add(cells::int(number));
    sum.add(cells::text(text));
    sum.checked()
}

/// The texts of numbers, for who reads.
#[derive(Debug, Default)]
pub(super) struct Texts {
    known: HashMap<i64, Text, RandomState>,
}

#[derive(Debug, Clone)]
struct Text {
    name: Name,
    /// Made when they are first asked for.
    keys: Option<Arc<[String]>>,
    price: Option<Arc<CostOutcome>>,
}

impl Texts {
    /// The text of a number.
    pub(super) fn name(&mut self, connection: &Connection, number: i64) -> Result<Name, Wrong> {
        Ok(self.text(connection, number)?.name.clone())
    }

    /// The keys of metadata.
    pub(super) fn keys(
        &mut self,
        connection: &Connection,
        number: i64,
    ) -> Result<Arc<[String]>, Wrong> {
        let text = self.text(connection, number)?;
        if let Some(keys) = &text.keys {
            return Ok(Arc::clone(keys));
        }
        let keys: Arc<[String]> =
            serde_json::from_str::<Vec<String>>(&text.name).map_err(|why| why.to_string())?.into();
        text.keys = Some(Arc::clone(&keys));
        Ok(keys)
    }

    /// The explanation of a price, without the numbers of a call.
    pub(super) fn price(
        &mut self,
        connection: &Connection,
        number: i64,
    ) -> Result<Arc<CostOutcome>, Wrong> {
        let text = self.text(connection, number)?;
        if let Some(price) = &text.price {
            return Ok(Arc::clone(price));
        }
        let price: Arc<CostOutcome> =
            Arc::new(serde_json::from_str(&text.name).map_err(|why| why.to_string())?);
        text.price = Some(Arc::clone(&price));
        Ok(price)
    }

    fn text(&mut self, connection: &Connection, number: i64) -> Result<&mut Text, Wrong> {
        if self.known.len() >= MOST_REMEMBERED && !self.known.contains_key(&number) {
            self.known.clear();
        }
        match self.known.entry(number) {
            std::collections::hash_map::Entry::Occupied(known) => Ok(known.into_mut()),
            std::collections::hash_map::Entry::Vacant(new) => {
                let name = read(connection, number)?;
                Ok(new.insert(Text { name, keys: None, price: None }))
            }
        }
    }
}

fn read(connection: &Connection, number: i64) -> Result<Name, Wrong> {
    let found = connection
        .prepare_cached("SELECT text, checked FROM names WHERE id = ?1")
        .and_then(|mut select| {
            let read =
                |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?));
            select.query_row([number], read).optional()
        })
        .map_err(|error| format!("name {number}: {error}"))?;
    match found {
        Some((text, sum)) if checked(number, &text) == sum => Ok(text.into()),
        Some(_) => Err(format!("name {number} does not fit its checksum")),
        None => Err(format!("name {number} is missing")),
    }
}
