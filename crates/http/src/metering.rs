//! What is metered, and how: shared by every client.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use http::uri::Authority;
use http::{Extensions, HeaderMap, Method, Uri};
use taximeter::Meter;
use taximeter::context::HEADERS;
use taximeter::reply::{Accumulator, Endpoint};

use crate::call::{Attempts, Call, Origin};

/// What is metered, and how. The default is right for known providers.
///
/// ```
/// use taximeter_http::Metering;
///
/// let metering = Metering::new()
///     .host("llm.example.com", "azure") // a gateway in front of a provider
///     .host("127.0.0.1:8000", "vllm") // a server of one's own
///     .limit(1 << 20);
/// # let _ = metering;
/// ```
#[derive(Debug, Clone)]
#[must_use = "it meters nothing by itself"]
pub struct Metering(Arc<Options>);

#[derive(Debug, Clone)]
struct Options {
    providers: BTreeMap<String, String>,
    traced: BTreeSet<String>,
    limit: usize,
    meter: Option<Meter>,
}

impl Default for Metering {
    fn default() -> Self {
        let providers = BTreeMap::new();
        let traced = BTreeSet::new();
        Self(Arc::new(Options { providers, traced, limit: Accumulator::LIMIT, meter: None }))
    }
}

impl Metering {
    /// Meters every path of a known API, at whatever host.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says who serves LLMs at a host, or at a port of it (`host:port`), as the price book calls the provider. Default: told by
    /// the host, or else by the dialect of the path, which the call's metadata say under `provider_assumed`.
    pub fn host(self, host: impl Into<String>, provider: impl Into<String>) -> Self {
        let host = host.into().to_ascii_lowercase();
        self.with(|options| _ = options.providers.insert(host, provider.into()))
    }

    /// Tells the trace of the [current](taximeter::current) operation to a host, or to a port of it (`host:port`), in every
    /// request, metered or not: `traceparent`, `tracestate` and `baggage`. Headers of these names that a request has already
    /// stay. Default: nobody is told, since a provider has no part in one's traces, and baggage may name users.
    pub fn trace_to(self, host: impl Into<String>) -> Self {
        let host = host.into().to_ascii_lowercase();
        self.with(|options| _ = options.traced.insert(host))
    }

    /// Holds at most so many bytes: of one event of a streamed reply, of the body of another one, of the body of a
    /// request. What is larger passes on unread. Default: 8 MiB.
    pub fn limit(self, bytes: usize) -> Self {
        self.with(|options| options.limit = bytes)
    }

    /// Records calls that have no current operation with that meter. Default: the [meter](taximeter::meter()) in force.
    pub fn meter(self, meter: &Meter) -> Self {
        self.with(|options| options.meter = Some(meter.clone()))
    }

    fn with(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// Begins a call, if this request is one.
    pub(crate) fn begin(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        extensions: &mut Extensions,
    ) -> Option<Call> {
        if method != Method::POST {
            return None;
        }
        let authority = authority_of(uri, headers)?;
        let (host, port) = (authority.host(), authority.port_u16());
        let mut endpoint = Endpoint::of(host, port, uri.path())?;
        if let Some(provider) = self.provider_at(host, port) {
            endpoint.provider = Some(provider.into());
            endpoint.is_assumed = false;
        }
        let attempt = Attempts::next_in(extensions, headers);
        Some(Call::begin(Origin { endpoint, attempt, limit: self.0.limit }, self.0.meter.as_ref()))
    }

    /// Tells the trace to whom it is to be told: that of the call's operation, or of the current one.
    pub(crate) fn tell_trace(&self, call: Option<&Call>, uri: &Uri, headers: &mut HeaderMap) {
        if self.0.traced.is_empty() || headers.contains_key(HEADERS[0]) {
            return;
        }
        let told = authority_of(uri, headers).is_some_and(|authority| {
            names_of(authority.host(), authority.port_u16())
                .any(|name| self.0.traced.contains(&name))
        });
        if told {
            let operation = call.map_or_else(taximeter::current, |call| call.handle().clone());
            crate::inject(&operation, headers);
        }
    }

    fn provider_at(&self, host: &str, port: Option<u16>) -> Option<&str> {
        names_of(host, port).find_map(|name| self.0.providers.get(&name)).map(String::as_str)
    }
}

/// Under what a host may stand in the options, the narrower first.
fn names_of(host: &str, port: Option<u16>) -> impl Iterator<Item = String> {
    let host = host.to_ascii_lowercase();
    port.map(|port| format!("{host}:{port}")).into_iter().chain([host])
}

/// A request of HTTP/1 that goes to its server at once has its host in a header.
fn authority_of(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    let in_header = || headers.get(http::header::HOST)?.to_str().ok()?.parse().ok();
    uri.authority().cloned().or_else(in_header)
}
