//! What is counted over columns, hot and sealed, is what is added up from whole records one by one.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use taximeter_models::{
    CostOutcome, Currency, ErrorCategory, ErrorRecord, FreeReason, LlmCall, OperationId,
    OperationRecord, Outcome, ReportedCost, TokenUsage, ToolCall, ToolStatus, Warning,
};
use taximeter_persistence::store::{
    Block, Condition, Counter, Keep, Level, MemoryStore, Order, Query, SqliteStore, Store,
};

use super::super::{Ask, By, History, Period, Report, Selection, Windows};
use super::firsts::{Firsts, Promising};
use super::kept::{Taken, merged, of_block};
use super::rows::TABLES;

/// Numbers as if by lot, the same each time.
struct Lot(u64);

impl Lot {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % most
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }
}

fn start() -> DateTime<Utc> {
    "2026-11-20T10:17:23Z".parse().unwrap()
}

/// Operations with some of everything, some seconds apart.
fn records(many: u64) -> Vec<OperationRecord> {
    let mut lot = Lot(7);
    (0..many).map(|number| record(number, &mut lot)).collect()
}

fn record(number: u64, lot: &mut Lot) -> OperationRecord {
    let mut record = OperationRecord::new(lot.one(&["answer", "index", "chat"]));
    record.id = OperationId::from_bits(u128::from(number + 1));
    let millis = number * 90_000 + lot.below(20_000);
    record.started_at = start() + TimeDelta::milliseconds(millis.cast_signed());
    record.duration = Duration::from_nanos(lot.below(3_000_000_000));
    record.outcome =
        lot.one(&[Outcome::Success, Outcome::Success, Outcome::Failure, Outcome::Abandoned]);
    record.user = (lot.below(4) > 0).then(|| lot.one(&["ann", "bob", "eve"]).into());
    record.session = (lot.below(3) == 0).then(|| format!("s{}", lot.below(20)).into());
    record.tags.insert("team".into(), lot.one(&["search", "web"]).into());
    record.metadata.insert("plan".into(), lot.one(&["free", "paid"]).into());
    for _ in 0..lot.below(5) {
        let name = lot.one(&["retrieval", "rank", "prompt"]);
        record.add_component(name, Duration::from_nanos(lot.below(900_000_000)));
    }
    for _ in 0..lot.below(3) {
        let component = lot.one(&[None, Some("retrieval"), Some("elsewhere")]);
        let category = lot.one(&[ErrorCategory::Timeout, ErrorCategory::Quota]);
        let mut error = ErrorRecord::new(category, "it failed");
        error.component = component.map(Into::into);
        record.errors.push(error);
    }
    record.unlisted_errors = lot.below(2);
    record.warnings.extend((0..lot.below(2)).map(|_| warning()));
    record.tool_calls.extend((0..lot.below(3)).map(|_| tool_call(lot)).collect::<Vec<_>>());
    record.llm_calls.extend((0..lot.below(4)).map(|_| llm_call(lot)).collect::<Vec<_>>());
    record
}

fn warning() -> Warning {
    Warning { message: "mind this".into(), component: None }
}

fn tool_call(lot: &mut Lot) -> ToolCall {
    let status = lot.one(&[
        ToolStatus::Success,
        ToolStatus::Failure,
        ToolStatus::Timeout,
        ToolStatus::Error,
    ]);
    let mut call = ToolCall::new(lot.one(&["web", "sql"]), status);
    call.duration = (lot.below(4) > 0).then(|| Duration::from_nanos(lot.below(700_000_000)));
    call.attempt = u32::try_from(lot.below(3) + 1).unwrap();
    if status != ToolStatus::Success && lot.below(2) == 0 {
        call = call.failed_with(ErrorCategory::RateLimit, "too much");
    }
    call
}

