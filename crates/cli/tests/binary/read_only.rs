//! A store that this user may only read: questions are answered, and the rest says what to do.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use chrono::TimeDelta;

use super::room::{Room, Said, questions};

/// The identity of nobody, where the tests run as root, who may do everything.
const NOBODY: &str = "65534";

#[test]
fn whoever_may_not_write_may_ask() {
    let room = Room::of(&questions(40, TimeDelta::hours(5)));
    let store = room.path("data/metrics");
    let mode = |path: &std::path::Path, mode| {
        fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    };
    // Everybody may come there and read, and nobody write.
    for folder in [room.path(""), room.path("data")] {
        mode(&folder, 0o755);
    }
    mode(&store.join("taximeter.db"), 0o444);
    mode(&store, 0o555);
    let is_root = tempfile::tempfile_in(&store).is_ok();
    let binary = room.path("taximeter");
    fs::copy(env!("CARGO_BIN_EXE_taximeter"), &binary).unwrap();
    mode(&binary, 0o755);
    let run = |arguments: &[&str]| {
        let mut command = if is_root {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]).arg(&binary);
            command
        } else {
            Command::new(&binary)
        };
        command.args(arguments).arg("--store").arg(&store).current_dir(room.path("")).output()
    };
    if is_root && Command::new("setpriv").arg("--version").output().is_err() {
        println!("skipped: this user may write everywhere, and there is no setpriv to be another");
        mode(&store, 0o755);
        return;
    }
    let reading: [&[&str]; 12] = [
        &["report"],
        &["ops"],
        &["trend", "qa_response"],
        &["bottlenecks"],
        &["advise"],
        &["forecast"],
        &["top"],
        &["export"],
        &["sql", "SELECT count(*) FROM operations"],
        &["store", "stats"],
        &["store", "check"],
        &["doctor"],
    ];
    for arguments in reading {
        let said = Said::of(run(arguments).unwrap());
        assert_eq!(said.code, 0, "{arguments:?}: {}{}", said.output, said.errors);
        if arguments == ["doctor"] {
            assert!(said.output.contains("may only read the store"), "{}", said.output);
        }
    }
    let report = Said::of(run(&["report", "--json"]).unwrap()).json();
    assert_eq!(report["total_operations"], 40);
    for arguments in [&["import", "operations.jsonl"][..], &["store", "vacuum"]] {
        let said = Said::of(run(arguments).unwrap());
        assert_eq!(said.code, 1, "{arguments:?}");
        assert!(said.errors.contains("this user"), "{}", said.errors);
    }
    // What was not closed cannot be known without its log.
    mode(&store, 0o755);
    fs::write(store.join("taximeter.db-wal"), "something").unwrap();
    mode(&store.join("taximeter.db-wal"), 0o600);
    mode(&store, 0o555);
    if is_root {
        let said = Said::of(run(&["report"]).unwrap());
        assert!(
            said.code == 1 && said.errors.contains("let this user write there"),
            "{}",
            said.errors
        );
    }
    mode(&store, 0o755);
    fs::remove_file(store.join("taximeter.db-wal")).unwrap();
    // Nothing was left there.
    assert_eq!(
        fs::read_dir(&store)
            .unwrap()
            .filter(|one| one.as_ref().unwrap().metadata().unwrap().len() > 0)
            .count(),
        1
    );
    mode(&store, 0o755);
}

#[test]
fn a_store_of_an_older_version_says_the_command_that_brings_it_here() {
    let room = Room::empty();
    let old = concat!(env!("CARGO_MANIFEST_DIR"), "/../persistence/tests/data/store_v1.db");
    fs::copy(old, room.path("old.db")).unwrap();
    let refused = room.run(&["store", "stats", "--store", "old.db"]);
    let told = "taximeter store migrate --store \"old.db\"";
    assert!(refused.code == 1 && refused.errors.contains(told), "{}", refused.errors);
    room.run(&["store", "migrate", "--store", "old.db"]).well();
    assert!(room.json(&["store", "stats", "--store", "old.db"])["operations"].as_u64() > Some(0));
}
