//! Why a question over a store has no answer.

use taximeter_models::OperationId;
use taximeter_persistence::StoreError;
use thiserror::Error;

/// Why a question has no answer, and what to ask instead.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no operation whose id begins so.
    #[error("looking for the operation {id}: there is none; `taximeter ops` lists what there is")]
    NoOperation {
        /// The beginning of the id.
        id: String,
    },
    /// More than one operation has an id that begins so.
    #[error(
        "looking for the operation {id}: several begin so, such as {one} and {other}; give more of the id"
    )]
    SeveralOperations {
        /// The beginning of the id.
        id: String,
        /// One of them.
        one: OperationId,
        /// Another.
        other: OperationId,
    },
    /// A text that cannot begin an id.
    #[error("looking for the operation {id}: an id has hexadecimal digits and hyphens")]
    NoId {
        /// The text.
        id: String,
    },
    /// A side of a comparison has no operations.
    #[error("comparing: {side} has no operations; name a longer period or fewer conditions")]
    EmptySide {
        /// The side as it was written.
        side: String,
    },
}
