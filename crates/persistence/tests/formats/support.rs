//! What the tests share.

use std::path::{Path, PathBuf};

use taximeter_models::{OperationRecord, TokenUsage, Totals};
use taximeter_persistence::{Importer, Rejected};

/// A file or folder of the test data.
pub(crate) fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests-data").join(path)
}

/// Everything that an import gives.
pub(crate) fn all(importer: &mut Importer) -> (Vec<OperationRecord>, Vec<Rejected>) {
    let (mut records, mut rejected) = (Vec::new(), Vec::new());
    for item in importer {
        match item.unwrap() {
            Ok(record) => records.push(record),
            Err(refused) => rejected.push(refused),
        }
    }
    (records, rejected)
}

pub(crate) fn totals(records: &[OperationRecord]) -> Totals {
    Totals::of(records)
}

pub(crate) fn usage(records: &[OperationRecord]) -> TokenUsage {
    totals(records).usage
}

/// The operations of that name, in the order in which they began.
pub(crate) fn named<'a>(records: &'a [OperationRecord], name: &str) -> Vec<&'a OperationRecord> {
    let mut found: Vec<_> = records.iter().filter(|record| record.name == *name).collect();
    found.sort_by_key(|record| record.started_at);
    found
}
