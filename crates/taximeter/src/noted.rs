//! What a meter has counted, as notes in its store: so that who asks the store learns what is not in it.
//!
//! A meter has a note for each hour in which it ran, with its counts as of the last flush or look after the store in that
//! hour. A note is written again and again in its own place, so nothing is counted twice.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use taximeter_collector::CountsReader;
use taximeter_models::Name;
use taximeter_persistence::StoreError;
use taximeter_persistence::store::{Note, Store};

/// How the keys of these notes begin; the meter and the hour follow.
pub(crate) const KEY: &str = "meter/";
/// Older notes are forgotten.
const KEPT: TimeDelta = TimeDelta::days(100);

/// The end of the key of a note of this moment. It sorts as time does.
pub(crate) fn hour(at: DateTime<Utc>) -> String {
    at.format("%FT%H").to_string()
}

/// What a note says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counted {
    /// The session, whose id may be that of several meters.
    pub(crate) session: Name,
    /// Every count that is not zero, by its name on the wire, since the meter was made.
    pub(crate) counts: BTreeMap<Name, u64>,
    /// What the store said when it last refused something, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_error: Option<(DateTime<Utc>, String)>,
}

/// Writes the notes of one meter.
pub(crate) struct Noter {
    counts: CountsReader,
    /// The key, up to the hour.
    key: String,
    session: Name,
    last: Mutex<Option<Counted>>,
}

impl Noter {
    /// For the meter of that id, which is no other's.
    pub(crate) fn new(counts: CountsReader, meter: impl std::fmt::Display, session: Name) -> Self {
        Self { counts, key: format!("{KEY}{meter}/"), session, last: Mutex::default() }
    }

    /// Writes what has changed.
    pub(crate) fn note(
        &self,
        store: &dyn Store,
        now: DateTime<Utc>,
        last_error: Option<(DateTime<Utc>, String)>,
    ) -> Result<(), StoreError> {
        let Some(counts) = self.counts.read() else { return Ok(()) };
        let counts = counts.by_name().filter(|(name, count)| *count > 0 && *name != "queue_bytes");
        let counts = counts.map(|(name, count)| (name.into(), count)).collect();
        let counted = Counted { session: self.session.clone(), counts, last_error };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref() == Some(&counted) {
            return Ok(());
        }
        let key = format!("{}{}", self.key, hour(now));
        // Numbers, names and times always can be written.
        let value = serde_json::to_value(&counted).unwrap_or_default();
        store.put_note(&Note::new(key, now, value))?;
        if last.is_none() {
            store.forget_notes(KEY, now - KEPT)?;
        }
        *last = Some(counted);
        Ok(())
    }
}
