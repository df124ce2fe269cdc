//! Operations go over the wire to our own receiver, past servers that fail in every way that there is.
#![allow(clippy::unwrap_used, reason = "a test that meets with an error shall panic")]

mod failures;
mod server;
mod whole;
