//! Through a client of hyper, as a `tower` stack with the layer.

use std::time::Duration;

use axum::body::{Bytes, HttpBody as Body};
use axum::http::{Request, Response};
use futures_util::future;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use taximeter::{ErrorCategory, LlmCall, Meter, MeteredExt};
use taximeter_http::{Attempts, MeterLayer, Metering};
use tower::retry::{Policy, RetryLayer};
use tower::timeout::TimeoutLayer;
use tower::{Service, ServiceBuilder, ServiceExt};

use crate::served::{CHAT, Server, chat, chat_events, told};

fn layer<Kind>() -> MeterLayer<Kind> {
    MeterLayer::with(Metering::new().host("127.0.0.1", "openai"))
}

fn request(url: &str) -> Request<Full<Bytes>> {
    Request::post(url).body(Full::from(r#"{"model":"gpt-4o","stream":true}"#)).unwrap()
}

/// The calls that a piece of work made.
async fn calls(work: impl AsyncFnOnce()) -> Vec<LlmCall> {
    let meter = Meter::builder().build().unwrap();
    let op = meter.operation("qa_response").start();
    let work = async { work().await }.within(op.handle());
    tokio::time::timeout(Duration::from_secs(30), work).await.expect("it comes by itself");
    op.finish().unwrap().llm_calls
}

#[tokio::test]
async fn replies_are_recorded_and_every_piece_arrives_before_the_next_is_sent() {
    let (server, address) = Server::start().await;
    let url = format!("http://{address}{CHAT}");
    let client = ServiceBuilder::new()
        .layer(layer())
        .service(Client::builder(TokioExecutor::new()).build_http());
    server.json(CHAT, 200, &chat(1200, 200, 350));
    let sender = server.given(CHAT);
    let calls = calls(async || {
        let reply = client.clone().oneshot(request(&url)).await.unwrap();
        let body = reply.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, chat(1200, 200, 350).as_bytes());

        let mut body = client.clone().oneshot(request(&url)).await.unwrap().into_body();
        for piece in chat_events(20, 5).concat().as_bytes().chunks(23) {
            sender.send(Ok(Bytes::copy_from_slice(piece))).unwrap();
            let mut received = Vec::new();
            while received.len() < piece.len() {
                received.extend(body.frame().await.unwrap().unwrap().into_data().unwrap());
            }
            assert_eq!(received, piece);
        }
        drop(sender);
        assert!(body.frame().await.is_none());
    })
    .await;
    let [plain, streamed] = calls.as_slice() else { panic!("{calls:?}") };
    assert_eq!(told(plain), "openai gpt-4o gpt-4o-2024-08-06 1200 200 350");
    assert_eq!(told(streamed), "openai gpt-4o gpt-4o-2024-08-06 20 0 5");
    assert_eq!((plain.streamed, streamed.streamed), (false, true));
    assert!(streamed.time_to_first_token.unwrap() <= streamed.duration.unwrap());
}

#[tokio::test]
async fn a_body_of_known_length_is_whole_without_being_asked_for_more() {
    let (server, address) = Server::start().await;
    let url = format!("http://{address}{CHAT}");
    let client = ServiceBuilder::new()
        .layer(layer())
        .service(Client::builder(TokioExecutor::new()).build_http());
    server.json(CHAT, 200, &chat(1, 0, 1));
    let calls = calls(async || {
        let mut body = client.oneshot(request(&url)).await.unwrap().into_body();
        while !Body::is_end_stream(&body) {
            body.frame().await.unwrap().unwrap();
        }
    })
    .await;
    assert_eq!(calls[0].error, None);
}

#[tokio::test]
async fn a_timeout_within_the_stack_is_one() {
    let (server, address) = Server::start().await;
    let url = format!("http://{address}{CHAT}");
    let client = ServiceBuilder::new()
        .layer(layer())
        .layer(TimeoutLayer::new(Duration::from_millis(20)))
        .service(Client::builder(TokioExecutor::new()).build_http::<_>());
    server.answers(CHAT, || {
        std::thread::sleep(Duration::from_millis(300));
        Response::default()
    });
    let calls = calls(async || assert!(client.oneshot(request(&url)).await.is_err())).await;
    assert_eq!(calls[0].error.as_ref().unwrap().category, ErrorCategory::Timeout);
}

/// Tries again, up to three times, as long as the server fails.
#[derive(Clone)]
struct Again(u32);

impl<B, R, E> Policy<Request<B>, Response<R>, E> for Again
where
    B: Clone,
{
    type Future = future::Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request<B>,
        reply: &mut Result<Response<R>, E>,
    ) -> Option<Self::Future> {
        let failed = reply.as_ref().is_ok_and(|reply| reply.status().is_server_error());
        self.0 -= 1;
        (failed && self.0 > 0).then(|| future::ready(()))
    }

    fn clone_request(&mut self, request: &Request<B>) -> Option<Request<B>> {
        Some(request.clone())
    }
}

#[tokio::test]
async fn each_try_is_a_call_where_the_request_counts_them() {
    let (server, address) = Server::start().await;
    let url = format!("http://{address}{CHAT}");
    let mut client = ServiceBuilder::new()
        .layer(RetryLayer::new(Again(3)))
        .layer(layer())
        .service(Client::builder(TokioExecutor::new()).build_http());
    server.json(CHAT, 500, "{}");
    server.json(CHAT, 502, "{}");
    server.json(CHAT, 200, &chat(10, 0, 1));
    let calls = calls(async || {
        let mut request = request(&url);
        request.extensions_mut().insert(Attempts::default());
        let reply = client.ready().await.unwrap().call(request).await.unwrap();
        reply.into_body().collect().await.unwrap();
    })
    .await;
    assert_eq!(calls.iter().map(|call| call.attempt).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(told(&calls[2]), "openai gpt-4o gpt-4o-2024-08-06 10 0 1");
}

#[tokio::test]
async fn what_is_compressed_passes_on_unread() {
    let (server, address) = Server::start().await;
    let url = format!("http://{address}{CHAT}");
    let client = ServiceBuilder::new()
        .layer(layer())
        .service(Client::builder(TokioExecutor::new()).build_http());
    server.answers(CHAT, || {
        Response::builder().header("content-encoding", "gzip").body("\u{1f}\u{8b}".into()).unwrap()
    });
    let calls = calls(async || {
        client.oneshot(request(&url)).await.unwrap().into_body().collect().await.unwrap();
    })
    .await;
    assert_eq!((told(&calls[0]).as_str(), &calls[0].error), ("openai gpt-4o - unknown", &None));
    assert_eq!(calls[0].metadata["unread_events"], 1);
}
