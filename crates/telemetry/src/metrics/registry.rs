//! Metrics of a program's own: counters, gauges and histograms that belong to no operation.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use taximeter_models::{Name, OperationRecord};
use thiserror::Error;

use super::{Amount, DURATION_SECONDS, Family, Kind, Labels, Scale};

/// The metrics of a program's own. Clones are the same registry.
///
/// Recording never fails and never waits for who reads: what threads record goes into a family of its own, which a reader
/// takes away as a whole and adds to what it has. Each metric tells 2,000 label sets apart, of 16 labels each; what is
/// beyond goes to one series that is labelled [`Labels::OVERFLOW`].
///
/// ```
/// use taximeter_telemetry::metrics::Registry;
/// use taximeter_telemetry::prometheus::{Format, render};
///
/// let registry = Registry::default();
/// let answers = registry.counter("app.answers", "{answer}", "Answers that were given.")?;
/// answers.add(2, [("tenant", "acme")]);
/// let text = render(&registry.families(), Format::Text);
/// assert!(text.ends_with("app_answers_total{tenant=\"acme\"} 2\n"));
///
/// // One name is one metric; the same again is the same one.
/// assert!(registry.counter("app.answers", "{answer}", "Answers that were given.").is_ok());
/// assert!(registry.gauge("app.answers", "1", "Something else.").is_err());
/// # Ok::<(), taximeter_telemetry::metrics::MetricError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Registry(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    metrics: Mutex<BTreeMap<Name, Arc<Metric>>>,
    refused: AtomicU64,
    /// By keys of metadata, where the numbers that stand there go.
    attached: Mutex<BTreeMap<String, Arc<Metric>>>,
}

/// Why there can be no such metric.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MetricError {
    /// There is another one of that name.
    #[error(
        "making the metric {name:?}: there is one of that name with another kind or unit; give it another name"
    )]
    Taken {
        /// The name.
        name: String,
    },
    /// The name is none.
    #[error(
        "making the metric {name:?}: a name has 1 to 255 letters, digits and `_.-/`, begins with a letter, and neither `gen_ai.` nor `taximeter.`"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// The bounds of a histogram are none.
    #[error(
        "making the metric {name:?}: bounds are 1 to 200 numbers, each larger than the one before"
    )]
    Bounds {
        /// The name.
        name: String,
    },
    /// There are as many metrics as there may be.
    #[error("making the metric {name:?}: there are {} already", Registry::METRICS)]
    TooMany {
        /// The name.
        name: String,
    },
}

struct Metric {
    /// What was recorded since somebody looked. Held for the time of one look-up, or to be taken away.
    pending: Mutex<Family>,
    /// What was recorded before. Only who reads waits for it.
    gathered: Mutex<Family>,
}

/// A sum that only grows. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Counter(Arc<Metric>);

/// A value that goes up and down. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Gauge(Arc<Metric>, Registry);

/// How values are distributed. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Distribution(Arc<Metric>, Registry);

/// The labels of one metric, and the bytes of a value.
const LABELS: usize = 16;
const VALUE: usize = 256;

impl Registry {
    /// The most metrics that there may be.
    pub const METRICS: usize = 1_000;

    /// A sum that only grows, in whole things. The unit is one of UCUM, or in braces: `By`, `{answer}`.
    ///
    /// # Errors
    /// Where the name is none, or is that of another metric.
    pub fn counter(&self, name: &str, unit: &str, help: &str) -> Result<Counter, MetricError> {
        let family = Family::new(name, unit, help, Kind::Counter, Scale::Whole);
        Ok(Counter(self.metric(family)?))
    }

    /// A value that goes up and down.
    ///
    /// # Errors
    /// Where the name is none, or is that of another metric.
    pub fn gauge(&self, name: &str, unit: &str, help: &str) -> Result<Gauge, MetricError> {
        let family = Family::new(name, unit, help, Kind::Gauge, Scale::Nanos);
        Ok(Gauge(self.metric(family)?, self.clone()))
    }

    /// How values are distributed, by the upper bounds of buckets in the unit of the metric; none for those of durations in
    /// seconds ([`DURATION_SECONDS`]).
    ///
    /// # Errors
    /// Where the name or the bounds are none, or the name is that of another metric.
    pub fn histogram(
        &self,
        name: &str,
        unit: &str,
        help: &str,
        bounds: &[f64],
    ) -> Result<Distribution, MetricError> {
        let bounds = if bounds.is_empty() { &DURATION_SECONDS } else { bounds };
        let growing = bounds.windows(2).all(|two| two[0] < two[1]);
        if bounds.len() > 200 || !growing || bounds.iter().any(|bound| !bound.is_finite()) {
            return Err(MetricError::Bounds { name: shown(name) });
        }
        let kind = Kind::Histogram(bounds.to_vec());
        let family = Family::new(name, unit, help, kind, Scale::Nanos);
        Ok(Distribution(self.metric(family)?, self.clone()))
    }

