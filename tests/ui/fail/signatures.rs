//! It is refused, and told why.
use taximeter::{metered, tool};

#[tool]
pub async unsafe extern "C" fn from_anywhere() {}

#[metered]
fn forever() -> ! {
    loop {}
}

trait Ask {
    #[metered]
    fn ask(&self) -> u32;
}

#[metered]
pub(crate) unsafe trait Tell {}

#[tool("inner")]
mod inner {}

#[metered]
const LIMIT: u32 = 7;

#[metered(crate = taximeter, crate = ::taximeter)]
fn crate_twice() {}

#[metered("one" with(a = 1))]
fn no_comma() {}

fn main() {
    // The item is still there: the attribute's error is the only one.
    let _ = LIMIT;
    no_comma();
}
