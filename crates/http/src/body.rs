//! Bodies that are read while they pass.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use taximeter::reply::{End, Follower};

use crate::call::{Asked, Call};

pin_project! {
    /// The body of a reply. Every frame is handed on as it came, when it came; what it says is recorded at its end, or
    /// when it is dropped.
    #[must_use = "a body that is dropped is a call that is cancelled"]
    pub struct MeteredBody<B> {
        #[pin]
        body: B,
        // None where this is no reply of an LLM.
        follower: Option<Follower<Call>>,
        is_at_end: bool,
    }

    impl<B> PinnedDrop for MeteredBody<B> {
        // A body of known length may have come to its end without anybody asking for more.
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if let (Some(follower), true) = (this.follower, *this.is_at_end) {
                follower.end(End::Finished);
            }
        }
    }
}

impl<B: Body> MeteredBody<B> {
    pub(crate) fn new(body: B, follower: Option<Follower<Call>>) -> Self {
        let is_at_end = body.is_end_stream();
        Self { body, follower, is_at_end }
    }
}

impl<B> Body for MeteredBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: std::error::Error + 'static,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        let polled = this.body.as_mut().poll_frame(context);
        let Some(follower) = this.follower else { return polled };
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    follower.see(data);
                }
                *this.is_at_end = this.body.is_end_stream();
            }
            Poll::Ready(Some(Err(error))) => follower.end(End::of_error(error)),
            Poll::Ready(None) => follower.end(End::Finished),
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B: fmt::Debug> fmt::Debug for MeteredBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeteredBody").field("body", &self.body).finish_non_exhaustive()
    }
}

pin_project! {
    /// The body of a request, which is read while it is sent: it says which LLM is asked.
    #[derive(Debug)]
    pub struct RequestBody<B> {
        #[pin]
        body: B,
        // None where this is no request to an LLM.
        asked: Option<Asked>,
    }
}

impl<B> RequestBody<B> {
    pub(crate) fn new(body: B, asked: Option<Asked>) -> Self {
        Self { body, asked }
    }
}

impl<B: Body<Data = Bytes>> Body for RequestBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        let polled = this.body.poll_frame(context);
        if let (Poll::Ready(Some(Ok(frame))), Some(asked)) = (&polled, this.asked)
            && let Some(data) = frame.data_ref()
        {
            asked.see(data);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
