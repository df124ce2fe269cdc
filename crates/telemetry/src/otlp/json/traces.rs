//! `ExportTraceServiceRequest` in JSON.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::scalars::{Enum, Text, Unsigned};
use super::{List, Request, attributes_into, item, resource, scope};
use crate::otlp::raw::{Id, RawSpan, Resource, Scope};
use crate::otlp::slots::Slots;
use crate::otlp::{DecodeError, Limits, events};

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans<'a> {
    #[serde(borrow)]
    resource: Option<&'a RawValue>,
    #[serde(borrow)]
    scope_spans: List<'a>,
}

#[derive(Deserialize, Default)]
struct ScopeSpans<'a> {
    #[serde(borrow)]
    scope: Option<&'a RawValue>,
    #[serde(borrow)]
    spans: List<'a>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_field_names, reason = "they are the names on the wire")]
struct Span<'a> {
    #[serde(borrow)]
    trace_id: Text<'a>,
    #[serde(borrow)]
    span_id: Text<'a>,
    #[serde(borrow)]
    parent_span_id: Text<'a>,
    #[serde(borrow)]
    name: Text<'a>,
    start_time_unix_nano: Unsigned,
    end_time_unix_nano: Unsigned,
    #[serde(borrow)]
    attributes: Option<&'a RawValue>,
    #[serde(borrow)]
    events: List<'a>,
    #[serde(borrow)]
    status: Option<Status<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Status<'a> {
    #[serde(borrow)]
    message: Text<'a>,
    #[serde(borrow)]
    code: Enum<'a>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Event<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    time_unix_nano: Unsigned,
    #[serde(borrow)]
    attributes: Option<&'a RawValue>,
}

/// Walks the spans of a request.
pub(crate) fn traces<'a>(
    body: &'a [u8],
    limits: &Limits,
    mut each: impl FnMut(&Arc<Resource>, &Scope, &RawSpan<'a>),
) -> Result<(), DecodeError> {
    let Request { spans, metrics, logs } = Request::<'a>::read(body, limits)?;
    let list = Request::only(spans, "spans", [("metrics", &metrics), ("logs", &logs)])?;
    let mut slots = Slots::new();
    for resource_spans in list {
        let resource_spans: ResourceSpans<'a> = item(resource_spans)?;
        let resource = resource(resource_spans.resource, limits)?;
        for scope_spans in resource_spans.scope_spans.unwrap_or_default() {
            let scope_spans: ScopeSpans<'a> = item(scope_spans)?;
            let scope = scope(scope_spans.scope)?;
            for raw in scope_spans.spans.unwrap_or_default() {
                let span = span(item(raw)?, slots, limits)?;
                each(&resource, &scope, &span);
                slots = span.slots;
            }
        }
    }
    Ok(())
}

fn span<'a>(
    json: Span<'a>,
    mut slots: Slots<'a>,
    limits: &Limits,
) -> Result<RawSpan<'a>, DecodeError> {
    slots.clear();
    attributes_into(&mut slots, json.attributes, limits)?;
    for event in json.events.unwrap_or_default() {
        let event: Event<'a> = item(event)?;
        let name = event.name.as_bytes();
        events::first_token(&mut slots, name, event.time_unix_nano.0);
        if events::is_exception(name) {
            // An event's attributes are counted by themselves.
            let seen = std::mem::take(&mut slots.seen);
            attributes_into(&mut slots, event.attributes, limits)?;
            slots.seen = seen;
        }
    }
    let status = json.status.unwrap_or_default();
    Ok(RawSpan {
        trace: Id::<u128>::from_hex(&json.trace_id),
        id: Id::<u64>::from_hex(&json.span_id),
        parent: Id::<u64>::from_hex(&json.parent_span_id),
        name: json.name.0,
        start: json.start_time_unix_nano.0,
        end: json.end_time_unix_nano.0,
        failed: status.code.is(2, "STATUS_CODE_ERROR"),
        status_message: status.message.0,
        slots,
    })
}
