//! Through a client of reqwest with the middleware.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use reqwest_retry::RetryTransientMiddleware;
use reqwest_retry::policies::ExponentialBackoff;
use serde_json::json;
use taximeter::{ErrorCategory, LlmCall, Meter, MeteredExt, Operation, Outcome};
use taximeter_http::{MeterMiddleware, Metering};

use crate::served::{CHAT, MESSAGES, Server, chat, chat_events, message_events, only_call, told};

/// Waits no longer than a test should; what it waits for comes by itself.
async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("it comes by itself")
}

struct Setting {
    server: Server,
    address: SocketAddr,
    meter: Meter,
    client: ClientWithMiddleware,
}

async fn setting() -> Setting {
    let (server, address) = Server::start().await;
    let meter = Meter::builder().build().unwrap();
    let metering = Metering::new().host("127.0.0.1", "openai").meter(&meter);
    let client = ClientBuilder::new(reqwest::Client::new()).with(MeterMiddleware::with(metering));
    Setting { server, address, meter, client: client.build() }
}

impl Setting {
    fn ask(&self, path: &str) -> reqwest_middleware::RequestBuilder {
        let url = format!("http://{}{path}", self.address);
        self.client.post(url).body(r#"{"messages":[],"model":"gpt-4o"}"#)
    }

    /// Runs a piece of work as an operation, and gives the only call in it.
    async fn metered(&self, work: impl AsyncFnOnce()) -> LlmCall {
        let op: Operation = self.meter.operation("qa_response").start();
        soon(async { work().await }.within(op.handle())).await;
        only_call(&op.finish().unwrap()).clone()
    }
}

#[tokio::test]
async fn a_reply_is_recorded_and_passes_unchanged() {
    let it = setting().await;
    let body = chat(1200, 200, 350);
    it.server.json(CHAT, 200, &body);
    let call = it
        .metered(async || {
            let reply = it.ask(CHAT).send().await.unwrap();
            assert_eq!(reply.url().path(), CHAT);
            assert_eq!(reply.content_length(), Some(body.len() as u64));
            assert_eq!(reply.headers()["content-type"], "application/json");
            assert!(reply.remote_addr().is_some());
            assert_eq!(reply.text().await.unwrap(), body);
        })
        .await;
    assert_eq!(told(&call), "openai gpt-4o gpt-4o-2024-08-06 1200 200 350");
    assert_eq!(call.finish_reason.as_deref(), Some("stop"));
    assert_eq!((call.streamed, call.attempt, call.error), (false, 1, None));
    assert!(
        call.duration.is_some() && call.time_to_first_token.is_none() && call.metadata.is_empty()
    );
    assert_eq!(it.meter.totals().cost.usd().to_string(), "0.00625");
}

#[tokio::test]
async fn a_streamed_reply_is_recorded_in_whatever_pieces_it_comes() {
    let it = setting().await;
    let events = chat_events(20, 5).concat();
    for size in [1, 2, 3, 7, 64, 4_096] {
        it.server.pieces(CHAT, "text/event-stream; charset=utf-8", events.as_bytes(), size);
        let call = it
            .metered(async || {
                let reply = it.ask(CHAT).send().await.unwrap();
                assert_eq!(reply.bytes().await.unwrap(), events.as_bytes());
            })
            .await;
        assert_eq!(told(&call), "openai gpt-4o gpt-4o-2024-08-06 20 0 5", "pieces of {size}");
        assert!(call.streamed && call.error.is_none());
        assert!(call.time_to_first_token.unwrap() <= call.duration.unwrap());
    }
    assert_eq!(it.meter.totals().operations(), 6);
    assert_eq!(it.meter.totals().usage.total_tokens(), 6 * 25);
}

#[tokio::test]
async fn every_piece_arrives_before_the_next_is_sent() {
    let it = setting().await;
    let sender = it.server.given(CHAT);
    let mut pieces: Vec<_> = chat_events(20, 5).concat().into_bytes();
    // Pieces that end in the middle of an event, of a line and of a character.
    let pieces: Vec<Vec<u8>> = std::iter::from_fn(|| {
        let rest = pieces.split_off(pieces.len().min(11));
        let piece = std::mem::replace(&mut pieces, rest);
        (!piece.is_empty()).then_some(piece)
    })
    .collect();
    let call = it
        .metered(async || {
            let mut reply = it.ask(CHAT).send().await.unwrap();
            for piece in &pieces {
                // The next one is sent only after this one was received whole.
                sender.send(Ok(piece.clone().into())).unwrap();
                let mut received = Vec::new();
                while received.len() < piece.len() {
                    received.extend(reply.chunk().await.unwrap().expect("it is not the end"));
                }
                assert_eq!(received, *piece);
            }
            drop(sender);
            assert_eq!(reply.chunk().await.unwrap(), None);
        })
        .await;
    assert!(pieces.len() > 40, "{} pieces", pieces.len());
    assert_eq!(told(&call), "openai gpt-4o gpt-4o-2024-08-06 20 0 5");
}

#[tokio::test]
async fn how_long_parts_were_waited_for_is_a_metric() {
    const PAUSE: Duration = Duration::from_millis(25);
    let it = setting().await;
    let sender = it.server.given(CHAT);
    let part = |text: &str| {
        let choice = json!({ "index": 0, "delta": { "content": text }, "finish_reason": null });
        format!("data: {}\n\n", json!({ "model": "gpt-4o-2024-08-06", "choices": [choice] }))
    };
    it.metered(async || {
        let sending = tokio::spawn(async move {
            for text in ["forty", "-", "two"] {
                tokio::time::sleep(PAUSE).await;
                sender.send(Ok(part(text).into())).unwrap();
            }
            for event in &chat_events(20, 5)[3..] {
                sender.send(Ok(event.clone().into())).unwrap();
            }
        });
        let reply = it.ask(CHAT).send().await.unwrap();
        assert!(reply.text().await.unwrap().ends_with("[DONE]\n\n"));
        sending.await.unwrap();
    })
    .await;
    let text = it.meter.prometheus();
    let value = |what: &str| -> f64 {
        let name = format!("gen_ai_client_operation_time_per_output_chunk_seconds_{what}{{");
        let line = text.lines().find(|line| line.starts_with(&name)).expect("it is shown");
        line.rsplit_once(' ').unwrap().1.parse().unwrap()
    };
    // The first part was waited for as well, but is the first. A part may come late, and is the next one earlier then.
    assert!((value("count") - 2.0).abs() < 1e-9, "{text}");
    assert!(value("sum") > PAUSE.as_secs_f64(), "{text}");
}

#[tokio::test]
async fn a_reply_that_is_left_is_cancelled_with_what_is_known() {
    let it = setting().await;
    let sender = it.server.given(MESSAGES);
    sender.send(Ok(message_events()[..2].concat().into())).unwrap();
    let call = it
        .metered(async || {
            let mut reply = it.ask(MESSAGES).send().await.unwrap().bytes_stream();
            reply.next().await.unwrap().unwrap();
        })
        .await;
    assert_eq!(told(&call), "openai gpt-4o claude-sonnet-4-5-20250929 3100 3000 1");
    assert_eq!(call.error.unwrap().category, ErrorCategory::Cancelled);

    // One that is left behind its end is a success.
    let sender = it.server.given(MESSAGES);
    sender.send(Ok(message_events().concat().into())).unwrap();
    let call = it
        .metered(async || {
            let mut reply = it.ask(MESSAGES).send().await.unwrap().bytes_stream();
            reply.next().await.unwrap().unwrap();
        })
        .await;
    assert_eq!(
        (told(&call).as_str(), call.error),
        ("openai gpt-4o claude-sonnet-4-5-20250929 3100 3000 15", None)
    );

    // So it is where the request itself is given up.
    let call = it.metered(async || assert!(it.ask(CHAT).send().now_or_never().is_none())).await;
    assert_eq!(
        (told(&call).as_str(), call.error.unwrap().category),
        ("openai gpt-4o - unknown", ErrorCategory::Cancelled)
    );
}

#[tokio::test]
async fn a_connection_that_breaks_is_a_failure_with_what_is_known() {
    let it = setting().await;
    let sender = it.server.given(MESSAGES);
    let call = it
        .metered(async || {
            let mut reply = it.ask(MESSAGES).send().await.unwrap().bytes_stream();
            sender.send(Ok(message_events()[..2].concat().into())).unwrap();
            reply.next().await.unwrap().unwrap();
            sender.send(Err(std::io::ErrorKind::ConnectionReset.into())).unwrap();
            while let Some(piece) = reply.next().await {
                if piece.is_err() {
                    return;
                }
            }
            panic!("it should break");
        })
        .await;
    assert_eq!(told(&call), "openai gpt-4o claude-sonnet-4-5-20250929 3100 3000 1");
    assert_eq!(call.error.unwrap().category, ErrorCategory::Network);

    // One that ends in good order, but before the LLM does, is one too.
    it.server.pieces(MESSAGES, "text/event-stream", message_events()[..2].concat().as_bytes(), 9);
    let call = it
        .metered(async || drop(it.ask(MESSAGES).send().await.unwrap().bytes().await.unwrap()))
        .await;
    assert_eq!(call.error.unwrap().to_string(), "network: the reply ended before the LLM did");
}

#[tokio::test]
async fn replies_that_failed_say_why() {
    let it = setting().await;
    for (status, body, category, message) in [
        (429, json!({"error": {"message": "slow down", "type": "requests", "code": "rate_limit_exceeded"}}).to_string(),
            ErrorCategory::RateLimit, "slow down"),
        (400, json!({"error": {"message": "too long", "code": "context_length_exceeded"}}).to_string(),
            ErrorCategory::ContextLength, "too long"),
        (503, "<html>".to_owned(), ErrorCategory::Server, "HTTP status 503"),
    ] {
        it.server.json(CHAT, status, &body);
        let call = it
            .metered(async || {
                let reply = it.ask(CHAT).send().await.unwrap();
                assert_eq!((reply.status().as_u16(), reply.text().await.unwrap()), (status, body));
            })
            .await;
        let error = call.error.unwrap();
        assert_eq!((error.category, error.message.as_str()), (category, message));
        assert_eq!((call.usage, call.metadata["http_status"].as_u64()), (None, Some(status.into())));
    }
    // A status of success does not make one of a body that holds an error.
    it.server.json(CHAT, 200, r#"{"error":{"code":402,"message":"no credits"}}"#);
    let call =
        it.metered(async || drop(it.ask(CHAT).send().await.unwrap().bytes().await.unwrap())).await;
    assert_eq!(call.error.unwrap().to_string(), "quota: no credits");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_failure_of_the_network() {
    let mut it = setting().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    it.address = listener.local_addr().unwrap();
    drop(listener);
    let call = it.metered(async || assert!(it.ask(CHAT).send().await.is_err())).await;
    assert_eq!(told(&call), "openai gpt-4o - unknown");
    assert_eq!(call.error.unwrap().category, ErrorCategory::Network);
}

#[tokio::test]
async fn a_key_in_an_address_is_not_in_the_record() {
    let it = setting().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let key = "AIzaSyA1234567890abcdefghijklmnopqrstuv";
    let url = format!("http://{address}/v1beta/models/gemini-2.5-flash:generateContent?key={key}");
    let call = it.metered(async || assert!(it.client.post(url).send().await.is_err())).await;
    assert_eq!(told(&call), "openai gemini-2.5-flash - unknown");
    let error = call.error.unwrap();
    assert_eq!(error.category, ErrorCategory::Network);
    assert!(error.message.contains(":generateContent"), "{}", error.message);
    assert!(!format!("{error:?}").contains("1234567890abc"), "{error:?}");
}

#[tokio::test]
async fn clients_that_count_their_tries_are_believed() {
    let it = setting().await;
    it.server.json(CHAT, 200, &chat(1, 0, 1));
    let call = it
        .metered(async || {
            let request = it.ask(CHAT).header("x-stainless-retry-count", "2");
            request.send().await.unwrap().bytes().await.unwrap();
        })
        .await;
    assert_eq!(call.attempt, 3);
}

#[tokio::test]
async fn each_try_is_a_call_behind_what_retries_and_one_call_before_it() {
    let it = setting().await;
    let retries = || {
        let policy = ExponentialBackoff::builder()
            .retry_bounds(Duration::from_millis(1), Duration::from_millis(2))
            .build_with_max_retries(3);
        RetryTransientMiddleware::new_with_policy(policy)
    };
    let meters = || MeterMiddleware::with(Metering::new().host("127.0.0.1", "openai"));
    let url = format!("http://{}{CHAT}", it.address);
    let run = async |client: ClientWithMiddleware| {
        for status in [503, 429] {
            it.server.json(CHAT, status, r#"{"error":{"message":"later"}}"#);
        }
        it.server.json(CHAT, 200, &chat(10, 0, 1));
        let op = it.meter.operation("qa_response").start();
        let reply =
            async { client.post(&url).body("{}").send().await.unwrap().text().await.unwrap() };
        assert_eq!(soon(reply.within(op.handle())).await, chat(10, 0, 1));
        op.finish().unwrap().llm_calls
    };
    let seen = |calls: &[LlmCall]| -> Vec<_> {
        calls
            .iter()
            .map(|call| (call.attempt, call.error.as_ref().map(|error| error.category)))
            .collect()
    };
    let each =
        run(ClientBuilder::new(reqwest::Client::new()).with(retries()).with(meters()).build())
            .await;
    let expected =
        [(1, Some(ErrorCategory::Server)), (2, Some(ErrorCategory::RateLimit)), (3, None)];
    assert_eq!(seen(&each), expected);
    assert_eq!(told(&each[2]), "openai - gpt-4o-2024-08-06 10 0 1");
    let one =
        run(ClientBuilder::new(reqwest::Client::new()).with(meters()).with(retries()).build())
            .await;
    assert_eq!(seen(&one), [(1, None)]);
}

#[tokio::test]
async fn what_is_too_large_passes_on_unread() {
    let it = setting().await;
    let metering = Metering::new().host("127.0.0.1", "openai").limit(100).meter(&it.meter);
    let client =
        ClientBuilder::new(reqwest::Client::new()).with(MeterMiddleware::with(metering)).build();
    it.server.json(CHAT, 200, &chat(1200, 200, 350));
    let request = client.post(format!("http://{}{CHAT}", it.address)).body(r#"{"model":"gpt-4o"}"#);
    assert_eq!(soon(request.send()).await.unwrap().text().await.unwrap(), chat(1200, 200, 350));
    let record = it.meter.recent(1).pop().unwrap();
    let call = only_call(&record);
    assert_eq!((told(call).as_str(), call.error.is_none()), ("openai gpt-4o - unknown", true));
    assert_eq!(call.metadata["unread_events"], 1);
    assert_eq!(it.meter.totals().cost.calls_without_usage, 1);
}

#[tokio::test]
async fn without_a_current_operation_a_call_is_one_of_its_own() {
    let it = setting().await;
    it.server.json(CHAT, 200, &chat(10, 0, 1));
    it.server.json(CHAT, 500, "{}");
    for _ in 0..2 {
        soon(it.ask(CHAT).send()).await.unwrap().bytes().await.unwrap();
    }
    let records = it.meter.recent(2);
    let outcomes: Vec<_> =
        records.iter().map(|record| (record.name.as_str(), record.outcome)).collect();
    assert_eq!(outcomes, [("chat", Outcome::Success), ("chat", Outcome::Failure)]);
    assert_eq!(told(only_call(&records[0])), "openai gpt-4o gpt-4o-2024-08-06 10 0 1");
    assert_eq!(records[1].errors[0].category, ErrorCategory::Server);
}

#[tokio::test]
async fn other_requests_pass_untouched() {
    let it = setting().await;
    it.server.json("/v1/models", 200, &chat(10, 0, 1));
    it.server.json(CHAT, 200, &chat(10, 0, 1));
    let url = |path| format!("http://{}{path}", it.address);
    soon(it.client.post(url("/v1/models")).send()).await.unwrap().bytes().await.unwrap();
    soon(it.client.get(url(CHAT)).send()).await.unwrap().bytes().await.unwrap();
    assert_eq!(it.meter.totals().operations(), 0);
}

#[tokio::test]
async fn many_at_once_sum_up_to_what_was_served() {
    let it = setting().await;
    for number in 1..=100_u64 {
        let events = chat_events(number, 2 * number).concat();
        it.server.pieces(CHAT, "text/event-stream", events.as_bytes(), 13);
        it.server.json(MESSAGES, 200, &format!(
            r#"{{"type":"message","role":"assistant","model":"claude-sonnet-4-5","stop_reason":"end_turn","content":[],"usage":{{"input_tokens":{number},"cache_read_input_tokens":7,"output_tokens":3}}}}"#));
    }
    let asks = (0..200).map(|number| {
        let path = if number % 2 == 0 { CHAT } else { MESSAGES };
        async { it.ask(path).send().await.unwrap().bytes().await.unwrap() }
    });
    soon(futures_util::future::join_all(asks)).await;
    let totals = it.meter.totals();
    let sum = 100 * 101 / 2;
    assert_eq!((totals.operations(), totals.successful_operations), (200, 200));
    assert_eq!(totals.usage.input_tokens(), 2 * sum + 700);
    assert_eq!(totals.usage.output_tokens(), 2 * sum + 300);
}
