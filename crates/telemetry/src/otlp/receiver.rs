//! The receiver: requests in, answers and records out. Whoever owns a socket calls it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use taximeter_models::OperationRecord;

use super::Limits;
use super::assembler::{Assembler, Counts, Waiting, Window};
use super::decoded::Decoded;
use super::journal::{Closed, Marked};
use super::response::{Address, Code, Refusal, Response, Signal, Taken};

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
    /// How many spans may be held beyond the bounds of the window until records are taken away; above, requests are refused
    /// with 503. Default 32,768.
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
            most_ready: 32_768,
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

    /// Answers a request over HTTP: finds out what it is, reads it and holds what it says.
    pub fn handle(&self, request: &Request<'_>, now: DateTime<Utc>) -> Response {
        let address = match self.address(request) {
            Ok(address) => address,
            Err(response) => return response,
        };
        let decoded = self.room().and_then(|()| self.decode(address, request.body));
        Response::of(address, &decoded.map(|decoded| self.hold(decoded, 0, now)))
    }

    /// Which telemetry a request over HTTP brings, and how it is written.
    ///
    /// # Errors
    /// The response to a request that brings none, or in a way that is not understood.
    pub fn address(&self, request: &Request<'_>) -> Result<Address, Response> {
        let Some(signal) = self.signal_of(request.path) else {
            return Err(Response::plain(
                404,
                "no telemetry is taken here; send it to /v1/traces, /v1/metrics or /v1/logs",
            ));
        };
        if request.method != "POST" {
            let response = Response::plain(405, "telemetry is sent by POST");
            return Err(response.with("allow", "POST"));
        }
        Address::of_http(signal, request.content_type, request.content_encoding)
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
        let address = Address::of_grpc(signal, encoding)?;
        self.room()?;
        let decoded = self.decode(address, message)?;
        Ok(self.hold(decoded, 0, now))
    }

    /// Whether there is room for more: what is beyond the bounds waits to be taken away, and may not be too much.
    pub fn has_room(&self) -> bool {
        self.lock().beyond() < self.settings.most_ready
    }

    fn room(&self) -> Result<(), Refusal> {
        if self.has_room() {
            return Ok(());
        }
        Err(self.not_now("too much waits to be stored; send it again later"))
    }

    /// Reads a body, and holds nothing of it yet: whoever keeps a journal writes the body down before [`hold`](Self::hold),
    /// and asks before all that whether there is [room](Self::has_room).
    ///
    /// # Errors
    /// Where the body cannot be read, or is too large.
    pub fn decode(&self, address: Address, body: &[u8]) -> Result<Decoded, Refusal> {
        Decoded::read(address, body, &self.settings.limits)
    }

    /// The refusal of what may be sent again later.
    pub fn not_now(&self, why: &str) -> Refusal {
        let mut refusal = Refusal::new(Code::Unavailable, why);
        refusal.retry_after = Some(self.settings.retry_after);
        refusal
    }

    /// Holds what was read, until its traces are whole. `mark` is its place in the caller's journal, or 0 where there is
    /// none; see [`take_marked`](Self::take_marked).
    pub fn hold(&self, decoded: Decoded, mark: u64, now: DateTime<Utc>) -> Taken {
        let mut assembler = self.lock();
        assembler.count_mut().rejected += decoded.taken.rejected;
        assembler.mark(mark);
        decoded.items.put(&mut assembler, now);
        decoded.taken
    }

    /// The records of what is whole enough by now, of about so many spans at most, with what of a journal is needed no
    /// longer. A record takes several times the memory of its span, so whoever stores many takes a few at a time, until
    /// there is no [`more`](Marked::more).
    ///
    /// The caller writes down [`Marked::closed`], stores the records, writes down that it did, and may then forget all
    /// requests with a mark below [`Marked::oldest`], and those closed traces whose mark lies below it too.
    ///
    /// A server that begins anew reads its journal twice. Of closed traces of which it does not know whether their records
    /// were stored, it makes the same records again, with a receiver that takes [`only`](Self::only) these, and stores
    /// them. Another receiver is told that all of them are [`done`](Self::done), is given the whole journal, and goes on.
    /// So every span counts, and counts once.
    pub fn take_marked(&self, now: DateTime<Utc>, most: usize) -> Marked {
        self.lock().take_marked(now, most)
    }

    /// Takes in nothing but spans of these traces, up to their marks.
    pub fn only(&self, closed: impl IntoIterator<Item = Closed>) {
        self.lock().only(closed);
    }

    /// Tells of traces whose records are stored: what was held of them up to their mark does not count again.
    pub fn done(&self, closed: impl IntoIterator<Item = Closed>) {
        self.lock().done(closed);
    }

    /// The records of all that is whole enough by now.
    pub fn take(&self, now: DateTime<Utc>) -> Vec<OperationRecord> {
        self.lock().take(now)
    }

    /// The records of all that is held, whole or not: the last thing to ask for.
    pub fn finish(&self) -> Vec<OperationRecord> {
        self.lock().finish()
    }

    /// What is held until its trace is whole.
    pub fn held(&self) -> Waiting {
        self.lock().waiting()
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
}
