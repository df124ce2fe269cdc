//! Families of metrics as points: sums since a start, gauges, histograms with their boundaries.

use chrono::{DateTime, Utc};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1 as proto;

use super::attributes::Attributes;
use super::resource::{SCHEMA, scope};
use super::{Encoding, Resource};
use crate::metrics::{Amount, Exemplar, Family, Histogram, Kind, Labels, Point, Scale};

/// The body of a request with metrics, whose sums count since a moment, as they are at another; none where there are none.
///
/// ```
/// use chrono::Utc;
/// use taximeter_telemetry::export::{Resource, metrics};
/// use taximeter_telemetry::metrics::collected;
///
/// let now = Utc::now();
/// assert!(metrics(&[collected([("stored", 3)])], &Resource::named("app"), now, now).is_some());
/// assert_eq!(metrics(&[], &Resource::named("app"), now, now), None);
/// ```
pub fn metrics<'f>(
    families: impl IntoIterator<Item = &'f Family>,
    resource: &Resource,
    start: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Option<Vec<u8>> {
    metrics_as(Encoding::Protobuf, families, resource, start, now)
}

/// As [`metrics`], in that encoding.
pub fn metrics_as<'f>(
    encoding: Encoding,
    families: impl IntoIterator<Item = &'f Family>,
    resource: &Resource,
    start: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Option<Vec<u8>> {
    let times = [start, now].map(unix_nanos);
    let families = families.into_iter().filter(|family| family.series().next().is_some());
    let metrics: Vec<_> = families.map(|family| metric(family, times)).collect();
    if metrics.is_empty() {
        return None;
    }
    let of_scope =
        proto::ScopeMetrics { scope: Some(scope()), metrics, schema_url: SCHEMA.to_owned() };
    let request = ExportMetricsServiceRequest {
        resource_metrics: vec![proto::ResourceMetrics {
            resource: Some(resource.to_proto()),
            scope_metrics: vec![of_scope],
            ..proto::ResourceMetrics::default()
        }],
    };
    encoding.write(&request)
}

fn metric(family: &Family, times: [u64; 2]) -> proto::Metric {
    let cumulative = proto::AggregationTemporality::Cumulative.into();
    let data = match family.kind() {
        Kind::Histogram(bounds) => proto::metric::Data::Histogram(proto::Histogram {
            data_points: histograms(family, bounds, times),
            aggregation_temporality: cumulative,
        }),
        Kind::Counter => proto::metric::Data::Sum(proto::Sum {
            data_points: numbers(family, times),
            aggregation_temporality: cumulative,
            is_monotonic: true,
        }),
        Kind::Gauge | Kind::Info => {
            proto::metric::Data::Gauge(proto::Gauge { data_points: numbers(family, times) })
        }
    };
    proto::Metric {
        name: family.name().to_owned(),
        description: family.help().to_owned(),
        unit: family.unit().to_owned(),
        data: Some(data),
        ..proto::Metric::default()
    }
}

fn numbers(family: &Family, [start, now]: [u64; 2]) -> Vec<proto::NumberDataPoint> {
    let point = |(labels, point): (&Labels, &Point)| {
        let Point::Value { amount, exemplar } = point else { return None };
        Some(proto::NumberDataPoint {
            attributes: attributes(labels),
            start_time_unix_nano: if *family.kind() == Kind::Counter { start } else { 0 },
            time_unix_nano: now,
            exemplars: exemplar.iter().map(|one| self::exemplar(one, family.scale())).collect(),
            value: Some(match whole(*amount, family.scale()) {
                Some(whole) => proto::number_data_point::Value::AsInt(whole),
                None => {
                    proto::number_data_point::Value::AsDouble(amount.to_f64_lossy(family.scale()))
                }
            }),
            ..proto::NumberDataPoint::default()
        })
    };
    family.series().filter_map(point).collect()
}

fn histograms(
    family: &Family,
    bounds: &[f64],
    [start, now]: [u64; 2],
) -> Vec<proto::HistogramDataPoint> {
    let point = |(labels, point): (&Labels, &Point)| {
        let Point::Histogram(Histogram { buckets, sum, count, exemplars }) = point else {
            return None;
        };
        Some(proto::HistogramDataPoint {
            attributes: attributes(labels),
            start_time_unix_nano: start,
            time_unix_nano: now,
            count: *count,
            sum: Some(sum.to_f64_lossy(family.scale())),
            bucket_counts: buckets.clone(),
            explicit_bounds: bounds.to_vec(),
            exemplars: exemplars
                .iter()
                .flatten()
                .map(|one| exemplar(one, family.scale()))
                .collect(),
            ..proto::HistogramDataPoint::default()
        })
    };
    family.series().filter_map(point).collect()
}

fn exemplar(exemplar: &Exemplar, scale: Scale) -> proto::Exemplar {
    proto::Exemplar {
        time_unix_nano: unix_nanos(exemplar.at),
        span_id: exemplar.span_id.bits().to_be_bytes().to_vec(),
        trace_id: exemplar.trace_id.bits().to_be_bytes().to_vec(),
        value: Some(proto::exemplar::Value::AsDouble(exemplar.amount.to_f64_lossy(scale))),
        ..proto::Exemplar::default()
    }
}

/// A number of whole things, as far as 64 bits hold it.
fn whole(amount: Amount, scale: Scale) -> Option<i64> {
    (scale == Scale::Whole).then(|| amount.whole_number()).flatten()
}

fn attributes(labels: &Labels) -> Vec<opentelemetry_proto::tonic::common::v1::KeyValue> {
    let mut attributes = Attributes::default();
    labels.iter().for_each(|(key, value)| attributes.text(key, value));
    attributes.into_inner()
}

fn unix_nanos(at: DateTime<Utc>) -> u64 {
    at.timestamp_nanos_opt().and_then(|nanos| u64::try_from(nanos).ok()).unwrap_or_default()
}