    /// Every metric as it is now, by name.
    pub fn families(&self) -> Vec<Family> {
        let metrics: Vec<_> = lock(&self.0.metrics).values().cloned().collect();
        metrics.iter().map(|metric| metric.gathered()).collect()
    }

    /// How many values were left out because they are no numbers.
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }

    /// Records the numbers that a finished operation keeps in its metadata, as far as a distribution is
    /// [of them](Distribution::of_metadata).
    pub fn observe(&self, operation: &OperationRecord) {
        if operation.metadata.is_empty() {
            return;
        }
        for (key, metric) in &*lock(&self.0.attached) {
            let number = operation.metadata.get(key).and_then(serde_json::Value::as_f64);
            if let Some(amount) = number.and_then(Amount::decimal) {
                metric.record(amount, [("taximeter.operation", operation.name.clone())]);
            }
        }
    }

    fn metric(&self, family: Family) -> Result<Arc<Metric>, MetricError> {
        let name = family.name();
        if !is_name(name) {
            return Err(MetricError::Name { name: shown(name) });
        }
        let mut metrics = lock(&self.0.metrics);
        if let Some(known) = metrics.get(name) {
            let same = lock(&known.gathered).is_like(&family);
            return same
                .then(|| Arc::clone(known))
                .ok_or_else(|| MetricError::Taken { name: shown(name) });
        }
        if metrics.len() >= Self::METRICS {
            return Err(MetricError::TooMany { name: shown(name) });
        }
        let name = Name::from(name);
        let metric = Metric { pending: Mutex::new(family.clone()), gathered: Mutex::new(family) };
        let metric = Arc::new(metric);
        metrics.insert(name, Arc::clone(&metric));
        Ok(metric)
    }

    fn refuse(&self) {
        self.0.refused.fetch_add(1, Ordering::Relaxed);
    }
}

impl Metric {
    fn record<K, V>(&self, amount: Amount, labels: impl IntoIterator<Item = (K, V)>)
    where
        K: Into<std::borrow::Cow<'static, str>>,
        V: Into<Name>,
    {
        // The program's own code runs here, and may record too; so it runs before the lock is taken.
        let labels = Labels::new(labels).bounded(LABELS, VALUE);
        lock(&self.pending).record(&labels, amount, None);
    }

    fn gathered(&self) -> Family {
        let mut gathered = lock(&self.gathered);
        let empty = gathered.emptied();
        let mut new = std::mem::replace(&mut *lock(&self.pending), empty);
        gathered.merge(&mut new);
        gathered.clone()
    }
}

impl Counter {
    /// Adds so many.
    pub fn add<K, V>(&self, count: u64, labels: impl IntoIterator<Item = (K, V)>)
    where
        K: Into<std::borrow::Cow<'static, str>>,
        V: Into<Name>,
    {
        self.0.record(Amount::whole(count), labels);
    }
}

impl Gauge {
    /// Sets the value; what is no number is left out, and counted.
    pub fn set<K, V>(&self, value: f64, labels: impl IntoIterator<Item = (K, V)>)
    where
        K: Into<std::borrow::Cow<'static, str>>,
        V: Into<Name>,
    {
        match Amount::decimal(value) {
            Some(amount) => self.0.record(amount, labels),
            None => self.1.refuse(),
        }
    }
}

impl Distribution {
    /// Records a value; what is no number is left out, and counted.
    pub fn record<K, V>(&self, value: f64, labels: impl IntoIterator<Item = (K, V)>)
    where
        K: Into<std::borrow::Cow<'static, str>>,
        V: Into<Name>,
    {
        match Amount::decimal(value) {
            Some(amount) => self.0.record(amount, labels),
            None => self.1.refuse(),
        }
    }

