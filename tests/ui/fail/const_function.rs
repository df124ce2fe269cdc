//! It is refused, and told why.
use taximeter::{metered, tool};

#[metered]
const fn answer() -> u32 {
    42
}

#[tool]
extern "C" fn called_from_c() {}

fn main() {
    answer();
    called_from_c();
}
