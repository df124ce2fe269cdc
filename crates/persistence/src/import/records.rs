//! Reading our own operations: from sessions, ours and the original system's, and from lines.

use serde::{Deserialize, Serialize};
use taximeter_models::{OperationId, OperationRecord};

use super::error::{ImportError, Why};
use super::frame::{Frame, Head};
use super::id::operation_id;
use super::output::Output;
use super::{Format, Parser};

/// What the first line of a file of our operations calls them.
pub(crate) const FORMAT: &str = "taximeter-operations";

/// The newest version of such files, and of sessions, that is read; the former is the one that is written.
pub(crate) const READS_UP_TO: u64 = 1;

/// Reads one operation of each frame.
pub(crate) struct Records {
    pub(crate) format: Format,
}

/// The first line of a file of operations.
#[derive(Serialize, Deserialize)]
pub(crate) struct Header<'a> {
    #[serde(borrow)]
    format: std::borrow::Cow<'a, str>,
    version: u64,
}

/// The first line of a file of operations that is written now.
pub(crate) fn header() -> Header<'static> {
    Header { format: FORMAT.into(), version: READS_UP_TO }
}

impl Parser for Records {
    fn frame(
        &mut self,
        frame: &Frame<'_>,
        head: &Head,
        out: &mut Output,
    ) -> Result<(), ImportError> {
        if frame.place.index == 0 {
            self.check_version(frame, head, out)?;
        }
        match serde_json::from_slice::<OperationRecord>(frame.bytes) {
            Ok(record) => out.record(with_id(record, frame, head)),
            Err(_) if self.is_header(frame) => out.counts.ignore("header"),
            Err(error) => out.reject(frame.place, Why::json(&error)),
        }
        Ok(())
    }
}

impl Records {
    fn is_header(&self, frame: &Frame<'_>) -> bool {
        self.format == Format::Jsonl
            && serde_json::from_slice::<Header<'_>>(frame.bytes)
                .is_ok_and(|header| header.format == FORMAT)
    }

    /// A newer document is refused before anything of it is given out.
    fn check_version(
        &self,
        frame: &Frame<'_>,
        head: &Head,
        out: &Output,
    ) -> Result<(), ImportError> {
        let version = match head.get("taximeter_version") {
            Some(text) => text.parse().ok(),
            None if self.format == Format::Jsonl => {
                let header = serde_json::from_slice::<Header<'_>>(frame.bytes);
                header.ok().filter(|header| header.format == FORMAT).map(|header| header.version)
            }
            None => None,
        };
        match version {
            Some(version) if version > READS_UP_TO => Err(ImportError::NewerVersion {
                path: out.path.as_deref().map(Into::into),
                version,
                reads_up_to: READS_UP_TO,
            }),
            _ => Ok(()),
        }
    }
}

/// Operations of the original system have no ids: theirs follow from the session and the place in it, so that a
/// session that was saved again with more operations adds those alone.
fn with_id(mut record: OperationRecord, frame: &Frame<'_>, head: &Head) -> OperationRecord {
    if record.id != OperationId::default() {
        return record;
    }
    let session: Option<String> =
        head.get("session_id").and_then(|text| serde_json::from_str(text).ok());
    let index = frame.place.index.to_string();
    let parts = ["session", session.as_deref().unwrap_or_default(), &index];
    record.id = operation_id(record.started_at, &parts);
    record.trace_id = record.id.into();
    if record.session.is_none() {
        record.session = session.map(Into::into);
    }
    record
}
