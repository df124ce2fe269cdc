//! One call, from the request to the end of its reply.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Extensions, HeaderMap, StatusCode, header};
use taximeter::context::claim_call;
use taximeter::reply::{Accumulator, End, Endpoint, Follower, Framing, Request, Streamed, Watch};
use taximeter::{
    ErrorRecord, Failure, Handle, LlmCall, LlmGuard, Meter, Name, Operation, TokenUsage, UsageError,
};

/// Where a call goes, and which of several tries it is.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) endpoint: Endpoint,
    pub(crate) attempt: u32,
    pub(crate) limit: usize,
}

/// A call whose reply is not read to its end. Dropped, it is recorded as cancelled.
#[derive(Debug)]
pub(crate) struct Call {
    /// None once it has ended.
    guard: Option<LlmGuard>,
    handle: Handle,
    /// An operation of its own, where there was no current one.
    operation: Option<Operation>,
    origin: Origin,
    /// What the request says, as far as its body has passed.
    request: Asked,
    /// What the headers of the reply say was consumed, for bodies that do not say it.
    headed: Option<Result<TokenUsage, UsageError>>,
    status: Option<StatusCode>,
}

/// The body of a request as far as it has passed. It is read when the call has ended, when nobody waits for it.
#[derive(Debug, Clone)]
pub(crate) struct Asked(Arc<Mutex<Body>>);

#[derive(Debug, Default)]
struct Body {
    bytes: Vec<u8>,
    limit: usize,
    is_too_large: bool,
}

impl Asked {
    fn new(limit: usize) -> Self {
        Self(Arc::new(Mutex::new(Body { limit, ..Body::default() })))
    }

    /// Sees the next bytes of the body pass.
    pub(crate) fn see(&self, bytes: &[u8]) {
        let mut body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if body.is_too_large || bytes.len() > body.limit - body.bytes.len() {
            (body.is_too_large, body.bytes) = (true, Vec::new());
        } else {
            body.bytes.extend_from_slice(bytes);
        }
    }

    fn told(&self) -> Request {
        Request::read(&self.0.lock().unwrap_or_else(PoisonError::into_inner).bytes)
    }
}

impl Call {
    pub(crate) fn begin(origin: Origin, meter: Option<&Meter>) -> Self {
        let current = taximeter::current();
        let endpoint = &origin.endpoint;
        let operation = (!current.is_recording()).then(|| {
            let meter = meter.cloned().unwrap_or_else(taximeter::meter);
            let operation = meter.operation(endpoint.operation);
            let around = meter.is_recording().then(claim_call).flatten();
            operation.remote_parent(around).start()
        });
        if operation.is_none() {
            // Its operation may have begun within the span of the library, which then knows nothing of it.
            claim_call();
        }
        let handle = operation.as_ref().map_or(current, Operation::handle);
        // Who and what is asked is filled in at the end: the body of the request has yet to pass.
        let guard = handle.llm_call("", "").attempt(origin.attempt).start();
        let request = Asked::new(origin.limit);
        let guard = Some(guard);
        Self { guard, handle, operation, origin, request, headed: None, status: None }
    }

    /// The operation into which it is recorded.
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Where to tell what the request says.
    pub(crate) fn asked(&self) -> Asked {
        self.request.clone()
    }

    /// Ends it without a reply.
    pub(crate) fn fail<E: Failure<Kind> + ?Sized, Kind>(mut self, error: &E) {
        let known = self.known();
        self.fill(|record| known.put_on(record));
        self.end(Some(&error.record()));
    }

    /// Follows its reply, by the headers that are here.
    pub(crate) fn replied(mut self, status: StatusCode, headers: &HeaderMap) -> Follower<Self> {
        self.status = Some(status);
        self.headed = usage_in(headers);
        let text = |name: header::HeaderName| headers.get(name)?.to_str().ok();
        let content_type = text(header::CONTENT_TYPE).unwrap_or_default();
        let encoding = text(header::CONTENT_ENCODING).unwrap_or("identity");
        let dialect = self.origin.endpoint.dialect;
        let accumulator = if status.is_client_error() || status.is_server_error() {
            let code = headers.get("x-amzn-errortype").and_then(|code| code.to_str().ok());
            Accumulator::of_failure(status.as_u16(), code)
        } else {
            Accumulator::new(Framing::of_content_type(content_type)).dialect(dialect)
        };
        self.fill(|record| {
            record.streamed = Framing::of_content_type(content_type).is_streamed();
        });
        let is_plain = encoding.eq_ignore_ascii_case("identity");
        Follower::new(accumulator.limit(if is_plain { self.origin.limit } else { 0 }), self)
    }

