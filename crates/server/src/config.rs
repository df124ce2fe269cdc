//! How a server is set up.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use taximeter::history::History;
use taximeter::otlp_in::Settings;
use taximeter::store::{Durability, SqliteStore};

use crate::AlertsConfig;

use crate::demo::{self, Demo};

/// How a server is set up. What is asked for is the history that it serves; all else has defaults that are safe.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// The history: a store, prices and thresholds.
    pub history: History,
    /// The file in which requests are written down before they are acknowledged. Default: none, and no telemetry is taken.
    pub journal: Option<PathBuf>,
    /// The store's file, for questions in SQL; each opens it anew, to read. Default: none, and they are refused.
    pub sqlite: Option<Arc<SqliteStore>>,
    /// What an acknowledgement outlives. Default: [`Durability::Os`], the death of the process.
    pub durability: Durability,
    /// Where the page and the API are. Default: port 4319 of this machine alone.
    pub page: SocketAddr,
    /// Where OTLP is taken, by gRPC and by HTTP alike. Default: the ports 4317 and 4318 of this machine alone.
    pub otlp: Vec<SocketAddr>,
    /// What every request must bring, as `Authorization: Bearer …`, or as the password that a browser asks for. Default:
    /// nothing, which is refused for addresses that other machines reach.
    pub token: Option<String>,
    /// Further names under which the server is known, such as `meter.example.com`. Requests to other names than these,
    /// `localhost` and its own address are refused. Default: none.
    pub hosts: Vec<String>,
    /// Alerts and budgets. Default: none.
    pub alerts: Option<AlertsConfig>,
    /// How telemetry is read, and how long traces are held.
    pub receiver: Settings,
    /// What is taken of one client, and of all.
    pub limits: Limits,
    /// Whether there is a demo, and whether there is anything else.
    pub(crate) demo: Demo,
}

/// What is taken of one client, and of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Connections that are served at one time by one address; as many more wait for their turn, and of these, those that
    /// said nothing yet go first. Default 4,096; a process has to be allowed as many open files.
    pub connections: usize,
    /// How long a client may take for its headers, and for the first byte of them. Default 10 s.
    pub header_time: Duration,
    /// How long a client may take for a body. Default 30 s.
    pub body_time: Duration,
    /// Bytes of bodies that are held at one time; further ones are refused, to be sent again. Default 64 MiB.
    pub bodies: usize,
    /// How long a request of telemetry waits for room where the store is slower than its clients; then it is refused, to be
    /// sent again. Default 5 s: clients give up after 10.
    pub room_time: Duration,
    /// How long a question may take to be answered. Default 30 s.
    pub answer_time: Duration,
    /// Questions that are answered at one time; further ones wait. Default 4.
    pub questions: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4_096,
            header_time: Duration::from_secs(10),
            body_time: Duration::from_secs(30),
            bodies: 64 << 20,
            room_time: Duration::from_secs(5),
            answer_time: Duration::from_secs(30),
            questions: 4,
        }
    }
}

impl Config {
    /// A page on this machine alone, and nothing else.
    pub fn new(history: History) -> Self {
        let here = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        Self {
            history,
            journal: None,
            sqlite: None,
            durability: Durability::Os,
            page: here(4319),
            otlp: vec![here(4317), here(4318)],
            token: None,
            hosts: Vec::new(),
            alerts: None,
            receiver: Settings::default(),
            limits: Limits::default(),
            demo: Demo::Off,
        }
    }

    /// A page on this machine alone that shows a demo: the operations of a RAG application, played into a store of its own
    /// in memory. It takes no telemetry.
    pub fn demo() -> Self {
        Self { demo: Demo::Only, ..Self::new(demo::history()) }
    }
}
