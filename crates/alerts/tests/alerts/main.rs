//! Rules over planted histories, and receivers that fail.
#![allow(clippy::unwrap_used, reason = "a test that meets with an error shall panic")]

// Receivers on this machine: what they get, how they fail, what is told twice.
mod delivering;
// The real Alertmanager, where it is installed.
mod alertmanager;
// Budgets: what is spent, what is left, when it is gone.
mod budgets;
// Each kind of rule over a history in which something is planted.
mod evaluating;
// Killed at any moment: nothing is lost, nothing has two ids.
mod killed;
// Files of rules: what is read, and what is refused.
mod reading;
mod support;
