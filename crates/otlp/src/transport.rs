//! One request: what is sent, and what came of it.

use std::collections::HashMap;
use std::fmt;
use std::io::Write;
use std::time::Duration;

use chrono::{DateTime, Utc};
use flate2::Compression;
use flate2::write::GzEncoder;
use taximeter::otlp::{Encoding, Partial};
use ureq::Agent;

use crate::protocol::{Endpoint, Protocol, Signal};

/// Where a signal goes, and how.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) signal: Signal,
    pub(crate) endpoint: Endpoint,
    pub(crate) protocol: Protocol,
    pub(crate) headers: Vec<(String, String)>,
    /// For a whole request, until its answer is read.
    pub(crate) timeout: Duration,
    pub(crate) gzip: bool,
    #[cfg(feature = "tls")]
    pub(crate) trust: crate::trust::Trust,
}

impl Target {
    pub(crate) fn new(signal: Signal, endpoint: Endpoint) -> Self {
        Self {
            signal,
            endpoint,
            protocol: Protocol::default(),
            headers: Vec::new(),
            timeout: Duration::from_secs(10),
            gzip: false,
            #[cfg(feature = "tls")]
            trust: crate::trust::Trust::default(),
        }
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        self.endpoint.url(self.signal, self.protocol)
    }
}

impl fmt::Debug for Target {
    /// Headers hold keys, so their values are shown to nobody.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Target")
            .field("url", &self.url())
            .field("headers", &headers)
            .finish_non_exhaustive()
    }
}

/// What came of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// It was taken, but for what it says.
    Taken(Option<Partial>),
    /// It may be taken later; not before so long a time, if the receiver said so.
    Later(Option<Duration>),
    /// It will never be taken.
    Refused,
}

/// The most bytes of an answer that are read (OpenTelemetry protocol, "OTLP/HTTP Response").
const ANSWER: u64 = 4 << 20;

/// How the exporter names itself.
pub(crate) const AGENT: &str = concat!("OTel-OTLP-Exporter-taximeter/", env!("CARGO_PKG_VERSION"));

/// Connections that are kept for the next request. Each signal has its own, since each may trust others.
#[derive(Debug, Default)]
pub(crate) struct Client {
    http: HashMap<Signal, Agent>,
    #[cfg(feature = "grpc")]
    grpc: crate::grpc::Client,
}

impl Client {
    /// Sends a body in the encoding of the target.
    pub(crate) fn post(&mut self, target: &Target, body: &[u8]) -> Came {
        #[cfg(feature = "grpc")]
        if target.protocol.is_grpc() {
            return self.grpc.post(target, body);
        }
        self.post_http(target, body)
    }

    fn post_http(&mut self, target: &Target, body: &[u8]) -> Came {
        let encoding = target.protocol.encoding();
        let http = self.http.entry(target.signal).or_insert_with(|| agent(target));
        let request = http.post(target.url());
        let mut request = request.header("content-type", encoding.content_type());
        for (name, value) in &target.headers {
            request = request.header(name.as_str(), value.as_str());
        }
        if target.gzip {
            request = request.header("content-encoding", "gzip");
        }
        let request = request.config().timeout_global(Some(target.timeout)).build();
        let sent = match target.gzip.then(|| compressed(body)).flatten() {
            Some(compressed) => request.send(&compressed[..]),
            None => request.send(body),
        };
        match sent {
            Ok(mut answer) => {
                let after =
                    answer.headers().get("retry-after").and_then(|after| after.to_str().ok());
                let after = after.and_then(|after| read_after(after, Utc::now()));
                match answer.status().as_u16() {
                    200..=299 => {
                        let body = answer.body_mut().with_config().limit(ANSWER).read_to_vec();
                        // It was taken, whether or not its answer could be read.
                        Came::Taken(body.ok().and_then(|body| partial(encoding, &body)))
                    }
                    // These alone may be tried again (OpenTelemetry protocol, "Retryable Response Codes").
                    429 | 502 | 503 | 504 => Came::Later(after),
                    _ => Came::Refused,
                }
            }
            Err(error) if is_passing(&error) => Came::Later(None),
            Err(_) => Came::Refused,
        }
    }
}

/// What makes the requests of one signal.
#[cfg_attr(not(feature = "tls"), expect(unused_variables, reason = "then all are made alike"))]
fn agent(target: &Target) -> Agent {
    let config =
        Agent::config_builder().http_status_as_error(false).max_redirects(0).user_agent(AGENT);
    // What cannot be read was refused at the start.
    #[cfg(feature = "tls")]
    let config = config.tls_config(target.trust.of_http().unwrap_or_default());
    Agent::new_with_config(config.build())
}

fn partial(encoding: Encoding, body: &[u8]) -> Option<Partial> {
    match encoding {
        Encoding::Protobuf => Partial::read(body),
        _ => Partial::read_json(body),
    }
}

/// Whether an error may be gone at the next try: it came on the way, and not of what was asked for.
fn is_passing(error: &ureq::Error) -> bool {
    use ureq::Error;
    !matches!(
        error,
        Error::BadUri(_)
            | Error::Http(_)
            | Error::RequireHttpsOnly(_)
            | Error::TlsRequired
            | Error::InvalidProxyUrl
    )
}

fn compressed(body: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body).and_then(|()| encoder.finish()).ok()
}

/// The value of `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3).
fn read_after(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = DateTime::parse_from_rfc2822(text).ok()?;
    Some((at.to_utc() - now).to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_to_wait_is_told_in_seconds_or_as_a_date() {
        let now = DateTime::from_timestamp(1_445_412_450, 0).unwrap_or_default();
        let read = |text: &str| read_after(text, now);
        assert_eq!(read("120"), Some(Duration::from_mins(2)));
        assert_eq!(read("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(read("Wed, 21 Oct 2015 07:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!((read("soon"), read("-1"), read("")), (None, None, None));
    }
}
