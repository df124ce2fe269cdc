//! From records to sealed columns.

use taximeter_models::{ErrorCategory, OperationRecord, ToolCall, ToolStatus};

use super::column::{ColumnId, ErrorColumns, FIXED, Map, component, llm, operation, tool};
use super::error::SealError;
use super::filter::{self, Filter};
use super::maps::Keyed;
use super::meta::{Entry, INLINE, Key, MOST_RECORDS, MOST_VALUES, Meta, Place, VERSION, dimension};
use super::numbers;
use super::sheets::{Sheets, moment, nanos, outcome};
use super::texts::{self, Dictionary};

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

/// Seals records. Within the block they are ordered by their start, and by their id where that is the same; every one of
/// their fields comes back as it was.
///
/// # Errors
/// Where there are more than [`MOST_RECORDS`], or a value of one would not come back as it is; see [`SealError`].
pub fn seal(records: &[OperationRecord]) -> Result<Sealed, SealError> {
    if records.len() > MOST_RECORDS {
        return Err(SealError::TooMany {
            what: "operations",
            rows: records.len(),
            most: MOST_RECORDS,
        });
    }
    let mut ordered: Vec<&OperationRecord> = records.iter().collect();
    ordered.sort_by_key(|record| (record.started_at, record.id));
    let sheets = Sheets::of(&ordered)?;
    let mut sealer = Sealer::default();
    sealer.fixed(&sheets)?;
    sealer.maps(&sheets)?;
    sealer.costs(&sheets)?;
    sealer.inferred(&ordered);
    Ok(sealer.finish(&ordered))
}

/// Compresses columns, one after the other.
#[derive(Debug, Default)]
struct Sealer {
    directory: Vec<(ColumnId, Entry)>,
    columns: Vec<(ColumnId, Vec<u8>)>,
    keys: Vec<Key>,
    /// What goes into the filter.
    hashes: Vec<u64>,
}

impl Sealer {
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
                let list = texts::encode(&mut bytes, texts)?;
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
            numbers::encode_repeating(&mut bytes, numbers)?;
        } else {
            numbers::encode(&mut bytes, numbers)?;
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
            let list = texts::encode(&mut bytes, &keyed.texts)?;
            if matches!(map, Map::Tags | Map::Metadata) {
                let dimension = dimension::of_key(map, keyed.key);
                self.hashes
                    .extend(list.iter().map(|text| filter::hash(dimension.as_bytes(), text)));
            }
        } else if keyed.kind == super::maps::Kind::Float {
            numbers::encode_floats(&mut bytes, &keyed.numbers)?;
        } else if keyed.kind.is_number() {
            numbers::encode(&mut bytes, &keyed.numbers)?;
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
        let keys = costs.rows.iter().map(key).collect();
        let list = costs.forms.iter().map(String::as_str).collect();
        let mut bytes = Vec::new();
        texts::encode_dictionary(&mut bytes, &Dictionary { list, keys })?;
        self.put(llm::COST, costs.rows.len(), bytes)?;
        if costs.numbers.is_empty() {
            Ok(())
        } else {
            self.numbers(llm::COST_NUMBERS, &costs.numbers)
        }
    }

    /// What calls are asked for by though it is in no column: a call of a tool that failed without a record of its error
    /// has a category, and a call of an LLM that was not named has a name.
    fn inferred(&mut self, records: &[&OperationRecord]) {
        let mut llm_calls = records.iter().flat_map(|record| &record.llm_calls);
        let nameless =
            llm_calls.find(|call| call.request_model.is_none() && call.response_model.is_none());
        self.hashes
            .extend(nameless.map(|call| filter::hash(dimension::LLM.as_bytes(), call.model())));
        let calls = || records.iter().flat_map(|record| &record.tool_calls);
        for status in [ToolStatus::Failure, ToolStatus::Timeout, ToolStatus::Error] {
            let inferred = |call: &&ToolCall| call.status == status && call.error.is_none();
            let category = calls().find(inferred).and_then(ToolCall::error_category);
            self.hashes.extend(category.map(|category: ErrorCategory| {
                filter::hash(dimension::ERROR.as_bytes(), category.as_str())
            }));
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

    fn finish(mut self, records: &[&OperationRecord]) -> Sealed {
        self.hashes.sort_unstable();
        self.hashes.dedup();
        let starts = || records.iter().map(|record| moment(record.started_at).0);
        let ids = || records.iter().map(|record| record.id.bits());
        let durations = records.iter().map(|record| nanos(record.duration).0);
        let meta = Meta {
            rows: records.len(),
            first_ns: starts().next().unwrap_or_default(),
            last_ns: starts().next_back().unwrap_or_default(),
            ids: (ids().min().unwrap_or_default(), ids().max().unwrap_or_default()),
            longest_ns: durations.max().unwrap_or_default(),
            outcomes: records.iter().fold(0, |bits, record| bits | 1 << outcome(record.outcome)),
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
