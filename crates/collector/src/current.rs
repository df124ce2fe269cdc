//! The current operation of a thread, and of the task that runs on it.

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;

use crate::Handle;
use crate::show::{Inside, Shown};

thread_local! {
    static ENTERED: RefCell<Vec<(u64, Handle)>> = const { RefCell::new(Vec::new()) };
    // How many there are stands apart, without a destructor: it is asked for at every start.
    static NUMBER: Cell<usize> = const { Cell::new(0) };
}

/// Whether there is a current operation, or was one until this thread was torn down.
#[inline]
pub(crate) fn is_any() -> bool {
    NUMBER.get() > 0
}

/// The operation that was entered last on this thread and not yet left; one that records nothing if there is none.
///
/// In a future it is the operation that the future was [metered](crate::MeteredExt::metered) with or runs
/// [within](crate::MeteredExt::within).
///
/// ```
/// use taximeter_collector::{Collector, NullSink, current};
///
/// fn deep_inside() {
///     current().warn("no passage found");
/// }
///
/// let collector = Collector::builder().sink(NullSink).build()?;
/// let op = collector.operation("qa_response").start();
/// {
///     let _entered = op.enter();
///     deep_inside();
/// }
/// assert!(!current().is_recording());
/// assert_eq!(op.finish().expect("it is switched on").warning_count(), 1);
/// # Ok::<(), taximeter_collector::CollectorError>(())
/// ```
pub fn current() -> Handle {
    // While a thread is torn down there is no current operation any more.
    ENTERED
        .try_with(|entered| entered.borrow().last().map(|(_, handle)| handle.clone()))
        .ok()
        .flatten()
        .unwrap_or_else(Handle::off)
}

/// Makes an operation the current one of this thread until it is dropped.
///
/// It belongs to its thread and must not be held over an await point; use
/// [`MeteredExt::metered`](crate::MeteredExt::metered) for futures.
#[derive(Debug)]
#[must_use = "the operation is the current one only while this is held"]
pub struct Entered {
    token: u64,
    /// How it is shown.
    _inside: Option<Inside>,
    // What is entered on one thread cannot be left on another.
    not_send: PhantomData<*const ()>,
}

impl Entered {
    pub(crate) fn new(handle: Handle) -> Self {
        let shown = handle.0.as_ref().map(|core| core.shown());
        let inside = shown.filter(Shown::is_something).map(Shown::enter);
        let token = ENTERED.try_with(|entered| {
            let mut entered = entered.borrow_mut();
            let token = entered.last().map_or(0, |(token, _)| *token) + 1;
            entered.push((token, handle));
            NUMBER.set(entered.len());
            token
        });
        Self { token: token.unwrap_or(0), _inside: inside, not_send: PhantomData }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        // Guards may be dropped in any order; each takes out its own. The handle is dropped after the borrow has
        // ended, for it may be the last of its operation.
        let left = ENTERED.try_with(|entered| {
            let mut entered = entered.borrow_mut();
            let at = entered.iter().rposition(|(token, _)| *token == self.token);
            let left = at.map(|at| entered.remove(at));
            NUMBER.set(entered.len());
            left
        });
        drop(left);
    }
}
