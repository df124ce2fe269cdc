//! A block of every version that was ever written is read for ever.

use taximeter_models::OperationRecord;

use super::super::{ColumnId, Reader, Rows, seal};
use super::arbitrary;

/// The block of version 1: its metadata, and its columns one behind the other, each with number and size before it.
const META: &[u8] = include_bytes!("golden/1.meta");
const COLUMNS: &[u8] = include_bytes!("golden/1.columns");

fn records() -> Vec<OperationRecord> {
    let mut records = vec![arbitrary::full(); 300];
    for (row, record) in (0_u32..).zip(&mut records) {
        record.id =
            taximeter_models::OperationId::from_bits(u128::from(row) << 64 | 0b10 << 62 | 7);
        record.started_at += chrono::TimeDelta::milliseconds(i64::from(row * row));
        let nanos = u64::from(row).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 30;
        record.duration = std::time::Duration::from_nanos(nanos);
        record.tool_calls[0].arguments_hash = Some(u64::from(row % 3).wrapping_mul(nanos));
        record.user = Some(format!("user {}", row % 7).as_str().into());
        record.metadata.insert("url".into(), format!("https://example.org/{}", row * 977).into());
        record.components[0].duration *= row + 1;
    }
    records.push(arbitrary::every_kind());
    // It was written before there were any.
    for record in &mut records {
        record.remote_parent = None;
    }
    records.sort_by_key(|record| (record.started_at, record.id));
    records
}

fn column(asked: ColumnId) -> Option<Vec<u8>> {
    let mut rest = COLUMNS;
    while let Some((head, more)) = rest.split_first_chunk::<6>() {
        let [low, high, size @ ..] = *head;
        let (bytes, more) = more.split_at(u32::from_le_bytes(size) as usize);
        if u16::from_le_bytes([low, high]) == asked.get() {
            return Some(bytes.to_vec());
        }
        rest = more;
    }
    None
}

#[test]
fn a_block_of_version_1_is_read() {
    let mut reader = Reader::open(META, |asked| column(asked).ok_or("no such column")).unwrap();
    let back = reader.records(&Rows::All(301)).unwrap();
    let expected = records();
    for (back, expected) in back.iter().zip(&expected) {
        assert_eq!(back, expected);
    }
    assert_eq!(back.len(), expected.len());
}

/// Only for a new version: what is read for ever is written once.
#[test]
#[ignore = "it writes the golden block of this version"]
fn write() {
    let sealed = seal(&records()).unwrap();
    let folder =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/block/tests/golden");
    let mut columns = Vec::new();
    for (column, bytes) in &sealed.columns {
        columns.extend_from_slice(&column.get().to_le_bytes());
        columns.extend_from_slice(&u32::try_from(bytes.len()).unwrap().to_le_bytes());
        columns.extend_from_slice(bytes);
    }
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("1.meta"), &sealed.meta).unwrap();
    std::fs::write(folder.join("1.columns"), columns).unwrap();
}
