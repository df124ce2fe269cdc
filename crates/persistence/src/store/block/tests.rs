//! What goes in comes out; what is asked of columns is what is asked of records; damage is always seen.

mod arbitrary;
mod damage;
mod golden;
mod oracle;

use std::collections::HashMap;
use std::ops::ControlFlow;

use proptest::prelude::*;
use taximeter_models::{ErrorCategory, OperationRecord, Outcome};

use super::{ColumnId, Effort, Reader, Rows, Sealed, merge, seal, seal_with};
use crate::store::{Column, Condition, Detail, Query, Table};

const TABLES: [Table; 5] =
    [Table::Operations, Table::ToolCalls, Table::LlmCalls, Table::Components, Table::Errors];

/// Opens a block that lies in memory.
fn open(sealed: &Sealed) -> Reader<'_> {
    let columns: HashMap<ColumnId, &Vec<u8>> =
        sealed.columns.iter().map(|(column, bytes)| (*column, bytes)).collect();
    assert_eq!(columns.len(), sealed.columns.len(), "a column is there twice");
    Reader::open(&sealed.meta, move |column| {
        columns.get(&column).map(|bytes| (*bytes).clone()).ok_or("no such column")
    })
    .expect("it was just sealed")
}

fn ordered(records: &[OperationRecord]) -> Vec<OperationRecord> {
    let mut records = records.to_vec();
    records.sort_by_key(|record| (record.started_at, record.id));
    records
}

fn check_round_trip(records: &[OperationRecord]) {
    for effort in [Effort::Quick, Effort::Small] {
        check_round_trip_with(records, effort);
    }
}

fn check_round_trip_with(records: &[OperationRecord], effort: Effort) {
    let sealed = seal_with(records, effort).expect("these are no records at the edge");
    check_round_trip_of(&sealed, records);
}

fn check_round_trip_of(sealed: &Sealed, records: &[OperationRecord]) {
    let mut reader = open(sealed);
    let expected = ordered(records);
    let back = reader.records(&Rows::All(records.len())).expect("it was just sealed");
    for (back, expected) in back.iter().zip(&expected) {
        assert_eq!(back, expected);
    }
    assert_eq!(back.len(), expected.len());
    let lines = open(sealed).records_of(&Rows::All(records.len()), Detail::Line).expect("lines");
    assert_eq!(lines, expected.iter().cloned().map(oracle::in_a_line).collect::<Vec<_>>());
    let ids: Vec<_> = expected.iter().map(|record| record.id).collect();
    assert_eq!(reader.ids().expect("ids"), ids);
    for record in &expected {
        let row = reader.position(record.id).expect("ids").expect("it is there") as usize;
        assert_eq!(ids[row], record.id);
        let row = u32::try_from(row).expect("few rows");
        assert_eq!(reader.records(&Rows::Some(vec![row])).expect("one")[0].id, record.id);
    }
}

/// Every condition that is true of something in these records, and some that are not.
fn conditions(records: &[OperationRecord]) -> Vec<Condition> {
    let mut asked = vec![
        Condition::Operation("nobody".into()),
        Condition::User("nobody".into()),
        Condition::Metadata("nothing".into(), 1.into()),
        Condition::AtLeastNanos(u64::MAX),
        Condition::AtLeastNanos(1_000),
        Condition::Outcome(Outcome::Success),
        Condition::Outcome(Outcome::Failure),
        Condition::Outcome(Outcome::Abandoned),
    ];
    asked.extend(ErrorCategory::ALL.iter().map(|category| Condition::Error(*category)));
    for record in records {
        asked.push(Condition::Operation(record.name.clone()));
        asked.extend(record.user.clone().map(Condition::User));
        asked.extend(record.session.clone().map(Condition::Session));
        let tags = record.tags.iter();
        asked.extend(
            tags.map(|(key, value)| Condition::Tag(key.as_str().into(), value.as_str().into())),
        );
        let metadata = record.metadata.iter();
        asked.extend(
            metadata.map(|(key, value)| Condition::Metadata(key.as_str().into(), value.clone())),
        );
        asked.extend(
            record.components.iter().map(|timing| Condition::Component(timing.name.clone())),
        );
        asked.extend(record.tool_calls.iter().map(|call| Condition::Tool(call.name.clone())));
        for call in &record.llm_calls {
            asked.extend(call.provider.clone().map(Condition::Provider));
            asked.push(Condition::Llm(call.model().into()));
            asked.extend(call.response_model.clone().map(Condition::Llm));
        }
    }
    asked
}

fn queries(records: &[OperationRecord]) -> Vec<Query> {
    let mut queries: Vec<Query> =
        conditions(records).into_iter().map(|condition| Query::default().and(condition)).collect();
    queries.push(Query::default());
    for record in records {
        queries.push(Query::default().since(record.started_at));
        queries.push(Query::default().until(record.started_at).and(Condition::AtLeastNanos(5)));
    }
    queries
}

