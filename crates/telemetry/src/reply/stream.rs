//! Looking on while somebody else reads a reply: every byte passes unchanged, and at once.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use pin_project_lite::pin_project;
use taximeter_models::{ErrorCategory, ErrorRecord};

use super::{Accumulator, Streamed};

/// Who wants to know what a reply came to, and has the clock.
pub trait Watch {
    /// The time since the request was sent.
    fn elapsed(&self) -> Duration;

    /// The first token came; told once, as soon as it is here.
    fn first_token(&mut self) {}

    /// The reply has ended, in one way or another; told once.
    fn ended(self, streamed: Streamed, end: End);
}

/// How the bytes of a reply ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// There were no more, or the reply said that there would be no more.
    Finished,
    /// Reading them failed.
    Failed(ErrorRecord),
    /// Nobody read on.
    Dropped,
}

impl End {
    /// Reading failed with that error. What breaks while bytes come is the network, where the error says no other
    /// thing than that they could not be read.
    pub fn of_error(error: &(dyn Error + 'static)) -> Self {
        let mut record = ErrorRecord::of(error);
        if matches!(record.category, ErrorCategory::Unknown | ErrorCategory::Parse) {
            record.category = ErrorCategory::Network;
        }
        Self::Failed(record)
    }
}

/// An [`Accumulator`] and who wants to know what it gathered: told once, at the end or when this is dropped.
///
/// For those who pass bytes on in another way than as a [`Stream`]; see [`MeteredStream`].
#[derive(Debug)]
pub struct Follower<W: Watch> {
    /// None once it was told.
    follows: Option<(Accumulator, W)>,
    had_token: bool,
}

impl<W: Watch> Follower<W> {
    /// Follows a reply on behalf of somebody.
    pub fn new(accumulator: Accumulator, watch: W) -> Self {
        Self { follows: Some((accumulator, watch)), had_token: false }
    }

    /// Sees the next bytes pass. Where they say that the reply is complete, it has ended.
    pub fn see(&mut self, bytes: &[u8]) {
        let Some((accumulator, watch)) = &mut self.follows else { return };
        accumulator.push(bytes, watch.elapsed());
        if !self.had_token && accumulator.time_to_first_token().is_some() {
            self.had_token = true;
            watch.first_token();
        }
        if accumulator.is_closed() {
            self.end(End::Finished);
        }
    }

    /// The bytes have ended; what comes later changes nothing.
    pub fn end(&mut self, end: End) {
        if let Some((accumulator, watch)) = self.follows.take() {
            let streamed = accumulator.finish(watch.elapsed());
            watch.ended(streamed, end);
        }
    }
}

impl<W: Watch> Drop for Follower<W> {
    fn drop(&mut self) {
        self.end(End::Dropped);
    }
}

pin_project! {
    /// A stream of bytes that is followed while it passes: every item is handed on as it came, when it came.
    ///
    /// ```
    /// use std::io;
    /// use std::sync::mpsc::Sender;
    /// use std::time::{Duration, Instant};
    /// use bytes::Bytes;
    /// use futures_util::{StreamExt, stream};
    /// use taximeter_telemetry::reply::{Accumulator, End, Framing, MeteredStream, Streamed, Watch};
    ///
    /// struct Meter(Instant, Sender<(Streamed, End)>);
    ///
    /// impl Watch for Meter {
    ///     fn elapsed(&self) -> Duration {
    ///         self.0.elapsed()
    ///     }
    ///
    ///     fn ended(self, streamed: Streamed, end: End) {
    ///         let _ = self.1.send((streamed, end));
    ///     }
    /// }
    ///
    /// let (sender, told) = std::sync::mpsc::channel();
    /// let chunks = [r#"{"model":"llama3","message":{"content":"42"},"done":false}"#, "\n"];
    /// let body = stream::iter(chunks.map(|chunk| Ok::<_, io::Error>(Bytes::from(chunk))));
    /// let mut metered = MeteredStream::new(body, Accumulator::new(Framing::Lines), Meter(Instant::now(), sender));
    ///
    /// futures_executor::block_on(async {
    ///     assert_eq!(metered.next().await.expect("an item")?, chunks[0].as_bytes());
    ///     drop(metered); // nobody reads on
    ///     Ok::<_, io::Error>(())
    /// })?;
    /// let (streamed, end) = told.recv()?;
    /// assert_eq!((streamed.cut, end), (true, End::Dropped));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "streams do nothing unless polled"]
    pub struct MeteredStream<S, W: Watch> {
        #[pin]
        stream: S,
        follower: Follower<W>,
    }
}

impl<S, W: Watch> MeteredStream<S, W> {
    /// Follows a stream on behalf of somebody.
    pub fn new(stream: S, accumulator: Accumulator, watch: W) -> Self {
        Self { stream, follower: Follower::new(accumulator, watch) }
    }
}

impl<S, W: Watch, B, E> Stream for MeteredStream<S, W>
where
    S: Stream<Item = Result<B, E>>,
    B: AsRef<[u8]>,
    E: Error + 'static,
{
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        let polled = this.stream.poll_next(context);
        match &polled {
            Poll::Ready(Some(Ok(bytes))) => this.follower.see(bytes.as_ref()),
            Poll::Ready(Some(Err(error))) => {
                this.follower.end(End::of_error(error));
            }
            Poll::Ready(None) => this.follower.end(End::Finished),
            Poll::Pending => {}
        }
        polled
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.stream.size_hint()
    }
}

impl<S: fmt::Debug, W: Watch> fmt::Debug for MeteredStream<S, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeteredStream").field("stream", &self.stream).finish_non_exhaustive()
    }
}