    fn known(&self) -> Known {
        let request = self.request.told();
        let endpoint = &self.origin.endpoint;
        Known {
            provider: endpoint.provider.clone(),
            is_assumed: endpoint.is_assumed,
            model: request.model.or_else(|| endpoint.model.clone()),
            operation: endpoint.operation,
            region: endpoint.region,
            status: self.status.filter(|status| !status.is_success()),
        }
    }

    fn fill(&mut self, fill: impl FnOnce(&mut LlmCall)) {
        if let Some(guard) = &mut self.guard {
            guard.fill(fill);
        }
    }

    fn end(&mut self, error: Option<&ErrorRecord>) {
        match (self.guard.take(), error) {
            (Some(guard), Some(error)) => guard.fail(error),
            (Some(guard), None) => guard.succeed(),
            (None, _) => {}
        }
        match (self.operation.take(), error) {
            (Some(operation), Some(error)) => operation.fail(error),
            (Some(operation), None) => operation.succeed(),
            (None, _) => {}
        }
    }
}

impl Drop for Call {
    /// Given up before there was a reply; the guard records it as cancelled.
    fn drop(&mut self) {
        if self.guard.is_some() {
            let known = self.known();
            self.fill(|record| known.put_on(record));
        }
    }
}

impl Watch for Call {
    fn elapsed(&self) -> Duration {
        self.guard.as_ref().map(LlmGuard::elapsed).unwrap_or_default()
    }

    fn ended(mut self, streamed: Streamed, end: End) {
        let usage = streamed.reply.usage.clone().or_else(|| self.headed.take());
        if let (Some(guard), Some(usage)) = (&mut self.guard, usage) {
            guard.usage(usage);
        }
        let known = self.known();
        self.fill(|record| {
            known.put_on(record);
            streamed.put_on(record);
        });
        for call in &streamed.reply.also {
            let mut call = call.clone();
            call.provider.clone_from(&known.provider);
            self.handle.record_llm_call(call);
        }
        self.end(streamed.failure(&end).as_ref());
    }
}

/// What is known of a call but for its reply.
struct Known {
    provider: Option<Name>,
    is_assumed: bool,
    model: Option<Name>,
    /// What was asked for, by the path.
    operation: &'static str,
    region: Option<&'static str>,
    status: Option<StatusCode>,
}

impl Known {
    fn put_on(&self, record: &mut LlmCall) {
        record.provider.clone_from(&self.provider);
        record.request_model.clone_from(&self.model);
        if let Some(region) = self.region {
            record.served_as.insert("region".into(), region.into());
        }
        let metadata = &mut record.metadata;
        if self.operation != "chat" {
            metadata.insert("gen_ai.operation.name".to_owned(), self.operation.into());
        }
        if self.is_assumed {
            metadata.insert("provider_assumed".to_owned(), true.into());
        }
        if let Some(status) = self.status {
            metadata.insert("http_status".to_owned(), status.as_u16().into());
        }
    }
}

/// The counts that Bedrock sends in the headers of `InvokeModel`
/// (<https://docs.aws.amazon.com/bedrock/latest/userguide/inference-invoke.html>), for those of its LLMs whose bodies have none.
fn usage_in(headers: &HeaderMap) -> Option<Result<TokenUsage, UsageError>> {
    let count = |what: &str| -> Option<u64> {
        let name = format!("x-amzn-bedrock-{what}-token-count");
        headers.get(name)?.to_str().ok()?.parse().ok()
    };
    let usage = TokenUsage::exclusive(count("input")?, count("output")?)
        .cache_read(count("cache-read-input").unwrap_or_default())
        .cache_write(count("cache-write-input").unwrap_or_default());
    Some(usage.build())
}

/// Counts the tries of one request. A retry that keeps the extensions of a request, or a clone of them, has its tries
/// told apart; `reqwest-retry` does so by itself, and for `tower` this is put into the request before the first one.
///
/// ```
/// use taximeter_http::Attempts;
///
/// let mut request = http::Request::post("https://api.openai.com/v1/responses").body(())?;
/// request.extensions_mut().insert(Attempts::default());
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Attempts(Arc<AtomicU32>);

impl Attempts {
    /// The number of this try, counted from 1; what the clients of OpenAI and Anthropic say of it comes first.
    pub(crate) fn next_in(extensions: &mut Extensions, headers: &HeaderMap) -> u32 {
        let counted = extensions.get_or_insert_default::<Self>().0.fetch_add(1, Ordering::Relaxed);
        let said = headers.get("x-stainless-retry-count");
        let said = said.and_then(|count| count.to_str().ok()?.parse::<u32>().ok());
        said.unwrap_or(counted).saturating_add(1)
    }
}