fn check_matching(records: &[OperationRecord]) {
    check_matching_of(&seal(records).expect("these are no records at the edge"), records);
}

fn check_matching_of(sealed: &Sealed, records: &[OperationRecord]) {
    let mut reader = open(sealed);
    let expected = ordered(records);
    for query in queries(records) {
        let rows = reader.matching(&query).expect("it was just sealed");
        let found: Vec<usize> = rows.iter().collect();
        let hold = |row: &usize| oracle::matches(&expected[*row], &query);
        let asked: Vec<usize> = (0..expected.len()).filter(hold).collect();
        assert_eq!(found, asked, "{query:?}");
        assert!(asked.is_empty() || reader.meta().may_match(&query), "{query:?}");
    }
}

fn check_columns(records: &[OperationRecord]) {
    check_columns_of(&seal(records).expect("these are no records at the edge"), records);
}

fn check_columns_of(sealed: &Sealed, records: &[OperationRecord]) {
    let expected = ordered(records);
    let columns = oracle::columns(records);
    let some = Query::default().and(Condition::Outcome(Outcome::Success));
    for table in TABLES {
        for query in [&Query::default(), &some] {
            let mut reader = open(sealed);
            let asked: Vec<_> =
                expected.iter().filter(|record| oracle::matches(record, query)).collect();
            let mut shown = 0;
            let (scanned, flow) = reader
                .scan(table, query, &columns, &mut |block| {
                    oracle::check_block(table, &asked, &columns, block);
                    shown += block.rows();
                    ControlFlow::Break(())
                })
                .expect("it was just sealed");
            let rows: usize = asked.iter().map(|record| oracle::rows(table, record)).sum();
            assert_eq!((shown, scanned.shown), (rows, rows as u64));
            assert_eq!(flow.is_break(), rows > 0);
        }
    }
}

/// Seals each of some lots by itself and puts the blocks together; none where that goes by way of the records.
fn merged(lots: &[Vec<OperationRecord>]) -> Option<Sealed> {
    let efforts = [Effort::Quick, Effort::Small].into_iter().cycle();
    let seal = |(lot, effort)| seal_with(lot, effort).expect("these are no records at the edge");
    let blocks: Vec<Sealed> = lots.iter().zip(efforts).map(seal).collect();
    let mut readers: Vec<Reader<'_>> = blocks.iter().map(open).collect();
    merge(&mut readers, Effort::Small).expect("they were just sealed")
}

fn check_merged(lots: &[Vec<OperationRecord>]) {
    let sealed = merged(lots).expect("every time is in nanoseconds, and keys are few");
    let records = lots.concat();
    check_round_trip_of(&sealed, &records);
    check_matching_of(&sealed, &records);
    check_columns_of(&sealed, &records);
    let at_once = seal(&records).expect("these are no records at the edge");
    let (own, at_once) = (open(&sealed), open(&at_once));
    let (own, at_once) = (own.meta(), at_once.meta());
    assert_eq!((own.range_ns(), own.ids()), (at_once.range_ns(), at_once.ids()));
    assert_eq!((own.longest_ns(), own.outcomes), (at_once.longest_ns(), at_once.outcomes));
    assert_eq!(own.filter, at_once.filter);
}

/// As many as there are, dealt to so many lots.
fn dealt(records: Vec<OperationRecord>, lots: &[usize]) -> Vec<Vec<OperationRecord>> {
    let mut dealt = vec![Vec::new(); 4];
    for (record, lot) in records.into_iter().zip(lots.iter().cycle()) {
        dealt[lot % 4].push(record);
    }
    dealt
}

#[test]
fn blocks_that_lie_side_by_side_or_in_one_another_are_put_together() {
    let records: Vec<_> = (0_u32..3_000)
        .map(|row| {
            let mut record =
                if row % 3 == 0 { arbitrary::full() } else { OperationRecord::default() };
            record.id = taximeter_models::OperationId::from_bits(u128::from(row) << 64 | 7);
            record.started_at = chrono::DateTime::from_timestamp(i64::from(row), 7).unwrap();
            record.user = Some(format!("user {}", row % 7).as_str().into());
            record
        })
        .collect();
    let by_turns = vec![0, 1, 2, 3];
    let in_pieces = (0..3_000).map(|row| row / 700).collect();
    for lots in [by_turns, in_pieces, vec![0]] {
        let lots = dealt(records.clone(), &lots);
        let sealed = merged(&lots).expect("every time is in nanoseconds, and keys are few");
        check_round_trip_rows(&sealed, &records);
    }
    check_merged(&[]);
    check_merged(&[vec![], vec![OperationRecord::default()], vec![]]);
    check_merged(&[vec![arbitrary::full()], vec![arbitrary::every_kind()]]);
}

