//! From records to sealed columns.

use std::ops::BitOr;

use taximeter_models::{ErrorCategory, LlmCall, OperationRecord, ToolCall, ToolStatus};

use super::column::{ColumnId, ErrorColumns, FIXED, Map, component, llm, operation, tool};
use super::effort::Effort;
use super::error::SealError;
use super::filter::{self, Filter};
use super::maps::Keyed;
use super::meta::{Entry, INLINE, Key, MOST_RECORDS, MOST_VALUES, Meta, Place, VERSION, dimension};
use super::numbers;
use super::sheets::{Sheets, status};
use super::texts::{self, Dictionary};
use crate::store::beside::beside;

/// A block, ready to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The metadata, which stand by themselves.
    pub meta: Vec<u8>,
    /// The columns, by number. A reader asks for one by its number.
    pub columns: Vec<(ColumnId, Vec<u8>)>,
}

impl Sealed {
    /// How many bytes it takes in all, without what the store puts around them.
    pub fn bytes(&self) -> usize {
        self.meta.len() + self.columns.iter().map(|(_, bytes)| bytes.len()).sum::<usize>()
    }
}

/// Seals records into as few bytes as pays. Within the block they are ordered by their start, and by their id where that is
/// the same; every one of their fields comes back as it was.
///
/// # Errors
/// Where there are more than [`MOST_RECORDS`], or a value of one would not come back as it is; see [`SealError`].
pub fn seal<'r>(
    records: impl IntoIterator<Item = &'r OperationRecord>,
) -> Result<Sealed, SealError> {
    seal_with(records, Effort::Small)
}

/// The same with some effort. Much is done by two threads at once.
///
/// # Errors
/// As for [`seal`].
pub fn seal_with<'r>(
    records: impl IntoIterator<Item = &'r OperationRecord>,
    effort: Effort,
) -> Result<Sealed, SealError> {
    let mut ordered: Vec<&OperationRecord> = records.into_iter().collect();
    let rows = ordered.len();
    if rows > MOST_RECORDS {
        return Err(SealError::TooMany { what: "operations", rows, most: MOST_RECORDS });
    }
    ordered.sort_by_key(|record| (record.started_at, record.id));
    encode(&Sheets::of(&ordered)?, effort)
}

/// Makes a block of its columns.
pub(super) fn encode(sheets: &Sheets<'_>, effort: Effort) -> Result<Sealed, SealError> {
    let maps = || {
        let mut sealer = Sealer::new(effort);
        sealer.maps(sheets).map(|()| sealer)
    };
    let others = || {
        let mut sealer = Sealer::new(effort);
        sealer.fixed(sheets)?;
        sealer.costs(sheets).map(|()| sealer)
    };
    let is_much = effort == Effort::Small && sheets.rows() >= WORTH_A_THREAD;
    let (maps, others) = beside(is_much, maps, others);
    let mut sealer = others?;
    sealer.add(maps?);
    sealer.inferred(sheets);
    Ok(sealer.finish(sheets))
}

/// Fewer operations than this are compressed sooner than it pays to share the work.
const WORTH_A_THREAD: usize = 4_096;

/// Compresses columns, one after the other.
#[derive(Debug)]
struct Sealer {
    effort: Effort,
    directory: Vec<(ColumnId, Entry)>,
    columns: Vec<(ColumnId, Vec<u8>)>,
    keys: Vec<Key>,
    /// What goes into the filter.
    hashes: Vec<u64>,
}

impl Sealer {
    fn new(effort: Effort) -> Self {
        let (directory, columns, keys, hashes) = Default::default();
        Self { effort, directory, columns, keys, hashes }
    }

    /// Adds the columns of another one, of which one alone may have keys.
    fn add(&mut self, other: Self) {
        self.directory.extend(other.directory);
        self.columns.extend(other.columns);
        self.keys.extend(other.keys);
        self.hashes.extend(other.hashes);
    }

