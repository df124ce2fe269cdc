//! For Prometheus: the operations that were stored since the server began, the store, and the server itself.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE};
use taximeter::metrics::{Amount, Family, Format, Kind, Labels, Scale, render, target};
use taximeter::store::StoreSpan;

use super::answers::Shared;
use crate::inbox::Receiving;
use crate::questions::QuestionError;

pub(super) async fn scrape(
    State(questions): Shared,
    headers: HeaderMap,
) -> Result<Response, QuestionError> {
    let span = questions.ask(|history| history.store().span()).await?;
    let mut families = vec![target([("service.name", "taximeter")])];
    families.extend(stored(&span));
    if let Some(receiving) = questions.receiving() {
        families.extend(received(&receiving));
    }
    let observed = questions.inbox.as_ref().map(|inbox| inbox.instruments());
    let operations = observed.iter().flat_map(taximeter::metrics::Instruments::families);
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    let format = Format::negotiate(accept);
    let text = render(families.iter().chain(operations), format);
    Ok(([(CONTENT_TYPE, format.content_type())], text).into_response())
}

/// A metric of whole things, with a series for each value of a label.
fn family<'v>(
    name: &str,
    unit: &str,
    help: &str,
    kind: Kind,
    label: &'static str,
    values: impl IntoIterator<Item = (&'v str, u64)>,
) -> Family {
    let mut family = Family::new(name, unit, help, kind, Scale::Whole);
    for (value, count) in values {
        family.record(&Labels::default().with(label, value), Amount::whole(count), None);
    }
    family
}

/// What is told without counting, however much is there: a scrape comes every few seconds.
fn stored(span: &StoreSpan) -> [Family; 2] {
    let hot = span.operations.saturating_sub(span.sealed_operations);
    let operations = [("hot", hot), ("sealed", span.sealed_operations)];
    let mut size =
        Family::new("taximeter.store.size", "By", "Bytes of the store.", Kind::Gauge, Scale::Whole);
    size.record(&Labels::default(), Amount::whole(span.bytes), None);
    let help = "Operations in the store: as rows, and sealed in blocks.";
    [
        family(
            "taximeter.store.operations",
            "{operation}",
            help,
            Kind::Gauge,
            "taximeter.what",
            operations,
        ),
        size,
    ]
}

fn received(receiving: &Receiving) -> [Family; 4] {
    let requests = [("acknowledged", receiving.requests), ("refused", receiving.refused_requests)];
    let items = [
        ("spans", receiving.spans),
        ("logs", receiving.logs),
        ("points", receiving.points),
        ("rejected", receiving.rejected),
        ("duplicates", receiving.duplicates),
        ("unrelated_spans", receiving.unrelated_spans),
        ("late_spans", receiving.late_spans),
        ("closed_early", receiving.closed_early),
        ("dropped_points", receiving.dropped_points),
        ("operations", receiving.operations),
        ("unstorable_operations", receiving.unstorable_operations),
    ];
    let waiting = [
        ("traces", receiving.waiting_traces),
        ("spans", receiving.waiting_spans),
        ("operations", receiving.unstored_operations),
        ("requests", receiving.journal_requests),
    ];
    let mut journal = Family::new(
        "taximeter.receiver.journal.size",
        "By",
        "Bytes of the journal of requests.",
        Kind::Gauge,
        Scale::Whole,
    );
    journal.record(&Labels::default(), Amount::whole(receiving.journal_bytes), None);
    [
        family(
            "taximeter.receiver.requests",
            "{request}",
            "Requests of telemetry by what was answered.",
            Kind::Counter,
            "taximeter.answer",
            requests,
        ),
        family(
            "taximeter.receiver.items",
            "{item}",
            "What came, and what became of it.",
            Kind::Counter,
            "taximeter.what",
            items,
        ),
        family(
            "taximeter.receiver.waiting",
            "{item}",
            "What is held and not stored yet.",
            Kind::Gauge,
            "taximeter.what",
            waiting,
        ),
        journal,
    ]
}
