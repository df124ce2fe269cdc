//! A request that was read: its spans, calls and points, not yet held.

use chrono::{DateTime, Utc};

use super::assembler::Assembler;
use super::compression::decompress;
use super::response::{Address, Code, Format, Refusal, Signal, Taken};
use super::span::{Reader, Span};
use super::usage_metrics::Increment;
use super::{DecodeError, Limits, json, log, protobuf, span, usage_metrics};

/// What a request says, read to its end: of one that cannot be read, nothing is left behind.
#[derive(Debug)]
pub struct Decoded {
    pub(super) items: Items,
    pub(super) taken: Taken,
}

#[derive(Debug)]
pub(super) enum Items {
    /// Spans, or log records that stand for calls.
    Spans(Vec<Span>),
    Points(Vec<Increment>),
}

impl Items {
    pub(super) fn put(self, assembler: &mut Assembler, now: DateTime<Utc>) {
        match self {
            Self::Spans(spans) => {
                for span in spans {
                    assembler.push(span, now);
                }
            }
            Self::Points(points) => {
                for point in points {
                    assembler.push_point(point, now);
                }
            }
        }
    }
}

impl Decoded {
    /// How many spans, log records or points are to be held; what says nothing of LLMs is none of them.
    pub fn len(&self) -> usize {
        match &self.items {
            Items::Spans(spans) => spans.len(),
            Items::Points(points) => points.len(),
        }
    }

    /// Whether there is nothing to hold.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn read(address: Address, body: &[u8], limits: &Limits) -> Result<Self, Refusal> {
        let read =
            decompress(body, address.encoding, limits).and_then(|body| match address.signal {
                Signal::Traces => traces(address.format, &body, limits),
                Signal::Metrics => metrics(address.format, &body, limits),
                Signal::Logs => logs(address.format, &body, limits),
            });
        read.map_err(|error| refusal(&error))
    }
}

fn traces(format: Format, body: &[u8], limits: &Limits) -> Result<Decoded, DecodeError> {
    let (mut spans, mut taken) = (Vec::<Span>::new(), Taken::default());
    let mut reader = Reader::new(limits);
    let each = |resource: &_, scope: &_, raw: &_| {
        if has_room(&spans, &mut taken, limits) {
            match span::read(raw, resource, scope, &mut reader) {
                Ok(span) => {
                    warn_of_skipped(&mut taken, span.notes.attributes_skipped, limits);
                    spans.push(span);
                }
                Err(span::BadIds(why)) => reject(&mut taken, why.to_owned()),
            }
        }
    };
    match format {
        Format::Protobuf => protobuf::traces(body, limits, each)?,
        Format::Json => json::traces(body, limits, each)?,
    }
    Ok(Decoded { items: Items::Spans(spans), taken })
}

fn logs(format: Format, body: &[u8], limits: &Limits) -> Result<Decoded, DecodeError> {
    let (mut calls, mut taken) = (Vec::<Span>::new(), Taken::default());
    let mut reader = Reader::new(limits);
    let each = |resource: &_, scope: &_, raw: &_| {
        if let Some(call) = log::read(raw, resource, scope, &mut reader)
            && has_room(&calls, &mut taken, limits)
        {
            warn_of_skipped(&mut taken, call.notes.attributes_skipped, limits);
            calls.push(call);
        }
    };
    match format {
        Format::Protobuf => protobuf::logs(body, limits, each)?,
        Format::Json => json::logs(body, limits, each)?,
    }
    Ok(Decoded { items: Items::Spans(calls), taken })
}

fn metrics(format: Format, body: &[u8], limits: &Limits) -> Result<Decoded, DecodeError> {
    let (mut points, mut taken) = (Vec::<Increment>::new(), Taken::default());
    let each = |resource: &_, scope: &_, raw: &_| {
        if let Some(point) = usage_metrics::read(raw, resource, scope)
            && has_room(&points, &mut taken, limits)
        {
            points.push(point);
        }
    };
    match format {
        Format::Protobuf => protobuf::metrics(body, limits, each)?,
        Format::Json => json::metrics(body, limits, each)?,
    }
    Ok(Decoded { items: Items::Points(points), taken })
}

/// Whether another item of a request is taken; if not, it is counted as refused.
fn has_room<T>(items: &[T], taken: &mut Taken, limits: &Limits) -> bool {
    let has_room = items.len() < limits.items;
    if !has_room {
        reject(taken, format!("more than {} came at once; send smaller batches", limits.items));
    }
    has_room
}

fn reject(taken: &mut Taken, why: String) {
    taken.rejected += 1;
    taken.message = why;
}

/// Says in the response that attributes were passed over, unless something worse is said already.
fn warn_of_skipped(taken: &mut Taken, skipped: usize, limits: &Limits) {
    if skipped > 0 && taken.message.is_empty() {
        taken.message = format!(
            "more than {} attributes were sent of one span or record; those beyond were not read",
            limits.attributes
        );
    }
}

fn refusal(error: &DecodeError) -> Refusal {
    let code = match error {
        DecodeError::TooLarge(_) => Code::ResourceExhausted,
        _ => Code::InvalidArgument,
    };
    Refusal::new(code, error.to_string())
}
