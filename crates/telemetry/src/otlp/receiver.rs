//! The receiver: requests in, answers and records out. Whoever owns a socket calls it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use taximeter_models::OperationRecord;

use super::assembler::{Assembler, Counts, Window};
use super::compression::{Encoding, decompress};
use super::response::{Code, Format, Refusal, Response, Signal, Taken};
use super::span::{Reader, Span};
use super::usage_metrics::Increment;
use super::{DecodeError, Limits, json, log, protobuf, span, usage_metrics};

/// How a [`Receiver`] works.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// What a request may hold.
    pub limits: Limits,
    /// When traces are whole, and how much is held until then.
    pub window: Window,
    /// What may stand before `/v1/traces`. Default: nothing, and `/api/public/otel`, to which the SDKs of Langfuse send.
    pub base_paths: Vec<String>,
    /// How many records may wait to be taken away; above, requests are refused with 503. Default 100,000.
    pub most_ready: usize,
    /// After how many seconds a refused client is asked to come again. Default 5.
    pub retry_after: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            window: Window::default(),
            base_paths: vec![String::new(), "/api/public/otel".to_owned()],
            most_ready: 100_000,
            retry_after: 5,
        }
    }
}

/// A request over HTTP. The body is whole: a server puts the chunks of a chunked one together.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The method, such as `POST`.
    pub method: &'a str,
    /// The path, without the query.
    pub path: &'a str,
    /// `Content-Type`, if it was sent.
    pub content_type: Option<&'a str>,
    /// `Content-Encoding`, if it was sent.
    pub content_encoding: Option<&'a str>,
    /// The body as it came.
    pub body: &'a [u8],
}

/// Takes spans, metrics and logs of any OpenTelemetry client, and gives operations.
///
/// Requests are read in parallel; only what was read is put in under a lock. Records come out by [`Receiver::take`],
/// which whoever owns the receiver calls every second or so, and once more [`Receiver::finish`] at the end.
///
/// ```
/// use chrono::{TimeDelta, Utc};
/// use taximeter_telemetry::otlp::{Receiver, Request, Settings};
///
/// let now = Utc::now();
/// let receiver = Receiver::new(Settings::default(), now);
/// let body = r#"{"resourceSpans": [{"scopeSpans": [{"spans": [{
///     "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": "chat gpt-4o",
///     "startTimeUnixNano": "1795471675000000000", "endTimeUnixNano": "1795471676500000000",
///     "attributes": [
///         {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
///         {"key": "gen_ai.request.model", "value": {"stringValue": "gpt-4o"}},
///         {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "1200"}},
///         {"key": "gen_ai.usage.output_tokens", "value": {"intValue": 300}}
///     ]
/// }]}]}]}"#;
/// let post = |body| Request {
///     method: "POST",
///     path: "/v1/traces",
///     content_type: Some("application/json"),
///     content_encoding: None,
///     body,
/// };
/// let response = receiver.handle(&post(body.as_bytes()), now);
/// assert_eq!((response.status, response.body.as_slice()), (200, &b"{}"[..]));
///
/// let records = receiver.take(now + TimeDelta::seconds(10));
/// assert_eq!(records[0].usage().total_tokens(), 1_500);
///
/// // What cannot be read is refused for good, and says why.
/// assert_eq!(receiver.handle(&post(b"{"), now).status, 400);
/// ```
#[derive(Debug)]
pub struct Receiver {
    settings: Settings,
    assembler: Mutex<Assembler>,
}

impl Receiver {
    /// A receiver that begins now. What a cumulative metric counted before is not counted again.
    pub fn new(settings: Settings, now: DateTime<Utc>) -> Self {
        let assembler = Mutex::new(Assembler::new(settings.window, now));
        Self { settings, assembler }
    }

    /// Answers a request over HTTP.
    pub fn handle(&self, request: &Request<'_>, now: DateTime<Utc>) -> Response {
        let Some(signal) = self.signal_of(request.path) else {
            return Response::plain(
                404,
                "no telemetry is taken here; send it to /v1/traces, /v1/metrics or /v1/logs",
            );
        };
        if request.method != "POST" {
            return Response::plain(405, "telemetry is sent by POST").with("allow", "POST");
        }
        let Some(format) = request.content_type.and_then(Format::of) else {
            return Response::plain(415, "telemetry is application/x-protobuf or application/json");
        };
        let Some(encoding) = Encoding::named(request.content_encoding.unwrap_or_default()) else {
            let message =
                format!("the body may be compressed by {}, or not at all", Encoding::NAMES);
            return Response::plain(415, &message).with("accept-encoding", Encoding::NAMES);
        };
        match self.export(signal, format, encoding, request.body, now) {
            Ok(taken) => Response::formatted(200, format, taken.encode(signal, format)),
            Err(refusal) => {
                let status = match refusal.code {
                    Code::ResourceExhausted => 413,
                    Code::Unavailable => 503,
                    Code::InvalidArgument | Code::Unimplemented => 400,
                };
                let response = Response::formatted(status, format, refusal.encode(format));
                match refusal.retry_after {
                    Some(seconds) => response.with("retry-after", seconds.to_string()),
                    None => response,
                }
            }
        }
    }

