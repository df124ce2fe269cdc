//! Session files, tried with real files in real directories.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on should stop, and one that is skipped should say so; clippy knows the helpers \
              of tests only beside the code"
)]

mod listing;
mod names;
mod reading;
mod round_trip;
mod support;
#[cfg(unix)]
mod system;
mod writing;
