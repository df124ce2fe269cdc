//! A store as a program keeps it: appended to, sealed and rolled up as it goes; and what is asked of all of it.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use cpu_time::ProcessTime;
use taximeter::analysis::Dimension;
use taximeter::history::{Ask, By, History, Period, Selection, Windows};
use taximeter_models::{Name, OperationRecord};
use taximeter_persistence::store::{Column, Durability, Order, Query, SqliteStore, Store, Table};

use crate::hot::{Took, batch, judge, least};
use crate::out::{Bound, Out};
use crate::questions::add_up;
use crate::standard::{Form, Standard};

/// Questions are asked so often, and the quickest answer counts.
const ROUNDS: usize = 3;
/// So many operations are made before they are appended, so that nothing is done beside while they are made.
const ROUND: usize = 131_072;

pub(crate) fn run(most: usize, out: &Out) {
    let at = std::env::var_os("AT").map(PathBuf::from);
    let room = at.is_none().then(crate::hot::room);
    let folder = at.as_deref().or(room.as_ref().map(tempfile::TempDir::path));
    let folder = folder.expect("one of the two is there");
    let store = SqliteStore::at(folder).summarize(Arc::new(Windows)).open();
    let store = Arc::new(store.expect("a store can be made"));
    let stats = store.stats().expect("it can be read");
    if stats.hot_operations + stats.sealed_operations == 0 {
        fill(&store, most, out);
    }
    settle(&store, out);
    size(&store, out);
    if std::env::var_os("FILL").is_none() {
        Asked::new(store, out).all();
    }
}

/// The same, but that each batch is on the disk when it is acknowledged.
pub(crate) fn fill_synced(most: usize, out: &Out) {
    let room = crate::hot::room();
    let open = SqliteStore::at(room.path()).durability(Durability::Fsync);
    let store = open.summarize(Arc::new(Windows)).open().expect("a store can be made");
    fill(&store, most, out);
}

/// Does what a store does by and by, until nothing is left.
fn settle(store: &SqliteStore, out: &Out) {
    let last = store.span().expect("it can be read").last_ns;
    let now = last.map(DateTime::from_timestamp_nanos).expect("it holds some");
    let began = ProcessTime::now();
    while store.maintain(now).expect("there is room").more {}
    let seconds = began.elapsed().as_secs_f64();
    out.say(
        || format!("what was left to do by and by: {seconds:.3} s of CPU"),
        || serde_json::json!({"what": "left to do by and by", "cpu_seconds": seconds}),
    );
}

