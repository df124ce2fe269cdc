//! `ExportLogsServiceRequest` in JSON.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::scalars::{Text, Unsigned};
use super::{AnyValue, List, Request, attributes_into, event_name, item, resource, scope};
use crate::otlp::raw::{Id, RawLog, Resource, Scope};
use crate::otlp::slots::Slots;
use crate::otlp::{DecodeError, Limits};

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct ResourceLogs<'a> {
    #[serde(borrow)]
    resource: Option<&'a RawValue>,
    #[serde(borrow)]
    scope_logs: List<'a>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct ScopeLogs<'a> {
    #[serde(borrow)]
    scope: Option<&'a RawValue>,
    #[serde(borrow)]
    log_records: List<'a>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct LogRecord<'a> {
    time_unix_nano: Unsigned,
    observed_time_unix_nano: Unsigned,
    #[serde(borrow)]
    trace_id: Text<'a>,
    #[serde(borrow)]
    span_id: Text<'a>,
    #[serde(borrow)]
    event_name: Text<'a>,
    #[serde(borrow)]
    body: Option<AnyValue<'a>>,
    #[serde(borrow)]
    attributes: Option<&'a RawValue>,
}

/// Walks the log records of a request.
pub(crate) fn logs<'a>(
    body: &'a [u8],
    limits: &Limits,
    mut each: impl FnMut(&Arc<Resource>, &Scope, &RawLog<'a>),
) -> Result<(), DecodeError> {
    let Request { spans, metrics, logs } = Request::<'a>::read(body, limits)?;
    let list = Request::only(logs, "logs", [("spans", &spans), ("metrics", &metrics)])?;
    let mut slots = Slots::new();
    for resource_logs in list {
        let resource_logs: ResourceLogs<'a> = item(resource_logs)?;
        let resource = resource(resource_logs.resource, limits)?;
        for scope_logs in resource_logs.scope_logs.unwrap_or_default() {
            let scope_logs: ScopeLogs<'a> = item(scope_logs)?;
            let scope = scope(scope_logs.scope)?;
            for raw in scope_logs.log_records.unwrap_or_default() {
                let record: LogRecord<'a> = item(raw)?;
                slots.clear();
                attributes_into(&mut slots, record.attributes, limits)?;
                let time = record.time_unix_nano.0;
                let log = RawLog {
                    trace: Id::<u128>::from_hex(&record.trace_id),
                    span: Id::<u64>::from_hex(&record.span_id),
                    event: event_name(record.event_name, record.body)?,
                    time: if time == 0 { record.observed_time_unix_nano.0 } else { time },
                    slots,
                };
                each(&resource, &scope, &log);
                slots = log.slots;
            }
        }
    }
    Ok(())
}
