//! The meter that everybody in a process shares, made when it is first asked for; and overrides of it.

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::{PoisonError, RwLock};
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use taximeter_collector::{Ending, Handle, Metered, OperationBuilder};

use crate::{Meter, Settings};

static GLOBAL: RwLock<Option<Meter>> = RwLock::new(None);

thread_local! {
    static OVERRIDES: RefCell<Vec<Meter>> = const { RefCell::new(Vec::new()) };
}

/// The global meter. The first call makes it, by [`Settings::load`]; settings that are wrong are left out, with one
/// warning on standard error, and the application goes on. So it does where a file with prices cannot be read: the
/// embedded prices are used until it can be.
pub fn global() -> Meter {
    if let Some(meter) = GLOBAL.read().unwrap_or_else(PoisonError::into_inner).as_ref() {
        return meter.clone();
    }
    let mut global = GLOBAL.write().unwrap_or_else(PoisonError::into_inner);
    global.get_or_insert_with(by_settings).clone()
}

fn by_settings() -> Meter {
    let settings = Settings::load().unwrap_or_else(|error| {
        warn(&format!("{error}; the defaults are used"));
        Settings::default()
    });
    Meter::builder().settings(settings).without_prices_if_need_be().build().unwrap_or_else(
        |error| {
            warn(&format!("{error}; nothing is metered"));
            Meter::off()
        },
    )
}

#[expect(
    clippy::print_stderr,
    reason = "there is nobody to give an error to: nobody asked for the global meter, and no one waits for the worker"
)]
pub(crate) fn warn(message: &str) {
    eprintln!("taximeter: {message}");
}

/// Makes this the global meter.
///
/// # Errors
/// Where there is one already; the meter that could not be installed is given back.
pub fn install(meter: Meter) -> Result<(), Meter> {
    let mut global = GLOBAL.write().unwrap_or_else(PoisonError::into_inner);
    if global.is_some() {
        return Err(meter);
    }
    *global = Some(meter);
    Ok(())
}

/// Takes the global meter away; the next [`global`] makes a new one. For tests.
pub fn reset() -> Option<Meter> {
    GLOBAL.write().unwrap_or_else(PoisonError::into_inner).take()
}

/// The meter in force here: the innermost override of this thread or task, else the global one.
pub fn meter() -> Meter {
    OVERRIDES
        .try_with(|meters| meters.borrow().last().cloned())
        .ok()
        .flatten()
        .unwrap_or_else(global)
}

/// Runs a piece of code with that meter in force on this thread.
///
/// ```
/// use taximeter::{Meter, operation, with_meter};
///
/// let meter = Meter::builder().build()?;
/// with_meter(&meter, || operation("qa_response").start().succeed());
/// assert_eq!(meter.totals().operations(), 1);
/// # Ok::<(), taximeter::Error>(())
/// ```
pub fn with_meter<R>(meter: &Meter, work: impl FnOnce() -> R) -> R {
    let _override = Override::new(meter.clone());
    work()
}

struct Override;

impl Override {
    fn new(meter: Meter) -> Self {
        // While a thread is torn down there is nothing left to override.
        let _ = OVERRIDES.try_with(|meters| meters.borrow_mut().push(meter));
        Self
    }
}

impl Drop for Override {
    fn drop(&mut self) {
        // Overrides nest strictly, so the last one is ours. It is dropped after the borrow has ended.
        let _last = OVERRIDES.try_with(|meters| meters.borrow_mut().pop());
    }
}

/// A meter of its own for a future.
pub trait MeterExt: Future + Sized {
    /// Runs this future with that meter in force, on whatever thread it is polled.
    fn with_meter(self, meter: &Meter) -> WithMeter<Self> {
        WithMeter { future: self, meter: meter.clone() }
    }
}

impl<F: Future> MeterExt for F {}

pin_project! {
    /// A future with a meter of its own; see [`MeterExt::with_meter`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct WithMeter<F> {
        #[pin]
        future: F,
        meter: Meter,
    }
}

impl<F: Future> Future for WithMeter<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _override = Override::new(this.meter.clone());
        this.future.poll(context)
    }
}

/// Prepares an operation of the [meter](meter()) in force.
pub fn operation(name: impl AsRef<str>) -> OperationBuilder {
    meter().operation(name)
}

/// Meters a piece of code with the [meter](meter()) in force; see [`Collector::scope`].
///
/// [`Collector::scope`]: taximeter_collector::Collector::scope
///
/// ```
/// let rows = taximeter::scope("data_processing", |op| {
///     op.set("source", "orders.csv");
///     "7".parse::<u32>()
/// });
/// assert_eq!(rows, Ok(7));
/// ```
pub fn scope<R: Ending<Kind>, Kind>(name: impl AsRef<str>, work: impl FnOnce(&Handle) -> R) -> R {
    meter().scope(name, work)
}

/// Like [`scope`], for a future.
pub fn scope_async<F: Future, Kind>(
    name: impl AsRef<str>,
    work: impl FnOnce(Handle) -> F,
) -> Metered<F>
where
    F::Output: Ending<Kind>,
{
    meter().scope_async(name, work)
}
