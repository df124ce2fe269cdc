//! `taximeter serve`: the page and the API say what the command line says of the same store.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use chrono::TimeDelta;
use serde_json::Value;

use super::room::{Room, questions};

/// A server that ends with the test.
struct Served(Child, String);

impl Served {
    fn over(room: &Room) -> Self {
        let mut command = room.command(&["serve", "--read-only", "--port", "0"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next().unwrap().unwrap();
        let address = line.split_once("http://").unwrap().1.trim().to_owned();
        std::thread::spawn(move || lines.count());
        Self(child, address)
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.1).unwrap();
        let head = format!("GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", self.1);
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.0 200"), "{path}: {answer:.200}");
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.get(path)).unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn page_and_api_say_what_the_command_line_says() {
    let room = Room::of(&questions(60, TimeDelta::days(20)));
    let served = Served::over(&room);
    let id = room.json(&["ops", "--since", "30d"])["operations"][0]["operation_id"].clone();
    let id = id.as_str().unwrap();
    for (command, path) in [
        (
            vec!["report", "--since", "30d", "--by", "user"],
            "/api/v1/report?since=30d&by=user".to_owned(),
        ),
        (
            vec!["report", "--since", "30d", "--budget", "1"],
            "/api/v1/report?since=30d&budget=1".to_owned(),
        ),
        (vec!["ops", "--since", "30d"], "/api/v1/operations?since=30d&limit=20".to_owned()),
        (vec!["show", id], format!("/api/v1/operations/{id}")),
        (
            vec!["trend", "qa_response", "--window", "30d"],
            "/api/v1/trend/qa_response?since=30d".to_owned(),
        ),
        (vec!["advise", "--since", "30d"], "/api/v1/advice?since=30d".to_owned()),
        (vec!["forecast"], "/api/v1/forecast".to_owned()),
        (
            vec!["compare", "user=user-1", "user=user-2", "--since", "30d"],
            "/api/v1/compare?a=user=user-1&b=user=user-2&since=30d".to_owned(),
        ),
    ] {
        same(|| room.json(&command), || served.json(&path), &path);
    }
    let report = room.json(&["report", "--since", "30d"]);
    let page = served.get("/?since=30d");
    let operations = taximeter::report::count(report["total_operations"].as_u64().unwrap());
    let number = format!("{operations} operations");
    assert!(page.contains(&number), "{number} is not on the page");
}

/// Asks both until no minute ended in between, which moves a period: then they are one document.
fn same(command: impl Fn() -> Value, served: impl Fn() -> Value, path: &str) {
    let mut before = timeless(command());
    for _ in 0..20 {
        let answer = timeless(served());
        let after = timeless(command());
        if before == after {
            assert!(before.as_object().is_some_and(|names| names.len() > 3), "{path}");
            assert_eq!(answer, before, "{path}");
            return;
        }
        before = after;
    }
    panic!("{path}: the command line never says the same twice");
}

/// A document without the moment at which it was made, and without what was asked.
fn timeless(mut document: Value) -> Value {
    if let Value::Object(names) = &mut document {
        for name in ["analysis_timestamp", "only", "since", "until"] {
            names.remove(name);
        }
    }
    document
}