fn check_round_trip_rows(sealed: &Sealed, records: &[OperationRecord]) {
    let back = open(sealed).records(&Rows::All(records.len())).expect("it was just sealed");
    assert!(back == records, "an operation came back otherwise");
}

#[test]
fn too_many_keys_or_a_far_time_go_by_way_of_the_records() {
    let keys = |from: usize| {
        let mut record = OperationRecord::new("many keys");
        record.metadata = (from..from + 200).map(|key| (format!("{key}"), key.into())).collect();
        vec![record]
    };
    assert!(merged(&[keys(0), keys(0)]).is_some());
    assert_eq!(merged(&[keys(0), keys(100)]), None);
    let mut far = OperationRecord::new("far");
    far.started_at = chrono::DateTime::<chrono::Utc>::MIN_UTC;
    assert_eq!(merged(&[vec![far], keys(0)]), None);
}

#[test]
fn a_record_that_holds_everything_comes_back_as_it_was() {
    check_round_trip(&[]);
    check_round_trip(&[OperationRecord::default()]);
    check_round_trip(&[arbitrary::full()]);
    check_round_trip(&[arbitrary::full(), OperationRecord::default(), arbitrary::full()]);
    check_matching(&[arbitrary::full(), OperationRecord::default()]);
    check_columns(&[arbitrary::full(), OperationRecord::default()]);
}

#[test]
fn every_category_unit_and_status_comes_back() {
    check_round_trip(&[arbitrary::every_kind()]);
    check_matching(&[arbitrary::every_kind()]);
    check_columns(&[arbitrary::every_kind()]);
}

#[test]
fn more_keys_than_there_are_columns_come_back() {
    let record = |row: usize| {
        let mut record = OperationRecord::new("many keys");
        record.metadata =
            (0..9).map(|at| (format!("key {}", row * 7 + at), (row * at).into())).collect();
        record.tags = (0..9).map(|at| (format!("tag {}", row * 5 + at), format!("{at}"))).collect();
        record
    };
    let records: Vec<_> = (0..100).map(record).collect();
    check_round_trip(&records);
    check_matching(&records[90..]);
    let sealed = seal(&records).unwrap();
    let mut reader = open(&sealed);
    // This key is one of those that go into the column of JSON.
    let query = Query::default().and(Condition::Metadata("key 700".into(), (99 * 7).into()));
    assert_eq!(reader.matching(&query).unwrap(), Rows::Some(vec![99]));
    let query = Query::default().and(Condition::Tag("tag 503".into(), "8".into()));
    assert_eq!(reader.matching(&query).unwrap(), Rows::Some(vec![99]));
    let columns = [Column::Metadata("key 700".into())];
    let mut texts = Vec::new();
    reader
        .scan(Table::Operations, &Query::default(), &columns, &mut |block| {
            let column = block.texts(&columns[0]).unwrap();
            let told = column.keys.iter().filter(|key| **key != crate::store::Keys::NONE);
            texts.extend(told.map(|key| column.names[*key as usize].to_string()));
            ControlFlow::Continue(())
        })
        .map(|_| ())
        .unwrap();
    assert_eq!(texts, ["693"]);
}

#[test]
fn a_value_that_would_not_come_back_is_not_sealed() {
    let mut deep = serde_json::Value::Null;
    for _ in 0..200 {
        deep = serde_json::Value::Array(vec![deep]);
    }
    let mut record = OperationRecord::new("deep");
    record.metadata.insert("deep".into(), deep);
    assert!(matches!(seal(&[record]), Err(super::SealError::NotExact { .. })));
    let many = vec![OperationRecord::default(); super::MOST_RECORDS + 1];
    assert!(matches!(seal(&many), Err(super::SealError::TooMany { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn records_come_back(records in arbitrary::records()) {
        check_round_trip(&records);
    }

    #[test]
    fn blocks_put_together_are_as_sealed_at_once(
        mut records in arbitrary::records(),
        lots in prop::collection::vec(0..4_usize, 1..12),
    ) {
        for (row, record) in (0..).zip(&mut records) {
            if record.started_at.timestamp_nanos_opt().is_none()
                || record.started_at.timestamp_subsec_nanos() >= 1_000_000_000
            {
                record.started_at = chrono::DateTime::from_timestamp_nanos(row * 7 % 5);
            }
        }
        check_merged(&dealt(records, &lots));
    }

    #[test]
    fn columns_answer_as_records_do(records in arbitrary::records()) {
        check_matching(&records);
        check_columns(&records);
    }
}
