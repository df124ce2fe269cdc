//! The layer of `tracing-subscriber`, by spans as libraries make them.

mod libraries;
mod shapes;
mod support;
mod trouble;