    /// Takes in every number that operations keep under this key of their metadata, labelled with the operation's name
    /// as `taximeter.operation`. The numbers stay with the operations as well, to be asked for in a store.
    ///
    /// ```
    /// use taximeter_models::OperationRecord;
    /// use taximeter_telemetry::metrics::Registry;
    /// use taximeter_telemetry::prometheus::{Format, render};
    ///
    /// let registry = Registry::default();
    /// registry.histogram("app.passages", "{passage}", "Passages found.", &[1.0, 10.0])?.of_metadata("passages");
    /// let mut operation = OperationRecord::new("answer");
    /// operation.metadata.insert("passages".into(), 7.into());
    /// registry.observe(&operation);
    /// operation.metadata.insert("passages".into(), "many".into()); // no number
    /// registry.observe(&operation);
    /// let text = render(&registry.families(), Format::Text);
    /// assert!(text.contains("app_passages_sum{taximeter_operation=\"answer\"} 7\n"));
    /// assert!(text.contains("app_passages_count{taximeter_operation=\"answer\"} 1\n"));
    /// # Ok::<(), taximeter_telemetry::metrics::MetricError>(())
    /// ```
    pub fn of_metadata(self, key: impl Into<String>) -> Self {
        lock(&self.1.0.attached).insert(key.into(), Arc::clone(&self.0));
        self
    }

    /// Records a duration, of a histogram in seconds.
    pub fn record_time<K, V>(&self, time: Duration, labels: impl IntoIterator<Item = (K, V)>)
    where
        K: Into<std::borrow::Cow<'static, str>>,
        V: Into<Name>,
    {
        self.0.record(Amount::time(time), labels);
    }
}

impl fmt::Debug for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Metric").field(&lock(&self.gathered).name()).finish()
    }
}

/// OpenTelemetry's syntax of instrument names (specification, metrics API), without the prefixes that have owners.
fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-/".contains(&byte);
    (1..=255).contains(&name.len())
        && name.as_bytes()[0].is_ascii_alphabetic()
        && name.bytes().all(plain)
        && !["gen_ai.", "taximeter."].iter().any(|owned| name.starts_with(owned))
}

fn shown(name: &str) -> String {
    name.chars().take(64).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Point;

    #[test]
    fn what_threads_record_is_all_there_whoever_reads_meanwhile() {
        let registry = Registry::default();
        let counter = registry.counter("app.steps", "{step}", "Steps.").unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4_u64 {
                let counter = counter.clone();
                scope.spawn(move || {
                    (0..5_000).for_each(|_| counter.add(1, [("thread", thread.to_string())]));
                });
            }
            (0..50).for_each(|_| drop(registry.families()));
        });
        let families = registry.families();
        let sums = families[0].series().map(|(labels, point)| match point {
            Point::Value { amount, .. } => (labels.to_string(), *amount),
            Point::Histogram(_) => panic!("{point:?}"),
        });
        let mut sums: Vec<_> = sums.collect();
        sums.sort();
        let all = (0..4).map(|thread| (format!("thread={thread}"), Amount::whole(5_000)));
        assert_eq!(sums, all.collect::<Vec<_>>());
    }

    #[test]
    fn who_reads_and_does_not_get_on_holds_up_nobody_who_records() {
        let registry = Registry::default();
        let counter = registry.counter("app.steps", "{step}", "Steps.").unwrap();
        let reading = lock(&counter.0.gathered);
        // It would wait forever here.
        counter.add(1, [("a", "b")]);
        drop(reading);
        let families = registry.families();
        let (_, point) = families[0].series().next().unwrap();
        assert_eq!(*point, Point::Value { amount: Amount::whole(1), exemplar: None });
    }

    #[test]
    fn label_sets_values_and_metrics_are_bounded() {
        let registry = Registry::default();
        let gauge = registry.gauge("app.load", "1", "Load.").unwrap();
        for at in 0..10_000_u32 {
            gauge.set(0.5, [("at", at.to_string() + &"é".repeat(300))]);
        }
        gauge.set(f64::NAN, [("at", "none")]);
        let families = registry.families();
        assert_eq!((families[0].series().count(), registry.refused()), (Family::LABEL_SETS, 1));
        let longest = families[0]
            .series()
            .flat_map(|(labels, _)| labels.iter().map(|(_, value)| value.len()));
        assert!(longest.max() <= Some(VALUE));
        for at in 1..Registry::METRICS {
            registry.counter(&format!("app.m{at}"), "1", "One.").unwrap();
        }
        assert!(matches!(registry.counter("app.more", "1", ""), Err(MetricError::TooMany { .. })));
        for name in ["", "1st", "a b", "gen_ai.mine", "taximeter.mine", &"a".repeat(256)] {
            assert!(
                matches!(registry.counter(name, "1", ""), Err(MetricError::Name { .. })),
                "{name}"
            );
        }
        let bounds = registry.histogram("app.h", "s", "", &[2.0, 1.0]);
        assert!(matches!(bounds, Err(MetricError::Bounds { .. })));
    }
}
