//! What the attribute macros call. It is no part of the public API and changes without notice.

use std::any::type_name;
use std::error::Error;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;

use taximeter_collector::Ending;
use taximeter_models::{Categorized, ErrorCategory, ErrorRecord, Failure};

/// What a metered function returned, to be asked by [`Ends::failure`].
#[derive(Debug)]
pub struct Returned<'a, T>(pub &'a T);

/// Finds out whether a return is a failure, for every type there is, without a bound on it.
///
/// It is asked as `(&&&&&&&&&&Returned(value)).failure()`. Of all implementations that fit, the compiler takes the one
/// behind the most references, and drops a reference where none fits: the most telling comes first, and the last
/// one fits everything. `Kind` is there for the one implementation that has to infer it.
pub trait Ends<Kind> {
    /// The error that it is, if it is one.
    fn failure(&self) -> Option<ErrorRecord>;
}

/// An error type that the classifier knows by its type, and that can hold nothing borrowed.
pub trait Known: Error + 'static {}

macro_rules! known {
    ($($error:ty),+ $(,)?) => { $(impl Known for $error {})+ };
}

// A type is looked at only where it surely borrows nothing, which no bound can ask of a type parameter without
// shutting out others. So the types that `ErrorCategory::classify` looks for stand here.
known!(
    Categorized,
    std::io::Error,
    serde_json::Error,
    std::num::ParseIntError,
    std::num::ParseFloatError,
    std::str::ParseBoolError,
    std::str::Utf8Error,
    std::string::FromUtf8Error,
    chrono::ParseError,
    std::sync::mpsc::RecvTimeoutError,
);

impl<T, E: Known> Ends<()> for &&&&&&&&&Returned<'_, Result<T, E>> {
    fn failure(&self) -> Option<ErrorRecord> {
        self.0.as_ref().err().map(|error| read::<E>(|| ErrorRecord::of(error)))
    }
}

/// An error behind a box, in the forms that people return.
pub trait Object {
    /// It as a plain trait object.
    fn object(&self) -> &(dyn Error + 'static);
}

macro_rules! object {
    ($($object:ty),+ $(,)?) => {
        $(impl Object for $object {
            fn object(&self) -> &(dyn Error + 'static) {
                self
            }
        })+
    };
}

object!(
    dyn Error + 'static,
    dyn Error + Send + 'static,
    dyn Error + Sync + 'static,
    dyn Error + Send + Sync + 'static,
);

// Boxes of errors, and the errors of the `anyhow` and `eyre` crates.
impl<T, E> Ends<()> for &&&&&&&&Returned<'_, Result<T, E>>
where
    E: Deref,
    E::Target: Object,
{
    fn failure(&self) -> Option<ErrorRecord> {
        self.0.as_ref().err().map(|error| read::<E>(|| ErrorRecord::of(error.object())))
    }
}

// From here on nothing asks for `'static`; the macros begin here where the error borrows. No implementation has seven
// references: the compiler adds one where none fits, and would end up above.
impl<T, E: Error> Ends<()> for &&&&&&Returned<'_, Result<T, E>> {
    fn failure(&self) -> Option<ErrorRecord> {
        self.0.as_ref().err().map(|error| read::<E>(|| record(error)))
    }
}

impl<T, E> Ends<()> for &&&&&Returned<'_, Result<T, E>>
where
    E: Deref,
    E::Target: Error,
{
    fn failure(&self) -> Option<ErrorRecord> {
        self.0.as_ref().err().map(|error| read::<E>(|| record(&**error)))
    }
}

impl<T, E: AsRef<str>> Ends<()> for &&&&Returned<'_, Result<T, E>> {
    fn failure(&self) -> Option<ErrorRecord> {
        self.0.as_ref().err().map(|error| read::<E>(|| Failure::record(error.as_ref())))
    }
}

impl<T, E: Failure<Kind>, Kind> Ends<Kind> for &&&Returned<'_, Result<T, E>> {
    fn failure(&self) -> Option<ErrorRecord> {
        self.0.as_ref().err().map(|error| read::<E>(|| error.record()))
    }
}

impl<T, E> Ends<()> for &&Returned<'_, Result<T, E>> {
    fn failure(&self) -> Option<ErrorRecord> {
        self.0.as_ref().err().map(|_| unknown::<E>())
    }
}

impl<T: Ending<Kind>, Kind> Ends<Kind> for &Returned<'_, T> {
    fn failure(&self) -> Option<ErrorRecord> {
        // What a type of the program's own says of itself may fail like anything of the program's.
        catch_unwind(AssertUnwindSafe(|| self.0.failure())).unwrap_or_default()
    }
}

impl<T> Ends<()> for Returned<'_, T> {
    fn failure(&self) -> Option<ErrorRecord> {
        None
    }
}

/// Reads an error; where its own code panics on being read, that stays here, and it counts as one of which only the
/// type is known.
fn read<E>(read: impl FnOnce() -> ErrorRecord) -> ErrorRecord {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| unknown::<E>())
}

/// An error of which only the type is known: its contents may be a secret, and are not shown.
fn unknown<E>() -> ErrorRecord {
    ErrorRecord::new(ErrorCategory::Unknown, type_name::<E>())
}

/// Records an error that may borrow, as [`ErrorRecord::of`] does it: what the types of its causes say goes first,
/// then the messages, the outermost first.
fn record<E: Error + ?Sized>(error: &E) -> ErrorRecord {
    let message = error.to_string();
    let own = ErrorCategory::from_message(&message);
    let Some(cause) = error.source() else { return ErrorRecord::new(own, message) };
    let below = ErrorRecord::of(cause);
    let told = std::iter::once(&below.message)
        .chain(&below.causes)
        .map(|message| ErrorCategory::from_message(message))
        .find(|category| *category != ErrorCategory::Unknown);
    let by_type = below.category != told.unwrap_or_default();
    let category = if by_type || own == ErrorCategory::Unknown { below.category } else { own };
    let mut record = ErrorRecord::new(category, message);
    record.causes = std::iter::once(below.message).chain(below.causes).collect();
    record
}