/// Appends until there are so many, looking after the store as a meter does.
fn fill(store: &SqliteStore, most: usize, out: &Out) {
    let durability = store.durability();
    let what = &format!("append and maintain, {durability:?} with sums");
    let mut standard = Standard::new(Form::Tagged);
    let (mut took, mut size, mut look) = (Took::default(), 0, 10_000.min(most));
    let (mut looks, mut wall) = (Vec::new(), Duration::ZERO);
    while size < most {
        let round = (most.min(look) - size).min(ROUND);
        let batches: Vec<_> = (0..round)
            .step_by(batch())
            .map(|from| standard.batch(batch().min(round - from)))
            .collect();
        took.add(round, || {
            for batch in &batches {
                store.append(batch).expect("there is room");
                store.maintain_beside(last(batch)).expect("there is room");
            }
            // What another thread has to do still is part of it.
            let now = batches.last().map(|batch| last(batch)).expect("a round is not empty");
            while store.maintain_beside(now).expect("there is room").more {
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        size += round;
        if size >= look {
            wall += took.wall;
            looks.push(std::mem::take(&mut took).print(what, size, store.path(), out));
            look = (look * 10).min(most.max(size + 1));
        }
    }
    judge(what, least(durability), &looks, size as f64 / wall.as_secs_f64(), out);
}

/// When the last operation of a batch began.
fn last(batch: &[OperationRecord]) -> DateTime<Utc> {
    batch.last().map(|record| record.started_at).expect("a batch is not empty")
}

fn size(store: &SqliteStore, out: &Out) {
    let stats = store.stats().expect("it can be read");
    let (sealed, sums, all) = (stats.sealed_operations, stats.rollups, stats.bytes);
    let each = stats.sealed_bytes as f64 / sealed.max(1) as f64;
    out.say(
        || format!("sealed in the store: {sealed} operations, {each:.1} bytes each; {sums} sums; {all} bytes in all"),
        || {
            serde_json::json!({
                "what": "sealed in the store", "operations": sealed, "bytes": each, "sums": sums, "bytes_of_all": all,
            })
        },
    );
    out.judge("sealed in the store: bytes of an operation", each, "bytes", Bound::AtMost(150.0));
}

/// Who asks the store.
struct Asked<'a> {
    store: Arc<SqliteStore>,
    history: History,
    /// All that there is.
    operations: u64,
    now: DateTime<Utc>,
    out: &'a Out,
}

impl<'a> Asked<'a> {
    fn new(store: Arc<SqliteStore>, out: &'a Out) -> Self {
        let stats = store.stats().expect("it can be read");
        let history = History::new(Arc::clone(&store) as Arc<dyn Store>);
        let now = stats.last_ns.map(DateTime::from_timestamp_nanos).expect("it holds some");
        Self {
            store,
            history,
            operations: stats.hot_operations + stats.sealed_operations,
            now,
            out,
        }
    }

    fn all(&self) {
        if let Ok(only) = std::env::var("ASK") {
            while self.store.warm().expect("it can be read") {}
            let since = std::env::var("SINCE").unwrap_or_else(|_| "all".to_owned());
            let period = Period::read(&since, self.now).expect("a period");
            return self.selection("of these", period, &only, 0.3);
        }
        self.reports();
        self.pages();
        self.selections("", 1.5);
        // As a server has it some seconds after its first answer.
        while self.store.warm().expect("it can be read") {}
        self.selections(", warm", 0.3);
        for (what, by, of, only) in [
            ("user", Column::User, "tag", "tag:team=search"),
            ("tag", Column::Tag("team".into()), "key of metadata", "metadata:plan=free"),
            (
                "key of metadata",
                Column::Metadata("plan".into()),
                "operation",
                "operation=qa_response",
            ),
        ] {
            self.groups(what, &by, &Query::default());
            let only = Selection::read(only, self.now).expect("a selection");
            self.groups(&format!("{what}, of one {of}"), &by, &only.query(Period::ALL));
        }
    }

    /// The first screen, of everything and of the default period, which has a period before.
    fn reports(&self) {
        let day = Period::read("24h", self.now).expect("a period");
        let day = Period::new(day.since, Some(self.now + chrono::TimeDelta::seconds(1)));
        for (what, period) in [("a report of all", Period::ALL), ("a report of a day", day)] {
            self.judged(what, 0.3, || {
                self.history.report(&Ask::new(period, self.now)).expect("it can be read");
            });
        }
    }

    /// What the other pages ask.
    fn pages(&self) {
        let by = |by: &str| by.parse::<By>().expect("it is known");
        for dimension in ["operation", "model", "provider", "tool", "component", "hour"] {
            self.judged(&format!("groups by {dimension}"), 0.3, || {
                self.history.groups(&by(dimension), Period::ALL).expect("it can be read");
            });
        }
        for dimension in [Dimension::User, Dimension::Tag("team".into())] {
            let by = By::Dimension(dimension);
            self.judged(&format!("groups by {by}"), 1.5, || {
                self.history.groups(&by, Period::ALL).expect("it can be read");
            });
        }
        self.judged("health", 1.0, || {
            self.history.health(Period::ALL, self.now).expect("it can be read");
        });
        self.judged("advice", 1.0, || {
            self.history.advice(&Selection::default(), Period::ALL).expect("it can be read");
        });
        for order in [Order::NewestFirst, Order::Slowest, Order::Dearest] {
            self.judged(&format!("100 operations, {order:?}"), 1.0, || {
                let query = Query::default().order(order).limit(100);
                self.history.operations(&query).expect("it can be read");
            });
        }
    }

    /// The first screen of some operations: of what there are sums of, which may take so many seconds, and of all else.
    fn selections(&self, how: &str, most: f64) {
        let user = self.history.groups(&By::Dimension(Dimension::User), Period::ALL);
        let user = user.expect("it can be read").into_iter().find_map(|group| group.key);
        let user = user.expect("operations have users");
        for (what, only, most) in [
            ("operation", "operation=qa_response".to_owned(), most),
            ("LLM", "llm=openai/gpt-4o".to_owned(), most),
            ("provider", "provider=openai".to_owned(), most),
            ("tool", "tool=web_search".to_owned(), most),
            ("component", "component=retrieval".to_owned(), most),
            ("user", format!("user={user}"), 1.5),
            ("outcome", "outcome=failure".to_owned(), 1.5),
            ("tag", "tag:team=search".to_owned(), 1.5),
            ("key of metadata", "metadata:plan=free".to_owned(), 1.5),
        ] {
            self.selection(&format!("of one {what}{how}"), Period::ALL, &only, most);
        }
    }

    fn selection(&self, what: &str, period: Period, only: &str, most: f64) {
        let mut ask = Ask::new(period, self.now);
        ask.only = Selection::read(only, self.now).expect("a selection");
        self.judged(&format!("a report {what}"), most, || {
            self.history.report(&ask).expect("it can be read");
        });
    }

    /// A group by a column over everything, or what fulfils a condition, rows and blocks, on one core.
    fn groups(&self, what: &str, by: &Column, query: &Query) {
        let columns = [by.clone(), Column::Duration, Column::InputTokens];
        let mut groups: HashMap<Name, [u64; 3]> = HashMap::new();
        let cpu = self.took(&format!("a count by {what}"), || {
            groups.clear();
            let each = &mut |block: &taximeter_persistence::store::Block<'_>| {
                add_up(block, by, &mut groups);
                ControlFlow::Continue(())
            };
            let scanned = self.store.columns(Table::Operations, query, &columns, each);
            let shown = scanned.expect("it can be read").shown;
            assert!(shown == self.operations || !query.conditions.is_empty());
        });
        let speed = self.operations as f64 / cpu.1 / 1e6;
        let what = format!("a count by {what}, rows and blocks");
        self.out.judge(what, speed, "million operations/s on one core", Bound::AtLeast(10.0));
    }

    fn judged(&self, what: &str, most: f64, ask: impl FnMut()) {
        let (wall, _) = self.took(what, ask);
        self.out.judge(what, wall, "s", Bound::AtMost(most));
    }

    /// Seconds of the clock and of CPU, each the least of the rounds.
    fn took(&self, what: &str, mut ask: impl FnMut()) -> (f64, f64) {
        let (mut wall, mut cpu) = (f64::MAX, f64::MAX);
        for _ in 0..ROUNDS {
            let (began, cpu_began) = (Instant::now(), ProcessTime::now());
            ask();
            wall = wall.min(began.elapsed().as_secs_f64());
            cpu = cpu.min(cpu_began.elapsed().as_secs_f64());
        }
        let operations = self.operations;
        self.out.say(
            || format!("{what}, of {operations} operations: {wall:.3} s, {cpu:.3} s of CPU"),
            || serde_json::json!({"what": what, "operations": operations, "seconds": wall, "cpu_seconds": cpu}),
        );
        (wall, cpu)
    }
}
