//! A server that dies between any two steps and reads its journal again: every span counts, once.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use taximeter_models::{OperationId, OperationRecord};
use taximeter_telemetry::otlp::{Address, Closed, Receiver, Settings, Signal};

use super::support::{before, chat, json_request, sums, with_trace};

fn at(seconds: i64) -> DateTime<Utc> {
    before() + TimeDelta::seconds(seconds)
}

/// What outlives a server: the requests that it acknowledged, the traces that are done with, the records.
#[derive(Default)]
struct Disk {
    journal: BTreeMap<u64, (i64, String)>,
    done: HashMap<u128, u64>,
    store: HashMap<OperationId, OperationRecord>,
}

struct Server {
    receiver: Receiver,
    address: Address,
    next: u64,
}

impl Server {
    fn begin(disk: &Disk) -> Self {
        let receiver = Receiver::new(Settings::default(), at(0));
        let address =
            Address::of_http(Signal::Traces, Some("application/json"), None).expect("it is known");
        receiver.done(disk.done.iter().map(|(trace, mark)| Closed { trace: *trace, mark: *mark }));
        for (mark, (seconds, body)) in &disk.journal {
            let decoded = receiver.decode(&address, body.as_bytes()).expect("it was read before");
            receiver.hold(decoded, *mark, at(*seconds));
        }
        let next = disk.journal.keys().last().map_or(1, |last| last + 1);
        Self { receiver, address, next }
    }

    /// Takes a request in, and dies before it is held if that is asked for.
    fn take_in(&mut self, disk: &mut Disk, seconds: i64, body: &str, dies: bool) {
        let decoded = self.receiver.decode(&self.address, body.as_bytes()).expect("it can be read");
        disk.journal.insert(self.next, (seconds, body.to_owned()));
        if dies {
            return;
        }
        self.receiver.hold(decoded, self.next, at(seconds));
        self.next += 1;
    }

    /// Stores what is whole, and dies before the journal is cut if that is asked for.
    fn store(&self, disk: &mut Disk, seconds: i64, dies: bool) {
        let marked = self.receiver.take_marked(at(seconds));
        for record in marked.records {
            disk.store.entry(record.id).or_insert(record);
        }
        if dies {
            return;
        }
        let cut = marked.oldest.unwrap_or(self.next);
        for closed in marked.closed {
            let mark = disk.done.entry(closed.trace).or_default();
            *mark = closed.mark.max(*mark);
        }
        disk.journal.retain(|mark, _| *mark >= cut);
        disk.done.retain(|_, mark| *mark >= cut);
    }
}

#[derive(Debug, Clone)]
enum Step {
    Spans(Vec<(u8, u8)>, bool),
    Wait(u8, bool),
    Die,
}

fn step() -> impl Strategy<Value = Step> {
    let spans = prop::collection::vec((1..6_u8, 1..20_u8), 1..5);
    prop_oneof![
        6 => (spans, prop::bool::weighted(0.1)).prop_map(|(spans, dies)| Step::Spans(spans, dies)),
        4 => (1..8_u8, prop::bool::weighted(0.2)).prop_map(|(seconds, dies)| Step::Wait(seconds, dies)),
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
        let mut server = Server::begin(&disk);
        let mut sent = std::collections::HashSet::new();
        let mut now = 0;
        for step in steps {
            let died = match step {
                Step::Spans(spans, dies) => {
                    let spans: Vec<_> = spans
                        .into_iter()
                        .filter(|span| sent.insert(*span))
                        .map(|(trace, span)| {
                            // Siblings under a parent that never comes: each is an operation of its own.
                            let id = format!("{:016x}", u64::from(trace) << 8 | u64::from(span));
                            with_trace(chat(&id, Some("ffffffffffffffff")), u64::from(trace))
                        })
                        .collect();
                    server.take_in(&mut disk, now, &json_request(&spans), dies);
                    dies
                }
                Step::Wait(seconds, dies) => {
                    now += i64::from(seconds) * 10;
                    server.store(&mut disk, now, dies);
                    dies
                }
                Step::Die => true,
            };
            if died {
                server = Server::begin(&disk);
            }
        }
        server.store(&mut disk, now + 10_000, false);
        let records: Vec<_> = disk.store.into_values().collect();
        prop_assert_eq!(sums(&records).calls, sent.len());
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
    receiver.hold(receiver.decode(&address, body.as_bytes()).expect("it can be read"), 0, at(0));
    let marked = receiver.take_marked(at(100));
    assert_eq!((marked.records.len(), marked.closed.len(), marked.oldest), (1, 0, None));
    let refused = Address::of_http(Signal::Traces, Some("text/plain"), None).unwrap_err();
    assert_eq!(refused.status, 415);
}
