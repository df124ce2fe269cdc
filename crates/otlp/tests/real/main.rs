//! Operations go over the wire to our own receiver, past servers that fail in every way that there is.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that meets with an error shall panic, and one that is skipped shall say so"
)]

mod clients;
mod failures;
mod grpc;
mod node;
mod server;
mod tls;
mod whole;
