//! The store in a file behaves as its twin in memory, whatever is done to it in whatever order.

use std::ops::ControlFlow;
use std::time::Duration;

use chrono::{DateTime, Utc};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use taximeter_models::{Money, Name, OperationRecord};
use taximeter_persistence::store::{
    Block, Column, Counter, Keep, Level, MemoryStore, Query, Rollup, RollupQuery, SqliteStore,
    Store, Table,
};

use crate::arbitrary::{instant, query, record};
use crate::records::scanned;
use crate::summing::summing_many;

#[derive(Debug, Clone)]
enum Action {
    Append(Vec<OperationRecord>),
    Reopen,
    Maintain(i64),
    MaintainBeside(i64),
    Scan(Query),
    Columns(Table, Query),
    Rollups(RollupQuery),
}

fn action() -> impl Strategy<Value = Action> {
    let table = select(vec![
        Table::Operations,
        Table::ToolCalls,
        Table::LlmCalls,
        Table::Components,
        Table::Errors,
    ]);
    prop_oneof![
        4 => vec(record(), 0..5).prop_map(Action::Append),
        1 => Just(Action::Reopen),
        // Some hours or days after most operations.
        1 => select(vec![1, 30, 200]).prop_map(Action::Maintain),
        2 => select(vec![1, 30, 200]).prop_map(Action::MaintainBeside),
        2 => query().prop_map(Action::Scan),
        2 => (table, query()).prop_map(|(table, query)| Action::Columns(table, query)),
        2 => rollups().prop_map(Action::Rollups),
    ]
}

