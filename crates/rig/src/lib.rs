//! The replies and errors of [rig-core](https://docs.rs/rig-core/0.44.0) 0.44, typed, on the guard of a metered call.
//!
//! An application that has the layer of `taximeter::tracing` needs nothing of this. It is for who meters calls by guards,
//! and wants exact usage and the category of an error out of what rig returns.
//!
//! ```
//! use rig_core::completion::Usage;
//! use taximeter::Unit;
//!
//! let mut told = Usage::new();
//! assert!(taximeter_rig::usage(&told).is_none()); // nothing was told, which is not nothing
//! (told.input_tokens, told.output_tokens, told.cached_input_tokens) = (Some(1_200), Some(350), Some(200));
//! let usage = taximeter_rig::usage(&told).expect("it is told")?;
//! assert_eq!((usage.input_tokens(), usage.get(Unit::CacheRead)), (1_200, 200));
//! told.cached_input_tokens = Some(1_201);
//! assert!(taximeter_rig::usage(&told).expect("it is told").is_err()); // more than there was
//! # Ok::<(), taximeter::UsageError>(())
//! ```

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use rig_core::completion::{CompletionResponse, Usage};
use rig_core::error::ProviderError;
use rig_core::streaming::{CompletionStream, Item, StreamEvent};
use taximeter::{ErrorCategory, ErrorRecord, LlmCall, LlmGuard, TokenUsage, UsageError, reply};

/// Ends the guard of a call with what came of it.
pub fn end(mut call: LlmGuard, result: &Result<CompletionResponse, ProviderError>) {
    match result {
        Ok(response) => {
            tell(&mut call, response);
            match &response.error {
                Some(why) => call.fail(why.as_str()),
                None => call.succeed(),
            }
        }
        Err(failure) => call.fail(&error(failure)),
    }
}

fn tell(call: &mut LlmGuard, response: &CompletionResponse) {
    call.fill(|record| put_on(response, record));
    if let Some(usage) = usage(&response.usage) {
        call.usage(usage);
    }
}

/// Follows a streamed reply for the guard of a call: every item is handed on as it came, and the guard ends with the
/// stream, or when nobody reads on. [`Followed::finish`] gives the whole response, as that of rig's stream does.
pub fn follow(mut call: LlmGuard, stream: CompletionStream) -> Followed {
    call.fill(|record| record.streamed = true);
    Followed { stream: Some(stream), call: Some(call) }
}

/// A stream of a reply that is followed; see [`follow`].
#[must_use = "streams do nothing unless polled"]
pub struct Followed {
    /// None once it was finished.
    stream: Option<CompletionStream>,
    /// None once the call has ended.
    call: Option<LlmGuard>,
}

impl Followed {
    /// Reads the rest of the reply and gives the response, with which the call ends.
    ///
    /// # Errors
    /// Where reading failed, or the reply stopped before its end.
    pub async fn finish(mut self) -> Result<CompletionResponse, ProviderError> {
        while std::future::poll_fn(|context| self.poll_item(context)).await.is_some() {}
        let stream = self.stream.take().ok_or(ProviderError::Truncated)?;
        let result = stream.finish().await;
        if let Some(call) = self.call.take() {
            end(call, &result);
        }
        result
    }

    fn poll_item(&mut self, context: &mut Context<'_>) -> Poll<Option<<Self as Stream>::Item>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(None) };
        let polled = Pin::new(stream).poll_next(context);
        match &polled {
            Poll::Ready(Some(Ok(Item::Event(event)))) => self.see(event),
            Poll::Ready(Some(Err(failure))) => self.end(&error(failure)),
            _ => {}
        }
        polled
    }

    fn see(&mut self, event: &StreamEvent) {
        let is_token = matches!(
            event,
            StreamEvent::Text { .. }
                | StreamEvent::Reasoning { .. }
                | StreamEvent::Arguments { .. }
        );
        if let Some(call) = self.call.as_mut().filter(|_| is_token) {
            call.first_token();
        }
    }

    /// Ends the call with what has arrived: as a success where that is all there is, else by that error.
    fn end(&mut self, error: &ErrorRecord) {
        let (Some(mut call), Some(stream)) = (self.call.take(), &self.stream) else { return };
        let arrived = stream.partial();
        tell(&mut call, &arrived);
        if arrived.error.is_none() && arrived.aborted.is_none() {
            call.succeed()
        } else {
            call.fail(error)
        }
    }
}

impl Stream for Followed {
    type Item = Result<Item<StreamEvent>, ProviderError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = self.poll_item(context);
        if matches!(polled, Poll::Ready(None)) {
            let why = "the reply ended before the LLM did";
            self.end(&ErrorRecord::new(ErrorCategory::Network, why));
        }
        polled
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        let why = "the reply was left before its end";
        self.end(&ErrorRecord::new(ErrorCategory::Cancelled, why));
    }
}

impl fmt::Debug for Followed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Followed").field("has_ended", &self.call.is_none()).finish_non_exhaustive()
    }
}

/// A usage in the units of taximeter; none where nothing was told.
///
/// rig's input holds what a cache served and what was written into one, whatever the provider says; its output holds the
/// reasoning. What rig says of the cost is left aside: it is a price of its own catalogue, and taximeter has one.
///
/// # Errors
/// Where a part is above its whole.
pub fn usage(usage: &Usage) -> Option<Result<TokenUsage, UsageError>> {
    if usage.input_tokens.is_none() && usage.output_tokens.is_none() {
        return None;
    }
    let built =
        TokenUsage::inclusive(usage.input_tokens.unwrap_or(0), usage.output_tokens.unwrap_or(0))
            .cache_read(usage.cached_input_tokens.unwrap_or(0))
            .cache_write(usage.cache_creation_input_tokens.unwrap_or(0))
            .reasoning(usage.reasoning_tokens.unwrap_or(0));
    Some(built.build())
}

/// Puts on a call what a response tells besides its usage: the LLM that answered, why it ended, and the reply's id.
pub fn put_on(response: &CompletionResponse, call: &mut LlmCall) {
    let origin = &response.origin;
    call.response_model = origin.response_model.as_deref().map(Into::into);
    call.finish_reason =
        response.finish_reason().map(|reason| format!("{reason:?}").to_ascii_lowercase().into());
    if let Some(id) = &origin.response_id {
        call.metadata.insert("gen_ai.response.id".into(), id.as_str().into());
    }
}

/// The category of an error: by the status and the body of the reply, where there was one.
pub fn error(error: &ProviderError) -> ErrorRecord {
    let replied = match error {
        ProviderError::ProviderResponse(replied)
        | ProviderError::InvalidAuthentication(replied) => Some(replied),
        ProviderError::CacheExpired { response, .. } => Some(response),
        _ => None,
    };
    let status = replied.and_then(|replied| replied.status);
    match (replied, status) {
        (Some(replied), Some(status)) => {
            reply::error(status.as_u16(), replied.code.as_deref(), replied.body.as_bytes())
        }
        _ => ErrorRecord::of(error),
    }
}
