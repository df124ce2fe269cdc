//! The field's conventions and wire formats.

#[cfg(feature = "context")]
pub mod context;
#[cfg(feature = "prometheus")]
pub mod metrics;
#[cfg(feature = "prometheus")]
pub mod prometheus;