fn rollups() -> impl Strategy<Value = RollupQuery> {
    let name = select(vec![Name::from("a"), Name::from(""), Name::from("41")]);
    (
        (of(instant()), of(instant())),
        select(vec!["all", "operation", "tag:team", "many", "nothing"]),
        of(name),
        of(select(Level::ALL.to_vec())),
        select(Level::ALL.to_vec()),
    )
        .prop_map(|((since, until), dimension, key, each, resolution)| {
            let mut query = RollupQuery::new(dimension);
            (query.since, query.until) = (since, until);
            (query.key, query.each, query.resolution) = (key, each, resolution);
            query
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]
    #[test]
    fn any_sequence_is_as_in_memory(
        actions in vec(action(), 1..12),
        (block, at_once) in select(vec![(3, 1_000), (3, 2), (8, 1), (8, 3)]),
    ) {
        let room = tempfile::tempdir().unwrap();
        // A few operations are a block, and sums stay: the twin keeps everything.
        let forever = Duration::from_secs(u64::MAX);
        let keep = Keep::default().block_operations(block).seal_at_once(at_once);
        let keep = keep.hot_operations(4).hot_for(Duration::from_secs(86_400));
        let keep = Level::ALL.into_iter().fold(keep, |keep, level| keep.sums_for(level, forever));
        let open = || SqliteStore::at(room.path()).keep(keep).summarize(summing_many()).open().unwrap();
        let (mut store, twin) = (open(), MemoryStore::summarizing(summing_many()));
        for action in actions {
            match action {
                Action::Append(records) => {
                    prop_assert_eq!(store.append(&records).unwrap(), twin.append(&records).unwrap());
                }
                Action::Reopen => {
                    drop(store);
                    store = open();
                }
                Action::Maintain(hours) => {
                    store.maintain(at(hours * 3_600)).unwrap();
                }
                Action::MaintainBeside(hours) => {
                    store.maintain_beside(at(hours * 3_600)).unwrap();
                }
                Action::Scan(query) => {
                    prop_assert_eq!(scanned(&store, &query), scanned(&twin, &query));
                }
                Action::Columns(table, query) => {
                    let expected = rows(&twin, table, &query);
                    prop_assert_eq!(&counted_rows(&store, table, &query), &expected);
                    prop_assert_eq!(rows(&store, table, &query), expected);
                }
                Action::Rollups(query) => {
                    prop_assert_eq!(sums(&store, &query), sums(&twin, &query));
                }
            }
        }
        let (is, should) = (store.stats().unwrap(), twin.stats().unwrap());
        prop_assert_eq!(is.hot_operations + is.sealed_operations, should.hot_operations);
        prop_assert_eq!((is.first_ns, is.last_ns, is.known), (should.first_ns, should.last_ns, should.known));
        let span = store.span().unwrap();
        prop_assert_eq!((span.operations, span.first_ns), (should.hot_operations, should.first_ns));
        prop_assert_eq!((span.last_ns, span.known), (should.last_ns, should.known));
    }
}

/// Some dozens by default; as many as the variable says in a long run.
fn cases() -> u32 {
    std::env::var("TAXIMETER_MODEL_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(96)
}

fn sums(store: &dyn Store, query: &RollupQuery) -> Vec<Rollup> {
    store.rollups(query).unwrap()
}

/// Every row with every column as text, in an order of its own: blocks have none.
pub(crate) fn rows(store: &dyn Store, table: Table, query: &Query) -> Vec<String> {
    let mut rows = Rows::default();
    let all = columns();
    store
        .columns(table, query, &all, &mut |block| {
            rows.add(block);
            ControlFlow::Continue(())
        })
        .unwrap();
    rows.0.sort();
    rows.0
}

/// The same, by several at once.
fn counted_rows(store: &dyn Store, table: Table, query: &Query) -> Vec<String> {
    let mut each: [Rows; 3] = Default::default();
    let mut counters = each.each_mut().map(|one| one as &mut dyn Counter);
    let scanned = store.count(query, &[(table, &columns())], &mut counters).unwrap();
    let mut rows: Vec<_> = each.into_iter().flat_map(|one| one.0).collect();
    assert_eq!(scanned.shown, rows.len() as u64);
    rows.sort();
    rows
}

fn columns() -> Vec<Column> {
    vec![
        Column::StartedAt,
        Column::Duration,
        Column::Outcome,
        Column::Name,
        Column::Operation,
        Column::User,
        Column::Session,
        Column::Tag("team".into()),
        Column::Metadata("k".into()),
        Column::Provider,
        Column::ErrorCategory,
        Column::InputTokens,
        Column::CacheReadTokens,
        Column::OutputTokens,
        Column::FirstToken,
        Column::CostUsd,
        Column::Unpriced,
        Column::Attempt,
        Column::Errors,
        Column::Warnings,
        Column::TimedOut,
        Column::Runs,
        Column::FinishReason,
        Column::Usage,
        Column::Charge,
    ]
}

/// Rows as text.
#[derive(Default)]
struct Rows(Vec<String>);

impl Counter for Rows {
    fn columns(&mut self, blocks: &[Block<'_>]) {
        for block in blocks {
            self.add(block);
        }
    }
}

impl Rows {
    fn add(&mut self, block: &Block<'_>) {
        for row in 0..block.rows() {
            let cells: Vec<_> = columns().iter().map(|column| cell(block, column, row)).collect();
            self.0.push(cells.join(" | "));
        }
    }
}

fn cell(block: &Block<'_>, column: &Column, row: usize) -> String {
    let number = block.numbers(column).map(|numbers| numbers[row].to_string());
    let money = block.money(column).map(|money: &[Money]| money[row].to_string());
    let text = block.texts(column).map(|texts| {
        let key = texts.keys[row] as usize;
        texts.names.get(key).map_or("-".to_owned(), |name| format!("{name:?}"))
    });
    let usage = || {
        let usage = block.usage().filter(|_| *column == Column::Usage)?;
        let count = |(unit, counts): &(_, Vec<u64>)| (*unit, counts[row]);
        let counts = usage.units.iter().map(count).filter(|(_, count)| *count > 0);
        let counts: std::collections::BTreeMap<taximeter_models::Unit, u64> = counts.collect();
        Some(format!("{} {counts:?}", usage.told[row]))
    };
    let charge = || block.charges().map(|charges| format!("{:?}", charges[row]));
    number.or(money).or(text).or_else(usage).or_else(charge).unwrap()
}

#[test]
fn a_question_may_ask_on_and_may_end() {
    let room = tempfile::tempdir().unwrap();
    let store = SqliteStore::at(room.path()).open().unwrap();
    let records: Vec<_> = (0..10_000_u128)
        .map(|number| {
            let mut record = OperationRecord::new("a");
            record.id = taximeter_models::OperationId::from_bits(number);
            record.started_at = at(9_999 - i64::try_from(number).unwrap());
            record
        })
        .collect();
    store.append(&records).unwrap();
    let (mut seen, mut previous) = (0, DateTime::<Utc>::MIN_UTC);
    let scanned = store.scan(&Query::default(), &mut |record| {
        assert!(record.started_at > previous, "the oldest comes first");
        previous = record.started_at;
        assert_eq!(store.get(record.id).unwrap(), Some(record));
        seen += 1;
        if seen == 5_000 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!((seen, scanned.unwrap().shown), (5_000, 5_000));
    let middle = Query::default().since(at(100)).until(at(200));
    assert_eq!(crate::records::scanned(&store, &middle).len(), 100);
}

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_760_000_000 + second, 0).unwrap()
}
