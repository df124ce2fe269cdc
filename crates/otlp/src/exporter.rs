//! The exporter: a sink of a meter that sends what it gets.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder as Thread, JoinHandle};
use std::time::{Duration, Instant};

use chrono::Utc;
use taximeter::metrics::{Family, Reader};
use taximeter::otlp::{Convention, Resource};
use taximeter::{Meter, OperationRecord, Sink, SinkError};
use thiserror::Error;

use crate::environment::{Environment, EnvironmentError};
use crate::protocol::{Endpoint, Protocol, Signal};
use crate::queue::{Counts, Queue};
use crate::sender::{Plan, Sender};
use crate::transport::Target;

/// Sends operations and metrics. Clones are the same exporter; when the last is gone, that of the meter included, what
/// waits is tried once more, for two seconds at most.
#[derive(Debug, Clone)]
pub struct Exporter(Arc<Owner>);

#[derive(Debug)]
struct Owner {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the exporter and its thread share.
pub(crate) struct Shared {
    pub(crate) queue: Queue,
    readers: Mutex<Vec<Reader>>,
    /// Whether operations are sent at all.
    sends_spans: bool,
}

/// Why an exporter could not be started.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// A variable of the environment cannot be followed.
    #[error("starting the exporter of OTLP")]
    Environment(#[from] EnvironmentError),
    /// The endpoint is none that it can speak to.
    #[error("starting the exporter of OTLP to {endpoint:?}: {why}")]
    Endpoint {
        /// The endpoint.
        endpoint: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The operating system gives no thread.
    #[error("starting the thread of the exporter of OTLP")]
    Spawn(#[source] std::io::Error),
}

/// Builds an [`Exporter`].
#[derive(Debug, Clone)]
#[must_use = "the exporter is there after `start()`"]
pub struct Builder {
    plan: Plan,
    queue: usize,
}

impl Builder {
    fn new() -> Self {
        let target = |signal| Some(Target::new(signal, Endpoint::Usual));
        let plan = Plan {
            traces: target(Signal::Traces),
            metrics: target(Signal::Metrics),
            resource: Resource::named("unknown_service:taximeter"),
            convention: Convention::Current,
            batch: 512,
            delay: Duration::from_secs(5),
            every: Duration::from_secs(60),
            pause: Duration::from_secs(1),
            patience: Duration::from_secs(60),
        };
        Self { plan, queue: 2_048 }
    }

    fn of_environment(environment: Environment) -> Self {
        let mut builder = Self::new();
        let plan = &mut builder.plan;
        (plan.traces, plan.metrics) = (environment.traces, environment.metrics);
        (plan.resource, plan.convention) = (environment.resource, environment.convention);
        plan.batch = environment.batch.unwrap_or(plan.batch);
        plan.delay = environment.delay.unwrap_or(plan.delay);
        plan.every = environment.every.unwrap_or(plan.every);
        builder.queue = environment.queue.unwrap_or(builder.queue);
        builder
    }

    /// Where it sends to, without the path of a signal: over HTTP `/v1/traces` and `/v1/metrics` are put behind it.
    /// Default: `http://localhost:4318`, over gRPC `http://localhost:4317`. An address with `https://` needs the feature
    /// `tls`.
    pub fn endpoint(mut self, url: &str) -> Self {
        let Plan { traces, metrics, .. } = &mut self.plan;
        for (signal, target) in [(Signal::Traces, traces), (Signal::Metrics, metrics)] {
            let target = target.get_or_insert_with(|| Target::new(signal, Endpoint::Usual));
            target.endpoint = Endpoint::OfAll(url.to_owned());
        }
        self
    }

    /// A header of every request, such as `authorization`. Default: none.
    pub fn header(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let header = (name.into(), value.into());
        self.targets(|target| target.headers.push(header.clone()))
    }

    /// How long a request may take until its answer is read. Default: 10 s.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.targets(|target| target.timeout = timeout)
    }

    /// Whether bodies are compressed by gzip. Default: no.
    pub fn gzip(self, gzip: bool) -> Self {
        self.targets(|target| target.gzip = gzip)
    }

    /// Who may vouch for a receiver that is spoken to by `https://`: certificates in PEM. Default: the authorities that
    /// browsers trust, which are not asked any more then.
    #[cfg(feature = "tls")]
    pub fn trusted_certificates(self, pem: impl Into<Vec<u8>>) -> Self {
        let pem = pem.into();
        self.targets(|target| target.trust.roots = Some(pem.clone()))
    }

    /// How it says who it is to a receiver that asks (mutual TLS): its certificate, with those behind it that vouch for it,
    /// and the key of the first, each in PEM. Default: it does not say.
    #[cfg(feature = "tls")]
    pub fn client_certificate(self, pem: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        let (pem, key) = (pem.into(), key.into());
        self.targets(|target| {
            (target.trust.chain, target.trust.key) = (Some(pem.clone()), Some(key.clone()));
        })
    }

    /// By which protocol it is sent. Default: [`Protocol::HttpProtobuf`].
    pub fn protocol(self, protocol: Protocol) -> Self {
        self.targets(|target| target.protocol = protocol)
    }

    fn targets(mut self, change: impl Fn(&mut Target)) -> Self {
        self.plan.traces.iter_mut().chain(&mut self.plan.metrics).for_each(change);
        self
    }

    /// The attributes of this process. Default: a service that is not known.
    pub fn resource(mut self, resource: Resource) -> Self {
        self.plan.resource = resource;
        self
    }

    /// In whose words spans are written. Default: the current ones.
    pub fn convention(mut self, convention: Convention) -> Self {
        self.plan.convention = convention;
        self
    }

    /// The most operations that wait; further ones are lost, and counted. Default: 2,048.
    pub fn queue(mut self, operations: usize) -> Self {
        self.queue = operations;
        self
    }

    /// The most operations of one request. Default: 512.
    pub fn batch(mut self, operations: usize) -> Self {
        self.plan.batch = operations;
        self
    }

    /// How long operations wait for a batch to fill. Default: 5 s.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.plan.delay = delay;
        self
    }

    /// How often metrics are sent. Default: once in a minute.
    pub fn every(mut self, every: Duration) -> Self {
        self.plan.every = every;
        self
    }

    /// The pause before the second try of a request, which doubles with each; and the most time from the first try on,
    /// after which it is given up. Default: 1 s and a minute. How long a receiver asks to wait counts first, up to 30 s.
    pub fn retry(mut self, pause: Duration, patience: Duration) -> Self {
        (self.plan.pause, self.plan.patience) = (pause, patience);
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// Where the endpoint is no address of HTTP, or needs the feature `tls`; where certificates or keys are none; or where the operating system gives no
    /// thread.
    pub fn start(self) -> Result<Exporter, StartError> {
        let Self { mut plan, queue } = self;
        plan.batch = plan.batch.max(1);
        for target in plan.traces.iter().chain(&plan.metrics) {
            check(target)?;
        }
        let sends_spans = plan.traces.is_some();
        let (queue, readers) = (Queue::new(queue), Mutex::default());
        let shared = Arc::new(Shared { queue, readers, sends_spans });
        // Who is switched off needs no thread.
        if plan.traces.is_none() && plan.metrics.is_none() {
            shared.queue.end();
            return Ok(Exporter(Arc::new(Owner { shared, thread: Mutex::default() })));
        }
        let sender = Sender { shared: Arc::clone(&shared), plan, started: Utc::now() };
        let thread = Thread::new().name("taximeter-otlp".into());
        let thread = thread.spawn(move || sender.run()).map_err(StartError::Spawn)?;
        Ok(Exporter(Arc::new(Owner { shared, thread: Mutex::new(Some(thread)) })))
    }
}

fn check(target: &Target) -> Result<(), StartError> {
    let endpoint = target.url();
    let checked = match endpoint.split_once("://") {
        Some(("http", _)) => Ok(()),
        Some(("https", _)) => check_trust(target),
        _ => Err("an address that begins with http:// or https:// was expected"),
    };
    checked.map_err(|why| StartError::Endpoint { endpoint, why })
}

#[cfg(feature = "tls")]
fn check_trust(target: &Target) -> Result<(), &'static str> {
    target.trust.check()
}

#[cfg(not(feature = "tls"))]
fn check_trust(_: &Target) -> Result<(), &'static str> {
    Err("an address with https:// needs the feature `tls`")
}

