//! Operations over gRPC to our own receiver, past servers that fail in every way that there is.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use bytes::Bytes;
use chrono::{TimeDelta, Utc};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use socket2::SockRef;
use taximeter::{OperationRecord, Sink};
use taximeter_otlp::{Counts, Exporter, Protocol};
use taximeter_telemetry::otlp::{Format, Receiver, Settings, Signal};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::failures::{records, three_sent};
use crate::whole::sent_whole;

const SOON: Duration = Duration::from_secs(30);

/// What the server does with one request for spans.
#[derive(Debug, Clone)]
pub(crate) enum Does {
    /// Answers with that status, and how many seconds to wait, and takes nothing.
    Says(u8, Option<u32>),
    /// Begins to answer, and resets the connection.
    Resets,
    /// Says nothing for so long.
    Hangs(Duration),
    /// Takes it, and resets the connection before it says so.
    TakesAndResets,
    /// Says that it took all but so many spans.
    Rejects(u8),
    /// Takes it, says so, and closes the connection.
    TakesAndCloses,
}

/// The headers of one request, and when it came.
#[derive(Debug, Clone)]
pub(crate) struct Came {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) at: Instant,
}

impl Came {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// A server of gRPC that does what its script says, and hands what it takes to a receiver of ours.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) url: String,
    script: Arc<Mutex<VecDeque<Does>>>,
    came: Arc<Mutex<Vec<Came>>>,
    receiver: Arc<Receiver>,
}

/// Headers at once, then the frames of a body.
type Answer = Response<BoxBody<Bytes, std::io::Error>>;

impl Server {
    /// Starts it; after its script it takes everything.
    pub(crate) fn start(script: impl IntoIterator<Item = Does>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let server = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            script: Arc::new(Mutex::new(script.into_iter().collect())),
            came: Arc::default(),
            receiver: Arc::new(Receiver::new(Settings::default(), Utc::now())),
        };
        let serving = server.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serving.clone().serve(stream));
                }
            });
        });
        server
    }

    pub(crate) fn came(&self) -> Vec<Came> {
        self.came.lock().unwrap().clone()
    }

    /// The operations that it took, by id.
    pub(crate) fn records(&self) -> Vec<OperationRecord> {
        let mut records = self.receiver.take(Utc::now() + TimeDelta::hours(1));
        records.sort_by_key(|record| record.id);
        records
    }

    /// Serves one connection, until it is to be reset.
    async fn serve(self, stream: TcpStream) {
        let reset = Arc::new(Notify::new());
        let resets = Arc::clone(&reset);
        // A socket that is closed with no time to linger is reset.
        let socket = SockRef::from(&stream).try_clone().unwrap();
        let answer = service_fn(move |request| self.clone().answer(request, reset.clone()));
        let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let serving = serving.serve_connection(TokioIo::new(stream), answer);
        tokio::select! {
            _ = serving => {}
            () = resets.notified() => {
                // What was begun of an answer is on its way.
                tokio::time::sleep(Duration::from_millis(50)).await;
                socket.set_linger(Some(Duration::ZERO)).unwrap();
            }
        }
    }

    async fn answer(
        self,
        request: Request<Incoming>,
        reset: Arc<Notify>,
    ) -> Result<Answer, Infallible> {
        let (parts, body) = request.into_parts();
        let frame = body.collect().await.unwrap().to_bytes();
        let signal = Signal::of_grpc(parts.uri.path()).unwrap();
        let came =
            Came { path: parts.uri.path().to_owned(), headers: parts.headers, at: Instant::now() };
        self.came.lock().unwrap().push(came.clone());
        let of_spans = signal == Signal::Traces;
        let next = of_spans.then(|| self.script.lock().unwrap().pop_front()).flatten();
        Ok(match next {
            None => self.take(signal, &came, &frame),
            Some(Does::Says(code, wait)) => self.status(code, wait),
            Some(Does::Rejects(spans)) => {
                message(&[0x0a, 0x07, 0x08, spans, 0x12, 0x03, b'b', b'a', b'd'])
            }
            Some(Does::Hangs(time)) => {
                tokio::time::sleep(time).await;
                self.status(14, None)
            }
            Some(Does::Resets) => begun(reset),
            Some(Does::TakesAndResets) => {
                self.take(signal, &came, &frame);
                begun(reset)
            }
            Some(Does::TakesAndCloses) => {
                let answer = self.take(signal, &came, &frame);
                // The answer is told whole before.
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    reset.notify_one();
                });
                answer
            }
        })
    }

    fn take(&self, signal: Signal, came: &Came, frame: &[u8]) -> Answer {
        let encoding = if frame[0] == 1 { came.header("grpc-encoding") } else { None };
        let taken =
            self.receiver.grpc(signal, encoding.unwrap_or("identity"), &frame[5..], Utc::now());
        message(&taken.unwrap().encode(signal, Format::Protobuf))
    }

    /// A call that fails, as our server says it.
    fn status(&self, code: u8, wait: Option<u32>) -> Answer {
        let mut answer = Response::new(Full::default().map_err(|never| match never {}).boxed());
        let headers = answer.headers_mut();
        headers.insert("content-type", HeaderValue::from_static("application/grpc"));
        headers.insert("grpc-status", HeaderValue::from(u16::from(code)));
        if wait.is_some() {
            let mut refusal = self.receiver.not_now("later");
            refusal.retry_after = wait;
            let details = BASE64_STANDARD_NO_PAD.encode(refusal.encode(Format::Protobuf));
            headers.insert("grpc-status-details-bin", details.parse().unwrap());
        }
        answer
    }
}

