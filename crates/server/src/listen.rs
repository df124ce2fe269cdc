//! The sockets: so many connections, so much time for headers, and an end that lets answers go out.

use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;

use crate::Limits;
use crate::lobby::{Lobby, Place};

/// How long the answers that are under way may take once the server ends.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// Serves until it is told to stop.
pub(crate) async fn serve(
    listener: TcpListener,
    routes: Router,
    limits: Limits,
    mut stopped: watch::Receiver<bool>,
) {
    let graceful = GracefulShutdown::new();
    let room = Room {
        lobby: Lobby::new(limits.connections),
        served: Arc::new(Semaphore::new(limits.connections)),
        limits,
    };
    loop {
        let next = tokio::select! {
            next = accept(&listener) => next,
            _ = stopped.changed() => break,
        };
        let Some(stream) = next else { continue };
        // Where nobody can be sent away, it is the newcomer who goes.
        let Some(place) = room.lobby.enter() else { continue };
        let (room, routes) = (room.clone(), routes.clone());
        let (watcher, mut stopped) = (graceful.watcher(), stopped.clone());
        tokio::spawn(async move {
            let admitted = tokio::select! {
                admitted = room.admit(&stream, &place) => admitted,
                () = place.sent_away() => return,
                _ = stopped.changed() => return,
            };
            drop(place);
            if let Some(permit) = admitted {
                connection(stream, routes, limits, watcher).await;
                drop(permit);
            }
        });
    }
    drop(listener);
    let _ = timeout(LAST_ANSWERS, graceful.shutdown()).await;
}

/// The next connection. What fails here is a client that has gone, or a process out of file descriptors, which passes.
async fn accept(listener: &TcpListener) -> Option<TcpStream> {
    if let Ok((stream, _)) = listener.accept().await {
        return Some(stream);
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    None
}

/// How many are served at a time, and who waits for it.
#[derive(Clone)]
struct Room {
    lobby: Arc<Lobby>,
    served: Arc<Semaphore>,
    limits: Limits,
}

impl Room {
    /// Waits for the first byte of a connection, and then for its turn. None where either takes too long.
    async fn admit(&self, stream: &TcpStream, place: &Place) -> Option<OwnedSemaphorePermit> {
        let time = self.limits.header_time;
        // Whoever connects and says nothing goes: the header's time runs from its first byte.
        let mut first = [0];
        if !matches!(timeout(time, stream.peek(&mut first)).await, Ok(Ok(1))) {
            return None;
        }
        place.spoke();
        timeout(time, Arc::clone(&self.served).acquire_owned()).await.ok()?.ok()
    }
}

async fn connection(stream: TcpStream, routes: Router, limits: Limits, watcher: Watcher) {
    let _ = stream.set_nodelay(true);
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
    let _ = watcher.watch(served.into_owned()).await;
}
