//! The replies and errors of [genai](https://docs.rs/genai/0.7.2) 0.7, typed, on the guard of a metered call.
//!
//! An application that has the layer of `taximeter::tracing` and genai's feature `otel` needs nothing of this. It is for who
//! meters calls by guards, and wants exact usage and the category of an error out of what genai returns.
//!
//! ```
//! use genai::chat::ChatResponse;
//! use taximeter::Meter;
//!
//! # let response = serde_json::json!({"content": [{"Text": "It is 42."}],
//! #     "model_iden": {"adapter_kind": "OpenAI", "model_name": "gpt-4o"},
//! #     "provider_model_iden": {"adapter_kind": "OpenAI", "model_name": "gpt-4o-2024-08-06"},
//! #     "usage": {"prompt_tokens": 1200, "completion_tokens": 350, "prompt_tokens_details": {"cached_tokens": 200}}});
//! # let response = response.to_string(); // some of its names are read only where they can be borrowed
//! # let response: ChatResponse = serde_json::from_str(&response)?;
//! let meter = Meter::builder().build()?;
//! let op = meter.operation("qa_response").start();
//! let call = op.llm_call("openai", "gpt-4o").start();
//! let result: Result<ChatResponse, genai::Error> = Ok(response); // client.exec_chat("gpt-4o", request, None).await
//! taximeter_genai::end(call, &result);
//! op.succeed();
//! assert_eq!(meter.totals().cost.usd().to_string(), "0.00625");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use genai::chat::{ChatResponse, ChatStreamEvent, StopReason, StreamEnd, Usage};
use taximeter::{
    ErrorCategory, ErrorRecord, LlmCall, LlmGuard, TokenUsage, Unit, UsageError, reply,
};

/// Ends the guard of a call with what came of it.
pub fn end(mut call: LlmGuard, result: &Result<ChatResponse, genai::Error>) {
    match result {
        Ok(response) => {
            call.fill(|record| put_on(response, record));
            if let Some(usage) = usage(&response.usage) {
                call.usage(usage);
            }
            call.succeed();
        }
        Err(failure) => call.fail(&error(failure)),
    }
}

/// Follows a streamed reply for the guard of a call: every event is handed on as it came, and the guard ends with the
/// reply, or when nobody reads on. genai tells the usage where its `ChatOptions` have `capture_usage`; else it is unknown.
pub fn follow<S>(mut call: LlmGuard, stream: S) -> Followed<S> {
    call.fill(|record| record.streamed = true);
    Followed { stream, call: Some(call) }
}

/// A stream of a reply that is followed; see [`follow`].
#[must_use = "streams do nothing unless polled"]
pub struct Followed<S> {
    stream: S,
    /// None once the call has ended. Dropped, it is recorded as given up.
    call: Option<LlmGuard>,
}

impl<S> Followed<S> {
    fn see(&mut self, event: &ChatStreamEvent) {
        match event {
            ChatStreamEvent::Chunk(_)
            | ChatStreamEvent::ReasoningChunk(_)
            | ChatStreamEvent::ToolCallChunk(_) => {
                if let Some(call) = &mut self.call {
                    call.first_token();
                }
            }
            ChatStreamEvent::End(end) => {
                let Some(mut call) = self.call.take() else { return };
                call.fill(|record| put_end_on(end, record));
                if let Some(usage) = end.captured_usage.as_ref().and_then(usage) {
                    call.usage(usage);
                }
                call.succeed();
            }
            ChatStreamEvent::Start
            | ChatStreamEvent::ThoughtSignatureChunk(_)
            | ChatStreamEvent::Heartbeat => {}
        }
    }

    fn fail(&mut self, error: &ErrorRecord) {
        if let Some(call) = self.call.take() {
            call.fail(error);
        }
    }
}

