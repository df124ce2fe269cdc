//! What meters lose reaches the store, and with it everybody who asks.

use std::fs;
use std::process::Command;
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
    // A part of the operations is not to be trusted more than all of them, and who looks on sees it too.
    let part = room.json(&["report", "--operation", "qa_response"]);
    assert_eq!((&part["alerts"][0], &part["health"]["losses"]), (&report["alerts"][0], losses));
    assert_eq!(&room.json(&["top", "--window", "1h"])["losses"]["lost"], &losses["lost"]);
    let top = room.run(&["top", "--window", "1h", "--width", "120"]).well();
    let told = format!("{} operations lost (", losses["lost"]);
    assert!(top.contains(&told), "{told} is not in\n{top}");
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

/// A disk of one mebibyte, nearly full.
struct SmallDisk<'r>(&'r Room);

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path("disk")).status();
    }
}

#[test]
fn a_disk_that_was_full_is_told_when_there_is_room_again() {
    let room = Room::empty();
    fs::create_dir(room.path("disk")).unwrap();
    let mount = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
        .arg(room.path("disk"))
        .output();
    if !mount.is_ok_and(|output| output.status.success()) {
        println!("skipped: this user may not mount a small disk");
        return;
    }
    let disk = SmallDisk(&room);
    let meter = Meter::builder().store(room.path("disk/store")).build().unwrap();
    fs::write(room.path("disk/filler"), vec![0; 300_000]).unwrap();
    let text = "x".repeat(4_000);
    for _ in 0..1_000 {
        for _ in 0..20 {
            meter.operation("qa_response").with("note", text.as_str()).start().succeed();
        }
        // It says that some were lost; what it says is not what is asked here.
        let _ = meter.flush(WAIT);
        if meter.counts().dropped_total() > 0 {
            break;
        }
    }
    let lost = meter.counts().dropped_total();
    assert!(lost > 0, "the disk was never full: {:?}", meter.counts());
    fs::remove_file(room.path("disk/filler")).unwrap();
    meter.operation("qa_response").start().succeed();
    meter.flush(WAIT).unwrap();
    let report = room.json(&["report", "--store", "disk/store"]);
    let losses = &report["health"]["losses"];
    assert_eq!(losses["lost_by_reason"]["disk_full"], lost, "{losses}");
    assert!(losses["last_error"][1].as_str().unwrap().contains("no room"), "{losses}");
    assert_eq!(report["total_operations"], losses["stored"]);
    let doctor = room.run(&["doctor", "--store", "disk/store", "--width", "300"]);
    assert!(doctor.code == 5 && doctor.output.contains("free some room"), "{}", doctor.output);
    drop(meter);
    drop(disk);
}
