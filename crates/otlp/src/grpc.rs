//! One request over gRPC: what is sent, and what came of it.

use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue};
use taximeter::otlp::Partial;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tonic::client::Grpc;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Extensions, Request, Response, Status};
use tonic_types::StatusExt;

use crate::protocol::Signal;
use crate::transport::{AGENT, Came, Target};

/// Connections that are kept for the next request, one for each signal; and what drives them while a request is under
/// way, on the thread that sends.
#[derive(Debug, Default)]
pub(crate) struct Client {
    runtime: Option<Runtime>,
    channels: HashMap<Signal, Channel>,
}

impl Client {
    /// Sends a message in protobuf.
    pub(crate) fn post(&mut self, target: &Target, body: &[u8]) -> Came {
        // Without it nothing can be sent now; what the operating system refuses it may give later.
        let Some(runtime) = self.runtime.take().or_else(runtime) else { return Came::Later(None) };
        let came = runtime.block_on(async {
            match self.channel(target) {
                Some(channel) => send(channel, target, body).await,
                None => Came::Refused,
            }
        });
        self.runtime = Some(runtime);
        came
    }

    /// The connection to an address; none where it is no address.
    fn channel(&mut self, target: &Target) -> Option<Channel> {
        if let Some(channel) = self.channels.get(&target.signal) {
            return Some(channel.clone());
        }
        let endpoint = Endpoint::from_shared(target.url()).and_then(|to| to.user_agent(AGENT));
        let channel = secured(endpoint.ok()?, target)?.connect_lazy();
        self.channels.insert(target.signal, channel.clone());
        Some(channel)
    }
}

fn runtime() -> Option<Runtime> {
    Builder::new_current_thread().enable_all().build().ok()
}

#[cfg(feature = "tls")]
fn secured(endpoint: Endpoint, target: &Target) -> Option<Endpoint> {
    match endpoint.uri().scheme_str() {
        Some("https") => endpoint.tls_config(target.trust.of_grpc()).ok(),
        _ => Some(endpoint),
    }
}

#[cfg(not(feature = "tls"))]
#[expect(clippy::unnecessary_wraps, reason = "with TLS there are endpoints that cannot be had")]
fn secured(endpoint: Endpoint, _: &Target) -> Option<Endpoint> {
    Some(endpoint)
}

async fn send(channel: Channel, target: &Target, body: &[u8]) -> Came {
    // Nobody looked after the connection since the last request. Was it closed, that is to be seen before it is used.
    tokio::time::sleep(Duration::from_millis(1)).await;
    let body = Bytes::copy_from_slice(body);
    let metadata = MetadataMap::from_headers(headers(target));
    let mut request = Request::from_parts(metadata, Extensions::default(), body);
    request.set_timeout(target.timeout);
    match timeout(target.timeout, call(channel, target, request)).await {
        Ok(Ok(answer)) => Came::Taken(Partial::read(&answer.into_inner())),
        Ok(Err(status)) => came(&status),
        Err(_) => Came::Later(None),
    }
}

async fn call(
    channel: Channel,
    target: &Target,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, Status> {
    let mut grpc = Grpc::new(channel);
    if target.gzip {
        grpc = grpc.send_compressed(CompressionEncoding::Gzip);
    }
    grpc.ready().await.map_err(|error| Status::from_error(error.into()))?;
    grpc.unary(request, PathAndQuery::from_static(target.signal.method()), Written).await
}

/// Headers that cannot be are left out, as their values may be secret and are told nobody.
fn headers(target: &Target) -> HeaderMap {
    let header = |(name, value): &(String, String)| {
        Some((name.parse::<HeaderName>().ok()?, value.parse::<HeaderValue>().ok()?))
    };
    target.headers.iter().filter_map(header).collect()
}

/// What a status says of a further try (OpenTelemetry protocol, "OTLP/gRPC Response").
fn came(status: &Status) -> Came {
    let asked = status.get_details_retry_info();
    let after: Option<Duration> = asked.as_ref().and_then(|info| info.retry_delay);
    match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => Came::Later(after),
        // Only with it is what is exhausted there again by itself.
        Code::ResourceExhausted if asked.is_some() => Came::Later(after),
        // What has a source was said by no receiver: it broke on the way.
        _ if status.source().is_some() => Came::Later(None),
        _ => Came::Refused,
    }
}

/// Messages are written already, and answers read later.
#[derive(Debug, Clone, Copy)]
struct Written;

impl Codec for Written {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Written {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(message);
        Ok(())
    }
}

impl Decoder for Written {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn which_statuses_may_be_tried_again_and_when() {
        use Code::{
            Aborted, AlreadyExists, Cancelled, DataLoss, DeadlineExceeded, FailedPrecondition,
            Internal, InvalidArgument, NotFound, OutOfRange, PermissionDenied, ResourceExhausted,
            Unauthenticated, Unavailable, Unimplemented, Unknown,
        };
        let later = [Cancelled, DeadlineExceeded, Aborted, OutOfRange, Unavailable, DataLoss];
        for code in later {
            assert_eq!(came(&Status::new(code, "")), Came::Later(None), "{code:?}");
        }
        for code in [
            Unknown,
            InvalidArgument,
            NotFound,
            AlreadyExists,
            PermissionDenied,
            FailedPrecondition,
            Unimplemented,
            Internal,
            Unauthenticated,
            ResourceExhausted,
        ] {
            assert_eq!(came(&Status::new(code, "")), Came::Refused, "{code:?}");
        }
        let wait = Duration::from_secs(3);
        let asked =
            |code| Status::with_error_details(code, "", ErrorDetails::with_retry_info(Some(wait)));
        for code in later.into_iter().chain([ResourceExhausted]) {
            assert_eq!(came(&asked(code)), Came::Later(Some(wait)), "{code:?}");
        }
        assert_eq!(came(&asked(InvalidArgument)), Came::Refused);
        let broken = Status::from_error(Box::new(std::io::Error::other("reset")));
        assert_eq!(came(&broken), Came::Later(None));
    }
}
