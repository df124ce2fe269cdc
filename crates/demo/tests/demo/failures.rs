//! The application against a stand-in that fails, and against things that are no model's server.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use taximeter::Meter;
use taximeter_demo::{ApiKey, RagApp, RagConfig, RagError, RetryPolicy, Served, StandIn};

use crate::support::{app, failing, library, quick};

const QUESTION: &str = "What is chunking?";

fn both(stand_in: &StandIn, check: impl Fn(RagError)) -> Served {
    for stream in [false, true] {
        let app = app(stand_in, |config| {
            config.stream = stream;
            config.timeout = Duration::from_millis(300);
        });
        check(app.ask(QUESTION).unwrap_err());
    }
    stand_in.served()
}

fn status(error: &RagError) -> Option<(u16, Option<&str>)> {
    match error {
        RagError::Status { status, code, .. } => Some((*status, code.as_deref())),
        _ => None,
    }
}

#[test]
fn rate_limits_are_retried_and_then_reported() {
    let stand_in = failing(|faults| faults.rate_limited = 1.0);
    let served = both(&stand_in, |error| {
        assert_eq!(status(&error), Some((429, Some("rate_limit_exceeded"))));
        assert_eq!(error.retry_after(), Some(Duration::from_millis(120)));
    });
    assert_eq!((served.requests, served.rate_limited), (6, 6));
}

#[test]
fn server_errors_are_retried_and_then_reported() {
    let stand_in = failing(|faults| faults.server_error = 1.0);
    let served = both(&stand_in, |error| {
        assert_eq!(status(&error), Some((500, Some("server_error"))));
    });
    assert_eq!((served.requests, served.server_errors), (6, 6));
}

#[test]
fn timeouts_are_retried_and_then_reported() {
    let stand_in = failing(|faults| faults.timeout = 1.0);
    let started = Instant::now();
    let served = both(&stand_in, |error| {
        assert!(matches!(error, RagError::Timeout { .. }), "{error:?}");
        assert!(error.source().is_some());
    });
    assert_eq!((served.requests, served.timeouts, served.abandoned), (6, 6, 0));
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_refused_key_is_reported_at_once() {
    let stand_in = failing(|faults| faults.unauthorized = 1.0);
    let served = both(&stand_in, |error| {
        assert_eq!(status(&error), Some((401, Some("invalid_api_key"))));
    });
    assert_eq!((served.requests, served.unauthorized), (2, 2));
}

#[test]
fn a_malformed_reply_is_reported_at_once() {
    let stand_in = failing(|faults| faults.malformed = 1.0);
    let served = both(&stand_in, |error| {
        assert!(matches!(error, RagError::Malformed { .. }), "{error:?}");
        assert!(error.source().is_some());
    });
    assert_eq!((served.requests, served.malformed), (2, 2));
    assert_eq!(served.tokens.prompt, 0);
}

#[test]
fn a_wrong_key_and_an_unknown_model_are_refused() {
    let stand_in = StandIn::start(quick()).unwrap();
    let wrong = app(&stand_in, |config| config.api_key = Some(ApiKey::new("sk-secret")));
    let error = wrong.ask(QUESTION).unwrap_err();
    assert_eq!(status(&error), Some((401, Some("invalid_api_key"))));
    assert!(!format!("{error:?} {error} {wrong:?}").contains("sk-secret"));
    let unknown = app(&stand_in, |config| config.model = "gpt-99".to_owned());
    let error = unknown.ask(QUESTION).unwrap_err();
    assert_eq!(status(&error), Some((404, Some("model_not_found"))));
    let served = stand_in.served();
    assert_eq!((served.unauthorized, served.unknown_models), (1, 1));
}

#[test]
fn a_retry_gets_past_a_fault() {
    let stand_in = failing(|faults| faults.server_error = 0.5);
    let app = app(&stand_in, |config| config.retry.attempts = 30);
    let attempts: u32 = (0..10).map(|_| app.ask(QUESTION).unwrap().metadata.attempts).sum();
    let served = stand_in.served();
    assert_eq!((served.answered, served.requests), (10, u64::from(attempts)));
    assert!(served.server_errors > 0);
}

#[test]
fn the_same_seed_brings_the_same_faults() {
    let outcomes = || {
        let stand_in = failing(|faults| {
            faults.rate_limited = 0.3;
            faults.malformed = 0.2;
        });
        let app = app(&stand_in, |config| config.retry.attempts = 1);
        (0..20).map(|_| app.ask(QUESTION).map(|answer| answer.text).ok()).collect::<Vec<_>>()
    };
    assert_eq!(outcomes(), outcomes());
}

#[test]
fn a_server_that_is_away_is_a_transport_error() {
    // A port that was just free may be taken by another test; nothing listens on the first one.
    let config = RagConfig::new(library(), "http://127.0.0.1:1/v1", "m");
    let error = RagApp::open(config, Meter::off()).unwrap().ask(QUESTION).unwrap_err();
    assert!(matches!(error, RagError::Transport { .. }), "{error:?}");
}

/// Answers each connection with the same bytes, whatever it is asked.
fn serve(reply: &'static str) -> RagApp {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config =
        RagConfig::new(library(), format!("http://{}/v1", listener.local_addr().unwrap()), "m");
    config.api_key = Some(ApiKey::new("sk-secret"));
    config.timeout = Duration::from_secs(5);
    config.retry = RetryPolicy { attempts: 1, ..RetryPolicy::quick() };
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.write_all(reply.as_bytes());
            let _ = stream.shutdown(Shutdown::Write);
            // A connection that is closed with bytes unread is reset, and the reply may be lost with it.
            let _ = io::copy(&mut stream, &mut io::sink());
        }
    });
    RagApp::open(config, Meter::off()).unwrap()
}

