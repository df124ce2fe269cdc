//! It is refused, and told why.
use taximeter::{metered, tool};

#[metered]
struct Answer;

#[tool("search")]
impl Answer {}

fn main() {}
