//! `taximeter alerts` and `taximeter budget`, and a server that is killed while it tells.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::TimeDelta;
use serde_json::Value;

use super::room::{Room, questions};

const RULES: &str = r#"
[[budget]]
name = "month"
amount = 0.0001
per = "month"
by = "user"

[[rule]]
name = "answers come"
kind = "threshold"
quantity = "count"
above = 3
window = "1h"
for = "2m"
"#;

fn room(rules: &str) -> Room {
    let room = Room::of(&questions(60, TimeDelta::hours(5)));
    room.write("taximeter.alerts.toml", rules);
    room
}

#[test]
fn a_file_is_checked_and_what_is_wrong_has_its_line() {
    let room = room(RULES);
    let shown = room.run(&["alerts", "check"]).well();
    assert!(
        shown.contains("answers come") && shown.contains("count over 1h above 3, for 2m"),
        "{shown}"
    );
    assert!(shown.contains("budget month: $0.000100 per month, by user"), "{shown}");
    room.write("wrong.toml", "[[rule]]\nname = 'x'\nkind = 'treshold'");
    let wrong = room.run(&["alerts", "check", "--alerts", "wrong.toml"]);
    assert_eq!(wrong.code, 1);
    assert!(
        wrong.errors.contains("wrong.toml, line 3") && wrong.errors.contains("threshold"),
        "{}",
        wrong.errors
    );
    let none = Room::empty().run(&["alerts", "check"]);
    assert!(none.code == 1 && none.errors.contains("taximeter.alerts.toml"), "{}", none.errors);
    let there = room.run_with(&["alerts", "check"], &[("TAXIMETER_ALERTS", "wrong.toml")]);
    assert_eq!(there.code, 1);
}

#[test]
fn what_a_rule_would_have_done_is_said_in_words() {
    let room = room(RULES);
    let shown = room.run(&["alerts", "backtest", "answers come", "--since", "6h"]).well();
    assert!(shown.contains("answers come would have fired"), "{shown}");
    let found = room.json(&["alerts", "backtest", "answers come", "--since", "6h"]);
    assert!(found["would_have_fired"].as_u64().unwrap() >= 1);
    let wrong = room.run(&["alerts", "backtest", "answers go"]);
    assert!(wrong.code == 1 && wrong.errors.contains("answers come"), "{}", wrong.errors);
}

#[test]
fn a_budget_that_is_over_ends_with_five_where_that_is_asked_for() {
    let room = room(RULES);
    let shown = room.run(&["budget"]).well();
    assert!(shown.contains("it is gone") && shown.contains("over by $0.0337"), "{shown}");
    assert_eq!(room.run(&["budget", "--check"]).code, 5);
    room.write(
        "taximeter.alerts.toml",
        "[[budget]]\nname = 'b'\namount = 1_000_000\nper = 'month'",
    );
    assert_eq!(room.run(&["budget", "--check"]).code, 0);
}

/// A receiver that takes what comes, slowly; what it got.
fn hook() -> (String, Arc<Mutex<Vec<Value>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let got: Arc<Mutex<Vec<Value>>> = Arc::default();
    let kept = Arc::clone(&got);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let (mut text, mut piece) = (Vec::new(), [0; 8_192]);
            while let Ok(length) = stream.read(&mut piece) {
                text.extend_from_slice(&piece[..length]);
                let shown = String::from_utf8_lossy(&text).into_owned();
                let body = shown.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
                let whole = body.and_then(|body| serde_json::from_str(&body).ok());
                if length == 0 || whole.is_some() {
                    kept.lock().unwrap().extend::<Option<Value>>(whole);
                    break;
                }
            }
            std::thread::sleep(Duration::from_millis(100));
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    (url, got)
}

fn serve(room: &Room) -> Child {
    let mut command = room.command(&["serve", "--port", "0", "--otlp", "0"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("Control-C")));
    std::thread::spawn(move || lines.count());
    child
}

#[test]
fn a_server_that_is_killed_while_it_tells_leaves_nobody_out_and_says_nothing_under_two_ids() {
    let (url, got) = hook();
    let toml = format!(
        "[[receiver]]\nname = 'hook'\nkind = 'webhook'\nurl = '{url}'\n\
         [[rule]]\nname = 'users come'\nkind = 'threshold'\nquantity = 'count'\nby = 'user'\nabove = 0\nwindow = '6h'"
    );
    let room = room(&toml);
    let users =
        room.json(&["report", "--since", "6h", "--by", "user"])["groups"].as_array().unwrap().len();
    assert!(users > 2);
    for round in 0..4 {
        let mut child = serve(&room);
        // In the middle of what is told: each takes a tenth of a second.
        std::thread::sleep(Duration::from_millis(150 + 90 * round));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let ids = || {
        let got = got.lock().unwrap();
        let mut ids: Vec<_> =
            got.iter().map(|event| (event["key"].to_string(), event["id"].to_string())).collect();
        ids.sort();
        ids.dedup();
        ids
    };
    let mut child = serve(&room);
    for _ in 0..600 {
        let status = room.json(&["alerts", "status"]);
        if ids().len() >= users && status["waiting"] == 0 {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let ids = ids();
    assert_eq!(ids.len(), users, "{ids:?}");
    let status = room.json(&["alerts", "status"]);
    assert_eq!((status["waiting"].clone(), status["lost"].clone()), (0.into(), 0.into()));
    assert_eq!(status["firing"].as_array().unwrap().len(), users);
}

#[test]
fn a_rule_is_muted_from_the_command_line_while_a_server_runs() {
    let (url, got) = hook();
    let toml = format!(
        "[[receiver]]\nname = 'hook'\nkind = 'webhook'\nurl = '{url}'\n\
         [[rule]]\nname = 'they come'\nkind = 'threshold'\nquantity = 'count'\nabove = 0\nwindow = '6h'"
    );
    let room = room(&toml);
    let muted = room.json(&["alerts", "mute", "they come", "--for", "2h"]);
    assert!(muted["document"] == "mute" && muted["muted_until"].is_string(), "{muted}");
    assert_eq!(room.json(&["alerts", "status"])["rules"][0]["muted_until"], muted["muted_until"]);
    for wrong in [["mute", "they go", "--for", "2h"], ["mute", "they come", "--for", "ever"]] {
        let said = room.run(&[&["alerts"], &wrong[..]].concat());
        assert_eq!(said.code, 1, "{}", said.errors);
    }
    let mut child = serve(&room);
    let firing = || room.json(&["alerts", "status"])["firing"][0].clone();
    let until = |what: &str, is_so: &dyn Fn() -> bool| {
        for _ in 0..600 {
            if is_so() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{what}");
    };
    until("it fires and nobody is told", &|| firing()["told"] == false);
    assert!(got.lock().unwrap().is_empty());
    let said = room.run(&["alerts", "unmute", "they come"]).well();
    assert!(said.contains("they come: it is told again."), "{said}");
    // The server takes it over, and what it knew of the alert is still there. A rule is looked at once a minute.
    until("the server does not bring the mute back", &|| {
        room.json(&["alerts", "status"])["rules"][0]["muted_until"].is_null()
    });
    assert_eq!(firing()["rule"], "they come");
    child.kill().unwrap();
    child.wait().unwrap();
}
