//! A real listener, scraped: what it answers to whom, and that nobody can keep the others out.
#![allow(clippy::unwrap_used, reason = "a test that meets with an error shall panic")]

use std::io::{Read, Write};
use std::net::TcpStream;

use taximeter::{Meter, TokenUsage};
use taximeter_scrape::Listener;

fn metered() -> Meter {
    let meter = Meter::builder().build().unwrap();
    let op = meter.operation("answer").start();
    op.record_usage("openai", "gpt-4o", TokenUsage::new(1_200, 350));
    op.succeed();
    meter
}

/// The answer to a request as it is on the wire.
fn raw(listener: &Listener, request: &str) -> String {
    let mut stream = TcpStream::connect(listener.address()).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn a_scraper_gets_the_format_that_it_asks_for() {
    let listener = Listener::start(&metered(), "127.0.0.1:0").unwrap();
    let get = |headers: &str| {
        raw(
            &listener,
            &format!("GET /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{headers}\r\n"),
        )
    };
    let classic = get("");
    assert!(classic.starts_with("HTTP/1.1 200"), "{classic}");
    assert!(classic.contains("content-type: text/plain; version=0.0.4"), "{classic}");
    let open = get("accept: application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.2\r\n");
    assert!(
        open.contains("application/openmetrics-text; version=1.0.0") && open.ends_with("# EOF\n"),
        "{open}"
    );
    assert!(open.contains("trace_id=\""), "{open}");
    assert!(get("accept-encoding: br, gzip;q=0.5\r\n").contains("content-encoding: gzip"));
    assert!(!get("accept-encoding: gzip;q=0\r\n").contains("content-encoding"));

    let url = format!("http://{}/metrics", listener.address());
    let mut unpacked = ureq::get(&url).call().unwrap();
    let unpacked = unpacked.body_mut().read_to_string().unwrap();
    assert!(unpacked.contains("gen_ai_client_token_usage_sum{"), "{unpacked}");
    assert!(unpacked.contains("target_info{service_name="), "{unpacked}");
}

#[test]
fn other_paths_methods_and_nonsense_are_answered_in_words() {
    let listener = Listener::start(&metered(), "127.0.0.1:0").unwrap();
    let status = |line: &str| {
        let answer = raw(&listener, &format!("{line}\r\nhost: a\r\nconnection: close\r\n\r\n"));
        answer.get(9..12).unwrap_or_default().to_owned()
    };
    assert_eq!(status("GET / HTTP/1.1"), "404");
    assert_eq!(status("POST /metrics HTTP/1.1"), "405");
    assert_eq!(status("nonsense"), "400");
    let long = format!("GET /metrics?{} HTTP/1.1", "a".repeat(1 << 20));
    let mut stream = TcpStream::connect(listener.address()).unwrap();
    // It may be cut off while it is being sent.
    let _ = stream.write_all(long.as_bytes());
    drop(stream);
    assert_eq!(status("GET /metrics HTTP/1.1"), "200");
}

#[test]
fn who_says_nothing_keeps_no_place_that_others_need() {
    let listener = Listener::start(&metered(), "127.0.0.1:0").unwrap();
    let silent: Vec<_> = (0..15).map(|_| TcpStream::connect(listener.address()).unwrap()).collect();
    let answer = raw(&listener, "GET /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // Above the bound a scraper waits, and is served as soon as one of the others goes.
    let more = TcpStream::connect(listener.address()).unwrap();
    drop(silent);
    let answer = raw(&listener, "GET /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    drop((listener, more)); // it ends though somebody is connected
}

#[test]
fn a_scrape_holds_up_nobody_who_records() {
    let meter = metered();
    let listener = Listener::start(&meter, "127.0.0.1:0").unwrap();
    let recording = std::thread::spawn({
        let meter = meter.clone();
        move || (0..20_000).for_each(|_| meter.operation("busy").start().succeed())
    });
    let url = format!("http://{}/metrics", listener.address());
    let mut scraped = 0;
    while !recording.is_finished() {
        assert_eq!(ureq::get(&url).call().unwrap().status(), 200);
        scraped += 1;
    }
    recording.join().unwrap();
    assert!(scraped > 0);
    let counts = meter.counts();
    assert_eq!((counts.dropped_total(), meter.totals().operations()), (0, 20_001), "{counts:?}");
}