impl Exporter {
    /// An exporter that goes where the environment of OpenTelemetry says. It takes nothing where
    /// `OTEL_SDK_DISABLED` is `true`.
    ///
    /// | Variable | Default |
    /// |---|---|
    /// | `OTEL_EXPORTER_OTLP_ENDPOINT`, `…_TRACES_ENDPOINT`, `…_METRICS_ENDPOINT` | `http://localhost:4318`; over gRPC `http://localhost:4317` |
    /// | `…_HEADERS`, `…_TIMEOUT` (ms), `…_COMPRESSION` (`gzip`, `none`) | none, 10,000, `none` |
    /// | `…_PROTOCOL` | `http/protobuf`; `http/json` with the feature `json`, `grpc` with the feature `grpc`; another one is an error |
    /// | `…_CERTIFICATE`; `…_CLIENT_CERTIFICATE`, `…_CLIENT_KEY`: files in PEM, read with the feature `tls` | the authorities that browsers trust; none |
    /// | `…_INSECURE`, for endpoints of gRPC without `http://` or `https://` | `false`: `https://` |
    /// | `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES` | the name of the program |
    /// | `OTEL_TRACES_EXPORTER`, `OTEL_METRICS_EXPORTER` | `none` switches the signal off |
    /// | `OTEL_METRIC_EXPORT_INTERVAL` (ms) | 60,000 |
    /// | `OTEL_BSP_MAX_QUEUE_SIZE`, `OTEL_BSP_MAX_EXPORT_BATCH_SIZE`, `OTEL_BSP_SCHEDULE_DELAY` (ms) | 2,048, 512, 5,000; counted in operations |
    ///
    /// # Errors
    /// Where a variable cannot be followed, or the exporter not be started.
    pub fn from_env() -> Result<Self, StartError> {
        Self::builder_from_env()?.start()
    }