impl<S: Stream<Item = genai::Result<ChatStreamEvent>> + Unpin> Stream for Followed<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let polled = Pin::new(&mut self.stream).poll_next(context);
        match &polled {
            Poll::Ready(Some(Ok(event))) => self.see(event),
            Poll::Ready(Some(Err(failure))) => self.fail(&error(failure)),
            Poll::Ready(None) => {
                let why = "the reply ended before the LLM did";
                self.fail(&ErrorRecord::new(ErrorCategory::Network, why));
            }
            Poll::Pending => {}
        }
        polled
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.stream.size_hint()
    }
}

impl<S> fmt::Debug for Followed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Followed").field("has_ended", &self.call.is_none()).finish_non_exhaustive()
    }
}

/// A usage in the units of taximeter; none where nothing was told.
///
/// genai's input holds what a cache served and what was written into one, whatever the provider says.
///
/// # Errors
/// Where a count is below zero, or a part is above its whole.
pub fn usage(usage: &Usage) -> Option<Result<TokenUsage, UsageError>> {
    let (input, output) = (count(usage.prompt_tokens), count(usage.completion_tokens));
    if input.is_none() && output.is_none() {
        return None;
    }
    let mut built = TokenUsage::inclusive(input.unwrap_or(0), output.unwrap_or(0));
    if let Some(details) = &usage.prompt_tokens_details {
        let lived = details.cache_creation_details.as_ref();
        let five = lived.and_then(|details| count(details.ephemeral_5m_tokens)).unwrap_or(0);
        let hour = lived.and_then(|details| count(details.ephemeral_1h_tokens)).unwrap_or(0);
        let written = count(details.cache_creation_tokens).unwrap_or(0);
        built = built
            .cache_read(count(details.cached_tokens).unwrap_or(0))
            .cache_write(written.saturating_sub(five + hour))
            .cache_write_5m(five)
            .cache_write_1h(hour)
            .unit(Unit::InputAudio, count(details.audio_tokens).unwrap_or(0));
    }
    if let Some(details) = &usage.completion_tokens_details {
        built = built
            .reasoning(count(details.reasoning_tokens).unwrap_or(0))
            .unit(Unit::OutputAudio, count(details.audio_tokens).unwrap_or(0));
    }
    Some(built.build())
}

fn count(count: Option<i32>) -> Option<u64> {
    count.and_then(|count| u64::try_from(count).ok())
}

/// Puts on a call what a response tells besides its usage: the LLM that answered, why it ended, and the reply's id.
pub fn put_on(response: &ChatResponse, call: &mut LlmCall) {
    let answered: &str = &response.provider_model_iden.model_name;
    call.response_model = Some(answered.into());
    call.finish_reason = response.stop_reason.as_ref().map(|reason| said(reason).into());
    if let Some(id) = &response.response_id {
        call.metadata.insert("gen_ai.response.id".into(), id.as_str().into());
    }
}

fn put_end_on(end: &StreamEnd, call: &mut LlmCall) {
    call.finish_reason = end.captured_stop_reason.as_ref().map(|reason| said(reason).into());
    if let Some(id) = &end.captured_response_id {
        call.metadata.insert("gen_ai.response.id".into(), id.as_str().into());
    }
}

/// Why it ended, in the provider's own word.
fn said(reason: &StopReason) -> &str {
    match reason {
        StopReason::Completed(word)
        | StopReason::MaxTokens(word)
        | StopReason::ToolCall(word)
        | StopReason::ContentFilter(word)
        | StopReason::StopSequence(word)
        | StopReason::Other(word) => word,
    }
}

/// The category of an error: by the status and the body of the reply, where there was one.
pub fn error(error: &genai::Error) -> ErrorRecord {
    use genai::webc::Error as Web;

    let body = match error {
        genai::Error::HttpError { body, .. }
        | genai::Error::WebModelCall {
            webc_error: Web::ResponseFailedStatus { body, .. }, ..
        }
        | genai::Error::WebAdapterCall {
            webc_error: Web::ResponseFailedStatus { body, .. }, ..
        } => body.as_str(),
        _ => "",
    };
    match error.status() {
        Some(status) => reply::error(status.as_u16(), None, body.as_bytes()),
        None => ErrorRecord::of(error),
    }
}
