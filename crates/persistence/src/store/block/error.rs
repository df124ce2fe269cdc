//! What can go wrong between records and their sealed columns.

use std::error::Error;

use taximeter_models::OperationId;
use thiserror::Error;

use super::ColumnId;

/// Why a block was not read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BlockError {
    /// The bytes are not those that were sealed, or of another block.
    #[error("reading {} of a sealed block: {why}; `taximeter store repair` saves what can be saved", place(*.column))]
    Damaged {
        /// The column; none for the metadata of the block.
        column: Option<ColumnId>,
        /// What is wrong.
        why: &'static str,
    },
    /// The block was sealed by a newer version of this library.
    #[error(
        "reading a sealed block: it has version {version}, and this library reads up to {reads_up_to}; \
         use a newer taximeter"
    )]
    Newer {
        /// Its version.
        version: u8,
        /// The newest that is read.
        reads_up_to: u8,
    },
    /// A column could not be fetched.
    #[error("fetching column {column} of a sealed block failed; see the cause")]
    Fetch {
        /// The column.
        column: ColumnId,
        /// What the caller's function said.
        source: Box<dyn Error + Send + Sync>,
    },
}

fn place(column: Option<ColumnId>) -> String {
    column.map_or_else(|| "the metadata".to_owned(), |column| format!("column {column}"))
}

impl BlockError {
    /// Whether the bytes are damaged; the caller's own failures and newer versions are not.
    pub fn is_damaged(&self) -> bool {
        matches!(self, Self::Damaged { .. })
    }
}

/// Why records were not sealed. They stay where they are, and can be read there.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SealError {
    /// There are more records, or parts of them, than a block takes.
    #[error(
        "sealing {rows} rows of {what}: a block takes {most} at most; seal fewer records at once"
    )]
    TooMany {
        /// Rows of what.
        what: &'static str,
        /// How many there are.
        rows: usize,
        /// How many a block takes.
        most: usize,
    },
    /// A value cannot be written so that it is read back as it was: JSON that is nested deeper than 127, or an amount of
    /// money at the very edge of its range.
    #[error(
        "sealing operation {id}: {what} would not be read back as it is; leave the operation unsealed"
    )]
    NotExact {
        /// The operation.
        id: OperationId,
        /// Which of its values.
        what: &'static str,
    },
    /// The compressor refused.
    #[error("compressing a column of a sealed block failed; see the cause")]
    Compress {
        /// What it said.
        source: Box<dyn Error + Send + Sync>,
    },
}

/// Bytes that are not what was written, and why; where, is known further up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Broken(pub(in crate::store) &'static str);

impl Broken {
    pub(super) fn at(self, column: Option<ColumnId>) -> BlockError {
        BlockError::Damaged { column, why: self.0 }
    }
}
