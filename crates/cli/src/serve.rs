//! `taximeter serve`: the page, the API, and telemetry from any language, until it is told to stop.

use std::error::Error;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use clap::Args;
use taximeter::store::Durability;
use taximeter_server::{AlertsConfig, Config, Server};

use crate::Ended;
use crate::alerts::{RulesFile, state};
use crate::context::Context;

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    taximeter serve\n  \
    taximeter serve --demo\n  \
    taximeter serve --store data/metrics --fsync\n  \
    TAXIMETER_TOKEN=… taximeter serve --listen 0.0.0.0 --host meter.example.com\n\n\
    Then, in any program that is instrumented by OpenTelemetry:\n  \
    OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318")]
pub(crate) struct Arguments {
    /// The address to listen on; any but this machine's own needs a token
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    listen: IpAddr,
    /// The port of the page and the API
    #[arg(long, value_name = "PORT", default_value_t = 4319)]
    port: u16,
    /// The ports of OTLP; each takes gRPC and HTTP
    #[arg(long, value_name = "PORT", value_delimiter = ',', default_values_t = [4317, 4318])]
    otlp: Vec<u16>,
    /// Take no telemetry, show only what is stored
    #[arg(long)]
    read_only: bool,
    /// Show a demo: a RAG application is played into a store in memory; nothing is taken, and nothing stored
    #[arg(long, conflicts_with = "read_only")]
    demo: bool,
    /// What every request must bring, as a bearer token or as a password
    #[arg(long, value_name = "TOKEN", env = "TAXIMETER_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// A further name under which the server is known
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,
    #[command(flatten)]
    rules: RulesFile,
    /// Acknowledge telemetry once it outlives a loss of power, and not only the end of the process
    #[arg(long)]
    fsync: bool,
}

pub(crate) fn run(
    arguments: &Arguments,
    context: &Context,
    output: &mut impl Write,
) -> Result<Ended, Box<dyn Error>> {
    allow_open_files();
    let config = config(arguments, context)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let server = Server::start(config).await?;
        writeln!(output, "The page is at http://{}", server.page())?;
        for address in server.otlp() {
            writeln!(output, "OTLP, by gRPC and HTTP, is taken at http://{address}")?;
        }
        writeln!(output, "Control-C ends it; what was taken is stored before.")?;
        output.flush()?;
        stop().await?;
        server.shutdown().await;
        Ok(Ended::Done)
    })
}

fn config(arguments: &Arguments, context: &Context) -> Result<Config, Box<dyn Error>> {
    let mut config = if arguments.demo { Config::demo() } else { of_store(arguments, context)? };
    config.page = SocketAddr::new(arguments.listen, arguments.port);
    config.otlp =
        arguments.otlp.iter().map(|port| SocketAddr::new(arguments.listen, *port)).collect();
    config.token = arguments.token.clone().filter(|token| !token.is_empty());
    config.hosts.clone_from(&arguments.host);
    config.durability = if arguments.fsync { Durability::Fsync } else { Durability::Os };
    Ok(config)
}

/// What is set up for the store alone.
fn of_store(arguments: &Arguments, context: &Context) -> Result<Config, Box<dyn Error>> {
    let (history, path) = if arguments.read_only {
        (context.history()?, context.sqlite()?.path().to_owned())
    } else {
        context.writable(true)?
    };
    let mut config = Config::new(history);
    config.journal = (!arguments.read_only).then(|| path.with_extension("journal.db"));
    config.sqlite = Some(Arc::new(context.sqlite()?));
    let mut alerts = AlertsConfig::new(arguments.rules.load_or_begin()?);
    alerts.state = Some(state(&path));
    alerts.watch = !arguments.read_only;
    config.alerts = Some(alerts);
    Ok(config)
}

/// As many open files as this process may have: each connection is one, and what is usual is fewer than it takes to serve
/// beside a thousand clients that are slow.
#[cfg(unix)]
fn allow_open_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX).min(65_536);
    if limit.current.is_some_and(|current| current < most) {
        limit.current = Some(most);
        // Where it may not be raised, fewer are served at a time.
        let _ = setrlimit(Resource::Nofile, limit);
    }
}

#[cfg(not(unix))]
fn allow_open_files() {}

/// Waits until the process is told to end.
#[cfg(unix)]
async fn stop() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn stop() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}