fn headed(body: BoxBody<Bytes, std::io::Error>) -> Answer {
    let mut answer = Response::new(body);
    answer.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    answer
}

fn message(message: &[u8]) -> Answer {
    let mut frame = vec![0];
    frame.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend(message);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let frames = [Frame::data(Bytes::from(frame)), Frame::trailers(trailers)];
    let frames = futures_util::stream::iter(frames.map(Ok));
    headed(BodyExt::boxed(StreamBody::new(frames)))
}

/// The head of an answer and half a frame; then the connection is reset.
fn begun(reset: Arc<Notify>) -> Answer {
    let frames = futures_util::stream::unfold(0, move |step| {
        let reset = reset.clone();
        async move {
            if step == 0 {
                return Some((Ok(Frame::data(Bytes::from_static(&[0, 0, 0]))), 1));
            }
            reset.notify_one();
            std::future::pending().await
        }
    });
    headed(BodyExt::boxed(StreamBody::new(Box::pin(frames))))
}

fn exporter(url: &str) -> taximeter_otlp::Builder {
    Exporter::builder().endpoint(url).protocol(Protocol::Grpc)
}

#[test]
fn what_is_recorded_arrives_as_it_was() {
    for gzip in [false, true] {
        let server = Server::start([]);
        let builder = exporter(&server.url).header("x-key", "k").gzip(gzip);
        assert_eq!(sent_whole(builder), server.records());
        let came = server.came();
        for signal in ["trace.v1.TraceService", "metrics.v1.MetricsService"] {
            let method = format!("/opentelemetry.proto.collector.{signal}/Export");
            assert!(came.iter().any(|came| came.path == method), "{method}");
        }
        for came in came {
            assert_eq!(came.header("x-key"), Some("k"));
            assert_eq!(came.header("grpc-encoding"), gzip.then_some("gzip"));
            assert!(came.header("grpc-timeout").is_some());
            let agent = came.header("user-agent").unwrap();
            assert!(agent.starts_with("OTel-OTLP-Exporter-taximeter/"), "{agent}");
        }
    }
}

/// What became of three operations that were sent to a server with that script.
fn sent(script: impl IntoIterator<Item = Does>) -> (Counts, Server) {
    let server = Server::start(script);
    (three_sent(exporter(&server.url).timeout(Duration::from_secs(2))), server)
}

#[test]
fn what_may_be_taken_later_is_tried_again() {
    let mut failures: Vec<_> = [1, 4, 10, 11, 14, 15].map(|code| Does::Says(code, None)).into();
    failures.extend([Does::Says(14, Some(0)), Does::Resets, Does::Hangs(SOON)]);
    for failure in failures {
        let (counts, server) = sent([failure.clone(), failure.clone()]);
        assert_eq!((counts.sent, counts.retries), (3, 2), "{failure:?}: {counts:?}");
        assert_eq!(server.records().len(), 3, "{failure:?}");
    }
    // A retry of what was taken, but never answered, is the same spans again.
    let (counts, server) = sent([Does::TakesAndResets]);
    assert_eq!((counts.sent, counts.retries, server.records().len()), (3, 1, 3), "{counts:?}");
}

#[test]
fn nobody_comes_back_before_the_receiver_asked_to() {
    for code in [14, 8] {
        let (counts, server) = sent([Does::Says(code, Some(1))]);
        assert_eq!((counts.sent, counts.retries), (3, 1), "{counts:?}");
        let came = server.came();
        assert!(came[1].at - came[0].at >= Duration::from_secs(1), "{code}");
    }
}

#[test]
fn what_will_never_be_taken_is_tried_once() {
    // Of what is exhausted there is no more later, unless it is said when.
    for code in [2, 3, 5, 6, 7, 8, 9, 12, 13, 16] {
        let (counts, server) = sent([Does::Says(code, None)]);
        assert_eq!((counts.refused, counts.retries, counts.sent), (3, 0, 0), "{code}: {counts:?}");
        assert_eq!(server.came().len(), 1, "{code}");
    }
}

#[test]
fn what_a_receiver_left_out_is_counted_and_not_sent_again() {
    let (counts, server) = sent([Does::Rejects(2)]);
    assert_eq!((counts.sent, counts.rejected_spans, counts.retries), (3, 2, 0), "{counts:?}");
    assert_eq!(server.came().len(), 1);
}

#[test]
fn a_connection_that_was_closed_meanwhile_costs_no_try() {
    let server = Server::start([Does::TakesAndCloses]);
    let exporter = exporter(&server.url).retry(SOON, SOON).start().unwrap();
    exporter.accept(records(1)).unwrap();
    assert!(exporter.flush(SOON));
    // Longer than it takes the server to close.
    std::thread::sleep(Duration::from_secs(1));
    exporter.accept(records(1)).unwrap();
    assert!(exporter.flush(SOON));
    let counts = exporter.counts();
    assert_eq!((counts.sent, counts.retries), (2, 0), "{counts:?}");
}

#[test]
fn nobody_at_the_address_is_a_loss_that_is_counted() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let exporter = exporter(&format!("http://{nobody}"))
        .retry(Duration::from_millis(1), Duration::from_millis(50))
        .start()
        .unwrap();
    exporter.accept(records(3)).unwrap();
    assert!(exporter.flush(SOON));
    assert_eq!(exporter.counts().given_up, 3);
}
