//! The middleware for `reqwest-middleware`.

use async_trait::async_trait;
use http::{Extensions, Uri};
use reqwest::{Body, Request, Response, ResponseBuilderExt};
use reqwest_middleware::{Middleware, Next, Result};

use crate::call::Call;
use crate::{MeteredBody, Metering};

/// Meters the calls of LLMs that a `reqwest_middleware::ClientWithMiddleware` makes.
///
/// Put in before a middleware that retries it sees one call, put in behind it each try, with its number.
///
/// ```no_run
/// use reqwest_middleware::ClientBuilder;
/// use taximeter_http::MeterMiddleware;
///
/// let client = ClientBuilder::new(reqwest::Client::new()).with(MeterMiddleware::new()).build();
/// ```
#[derive(Debug, Clone, Default)]
pub struct MeterMiddleware(Metering);

impl MeterMiddleware {
    /// Meters as [`Metering::new`] does.
    pub fn new() -> Self {
        Self::default()
    }

    /// Meters in that way.
    pub fn with(metering: Metering) -> Self {
        Self(metering)
    }

    fn begin(&self, request: &mut Request, extensions: &mut Extensions) -> Option<Call> {
        let uri: Uri = request.url().as_str().parse().ok()?;
        let call = self.0.begin(request.method(), &uri, request.headers(), extensions);
        self.0.tell_trace(call.as_ref(), &uri, request.headers_mut());
        let call = call?;
        if let Some(body) = request.body().and_then(Body::as_bytes) {
            call.asked().see(body);
        }
        Some(call)
    }
}

#[async_trait]
impl Middleware for MeterMiddleware {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let call = self.begin(&mut request, extensions);
        match (next.run(request, extensions).await, call) {
            (Ok(reply), Some(call)) => Ok(followed(reply, call)),
            (Err(error), Some(call)) => {
                call.fail(&error);
                Err(error)
            }
            (untouched, None) => untouched,
        }
    }
}

/// The same reply with a body that is read while it passes.
fn followed(reply: Response, call: Call) -> Response {
    let url = reply.url().clone();
    let (mut parts, body) = http::Response::from(reply).into_parts();
    let follower = call.replied(parts.status, &parts.headers);
    // The address is not among the parts; it is handed over in an extension.
    let addressed = http::Response::builder().url(url).body(());
    if let Ok(addressed) = addressed {
        parts.extensions.extend(addressed.into_parts().0.extensions);
    }
    let body = Body::wrap(MeteredBody::new(body, Some(follower)));
    Response::from(http::Response::from_parts(parts, body))
}
