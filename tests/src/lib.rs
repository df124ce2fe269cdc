//! Empty on purpose: the tests are in `integration.rs`.