fn llm_call(lot: &mut Lot) -> LlmCall {
    let model = lot.one(&["gpt-4o", "claude-sonnet-4-5", "nobody-knows"]);
    let mut call = LlmCall::new(lot.one(&["openai", "anthropic"]), model);
    if lot.below(6) == 0 {
        call.provider = None;
    }
    let usage = TokenUsage::inclusive(1_000 + lot.below(9_000), lot.below(900));
    let usage = usage.cache_read(lot.below(900)).reasoning(0).build().unwrap();
    call.usage = (lot.below(5) > 0).then_some(usage);
    call.duration = (lot.below(5) > 0).then(|| Duration::from_nanos(lot.below(5_000_000_000)));
    call.time_to_first_token =
        (lot.below(3) > 0).then(|| Duration::from_nanos(lot.below(400_000_000)));
    call.finish_reason =
        lot.one(&[None, Some("stop"), Some("length"), Some("tool_calls")]).map(Into::into);
    call.attempt = u32::try_from(lot.below(2) + 1).unwrap();
    if lot.below(5) == 0 {
        call.error = Some(ErrorRecord::new(ErrorCategory::Server, "500"));
    }
    let told = |currency| {
        let total = "0.0125".parse().unwrap();
        CostOutcome::ProviderReported(ReportedCost { total, input: None, output: None, currency })
    };
    match lot.below(8) {
        0 => call.cost = told(Currency::USD),
        1 => call.cost = told("EUR".parse().unwrap()),
        2 => call.cost = CostOutcome::Free { reason: FreeReason::Local },
        _ => {}
    }
    call
}

/// The same report out of the records alone that are meant.
fn expected(records: &[OperationRecord], ask: &Ask) -> Report {
    let whole = History::new(Arc::new(MemoryStore::summarizing(Arc::new(Windows))));
    whole.append(records.to_vec()).unwrap();
    let before = ask.period.previous().and_then(|before| before.since);
    let period = Period::new(before.or(ask.period.since), ask.period.until);
    let query = ask.only.query(period);
    let mut meant = Vec::new();
    let scanned = whole.store().scan(&query, &mut |record| {
        meant.push(record);
        std::ops::ControlFlow::Continue(())
    });
    scanned.unwrap();
    let part = History::new(Arc::new(MemoryStore::summarizing(Arc::new(Windows))));
    part.append(meant).unwrap();
    part.report(&Ask { only: Selection::default(), ..ask.clone() }).unwrap()
}

fn as_json(mut report: Report) -> String {
    // What is told of the whole store, and of the time before.
    (report.only, report.looked_at, report.numbers.month) = (None, None, None);
    let mut json = serde_json::to_value(report).unwrap();
    for told in ["operations", "first_at", "last_at", "bytes"] {
        json["health"][told] = serde_json::Value::Null;
    }
    serde_json::to_string_pretty(&json).unwrap()
}

fn check(
    history: &History,
    records: &[OperationRecord],
    period: &str,
    only: &str,
    by: Option<&str>,
) {
    let now = start() + TimeDelta::hours(30);
    let mut ask = Ask::new(history.whole(Period::read(period, now).unwrap()), now);
    ask.only = Selection::read(only, now).unwrap();
    ask.by = by.map(|by| by.parse::<By>().unwrap());
    let found = history.report(&ask).unwrap();
    let looked_at = found.looked_at.unwrap();
    assert!(looked_at.records > 0 && !looked_at.more, "{only}: {looked_at:?}");
    let expected = expected(records, &ask);
    pretty(&as_json(found), &as_json(expected), &format!("{only} of {period}"));
}

/// The first lines that differ say more than two documents.
fn pretty(found: &str, expected: &str, what: &str) {
    for (number, (found, expected)) in found.lines().zip(expected.lines()).enumerate() {
        assert_eq!(found, expected, "{what}, line {number}");
    }
    assert_eq!(found.lines().count(), expected.lines().count(), "{what}");
}

const CONDITIONS: [&str; 14] = [
    "operation=answer",
    "user=ann",
    "session=s7",
    "tag:team=search",
    "metadata:plan=free",
    "tool=web",
    "llm=openai/gpt-4o",
    "provider=anthropic",
    "component=rank",
    "error=timeout",
    "outcome=failure",
    "outcome=failure,longer=500ms",
    "outcome=abandoned,operation=answer",
    "operation=index,tag:team=web,metadata:plan=paid",
];

