//! Parquet: columns for those who ask, and each operation as a whole for those who want it back.

use std::path::Path;

use proptest::prelude::*;
use taximeter_models::OperationRecord;
use taximeter_persistence::{ExportFormat, ExportOptions, ImportOptions, Importer};

use crate::support::{all, operation};

fn write(path: &Path, operations: &[OperationRecord]) {
    let options = ExportOptions::new(ExportFormat::Parquet).overwrite(true);
    let mut exporter = options.create(path).unwrap();
    exporter.write_all(operations).unwrap();
    exporter.finish().unwrap();
}

fn many(count: u128) -> Vec<OperationRecord> {
    let one = |number: u128| {
        let mut operation = OperationRecord::new(format!("op {number}"));
        operation.id = taximeter_models::OperationId::from_bits(number + 1);
        operation.trace_id = operation.id.into();
        operation
    };
    (0..count).map(one).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn operations_come_back_as_they_were(operations in prop::collection::vec(operation(), 0..6)) {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("out.parquet");
        write(&path, &operations);
        let (back, rejected) = all(&mut Importer::open(&path).unwrap());
        prop_assert!(rejected.is_empty(), "{:?}", rejected);
        prop_assert_eq!(back, operations);
    }
}

#[test]
fn groups_are_read_one_after_another_and_again_from_anywhere() {
    let room = tempfile::tempdir().unwrap();
    let path = room.path().join("out.parquet");
    let operations = many(20_500);
    write(&path, &operations);
    for stop in [1, 256, 20_000, 20_300] {
        let mut importer = Importer::open(&path).unwrap();
        let before: Vec<_> =
            importer.by_ref().take(stop).map(|item| item.unwrap().unwrap()).collect();
        assert_eq!(before, operations[..stop]);
        let checkpoint = importer.checkpoint().unwrap();
        let mut rest = ImportOptions::new().resume(&path, &checkpoint).unwrap();
        assert_eq!(all(&mut rest).0, operations[stop..], "after {stop}");
        assert_eq!(rest.position().bytes_read, std::fs::metadata(&path).unwrap().len());
    }
}

#[test]
fn a_stream_and_a_table_of_others_are_refused_with_a_reason() {
    let room = tempfile::tempdir().unwrap();
    let path = room.path().join("out.parquet");
    write(&path, &many(3));
    let bytes = std::fs::read(&path).unwrap();
    let error = ImportOptions::new().read(std::io::Cursor::new(bytes)).unwrap_err();
    assert!(error.to_string().contains("takes a file and no stream"), "{error}");
}

/// Any byte may be another, and the file may end anywhere: that is an error or a rejected row, never a panic.
#[test]
fn broken_files_are_errors() {
    let room = tempfile::tempdir().unwrap();
    let path = room.path().join("out.parquet");
    write(&path, &many(60));
    let whole = std::fs::read(&path).unwrap();
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..500 {
        let mut bytes = whole.clone();
        for _ in 0..=round % 3 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let at = usize::try_from(seed >> 8).unwrap_or_default() % bytes.len();
            if round % 7 == 0 {
                bytes.truncate(at.max(1));
            } else {
                bytes[at] = seed.to_le_bytes()[0];
            }
        }
        std::fs::write(&path, &bytes).unwrap();
        if let Ok(importer) = Importer::open(&path) {
            let rows = importer.take_while(Result::is_ok).count();
            assert!(rows <= 60, "{rows}");
        }
    }
}