    fn fixed(&mut self, sheets: &Sheets<'_>) -> Result<(), SealError> {
        for (number, (numbers, texts)) in
            (0..).zip(sheets.numbers.iter().zip(&sheets.texts)).take(FIXED)
        {
            let column = ColumnId::new(number);
            if !numbers.is_empty() {
                self.numbers(column, numbers)?;
            }
            if texts.len() > 0 {
                let mut bytes = Vec::new();
                let list = texts::encode(&mut bytes, texts, self.effort)?;
                if let Some(dimension) = dimension_of(column) {
                    self.hashes
                        .extend(list.iter().map(|text| filter::hash(dimension.as_bytes(), text)));
                }
                self.put(column, texts.len(), bytes)?;
            }
        }
        Ok(())
    }

    fn numbers(&mut self, column: ColumnId, numbers: &[u64]) -> Result<(), SealError> {
        let mut bytes = Vec::new();
        if REPEATING.contains(&column) {
            numbers::encode_repeating(&mut bytes, numbers, self.effort)?;
        } else {
            numbers::encode(&mut bytes, numbers, self.effort)?;
        }
        self.put(column, numbers.len(), bytes)
    }

    fn maps(&mut self, sheets: &Sheets<'_>) -> Result<(), SealError> {
        for (map, sheet) in Map::ALL.into_iter().zip(&sheets.maps) {
            if sheet.rows.is_empty() {
                continue;
            }
            let (shapes, count) = sheet.shapes();
            self.put(map.shapes(), count, shapes)?;
            self.numbers(map.shape(), &sheet.rows)?;
            for keyed in &sheet.columns {
                self.keyed(map, keyed)?;
            }
        }
        Ok(())
    }

    fn keyed(&mut self, map: Map, keyed: &Keyed<'_>) -> Result<(), SealError> {
        let column = ColumnId::keyed(u16::try_from(self.keys.len()).unwrap_or(u16::MAX));
        self.keys.push(Key { map, kind: keyed.kind, name: keyed.key.to_owned() });
        let mut bytes = Vec::new();
        if keyed.kind.is_text() {
            let list = texts::encode(&mut bytes, &keyed.texts, self.effort)?;
            if matches!(map, Map::Tags | Map::Metadata) {
                let dimension = dimension::of_key(map, keyed.key);
                self.hashes
                    .extend(list.iter().map(|text| filter::hash(dimension.as_bytes(), text)));
            }
        } else if keyed.kind == super::maps::Kind::Float {
            numbers::encode_floats(&mut bytes, &keyed.numbers, self.effort)?;
        } else if keyed.kind.is_number() {
            numbers::encode(&mut bytes, &keyed.numbers, self.effort)?;
        } else {
            return Ok(());
        }
        self.put(column, keyed.rows, bytes)
    }

    fn costs(&mut self, sheets: &Sheets<'_>) -> Result<(), SealError> {
        let costs = &sheets.costs;
        if costs.rows.is_empty() {
            return Ok(());
        }
        let mut known = 0;
        let key = |form: &u64| {
            let new = *form == known;
            known += u64::from(new);
            if new { 0 } else { *form + 1 }
        };
        let keys: Vec<u64> = costs.rows.iter().map(key).collect();
        let list = costs.forms.iter().map(String::as_str).collect();
        let mut bytes = Vec::new();
        texts::encode_dictionary(&mut bytes, &Dictionary { list, keys: keys.into() }, self.effort)?;
        self.put(llm::COST, costs.rows.len(), bytes)?;
        if costs.numbers.is_empty() {
            Ok(())
        } else {
            self.numbers(llm::COST_NUMBERS, &costs.numbers)
        }
    }

