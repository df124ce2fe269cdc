//! Why a server did not start.

use std::io;
use std::net::SocketAddr;

use taximeter::StoreError;
use thiserror::Error;

/// Why a server did not start, and what to do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServerError {
    /// Others could reach it, and nothing keeps them out.
    #[error(
        "listening on {address}: other machines reach it, and there is no token; set one, or listen on 127.0.0.1"
    )]
    TokenNeeded {
        /// The address.
        address: SocketAddr,
    },
    /// The address is taken, or not one of this machine.
    #[error("listening on {address}: {source}; end what listens there, or choose another port")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The journal of what was acknowledged cannot be read or written.
    #[error("opening the journal of requests: {0}")]
    Journal(#[source] StoreError),
    /// What a server before acknowledged could not be stored.
    #[error("storing what was acknowledged before: {0}")]
    Replay(#[source] StoreError),
    /// What was known of the alerts cannot be read.
    #[error("going on with the alerts: {0}")]
    Alerts(#[source] taximeter_alerts::AlertsError),
    /// No thread could be started.
    #[error("starting a thread of the server: {0}; see how many this user may have")]
    Thread(#[source] io::Error),
}
