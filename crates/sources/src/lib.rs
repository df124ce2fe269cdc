//! From the public price tables to one price book: read, refuse, merge, report.
//!
//! | Room | Does |
//! |---|---|
//! | [`litellm`] | reads LiteLLM's JSON, older files of it, and tokencost's, which has the same form |
//! | [`genai`] | reads the JSON of genai-prices |
//! | [`model_prices`] | reads the snapshot of model-prices |
//! | [`merge`] | makes one book of several tables, and says where they differ |
//! | [`carry`] | keeps the names that the tables no longer know |
//! | [`report`] | writes down for review what was decided |
//! | [`diff`] | compares two books |
//! | [`verify`] | checks that a book knows every name of the tables |
//!
//! Each gives an [`Import`]: a book, and a note for everything that was left out, changed or doubted. Numbers are
//! taken as decimals from their text and never go through a float.

pub mod carry;
pub mod diff;
mod draft;
pub mod genai;
#[cfg(test)]
mod known_answers;
pub mod litellm;
pub mod merge;
pub mod model_prices;
mod note;
mod number;
mod providers;
mod refuse;
pub mod report;
#[cfg(test)]
mod small_tables;
pub mod verify;

pub use note::{Import, ImportError, Label, Note, NoteKind, Origin};
pub use number::Number;
