//! The package has no code but its tests, in `integration.rs`.
