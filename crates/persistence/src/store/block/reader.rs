//! A sealed block, of which only the columns that are asked for are fetched and read, each once.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use taximeter_models::OperationId;

use super::column::{ColumnId, component, operation};
use super::error::{BlockError, Broken};
use super::ids::{Threads, expected_high};
use super::meta::{Meta, Place, VERSION};
use super::numbers::{self, Numbers};
use super::presence::{Presence, Ranges, SomeNumbers, SomeTexts};
use super::seal::checksum;
use super::texts::{self, Texts};
use super::times;

/// Reads a sealed block.
pub struct Reader<'f> {
    pub(super) meta: Arc<Meta>,
    fetch: Fetch<'f>,
    numbers: HashMap<ColumnId, Arc<Numbers>>,
    texts: HashMap<ColumnId, Arc<Texts>>,
}

type Fetch<'f> = Box<dyn FnMut(ColumnId) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> + 'f>;

impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("meta", &self.meta).finish_non_exhaustive()
    }
}

impl<'f> Reader<'f> {
    /// Opens a block: its metadata, and a function that fetches a column when it is needed.
    ///
    /// # Errors
    /// Where the metadata are damaged, or of a newer version.
    pub fn open<E: Into<Box<dyn Error + Send + Sync>>>(
        meta: &[u8],
        fetch: impl FnMut(ColumnId) -> Result<Vec<u8>, E> + 'f,
    ) -> Result<Self, BlockError> {
        Meta::read(meta).map(|meta| Self::of(meta.into(), fetch))
    }

    /// The same for metadata that were read already.
    pub fn of<E: Into<Box<dyn Error + Send + Sync>>>(
        meta: Arc<Meta>,
        mut fetch: impl FnMut(ColumnId) -> Result<Vec<u8>, E> + 'f,
    ) -> Self {
        let fetch = Box::new(move |column| fetch(column).map_err(Into::into));
        Self { meta, fetch, numbers: HashMap::new(), texts: HashMap::new() }
    }

    /// What is known of the block without its columns.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// The ids of all operations, in the order of the rows.
    ///
    /// # Errors
    /// Where a column is damaged or cannot be fetched.
    pub fn ids(&mut self) -> Result<Vec<OperationId>, BlockError> {
        let starts = self.starts()?;
        let time = self.numbers_of(operation::ID_TIME, self.meta.rows)?;
        let thread = self.numbers_of(operation::ID_THREAD, self.meta.rows)?;
        let counter = self.numbers_of(operation::ID_COUNTER, self.meta.rows)?;
        let mut threads = Threads::default();
        let id = |(row, start): (usize, &i64)| {
            let high = expected_high(*start).wrapping_add(time.get(row));
            let low = threads.low(thread.get(row), counter.get(row));
            OperationId::from_bits(u128::from(high) << 64 | u128::from(low))
        };
        Ok(starts.iter().enumerate().map(id).collect())
    }

    /// The row of an operation; none where it is not in this block. Most ids that are not here are known not to be
    /// without a column being read.
    ///
    /// # Errors
    /// Where a column is damaged or cannot be fetched.
    pub fn position(&mut self, id: OperationId) -> Result<Option<u32>, BlockError> {
        if !self.meta.may_have_id(id) {
            return Ok(None);
        }
        let row = self.ids()?.iter().position(|known| *known == id);
        Ok(row.and_then(|row| u32::try_from(row).ok()))
    }

    /// When each operation began, in nanoseconds since 1970.
    pub(in crate::store) fn starts(&mut self) -> Result<Vec<i64>, BlockError> {
        let first = self.meta.first_ns;
        let starts = self.numbers_of(operation::START, self.meta.rows)?;
        Ok(starts.each().iter().map(|since| first.wrapping_add(since.cast_signed())).collect())
    }

    /// How long after the start of its operation each component began.
    pub(super) fn offsets(&mut self) -> Result<SomeNumbers, BlockError> {
        let rows = self.count(component::MASK);
        let ranges = self.ranges(operation::COMPONENTS, self.meta.rows, rows)?;
        let mask = self.numbers_of(component::MASK, rows)?;
        let mut offsets = self.some_numbers(component::OFFSET, &mask, component::bit::OFFSET)?;
        let durations = self.numbers_of(component::DURATION, rows)?;
        let mut absolute = Vec::with_capacity(offsets.numbers.len());
        for operation in 0..self.meta.rows {
            let of_one = times::offsets(ranges.get(operation), &offsets, |row| durations.get(row));
            absolute.extend(of_one.filter_map(|(_, offset)| offset));
        }
        offsets.numbers = Arc::new(Numbers::Each(absolute));
        Ok(offsets)
    }

    /// How many rows the table has of which this is a column that every row has.
    pub(super) fn count(&self, column: ColumnId) -> usize {
        self.meta.directory.get(&column).map_or(0, |entry| entry.count)
    }

