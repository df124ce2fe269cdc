//! Rows on their way in and out: bound cell by cell, and summed up, so that a flipped bit does not go unseen.

use std::ops::Range;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, Row, Statement};

/// A cell that holds a number, or nothing.
pub(super) fn int<'a>(number: impl Into<Option<i64>>) -> ValueRef<'a> {
    number.into().map_or(ValueRef::Null, ValueRef::Integer)
}

/// A cell that holds a text, or nothing.
pub(super) fn text<'a>(text: impl Into<Option<&'a str>>) -> ValueRef<'a> {
    text.into().map_or(ValueRef::Null, |text| ValueRef::Text(text.as_bytes()))
}

/// A cell that holds bytes, or nothing.
pub(super) fn blob<'a>(bytes: impl Into<Option<&'a [u8]>>) -> ValueRef<'a> {
    bytes.into().map_or(ValueRef::Null, ValueRef::Blob)
}

/// The sum over the cells of one or more rows, in their order.
#[derive(Debug, Clone, Default)]
pub(super) struct Sum {
    bytes: Vec<u8>,
}

impl Sum {
    pub(super) fn add(&mut self, cell: ValueRef<'_>) {
        match cell {
            ValueRef::Null => self.bytes.push(0),
            ValueRef::Integer(number) => {
                self.bytes.push(1);
                self.bytes.extend(number.to_le_bytes());
            }
            ValueRef::Real(number) => {
                self.bytes.push(2);
                self.bytes.extend(number.to_le_bytes());
            }
            ValueRef::Text(bytes) => self.long(3, bytes),
            ValueRef::Blob(bytes) => self.long(4, bytes),
        }
    }

    pub(super) fn add_all(&mut self, cells: &[ValueRef<'_>]) {
        for cell in cells {
            self.add(*cell);
        }
    }

    fn long(&mut self, kind: u8, bytes: &[u8]) {
        self.bytes.push(kind);
        self.bytes.extend((bytes.len() as u64).to_le_bytes());
        self.bytes.extend(bytes);
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// The sum as it stands in a column: 32 bits find every flip of a few bits, and all but one in four thousand
    /// million of other damage.
    pub(super) fn checked(&self) -> i64 {
        // As a number with a sign it takes four bytes in a row, and not five or six.
        i64::from(crc32fast::hash(&self.bytes).cast_signed())
    }
}

/// Rows on their way into a table, many with one statement: finding the end of a table costs as much as a row does.
pub(super) struct Rows<'c> {
    columns: usize,
    many: CachedStatement<'c>,
    one: CachedStatement<'c>,
    cells: Vec<Cell>,
    /// The texts and bytes of the cells.
    bytes: Vec<u8>,
}

/// So many cells are put in with one statement, or a few less.
const CELLS: usize = 320;

enum Cell {
    Null,
    Integer(i64),
    Text(Range<usize>),
    Blob(Range<usize>),
}

impl<'c> Rows<'c> {
    pub(super) fn into(
        connection: &'c Connection,
        table: &str,
        columns: usize,
    ) -> rusqlite::Result<Self> {
        let row = format!("({})", vec!["?"; columns].join(","));
        let insert = |rows: usize| {
            let rows = vec![row.as_str(); rows].join(",");
            connection.prepare_cached(&format!("INSERT INTO {table} VALUES {rows}"))
        };
        let (many, one) = (insert(CELLS / columns)?, insert(1)?);
        Ok(Self { columns, many, one, cells: Vec::new(), bytes: Vec::new() })
    }

    /// Adds a row.
    pub(super) fn put(&mut self, cells: &[ValueRef<'_>]) -> rusqlite::Result<()> {
        for cell in cells {
            let cell = match cell {
                ValueRef::Integer(number) => Cell::Integer(*number),
                ValueRef::Text(text) => Cell::Text(self.keep(text)),
                ValueRef::Blob(bytes) => Cell::Blob(self.keep(bytes)),
                ValueRef::Null | ValueRef::Real(_) => Cell::Null,
            };
            self.cells.push(cell);
        }
        if self.cells.len() / self.columns < CELLS / self.columns {
            return Ok(());
        }
        bind(&mut self.many, &self.cells, &self.bytes)?;
        self.clear();
        Ok(())
    }

    /// Puts in what waits.
    pub(super) fn finish(&mut self) -> rusqlite::Result<()> {
        for row in self.cells.chunks(self.columns) {
            bind(&mut self.one, row, &self.bytes)?;
        }
        self.clear();
        Ok(())
    }

    fn keep(&mut self, bytes: &[u8]) -> Range<usize> {
        let from = self.bytes.len();
        self.bytes.extend(bytes);
        from..self.bytes.len()
    }

    fn clear(&mut self) {
        self.cells.clear();
        self.bytes.clear();
    }
}

fn bind(statement: &mut Statement<'_>, cells: &[Cell], bytes: &[u8]) -> rusqlite::Result<()> {
    for (place, cell) in cells.iter().enumerate() {
        let value = match cell {
            Cell::Null => ValueRef::Null,
            Cell::Integer(number) => ValueRef::Integer(*number),
            Cell::Text(range) => ValueRef::Text(&bytes[range.clone()]),
            Cell::Blob(range) => ValueRef::Blob(&bytes[range.clone()]),
        };
        statement.raw_bind_parameter(place + 1, ToSqlOutput::Borrowed(value))?;
    }
    statement.raw_execute()?;
    Ok(())
}

/// A row that is read cell by cell, from the left.
pub(super) struct Cells<'r> {
    row: &'r Row<'r>,
    next: usize,
}

/// What is wrong with a row.
pub(super) type Wrong = String;

impl<'r> Cells<'r> {
    /// Adds the first so many cells to the sum, and begins to read.
    pub(super) fn summed(row: &'r Row<'r>, cells: usize, sum: &mut Sum) -> rusqlite::Result<Self> {
        for place in 0..cells {
            sum.add(row.get_ref(place)?);
        }
        Ok(Self { row, next: 0 })
    }

    fn next(&mut self) -> Result<ValueRef<'r>, Wrong> {
        self.next += 1;
        self.row.get_ref(self.next - 1).map_err(|error| error.to_string())
    }

    pub(super) fn int(&mut self) -> Result<Option<i64>, Wrong> {
        self.next()?.as_i64_or_null().map_err(|error| self.wrong(&error))
    }

    pub(super) fn text(&mut self) -> Result<Option<&'r str>, Wrong> {
        self.next()?.as_str_or_null().map_err(|error| self.wrong(&error))
    }

    pub(super) fn blob(&mut self) -> Result<Option<&'r [u8]>, Wrong> {
        self.next()?.as_blob_or_null().map_err(|error| self.wrong(&error))
    }

    /// A number that has to be there.
    pub(super) fn number(&mut self) -> Result<i64, Wrong> {
        self.int()?.ok_or_else(|| format!("column {} is empty", self.next - 1))
    }

    fn wrong(&self, error: &impl ToString) -> Wrong {
        format!("column {}: {}", self.next - 1, error.to_string())
    }
}
