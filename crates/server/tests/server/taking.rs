//! Telemetry over HTTP and gRPC, into the store and onto the page.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::json;
use tempfile::tempdir;

use super::support::{Running, chat, config, raw, until};

#[test]
fn what_is_sent_is_on_the_page_and_every_place_says_the_same() {
    let folder = tempdir().unwrap();
    let server = Running::start(config(folder.path()));
    assert_eq!(server.get("/healthz"), "ok\n");
    assert_eq!(server.get("/readyz"), "ready\n");
    assert!(server.get("/").contains("no operation was recorded"));
    for trace in 0..20 {
        let user = [("user.id", if trace % 2 == 0 { "ann" } else { "bob" })];
        assert_eq!(server.send(&[chat(trace, &user)]), 200);
    }
    let total = || server.json("/api/v1/report?since=1h")["total_operations"].as_u64();
    until("20 operations are stored", || total() == Some(20));

    let report = server.json("/api/v1/report?since=1h");
    assert_eq!((&report["total_tokens"], &report["total_cost"]), (&2_000.into(), &"0.0065".into()));
    let page = server.get("/?since=1h");
    assert!(page.contains("20 operations") && page.contains("$0.006500"), "{page}");
    let groups = server.json("/api/v1/groups?since=1h&by=user");
    let groups = groups["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 2);
    assert!(groups.iter().all(|group| group["total_cost"] == "0.00325"));
    assert!(server.get("/costs?since=1h&by=user").contains(">ann<"));

    let lines = server.json("/api/v1/operations?since=1h&only=user=ann&limit=5");
    let lines = lines["operations"].as_array().unwrap();
    assert_eq!(lines.len(), 5);
    let id = lines[0]["operation_id"].as_str().unwrap();
    assert_eq!(server.json(&format!("/api/v1/operations/{id}"))["operation"]["operation_id"], id);
    assert!(server.get(&format!("/operations/{id}")).contains("Waterfall"));
    for page in ["/operations?order=dearest", "/trends", "/advice", "/health", "/costs?by=hour"] {
        assert!(server.get(page).contains("<main"), "{page}");
    }
    // What cannot be answered says why, in the form that was asked for.
    assert!(server.get("/?since=soon").contains("This cannot be shown"));
    assert!(
        server.json("/api/v1/report?only=colour=red")["detail"]
            .as_str()
            .unwrap()
            .contains("colour")
    );
    assert!(server.get("/nowhere").contains("no such page"));
    server.shutdown();
}

/// The requests of a client over gRPC, each a message of its own.
fn captured() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../telemetry/tests-data/py-otel-genai-grpc-content");
    let mut paths: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.to_string_lossy().ends_with("-traces.pb"));
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn grpc_on_the_same_port_and_the_same_again_counts_once() {
    let folder = tempdir().unwrap();
    let mut config = config(folder.path());
    // The capture is of another day.
    config.receiver.window.settle = std::time::Duration::from_millis(10);
    let server = Running::start(config);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let method = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    let call = |path: &str, message: &[u8]| {
        let mut frame = vec![0];
        frame.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
        frame.extend(message);
        let request = http::Request::post(format!("http://{}{path}", server.otlp))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Full::new(Bytes::from(frame)))
            .unwrap();
        runtime.block_on(async {
            let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
            let response = client.request(request).await.unwrap();
            let head = response.headers().get("grpc-status").cloned();
            let body = response.into_body().collect().await.unwrap();
            let trailer = body.trailers().and_then(|trailers| trailers.get("grpc-status")).cloned();
            (head.or(trailer).unwrap(), body.to_bytes())
        })
    };
    let messages = captured();
    assert!(!messages.is_empty());
    for message in messages.iter().chain(&messages) {
        let (status, body) = call(method, message);
        assert_eq!((status.as_bytes(), body.as_ref()), (&b"0"[..], &[0, 0, 0, 0, 0][..]));
    }
    assert_eq!(call(method, b"{}").0, "3");
    assert_eq!(call("/no.such.Service/Export", b"").0, "12");
    let stored = || server.json("/api/v1/health?since=2000d")["operations"].as_u64().unwrap();
    until("something is stored", || stored() > 0);
    let once = stored();
    for message in &messages {
        assert_eq!(call(method, message).0, "0");
    }
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(stored(), once);
    server.shutdown();
}

#[test]
fn a_body_that_comes_in_chunks_without_a_length_is_taken() {
    let folder = tempdir().unwrap();
    let server = Running::start(config(folder.path()));
    let body = json!({"resourceSpans": [{"scopeSpans": [{"spans": [chat(1, &[])]}]}]}).to_string();
    let mut request =
        "POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
        Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
            .to_owned();
    for chunk in body.as_bytes().chunks(100) {
        let text = std::str::from_utf8(chunk).unwrap();
        request.extend([&format!("{:x}\r\n", chunk.len()), text, "\r\n"]);
    }
    let answer = raw(server.otlp, &(request + "0\r\n\r\n"));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    until("it is stored", || server.json("/api/v1/report?since=1h")["total_operations"] == 1);
    server.shutdown();
}

#[test]
fn a_server_that_ends_stores_what_it_holds() {
    let folder = tempdir().unwrap();
    let mut slow = config(folder.path());
    slow.receiver.window.settle = std::time::Duration::from_secs(301);
    slow.receiver.window.wait = std::time::Duration::from_secs(301);
    let server = Running::start(slow);
    assert_eq!(server.send(&[chat(1, &[]), chat(2, &[])]), 200);
    server.shutdown();
    let server = Running::start(config(folder.path()));
    assert_eq!(server.json("/api/v1/report?since=1h")["total_operations"], 2);
    server.shutdown();
}
