//! `ExportMetricsServiceRequest` in JSON.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::scalars::{Double, Enum, Int, Text, Unsigned};
use super::{List, Request, attributes_into, item, resource, scope};
use crate::otlp::points::{Kind, NO_RECORDED_VALUE, float, is_read, series_of};
use crate::otlp::raw::{RawPoint, Resource, Scope};
use crate::otlp::slots::Slots;
use crate::otlp::{DecodeError, Limits};

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct ResourceMetrics<'a> {
    #[serde(borrow)]
    resource: Option<&'a RawValue>,
    #[serde(borrow)]
    scope_metrics: List<'a>,
}

#[derive(Deserialize, Default)]
struct ScopeMetrics<'a> {
    #[serde(borrow)]
    scope: Option<&'a RawValue>,
    #[serde(borrow)]
    metrics: List<'a>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Metric<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    gauge: Option<Data<'a>>,
    #[serde(borrow)]
    sum: Option<Data<'a>>,
    #[serde(borrow)]
    histogram: Option<Data<'a>>,
    #[serde(borrow)]
    exponential_histogram: Option<Data<'a>>,
    #[serde(borrow)]
    summary: Option<Data<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Data<'a> {
    #[serde(borrow)]
    data_points: List<'a>,
    #[serde(borrow)]
    aggregation_temporality: Enum<'a>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Point<'a> {
    #[serde(borrow)]
    attributes: Option<&'a RawValue>,
    start_time_unix_nano: Unsigned,
    time_unix_nano: Unsigned,
    as_double: Option<Double>,
    as_int: Option<Int>,
    sum: Option<Double>,
    count: Unsigned,
    flags: Unsigned,
}

/// Walks the points of those metrics that are read.
pub(crate) fn metrics<'a>(
    body: &'a [u8],
    limits: &Limits,
    mut each: impl FnMut(&Arc<Resource>, &Scope, &RawPoint<'a>),
) -> Result<(), DecodeError> {
    let Request { spans, metrics, logs } = Request::<'a>::read(body, limits)?;
    let list = Request::only(metrics, "metrics", [("spans", &spans), ("logs", &logs)])?;
    for resource_metrics in list {
        let resource_metrics: ResourceMetrics<'a> = item(resource_metrics)?;
        let resource = resource(resource_metrics.resource, limits)?;
        for scope_metrics in resource_metrics.scope_metrics.unwrap_or_default() {
            let scope_metrics: ScopeMetrics<'a> = item(scope_metrics)?;
            let scope = scope(scope_metrics.scope)?;
            for raw in scope_metrics.metrics.unwrap_or_default() {
                metric(item(raw)?, limits, |point| each(&resource, &scope, point))?;
            }
        }
    }
    Ok(())
}

fn metric<'a>(
    metric: Metric<'a>,
    limits: &Limits,
    mut each: impl FnMut(&RawPoint<'a>),
) -> Result<(), DecodeError> {
    let data = [
        (Kind::Gauge, metric.gauge),
        (Kind::Sum, metric.sum),
        (Kind::Histogram, metric.histogram),
        (Kind::ExponentialHistogram, metric.exponential_histogram),
        (Kind::Summary, metric.summary),
    ];
    let name = metric.name.0;
    let Some((kind, data)) = data.into_iter().find_map(|(kind, data)| Some((kind, data?))) else {
        return Ok(());
    };
    let cumulative = data.aggregation_temporality.is(2, "AGGREGATION_TEMPORALITY_CUMULATIVE");
    let points = data.data_points.unwrap_or_default();
    for &raw in points.iter().filter(|_| is_read(&name, kind)) {
        each(&point(&name, kind, cumulative, &item(raw)?, limits)?);
    }
    Ok(())
}

fn point<'a>(
    name: &Cow<'a, str>,
    kind: Kind,
    cumulative: bool,
    json: &Point<'a>,
    limits: &Limits,
) -> Result<RawPoint<'a>, DecodeError> {
    let mut slots = Slots::new();
    attributes_into(&mut slots, json.attributes, limits)?;
    let mut series = 0_u64;
    if let Some(attributes) = json.attributes {
        for attribute in item::<Vec<&RawValue>>(attributes)? {
            series = series.wrapping_add(series_of(attribute.get().as_bytes()));
        }
    }
    let value = match kind {
        Kind::Sum => {
            json.as_double.map(|value| value.0).or(json.as_int.map(|value| float(value.0)))
        }
        _ => json.sum.map(|value| value.0),
    };
    Ok(RawPoint {
        metric: name.clone(),
        start: json.start_time_unix_nano.0,
        time: json.time_unix_nano.0,
        value: value.unwrap_or_default(),
        count: json.count.0,
        cumulative,
        unrecorded: json.flags.0 & NO_RECORDED_VALUE != 0,
        series,
        slots,
    })
}
