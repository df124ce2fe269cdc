//! Killed at any moment: every event is told, in its order, with one id each.
//!
//! The test starts itself as the process that is killed. `TAXIMETER_ALERTS_KILLS` says how often; default 12.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use chrono::TimeDelta;
use taximeter_alerts::Alerts;

use super::support::{Hook, OK, failed, history, midnight, minutes, operation, rules};

const FOLDER: &str = "TAXIMETER_TEST_ALERTS_FOLDER";
const URL: &str = "TAXIMETER_TEST_ALERTS_URL";
const ROUNDS: i64 = 20;

/// The process that is killed: it goes through the minutes from where the one before was. In every ten of them, five fail.
#[test]
fn a_watch_of_its_own() {
    let (Some(folder), Ok(url)) = (std::env::var_os(FOLDER), std::env::var(URL)) else { return };
    let folder = Path::new(&folder);
    let toml = format!(
        "[[receiver]]\nname = 'hook'\nkind = 'webhook'\nurl = '{url}'\n\
         [[rule]]\nname = 'fails'\nkind = 'threshold'\nquantity = 'error_rate'\nwindow = '1m'\nabove = 0.5\nminimum = 1"
    );
    let one = |minute: i64| {
        let at = midnight() + minutes(minute);
        if minute % 10 < 5 { failed(at) } else { operation(at) }
    };
    let history = history((0..ROUNDS * 10).map(one).collect());
    let alerts = Alerts::open(rules(&toml), history, Some(&folder.join("state.json"))).unwrap();
    let clock = folder.join("clock");
    let begin = std::fs::read_to_string(&clock).map_or(1, |text| text.parse().unwrap_or(1));
    for minute in begin..=ROUNDS * 10 {
        std::fs::write(folder.join("clock.new"), minute.to_string()).unwrap();
        std::fs::rename(folder.join("clock.new"), &clock).unwrap();
        let now = midnight() + minutes(minute) + TimeDelta::seconds(31);
        alerts.evaluate(now).unwrap();
        alerts.deliver(now).unwrap();
    }
    // What failed on the way is tried again.
    for later in 1..20 {
        alerts.deliver(midnight() + minutes(ROUNDS * 10 + 10 * later)).unwrap();
    }
    std::fs::write(folder.join("done"), "").unwrap();
}

#[test]
fn every_event_is_told_with_one_id_however_often_the_process_is_killed() {
    let kills: u64 =
        std::env::var("TAXIMETER_ALERTS_KILLS").map_or(12, |kills| kills.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let down = Some("HTTP/1.1 503 Down\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n");
    let hook = Hook::new(vec![OK, OK, down, None, OK, None, down, OK]);
    let start = || {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::a_watch_of_its_own", "--nocapture"])
            .env(FOLDER, folder.path())
            .env(URL, hook.url())
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    };
    for round in 0..kills {
        let mut child = start();
        std::thread::sleep(Duration::from_millis(60 + 37 * (round % 7)));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(start().wait().unwrap().success());
    assert!(folder.path().join("done").exists());

    let requests = hook.requests();
    let mut seen = BTreeSet::new();
    let firsts: Vec<_> = requests
        .iter()
        .filter(|request| seen.insert(request.header("webhook-id").to_owned()))
        .map(|request| {
            let event = request.json();
            (
                event["fired_at"].as_str().unwrap().to_owned(),
                event["status"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    // Each of the rounds fires once and is over once, in this order, whatever was told twice.
    let statuses: Vec<_> = firsts.iter().map(|(_, status)| status.as_str()).collect();
    let expected: Vec<_> = (0..ROUNDS).flat_map(|_| ["firing", "resolved"]).collect();
    assert_eq!(statuses, expected);
    let moments: BTreeSet<_> = firsts.iter().map(|(moment, _)| moment).collect();
    assert_eq!(moments.len(), usize::try_from(ROUNDS).unwrap());
}
