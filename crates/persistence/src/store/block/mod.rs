//! Sealed blocks: some ten thousand operations as a set of compressed columns, of which each is read by itself.
//!
//! | You want | It is |
//! |---|---|
//! | to seal records | [`seal`], which makes a [`Sealed`]; [`seal_with`] an [`Effort`] |
//! | to put blocks together | [`merge`] |
//! | to know without reading it whether a block is worth reading | [`Meta`] |
//! | to read ids, records or columns of a block | [`Reader`] |
//! | which rows fulfil a query | [`Reader::matching`], which makes [`Rows`] |
//! | why it did not work | [`SealError`], [`BlockError`] |
//!
//! Pure functions: where the bytes lie, and in what transaction they are written, is the caller's business. The layout
//! stands in `docs/FORMATS.md`, "Sealed blocks".
//!
//! ```
//! use std::collections::HashMap;
//! use taximeter_models::OperationRecord;
//! use taximeter_persistence::store::block::{BlockError, ColumnId, Reader, Rows, seal};
//!
//! let records = vec![OperationRecord::new("qa_response"); 3];
//! let sealed = seal(&records).expect("nothing in it is out of range");
//!
//! let columns: HashMap<ColumnId, Vec<u8>> = sealed.columns.into_iter().collect();
//! let fetch = |column| columns.get(&column).cloned().ok_or("it is not there");
//! let mut reader = Reader::open(&sealed.meta, fetch)?;
//! assert_eq!(reader.records(&Rows::All(3))?, records);
//!
//! // A bit that is not as it was is an error, and never another number.
//! let mut damaged = sealed.meta.clone();
//! damaged[7] ^= 1;
//! assert!(Reader::open(&damaged, fetch).is_err_and(|error| error.is_damaged()));
//! # Ok::<(), BlockError>(())
//! ```

mod bytes;
mod calls;
mod column;
mod cost;
mod costs;
mod counted;
mod effort;
mod error;
mod faults;
mod filter;
mod ids;
mod maps;
mod matching;
mod merge;
mod meta;
mod numbered;
mod numbers;
mod packed;
mod picked;
mod presence;
mod read_maps;
mod reader;
mod recipe;
mod records;
mod scan;
mod seal;
mod sheets;
mod spent;
mod squeeze;
#[cfg(feature = "sqlite")]
mod sums;
#[cfg(test)]
mod tests;
mod texts;
mod times;

#[cfg(feature = "sqlite")]
pub(super) use bytes::Cursor;
pub use column::ColumnId;
pub use effort::Effort;
#[cfg(feature = "sqlite")]
pub(super) use error::Broken;
pub use error::{BlockError, SealError};
pub use matching::Rows;
pub use merge::{MergeError, merge};
pub use meta::{MOST_RECORDS, Meta};
pub use reader::Reader;
pub use seal::{Sealed, seal, seal_with};
#[cfg(feature = "sqlite")]
pub(in crate::store) use sums::SUMS;