#[test]
fn a_page_instead_of_json_is_malformed() {
    let app = serve("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<html>Welcome</html>");
    assert!(matches!(app.ask(QUESTION).unwrap_err(), RagError::Malformed { .. }));
}

#[test]
fn a_reply_without_a_choice_is_incomplete() {
    let app = serve("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"choices\":[]}");
    assert!(matches!(app.ask(QUESTION).unwrap_err(), RagError::Incomplete { .. }));
}

#[test]
fn a_stream_that_ends_early_is_incomplete() {
    let app = serve(
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/event-stream\r\n\r\n\
        data: {\"choices\":[{\"delta\":{\"content\":\"Half\"}}]}\n\n",
    );
    assert!(matches!(app.ask(QUESTION).unwrap_err(), RagError::Incomplete { .. }));
}

#[test]
fn an_error_within_a_stream_is_reported() {
    let app = serve(
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/event-stream\r\n\r\n\
        data: {\"error\":{\"message\":\"overloaded\",\"code\":503}}\n\n",
    );
    let error = app.ask(QUESTION).unwrap_err();
    assert_eq!(status(&error), Some((200, Some("503"))));
}

#[test]
fn a_key_that_is_echoed_is_hidden() {
    let app = serve(
        "HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n{\"error\":\"sk-secret may not do this\"}",
    );
    let error = app.ask(QUESTION).unwrap_err();
    assert_eq!(error.to_string(), "the model's server answered 403: [key] may not do this");
    assert!(!format!("{error:?}").contains("sk-secret"));
}

#[test]
fn an_https_address_is_spoken_to_in_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config =
        RagConfig::new(library(), format!("https://{}/v1", listener.local_addr().unwrap()), "m");
    config.timeout = Duration::from_secs(5);
    let first_byte = thread::spawn(move || {
        let mut byte = [0];
        listener.accept().unwrap().0.read_exact(&mut byte).unwrap();
        byte[0]
    });
    let error = RagApp::open(config, Meter::off()).unwrap().ask(QUESTION).unwrap_err();
    assert!(matches!(error, RagError::Transport { .. }), "{error:?}");
    // A TLS record of the handshake begins with this byte.
    assert_eq!(first_byte.join().unwrap(), 22);
}
