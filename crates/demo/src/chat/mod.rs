//! Asks an OpenAI-compatible server over HTTP: one request, one reply, plain or streamed.

use std::io::BufReader;
use std::time::{Duration, Instant};

use ureq::http::{HeaderMap, Response};
use ureq::{Agent, Body};

use crate::config::{RagConfig, host_of};
use crate::error::RagError;
use sse::Events;
use wire::{ChatRequest, Completion, ModelList, StreamOptions};

pub(crate) use wire::Message;
pub use wire::TokenCounts;

mod sse;
mod wire;

/// No reply is worth more memory than this.
const MAX_REPLY_BYTES: u64 = 16 << 20;
/// An error's message is for people; some proxies send a whole page.
const MAX_MESSAGE_CHARS: usize = 300;
/// Listing models is a courtesy check, which must not hold up the start.
const LIST_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection pool to one server, and what all requests to it have in common.
#[derive(Debug)]
pub(crate) struct ChatClient {
    agent: Agent,
    config: RagConfig,
}

/// What the model said.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    pub(crate) text: String,
    pub(crate) tokens: Option<TokenCounts>,
    pub(crate) finish_reason: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) first_token: Option<Duration>,
}

impl ChatClient {
    pub(crate) fn new(config: RagConfig) -> Self {
        let mut agent = Agent::config_builder()
            .timeout_global(Some(config.timeout))
            .http_status_as_error(false)
            .max_idle_connections_per_host(8)
            .user_agent(concat!("taximeter-demo/", env!("CARGO_PKG_VERSION")));
        if matches!(host_of(&config.base_url), "127.0.0.1" | "localhost" | "::1") {
            // A proxy set for the outside world does not lead back to this machine.
            agent = agent.proxy(None);
        }
        Self { agent: agent.build().into(), config }
    }

    /// The names of the models that the server offers.
    pub(crate) fn models(&self) -> Result<Vec<String>, RagError> {
        let limit = self.config.timeout.min(LIST_TIMEOUT);
        let mut request = self.agent.get(format!("{}/models", self.config.base_url));
        if let Some(key) = &self.config.api_key {
            request = request.header("authorization", key.bearer());
        }
        let request = request.config().timeout_global(Some(limit)).build();
        let response = request.call().map_err(|source| RagError::from_http(source, limit))?;
        let body = self.body_of(self.check_status(response)?)?;
        let list: ModelList = parse(&body)?;
        Ok(list.data.into_iter().map(|model| model.id).collect())
    }

    /// Sends one request and reads its reply; `on_first_token` is called when the first piece of a streamed one is here.
    pub(crate) fn send(
        &self,
        messages: &[Message],
        on_first_token: impl FnOnce(),
    ) -> Result<Reply, RagError> {
        let started = Instant::now();
        let mut request = self.agent.post(format!("{}/chat/completions", self.config.base_url));
        if let Some(key) = &self.config.api_key {
            request = request.header("authorization", key.bearer());
        }
        let response = request.send_json(self.request(messages)).map_err(|e| self.http(e))?;
        let response = self.check_status(response)?;
        // A server may answer a request for a stream with one whole reply.
        if is_event_stream(response.headers()) {
            self.read_stream(response, started, on_first_token)
        } else {
            self.read_whole(response)
        }
    }

    fn request<'a>(&'a self, messages: &'a [Message]) -> ChatRequest<'a> {
        ChatRequest {
            model: &self.config.model,
            messages,
            stream: self.config.stream,
            stream_options: self.config.stream.then_some(StreamOptions { include_usage: true }),
            max_completion_tokens: self.config.max_answer_tokens,
        }
    }

    fn check_status(&self, response: Response<Body>) -> Result<Response<Body>, RagError> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let retry_after = retry_after(response.headers());
        let body = self.body_of(response)?;
        let (code, message) = wire::error_of(&body);
        Err(self.refused(status.as_u16(), code, &message, retry_after))
    }

    fn refused(
        &self,
        status: u16,
        code: Option<String>,
        message: &str,
        retry_after: Option<Duration>,
    ) -> RagError {
        let message = match &self.config.api_key {
            Some(key) => key.redact(message),
            None => message.to_owned(),
        };
        let message = message.trim().chars().take(MAX_MESSAGE_CHARS).collect();
        RagError::Status { status, code, message, retry_after }
    }

    fn body_of(&self, response: Response<Body>) -> Result<String, RagError> {
        let mut body = response.into_body();
        body.with_config().limit(MAX_REPLY_BYTES).read_to_string().map_err(|e| self.http(e))
    }

    fn read_whole(&self, response: Response<Body>) -> Result<Reply, RagError> {
        let completion = parse::<Completion>(&self.body_of(response)?)?;
        if completion.choices.is_empty() {
            return Err(RagError::Incomplete { missing: "it holds no choice" });
        }
        let mut reply = Reply::default();
        reply.add(completion);
        Ok(reply)
    }

    fn read_stream(
        &self,
        response: Response<Body>,
        started: Instant,
        on_first_token: impl FnOnce(),
    ) -> Result<Reply, RagError> {
        let status = response.status().as_u16();
        let body = response.into_body().into_with_config().limit(MAX_REPLY_BYTES).reader();
        let mut first = Some(on_first_token);
        let mut reply = Reply::default();
        for event in Events::new(BufReader::new(body)) {
            let event = event.map_err(|e| self.http(e.into()))?;
            if event == "[DONE]" {
                return Ok(reply);
            }
            let chunk = parse::<Completion>(&event)?;
            if chunk.error.is_some() {
                let (code, message) = wire::error_of(&event);
                return Err(self.refused(status, code, &message, None));
            }
            reply.add(chunk);
            if !reply.text.is_empty()
                && let Some(first) = first.take()
            {
                first();
                reply.first_token = Some(started.elapsed());
            }
        }
        // Some servers end without [DONE]; what counts is whether the model came to its end.
        if reply.finish_reason.is_some() {
            return Ok(reply);
        }
        Err(RagError::Incomplete { missing: "the stream ended before the model did" })
    }

    fn http(&self, error: ureq::Error) -> RagError {
        RagError::from_http(error, self.config.timeout)
    }
}

impl Reply {
    /// Takes in a whole completion, or the next piece of one.
    fn add(&mut self, part: Completion) {
        if let Some(choice) = part.choices.into_iter().next() {
            self.text.push_str(&choice.message.and_then(|m| m.content).unwrap_or_default());
            self.finish_reason = choice.finish_reason.or(self.finish_reason.take());
        }
        self.model = part.model.filter(|name| !name.is_empty()).or(self.model.take());
        self.tokens = part.usage.map(TokenCounts::from).or(self.tokens);
    }
}

fn parse<T: serde::de::DeserializeOwned>(json: &str) -> Result<T, RagError> {
    serde_json::from_str(json).map_err(|source| RagError::Malformed { source })
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    header(headers, "content-type").is_some_and(|kind| kind.starts_with("text/event-stream"))
}

/// `retry-after-ms` is OpenAI's finer form of `retry-after`; a date in the latter is not worth a calendar.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let number = |name| header(headers, name)?.trim().parse::<f64>().ok();
    let seconds =
        number("retry-after-ms").map(|ms| ms / 1_000.0).or_else(|| number("retry-after"))?;
    Duration::try_from_secs_f64(seconds).ok()
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
