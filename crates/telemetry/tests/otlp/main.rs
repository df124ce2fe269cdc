//! OTLP in, from the outside: captures of real clients, the checklist of a receiver, and hostile input.
#![allow(clippy::unwrap_used, reason = "a test that meets with an error shall panic")]

// Captures of real clients, against what was really reported to them.
mod captures;
// What a receiver must answer, and what it must take: line by line.
mod checklist;
// Spans in any order, late ones, duplicates, two traces of one call, bounds.
mod assembling;
// A journal of requests, and a server that dies.
mod journal;
// Every decoder with what no client sends: broken bytes, deep nesting, bombs.
mod hostile;
// What every convention says, read from spans written by hand.
mod conventions;
// Usage from metrics, where nothing else tells of it.
mod metrics;
#[cfg(feature = "otlp-export")]
mod round_trip;
mod support;
