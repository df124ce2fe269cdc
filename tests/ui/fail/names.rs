//! It is refused, and told why.
use taximeter::{metered, tool};

#[metered("")]
fn empty() {}

#[metered(42)]
fn number() {}

#[metered("one", "two")]
fn twice() {}

#[tool(search)]
fn unquoted() {}

#[tool(name = "search")]
fn by_keyword() {}

fn main() {}
