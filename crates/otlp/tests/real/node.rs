//! OpenTelemetry's SDK for JavaScript, set up by its environment alone, as most programs do.
//!
//! It needs Node, and the module `@opentelemetry/sdk-node` in the folder that `TAXIMETER_NODE_MODULES` names; `.ci/run`
//! installs it. Where one of them is missing, the tests say that they are skipped.

use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use taximeter::OperationRecord;

use crate::clients::Told;
use crate::grpc;
use crate::server::{Server, failures};

const ALL: &[&str] = &["TRACES", "METRICS", "LOGS"];

/// Lets the SDK emit these signals to that address by that protocol; gives what it told.
fn emitted(url: &str, protocol: &str, signals: &[&str]) -> Option<Vec<Told>> {
    let modules = std::env::var("TAXIMETER_NODE_MODULES").unwrap_or_default();
    if !Path::new(&modules).join("@opentelemetry/sdk-node").is_dir() {
        println!(
            "skipped: no @opentelemetry/sdk-node in the folder TAXIMETER_NODE_MODULES={modules}"
        );
        return None;
    }
    let mut node = Command::new("node");
    node.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/emit.mjs"));
    node.env("OTEL_EXPORTER_OTLP_ENDPOINT", url).env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol);
    for signal in ALL {
        let exporter = if signals.contains(signal) { "otlp" } else { "none" };
        node.env(format!("OTEL_{signal}_EXPORTER"), exporter);
    }
    match node.output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            println!("skipped: there is no Node");
            None
        }
        output => Some(Told::read_all(&output.unwrap())),
    }
}

#[test]
fn the_sdk_for_javascript_is_read_to_the_last_token_whatever_fails_on_the_way() {
    for (protocol, content_type) in
        [("http/protobuf", "application/x-protobuf"), ("http/json", "application/json")]
    {
        for script in failures() {
            let server = Server::start(script.clone());
            let Some(told) = emitted(&server.url, protocol, ALL) else { return };
            assert_eq!((told.len(), Told::taken(&server)), (50, told), "{protocol}: {script:?}");
            for came in server.came() {
                assert_eq!(came.header("content-type"), Some(content_type), "{}", came.path);
            }
            // Metrics and log records that say the same again were there, and count nothing twice.
            for path in ["/v1/metrics", "/v1/logs"] {
                assert!(server.came().iter().any(|came| came.path == path), "{protocol}: {path}");
            }
        }
    }
}

/// Over gRPC this SDK tries nothing again: what fails is lost, and it says so itself.
#[test]
fn so_it_is_over_grpc_where_nothing_fails() {
    let server = grpc::Server::start([]);
    let Some(told) = emitted(&server.url, "grpc", ALL) else { return };
    assert_eq!((told.len(), Told::all(&server.records())), (50, told));
    let agent = server.came()[0].header("user-agent").unwrap().to_owned();
    assert!(agent.contains("JavaScript"), "{agent}");
    for service in ["trace.v1.Trace", "metrics.v1.Metrics", "logs.v1.Logs"] {
        let method = format!("/opentelemetry.proto.collector.{service}Service/Export");
        assert!(server.came().iter().any(|came| came.path == method), "{method}");
    }
}

#[test]
fn metrics_alone_and_log_records_alone_tell_of_the_same_tokens() {
    let sums = |records: &[OperationRecord]| {
        let usages = records.iter().map(|record| {
            let usage = record.usage();
            (usage.input_tokens(), usage.output_tokens())
        });
        usages.fold((0, 0), |sum, more| (sum.0 + more.0, sum.1 + more.1))
    };
    for protocol in ["http/protobuf", "http/json", "grpc"] {
        for signal in ["METRICS", "LOGS"] {
            let (records, told) = if protocol == "grpc" {
                let server = grpc::Server::start([]);
                let Some(told) = emitted(&server.url, protocol, &[signal]) else { return };
                (server.records(), told)
            } else {
                let server = Server::start([]);
                let Some(told) = emitted(&server.url, protocol, &[signal]) else { return };
                (server.records(), told)
            };
            let told =
                told.iter().fold((0, 0), |sum, told| (sum.0 + told.input, sum.1 + told.output));
            assert_eq!(sums(&records), told, "{protocol}: {signal}");
        }
    }
}
