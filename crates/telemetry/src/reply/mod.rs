//! What a provider's reply says: usage, cost, finish reason, errors, read out of its JSON.
//!
//! No client crate's types are needed, only the JSON that every one of them received or can write. A reply that is not
//! understood is [`Dialect::Unknown`]; a usage that is not there is `None`, which is not zero; one that cannot be is an
//! error that stays with the reply.
//!
//! | You want | It is |
//! |---|---|
//! | what a whole reply says | [`read`], [`read_as`], [`Reply`] |
//! | what a failed one says | [`error`] |
//! | to follow a streamed one | [`Accumulator`]: bytes or events in, a [`Streamed`] out |
//! | to follow a stream that somebody else reads | [`MeteredStream`], [`Follower`] |
//! | to know whom a request asks | [`Endpoint`], [`Request`] |
//!
//! What each field of each provider means, and where that is written, stands in `docs/FORMATS.md`.
//!
//! ```
//! use serde_json::json;
//! use taximeter_models::{LlmCall, Unit};
//! use taximeter_telemetry::reply::{self, Dialect};
//!
//! let reply = reply::read(&json!({
//!     "type": "message", "role": "assistant", "model": "claude-sonnet-4-5-20250929",
//!     "content": [{"type": "text", "text": "42"}], "stop_reason": "end_turn",
//!     "usage": {"input_tokens": 100, "cache_read_input_tokens": 3_000, "output_tokens": 7},
//! }));
//! assert_eq!(reply.dialect, Dialect::Anthropic);
//! let usage = reply.usage.clone().expect("it is reported")?;
//! assert_eq!((usage.input_tokens(), usage.get(Unit::CacheRead)), (3_100, 3_000));
//!
//! let mut call = LlmCall::new("anthropic", "claude-sonnet-4-5");
//! reply.put_on(&mut call);
//! assert_eq!(call.finish_reason.as_deref(), Some("end_turn"));
//!
//! // What is not there is unknown, and what cannot be is an error.
//! let silent = reply::read(&json!({"object": "chat.completion", "choices": []}));
//! assert_eq!(silent.usage, None);
//! let wrong = reply::read(&json!({"choices": [], "usage": {
//!     "prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 6}}}));
//! assert!(wrong.usage.expect("it is reported").is_err());
//! # Ok::<(), taximeter_models::UsageError>(())
//! ```

mod accumulator;
mod anthropic;
mod bedrock;
mod dialect;
mod draft;
mod endpoint;
mod error;
mod event_stream;
mod framing;
mod gemini;
mod ollama;
mod openai;
mod part;
mod responses;
mod said;
mod stream;
#[cfg(test)]
mod tests;

use serde_json::Value;

pub use accumulator::{Accumulator, Streamed};
pub use dialect::Dialect;
pub use endpoint::{Endpoint, Request};
pub use error::error;
pub use framing::Framing;
pub use said::{Reply, ServerTimes, ToolRequest};
pub use stream::{End, Follower, MeteredStream, Watch};

/// Reads a reply, or the usage alone that stood in one, and tells its dialect by its fields.
///
/// A list is read as the chunks of one reply, as Gemini sends them where no event stream was asked for.
///
/// ```
/// use serde_json::json;
/// use taximeter_telemetry::reply::{self, Dialect};
///
/// let reply = reply::read(&json!({"model": "llama3", "done": true, "prompt_eval_count": 26, "eval_count": 9}));
/// assert_eq!(reply.dialect, Dialect::Ollama);
/// assert_eq!(reply.usage.expect("it is reported")?.total_tokens(), 35);
///
/// assert_eq!(reply::read(&json!({"weather": "fine"})).dialect, Dialect::Unknown);
/// # Ok::<(), taximeter_models::UsageError>(())
/// ```
pub fn read(reply: &Value) -> Reply {
    read_as(Dialect::Unknown, reply)
}

/// Reads a reply of a known dialect. For [`Dialect::Unknown`] it is told by the fields.
pub fn read_as(dialect: Dialect, reply: &Value) -> Reply {
    let mut draft = draft::Draft::new(dialect);
    match reply {
        Value::Array(chunks) => chunks.iter().for_each(|chunk| draft.add(chunk)),
        whole => draft.add(whole),
    }
    draft.finish()
}
