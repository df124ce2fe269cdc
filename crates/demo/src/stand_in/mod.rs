//! A stand-in for an OpenAI-compatible server: the same HTTP, real token counts, and failures on demand.
//!
//! It is no model. It answers out of the passages it is sent (`extract`), and everything around that answer is as a
//! client finds it at a provider: tokens counted by the real tokenizer (`tokens`), a prompt cache that remembers
//! prefixes (`prefix_cache`), prefill and per-token latency, server-sent events, errors with their codes and headers
//! (`replies`). `ledger` keeps the truth that a meter is held against.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;

use desk::Desk;
pub use ledger::{Served, ServedTokens};
pub use settings::{FaultRates, StandInConfig};

mod desk;
mod extract;
mod http;
mod ledger;
mod prefix_cache;
mod replies;
mod request;
mod settings;
mod tokens;

/// A server on the loopback, on a port of its own; it stops when this is dropped.
///
/// ```
/// use taximeter_demo::{StandIn, StandInConfig};
///
/// let stand_in = StandIn::start(StandInConfig::default())?;
/// assert!(stand_in.base_url().starts_with("http://127.0.0.1:"));
/// assert_eq!(stand_in.served().requests, 0);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct StandIn {
    address: SocketAddr,
    desk: Arc<Desk>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl StandIn {
    /// Starts serving.
    ///
    /// # Errors
    ///
    /// What the system says when it has no port or no thread to give.
    pub fn start(config: StandInConfig) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        // The tokenizer takes a while to load, which must not count as the latency of the first request.
        tokens::load();
        let desk = Arc::new(Desk::new(config));
        let (stop, stopped) = oneshot::channel();
        // The runtime lives and dies on a thread of its own, as dropping one within another panics.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("stand-in")
            .enable_all()
            .build()?;
        let served_by = Arc::clone(&desk);
        let thread = thread::Builder::new().name("stand-in".to_owned()).spawn(move || {
            runtime.block_on(http::serve(listener, served_by, stopped));
            runtime.shutdown_background();
        })?;
        Ok(Self { address, desk, stop: Some(stop), thread: Some(thread) })
    }

    /// The address in front of `/chat/completions`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The key that it takes; any other is refused with a 401.
    pub fn api_key(&self) -> &str {
        self.desk.api_key()
    }

    /// What it has served so far.
    pub fn served(&self) -> Served {
        self.desk.served()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // It fails when the server has ended by itself, and then there is nothing to stop.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