    /// What calls are asked for by though it is in no column: a call of a tool that failed without a record of its error
    /// has a category, and a call of an LLM that was not named has a name.
    fn inferred(&mut self, sheets: &Sheets<'_>) {
        let named = llm::bit::REQUEST_MODEL | llm::bit::RESPONSE_MODEL;
        if sheets.column(llm::MASK).iter().any(|mask| mask & named == 0) {
            let nameless = LlmCall::default();
            self.hashes.push(filter::hash(dimension::LLM.as_bytes(), nameless.model()));
        }
        for known in [ToolStatus::Failure, ToolStatus::Timeout, ToolStatus::Error] {
            let told = tool::bit::STATUS | tool::bit::ERROR;
            let is_inferred = |mask: &u64| mask & told == status(known);
            if sheets.column(tool::MASK).iter().any(is_inferred) {
                let category = ToolCall::new("", known).error_category();
                self.hashes.extend(category.map(|category: ErrorCategory| {
                    filter::hash(dimension::ERROR.as_bytes(), category.as_str())
                }));
            }
        }
    }

    fn put(&mut self, column: ColumnId, count: usize, payload: Vec<u8>) -> Result<(), SealError> {
        if count > MOST_VALUES {
            return Err(SealError::TooMany { what: "parts", rows: count, most: MOST_VALUES });
        }
        let place = if payload.len() <= INLINE {
            Place::Inline(payload)
        } else {
            let bytes = framed(column, &payload);
            let check = bytes.last_chunk::<4>().copied().map_or(0, u32::from_le_bytes);
            self.columns.push((column, bytes));
            Place::Outside { check }
        };
        self.directory.push((column, Entry { count, place }));
        Ok(())
    }

    fn finish(mut self, sheets: &Sheets<'_>) -> Sealed {
        self.hashes.sort_unstable();
        self.hashes.dedup();
        let last = sheets.column(operation::START).last().map_or(0, |since| since.cast_signed());
        let outcome = |mask: &u64| 1 << (mask & operation::bit::OUTCOME);
        let meta = Meta {
            rows: sheets.rows(),
            first_ns: sheets.base,
            last_ns: sheets.base.wrapping_add(last),
            ids: sheets.ids.map_or((0, 0), |(least, largest)| (least.bits(), largest.bits())),
            longest_ns: sheets
                .column(operation::DURATION)
                .iter()
                .copied()
                .max()
                .unwrap_or_default(),
            outcomes: sheets.column(operation::MASK).iter().map(outcome).fold(0, BitOr::bitor),
            keys: self.keys,
            directory: self.directory.into_iter().collect(),
            filter: Filter::of(&self.hashes),
        };
        Sealed { meta: meta.write(), columns: self.columns }
    }
}

/// Numbers that repeat far apart.
const REPEATING: [ColumnId; 7] = [
    operation::ID_THREAD,
    operation::PARENT_LOW,
    operation::TRACE_LOW,
    tool::ARGUMENTS,
    llm::ARGUMENTS,
    llm::PREFIX,
    llm::WINDOW,
];

fn dimension_of(column: ColumnId) -> Option<&'static str> {
    let errors = [ErrorColumns::OPERATIONS, ErrorColumns::TOOL_CALLS, ErrorColumns::LLM_CALLS];
    Some(match column {
        operation::NAME => dimension::OPERATION,
        operation::USER => dimension::USER,
        operation::SESSION => dimension::SESSION,
        tool::NAME => dimension::TOOL,
        llm::PROVIDER => dimension::PROVIDER,
        llm::REQUEST_MODEL | llm::RESPONSE_MODEL => dimension::LLM,
        component::NAME => dimension::COMPONENT,
        other if errors.iter().any(|errors| errors.category() == other) => dimension::ERROR,
        _ => return None,
    })
}

/// A column as it is kept: version, payload, checksum over its number and both.
fn framed(column: ColumnId, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(payload.len() + 5);
    bytes.push(VERSION);
    bytes.extend_from_slice(payload);
    let check = checksum(column, &bytes);
    bytes.extend_from_slice(&check.to_le_bytes());
    bytes
}

pub(super) fn checksum(column: ColumnId, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&column.get().to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}