    /// Takes the message of a gRPC request: the bytes of `Export…ServiceRequest`, `encoding` as `grpc-encoding` says.
    /// The response is [`Taken::encode`].
    ///
    /// ```
    /// use chrono::Utc;
    /// use taximeter_telemetry::otlp::{Code, Receiver, Settings, Signal};
    ///
    /// let receiver = Receiver::new(Settings::default(), Utc::now());
    /// let signal = Signal::of_grpc("/opentelemetry.proto.collector.trace.v1.TraceService/Export");
    /// assert_eq!(signal, Some(Signal::Traces));
    /// assert_eq!(receiver.grpc(Signal::Traces, "identity", b"", Utc::now()).map(|taken| taken.rejected), Ok(0));
    /// let refusal = receiver.grpc(Signal::Traces, "identity", b"{}", Utc::now()).unwrap_err();
    /// assert_eq!(refusal.code, Code::InvalidArgument);
    /// ```
    ///
    /// # Errors
    /// Where the message cannot be read, is too large, is compressed in a way that is not understood, or too much waits
    /// to be taken away. Only of the last it is of use to try again, and then [`Refusal::retry_after`] says when.
    pub fn grpc(
        &self,
        signal: Signal,
        encoding: &str,
        message: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Taken, Refusal> {
        let encoding = Encoding::named(encoding).ok_or_else(|| {
            let message =
                format!("a message may be compressed by {}, or not at all", Encoding::NAMES);
            Refusal::new(Code::Unimplemented, message)
        })?;
        self.export(signal, Format::Protobuf, encoding, message, now)
    }

    /// The records of all that is whole enough by now.
    pub fn take(&self, now: DateTime<Utc>) -> Vec<OperationRecord> {
        self.lock().take(now)
    }

    /// The records of all that is held, whole or not: the last thing to ask for.
    pub fn finish(&self) -> Vec<OperationRecord> {
        self.lock().finish()
    }

    /// What was done with all that came.
    pub fn counts(&self) -> Counts {
        self.lock().counts()
    }

    /// Nothing that is done under the lock can panic halfway; were it so, what was counted stays true.
    fn lock(&self) -> MutexGuard<'_, Assembler> {
        self.assembler.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signal_of(&self, path: &str) -> Option<Signal> {
        let path = path.trim_end_matches('/');
        [Signal::Traces, Signal::Metrics, Signal::Logs].into_iter().find(|signal| {
            let base = path.strip_suffix(signal.path());
            base.is_some_and(|base| self.settings.base_paths.iter().any(|known| known == base))
        })
    }

    fn export(
        &self,
        signal: Signal,
        format: Format,
        encoding: Encoding,
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Taken, Refusal> {
        if self.lock().ready() >= self.settings.most_ready {
            let mut refusal =
                Refusal::new(Code::Unavailable, "too much waits to be stored; send it again later");
            refusal.retry_after = Some(self.settings.retry_after);
            return Err(refusal);
        }
        let body =
            decompress(body, encoding, &self.settings.limits).map_err(|error| refusal(&error))?;
        let taken = match signal {
            Signal::Traces => self.traces(format, &body, now),
            Signal::Metrics => self.metrics(format, &body, now),
            Signal::Logs => self.logs(format, &body, now),
        };
        taken.map_err(|error| refusal(&error))
    }

    fn traces(
        &self,
        format: Format,
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Taken, DecodeError> {
        let limits = &self.settings.limits;
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
        self.hold(spans, &taken, |assembler, span| assembler.push(span, now));
        Ok(taken)
    }

    fn logs(&self, format: Format, body: &[u8], now: DateTime<Utc>) -> Result<Taken, DecodeError> {
        let limits = &self.settings.limits;
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
        self.hold(calls, &taken, |assembler, call| assembler.push(call, now));
        Ok(taken)
    }

    fn metrics(
        &self,
        format: Format,
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Taken, DecodeError> {
        let limits = &self.settings.limits;
        let (mut increments, mut taken) = (Vec::<Increment>::new(), Taken::default());
        let each = |resource: &_, scope: &_, raw: &_| {
            if let Some(increment) = usage_metrics::read(raw, resource, scope)
                && has_room(&increments, &mut taken, limits)
            {
                increments.push(increment);
            }
        };
        match format {
            Format::Protobuf => protobuf::metrics(body, limits, each)?,
            Format::Json => json::metrics(body, limits, each)?,
        }
        self.hold(increments, &taken, |assembler, increment| assembler.push_point(increment, now));
        Ok(taken)
    }

    /// Puts in what was read, all of it at once: a request that could not be read to its end left nothing behind.
    fn hold<T>(&self, items: Vec<T>, taken: &Taken, mut put: impl FnMut(&mut Assembler, T)) {
        let mut assembler = self.lock();
        assembler.count_mut().rejected += taken.rejected;
        for item in items {
            put(&mut assembler, item);
        }
    }
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
