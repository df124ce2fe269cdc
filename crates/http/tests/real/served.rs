//! The server: it answers a path with what it was told to, in whatever pieces.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Request, Response};
use futures_util::stream;
use taximeter::{LlmCall, OperationRecord};
use tokio::sync::mpsc;

/// An answer, made anew for each request.
type Answer = Box<dyn FnOnce() -> Response<Body> + Send>;

/// A server that answers each path with a row of answers, the last of which it repeats not: after it, it says 404.
#[derive(Clone, Default)]
pub(crate) struct Server(Arc<Mutex<HashMap<String, VecDeque<Answer>>>>);

impl Server {
    /// Starts it; the address is where it listens.
    pub(crate) async fn start() -> (Self, SocketAddr) {
        let server = Self::default();
        let router = Router::new().fallback(answer).with_state(server.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        (server, address)
    }

    pub(crate) fn answers(
        &self,
        path: &str,
        answer: impl FnOnce() -> Response<Body> + Send + 'static,
    ) {
        let mut answers = self.0.lock().unwrap();
        answers.entry(path.to_owned()).or_default().push_back(Box::new(answer));
    }

    /// Answers with one document.
    pub(crate) fn json(&self, path: &str, status: u16, body: &str) {
        let body = body.to_owned();
        self.answers(path, move || {
            let response =
                Response::builder().status(status).header("content-type", "application/json");
            response.body(Body::from(body)).unwrap()
        });
    }

    /// Answers with events in pieces of so many bytes.
    pub(crate) fn pieces(&self, path: &str, content_type: &'static str, body: &[u8], size: usize) {
        let pieces: Vec<_> = body.chunks(size).map(Bytes::copy_from_slice).collect();
        self.answers(path, move || {
            let pieces = stream::iter(pieces.into_iter().map(Ok::<_, Infallible>));
            let response = Response::builder().header("content-type", content_type);
            response.body(Body::from_stream(pieces)).unwrap()
        });
    }

    /// Answers with pieces of events, each sent when it is given; none more when the sender is gone.
    pub(crate) fn given(&self, path: &str) -> mpsc::UnboundedSender<Result<Bytes, std::io::Error>> {
        let (sender, pieces) = mpsc::unbounded_channel();
        self.answers(path, move || {
            let pieces = stream::unfold(pieces, async |mut pieces: mpsc::UnboundedReceiver<_>| {
                pieces.recv().await.map(|piece| (piece, pieces))
            });
            let response = Response::builder().header("content-type", "text/event-stream");
            response.body(Body::from_stream(pieces)).unwrap()
        });
        sender
    }
}

async fn answer(State(server): State<Server>, request: Request<Body>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    // A request that is not read to its end may break the connection.
    axum::body::to_bytes(request.into_body(), usize::MAX).await.unwrap();
    let answer = server.0.lock().unwrap().get_mut(&path).and_then(VecDeque::pop_front);
    answer.map_or_else(
        || {
            Response::builder()
                .status(404)
                .body(Body::from(format!("no answer to {path}")))
                .unwrap()
        },
        |answer| answer(),
    )
}

pub(crate) const CHAT: &str = "/v1/chat/completions";
pub(crate) const MESSAGES: &str = "/v1/messages";

/// A reply of OpenAI's that consumed so much.
pub(crate) fn chat(prompt: u64, cached: u64, completion: u64) -> String {
    format!(
        r#"{{"id":"c","object":"chat.completion","model":"gpt-4o-2024-08-06","choices":[{{"index":0,
        "message":{{"role":"assistant","content":"42"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":{prompt},
        "completion_tokens":{completion},"prompt_tokens_details":{{"cached_tokens":{cached}}}}}}}"#
    )
}

/// The events of a streamed one, with comments and every line end.
pub(crate) fn chat_events(prompt: u64, completion: u64) -> Vec<String> {
    let chunk = |delta: &str, finish: &str| {
        format!(
            r#"data: {{"object":"chat.completion.chunk","model":"gpt-4o-2024-08-06","choices":[{{"index":0,"delta":{delta},"finish_reason":{finish}}}]}}"#
        )
    };
    vec![
        ": a comment\n\n".to_owned(),
        chunk(r#"{"role":"assistant","content":""}"#, "null") + "\r\n\r\n",
        chunk(r#"{"content":"é😀"}"#, "null") + "\n\n",
        chunk("{}", r#""stop""#) + "\r\r",
        format!(
            "data: {{\"choices\":[],\ndata: \"usage\":{{\"prompt_tokens\":{prompt},\"completion_tokens\":{completion}}}}}\n\n"
        ),
        "data: [DONE]\n\n".to_owned(),
    ]
}

/// The events of a streamed reply of Anthropic's, with their names.
pub(crate) fn message_events() -> Vec<String> {
    [
        r#"{"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"claude-sonnet-4-5-20250929","usage":{"input_tokens":100,"cache_read_input_tokens":3000,"output_tokens":1}}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"42"}}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":15}}"#,
        r#"{"type":"message_stop"}"#,
    ]
    .map(|event| format!("event: x\ndata: {event}\n\n"))
    .to_vec()
}

/// The only call of an operation.
pub(crate) fn only_call(record: &OperationRecord) -> &LlmCall {
    let [call] = record.llm_calls.as_slice() else { panic!("{:?}", record.llm_calls) };
    call
}

/// Provider, LLM that was asked, LLM that answered, and the tokens of a call: in, from the cache, out.
pub(crate) fn told(call: &LlmCall) -> String {
    let name = |name: &Option<taximeter::Name>| name.as_deref().unwrap_or("-").to_owned();
    let tokens = call.usage.as_ref().map_or("unknown".to_owned(), |usage| {
        let cached = usage.get(taximeter::Unit::CacheRead);
        format!("{} {cached} {}", usage.input_tokens(), usage.output_tokens())
    });
    format!(
        "{} {} {} {tokens}",
        name(&call.provider),
        name(&call.request_model),
        name(&call.response_model)
    )
}
