//! A real server on this machine, real clients in front of it: what is recorded equals what was served, and every byte
//! arrives as it was sent, before the next one is.
#![allow(clippy::unwrap_used, reason = "a test that meets with an error shall panic")]
#![cfg(all(feature = "tower", feature = "reqwest"))]

mod by_hand;
mod processes;
mod served;
mod through_reqwest;
mod through_tower;
mod trace_context;
