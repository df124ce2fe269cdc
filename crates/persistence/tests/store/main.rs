//! Stores, tried with real files.
#![cfg(feature = "sqlite")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on should stop, and one that is skipped should say so; clippy knows the helpers \
              of tests only beside the code"
)]

mod arbitrary;
mod beside;
mod counting;
mod damage;
#[cfg(unix)]
mod faults;
mod golden;
mod maintaining;
mod model;
mod notes;
#[cfg(unix)]
mod processes;
mod records;
mod sql;
mod summing;
#[cfg(unix)]
mod system;