/// Tells the compiler, in a branch that is never taken, what a block returns.
///
/// # Panics
/// Always.
pub fn never<T>() -> T {
    unreachable!("the branch is never taken")
}

/// Boxes a future, under a name that no lint of the caller knows.
pub fn boxed<F: Future>(future: F) -> Pin<Box<F>> {
    Box::pin(future)
}

/// The calls of `#[metered]`.
pub mod metered {
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

    use taximeter_collector::{Metered, MeteredExt, Operation};
    use taximeter_models::ErrorRecord;

    /// Starts the operation.
    pub fn begin(name: &'static str) -> Operation {
        crate::operation(name).start()
    }

    /// Runs a function's body.
    pub fn run<T>(
        operation: Operation,
        work: impl FnOnce() -> T,
        failure: impl FnOnce(&T) -> Option<ErrorRecord>,
    ) -> T {
        operation.run_by(|_| work(), failure)
    }

    /// Follows an async function's body.
    pub fn follow<T, F: Future<Output = T>>(
        operation: Operation,
        future: F,
        failure: fn(&T) -> Option<ErrorRecord>,
    ) -> Metered<F> {
        future.metered_by(operation, failure)
    }

    /// Runs the body of a function that makes a future, and follows that.
    pub fn made<T, F: Future<Output = T>>(
        operation: Operation,
        make: impl FnOnce() -> F,
        failure: fn(&T) -> Option<ErrorRecord>,
    ) -> Metered<F> {
        let entered = operation.enter();
        // The panic goes on just below.
        let made = catch_unwind(AssertUnwindSafe(make));
        drop(entered);
        match made {
            Ok(future) => future.metered_by(operation, failure),
            Err(panic) => {
                operation.end_with(Some(ErrorRecord::of_panic(&*panic)));
                resume_unwind(panic)
            }
        }
    }
}

/// The calls of `#[tool]`.
pub mod tool {
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use pin_project_lite::pin_project;
    use taximeter_collector::{MetaValue, ToolGuard};
    use taximeter_models::ErrorRecord;

    /// A call of a tool that runs, within the current operation if there is one.
    #[derive(Debug)]
    pub struct Call(Option<ToolGuard<'static>>);

    /// Begins the call.
    pub fn begin(name: &'static str) -> Call {
        let current = crate::current();
        Call(current.is_recording().then(|| current.tool(name).start().owned()))
    }

    impl Call {
        /// Whether it is recorded.
        pub fn is_recording(&self) -> bool {
            self.0.is_some()
        }

        /// Keeps a value with it.
        pub fn set<'v>(&mut self, key: &'static str, value: impl Into<MetaValue<'v>>) {
            if let Some(guard) = &mut self.0 {
                guard.set(key, value);
            }
        }

        fn end(self, failure: impl FnOnce() -> Option<ErrorRecord>) {
            if let Some(guard) = self.0 {
                match failure() {
                    None => guard.succeed(),
                    Some(error) => guard.fail(&error),
                }
            }
        }
    }

    /// Runs a piece of code, and ends the call where it panics.
    fn guarded<T>(call: Call, work: impl FnOnce() -> T) -> (Call, T) {
        // The panic goes on just below.
        match catch_unwind(AssertUnwindSafe(work)) {
            Ok(returned) => (call, returned),
            Err(panic) => {
                call.end(|| Some(ErrorRecord::of_panic(&*panic)));
                resume_unwind(panic)
            }
        }
    }

    /// Runs a function's body.
    pub fn run<T>(
        call: Call,
        work: impl FnOnce() -> T,
        failure: impl FnOnce(&T) -> Option<ErrorRecord>,
    ) -> T {
        let (call, returned) = guarded(call, work);
        call.end(|| failure(&returned));
        returned
    }

    /// Follows an async function's body.
    pub fn follow<T, F: Future<Output = T>>(
        call: Call,
        future: F,
        failure: fn(&T) -> Option<ErrorRecord>,
    ) -> Called<F> {
        Called { future, call: Some(call), failure }
    }

    /// Runs the body of a function that makes a future, and follows that.
    pub fn made<T, F: Future<Output = T>>(
        call: Call,
        make: impl FnOnce() -> F,
        failure: fn(&T) -> Option<ErrorRecord>,
    ) -> Called<F> {
        let (call, future) = guarded(call, make);
        follow(call, future, failure)
    }

    pin_project! {
        /// A future that is a call of a tool.
        // The future is the first field: when it is dropped early, its own guards record before the call ends.
        #[must_use = "futures do nothing unless polled"]
        pub struct Called<F: Future> {
            #[pin]
            future: F,
            call: Option<Call>,
            failure: fn(&F::Output) -> Option<ErrorRecord>,
        }
    }

    impl<F: Future> std::fmt::Debug for Called<F> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_struct("Called").field("call", &self.call).finish_non_exhaustive()
        }
    }

    impl<F: Future> Future for Called<F> {
        type Output = F::Output;

        fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
            let this = self.project();
            let Some(call) = this.call.take() else { return this.future.poll(context) };
            let (call, polled) = guarded(call, || this.future.poll(context));
            match &polled {
                Poll::Pending => *this.call = Some(call),
                Poll::Ready(returned) => call.end(|| (this.failure)(returned)),
            }
            polled
        }
    }
}
