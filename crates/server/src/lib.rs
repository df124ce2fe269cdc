//! The server of taximeter: receives from any language, stores, shows.
//!
//! ```text
//!  OTLP ──▶ listen ──▶ guard ──▶ otlp ──▶ inbox ──▶ journal, then store
//!                        │                            │
//!  browser, scripts ─────┴──▶ pages, api ◀── History ─┘   (or the demo's, beside it)
//! ```
//!
//! A request of telemetry is acknowledged once it stands in the [journal](taximeter::store::Journal); its operations are
//! in the store a few seconds later, when their traces are whole. A server that is killed in between goes on where it was.
//!
//! ```
//! use std::sync::Arc;
//! use taximeter::history::{History, Windows};
//! use taximeter::store::MemoryStore;
//! use taximeter_server::{Config, Server, ServerError};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), ServerError> {
//! let history = History::new(Arc::new(MemoryStore::summarizing(Arc::new(Windows))));
//! let mut config = Config::new(history);
//! config.page = ([127, 0, 0, 1], 0).into(); // any port that is free
//! let server = Server::start(config.clone()).await?;
//! println!("see http://{}", server.page());
//! server.shutdown().await;
//!
//! // What other machines reach needs a token.
//! config.page = ([0, 0, 0, 0], 0).into();
//! assert!(matches!(Server::start(config).await, Err(ServerError::TokenNeeded { .. })));
//! # Ok(())
//! # }
//! ```

mod alerts;
mod api;
mod assets;
mod config;
mod demo;
mod error;
mod guard;
mod inbox;
mod listen;
mod lobby;
mod otlp;
mod pages;
mod questions;
mod server;

pub use alerts::AlertsConfig;
pub use config::{Config, Limits};
pub use error::ServerError;
pub use server::Server;
