//! The crate may be known by another name, and names of the program's own do not get in the way.
#![deny(warnings, clippy::pedantic)]
#![forbid(unsafe_code)]

mod metering {
    pub use taximeter as meter;
}

use metering::meter::{metered, tool};

#[metered(crate = metering::meter)]
fn by_path(running: u32, returned: u32) -> u32 {
    running + returned
}

#[tool("search", with(running = running), crate = crate::metering::meter)]
async fn async_by_path(running: u32) -> u32 {
    running
}

fn main() {
    assert_eq!(by_path(1, 2), 3);
    drop(async_by_path(1));
}
