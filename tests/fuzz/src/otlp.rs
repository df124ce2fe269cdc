//! A request of OTLP, of each signal: it is answered, and what comes of it can be written and read. How it is written and
//! compressed is told by its beginning.

use chrono::{DateTime, Utc};
use taximeter_models::OperationRecord;
use taximeter_telemetry::otlp::{Receiver, Request, Settings};

const PATHS: [&str; 3] = ["/v1/traces", "/v1/metrics", "/v1/logs"];

pub(crate) fn holds(body: &[u8]) {
    let content_encoding = match body {
        [0x1f, 0x8b, ..] => Some("gzip"),
        [0x78, ..] => Some("deflate"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("zstd"),
        _ => None,
    };
    // What is compressed is mostly protobuf.
    let is_json = body.trim_ascii_start().first() == Some(&b'{');
    let kind = if is_json { "application/json" } else { "application/x-protobuf" };
    let mut settings = Settings::default();
    settings.limits.body = 1 << 20;
    let (receiver, now) =
        (Receiver::new(settings, DateTime::<Utc>::UNIX_EPOCH), DateTime::<Utc>::UNIX_EPOCH);
    for path in PATHS {
        let content_type = Some(kind);
        let request = Request { method: "POST", path, content_type, content_encoding, body };
        let answer = receiver.handle(&request, now);
        assert!(matches!(answer.status, 200 | 400 | 413), "{}", answer.status);
        // A client that tries again is answered as before.
        assert_eq!(answer.status, receiver.handle(&request, now).status);
    }
    for record in receiver.finish() {
        let json = serde_json::to_vec(&record).expect("a record is JSON");
        let read = serde_json::from_slice::<OperationRecord>(&json);
        assert!(read.is_ok(), "{read:?}: {}", String::from_utf8_lossy(&json));
    }
}
