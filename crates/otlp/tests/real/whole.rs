//! From a meter over the wire to a receiver: what is recorded is what arrives.

use std::time::Duration;

use taximeter::{CostOutcome, Meter, OperationRecord, TokenUsage};
use taximeter_otlp::{Builder, Exporter, Protocol};

use crate::server::Server;

const SOON: Duration = Duration::from_secs(30);

/// As a receiver has it: with the service that sent it, and of a price its sum.
pub(crate) fn arrived(mut record: OperationRecord) -> OperationRecord {
    record.tags.insert("service.name".into(), "unknown_service:taximeter".into());
    for call in &mut record.llm_calls {
        if let CostOutcome::Priced(_) = call.cost {
            let (total, currency) = call.cost.amount().unwrap();
            call.cost = CostOutcome::Recorded(taximeter::ReportedCost {
                total,
                input: None,
                output: None,
                currency,
            });
        }
    }
    record
}

/// A meter that records 80 operations, and an exporter that sends them to that address.
pub(crate) fn meter_and_exporter(url: &str) -> (Meter, Exporter) {
    metered(Exporter::builder().endpoint(url))
}

fn metered(builder: Builder) -> (Meter, Exporter) {
    let exporter = builder.start().unwrap();
    let meter = Meter::builder().sink(exporter.clone()).build().unwrap();
    exporter.send_metrics_of(&meter);
    let answers = meter.registry().counter("app.answers", "{answer}", "Answers.").unwrap();
    for user in 0..40_u64 {
        let named = format!("user {user}");
        let op = meter
            .operation("qa_response")
            .user(named)
            .tag("team", "search")
            .with("n", user)
            .start();
        op.time("retrieval", || ());
        let mut call = op.llm_call("openai", "gpt-4o").streamed(true).start();
        call.usage(TokenUsage::inclusive(1_200 + user, 350).cache_read(200));
        call.succeed();
        op.tool("search").start().fail("no such host");
        let child = meter.operation("plan").parent(&op).start();
        child.warn("slow");
        drop(child);
        answers.add(1, [("tenant", "acme")]);
        if user % 2 == 0 { op.succeed() } else { op.fail("boom") }
    }
    (meter, exporter)
}

/// Sends the 80 operations and the metrics without any loss; gives the operations as a receiver has them, by id.
pub(crate) fn sent_whole(builder: Builder) -> Vec<OperationRecord> {
    let (meter, exporter) = metered(builder);
    meter.flush(SOON).unwrap();
    assert!(exporter.flush(SOON));
    let counts = exporter.counts();
    assert_eq!((counts.offered, counts.sent, counts.queued), (80, 80, 0), "{counts:?}");
    assert_eq!((counts.rejected_spans, counts.metrics_lost, counts.retries), (0, 0, 0));
    assert!(counts.metrics_sent >= 1);
    let mut sent = meter.recent(80);
    sent.sort_by_key(|record| record.id);
    sent.into_iter().map(arrived).collect()
}

#[test]
fn what_is_recorded_arrives_as_it_was() {
    for (gzip, protocol) in [
        (false, Protocol::HttpProtobuf),
        (true, Protocol::HttpProtobuf),
        (false, Protocol::HttpJson),
        (true, Protocol::HttpJson),
    ] {
        let server = Server::start([]);
        let builder = Exporter::builder().endpoint(&server.url).header("x-key", "k").gzip(gzip);
        let builder = builder.protocol(protocol);
        assert_eq!(sent_whole(builder), server.records());
        let came = server.came();
        assert!(came.iter().all(|came| came.header("x-key") == Some("k")));
        let is_json = protocol == Protocol::HttpJson;
        let content_type = if is_json { "application/json" } else { "application/x-protobuf" };
        assert!(came.iter().all(|came| came.header("content-type") == Some(content_type)));
        assert_eq!(came[0].header("content-encoding"), gzip.then_some("gzip"));
        assert!(came[0].header("user-agent").unwrap().starts_with("OTel-OTLP-Exporter-taximeter/"));
        let metrics = came.iter().find(|came| came.path == "/v1/metrics").unwrap();
        let named =
            |name: &str| metrics.body.windows(name.len()).any(|part| part == name.as_bytes());
        assert!(
            gzip || (named("gen_ai.client.token.usage")
                && named("app.answers")
                && named("taximeter.cost"))
        );
    }
}

#[test]
fn what_waits_at_the_end_is_sent() {
    let server = Server::start([]);
    let exporter = Exporter::builder().endpoint(&server.url).start().unwrap();
    let meter = Meter::builder().sink(exporter.clone()).build().unwrap();
    meter.operation("a").start().succeed();
    drop(meter);
    // The meter has handed over what it had; its exporter has not sent it yet.
    assert!(exporter.shutdown(SOON));
    let counts = exporter.counts();
    assert_eq!((counts.sent, counts.queued), (1, 0), "{counts:?}");
    assert_eq!(server.records().len(), 1);
}
