//! Killed in the middle: what was acknowledged is there, once.
//!
//! The test starts itself as the process that is killed. `TAXIMETER_SERVER_KILLS` says how often, 6 times by default;
//! `TAXIMETER_SERVER_LOAD` by how many clients at once it is sent to until then, 3 by default. Who wants to know closely:
//! `TAXIMETER_SERVER_KILLS=500 TAXIMETER_SERVER_LOAD=16 cargo test -p taximeter-server --test server killed`.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tempfile::tempdir;

use super::support::{Running, chat, config, send, until};

const FOLDER: &str = "TAXIMETER_TEST_SERVER_FOLDER";

/// The process that is killed: a server that says where it is, and goes on.
#[test]
fn a_server_of_its_own() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let server = Running::start(config(Path::new(&folder)));
    println!("otlp={}", server.otlp);
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn start(folder: &Path) -> (Child, SocketAddr) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::a_server_of_its_own", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let told = lines.find_map(|line| {
        line.ok()?.split_once("otlp=").map(|(_, address)| address.trim().to_owned())
    });
    // Whoever does not read on lets the other side wait.
    std::thread::spawn(move || lines.count());
    (child, told.unwrap().parse().unwrap())
}

#[test]
fn every_acknowledged_span_is_there_once_after_kills() {
    let told = |name, usual| std::env::var(name).map_or(usual, |told| told.parse().unwrap());
    let (kills, clients) = (told("TAXIMETER_SERVER_KILLS", 6), told("TAXIMETER_SERVER_LOAD", 3));
    let folder = tempdir().unwrap();
    let (next, acknowledged) = (AtomicU64::new(0), AtomicU64::new(0));
    for round in 0..kills {
        let (mut child, otlp) = start(folder.path());
        let killed = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..clients {
                scope.spawn(|| {
                    while !killed.load(Ordering::Relaxed) {
                        let trace = next.fetch_add(5, Ordering::Relaxed);
                        let spans: Vec<_> =
                            (trace..trace + 5).map(|trace| chat(trace, &[])).collect();
                        match send(otlp, &spans) {
                            200 => drop(acknowledged.fetch_add(5, Ordering::Relaxed)),
                            // Sent again until it is acknowledged, as clients do; it may have been taken.
                            _ => std::thread::sleep(Duration::from_millis(5)),
                        }
                    }
                });
            }
            // Between the beginning of the journal and some rounds of storing.
            std::thread::sleep(Duration::from_millis(150 + 337 * (round % 7) + 13 * (round % 23)));
            child.kill().unwrap();
            child.wait().unwrap();
            killed.store(true, Ordering::Relaxed);
        });
    }
    let (sent, acknowledged) = (next.load(Ordering::Relaxed), acknowledged.load(Ordering::Relaxed));
    assert!(acknowledged > 0);
    let server = Running::start(config(folder.path()));
    let report = || server.json("/api/v1/report?since=1d");
    until("all that was acknowledged is stored", || {
        report()["total_operations"].as_u64().unwrap() >= acknowledged
    });
    std::thread::sleep(Duration::from_secs(2));
    let report = report();
    assert_eq!(server.json("/api/v1/health")["receiver"]["waiting_traces"], 0);
    let stored = report["total_operations"].as_u64().unwrap();
    // What was not acknowledged may have been taken all the same, and never more than was sent.
    assert!((acknowledged..=sent).contains(&stored), "{acknowledged} <= {stored} <= {sent}");
    assert_eq!(report["total_tokens"].as_u64().unwrap(), 100 * stored);
    server.shutdown();
}
