//! The field's conventions and wire formats.

#[cfg(feature = "prometheus")]
pub mod metrics;
#[cfg(feature = "prometheus")]
pub mod prometheus;
