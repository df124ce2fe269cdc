//! Stores of version 1, in which each part of an operation was a row: brought to this version, row by row.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use serde_json::Value;

use super::blocks;
use super::cells::{Rows, Sum, int};
use super::parts::List;
use super::schema::{BLOCKS, DROP_VIEWS, OPERATIONS, VIEWS};
use super::write::COLUMNS;

/// A table of parts: the places of its columns in the order in which they are cells now, and those that hold JSON.
struct Parts {
    table: &'static str,
    order: &'static [usize],
    json: &'static [usize],
}

const PARTS: [Parts; 4] = [
    Parts { table: "components", order: &[1, 2, 3, 4], json: &[] },
    Parts { table: "tool_calls", order: &[1, 2, 3, 4, 7, 8, 5, 6, 9], json: &[8, 9] },
    Parts {
        table: "llm_calls",
        order: &[1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 14, 16, 8, 9, 18, 19, 13, 17, 15, 20],
        json: &[13, 15, 19, 20],
    },
    Parts { table: "faults", order: &[1, 2, 4, 3, 6, 5], json: &[5] },
];

/// The place of calls of LLMs among the tables, and of two cells in such a call.
const LLM_CALLS: usize = 2;
const COST: usize = 11;
const CURRENCY: usize = 17;
/// The column of an operation that holds what it cost.
const COST_USD: usize = 13;

/// An operation had places for so many parts of a kind under each of its numbers.
const PLACES: i64 = 4_096;
/// The columns of an operation before its checksum.
const HEAD: usize = 15;

const BEFORE: &str = "
    DROP INDEX operations_by_id;
    ALTER TABLE operations RENAME TO operations_1;
    ALTER TABLE blocks RENAME TO blocks_1;
    INSERT INTO block_columns SELECT id << 16, meta FROM blocks_1;";

const AFTER: &str = "
    DROP TABLE operations_1; DROP TABLE blocks_1; DROP TABLE components; DROP TABLE tool_calls; DROP TABLE llm_calls; DROP TABLE faults;";

/// Brings a store of version 1 to version 2, within a transaction. What did not fit its checksum does not fit it then.
pub(super) fn migrate(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(DROP_VIEWS)?;
    connection.execute_batch(BEFORE)?;
    connection.execute_batch(OPERATIONS)?;
    operations(connection)?;
    connection.execute_batch(BLOCKS)?;
    list_blocks(connection)?;
    // A table that a statement waits to read cannot go.
    connection.flush_prepared_statement_cache();
    connection.execute_batch(AFTER)?;
    connection.execute_batch(VIEWS)
}

fn operations(connection: &Connection) -> rusqlite::Result<()> {
    let mut into = Rows::into(connection, "operations", COLUMNS)?;
    let mut select = connection.prepare("SELECT * FROM operations_1 ORDER BY seq")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        operation(connection, row, &mut into)?;
    }
    into.finish()
}

fn list_blocks(connection: &Connection) -> rusqlite::Result<()> {
    let mut select = connection.prepare("SELECT id, from_ns, to_ns, operations FROM blocks_1")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let listed = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        blocks::list(connection, listed, None)?;
    }
    Ok(())
}

fn operation(connection: &Connection, row: &Row<'_>, into: &mut Rows<'_>) -> rusqlite::Result<()> {
    let mut cells = Vec::with_capacity(COLUMNS);
    for place in 0..HEAD {
        cells.push(row.get_ref(place)?);
    }
    let mut sum = Sum::default();
    sum.add_all(&cells);
    let first = row.get::<_, i64>(0)?.saturating_mul(PLACES);
    let end = first.saturating_add(PLACES.saturating_mul(room(cells[HEAD - 1])));
    let mut rows = Vec::new();
    for parts in &PARTS {
        rows.push(parts.read(connection, (first, end), &mut sum)?);
    }
    let fits = row.get_ref(HEAD)?.as_i64() == Ok(sum.checked());
    let cost = rows.get_mut(LLM_CALLS).and_then(|calls| cost_of_the_only_one(calls));
    if let Some(cost) = cost.as_deref() {
        cells[COST_USD] = ValueRef::Text(cost.as_bytes());
    }
    let mut lists = PARTS.map(|_| List::default());
    for (list, rows) in lists.iter_mut().zip(&rows) {
        for row in rows {
            list.push(row);
        }
        cells.push(list.end());
    }
    let mut sum = Sum::default();
    sum.add_all(&cells);
    let checked = sum.checked();
    cells.push(int(if fits { checked } else { !checked }));
    into.put(&cells)
}

/// The cost of the only call of an operation in US dollars is with the operation now.
fn cost_of_the_only_one(calls: &mut [Vec<Value>]) -> Option<String> {
    let [call] = calls else { return None };
    if !call[CURRENCY].is_null() {
        return None;
    }
    match call[COST].take() {
        Value::String(cost) => Some(cost),
        _ => None,
    }
}

/// How many numbers an operation took.
fn room(more: ValueRef<'_>) -> i64 {
    let more = more.as_str().ok().and_then(|text| serde_json::from_str::<Value>(text).ok());
    more.and_then(|more| more.get("room")?.as_i64()).unwrap_or(1).max(1)
}

impl Parts {
    fn read(
        &self,
        connection: &Connection,
        range: (i64, i64),
        sum: &mut Sum,
    ) -> rusqlite::Result<Vec<Vec<Value>>> {
        let Self { table, order, json } = self;
        let sql = format!("SELECT * FROM {table} WHERE part >= ?1 AND part < ?2 ORDER BY part");
        let mut select = connection.prepare_cached(&sql)?;
        let (mut rows, mut read) = (select.query(range)?, Vec::new());
        while let Some(row) = rows.next()? {
            for place in 0..=order.len() {
                sum.add(row.get_ref(place)?);
            }
            let cell = |place: &usize| Ok(value(row.get_ref(*place)?, json.contains(place)));
            read.push(order.iter().map(cell).collect::<rusqlite::Result<_>>()?);
        }
        Ok(read)
    }
}

fn value(cell: ValueRef<'_>, json: bool) -> Value {
    match cell {
        ValueRef::Integer(number) => number.into(),
        ValueRef::Text(bytes) => {
            let text = String::from_utf8_lossy(bytes);
            let value = json.then(|| serde_json::from_str(&text).ok()).flatten();
            value.unwrap_or_else(|| text.into())
        }
        // There were no others in these columns.
        ValueRef::Null | ValueRef::Real(_) | ValueRef::Blob(_) => Value::Null,
    }
}