    /// As [`from_env`](Exporter::from_env), to be changed before it is started.
    ///
    /// # Errors
    /// Where a variable cannot be followed.
    pub fn builder_from_env() -> Result<Builder, StartError> {
        let environment = Environment::read(|name| std::env::var(name).ok())?;
        Ok(Builder::of_environment(environment))
    }

    /// Starts to build an exporter that does not look at the environment.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Sends the metrics of a meter as well, those of the program's own included. It does not keep the meter alive.
    pub fn send_metrics_of(&self, meter: &Meter) {
        self.0.shared.readers().push(meter.metrics_reader());
    }

    /// What became of the operations so far.
    pub fn counts(&self) -> Counts {
        self.0.shared.queue.counts()
    }

    /// Sends what waits, and the metrics; says whether all had its end before the timeout, in whatever way. What the meter
    /// still holds is not here yet: flush the meter first.
    pub fn flush(&self, timeout: Duration) -> bool {
        self.0.shared.queue.flush(timeout)
    }

    /// Ends the exporter: what waits is tried once more. Says whether it was over before the timeout.
    pub fn shutdown(&self, timeout: Duration) -> bool {
        self.0.end(timeout)
    }
}

impl Sink for Exporter {
    fn accept(&self, batch: Vec<OperationRecord>) -> Result<(), SinkError> {
        if self.0.shared.sends_spans {
            self.0.shared.queue.put(batch);
        }
        Ok(())
    }
}

impl Shared {
    /// The metrics of all meters.
    pub(crate) fn families(&self) -> Vec<Family> {
        let readers = self.readers().clone();
        readers.iter().flat_map(Reader::families).collect()
    }

    fn readers(&self) -> std::sync::MutexGuard<'_, Vec<Reader>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Owner {
    fn end(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        self.shared.queue.end();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread else { return true };
        while !thread.is_finished() {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        true
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.end(Duration::from_secs(2));
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("queue", &self.queue.counts()).finish_non_exhaustive()
    }
}
