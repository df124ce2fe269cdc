//! Metering futures: the operation follows the task over await points and threads.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use taximeter_models::ErrorRecord;

use crate::ending::Ending;
use crate::handle::Handle;
use crate::operation::Operation;

/// Metering for every future.
///
/// ```
/// use taximeter_collector::{Collector, MemorySink, MeteredExt, current};
/// # use std::{pin::pin, sync::Arc, task::{Context, Poll, Wake}, time::Duration};
/// # struct Idle;
/// # impl Wake for Idle { fn wake(self: Arc<Self>) {} }
/// # fn block_on<F: Future>(future: F) -> F::Output {
/// #     let mut future = pin!(future);
/// #     let waker = Arc::new(Idle).into();
/// #     loop {
/// #         if let Poll::Ready(out) = future.as_mut().poll(&mut Context::from_waker(&waker)) { return out; }
/// #     }
/// # }
///
/// async fn answer() -> Result<u32, std::io::Error> {
///     current().warn("no passage found"); // reaches the operation below
///     Err(std::io::ErrorKind::TimedOut.into())
/// }
///
/// let sink = MemorySink::default();
/// let collector = Collector::builder().sink(sink.clone()).build()?;
/// let result = block_on(answer().metered(collector.operation("qa_response").start()));
/// assert!(result.is_err()); // the failure is recorded, and goes on
///
/// collector.flush(Duration::from_secs(1))?;
/// assert_eq!(sink.records()[0].errors[0].category.as_str(), "timeout");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait MeteredExt: Future + Sized {
    /// Runs this future as that operation: a normal return is a success, an `Err` or a panic a failure that goes on.
    /// Dropped before its end, the operation is recorded as abandoned, with what it had gathered.
    fn metered<Kind>(self, operation: Operation) -> Metered<Self>
    where
        Self::Output: Ending<Kind>,
    {
        self.metered_by(operation, Ending::failure)
    }

    /// Like [`metered`](MeteredExt::metered), for outputs of which only you know whether they are a failure.
    fn metered_by(
        self,
        operation: Operation,
        failure: fn(&Self::Output) -> Option<ErrorRecord>,
    ) -> Metered<Self> {
        Metered { future: Some(self), operation: Some(operation), failure }
    }

    /// Runs this future with that operation as the current one, and leaves its end to whoever holds it. For a
    /// spawned task: `spawn(work().within(op.handle()))`.
    fn within(self, operation: Handle) -> Within<Self> {
        Within { future: Some(self), operation }
    }
}

impl<F: Future> MeteredExt for F {}

pin_project! {
    /// A future that is metered; see [`MeteredExt::metered`].
    #[must_use = "futures do nothing unless polled"]
    pub struct Metered<F: Future> {
        // None once it is dropped.
        #[pin]
        future: Option<F>,
        operation: Option<Operation>,
        failure: fn(&F::Output) -> Option<ErrorRecord>,
    }

    impl<F: Future> PinnedDrop for Metered<F> {
        // What is dropped early goes within its operation, and before it ends: its destructors may record.
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _entered = this.operation.as_ref().map(|operation| operation.enter());
            this.future.set(None);
        }
    }
}

impl<F: Future> std::fmt::Debug for Metered<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metered").field("operation", &self.operation).finish_non_exhaustive()
    }
}

impl<F: Future> Future for Metered<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        // It is there until it is dropped, and what is dropped is not polled.
        let Some(future) = this.future.as_pin_mut() else { return Poll::Pending };
        let entered = this.operation.as_ref().map(|operation| operation.enter());
        let polled = catch_unwind(AssertUnwindSafe(|| future.poll(context)));
        drop(entered);
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => {
                if let Some(operation) = this.operation.take() {
                    operation.end_decided::<F::Output>(|| (this.failure)(&output));
                }
                Poll::Ready(output)
            }
            Err(panic) => {
                if let Some(operation) = this.operation.take() {
                    operation.end_with(Some(ErrorRecord::of_panic(&*panic)));
                }
                resume_unwind(panic)
            }
        }
    }
}

pin_project! {
    /// A future that runs within an operation; see [`MeteredExt::within`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Within<F> {
        // None once it is dropped.
        #[pin]
        future: Option<F>,
        operation: Handle,
    }

    impl<F> PinnedDrop for Within<F> {
        // What is dropped early goes within its operation: its destructors may record.
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _entered = this.operation.enter();
            this.future.set(None);
        }
    }
}

impl<F: Future> Future for Within<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Some(future) = this.future.as_pin_mut() else { return Poll::Pending };
        let _entered = this.operation.enter();
        future.poll(context)
    }
}
