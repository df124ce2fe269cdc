//! A running server: its listeners, its inbox, and how it ends.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::middleware;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::alerts::{self, Watching};
use crate::demo::{self, Demo};
use crate::guard::{self, Guard};
use crate::inbox::Inbox;
use crate::questions::Questions;
use crate::{Config, ServerError, api, assets, listen, otlp, pages};

/// A running server. Dropped, it ends at once; what it acknowledged is stored by the next one.
#[derive(Debug)]
pub struct Server {
    page: SocketAddr,
    otlp: Vec<SocketAddr>,
    stop: watch::Sender<bool>,
    listeners: JoinSet<()>,
    inbox: Option<Arc<Inbox>>,
    /// Ends the watch when it goes.
    watching: Option<Watching>,
}

impl Server {
    /// Starts a server within the runtime that runs now. It has stored what an earlier one acknowledged when this returns.
    ///
    /// # Errors
    /// Where an address is taken or needs a token, or the journal cannot be used.
    pub async fn start(config: Config) -> Result<Self, ServerError> {
        let taken = if config.journal.is_some() { config.otlp.as_slice() } else { &[] };
        for address in taken.iter().chain([&config.page]) {
            if !address.ip().is_loopback() && config.token.is_none() {
                return Err(ServerError::TokenNeeded { address: *address });
            }
        }
        let page = bind(config.page).await?;
        let mut otlp = Vec::new();
        for address in taken {
            otlp.push(bind(*address).await?);
        }
        let changed = watch::channel(0).0;
        let inbox = match &config.journal {
            Some(journal) => Some(Inbox::start(journal, &config, changed.clone()).await?),
            None => None,
        };
        let watch = alerts::open(&config)?;
        let watching = alerts::start(&watch)?;
        let endpoint = otlp.last().map(|(_, address)| endpoint(*address, &config));
        let questions = Questions::new(&config, changed, inbox.clone(), endpoint, watch);
        let guard = Guard::new(&config);
        let (stop, stopped) = watch::channel(false);
        let mut server = Self {
            page: page.1,
            otlp: otlp.iter().map(|(_, address)| *address).collect(),
            stop,
            listeners: JoinSet::new(),
            inbox,
            watching,
        };
        if config.demo == Demo::Only {
            demo::play(&questions);
        }
        let shown = guarded(demo::beside(shown(questions), &config, shown), &guard);
        server.listeners.spawn(listen::serve(page.0, shown, config.limits, stopped.clone()));
        for (listener, _) in otlp {
            if let Some(inbox) = &server.inbox {
                let routes = guarded(otlp::routes(Arc::clone(inbox), &config), &guard);
                server.listeners.spawn(listen::serve(
                    listener,
                    routes,
                    config.limits,
                    stopped.clone(),
                ));
            }
        }
        Ok(server)
    }

    /// Where the page and the API are.
    pub fn page(&self) -> SocketAddr {
        self.page
    }

    /// Where OTLP is taken, in the order in which it was asked for.
    pub fn otlp(&self) -> &[SocketAddr] {
        &self.otlp
    }

    /// Ends: takes nothing further, answers what was asked, stores what is held.
    pub async fn shutdown(mut self) {
        let _ = self.stop.send(true);
        drop(self.watching.take());
        while self.listeners.join_next().await.is_some() {}
        if let Some(inbox) = self.inbox.take() {
            inbox.finish().await;
        }
    }
}

/// What is shown of a history: its pages, its API and its alerts.
fn shown(questions: Arc<Questions>) -> Router {
    pages::routes(Arc::clone(&questions)).merge(api::routes(questions)).merge(assets::routes())
}

/// Where programs send their telemetry: by the name of the server, where its address is that of all.
fn endpoint(address: SocketAddr, config: &Config) -> String {
    let port = address.port();
    match config.hosts.first() {
        Some(host) if address.ip().is_unspecified() => format!("http://{host}:{port}"),
        None if address.ip().is_unspecified() => format!("http://127.0.0.1:{port}"),
        _ => format!("http://{address}"),
    }
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServerError> {
    let refused = |source| ServerError::Bind { address, source };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    Ok((listener, address))
}

fn guarded(routes: Router, guard: &Arc<Guard>) -> Router {
    routes.layer(middleware::from_fn_with_state(Arc::clone(guard), guard::check))
}
