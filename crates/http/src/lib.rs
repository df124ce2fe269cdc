//! Meters calls of LLMs as they pass through an HTTP client: what goes out and what comes back is read in passing, and
//! every byte is handed on as it came, when it came.
//!
//! | You have | You add | Feature |
//! |---|---|---|
//! | a client that is a `tower` service | [`MeterLayer`] | `tower` (default) |
//! | a `reqwest_middleware::ClientWithMiddleware` | [`MeterMiddleware`] | `reqwest` |
//!
//! Requests whose path is that of a known API (`/chat/completions`, `/messages`, `:generateContent`, `/api/chat` and so
//! on, see [`Endpoint`](taximeter::reply::Endpoint)) are metered; all others pass untouched. A call is recorded into
//! the [current](taximeter::current) operation, with provider, LLM, usage, cost where the provider tells it, duration,
//! time to first token, finish reason and error. Without a current operation it is one of its own, called by what was
//! asked for, such as `chat`.
//!
//! Requests to one's own services can tell the trace that they belong to ([`Metering::trace_to`]); [`extract`] and
//! [`inject`] do the same by hand, on either side.
//!
//! A call lasts until its reply was read or dropped; so let the operation live as long. What is read has a limit
//! ([`Metering::limit`]); a reply above it passes on unread, and what it consumed is unknown. So it is with a
//! body that is compressed where the layer sees it: put the layer outside of what decompresses.

mod body;
mod call;
mod context;
mod metering;
#[cfg(feature = "reqwest")]
mod reqwest;
#[cfg(feature = "tower")]
mod tower;

pub use body::{MeteredBody, RequestBody};
pub use call::Attempts;
pub use context::{extract, inject};
pub use metering::Metering;

#[cfg(feature = "reqwest")]
pub use crate::reqwest::MeterMiddleware;
#[cfg(feature = "tower")]
pub use crate::tower::{MeterLayer, Metered, MeteredFuture};
