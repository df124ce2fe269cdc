//! Rows on their way in and out: bound cell by cell, and summed up, so that a flipped bit does not go unseen.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Row, Statement};

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

    fn long(&mut self, kind: u8, bytes: &[u8]) {
        self.bytes.push(kind);
        self.bytes.extend((bytes.len() as u64).to_le_bytes());
        self.bytes.extend(bytes);
    }

    /// Adds what was gathered elsewhere.
    pub(super) fn add_bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// The sum as it stands in a column: 32 bits find every flip of a few bits, and all but one in four thousand
    /// million of other damage.
    pub(super) fn checked(&self) -> i64 {
        checked(&self.bytes)
    }
}

/// The sum over bytes.
pub(super) fn checked(bytes: &[u8]) -> i64 {
    // As a number with a sign it takes four bytes in a row, and not five or six.
    i64::from(crc32fast::hash(bytes).cast_signed())
}

/// Runs a prepared statement with these cells, and adds them to the sum.
pub(super) fn insert(
    statement: &mut Statement<'_>,
    sum: &mut Sum,
    cells: &[ValueRef<'_>],
) -> rusqlite::Result<()> {
    for (place, cell) in cells.iter().enumerate() {
        sum.add(*cell);
        statement.raw_bind_parameter(place + 1, ToSqlOutput::Borrowed(*cell))?;
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
