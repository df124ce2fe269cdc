//! The replies and errors of [async-openai](https://docs.rs/async-openai/0.43.0) 0.43, typed, on the guard of a metered
//! call.
//!
//! async-openai makes no spans, so that a layer of `tracing` sees nothing of it. `taximeter-http` meters it with no further
//! code; this is for who meters calls by guards.
//!
//! Its types are those of OpenAI's API, so that they are read as the JSON that they stand for: whatever it can
//! deserialize, chat completions, responses and embeddings among them, whole or as the events of a stream.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_openai::error::OpenAIError;
use futures_core::Stream;
use serde::Serialize;
use taximeter::reply::{Accumulator, Dialect, End, Framing, Reply, read_as};
use taximeter::{ErrorCategory, ErrorRecord, LlmGuard, reply};

/// Ends the guard of a call with what came of it.
///
/// ```
/// use async_openai::error::OpenAIError;
/// use async_openai::types::chat::CreateChatCompletionResponse;
/// use taximeter::{ErrorCategory, Meter};
///
/// # let response = serde_json::json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "choices": [],
/// #     "model": "gpt-4o-2024-08-06", "usage": {"prompt_tokens": 1200, "completion_tokens": 350, "total_tokens": 1550}});
/// # let response: CreateChatCompletionResponse = serde_json::from_value(response)?;
/// let meter = Meter::builder().build()?;
/// let op = meter.operation("qa_response").start();
/// let call = op.llm_call("openai", "gpt-4o").start();
/// taximeter_async_openai::end(call, &Ok(response)); // &client.chat().create(request).await
///
/// let call = op.llm_call("openai", "gpt-4o").start();
/// let refused = OpenAIError::InvalidArgument("no messages".to_owned());
/// taximeter_async_openai::end(call, &Err::<CreateChatCompletionResponse, _>(refused));
/// let calls = op.finish().expect("it is switched on").llm_calls;
/// assert_eq!(calls[0].usage.as_ref().map(|usage| usage.total_tokens()), Some(1_550));
/// assert_eq!(calls[1].error.as_ref().map(|error| error.category), Some(ErrorCategory::Validation));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn end<R: Serialize>(mut call: LlmGuard, result: &Result<R, OpenAIError>) {
    match result {
        Ok(response) => {
            let reply = read(response);
            call.fill(|record| reply.put_on(record));
            if let Some(usage) = reply.usage {
                call.usage(usage); // numbers that cannot be are counted
            }
            call.succeed();
        }
        Err(failure) => call.fail(&error(failure)),
    }
}

/// Follows a streamed reply for the guard of a call: every event is handed on as it came, and the guard ends with the
/// stream, or when nobody reads on. OpenAI tells the usage where `stream_options` ask for it; else it is unknown.
pub fn follow<S>(mut call: LlmGuard, stream: S) -> Followed<S> {
    call.fill(|record| record.streamed = true);
    let accumulator = Accumulator::new(Framing::EventStream).dialect(Dialect::OpenAi);
    Followed { stream, follows: Some((accumulator, call)) }
}

/// A stream of a reply that is followed; see [`follow`].
#[must_use = "streams do nothing unless polled"]
pub struct Followed<S> {
    stream: S,
    /// None once the call has ended.
    follows: Option<(Accumulator, LlmGuard)>,
}

impl<S> Followed<S> {
    fn see<R: Serialize>(&mut self, event: &R) {
        let Some((accumulator, call)) = &mut self.follows else { return };
        let event = serde_json::to_value(event).unwrap_or_default();
        accumulator.push_event(&event, call.elapsed());
        if accumulator.time_to_first_token().is_some() {
            call.first_token();
        }
    }

    fn end(&mut self, end: &End) {
        let Some((accumulator, mut call)) = self.follows.take() else { return };
        let streamed = accumulator.finish(call.elapsed());
        if let Some(usage) = streamed.reply.usage.clone() {
            call.usage(usage);
        }
        call.fill(|record| streamed.put_on(record));
        match streamed.failure(end) {
            Some(error) => call.fail(&error),
            None => call.succeed(),
        }
    }
}

impl<S, R> Stream for Followed<S>
where
    S: Stream<Item = Result<R, OpenAIError>> + Unpin,
    R: Serialize,
{
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let polled = Pin::new(&mut self.stream).poll_next(context);
        match &polled {
            Poll::Ready(Some(Ok(event))) => self.see(event),
            Poll::Ready(Some(Err(failure))) => self.end(&End::Failed(error(failure))),
            Poll::Ready(None) => self.end(&End::Finished),
            Poll::Pending => {}
        }
        polled
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.stream.size_hint()
    }
}

impl<S> Drop for Followed<S> {
    fn drop(&mut self) {
        self.end(&End::Dropped);
    }
}

impl<S> fmt::Debug for Followed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Followed")
            .field("has_ended", &self.follows.is_none())
            .finish_non_exhaustive()
    }
}

/// What a response tells: usage, the LLM that answered, why it ended.
///
/// ```
/// use async_openai::types::chat::CreateChatCompletionResponse;
/// use taximeter::Unit;
///
/// # let response = serde_json::json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "choices": [],
/// #     "model": "gpt-4o-2024-08-06", "usage": {"prompt_tokens": 1200, "completion_tokens": 350, "total_tokens": 1550,
/// #     "prompt_tokens_details": {"cached_tokens": 200}}});
/// let response: CreateChatCompletionResponse = serde_json::from_value(response)?;
/// let usage = taximeter_async_openai::read(&response).usage.expect("it is told")?;
/// assert_eq!((usage.input_tokens(), usage.get(Unit::CacheRead)), (1_200, 200));
/// assert_eq!(taximeter_async_openai::read(&"hello").usage, None); // what is no response tells nothing
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read<R: Serialize>(response: &R) -> Reply {
    // What cannot be JSON was never a response.
    let value = serde_json::to_value(response).unwrap_or_default();
    read_as(Dialect::OpenAi, &value)
}

/// The category of an error: by the status and the code of the reply, where there was one.
pub fn error(error: &OpenAIError) -> ErrorRecord {
    match error {
        OpenAIError::ApiError(failure) => {
            let status = failure.status_code.as_u16();
            let body = serde_json::json!({ "error": failure.api_error });
            reply::error(status, None, body.to_string().as_bytes())
        }
        OpenAIError::InvalidArgument(_) => {
            let mut record = ErrorRecord::of(error);
            record.category = ErrorCategory::Validation;
            record
        }
        other => ErrorRecord::of(other),
    }
}
