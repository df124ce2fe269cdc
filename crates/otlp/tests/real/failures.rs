//! Servers that fail: what can be taken later is tried again, what cannot is counted, and nobody who records waits.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use taximeter::{Meter, OperationRecord, Sink};
use taximeter_otlp::{Builder, Counts, Exporter};

use crate::server::{Does, Server};

const SOON: Duration = Duration::from_secs(30);

pub(crate) fn records(count: usize) -> Vec<OperationRecord> {
    let meter = Meter::builder().build().unwrap();
    (0..count).map(|_| meter.operation("a").start().finish().unwrap()).collect()
}

/// What became of three operations that were sent by such an exporter.
pub(crate) fn three_sent(builder: Builder) -> Counts {
    let exporter = builder.retry(Duration::from_millis(5), SOON).start().unwrap();
    exporter.accept(records(3)).unwrap();
    assert!(exporter.flush(SOON), "{:?}", exporter.counts());
    exporter.counts()
}

/// What became of three operations that were sent to a server with that script.
fn sent(script: impl IntoIterator<Item = Does>) -> (Counts, Server) {
    let server = Server::start(script);
    let builder = Exporter::builder().endpoint(&server.url).timeout(Duration::from_millis(400));
    (three_sent(builder), server)
}

#[test]
fn what_may_be_taken_later_is_tried_again() {
    let says = |status| Does::Says(status, None);
    for failure in [
        says(429),
        says(502),
        says(503),
        says(504),
        Does::Breaks,
        Does::Resets,
        Does::Hangs(Duration::from_secs(2)),
    ] {
        let (counts, server) = sent([failure.clone(), failure.clone()]);
        assert_eq!((counts.sent, counts.retries), (3, 2), "{failure:?}: {counts:?}");
        assert_eq!(server.records().len(), 3, "{failure:?}");
    }
}

#[test]
fn nobody_comes_back_before_the_receiver_asked_to() {
    let seconds = || "1".to_owned();
    // A date has whole seconds, so that of three at least two are left.
    let date = || (Utc::now() + TimeDelta::seconds(3)).to_rfc2822().replace("+0000", "GMT");
    let cases: [(&dyn Fn() -> String, u64); 2] = [(&seconds, 1_000), (&date, 1_500)];
    for (after, least) in cases {
        let after = after();
        let (counts, server) = sent([Does::Says(429, Some(("Retry-After", after.clone())))]);
        assert_eq!((counts.sent, counts.retries), (3, 1), "{counts:?}");
        let came = server.came();
        assert!(came[1].at - came[0].at >= Duration::from_millis(least), "{after}");
    }
}

#[test]
fn what_will_never_be_taken_is_tried_once() {
    for status in [400, 401, 404, 413, 500, 301] {
        let (counts, server) = sent([Does::Says(status, None)]);
        assert_eq!(
            (counts.refused, counts.retries, counts.sent),
            (3, 0, 0),
            "{status}: {counts:?}"
        );
        assert_eq!(server.came().len(), 1, "{status}");
    }
}

#[test]
fn what_a_receiver_left_out_is_counted_and_not_sent_again() {
    let (counts, server) = sent([Does::Rejects(2)]);
    assert_eq!((counts.sent, counts.rejected_spans, counts.retries), (3, 2, 0), "{counts:?}");
    assert_eq!(server.came().len(), 1);
}

#[test]
fn a_server_that_never_answers_costs_no_more_than_the_queue() {
    let server = Server::start((0..1_000).map(|_| Does::Hangs(SOON)));
    let exporter = Exporter::builder()
        .endpoint(&server.url)
        .timeout(Duration::from_millis(100))
        .retry(Duration::from_millis(1), Duration::from_millis(300))
        .queue(10)
        .batch(2)
        .start()
        .unwrap();
    let meter = Meter::builder().sink(exporter.clone()).build().unwrap();
    for _ in 0..500 {
        meter.operation("a").start().succeed();
    }
    // The meter's worker does not wait for the network.
    meter.flush(SOON).unwrap();
    assert_eq!(meter.totals().operations(), 500);
    assert!(exporter.shutdown(SOON));
    let counts = exporter.counts();
    let lost = counts.queue_full + counts.given_up + counts.ended;
    assert_eq!((counts.offered, lost, counts.queued), (500, 500, 0), "{counts:?}");
    assert!(counts.queue_full > 0 && counts.given_up > 0, "{counts:?}");
}

#[test]
fn nobody_at_the_address_is_a_loss_that_is_counted() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let exporter = Exporter::builder()
        .endpoint(&format!("http://{nobody}"))
        .retry(Duration::from_millis(1), Duration::from_millis(50))
        .start()
        .unwrap();
    exporter.accept(records(3)).unwrap();
    assert!(exporter.flush(SOON));
    assert_eq!(exporter.counts().given_up, 3);
    for wrong in ["ftp://a", "localhost:4318"] {
        let error = Exporter::builder().endpoint(wrong).start().unwrap_err().to_string();
        assert!(error.contains(wrong), "{error}");
    }
}
