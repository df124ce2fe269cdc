//! Running code that is the program's own: a sink, a hook, a clock. It may panic.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::intake::Intake;
use crate::ledger::Flaw;

/// What a piece of the program's own code gives; nothing if it panics, which is counted.
pub(crate) fn guarded<T>(intake: &Intake, code: impl FnOnce() -> T) -> Option<T> {
    let given = caught(code);
    if given.is_none() {
        intake.flaw(Flaw::InternalPanic);
    }
    given
}

/// What a piece of code gives; nothing if it panics. What it panics with is the program's own too, and may panic when it
/// is dropped; what that panics with is left alone.
pub(crate) fn caught<T>(code: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(code)) {
        Ok(given) => Some(given),
        Err(payload) => {
            if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
                std::mem::forget(again);
            }
            None
        }
    }
}
