//! `ExportTraceServiceRequest` in JSON: read in one go, since it is most of what is sent.
//!
//! Senders put the resource before its spans, and so does the scope. Where one does not, its spans are read when all of the
//! object is known.

use std::sync::Arc;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess};
use serde_json::value::RawValue;

use super::scalars::{Enum, Text, Unsigned};
use super::walk::{Fields, Object, Objects};
use super::{Attributes, List, attributes_into, checked, item, resource, scope};
use crate::otlp::raw::{Id, RawSpan, Resource, Scope};
use crate::otlp::slots::Slots;
use crate::otlp::{DecodeError, Limits, events};

/// Walks the spans of a request.
pub(crate) fn traces<'a>(
    body: &'a [u8],
    limits: &Limits,
    each: impl FnMut(&Arc<Resource>, &Scope, &RawSpan<'a>),
) -> Result<(), DecodeError> {
    let text = checked(body, limits)?;
    let mut walk = Walk { limits, slots: Slots::new(), each };
    let mut request = Request { walk: &mut walk, wrong: None };
    let mut json = serde_json::Deserializer::from_str(text);
    Object(&mut request).deserialize(&mut json)?;
    json.end()?;
    match request.wrong {
        Some(wrong) => Err(DecodeError::WrongSignal(wrong, "spans")),
        None => Ok(()),
    }
}

/// What all levels of a request share.
struct Walk<'l, 'a, F> {
    limits: &'l Limits,
    slots: Slots<'a>,
    each: F,
}

struct Request<'w, 'l, 'a, F> {
    walk: &'w mut Walk<'l, 'a, F>,
    /// What was sent that belongs to another path.
    wrong: Option<&'static str>,
}

struct ResourceSpans<'w, 'l, 'a, F> {
    walk: &'w mut Walk<'l, 'a, F>,
    resource: Option<Arc<Resource>>,
    /// What came before the resource.
    early: Option<&'a RawValue>,
}

struct ScopeSpans<'w, 'l, 'a, F> {
    walk: &'w mut Walk<'l, 'a, F>,
    resource: Arc<Resource>,
    scope: Option<Scope>,
    /// What came before the scope.
    early: Option<&'a RawValue>,
}

struct Spans<'w, 'l, 'a, F> {
    walk: &'w mut Walk<'l, 'a, F>,
    resource: &'w Arc<Resource>,
    scope: &'w Scope,
    span: Span<'a>,
}

/// A span without its attributes, which go to their slots at once.
#[derive(Default)]
struct Span<'a> {
    trace: Text<'a>,
    id: Text<'a>,
    parent: Text<'a>,
    name: Text<'a>,
    start: Unsigned,
    end: Unsigned,
    events: List<'a>,
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

/// What is called for each span.
trait Each<'a>: FnMut(&Arc<Resource>, &Scope, &RawSpan<'a>) {}

impl<'a, F: FnMut(&Arc<Resource>, &Scope, &RawSpan<'a>)> Each<'a> for F {}

fn ignore<'a, A: MapAccess<'a>>(object: &mut A) -> Result<(), A::Error> {
    object.next_value::<IgnoredAny>().map(drop)
}

impl<'a, F: Each<'a>> Fields<'a> for Request<'_, '_, 'a, F> {
    const WHAT: &'static str = "a request";

    fn begin(&mut self) {}

    fn field<A: MapAccess<'a>>(&mut self, name: &str, object: &mut A) -> Result<(), A::Error> {
        let wrong = match name {
            "resourceSpans" => {
                let walk = &mut *self.walk;
                let mut spans = ResourceSpans { walk, resource: None, early: None };
                return object.next_value_seed(Objects(&mut spans));
            }
            "resourceMetrics" => "metrics",
            "resourceLogs" => "logs",
            _ => return ignore(object),
        };
        if object.next_value::<Option<IgnoredAny>>()?.is_some() {
            self.wrong = Some(wrong);
        }
        Ok(())
    }

    fn end<E: Error>(&mut self) -> Result<(), E> {
        Ok(())
    }
}

impl<'l, 'a, F: Each<'a>> ResourceSpans<'_, 'l, 'a, F> {
    fn scopes(&mut self, resource: &Arc<Resource>) -> ScopeSpans<'_, 'l, 'a, F> {
        let resource = Arc::clone(resource);
        ScopeSpans { walk: &mut *self.walk, resource, scope: None, early: None }
    }
}

impl<'a, F: Each<'a>> Fields<'a> for ResourceSpans<'_, '_, 'a, F> {
    const WHAT: &'static str = "the spans of a resource";

