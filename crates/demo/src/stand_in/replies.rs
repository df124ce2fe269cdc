//! The bodies and headers of the replies, as OpenAI writes them.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use super::desk::{Completion, MODELS};

/// A JSON reply.
pub(super) fn json(status: StatusCode, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    set(&mut response, header::CONTENT_TYPE, "application/json");
    response
}

fn set(response: &mut Response<Body>, name: HeaderName, value: &'static str) {
    response.headers_mut().insert(name, HeaderValue::from_static(value));
}

fn error(status: StatusCode, kind: &str, code: Option<&str>, message: &str) -> Response<Body> {
    let body = json!({"error": {"message": message, "type": kind, "param": null, "code": code}});
    json(status, body.to_string())
}

pub(super) fn rate_limited() -> Response<Body> {
    let message = "Rate limit reached on requests per min (RPM): Limit 500, Used 500, Requested 1. \
        Please try again in 120ms.";
    let mut response =
        error(StatusCode::TOO_MANY_REQUESTS, "requests", Some("rate_limit_exceeded"), message);
    // The coarser header knows whole seconds only.
    set(&mut response, header::RETRY_AFTER, "1");
    set(&mut response, HeaderName::from_static("retry-after-ms"), "120");
    set(&mut response, HeaderName::from_static("x-ratelimit-remaining-requests"), "0");
    response
}

pub(super) fn unauthorized() -> Response<Body> {
    let message = "Incorrect API key provided.";
    error(StatusCode::UNAUTHORIZED, "invalid_request_error", Some("invalid_api_key"), message)
}

pub(super) fn server_error() -> Response<Body> {
    let message = "The server had an error while processing your request. Sorry about that!";
    error(StatusCode::INTERNAL_SERVER_ERROR, "server_error", None, message)
}

pub(super) fn gateway_timeout() -> Response<Body> {
    error(StatusCode::GATEWAY_TIMEOUT, "server_error", Some("timeout"), "Request timed out.")
}

pub(super) fn bad_request(message: &str) -> Response<Body> {
    error(StatusCode::BAD_REQUEST, "invalid_request_error", None, message)
}

pub(super) fn unknown_model(model: &str) -> Response<Body> {
    let message = format!("The model `{model}` does not exist or you do not have access to it.");
    error(StatusCode::NOT_FOUND, "invalid_request_error", Some("model_not_found"), &message)
}

/// The list of models, under both of their names.
pub(super) fn models() -> Response<Body> {
    let entry = |id| json!({"id": id, "object": "model", "created": 0, "owned_by": "stand-in"});
    let names = MODELS.iter().flat_map(|(alias, dated, _)| [*alias, *dated]);
    let body = json!({"object": "list", "data": names.map(entry).collect::<Vec<_>>()});
    json(StatusCode::OK, body.to_string())
}

/// A whole completion.
pub(super) fn completion(completion: &Completion) -> String {
    let mut body = envelope(completion, "chat.completion");
    body["choices"] = json!([{
        "index": 0,
        "message": {"role": "assistant", "content": completion.text, "refusal": null},
        "logprobs": null,
        "finish_reason": completion.finish_reason,
    }]);
    body["usage"] = usage(completion);
    body.to_string()
}

/// The chunks of a streamed completion, without its end marker. The first has the role, the last but one the reason of
/// the end, and the last the usage when that was asked for.
pub(super) fn chunks(completion: &Completion, with_usage: bool) -> Vec<String> {
    let chunk = |delta: Value, finish_reason: Value| {
        let mut body = envelope(completion, "chat.completion.chunk");
        body["choices"] = json!([{"index": 0, "delta": delta, "finish_reason": finish_reason}]);
        body.to_string()
    };
    let mut chunks = vec![chunk(json!({"role": "assistant", "content": ""}), Value::Null)];
    let pieces = completion.text.split_inclusive(' ');
    chunks.extend(pieces.map(|piece| chunk(json!({"content": piece}), Value::Null)));
    chunks.push(chunk(json!({}), json!(completion.finish_reason)));
    if with_usage {
        let mut last = envelope(completion, "chat.completion.chunk");
        last["choices"] = json!([]);
        last["usage"] = usage(completion);
        chunks.push(last.to_string());
    }
    chunks
}

/// The first two thirds of a text: what is left when a connection is cut behind a proxy.
pub(super) fn broken_off(mut text: String) -> String {
    let mut end = text.len() * 2 / 3;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

fn envelope(completion: &Completion, object: &str) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    json!({
        "id": format!("chatcmpl-{:012}", completion.number),
        "object": object,
        "created": now.as_secs(),
        "model": completion.model,
        "system_fingerprint": "fp_stand_in",
    })
}

fn usage(completion: &Completion) -> Value {
    let tokens = completion.tokens;
    json!({
        "prompt_tokens": tokens.prompt,
        "completion_tokens": tokens.completion,
        "total_tokens": tokens.prompt + tokens.completion,
        "prompt_tokens_details": {"cached_tokens": tokens.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": tokens.reasoning, "audio_tokens": 0},
    })
}
