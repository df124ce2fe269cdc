//! The metadata of a block: what is in it from when to when, where its columns are, and what texts it may have.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use taximeter_models::{OperationId, Outcome};

use super::bytes::{Cursor, put_bytes, put_number, unzigzag, zigzag};
use super::column::{ColumnId, Map};
use super::error::{BlockError, Broken};
use super::filter::{self, Filter};
use super::maps::Kind;
use super::sheets::{self, moment};
use crate::store::{Condition, Query};

/// The version of blocks that is written, and the newest that is read.
pub(super) const VERSION: u8 = 1;
/// Columns up to this size are kept within the metadata.
pub(super) const INLINE: usize = 48;
/// How many operations a block has at most.
pub const MOST_RECORDS: usize = 1 << 17;
/// How many values a column has at most.
pub(super) const MOST_VALUES: usize = 1 << 24;

/// What is known of a block without any of its columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Meta {
    pub(super) rows: usize,
    /// When the first operation began, in nanoseconds since 1970; the start of the others is counted from it.
    pub(super) first_ns: i64,
    pub(super) last_ns: i64,
    pub(super) ids: (u128, u128),
    pub(super) longest_ns: u64,
    /// Bit by bit, the outcomes that there are.
    pub(super) outcomes: u8,
    pub(super) keys: Vec<Key>,
    pub(super) directory: BTreeMap<ColumnId, Entry>,
    pub(super) filter: Filter,
}

/// A key of a map, which has a column of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) map: Map,
    pub(super) kind: Kind,
    pub(super) name: String,
}

/// What is known of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// How many values it has.
    pub(super) count: usize,
    pub(super) place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Here.
    Inline(Vec<u8>),
    /// In bytes of its own, with this checksum.
    Outside { check: u32 },
}

impl Meta {
    /// Reads the metadata of a block.
    ///
    /// # Errors
    /// Where they are damaged, or of a newer version.
    pub fn read(bytes: &[u8]) -> Result<Self, BlockError> {
        let damaged = |broken: Broken| broken.at(None);
        match bytes.first() {
            Some(&version) if version > VERSION => {
                // A flipped bit must not look like a newer version.
                checked(bytes).map_err(damaged)?;
                Err(BlockError::Newer { version, reads_up_to: VERSION })
            }
            _ => checked(bytes).and_then(read).map_err(damaged),
        }
    }

    /// How many operations there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// When the first and the last operation began, in nanoseconds since 1970.
    pub fn range_ns(&self) -> (i64, i64) {
        (self.first_ns, self.last_ns)
    }

    /// The longest duration, in nanoseconds.
    pub fn longest_ns(&self) -> u64 {
        self.longest_ns
    }

    /// The least and the largest id.
    pub fn ids(&self) -> (OperationId, OperationId) {
        (OperationId::from_bits(self.ids.0), OperationId::from_bits(self.ids.1))
    }

    /// Whether an operation of that id may be there. If it is there, this is true.
    pub fn may_have_id(&self, id: OperationId) -> bool {
        self.rows > 0 && (self.ids.0..=self.ids.1).contains(&id.bits())
    }

    /// Whether an operation that a query asks for may be there. If one is there, this is true.
    pub fn may_match(&self, query: &Query) -> bool {
        let within = |at: Option<DateTime<Utc>>| at.map(|at| moment(at).0);
        self.rows > 0
            && within(query.since).is_none_or(|since| since <= self.last_ns)
            && within(query.until).is_none_or(|until| until >= self.first_ns)
            && query.conditions.iter().all(|condition| self.may_have(condition))
    }

    /// Whether an operation that fulfils a condition may be there. If one is there, this is true.
    pub fn may_have(&self, condition: &Condition) -> bool {
        match condition {
            Condition::Operation(name) => self.may_name(dimension::OPERATION, name),
            Condition::User(name) => self.may_name(dimension::USER, name),
            Condition::Session(name) => self.may_name(dimension::SESSION, name),
            Condition::Tool(name) => self.may_name(dimension::TOOL, name),
            Condition::Provider(name) => self.may_name(dimension::PROVIDER, name),
            Condition::Llm(name) => self.may_name(dimension::LLM, name),
            Condition::Component(name) => self.may_name(dimension::COMPONENT, name),
            Condition::Error(category) => self.may_name(dimension::ERROR, category.as_str()),
            Condition::Tag(key, value) => self.may_have_value(Map::Tags, key, Some(value)),
            Condition::Metadata(key, Value::String(text)) => {
                self.may_have_value(Map::Metadata, key, Some(text))
            }
            Condition::Metadata(key, _) => self.may_have_value(Map::Metadata, key, None),
            Condition::Outcome(outcome) => self.may_end(*outcome),
            Condition::AtLeastNanos(nanos) => self.longest_ns >= *nanos,
        }
    }

    fn may_end(&self, outcome: Outcome) -> bool {
        self.outcomes & 1 << sheets::outcome(outcome) != 0
    }

    fn may_name(&self, dimension: &str, text: &str) -> bool {
        self.filter.may_have(filter::hash(dimension.as_bytes(), text))
    }

