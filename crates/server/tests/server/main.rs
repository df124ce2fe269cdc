//! The server from outside: real sockets, real files, real clients.
#![allow(clippy::unwrap_used, reason = "a test that meets with an error shall panic")]

// What fires is told and shown; what may be muted, and from where.
mod alerts;
// Telemetry over HTTP and gRPC, into the store and onto the page.
mod taking;
// A store that is slower than its clients.
mod busy;
// What is made ready for the next question.
mod warming;
// Killed in the middle: what was acknowledged is there, once.
mod killed;
// Who may ask.
mod guarding;
// What no text that arrives can do.
mod hostile;
mod payloads;
// The API, held against the document that tells of it.
mod api;
// Clients that are slow, silent or hostile.
mod slow;
// What the box finds, sessions, tables as CSV, and what is asked every few seconds.
mod finding;
// The pages, the filter bar, and the demo.
mod showing;
mod support;
