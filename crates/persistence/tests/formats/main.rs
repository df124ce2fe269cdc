//! Import and export, tried with files whose truth was worked out by hand.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop; clippy knows the helpers of tests only beside the code"
)]

mod claude_code;
mod codex;
mod export;
mod folders;
mod others;
#[cfg(feature = "parquet")]
mod parquet;
mod records;
mod robust;
mod support;
