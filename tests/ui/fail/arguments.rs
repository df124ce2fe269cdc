//! It is refused, and told why.
use taximeter::{metered, tool};

#[metered(colour = "red")]
fn unknown() {}

#[metered(with(a = 1), with(b = 2))]
fn with_twice() {}

#[tool(with(a = 1, a = 2))]
fn key_twice() {}

#[tool(with(a))]
fn no_value() {}

#[tool(with = 3)]
fn no_parentheses() {}

fn main() {}
