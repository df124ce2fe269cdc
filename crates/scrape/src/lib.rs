//! A small listener that Prometheus can scrape: `GET /metrics` of one meter, on a thread of its own.
//!
//! It is for programs that serve no HTTP. Who does mounts [`Meter::metrics`] in the server that is there.
//!
//! ```
//! use taximeter::Meter;
//! use taximeter_scrape::Listener;
//!
//! let meter = Meter::builder().build()?;
//! meter.operation("answer").start().succeed();
//! let listener = Listener::start(&meter, "127.0.0.1:0")?; // Prometheus' own port for this is 9464
//! let url = format!("http://{}/metrics", listener.address());
//! let text = ureq::get(&url).call()?.body_mut().read_to_string()?;
//! assert!(text.contains("taximeter_operation_duration_seconds_count"));
//!
//! // An address that is taken says so.
//! assert!(Listener::start(&meter, listener.address()).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! It serves 16 connections at once, of which each has 10 s; further ones wait for the system's own queue. Everything that
//! a scrape needs is done beside the threads that record, which never wait for it.

use std::convert::Infallible;
use std::fmt;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT, ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use taximeter::Meter;
use tokio::sync::{Semaphore, oneshot};

/// Answers scrapes of a meter until it is dropped. It keeps the meter alive.
#[must_use = "dropped, it answers no more"]
pub struct Listener {
    address: SocketAddr,
    /// Dropped to end the thread.
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// The most connections that are served at once.
const CONNECTIONS: usize = 16;
/// How long a connection may take in all, and its request's headers.
const TIME: Duration = Duration::from_secs(10);
/// How long it pauses where the system gives no connection, such as when there are too many files open.
const PAUSE: Duration = Duration::from_millis(100);

impl Listener {
    /// Listens at an address; choose one of the loopback, since nobody is asked who they are.
    ///
    /// # Errors
    /// Where the address is none, is taken, or the operating system gives no thread.
    pub fn start(meter: &Meter, address: impl ToSocketAddrs) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(2)
            .thread_name("taximeter-scrape")
            .build()?;
        let (end, ended) = oneshot::channel();
        let meter = meter.clone();
        let thread = std::thread::Builder::new().name("taximeter-scrape".into());
        let thread = thread.spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serve(listener, meter) => {}
                    // Dropped is what is waited for.
                    _ = ended => {}
                }
            });
            runtime.shutdown_background();
        })?;
        Ok(Self { address, end: Some(end), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        drop(self.end.take());
        // It ends at once, whatever its connections do.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("address", &self.address).finish_non_exhaustive()
    }
}

async fn serve(listener: TcpListener, meter: Meter) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let meter = meter.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(request, meter.clone()));
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(TIME).max_buf_size(16 << 10);
            let connection = http.serve_connection(TokioIo::new(stream), service);
            // A scraper that is slow or gone is its own loss.
            let _ = tokio::time::timeout(TIME, connection).await;
            drop(place);
        });
    }
}

async fn answer<B>(request: Request<B>, meter: Meter) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path() != "/metrics" {
        return Ok(said(StatusCode::NOT_FOUND, &[], "the metrics are at /metrics\n"));
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return Ok(said(StatusCode::METHOD_NOT_ALLOWED, &[(ALLOW, "GET, HEAD")], ""));
    }
    let text = |name| request.headers().get(name)?.to_str().ok().map(str::to_owned);
    let (accept, gzip) = (text(ACCEPT), wants_gzip(request.headers()));
    // It may wait for the meter's worker, and the others do not wait for that.
    let scrape = tokio::task::spawn_blocking(move || {
        let scrape = meter.metrics(accept.as_deref());
        let compressed = gzip.then(|| compressed(scrape.body.as_bytes())).flatten();
        (scrape.content_type, compressed.ok_or(scrape.body))
    });
    Ok(match scrape.await {
        Ok((content_type, Ok(compressed))) => {
            let headers = [(CONTENT_TYPE, content_type), (CONTENT_ENCODING, "gzip")];
            said(StatusCode::OK, &headers, compressed)
        }
        Ok((content_type, Err(body))) => {
            said(StatusCode::OK, &[(CONTENT_TYPE, content_type)], body)
        }
        Err(_) => said(StatusCode::INTERNAL_SERVER_ERROR, &[], "the metrics could not be read\n"),
    })
}

fn said(
    status: StatusCode,
    headers: &[(HeaderName, &'static str)],
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    for (name, value) in headers {
        response.headers_mut().insert(name, http::HeaderValue::from_static(value));
    }
    response
}

/// Whether an answer may be compressed: `gzip` is named, and not with a weight of zero (RFC 9110, section 12.5.3).
fn wants_gzip(headers: &HeaderMap) -> bool {
    let named = |coding: &str| {
        let mut parts = coding.split(';').map(str::trim);
        let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let weight = parts.find_map(|part| part.strip_prefix("q=")).unwrap_or("1");
        is_gzip && weight.parse::<f32>().is_ok_and(|weight| weight > 0.0)
    };
    let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(named)
}

fn compressed(body: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 8), Compression::fast());
    encoder.write_all(body).and_then(|()| encoder.finish()).ok()
}
