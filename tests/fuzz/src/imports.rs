//! Any bytes as a file of which the format is told by its beginning, and as one of a format that can be imported, which is
//! another with each length: each piece is an operation, or is rejected with its place.

use std::io::Cursor;

use chrono::{DateTime, Utc};
use taximeter_persistence::{Format, ImportOptions};

pub(crate) fn holds(bytes: &[u8]) {
    import(bytes, None);
    import(bytes, Some(Format::ALL[bytes.len() % Format::ALL.len()]));
}

fn import(bytes: &[u8], format: Option<Format>) {
    let options = ImportOptions::new().limit(64 << 10).now(DateTime::<Utc>::UNIX_EPOCH);
    let options = match format {
        Some(format) => options.format(format),
        None => options,
    };
    let Ok(importer) = options.read(Cursor::new(bytes.to_vec())) else { return };
    for item in importer {
        match item {
            Ok(Ok(record)) => drop(serde_json::to_vec(&record).expect("a record is JSON")),
            Ok(Err(rejected)) => assert!(!rejected.to_string().is_empty()),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}
