//! OTLP over HTTP and gRPC, on one port.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt, Full};
use taximeter::otlp_in::{self as otlp, Address, Format, Refusal, Signal, Taken};
use tokio::time::timeout;

use crate::Config;
use crate::inbox::Inbox;

/// What a frame of gRPC has before its message.
const HEAD: usize = 5;

/// Every path: which are known, the receiver says.
pub(crate) fn routes(inbox: Arc<Inbox>, config: &Config) -> Router {
    let most_body = config.receiver.limits.body.saturating_add(HEAD);
    let body_time = config.limits.body_time;
    let bodies = Bodies { most: config.limits.bodies, held: Arc::default() };
    Router::new().fallback(receive).with_state(Taking { inbox, bodies, most_body, body_time })
}

#[derive(Clone)]
struct Taking {
    inbox: Arc<Inbox>,
    bodies: Bodies,
    /// No more than the receiver reads is held of a body.
    most_body: usize,
    body_time: Duration,
}

/// The bytes of all bodies that are held at one time, of how many may be.
#[derive(Clone)]
struct Bodies {
    most: usize,
    held: Arc<AtomicUsize>,
}

/// Bytes of a body, counted for as long as this lives.
struct Held {
    bytes: usize,
    of: Arc<AtomicUsize>,
}

impl Bodies {
    fn none(&self) -> Held {
        Held { bytes: 0, of: Arc::clone(&self.held) }
    }