/// Many operations of few kinds within an hour, and a last one much later.
fn of_few_kinds() -> Vec<OperationRecord> {
    let mut records = records(4_500);
    for (number, record) in records.iter_mut().enumerate() {
        record.started_at = start() + TimeDelta::milliseconds(500 * i64::try_from(number).unwrap());
        record.name = if number % 3 == 0 { "answer" } else { "index" }.into();
        record.tool_calls.retain(|call| call.name == "web");
        record.components.iter_mut().for_each(|timing| timing.name = "rank".into());
        record.add_component("rank", Duration::from_millis(3));
        record.llm_calls.truncate(1);
        for call in &mut record.llm_calls {
            let (provider, model) =
                [("openai", "gpt-4o"), ("anthropic", "claude-sonnet-4-5")][number % 2];
            (call.provider, call.request_model) = (Some(provider.into()), Some(model.into()));
        }
    }
    let last = records.last_mut().unwrap();
    last.started_at += TimeDelta::hours(20);
    records
}

/// The same without tools, and with a call each: so few kinds that those that ended otherwise are told apart.
fn of_fewer_kinds() -> Vec<OperationRecord> {
    let mut records = of_few_kinds();
    let call = records.iter().find_map(|record| record.llm_calls.first()).unwrap().clone();
    for record in &mut records {
        record.tool_calls.clear();
        if record.llm_calls.is_empty() {
            record.llm_calls.push(call.clone());
        }
    }
    records
}

/// Looks at sums and at no columns.
struct Sums<F>(F);

