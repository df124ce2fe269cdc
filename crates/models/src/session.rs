//! One run of an application: its operations, and what follows from them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::{Metadata, Name, OperationRecord, PerformanceTrend, Totals};

/// One run of an application.
///
/// Its totals are not stored in it but follow from its operations; JSON shows them under the names of the original
/// system, and they are computed anew when a document is read.
///
/// ```
/// use taximeter_models::{OperationRecord, Session};
///
/// let mut session = Session::new("demo", "2026-11-23T12:00:00Z".parse()?);
/// session.operations.push(OperationRecord::new("qa_response"));
/// let json = serde_json::to_value(&session)?;
/// assert_eq!(json["total_operations"], 1);
/// assert_eq!(serde_json::from_value::<Session>(json)?, session);
///
/// // A document that is newer than this library is refused, not guessed at.
/// let newer = r#"{"taximeter_version": 99, "session_id": "x", "start_time": "2026-11-23T12:00:00Z"}"#;
/// assert!(serde_json::from_str::<Session>(newer).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Session {
    /// Its id.
    pub id: Name,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended, if it has.
    pub ended_at: Option<DateTime<Utc>>,
    /// Its operations, in the order in which they ended.
    pub operations: Vec<OperationRecord>,
    /// The trends that were found in it.
    pub trends: Vec<PerformanceTrend>,
    /// What had to be assumed when the document was read, in words.
    pub notes: Vec<String>,
    /// What the collector counted while it ran: operations offered, stored and lost by reason, parts that were cut,
    /// texts that were masked. Counts of zero are left out; empty where another program wrote the document.
    pub collected: BTreeMap<Name, u64>,
    /// What the program wanted to keep with it.
    pub metadata: Metadata,
}

impl Session {
    /// A session with nothing in it yet.
    pub fn new(id: impl Into<Name>, started_at: DateTime<Utc>) -> Self {
        Self {
            id: id.into(),
            started_at,
            ended_at: None,
            operations: Vec::new(),
            trends: Vec::new(),
            notes: Vec::new(),
            collected: BTreeMap::new(),
            metadata: Metadata::new(),
        }
    }

    /// The totals of its operations.
    pub fn totals(&self) -> Totals {
        Totals::of(&self.operations)
    }
}
