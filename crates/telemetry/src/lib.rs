//! The field's conventions and wire formats: what others say about LLM calls, read into the values of taximeter.
//!
//! Each format is a folder of its own behind a feature of its own. Nothing here opens a socket or starts a thread.
//!
//! | You want | It is | Feature |
//! |---|---|---|
//! | usage, cost and errors out of a provider's reply, plain or streamed | [`reply::read`], [`reply::Accumulator`] | `reply` |

#[cfg(feature = "reply")]
pub mod reply;
