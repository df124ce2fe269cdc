//! Damage is an error, whatever the bytes; and bytes that somebody made on purpose are an error or records, but never a
//! panic.

use std::collections::HashMap;
use std::ops::ControlFlow;

use proptest::prelude::*;
use taximeter_models::OperationRecord;

use super::super::seal::checksum;
use super::{TABLES, arbitrary, oracle};
use crate::store::block::{BlockError, ColumnId, Meta, Reader, Rows, Sealed, seal};
use crate::store::{Condition, Query};

fn small() -> (Vec<OperationRecord>, Sealed) {
    let mut records = vec![arbitrary::full(); 20];
    for (row, record) in (0_u32..).zip(&mut records) {
        record.user = Some(format!("user {}", row * row).as_str().into());
        record.duration *= row;
        record.metadata.insert("row".into(), row.into());
        record.errors[0].message = format!("{row:x}").repeat(9);
    }
    let sealed = seal(&records).expect("it can be sealed");
    (records, sealed)
}

/// Everything that can be asked of a block.
fn read_all(sealed: &Sealed) -> Result<Vec<OperationRecord>, BlockError> {
    let columns: HashMap<ColumnId, &Vec<u8>> =
        sealed.columns.iter().map(|(column, bytes)| (*column, bytes)).collect();
    let fetch = |column| columns.get(&column).map(|bytes| (*bytes).clone()).ok_or("no such column");
    let meta = Meta::read(&sealed.meta)?;
    let rows = Rows::All(meta.rows());
    Reader::of(meta.into(), fetch).records(&rows)
}

/// One column, through the one door that all columns come through.
fn read_column(sealed: &Sealed, meta: &Meta, at: usize) -> Result<(), BlockError> {
    let (column, bytes) = &sealed.columns[at];
    Reader::of(std::sync::Arc::new(meta.clone()), |_| Ok::<_, &str>(bytes.clone()))
        .payload(*column)
        .map(|_| ())
}

/// The same by its columns; what it answers is not looked at.
fn ask_all(sealed: &Sealed) {
    let columns: HashMap<ColumnId, &Vec<u8>> =
        sealed.columns.iter().map(|(column, bytes)| (*column, bytes)).collect();
    let fetch = |column| columns.get(&column).map(|bytes| (*bytes).clone()).ok_or("no such column");
    let Ok(meta) = Meta::read(&sealed.meta) else { return };
    for condition in super::conditions(&[arbitrary::full()]) {
        let mut reader = Reader::of(std::sync::Arc::new(meta.clone()), fetch);
        let _ = reader.matching(&Query::default().and(condition));
    }
    for table in TABLES {
        for column in oracle::columns(&[arbitrary::full()]) {
            let mut reader = Reader::of(std::sync::Arc::new(meta.clone()), fetch);
            let query = Query::default().and(Condition::AtLeastNanos(3));
            let _ = reader.scan(table, &query, &[column], &mut |_| ControlFlow::Continue(()));
        }
    }
}

