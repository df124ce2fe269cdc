//! The binary itself, as a shell runs it: arguments, environment, pipes, signals, exit codes.
#![allow(clippy::unwrap_used, reason = "a test that meets with an error shall panic")]

mod alerts;
mod analysing;
mod documents;
mod exit_codes;
mod hostile;
mod importing;
mod looks;
mod losses;
mod read_only;
mod room;
mod served;
mod settings;
