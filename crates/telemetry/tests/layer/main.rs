//! The layer of `tracing-subscriber`, by spans as libraries make them.

mod filtered;
mod libraries;
mod shapes;
mod support;
mod trouble;
