//! `ExportMetricsServiceRequest` in protobuf.

use std::borrow::Cow;
use std::sync::Arc;

use super::{attribute_into, scopes, text, within};
use crate::otlp::points::{Kind, NO_RECORDED_VALUE, float, is_read, series_of};
use crate::otlp::raw::{RawPoint, Resource, Scope};
use crate::otlp::slots::Slots;
use crate::otlp::wire::{Message, Payload};
use crate::otlp::{DecodeError, Limits};

/// Walks the points of those metrics that are read.
pub(crate) fn metrics<'a>(
    body: &'a [u8],
    limits: &Limits,
    mut each: impl FnMut(&Arc<Resource>, &Scope, &RawPoint<'a>),
) -> Result<(), DecodeError> {
    for resource_metrics in within(body, 1) {
        scopes(resource_metrics?, limits, |resource, scope, bytes| {
            metric(bytes, limits, |point| each(resource, scope, point))
        })?;
    }
    Ok(())
}

fn metric<'a>(
    bytes: &'a [u8],
    limits: &Limits,
    mut each: impl FnMut(&RawPoint<'a>),
) -> Result<(), DecodeError> {
    let (mut name, mut data) = (Cow::default(), None);
    for field in Message::new(bytes) {
        match field? {
            (1, Payload::Bytes(bytes)) => name = text(bytes),
            (5, Payload::Bytes(bytes)) => data = Some((Kind::Gauge, bytes)),
            (7, Payload::Bytes(bytes)) => data = Some((Kind::Sum, bytes)),
            (9, Payload::Bytes(bytes)) => data = Some((Kind::Histogram, bytes)),
            (10, Payload::Bytes(bytes)) => data = Some((Kind::ExponentialHistogram, bytes)),
            (11, Payload::Bytes(bytes)) => data = Some((Kind::Summary, bytes)),
            _ => {}
        }
    }
    let Some((kind, data)) = data.filter(|(kind, _)| is_read(&name, *kind)) else { return Ok(()) };
    let mut temporality = 0;
    for field in Message::new(data) {
        if let (2, Payload::Varint(value)) = field? {
            temporality = value;
        }
    }
    for bytes in within(data, 1) {
        each(&point(&name, kind, temporality == 2, bytes?, limits)?);
    }
    Ok(())
}

fn point<'a>(
    name: &Cow<'a, str>,
    kind: Kind,
    cumulative: bool,
    bytes: &'a [u8],
    limits: &Limits,
) -> Result<RawPoint<'a>, DecodeError> {
    let mut point = RawPoint {
        metric: name.clone(),
        start: 0,
        time: 0,
        value: 0.0,
        count: 0,
        cumulative,
        unrecorded: false,
        series: 0,
        slots: Slots::new(),
    };
    for field in Message::new(bytes) {
        match (kind, field?) {
            (_, (2, Payload::Fixed64(time))) => point.start = time,
            (_, (3, Payload::Fixed64(time))) => point.time = time,
            (Kind::Sum, (4, Payload::Fixed64(bits)))
            | (Kind::Histogram | Kind::ExponentialHistogram, (5, Payload::Fixed64(bits))) => {
                point.value = f64::from_bits(bits);
            }
            (Kind::Sum, (6, Payload::Fixed64(bits))) => {
                point.value = float(bits.cast_signed());
            }
            (Kind::Histogram | Kind::ExponentialHistogram, (4, Payload::Fixed64(count))) => {
                point.count = count;
            }
            (Kind::Sum, (8, Payload::Varint(flags)))
            | (Kind::Histogram | Kind::ExponentialHistogram, (10, Payload::Varint(flags))) => {
                point.unrecorded = flags & NO_RECORDED_VALUE != 0;
            }
            (Kind::Sum, (7, Payload::Bytes(bytes)))
            | (Kind::Histogram, (9, Payload::Bytes(bytes)))
            | (Kind::ExponentialHistogram, (1, Payload::Bytes(bytes))) => {
                attribute_into(&mut point.slots, bytes, limits)?;
                point.series = point.series.wrapping_add(series_of(bytes));
            }
            _ => {}
        }
    }
    Ok(point)
}