    /// The numbers of a column; none are none.
    pub(super) fn numbers(&mut self, column: ColumnId) -> Result<Arc<Numbers>, BlockError> {
        if let Some(known) = self.numbers.get(&column) {
            return Ok(Arc::clone(known));
        }
        let read = match self.payload(column)? {
            Some(Payload { kept, within, count }) => numbers::read(kept, within, count),
            None => Ok(Numbers::default()),
        };
        let read = Arc::new(read.map_err(|broken| broken.at(Some(column)))?);
        self.numbers.insert(column, Arc::clone(&read));
        Ok(read)
    }

    /// The texts of a column; none are none.
    pub(super) fn texts(&mut self, column: ColumnId) -> Result<Arc<Texts>, BlockError> {
        if let Some(known) = self.texts.get(&column) {
            return Ok(Arc::clone(known));
        }
        let read = match self.payload(column)? {
            Some(payload) => texts::decode(payload.bytes(), payload.count),
            None => Ok(Texts::default()),
        };
        let read = Arc::new(read.map_err(|broken| broken.at(Some(column)))?);
        self.texts.insert(column, Arc::clone(&read));
        Ok(read)
    }

    /// The numbers of a column that every row of a table has.
    pub(super) fn numbers_of(
        &mut self,
        column: ColumnId,
        rows: usize,
    ) -> Result<Arc<Numbers>, BlockError> {
        self.expect_count(column, rows)?;
        self.numbers(column)
    }

    /// The texts of a column that every row of a table has.
    pub(super) fn texts_of(
        &mut self,
        column: ColumnId,
        rows: usize,
    ) -> Result<Arc<Texts>, BlockError> {
        self.expect_count(column, rows)?;
        self.texts(column)
    }

    /// Whether a column has as many values as there are rows that have one. It is asked before room is made for them.
    fn expect_count(&self, column: ColumnId, rows: usize) -> Result<(), BlockError> {
        if self.count(column) == rows { Ok(()) } else { Err(OTHER_COUNT.at(Some(column))) }
    }

    /// The numbers of the rows whose mask has a bit.
    pub(super) fn some_numbers(
        &mut self,
        column: ColumnId,
        mask: &Numbers,
        bit: u64,
    ) -> Result<SomeNumbers, BlockError> {
        let (presence, count) = Presence::of(mask, bit);
        Ok(SomeNumbers { presence, numbers: self.numbers_of(column, count)? })
    }

    /// The texts of the rows whose mask has a bit.
    pub(super) fn some_texts(
        &mut self,
        column: ColumnId,
        mask: &Numbers,
        bit: u64,
    ) -> Result<SomeTexts, BlockError> {
        let (presence, count) = Presence::of(mask, bit);
        Ok(SomeTexts { presence, texts: self.texts_of(column, count)? })
    }

    /// The parts of each row, from the column that counts them; in all there are so many.
    pub(super) fn ranges(
        &mut self,
        column: ColumnId,
        rows: usize,
        parts: usize,
    ) -> Result<Ranges, BlockError> {
        let counts = self.numbers_of(column, rows)?;
        Ranges::of(&counts, parts).map_err(|broken| broken.at(Some(column)))
    }

    /// The payload of a column, checked; none where the block has no such column.
    pub(super) fn payload(&mut self, column: ColumnId) -> Result<Option<Payload>, BlockError> {
        let Some(entry) = self.meta.directory.get(&column) else { return Ok(None) };
        let count = entry.count;
        let check = match &entry.place {
            Place::Inline(bytes) => {
                return Ok(Some(Payload { kept: bytes.clone(), within: 0..bytes.len(), count }));
            }
            Place::Outside { check } => *check,
        };
        let fetched = (self.fetch)(column);
        let kept = fetched.map_err(|source| BlockError::Fetch { column, source })?;
        let within = open(column, check, &kept).map_err(|broken| broken.at(Some(column)))?;
        Ok(Some(Payload { kept, within, count }))
    }
}

/// The payload of a column, and how many values it has.
#[derive(Debug)]
pub(super) struct Payload {
    kept: Vec<u8>,
    within: Range<usize>,
    pub(super) count: usize,
}

impl Payload {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.kept[self.within.clone()]
    }
}

const OTHER_COUNT: Broken =
    Broken("it has another count of values than there are rows that have one");

/// Where the payload is, between version and checksum, if it is this block's.
fn open(column: ColumnId, check: u32, bytes: &[u8]) -> Result<Range<usize>, Broken> {
    let Some((body, said)) = bytes.split_last_chunk::<4>() else {
        return Err(Broken("there are too few bytes"));
    };
    let said = u32::from_le_bytes(*said);
    if checksum(column, body) != said {
        return Err(Broken("its checksum is wrong"));
    }
    if said != check {
        return Err(Broken("it belongs to another block"));
    }
    match body.first() {
        Some(&VERSION) => Ok(1..body.len()),
        _ => Err(Broken("it has another version than its block")),
    }
}