    fn may_have_value(&self, map: Map, key: &str, text: Option<&str>) -> bool {
        self.keys.iter().filter(|known| known.map == map).any(|known| match (known.kind, text) {
            (Kind::Rest, _) => true,
            (Kind::Text, Some(text)) if known.name == key => {
                self.filter.may_have(filter::hash(dimension::of_key(map, key).as_bytes(), text))
            }
            (Kind::Text, _) | (_, Some(_)) => false,
            (_, None) => known.name == key,
        })
    }

    /// The column of each key of a map, the column of JSON for all further keys included.
    pub(super) fn keys_of(&self, map: Map) -> Vec<(ColumnId, &Key)> {
        let all = (0..).map(ColumnId::keyed).zip(&self.keys);
        all.filter(|(_, key)| key.map == map).collect()
    }

    /// The bytes that are kept.
    pub(super) fn write(&self) -> Vec<u8> {
        let mut to = vec![VERSION];
        put_number(&mut to, self.rows as u64);
        put_number(&mut to, zigzag(self.first_ns));
        put_number(&mut to, zigzag(self.last_ns));
        to.extend_from_slice(&self.ids.0.to_le_bytes());
        to.extend_from_slice(&self.ids.1.to_le_bytes());
        put_number(&mut to, self.longest_ns);
        to.push(self.outcomes);
        put_number(&mut to, self.keys.len() as u64);
        for key in &self.keys {
            to.extend([key.map as u8, key.kind as u8]);
            put_bytes(&mut to, key.name.as_bytes());
        }
        put_number(&mut to, self.directory.len() as u64);
        for (column, entry) in &self.directory {
            put_number(&mut to, column.get().into());
            put_number(&mut to, entry.count as u64);
            match &entry.place {
                Place::Inline(bytes) => {
                    put_number(&mut to, bytes.len() as u64 + 1);
                    to.extend_from_slice(bytes);
                }
                Place::Outside { check } => {
                    put_number(&mut to, 0);
                    to.extend_from_slice(&check.to_le_bytes());
                }
            }
        }
        put_bytes(&mut to, self.filter.bits());
        let check = crc32fast::hash(&to);
        to.extend_from_slice(&check.to_le_bytes());
        to
    }
}

/// By what texts are told apart in the filter.
pub(super) mod dimension {
    use super::Map;

    pub(in super::super) const OPERATION: &str = "operation";
    pub(in super::super) const USER: &str = "user";
    pub(in super::super) const SESSION: &str = "session";
    pub(in super::super) const TOOL: &str = "tool";
    pub(in super::super) const PROVIDER: &str = "provider";
    pub(in super::super) const LLM: &str = "llm";
    pub(in super::super) const COMPONENT: &str = "component";
    pub(in super::super) const ERROR: &str = "error";

    pub(in super::super) fn of_key(map: Map, key: &str) -> String {
        format!("{}:{key}", if map == Map::Tags { "tag" } else { "metadata" })
    }
}

/// What stands before the checksum, if that is right.
fn checked(bytes: &[u8]) -> Result<&[u8], Broken> {
    let (body, check) = bytes.split_last_chunk::<4>().ok_or(Broken("there are too few bytes"))?;
    if crc32fast::hash(body) == u32::from_le_bytes(*check) {
        Ok(body)
    } else {
        Err(Broken("its checksum is wrong"))
    }
}

fn read(body: &[u8]) -> Result<Meta, Broken> {
    let mut cursor = Cursor(body);
    if cursor.byte()? != VERSION {
        return Err(Broken("it has a version that never was"));
    }
    let rows = cursor.at_most(MOST_RECORDS)?;
    let (first_ns, last_ns) = (unzigzag(cursor.number()?), unzigzag(cursor.number()?));
    let ids = (u128::from_le_bytes(cursor.array()?), u128::from_le_bytes(cursor.array()?));
    let (longest_ns, outcomes) = (cursor.number()?, cursor.byte()?);
    let keys = (0..cursor.count()?).map(|_| read_key(&mut cursor)).collect::<Result<_, _>>()?;
    let entries = (0..cursor.count()?).map(|_| read_entry(&mut cursor));
    let directory = entries.collect::<Result<_, _>>()?;
    let filter = Filter::from_bits(cursor.bytes()?).ok_or(Broken("it has no filter"))?;
    cursor.end()?;
    Ok(Meta { rows, first_ns, last_ns, ids, longest_ns, outcomes, keys, directory, filter })
}

fn read_key(cursor: &mut Cursor<'_>) -> Result<Key, Broken> {
    let map = Map::ALL.get(usize::from(cursor.byte()?)).copied();
    let map = map.ok_or(Broken("it has a map that is not known"))?;
    let kind = Kind::of_number(cursor.byte()?);
    let kind = kind.ok_or(Broken("it has a kind of value that is not known"))?;
    Ok(Key { map, kind, name: cursor.text()?.to_owned() })
}

fn read_entry(cursor: &mut Cursor<'_>) -> Result<(ColumnId, Entry), Broken> {
    let column = u16::try_from(cursor.number()?).map_err(|_| Broken("a column has no number"))?;
    let count = cursor.at_most(MOST_VALUES)?;
    let place = match cursor.at_most(INLINE + 1)? {
        0 => Place::Outside { check: u32::from_le_bytes(cursor.array()?) },
        size => Place::Inline(cursor.take(size - 1)?.to_vec()),
    };
    Ok((ColumnId::new(column), Entry { count, place }))
}
