//! The thread that sends: batch by batch, with further tries, and the metrics by and by.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use taximeter::OperationRecord;
use taximeter::otlp::{Convention, Partial, Resource, metrics_as, traces_as};

use crate::exporter::Shared;
use crate::queue::Work;
use crate::transport::{Came, Client, Target};

/// How a thread sends.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) traces: Option<Target>,
    pub(crate) metrics: Option<Target>,
    pub(crate) resource: Resource,
    pub(crate) convention: Convention,
    /// The most operations of a request.
    pub(crate) batch: usize,
    /// How long operations wait for a batch to fill.
    pub(crate) delay: Duration,
    /// How often the metrics are sent.
    pub(crate) every: Duration,
    /// The pause before the second try; it doubles with each.
    pub(crate) pause: Duration,
    /// The most time from the first try on.
    pub(crate) patience: Duration,
}

/// The longest pause, whatever a receiver asks for; then it is asked again.
const LONGEST: Duration = Duration::from_secs(30);

pub(crate) struct Sender {
    pub(crate) shared: Arc<Shared>,
    pub(crate) plan: Plan,
    pub(crate) started: DateTime<Utc>,
}

impl Sender {
    /// Sends until the end.
    pub(crate) fn run(self) {
        let mut client = Client::default();
        let mut next = Instant::now() + self.plan.every;
        loop {
            match self.shared.queue.take(self.plan.batch, self.plan.delay, next) {
                Work::Spans(records) => self.send(&mut client, &records),
                Work::Nothing { flush } => {
                    if flush.is_some() || Instant::now() >= next {
                        self.send_metrics(&mut client);
                        next = Instant::now() + self.plan.every;
                    }
                    flush.inspect(|flush| self.shared.queue.flushed(*flush));
                }
                Work::End => break,
            }
        }
        self.send_metrics(&mut client);
        self.shared.queue.give_up();
    }

    fn send(&self, client: &mut Client, records: &[OperationRecord]) {
        let queue = &self.shared.queue;
        let (resource, convention) = (&self.plan.resource, self.plan.convention);
        let target = self.plan.traces.as_ref();
        let body =
            |target: &Target| traces_as(target.protocol.encoding(), records, resource, convention);
        let Some((target, body)) = target.and_then(|target| Some((target, body(target)?))) else {
            return queue.done(|counts, taken| counts.refused += taken);
        };
        match self.post(client, target, &body) {
            Came::Taken(partial) => queue.done(|counts, taken| {
                counts.sent += taken;
                counts.rejected_spans += partial.map_or(0, |partial: Partial| partial.rejected);
            }),
            Came::Later(_) => queue.done(|counts, taken| counts.given_up += taken),
            Came::Refused => queue.done(|counts, taken| counts.refused += taken),
        }
    }

    fn send_metrics(&self, client: &mut Client) {
        let Some(target) = &self.plan.metrics else { return };
        let families = self.shared.families();
        let (resource, now) = (&self.plan.resource, Utc::now());
        let body = metrics_as(target.protocol.encoding(), &families, resource, self.started, now);
        let Some(body) = body else { return };
        let taken = matches!(self.post(client, target, &body), Came::Taken(_));
        self.shared.queue.done(|counts, _| {
            counts.metrics_sent += u64::from(taken);
            counts.metrics_lost += u64::from(!taken);
        });
    }

    /// Posts, and posts again while that can help and there is time.
    fn post(&self, client: &mut Client, target: &Target, body: &[u8]) -> Came {
        let begun = Instant::now();
        let mut pause = self.plan.pause;
        loop {
            let came = client.post(target, body);
            let Came::Later(asked) = came else { return came };
            // Between half of the pause and one and a half, so that senders do not come all at once.
            let drawn = pause.mul_f64(0.5 + fastrand::f64());
            // Who asks to be asked again at once is not asked without end.
            let wait = asked.filter(|asked| !asked.is_zero()).unwrap_or(drawn).min(LONGEST);
            if begun.elapsed() + wait > self.plan.patience || !self.shared.queue.pause(wait) {
                return came;
            }
            pause = (pause * 2).min(LONGEST);
        }
    }
}