#[test]
fn every_flipped_bit_is_seen() {
    let (records, sealed) = small();
    assert_eq!(read_all(&sealed).unwrap().len(), records.len());
    let mut damaged = sealed.clone();
    for bit in 0..sealed.meta.len() * 8 {
        damaged.meta[bit / 8] ^= 1 << (bit % 8);
        assert!(Meta::read(&damaged.meta).unwrap_err().is_damaged(), "bit {bit} of the metadata");
        damaged.meta[bit / 8] ^= 1 << (bit % 8);
    }
    let meta = Meta::read(&sealed.meta).unwrap();
    for at in 0..sealed.columns.len() {
        for bit in 0..sealed.columns[at].1.len() * 8 {
            damaged.columns[at].1[bit / 8] ^= 1 << (bit % 8);
            let column = sealed.columns[at].0;
            let error = read_column(&damaged, &meta, at).unwrap_err();
            assert!(
                matches!(error, BlockError::Damaged { column: Some(known), .. } if known == column),
                "bit {bit} of column {column}: {error}"
            );
            damaged.columns[at].1[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn every_truncation_is_seen_and_every_byte_too_many() {
    let (_, sealed) = small();
    for length in 0..sealed.meta.len() {
        assert!(Meta::read(&sealed.meta[..length]).unwrap_err().is_damaged());
    }
    let mut longer = sealed.meta.clone();
    longer.push(0);
    assert!(Meta::read(&longer).unwrap_err().is_damaged());
    let meta = Meta::read(&sealed.meta).unwrap();
    for at in 0..sealed.columns.len() {
        let mut damaged = sealed.clone();
        while damaged.columns[at].1.pop().is_some() {
            assert!(read_column(&damaged, &meta, at).unwrap_err().is_damaged());
        }
        damaged.columns[at].1 = sealed.columns[at].1.clone();
        damaged.columns[at].1.push(0);
        assert!(read_all(&damaged).unwrap_err().is_damaged());
    }
}

#[test]
fn columns_that_changed_places_are_seen() {
    let (mut records, sealed) = small();
    records[3].duration *= 2;
    let other = seal(&records).unwrap();
    for at in 0..sealed.columns.len() {
        let mut damaged = sealed.clone();
        damaged.columns[at].1 = sealed.columns[(at + 1) % sealed.columns.len()].1.clone();
        assert!(read_all(&damaged).unwrap_err().is_damaged());
        // That of another block is either the same or seen.
        damaged.columns[at].1 = other.columns[at].1.clone();
        let same = damaged.columns[at].1 == sealed.columns[at].1;
        assert_eq!(read_all(&damaged).is_ok(), same);
    }
    let mut missing = sealed.clone();
    missing.columns.remove(2);
    assert!(matches!(read_all(&missing), Err(BlockError::Fetch { .. })));
}

#[test]
fn a_newer_version_is_refused_as_that() {
    let (_, sealed) = small();
    let mut newer = sealed.meta[..sealed.meta.len() - 4].to_vec();
    newer[0] = 2;
    let check = crc32fast::hash(&newer);
    newer.extend_from_slice(&check.to_le_bytes());
    let error = Meta::read(&newer).unwrap_err();
    assert!(matches!(error, BlockError::Newer { version: 2, reads_up_to: 1 }), "{error}");
}

/// Writes a byte of a block, and the checksums as they are to be.
fn forge(sealed: &mut Sealed, column: Option<usize>, at: usize, byte: u8) {
    if let Some(column) = column {
        let (id, bytes) = &mut sealed.columns[column];
        let end = bytes.len() - 4;
        bytes[at % end] = byte;
        let old = u32::from_le_bytes(*bytes.last_chunk().unwrap());
        let new = checksum(*id, &bytes[..end]).to_le_bytes();
        bytes[end..].copy_from_slice(&new);
        // The metadata hold the checksum too, unless an earlier forgery wrote
        // over it there: such a block is to be refused as it is.
        let place = sealed.meta.windows(4).position(|four| four == old.to_le_bytes());
        if let Some(place) = place {
            sealed.meta[place..place + 4].copy_from_slice(&new);
        }
    } else {
        let end = sealed.meta.len() - 4;
        sealed.meta[at % end] = byte;
    }
    let end = sealed.meta.len() - 4;
    let check = crc32fast::hash(&sealed.meta[..end]).to_le_bytes();
    sealed.meta[end..].copy_from_slice(&check);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn forged_bytes_make_no_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<usize>(), any::<u8>(), any::<bool>()), 1..3),
    ) {
        let (_, mut sealed) = small();
        for (column, at, byte, meta) in changes {
            let column = (!meta).then(|| column.index(sealed.columns.len()));
            forge(&mut sealed, column, at, byte);
        }
        let _ = read_all(&sealed);
        ask_all(&sealed);
    }

    #[test]
    fn bytes_that_are_no_block_are_refused(bytes: Vec<u8>) {
        prop_assert!(Meta::read(&bytes).is_err());
    }
}
