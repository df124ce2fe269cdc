//! OTLP over HTTP and gRPC, on one port.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
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
    Router::new().fallback(receive).with_state(Taking { inbox, most_body, body_time })
}

#[derive(Clone)]
struct Taking {
    inbox: Arc<Inbox>,
    /// No more than the receiver reads is held of a body.
    most_body: usize,
    body_time: Duration,
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
        Ok(body) => {
            let taken = taking.inbox.take(address, body.into()).await;
            answer(otlp::Response::of(address, &taken))
        }
        Err(refused) => refused.into_response(),
    }
}

/// The whole body, unless it is too large or takes too long.
async fn whole(taking: &Taking, body: Body) -> Result<Bytes, (StatusCode, &'static str)> {
    let large = "the body is larger than this server takes; send smaller batches";
    // What its headers say is believed before a byte of it is read.
    if body.size_hint().lower() > taking.most_body as u64 {
        return Err((StatusCode::PAYLOAD_TOO_LARGE, large));
    }
    let collected = timeout(taking.body_time, Limited::new(body, taking.most_body).collect());
    match collected.await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err((StatusCode::PAYLOAD_TOO_LARGE, large))
        }
        Ok(Err(_)) => Err((StatusCode::BAD_REQUEST, "the body could not be read to its end")),
        Err(_) => Err((StatusCode::REQUEST_TIMEOUT, "the body took too long")),
    }
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
    let body = match whole(taking, body).await {
        Ok(body) => body,
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
    match export(taking, signal, encoding, message).await {
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
