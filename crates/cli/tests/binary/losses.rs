//! What meters lose reaches the store, and with it everybody who asks.

use std::time::Duration;

use chrono::TimeDelta;
use taximeter::{Limits, Meter};

use super::room::{Room, questions};

const WAIT: Duration = Duration::from_secs(30);

/// A meter that may hold four operations at a time, and is given more at once than that.
fn lossy(room: &Room) -> Meter {
    let mut limits = Limits::default();
    limits.open = 4;
    let meter = Meter::builder().store(room.path("data/metrics")).limits(limits);
    let meter = meter.session_id("shop").build().unwrap();
    let held: Vec<_> = (0..10).map(|_| meter.operation("qa_response").start()).collect();
    held.into_iter().for_each(taximeter::Operation::succeed);
    meter
}

#[test]
fn what_a_meter_lost_stands_in_every_answer() {
    let room = Room::of(&questions(20, TimeDelta::hours(3)));
    let clean = room.json(&["report"]);
    assert_eq!(clean["health"]["losses"]["meters"], 0);
    assert_eq!(room.run(&["doctor"]).code, 0);

    let meter = lossy(&room);
    let counts = meter.counts();
    assert!(counts.dropped_total() > 0, "{counts:?}");
    meter.flush(WAIT).unwrap();
    meter.flush(WAIT).unwrap(); // a second time it is noted in the same place
    meter.shutdown(WAIT).unwrap();
    let losses = &room.json(&["report"])["health"]["losses"];
    let counts = meter.counts();
    assert_eq!(losses["meters"], 1);
    assert_eq!(losses["offered"], 10);
    assert_eq!(losses["stored"], counts.stored);
    assert_eq!(losses["lost"], counts.dropped_total());
    assert_eq!(losses["in_flight"], 0);
    let by_reason = losses["lost_by_reason"].as_object().unwrap();
    let sum: u64 = by_reason.values().map(|number| number.as_u64().unwrap()).sum();
    assert_eq!(sum, counts.dropped_total());

    // A second meter of the same session has counts of its own.
    lossy(&room).shutdown(WAIT).unwrap();
    let report = room.json(&["report"]);
    let losses = &report["health"]["losses"];
    assert_eq!((&losses["meters"], &losses["offered"]), (&2.into(), &20.into()));
    assert_eq!(report["alerts"][0]["concern"], "lost");
    let text = room.run(&["report"]).well();
    assert!(text.contains("Alerts") && text.contains("of 20 operations were lost"), "{text}");
    assert!(text.contains("2 meters started 20 operations"), "{text}");
    let doctor = room.run(&["doctor"]);
    assert!(
        doctor.code == 5 && doctor.output.contains("were lost within 24 hours"),
        "{}",
        doctor.output
    );
    // Before there was a meter, nothing was lost.
    let before = room.json(&["report", "--since", "4h", "--until", "2h"]);
    assert_eq!(before["health"]["losses"]["lost"], 0);
    // It is carried over by a repair.
    room.run(&["store", "repair", "--into", "repaired.db"]).well();
    let repaired = room.json(&["report", "--store", "repaired.db"]);
    assert_eq!(repaired["health"]["losses"], report["health"]["losses"]);
}

#[test]
fn what_was_open_when_a_meter_was_killed_is_told() {
    let room = Room::empty();
    let meter = Meter::builder().store(room.path("data/metrics")).build().unwrap();
    meter.operation("qa_response").start().succeed();
    let open = meter.operation("qa_response").start();
    meter.flush(WAIT).unwrap();
    // As after a kill: nothing more is said.
    let losses = &room.json(&["report"])["health"]["losses"];
    assert_eq!((&losses["in_flight"], &losses["stored"]), (&1.into(), &1.into()));
    drop(open);
}