    /// Counts further bytes of a body; false where there is no room for them.
    fn add(&self, held: &mut Held, bytes: usize) -> bool {
        held.bytes += bytes;
        self.held.fetch_add(bytes, Ordering::Relaxed) + bytes <= self.most
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.of.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

async fn receive(State(taking): State<Taking>, request: Request) -> Response {
    let kind = header(request.headers(), &CONTENT_TYPE).unwrap_or_default();
    if kind.starts_with("application/grpc") {
        grpc(&taking, request).await
    } else {
        http(&taking, request).await
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

async fn http(taking: &Taking, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let asked = otlp::Request {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        content_type: header(&parts.headers, &CONTENT_TYPE),
        content_encoding: header(&parts.headers, &CONTENT_ENCODING),
        body: &[],
    };
    let address = match taking.inbox.receiver().address(&asked) {
        Ok(address) => address,
        Err(refused) => return answer(refused),
    };
    match whole(taking, body).await {
        Ok((body, held)) => {
            let taken = taking.inbox.take(address, body).await;
            drop(held);
            answer(otlp::Response::of(address, &taken))
        }
        // It may be sent again, and then as OTLP says so.
        Err((StatusCode::SERVICE_UNAVAILABLE, why)) => {
            let refused = Err(taking.inbox.receiver().not_now(why));
            answer(otlp::Response::of(address, &refused))
        }
        Err(refused) => refused.into_response(),
    }
}

/// A body, or why it is not taken.
type Whole = Result<(Vec<u8>, Held), (StatusCode, &'static str)>;

/// The whole body, unless it is too large, takes too long, or too much is held already.
async fn whole(taking: &Taking, body: Body) -> Whole {
    // What its headers say is believed before a byte of it is read.
    if body.size_hint().lower() > taking.most_body as u64 {
        return Err(TOO_LARGE);
    }
    let late = (StatusCode::REQUEST_TIMEOUT, "the body took too long");
    timeout(taking.body_time, read(taking, body)).await.unwrap_or(Err(late))
}

const TOO_LARGE: (StatusCode, &str) = (
    StatusCode::PAYLOAD_TOO_LARGE,
    "the body is larger than this server takes; send smaller batches",
);

async fn read(taking: &Taking, mut body: Body) -> Whole {
    let mut held = taking.bodies.none();
    // A client may say that much will come and send little, so room is made for what is there.
    let told = usize::try_from(body.size_hint().lower()).unwrap_or(0);
    let mut bytes = Vec::with_capacity(told.min(64 << 10));
    while let Some(frame) = body.frame().await {
        let broken = (StatusCode::BAD_REQUEST, "the body could not be read to its end");
        let Ok(data) = frame.map_err(|_| broken)?.into_data() else { continue };
        if bytes.len() + data.len() > taking.most_body {
            return Err(TOO_LARGE);
        }
        if !taking.bodies.add(&mut held, data.len()) {
            let full = "too many bodies are held; send it again later";
            return Err((StatusCode::SERVICE_UNAVAILABLE, full));
        }
        bytes.extend_from_slice(&data);
    }
    Ok((bytes, held))
}

fn answer(response: otlp::Response) -> Response {
    let mut answer = Response::new(Body::from(response.body));
    *answer.status_mut() = StatusCode::from_u16(response.status).unwrap_or(StatusCode::OK);
    for (name, value) in response.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            answer.headers_mut().insert(name, value);
        }
    }
    answer
}

/// A unary call of gRPC: one frame in, one out, and the status behind it.
async fn grpc(taking: &Taking, request: Request) -> Response {
    let Some(signal) = Signal::of_grpc(request.uri().path()) else {
        return trailers_only(
            12,
            "no such method; telemetry is sent to the Export methods of OTLP",
        );
    };
    let (parts, body) = request.into_parts();
    let (body, held) = match whole(taking, body).await {
        Ok(body) => body,
        Err((StatusCode::SERVICE_UNAVAILABLE, why)) => return trailers_only(14, why),
        Err((StatusCode::PAYLOAD_TOO_LARGE, _)) => {
            return trailers_only(
                8,
                "the message is larger than this server takes; send smaller batches",
            );
        }
        Err(_) => return trailers_only(13, "the message could not be read to its end"),
    };
    let Some((compressed, message)) = frame(&body) else {
        return trailers_only(13, "the body is no single frame of gRPC");
    };
    let named = header(&parts.headers, &HeaderName::from_static("grpc-encoding"));
    let encoding = if compressed { named.unwrap_or("identity") } else { "identity" };
    let exported = export(taking, signal, encoding, message).await;
    drop(held);
    match exported {
        Ok(taken) => success(&taken.encode(signal, Format::Protobuf)),
        Err(refusal) => {
            let mut response = trailers_only(refusal.code.number(), &refusal.message);
            let details = refusal.encode(Format::Protobuf);
            if let Some(details) = binary(&details) {
                response.headers_mut().insert("grpc-status-details-bin", details);
            }
            response
        }
    }
}

async fn export(
    taking: &Taking,
    signal: Signal,
    encoding: &str,
    message: &[u8],
) -> Result<Taken, Refusal> {
    let address = Address::of_grpc(signal, encoding)?;
    taking.inbox.take(address, message.to_vec()).await
}

/// The message of the only frame of a body, and whether it is compressed.
fn frame(body: &[u8]) -> Option<(bool, &[u8])> {
    let (head, message) = body.split_at_checked(HEAD)?;
    let length = u32::from_be_bytes(head[1..].try_into().ok()?);
    (usize::try_from(length).ok()? == message.len() && head[0] <= 1)
        .then_some((head[0] == 1, message))
}

fn success(message: &[u8]) -> Response {
    let mut frame = vec![0];
    frame.extend(u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    frame.extend(message);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let body = Full::new(Bytes::from(frame)).with_trailers(std::future::ready(Some(Ok(trailers))));
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

/// A call that fails: its status stands in the headers, and there is no body.
fn trailers_only(code: u8, message: &str) -> Response {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from(u16::from(code)));
    // Messages are percent-encoded where they are no plain text.
    let plain: String =
        message.chars().map(|c| if matches!(c, ' '..='~') && c != '%' { c } else { '?' }).collect();
    if let Ok(message) = HeaderValue::from_str(&plain) {
        headers.insert("grpc-message", message);
    }
    response
}

fn binary(bytes: &[u8]) -> Option<HeaderValue> {
    use base64::Engine;
    HeaderValue::from_str(&base64::prelude::BASE64_STANDARD_NO_PAD.encode(bytes)).ok()
}
