//! The application and the stand-in, as their users meet them: over HTTP.
//!
//! - `endpoint`: the stand-in, asked by a bare HTTP client.
//! - `answers`: the application against a stand-in that works.
//! - `failures`: the application against a stand-in that fails.
//! - `support`: what the others share.

mod answers;
mod endpoint;
mod failures;
mod support;