    fn begin(&mut self) {
        (self.resource, self.early) = (None, None);
    }

    fn field<A: MapAccess<'a>>(&mut self, name: &str, object: &mut A) -> Result<(), A::Error> {
        match (name, self.resource.clone()) {
            ("resource", _) => {
                let known = resource(object.next_value()?, self.walk.limits);
                self.resource = Some(known.map_err(Error::custom)?);
            }
            ("scopeSpans", Some(resource)) => {
                object.next_value_seed(Objects(&mut self.scopes(&resource)))?;
            }
            ("scopeSpans", None) => self.early = object.next_value()?,
            _ => ignore(object)?,
        }
        Ok(())
    }

    fn end<E: Error>(&mut self) -> Result<(), E> {
        let Some(early) = self.early.take() else { return Ok(()) };
        let none = || resource(None, self.walk.limits).map_err(Error::custom);
        let resource = self.resource.take().map_or_else(none, Ok)?;
        let mut json = serde_json::Deserializer::from_str(early.get());
        Objects(&mut self.scopes(&resource)).deserialize(&mut json).map_err(Error::custom)
    }
}

impl<'a, F: Each<'a>> Fields<'a> for ScopeSpans<'_, '_, 'a, F> {
    const WHAT: &'static str = "the spans of a scope";

    fn begin(&mut self) {
        (self.scope, self.early) = (None, None);
    }

    fn field<A: MapAccess<'a>>(&mut self, name: &str, object: &mut A) -> Result<(), A::Error> {
        match (name, &self.scope) {
            ("scope", _) => {
                self.scope = Some(scope(object.next_value()?).map_err(Error::custom)?);
            }
            ("spans", Some(scope)) => {
                let (walk, resource) = (&mut *self.walk, &self.resource);
                let mut spans = Spans { walk, resource, scope, span: Span::default() };
                object.next_value_seed(Objects(&mut spans))?;
            }
            ("spans", None) => self.early = object.next_value()?,
            _ => ignore(object)?,
        }
        Ok(())
    }

    fn end<E: Error>(&mut self) -> Result<(), E> {
        let Some(early) = self.early.take() else { return Ok(()) };
        let scope = match &self.scope {
            Some(scope) => scope.clone(),
            None => scope(None).map_err(Error::custom)?,
        };
        let (walk, resource) = (&mut *self.walk, &self.resource);
        let mut spans = Spans { walk, resource, scope: &scope, span: Span::default() };
        let mut json = serde_json::Deserializer::from_str(early.get());
        Objects(&mut spans).deserialize(&mut json).map_err(Error::custom)
    }
}

impl<'a, F: Each<'a>> Fields<'a> for Spans<'_, '_, 'a, F> {
    const WHAT: &'static str = "a span";

    fn begin(&mut self) {
        self.span = Span::default();
        self.walk.slots.clear();
    }

    fn field<A: MapAccess<'a>>(&mut self, name: &str, object: &mut A) -> Result<(), A::Error> {
        let span = &mut self.span;
        match name {
            "traceId" => span.trace = object.next_value()?,
            "spanId" => span.id = object.next_value()?,
            "parentSpanId" => span.parent = object.next_value()?,
            "name" => span.name = object.next_value()?,
            "startTimeUnixNano" => span.start = object.next_value()?,
            "endTimeUnixNano" => span.end = object.next_value()?,
            "events" => span.events = object.next_value()?,
            "status" => span.status = object.next_value()?,
            "attributes" => {
                let Walk { limits, slots, .. } = &mut *self.walk;
                object.next_value_seed(Attributes { slots, limits })?;
            }
            _ => ignore(object)?,
        }
        Ok(())
    }

    fn end<E: Error>(&mut self) -> Result<(), E> {
        let span = std::mem::take(&mut self.span);
        let slots = std::mem::replace(&mut self.walk.slots, Slots::new());
        let span = raw(span, slots, self.walk.limits).map_err(Error::custom)?;
        (self.walk.each)(self.resource, self.scope, &span);
        self.walk.slots = span.slots;
        Ok(())
    }
}

fn raw<'a>(
    json: Span<'a>,
    mut slots: Slots<'a>,
    limits: &Limits,
) -> Result<RawSpan<'a>, DecodeError> {
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
        trace: Id::<u128>::from_hex(&json.trace),
        id: Id::<u64>::from_hex(&json.id),
        parent: Id::<u64>::from_hex(&json.parent),
        name: json.name.0,
        start: json.start.0,
        end: json.end.0,
        failed: status.code.is(2, "STATUS_CODE_ERROR"),
        status_message: status.message.0,
        slots,
    })
}
