//! The HTTP side of the stand-in: routes, pacing and streams.

use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::routing::{get, post};
use futures_util::stream;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until};

use super::desk::{Completion, Desk};
use super::ledger::{Exchange, Outcome};
use super::replies;
use super::request::ChatRequest;
use super::settings::Fault;

/// Serves until it is told to stop. Requests under way are cut off then: some of them are held on purpose.
pub(super) async fn serve(listener: TcpListener, desk: Arc<Desk>, stopped: oneshot::Receiver<()>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let app = Router::new()
        .route("/v1/chat/completions", post(chat_completions))
        .route("/v1/models", get(models))
        .with_state(desk);
    tokio::select! {
        _ = axum::serve(listener, app) => {}
        _ = stopped => {}
    }
}

async fn models(State(desk): State<Arc<Desk>>, headers: HeaderMap) -> Response<Body> {
    if desk.accepts(authorization(&headers)) { replies::models() } else { replies::unauthorized() }
}

fn authorization(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()
}

async fn chat_completions(
    State(desk): State<Arc<Desk>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let (number, exchange, fault) = desk.open();
    if !desk.accepts(authorization(&headers)) {
        exchange.close(Outcome::Unauthorized);
        return replies::unauthorized();
    }
    match fault {
        Some(Fault::RateLimited) => {
            exchange.close(Outcome::RateLimited);
            replies::rate_limited()
        }
        Some(Fault::Unauthorized) => {
            exchange.close(Outcome::Unauthorized);
            replies::unauthorized()
        }
        Some(Fault::ServerError) => {
            exchange.close(Outcome::ServerError);
            replies::server_error()
        }
        Some(Fault::Timeout) => {
            // Booked at once: when the client gives up, this request is dropped where it waits.
            exchange.close(Outcome::TimedOut);
            sleep(desk.stall()).await;
            replies::gateway_timeout()
        }
        Some(Fault::Malformed) => complete(desk, number, body, exchange, true).await,
        None => complete(desk, number, body, exchange, false).await,
    }
}

async fn complete(
    desk: Arc<Desk>,
    number: u64,
    body: Bytes,
    exchange: Exchange,
    malformed: bool,
) -> Response<Body> {
    let started = Instant::now();
    let request: ChatRequest = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(error) => {
            exchange.close(Outcome::BadRequest);
            return replies::bad_request(&format!("We could not parse your request: {error}"));
        }
    };
    // Ranking and counting keep a core busy for milliseconds, which would hold up the streams on this thread.
    let composed = tokio::task::spawn_blocking(move || {
        let completion = desk.complete(number, &request);
        (completion, request)
    });
    let (completion, request) = match composed.await {
        Ok((Some(completion), request)) => (completion, request),
        Ok((None, request)) => {
            exchange.close(Outcome::UnknownModel);
            return replies::unknown_model(&request.model);
        }
        Err(_) => {
            exchange.close(Outcome::ServerError);
            return replies::server_error();
        }
    };
    let outcome = if malformed { Outcome::Malformed } else { completion.outcome() };
    if request.stream {
        let chunks = replies::chunks(&completion, request.wants_usage_in_stream());
        let script = Script::new(&completion, chunks, started, malformed);
        return event_stream(script, exchange, outcome);
    }
    sleep_until(started + completion.prefill + completion.decode).await;
    let body = replies::completion(&completion);
    exchange.close(outcome);
    replies::json(StatusCode::OK, if malformed { replies::broken_off(body) } else { body })
}

/// The events of a stream, and when each is due.
struct Script {
    events: std::vec::IntoIter<String>,
    due: Instant,
    pace: Duration,
}

impl Script {
    /// A stream that breaks off does so within its middle chunk.
    fn new(completion: &Completion, mut chunks: Vec<String>, start: Instant, broken: bool) -> Self {
        let pace = completion.decode / u32::try_from(chunks.len()).unwrap_or(u32::MAX);
        if broken {
            chunks.truncate(chunks.len() / 2 + 1);
        }
        let mut events: Vec<_> =
            chunks.into_iter().map(|data| format!("data: {data}\n\n")).collect();
        if broken {
            let cut = events.pop().map(replies::broken_off);
            events.extend(cut);
        } else {
            events.push("data: [DONE]\n\n".to_owned());
        }
        Self { events: events.into_iter(), due: start + completion.prefill, pace }
    }
}

/// Sends the script at its pace, and books the outcome with the last event of it.
fn event_stream(script: Script, exchange: Exchange, outcome: Outcome) -> Response<Body> {
    let events =
        stream::unfold((script, Some(exchange)), move |(mut script, mut exchange)| async move {
            let event = script.events.next()?;
            sleep_until(script.due).await;
            script.due += script.pace;
            if script.events.as_slice().is_empty()
                && let Some(exchange) = exchange.take()
            {
                exchange.close(outcome);
            }
            Some((Ok::<_, Infallible>(event), (script, exchange)))
        });
    let mut response = Response::new(Body::from_stream(events));
    let kind = HeaderValue::from_static("text/event-stream; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
