//! What the return of a metered piece of code says about how it ended.

use std::any::type_name;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use taximeter_models::{ErrorCategory, ErrorRecord, Failure};

use crate::foreign::guarded;
use crate::intake::Intake;

/// A value that a metered scope can return. An `Err` is a failure; everything else, `None` too, is a success.
///
/// The parameter `Kind` only tells the kinds of errors apart; it is always inferred. For a type of your own:
///
/// ```
/// use taximeter_collector::{Ending, ending_kinds};
/// use taximeter_models::ErrorRecord;
///
/// struct Answer;
///
/// impl Ending<ending_kinds::Value> for Answer {
///     fn failure(&self) -> Option<ErrorRecord> {
///         None
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "the meter cannot tell whether a returned `{Self}` is a success",
    note = "return a `Result`, an `Option` or a standard type, or implement `taximeter::Ending` for it"
)]
pub trait Ending<Kind> {
    /// The error that it is, if it is one.
    fn failure(&self) -> Option<ErrorRecord>;
}

/// The kinds of [`Ending`]; they exist for type inference alone.
#[expect(missing_debug_implementations, reason = "no value of these types can exist")]
pub mod kinds {
    /// A value that is always a success.
    pub enum Value {}
    /// A result whose error is of a kind.
    pub struct Fallible<Kind>(std::convert::Infallible, std::marker::PhantomData<Kind>);
}

impl<T, E: Failure<Kind>, Kind> Ending<kinds::Fallible<Kind>> for Result<T, E> {
    fn failure(&self) -> Option<ErrorRecord> {
        self.as_ref().err().map(Failure::record)
    }
}

/// Records an error. What it says of itself is the program's own code; should that panic, the panic stays here and is
/// counted, and no more than the type is recorded.
pub(crate) fn read<E: Failure<Kind> + ?Sized, Kind>(intake: &Intake, error: &E) -> ErrorRecord {
    guarded(intake, || error.record()).unwrap_or_else(speechless::<E>)
}

/// Asks the program's own code whether a value is a failure. Should that panic, the value is the program's all the same,
/// and its type is recorded as an error.
pub(crate) fn decided<R>(
    intake: &Intake,
    failure: impl FnOnce() -> Option<ErrorRecord>,
) -> Option<ErrorRecord> {
    guarded(intake, failure).unwrap_or_else(|| Some(speechless::<R>()))
}

fn speechless<T: ?Sized>() -> ErrorRecord {
    let text = format!("{}, which panicked when it was to say what it is", type_name::<T>());
    ErrorRecord::new(ErrorCategory::Unknown, text)
}

macro_rules! always_a_success {
    ($([$($param:tt)*] $type:ty),+ $(,)?) => {
        $(impl<$($param)*> Ending<kinds::Value> for $type {
            fn failure(&self) -> Option<ErrorRecord> {
                None
            }
        })+
    };
}

always_a_success!(
    [] (), [] bool, [] char, [] String, [] u8, [] u16, [] u32, [] u64, [] u128, [] usize, [] i8, [] i16, [] i32,
    [] i64, [] i128, [] isize, [] f32, [] f64, [] std::time::Duration, [] std::path::PathBuf, [] serde_json::Value,
    ['a] &'a str, ['a, T] &'a [T], [T] Option<T>, [T] Vec<T>, [T: ?Sized] Box<T>, [T: ?Sized] Arc<T>,
    [T: ?Sized] Rc<T>, [T, const N: usize] [T; N], [T] VecDeque<T>, [T] BTreeSet<T>, [T, S] HashSet<T, S>,
    [K, V] BTreeMap<K, V>, [K, V, S] HashMap<K, V, S>, [A] (A,), [A, B] (A, B), [A, B, C] (A, B, C),
    [A, B, C, D] (A, B, C, D),
);
