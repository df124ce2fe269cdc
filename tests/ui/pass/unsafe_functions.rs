//! An unsafe function stays one, and its body is as unsafe as it was.
#![deny(warnings, clippy::pedantic)]

/// Reads a number.
///
/// # Safety
/// The pointer points to a number.
#[taximeter::metered]
unsafe fn read(number: *const u32) -> u32 {
    // SAFETY: the caller promised it.
    unsafe { *number }
}

fn main() {
    let number = 7;
    // SAFETY: the number lives.
    assert_eq!(unsafe { read(&raw const number) }, 7);
}
