//! The application and the stand-in, as their users meet them: over HTTP.
//!
//! - `endpoint`: the stand-in, asked by a bare HTTP client.
//! - `answers`: the application against a stand-in that works.
//! - `failures`: the application against a stand-in that fails.
//! - `metering`: what was metered, held against what was served.
//! - `support`: what the others share.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall say where")]

mod answers;
mod endpoint;
mod failures;
mod metering;
mod support;
