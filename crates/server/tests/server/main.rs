//! The server from outside: real sockets, real files, real clients.
#![allow(clippy::unwrap_used, reason = "a test that meets with an error shall panic")]

// Telemetry over HTTP and gRPC, into the store and onto the page.
mod taking;
// Killed in the middle: what was acknowledged is there, once.
mod killed;
// Who may ask, and what no name that arrives can do.
mod guarding;
// Clients that are slow, silent or hostile.
mod slow;
// The pages, the filter bar, and the demo.
mod showing;
mod support;
