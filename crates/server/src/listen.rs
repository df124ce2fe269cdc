//! The sockets: so many connections, so much time for headers, and an end that lets answers go out.

use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;

use crate::Limits;

/// How long the answers that are under way may take once the server ends.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// Serves until it is told to stop.
pub(crate) async fn serve(
    listener: TcpListener,
    routes: Router,
    limits: Limits,
    mut stopped: watch::Receiver<bool>,
) {
    let room = Arc::new(Semaphore::new(limits.connections));
    let graceful = Arc::new(GracefulShutdown::new());
    loop {
        let next = tokio::select! {
            next = accept(&listener, &room) => next,
            _ = stopped.changed() => break,
        };
        let Some((stream, permit)) = next else { continue };
        let (routes, graceful, stopped) = (routes.clone(), Arc::clone(&graceful), stopped.clone());
        tokio::spawn(async move {
            connection(stream, routes, limits, &graceful, stopped).await;
            drop(permit);
        });
    }
    drop(listener);
    if let Some(graceful) = Arc::into_inner(graceful) {
        let _ = timeout(LAST_ANSWERS, graceful.shutdown()).await;
    }
}

/// The next connection, once there is room for it. What fails here is a client that has gone, or a process out of file
/// descriptors, which passes.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.ok()?;
    if let Ok((stream, _)) = listener.accept().await {
        return Some((stream, permit));
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    None
}

async fn connection(
    stream: TcpStream,
    routes: Router,
    limits: Limits,
    graceful: &GracefulShutdown,
    mut stopped: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    // Whoever connects and says nothing goes: the header's time runs from its first byte.
    let mut first = [0];
    let first = tokio::select! {
        first = timeout(limits.header_time, stream.peek(&mut first)) => first,
        _ = stopped.changed() => return,
    };
    if !matches!(first, Ok(Ok(1))) {
        return;
    }
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_time)
        .max_buf_size(64 << 10);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(limits.header_time))
        .max_concurrent_streams(128)
        .max_header_list_size(64 << 10);
    let served = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    // What goes wrong on a connection is its client's to know.
    let _ = graceful.watch(served.into_owned()).await;
}
