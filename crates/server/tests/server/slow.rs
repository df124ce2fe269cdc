//! Clients that are slow, silent or hostile.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use taximeter::store::{Durability, Journal};
use tempfile::tempdir;

use super::support::{Running, chat, config, raw, until};

#[test]
fn silent_and_slow_clients_are_let_go_and_hold_nobody_up() {
    let folder = tempdir().unwrap();
    let mut config = config(folder.path());
    config.limits.header_time = Duration::from_secs(2);
    config.limits.body_time = Duration::from_secs(2);
    let server = Running::start(config);
    let mut silent: Vec<_> = (0..200).map(|_| TcpStream::connect(server.page).unwrap()).collect();
    let mut slow: Vec<_> = (0..200)
        .map(|_| {
            let mut stream = TcpStream::connect(server.otlp).unwrap();
            let head = "POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                Content-Length: 1000\r\n\r\n{";
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    assert_eq!(server.get("/healthz"), "ok\n");
    assert_eq!(server.send(&[chat(1, &[])]), 200);
    let begun = Instant::now();
    for stream in &mut silent {
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        // It was closed without a word.
        assert_eq!(stream.read(&mut [0; 64]).unwrap_or(0), 0);
    }
    for stream in &mut slow {
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut answer = [0; 64];
        let read = stream.read(&mut answer).unwrap_or(0);
        assert!(String::from_utf8_lossy(&answer[..read]).contains("408"));
    }
    assert!(begun.elapsed() < Duration::from_secs(60), "they were waited for");
    server.shutdown();
}

/// Opens connections until there are so many; a machine that allows fewer open files says so.
#[expect(clippy::print_stdout, reason = "a test says what it could not do")]
fn connections(count: usize, address: std::net::SocketAddr) -> Vec<TcpStream> {
    let mut open = Vec::new();
    while open.len() < count {
        match TcpStream::connect(address) {
            Ok(stream) => open.push(stream),
            Err(error) => {
                println!("only {} of {count} connections could be opened: {error}", open.len());
                break;
            }
        }
    }
    open
}

#[test]
fn a_thousand_silent_and_a_thousand_slow_clients_starve_nobody() {
    let folder = tempdir().unwrap();
    let server = Running::start(config(folder.path()));
    let silent = connections(1_000, server.otlp);
    let mut slow = connections(1_000, server.otlp);
    for (at, stream) in slow.iter_mut().enumerate() {
        // Half of them are slow with their head, and half with their body.
        let head = "POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
            Content-Length: 1000\r\n\r\n{";
        let said = if at % 2 == 0 { head } else { &head[..40] };
        let _ = stream.write_all(said.as_bytes());
    }
    let on_the_page = connections(500, server.page);
    for trace in 0..20 {
        assert_eq!(server.send(&[chat(trace, &[])]), 200);
        assert_eq!(server.get("/healthz"), "ok\n");
    }
    until("all of them are stored beside them", || {
        server.json("/api/v1/report?since=1h")["total_operations"] == 20
    });
    drop((silent, slow, on_the_page));
    server.shutdown();
}

#[test]
fn more_silent_clients_than_there_are_places_make_room_for_who_speaks() {
    let folder = tempdir().unwrap();
    let mut config = config(folder.path());
    config.limits.connections = 16;
    config.limits.header_time = Duration::from_secs(3_600);
    let server = Running::start(config);
    let silent = connections(64, server.page);
    // Nobody's time is over; the ones that came first went.
    assert_eq!(server.get("/healthz"), "ok\n");
    drop(silent);
    server.shutdown();
}

#[test]
fn more_connections_than_allowed_wait_for_their_turn() {
    let folder = tempdir().unwrap();
    let mut config = config(folder.path());
    config.limits.connections = 4;
    config.limits.header_time = Duration::from_secs(1);
    let server = Running::start(config);
    let held: Vec<_> = (0..4).map(|_| TcpStream::connect(server.page).unwrap()).collect();
    // Those that hold the places say nothing and are let go; then it is this one's turn.
    assert_eq!(server.get("/healthz"), "ok\n");
    drop(held);
    server.shutdown();
}

#[test]
fn bodies_that_cannot_be_are_refused_and_the_server_goes_on() {
    let folder = tempdir().unwrap();
    let server = Running::start(config(folder.path()));
    let post = |headers: &str, body: &str| {
        let request = format!(
            "POST /v1/traces HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        raw(server.otlp, &request).split(' ').nth(1).unwrap_or_default().to_owned()
    };
    let json = "Content-Type: application/json\r\n";
    assert_eq!(post(json, "{"), "400");
    assert_eq!(post(json, "{}"), "200");
    assert_eq!(post("", "{}"), "415");
    assert_eq!(post(&format!("{json}Content-Encoding: br\r\n"), "{}"), "415");
    assert_eq!(post(&format!("{json}Content-Encoding: gzip\r\n"), "{}"), "400");
    let huge = "POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
        Content-Length: 99999999999\r\nConnection: close\r\n\r\n";
    assert_eq!(raw(server.otlp, huge).split(' ').nth(1), Some("413"));
    // A client that goes in the middle of its body.
    let mut stream = TcpStream::connect(server.otlp).unwrap();
    stream.write_all(b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"").unwrap();
    drop(stream);
    assert_eq!(server.send(&[chat(1, &[])]), 200);
    until("it is stored", || server.json("/api/v1/report?since=1h")["total_operations"] == 1);
    server.shutdown();
}

#[test]
fn clients_that_go_before_their_answer_keep_nothing_in_the_journal() {
    let folder = tempdir().unwrap();
    let server = Running::start(config(folder.path()));
    for trace in 0..300 {
        let body =
            serde_json::json!({"resourceSpans": [{"scopeSpans": [{"spans": [chat(trace, &[])]}]}]});
        let body = body.to_string();
        let mut stream = TcpStream::connect(server.otlp).unwrap();
        let head = format!(
            "POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).unwrap();
    }
    assert_eq!(server.send(&[chat(1_000, &[])]), 200);
    server.shutdown();
    let journal = Journal::open(&folder.path().join("journal.db"), Durability::Os).unwrap();
    assert_eq!(journal.len().unwrap(), 0);
}