impl<F: FnMut(&[u8]) -> Option<u64> + Send> Counter for Sums<F> {
    fn columns(&mut self, _: &[Block<'_>]) {}

    fn takes_sums(&self) -> bool {
        true
    }

    fn sums(&mut self, sums: &[u8]) -> Option<u64> {
        (self.0)(sums)
    }
}

#[test]
fn the_sums_of_a_block_say_what_its_records_do() {
    let room = tempfile::tempdir().unwrap();
    let open = |keep: Keep| {
        // What is appended is rows.
        let store = SqliteStore::at(room.path()).keep(keep.seal_at_once(1_000));
        History::new(Arc::new(store.summarize(Arc::new(Windows)).open().unwrap()))
    };
    let history = open(Keep::default());
    let mut records = of_few_kinds();
    history.price(&mut records);
    let append = |history: &History, records: &[OperationRecord]| {
        for batch in records.chunks(250) {
            history.append(batch.to_vec()).unwrap();
        }
    };
    append(&history, &records[..4_000]);
    drop(history);
    let history = open(Keep::default().block_operations(1));
    let conditions = [Condition::Llm("gpt-4o".into())];
    let query = Query::default().and(conditions[0].clone());
    let taken = |history: &History| {
        let mut taken = Vec::new();
        let mut take = |sums: &[u8]| {
            let mut of_hours = Taken::new(&conditions, &[], Level::Hour);
            taken.push(of_hours.take(sums).unwrap());
            // Nothing serves that is cut, or told apart by minutes.
            let cut = [(start() + TimeDelta::minutes(9)).timestamp()];
            assert_eq!(Taken::new(&conditions, &cut, Level::Hour).take(sums), None);
            assert_eq!(Taken::new(&conditions, &[], Level::Minute).take(sums), None);
            assert_eq!(
                Taken::new(&conditions, &[], Level::Day).take(&sums[..sums.len() - 1]),
                None
            );
            None
        };
        history.store().count(&query, &TABLES, &mut [&mut Sums(&mut take)]).unwrap();
        taken
    };
    assert!(taken(&history).is_empty());
    while history.store().maintain(start() + TimeDelta::days(2)).unwrap().more {}
    assert_eq!(history.store().stats().unwrap().sealed_operations, 4_000);
    // The others stay in rows.
    append(&history, &records[4_000..]);
    let asked = |record: &&OperationRecord| record.llm_calls.iter().any(|c| c.model() == "gpt-4o");
    assert_eq!(taken(&history), [records[..4_000].iter().filter(asked).count() as u64]);
    for only in [
        "operation=answer",
        "llm=openai/gpt-4o",
        "provider=anthropic,operation=index",
        "tool=web",
        "component=rank",
        "llm=gpt-4o,user=ann",
    ] {
        check(&history, &records, "all", only, None);
    }
    check(&history, &records, "48h", "operation=answer", Some("user"));
    // A part of the block: it is counted by its columns.
    let twenty_minutes = "2026-11-20T10:30:00Z..2026-11-20T10:50:00Z";
    check(&history, &records, twenty_minutes, "operation=answer", None);
}

#[test]
fn the_sums_of_a_block_tell_how_its_operations_ended() {
    let room = tempfile::tempdir().unwrap();
    let keep = Keep::default().block_operations(4_000).seal_at_once(1_000);
    let store = SqliteStore::at(room.path()).keep(keep).summarize(Arc::new(Windows));
    let history = History::new(Arc::new(store.open().unwrap()));
    let mut records = of_fewer_kinds();
    history.price(&mut records);
    let (sealed, rows) = records.split_at(4_000);
    history.append(sealed.to_vec()).unwrap();
    rows.chunks(250).for_each(|batch| {
        history.append(batch.to_vec()).unwrap();
    });
    while history.store().maintain(start()).unwrap().more {}
    let conditions = [Condition::Outcome(Outcome::Failure)];
    let mut taken = Vec::new();
    let mut take = |sums: &[u8]| {
        let operations = Taken::new(&conditions, &[], Level::Hour).take(sums);
        taken.push(operations);
        operations
    };
    let query = Query::default().and(conditions[0].clone());
    history.store().count(&query, &TABLES, &mut [&mut Sums(&mut take)]).unwrap();
    let failed = |record: &&OperationRecord| record.outcome == Outcome::Failure;
    assert_eq!(taken, [Some(sealed.iter().filter(failed).count() as u64)]);
    for only in ["outcome=failure", "outcome=abandoned,operation=answer", "outcome=success"] {
        check(&history, &records, "all", only, Some("user"));
    }
}

/// The sums of a block of these.
fn summed(records: &[OperationRecord]) -> Vec<u8> {
    let store = MemoryStore::default();
    store.append(records).unwrap();
    let mut sums = None;
    let each = &mut |blocks: &[Block<'_>]| {
        sums = of_block(blocks);
        std::ops::ControlFlow::Continue(())
    };
    store.tables(&Query::default(), &TABLES, each).unwrap();
    sums.expect("there are few kinds")
}

#[test]
fn the_sums_of_blocks_put_together_are_those_of_each_added_up() {
    let history = History::new(Arc::new(MemoryStore::default()));
    let mut records = of_fewer_kinds();
    history.price(&mut records);
    let blocks: Vec<_> = [&records[..4_000], &records[400..4_400]].map(summed).into();
    let blocks: Vec<&[u8]> = blocks.iter().map(Vec::as_slice).collect();
    let together = merged(&blocks).expect("they are of the same steps");
    let answer = Condition::Operation("answer".into());
    for conditions in [
        vec![answer.clone()],
        vec![Condition::Llm("gpt-4o".into())],
        vec![Condition::Provider("openai".into())],
        vec![Condition::Tool("web".into())],
        vec![Condition::Component("rank".into())],
        vec![answer.clone(), Condition::Component("rank".into())],
        vec![Condition::Tool("answer".into())],
        vec![Condition::Outcome(Outcome::Failure)],
        vec![answer, Condition::Outcome(Outcome::Abandoned)],
    ] {
        let taken = |blocks: &[&[u8]]| {
            let mut taken = Taken::new(&conditions, &[], Level::Hour);
            let operations: u64 = blocks.iter().map(|sums| taken.take(sums).unwrap()).sum();
            let counted = taken.finish();
            let firsts = [Order::Slowest, Order::Dearest].map(|order| {
                let peaks = counted.peaks.as_ref().expect("they are known");
                Promising::of(&Firsts::default(), peaks, order, (i64::MIN, i64::MAX))
            });
            let windows = counted.windows.into_iter().map(|(dimension, windows)| {
                let window = |one: super::sums::Window| (one.start, one.key, one.sums);
                (dimension, windows.into_iter().map(window).collect::<Vec<_>>())
            });
            (operations, firsts, windows.collect::<std::collections::BTreeMap<_, _>>())
        };
        assert_eq!(taken(&[&together]), taken(&blocks), "{conditions:?}");
    }
    assert_eq!(merged(&[blocks[0], &blocks[1][..blocks[1].len() - 1]]), None);
}

/// Sums as they were before they told outcomes apart, and what the slowest and the dearest of a group are.
fn as_before(sums: &[u8]) -> Vec<u8> {
    let (length, rest) = sums.split_first_chunk::<4>().unwrap();
    let (head, windows) = rest.split_at(u32::from_le_bytes(*length) as usize);
    let mut head: serde_json::Value = serde_json::from_slice(head).unwrap();
    for group in head["groups"].as_array_mut().unwrap() {
        let group = group.as_object_mut().unwrap();
        assert!(group.remove("outcome").is_some() && group.remove("peaks").is_some());
    }
    let head = serde_json::to_vec(&head).unwrap();
    let length = u32::try_from(head.len()).unwrap().to_le_bytes();
    [&length[..], &head, windows].concat()
}

#[test]
fn sums_of_older_versions_are_taken_for_what_they_tell() {
    let history = History::new(Arc::new(MemoryStore::default()));
    let mut records = of_fewer_kinds();
    history.price(&mut records);
    let newer = [&records[..4_000], &records[400..4_400]].map(summed);
    let older = as_before(&newer[0]);
    let mixed = merged(&[&older, &newer[1]]).unwrap();
    let taken = |condition: Condition, sums: &[u8]| {
        let conditions = [condition];
        let mut taken = Taken::new(&conditions, &[], Level::Hour);
        let operations = taken.take(sums);
        (operations, taken.finish().peaks.is_some())
    };
    let of_name = |records: &[OperationRecord]| {
        records.iter().filter(|record| record.name == "answer").count() as u64
    };
    let once = of_name(&records[..4_000]);
    let both = once + of_name(&records[400..4_400]);
    let name = || Condition::Operation("answer".into());
    assert_eq!(taken(name(), &newer[0]), (Some(once), true));
    assert_eq!(taken(name(), &older), (Some(once), false));
    assert_eq!(taken(name(), &mixed), (Some(both), false));
    let failed = || Condition::Outcome(Outcome::Failure);
    assert!(taken(failed(), &newer[0]).0.unwrap() > 0);
    assert_eq!(taken(failed(), &older).0, None);
    assert_eq!(taken(failed(), &mixed).0, None);
}

#[test]
fn some_operations_are_counted_as_their_records_are() {
    let room = tempfile::tempdir().unwrap();
    let open = || {
        let keep = Keep::default().block_operations(1).seal_at_once(1_000);
        let store = SqliteStore::at(room.path()).keep(keep);
        History::new(Arc::new(store.summarize(Arc::new(Windows)).open().unwrap()))
    };
    let mut history = open();
    let mut records = records(1_200);
    history.price(&mut records);
    // Two blocks, and the last operations in rows.
    for (number, batch) in records.chunks(400).enumerate() {
        history.append(batch.to_vec()).unwrap();
        let later = start() + TimeDelta::days(2);
        while number < 2 && history.store().maintain(later).unwrap().more {}
        // What is left in rows stays there as long as the store is open.
        drop(history);
        history = open();
    }
    let stats = history.store().stats().unwrap();
    assert_eq!((stats.sealed_operations, stats.hot_operations), (800, 400));
    for only in CONDITIONS {
        check(&history, &records, "24h", only, None);
        check(&history, &records, "all", only, Some("tag:team"));
    }
    check(&history, &records, "2h", "user=bob", Some("minute"));
    check(&history, &records, "7h", "user=bob", Some("minute"));
    check(&history, &records, "20d", "tag:team=web", Some("hour"));
    check(&history, &records, "24h", "operation=chat", Some("user"));
    check(&history, &records, "24h", "operation=chat", Some("session"));
    check(&history, &records, "24h", "operation=chat", Some("llm"));
}
