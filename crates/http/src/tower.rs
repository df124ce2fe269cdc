//! The layer for clients that are `tower` services.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use taximeter::Failure;
use tower_layer::Layer;
use tower_service::Service;

use crate::call::Call;
use crate::{MeteredBody, Metering, RequestBody};

/// Meters the calls of LLMs that pass through a `tower` service, such as a client of `hyper-util`.
///
/// `Kind` tells the kinds of errors apart that the service may have; it is inferred.
///
/// Outside of a layer that retries it sees one call, inside of it each try: see [`Attempts`](crate::Attempts).
///
/// ```
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use http_body_util::{BodyExt, Full};
/// use taximeter::{Meter, MeteredExt};
/// use taximeter_http::{MeterLayer, RequestBody};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let openai = service_fn(async |_: Request<RequestBody<Full<Bytes>>>| {
///     let body = r#"{"object":"list","model":"text-embedding-3-small","data":[],"usage":{"prompt_tokens":8,"total_tokens":8}}"#;
///     Ok::<_, std::io::Error>(Response::new(Full::from(body)))
/// });
/// let client = ServiceBuilder::new().layer(MeterLayer::new()).service(openai);
///
/// let meter = Meter::builder().build()?;
/// let op = meter.operation("index").start();
/// let handle = op.handle();
/// let request = Request::post("https://api.openai.com/v1/embeddings").body(Full::from("{}"))?;
/// let embed = async { client.oneshot(request).await?.into_body().collect().await.map_err(std::io::Error::other) };
/// embed.within(handle).await?;
///
/// let record = op.finish().expect("the meter is on");
/// assert_eq!(record.usage().input_tokens(), 8);
/// assert_eq!(record.cost().usd().to_string(), "0.00000016");
/// # Ok(())
/// # }
/// ```
pub struct MeterLayer<Kind = ()> {
    metering: Metering,
    kind: PhantomData<fn() -> Kind>,
}

impl<Kind> MeterLayer<Kind> {
    /// Meters as [`Metering::new`] does.
    pub fn new() -> Self {
        Self::with(Metering::new())
    }

    /// Meters in that way.
    pub fn with(metering: Metering) -> Self {
        Self { metering, kind: PhantomData }
    }
}

impl<Kind> Default for MeterLayer<Kind> {
    fn default() -> Self {
        Self::new()
    }
}

impl<Kind> Clone for MeterLayer<Kind> {
    fn clone(&self) -> Self {
        Self::with(self.metering.clone())
    }
}

impl<Kind> fmt::Debug for MeterLayer<Kind> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MeterLayer").field(&self.metering).finish()
    }
}

impl<S, Kind> Layer<S> for MeterLayer<Kind> {
    type Service = Metered<S, Kind>;

    fn layer(&self, inner: S) -> Metered<S, Kind> {
        Metered { inner, metering: self.metering.clone(), kind: PhantomData }
    }
}

/// A service whose calls of LLMs are metered; see [`MeterLayer`].
pub struct Metered<S, Kind = ()> {
    inner: S,
    metering: Metering,
    kind: PhantomData<fn() -> Kind>,
}

impl<S: Clone, Kind> Clone for Metered<S, Kind> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), metering: self.metering.clone(), kind: PhantomData }
    }
}

impl<S: fmt::Debug, Kind> fmt::Debug for Metered<S, Kind> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Metered").field(&self.inner).finish()
    }
}

impl<S, Kind, Sent, Received> Service<Request<Sent>> for Metered<S, Kind>
where
    S: Service<Request<RequestBody<Sent>>, Response = Response<Received>>,
    S::Error: Failure<Kind>,
    Received: Body,
{
    type Response = Response<MeteredBody<Received>>;
    type Error = S::Error;
    type Future = MeteredFuture<S::Future, Kind>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Sent>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        let extensions = &mut parts.extensions;
        let call = self.metering.begin(&parts.method, &parts.uri, &parts.headers, extensions);
        self.metering.tell_trace(call.as_ref(), &parts.uri, &mut parts.headers);
        let body = RequestBody::new(body, call.as_ref().map(Call::asked));
        let reply = self.inner.call(Request::from_parts(parts, body));
        MeteredFuture { reply, call, kind: PhantomData }
    }
}

pin_project! {
    /// The future of a [`Metered`] service.
    #[must_use = "futures do nothing unless polled"]
    pub struct MeteredFuture<F, Kind> {
        #[pin]
        reply: F,
        call: Option<Call>,
        kind: PhantomData<fn() -> Kind>,
    }
}

impl<F, Kind, Received, E> Future for MeteredFuture<F, Kind>
where
    F: Future<Output = Result<Response<Received>, E>>,
    E: Failure<Kind>,
    Received: Body,
{
    type Output = Result<Response<MeteredBody<Received>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let reply = ready!(this.reply.poll(context));
        let call = this.call.take();
        Poll::Ready(match reply {
            Ok(reply) => {
                let (parts, body) = reply.into_parts();
                let follower = call.map(|call| call.replied(parts.status, &parts.headers));
                Ok(Response::from_parts(parts, MeteredBody::new(body, follower)))
            }
            Err(error) => {
                if let Some(call) = call {
                    call.fail(&error);
                }
                Err(error)
            }
        })
    }
}

impl<F: fmt::Debug, Kind> fmt::Debug for MeteredFuture<F, Kind> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MeteredFuture").field(&self.reply).finish()
    }
}
