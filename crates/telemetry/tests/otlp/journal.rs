//! A server that dies between any two steps and reads its journal again: every span counts, once.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use serde_json::{Value, json};
use taximeter_models::{OperationId, OperationRecord};
use taximeter_telemetry::otlp::{Address, Closed, Receiver, Settings, Signal};

use super::support::{TRACE, before, chat, json_request, span_json, sums, with_trace};

fn at(seconds: i64) -> DateTime<Utc> {
    before() + TimeDelta::seconds(seconds)
}

/// What outlives a server: the requests that it acknowledged, the traces that were closed, the records.
#[derive(Default)]
struct Disk {
    journal: BTreeMap<u64, (i64, String)>,
    closing: HashMap<u128, u64>,
    done: HashMap<u128, u64>,
    store: HashMap<OperationId, OperationRecord>,
}

struct Server {
    receiver: Receiver,
    address: Address,
    next: u64,
}

impl Server {
    fn begin(disk: &mut Disk) -> Self {
        let address =
            Address::of_http(Signal::Traces, Some("application/json"), None).expect("it is known");
        let replay = |receiver: &Receiver| {
            for (mark, (seconds, body)) in &disk.journal {
                let decoded =
                    receiver.decode(address, body.as_bytes()).expect("it was read before");
                receiver.hold(decoded, *mark, at(*seconds));
            }
        };
        let first = Receiver::new(Settings::default(), at(0));
        first.only(closed(&disk.closing));
        first.done(closed(&disk.done));
        replay(&first);
        let receiver = Receiver::new(Settings::default(), at(0));
        receiver.done(closed(&disk.done));
        receiver.done(closed(&disk.closing));
        replay(&receiver);
        let next = disk.journal.keys().last().map_or(1, |last| last + 1);
        disk.keep(first.finish());
        disk.stored();
        Self { receiver, address, next }
    }

    /// Takes a request in, and dies before it is held if that is asked for.
    fn take_in(&mut self, disk: &mut Disk, seconds: i64, body: &str, dies: bool) {
        let decoded = self.receiver.decode(self.address, body.as_bytes()).expect("it can be read");
        disk.journal.insert(self.next, (seconds, body.to_owned()));
        if dies {
            return;
        }
        self.receiver.hold(decoded, self.next, at(seconds));
        self.next += 1;
    }

    /// Stores what is whole, a few spans at a time, and dies on the way there: before anything is stored, or before the
    /// journal is cut.
    fn store(&self, disk: &mut Disk, seconds: i64, dies: Option<bool>) {
        while self.store_some(disk, seconds, dies) {}
    }

    fn store_some(&self, disk: &mut Disk, seconds: i64, dies: Option<bool>) -> bool {
        let marked = self.receiver.take_marked(at(seconds), 3);
        disk.closing.extend(marked.closed.iter().map(|closed| (closed.trace, closed.mark)));
        if dies == Some(false) {
            return false;
        }
        disk.keep(marked.records);
        if dies == Some(true) {
            return false;
        }
        disk.stored();
        let cut = marked.oldest.unwrap_or(self.next);
        disk.journal.retain(|mark, _| *mark >= cut);
        disk.done.retain(|_, mark| *mark >= cut);
        marked.more
    }
}

fn closed(traces: &HashMap<u128, u64>) -> impl Iterator<Item = Closed> {
    traces.iter().map(|(trace, mark)| Closed { trace: *trace, mark: *mark })
}

impl Disk {
    fn stored(&mut self) {
        self.done.extend(self.closing.drain());
    }

    /// As a store does, which keeps what it knows.
    fn keep(&mut self, records: Vec<OperationRecord>) {
        for record in records {
            self.store.entry(record.id).or_insert(record);
        }
    }
}

/// A span of a tree: the first is an agent, all others are calls of its.
fn tree(trace: u64, span: u8) -> Value {
    let id = |span: u8| format!("{:016x}", trace << 8 | u64::from(span));
    match span {
        1 => span_json(TRACE, &id(1), None, &[("gen_ai.operation.name", json!("invoke_agent"))]),
        _ => chat(&id(span), Some(&id(1))),
    }
}

#[derive(Debug, Clone)]
enum Step {
    Spans(Vec<(u8, u8)>, bool),
    Wait(u8, Option<bool>),
    Die,
}

fn step() -> impl Strategy<Value = Step> {
    let spans = prop::collection::vec((1..6_u8, 1..6_u8), 1..5);
    prop_oneof![
        6 => (spans, prop::bool::weighted(0.1)).prop_map(|(spans, dies)| Step::Spans(spans, dies)),
        4 => (1..8_u8, prop::option::weighted(0.3, any::<bool>())).prop_map(|(seconds, dies)| Step::Wait(seconds, dies)),
        1 => Just(Step::Die),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_acknowledged_span_counts_once_whenever_the_server_dies(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut disk = Disk::default();
        let mut server = Server::begin(&mut disk);
        let mut sent = std::collections::HashSet::new();
        let mut now = 0;
        for step in steps {
            let died = match step {
                Step::Spans(spans, dies) => {
                    let spans: Vec<_> = spans
                        .into_iter()
                        .filter(|span| sent.insert(*span))
                        .map(|(trace, span)| with_trace(tree(u64::from(trace), span), u64::from(trace)))
                        .collect();
                    server.take_in(&mut disk, now, &json_request(&spans), dies);
                    dies
                }
                Step::Wait(seconds, dies) => {
                    now += i64::from(seconds) * 10;
                    server.store(&mut disk, now, dies);
                    dies.is_some()
                }
                Step::Die => true,
            };
            if died {
                server = Server::begin(&mut disk);
            }
        }
        server.store(&mut disk, now + 10_000, None);
        let records: Vec<_> = disk.store.into_values().collect();
        prop_assert_eq!(sums(&records).calls, sent.iter().filter(|(_, span)| *span != 1).count());
        // All of it is stored, so nothing of the journal is needed.
        prop_assert_eq!((disk.journal.len(), disk.done.len()), (0, 0));
    }
}

#[test]
fn without_a_journal_nothing_is_kept_for_one() {
    let receiver = Receiver::new(Settings::default(), at(0));
    let address =
        Address::of_http(Signal::Traces, Some("application/json"), None).expect("it is known");
    let body = json_request(&[chat("000000000000000a", None)]);
    receiver.hold(receiver.decode(address, body.as_bytes()).expect("it can be read"), 0, at(0));
    let marked = receiver.take_marked(at(100), usize::MAX);
    assert_eq!((marked.records.len(), marked.closed.len(), marked.oldest), (1, 0, None));
    let refused = Address::of_http(Signal::Traces, Some("text/plain"), None).unwrap_err();
    assert_eq!(refused.status, 415);
}
