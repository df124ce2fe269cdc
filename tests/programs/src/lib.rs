//! A stand-in for an OpenAI-compatible server, whose books are the truth that the meter is held against.
//!
//! It serves `/v1/chat/completions`, whole and streamed. What it does is asked for by the name of the model: `tools`
//! calls the first tool it is offered once, `silent` reports no usage, `busy` answers 429, `broken` 500, and everything
//! else is answered.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Response, StatusCode, header};
use axum::routing::post;
use serde_json::{Value, json};
use taximeter::{ErrorCategory, LlmCall, Unit};

/// What was served.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Served {
    /// Requests that came in.
    pub requests: u64,
    /// Those answered with a usage, and those answered without.
    pub answered: u64,
    pub silent: u64,
    /// Those refused.
    pub refused: u64,
    /// Answers that call a tool.
    pub tool_calls: u64,
    /// Tokens that were reported.
    pub input: u64,
    pub cached: u64,
    pub output: u64,
    pub reasoning: u64,
}

#[derive(Debug, Clone, Default)]
struct Books(Arc<Mutex<Served>>);

impl Books {
    fn book<R>(&self, book: impl FnOnce(&mut Served) -> R) -> R {
        book(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A server on the loopback; it stops with its runtime.
#[derive(Debug)]
pub struct StandIn {
    address: SocketAddr,
    books: Books,
}

impl StandIn {
    /// Starts serving.
    ///
    /// # Errors
    /// Where there is no port to be had.
    pub async fn start() -> io::Result<Self> {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let (address, books) = (listener.local_addr()?, Books::default());
        let app =
            Router::new().route("/v1/chat/completions", post(answer)).with_state(books.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(Self { address, books })
    }

    /// The address in front of `/chat/completions`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// What it has served so far.
    pub fn served(&self) -> Served {
        self.books.book(|served| *served)
    }

    /// Holds calls, as a crate for one library tells of them, against what was served whole: a reply with a usage, which is
    /// the only one so far, one without, and a refusal.
    ///
    /// # Panics
    /// Where they are not told as they were served.
    pub fn assert_told(&self, calls: &[LlmCall], refusal: ErrorCategory) {
        let [told, silent, refused] = calls else { panic!("three calls: {calls:#?}") };
        self.assert_usage(told);
        let usage = told.usage.as_ref().expect("it is told");
        assert_eq!(usage.get(Unit::CacheRead), self.served().cached);
        assert_eq!(usage.get(Unit::Reasoning), self.served().reasoning);
        let model = told.request_model.as_deref().unwrap_or_default();
        let served = format!("{model}{VERSION}");
        assert_eq!(told.response_model.as_deref(), Some(served.as_str()));
        assert_silent(silent);
        let category = refused.error.as_ref().map(|error| error.category);
        assert_eq!(category, Some(refusal));
    }

    /// Holds a call whose reply was streamed to its end, and which is the only one so far, against what was served.
    ///
    /// # Panics
    /// Where it is not told as it was served.
    pub fn assert_streamed(&self, told: &LlmCall) {
        self.assert_usage(told);
        assert!(told.streamed && told.time_to_first_token.is_some(), "{told:?}");
    }

    fn assert_usage(&self, told: &LlmCall) {
        let (usage, served) = (told.usage.as_ref().expect("it is told"), self.served());
        assert_eq!((usage.input_tokens(), usage.output_tokens()), (served.input, served.output));
        assert_eq!((told.finish_reason.as_deref(), &told.error), (Some("stop"), &None));
    }
}

/// Holds that a call went well and told no usage, which is not a usage of nothing.
///
/// # Panics
/// Where there is a usage, or an error.
pub fn assert_silent(call: &LlmCall) {
    assert_eq!((&call.usage, &call.error), (&None, &None));
}

/// Holds that a call whose reply was streamed failed for that reason, and told no usage.
///
/// # Panics
/// Where it did not.
pub fn assert_failed(call: &LlmCall, why: ErrorCategory) {
    let category = call.error.as_ref().map(|error| error.category);
    assert_eq!((&call.usage, category), (&None, Some(why)));
}

/// What the name of a model has behind it in a reply.
const VERSION: &str = "-2026-07-18";

async fn answer(State(books): State<Books>, body: Bytes) -> Response<Body> {
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    let model = request["model"].as_str().unwrap_or_default().to_owned();
    let number = books.book(|served| {
        served.requests += 1;
        served.requests
    });
    let refusal = match model.as_str() {
        "busy" => {
            Some((StatusCode::TOO_MANY_REQUESTS, "Rate limit reached", "rate_limit_exceeded"))
        }
        "broken" => {
            Some((StatusCode::INTERNAL_SERVER_ERROR, "The server had an error", "server_error"))
        }
        _ => None,
    };
    if let Some((status, message, code)) = refusal {
        books.book(|served| served.refused += 1);
        let body =
            json!({"error": {"message": message, "type": code, "param": null, "code": code}});
        return reply(status, "application/json", body.to_string());
    }
    let reply_of = Reply::new(&request, &model, number);
    let is_streamed = request["stream"] == true;
    let is_silent =
        model == "silent" || is_streamed && request["stream_options"]["include_usage"] != true;
    books.book(|served| served.book(&reply_of, is_silent));
    if is_streamed {
        let body = reply_of.events(is_silent);
        return reply(StatusCode::OK, "text/event-stream", body);
    }
    reply(StatusCode::OK, "application/json", reply_of.whole(is_silent).to_string())
}

fn reply(status: StatusCode, kind: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}

/// One answer; its numbers are another's for every request.
struct Reply {
    model: String,
    number: u64,
    /// The tool that it calls.
    tool: Option<String>,
}

impl Reply {
    fn new(request: &Value, model: &str, number: u64) -> Self {
        let messages = request["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
        let is_answered = messages.iter().any(|message| message["role"] == "tool");
        let tool = request["tools"][0]["function"]["name"].as_str();
        let tool = tool.filter(|_| model == "tools" && !is_answered).map(str::to_owned);
        Self { model: model.to_owned(), number, tool }
    }

    fn usage(&self) -> [u64; 4] {
        let n = self.number;
        [1_000 + 10 * n, 200 + n, 100 + 7 * n, 20 + n]
    }

    fn usage_json(&self) -> Value {
        let [input, cached, output, reasoning] = self.usage();
        json!({
            "prompt_tokens": input,
            "completion_tokens": output,
            "total_tokens": input + output,
            "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": reasoning, "audio_tokens": 0},
        })
    }

    fn call(&self) -> Option<Value> {
        let arguments = json!({"a": self.number, "b": 2}).to_string();
        self.tool.as_ref().map(|name| {
            json!([{
                "index": 0,
                "id": format!("call_{}", self.number),
                "type": "function",
                "function": {"name": name, "arguments": arguments},
            }])
        })
    }

    fn finish(&self) -> &'static str {
        if self.tool.is_some() { "tool_calls" } else { "stop" }
    }

    fn envelope(&self, object: &str) -> Value {
        json!({
            "id": format!("chatcmpl-{:08}", self.number),
            "object": object,
            "created": 1_795_471_675,
            "model": format!("{}{VERSION}", self.model),
        })
    }

    fn whole(&self, is_silent: bool) -> Value {
        let mut body = self.envelope("chat.completion");
        let mut message = json!({"role": "assistant", "content": "It is 42.", "refusal": null});
        if let Some(call) = self.call() {
            message["content"] = Value::Null;
            message["tool_calls"] = call;
        }
        body["choices"] = json!([{
            "index": 0, "message": message, "logprobs": null, "finish_reason": self.finish(),
        }]);
        if !is_silent {
            body["usage"] = self.usage_json();
        }
        body
    }

    fn events(&self, is_silent: bool) -> String {
        let chunk = |delta: Value, finish: Value| {
            let mut body = self.envelope("chat.completion.chunk");
            body["choices"] = json!([{"index": 0, "delta": delta, "finish_reason": finish}]);
            body
        };
        let mut chunks = vec![chunk(json!({"role": "assistant", "content": ""}), Value::Null)];
        match self.call() {
            Some(call) => chunks.push(chunk(json!({"tool_calls": call}), Value::Null)),
            None => chunks.extend(
                ["It ", "is ", "42."].map(|text| chunk(json!({"content": text}), Value::Null)),
            ),
        }
        chunks.push(chunk(json!({}), json!(self.finish())));
        if !is_silent {
            let mut last = self.envelope("chat.completion.chunk");
            last["choices"] = json!([]);
            last["usage"] = self.usage_json();
            chunks.push(last);
        }
        let events: String = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
        events + "data: [DONE]\n\n"
    }
}

impl Served {
    fn book(&mut self, reply: &Reply, is_silent: bool) {
        self.tool_calls += u64::from(reply.tool.is_some());
        if is_silent {
            self.silent += 1;
            return;
        }
        let [input, cached, output, reasoning] = reply.usage();
        self.answered += 1;
        self.input += input;
        self.cached += cached;
        self.output += output;
        self.reasoning += reasoning;
    }
}
