//! A metric with all its series: exact sums, counts in buckets, the last trace in each.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use foldhash::fast::RandomState;
use taximeter_models::{Money, Name, SpanId, TraceId};

use super::Labels;

/// A metric and its series. Above the limit of label sets, what comes goes to one series that is labelled
/// [`Labels::OVERFLOW`], so that sums over the family stay whole.
#[derive(Debug, Clone)]
pub struct Family {
    name: Name,
    help: Name,
    unit: Name,
    kind: Kind,
    scale: Scale,
    limit: usize,
    /// Where in `series` those of these labels are.
    places: HashMap<Labels, usize, RandomState>,
    series: Vec<(Labels, Point)>,
}

/// What a metric is.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// A sum that only grows.
    Counter,
    /// A value that goes up and down.
    Gauge,
    /// Labels that say what something is; the value is 1.
    Info,
    /// Counts of values in buckets, with their sum. The upper bounds are in the unit of the metric, each within its
    /// bucket, in growing order; values above the last are in a bucket of their own.
    Histogram(Vec<f64>),
}

/// In what the exact sums of a metric are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Whole things: calls, tokens.
    Whole,
    /// Billionths: nanoseconds, shown as seconds, and any number that has a fraction.
    Nanos,
    /// Money, shown in units of currency.
    Money,
}

/// One value of a metric, exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Amount(i128);

/// The state of one series.
#[derive(Debug, Clone, PartialEq)]
pub enum Point {
    /// A counter's sum or a gauge's value.
    Value {
        /// The value.
        amount: Amount,
        /// The last operation that added to it.
        exemplar: Option<Exemplar>,
    },
    /// A histogram.
    Histogram(Histogram),
}

/// The values of one series of a histogram.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    /// How many values are in each bucket; the last is for what lies above all bounds.
    pub buckets: Vec<u64>,
    /// All values, added up.
    pub sum: Amount,
    /// How many there are.
    pub count: u64,
    /// The last value of each bucket with the trace that it comes from.
    pub exemplars: Vec<Option<Exemplar>>,
}

/// A value with the trace that it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exemplar {
    /// The value.
    pub amount: Amount,
    /// The trace.
    pub trace_id: TraceId,
    /// The span that stands for the operation in it.
    pub span_id: SpanId,
    /// When it was.
    pub at: DateTime<Utc>,
}

impl Amount {
    /// So many whole things.
    pub fn whole(count: u64) -> Self {
        Self(count.into())
    }

    /// So long a time.
    pub fn time(time: Duration) -> Self {
        Self(i128::try_from(time.as_nanos()).unwrap_or(i128::MAX))
    }

    /// A number with a fraction, to a billionth, for the scale of billionths; none of what is no number. What is beyond
    /// 1.7 × 10²⁹ is the most that there is.
    #[expect(clippy::cast_possible_truncation, reason = "a cast to an integer saturates")]
    pub fn decimal(number: f64) -> Option<Self> {
        number.is_finite().then(|| Self((number * 1e9).round() as i128))
    }

    /// So much money.
    pub fn money(money: Money) -> Self {
        Self(money.ticks())
    }

    /// The number of whole things, as far as 64 bits hold it.
    #[cfg(feature = "otlp-export")]
    pub(crate) fn whole_number(self) -> Option<i64> {
        i64::try_from(self.0).ok()
    }

    fn add(&mut self, more: Self) {
        self.0 = self.0.saturating_add(more.0);
    }

    /// The value in the unit of the metric, for the choice of a bucket and for formats that have floats only.
    #[expect(clippy::cast_precision_loss, reason = "a float is what is asked for")]
    pub fn to_f64_lossy(self, scale: Scale) -> f64 {
        match scale {
            Scale::Whole => self.0 as f64,
            Scale::Nanos => self.0 as f64 / 1e9,
            Scale::Money => Money::from_ticks(self.0).to_f64_lossy(),
        }
    }

    /// Writes the value as decimal digits: exact for whole things and times, to 15 places for money.
    ///
    /// ```
    /// use std::time::Duration;
    /// use taximeter_telemetry::metrics::{Amount, Scale};
    ///
    /// let mut text = String::new();
    /// Amount::time(Duration::from_micros(1_500_100)).write(Scale::Nanos, &mut text)?;
    /// assert_eq!(text, "1.5001");
    /// # Ok::<(), std::fmt::Error>(())
    /// ```
    ///
    /// # Errors
    /// Where the writer fails.
    pub fn write(self, scale: Scale, to: &mut impl fmt::Write) -> fmt::Result {
        match scale {
            Scale::Whole => write!(to, "{}", self.0),
            Scale::Nanos => {
                let size = self.0.unsigned_abs();
                let (whole, mut part) = (size / 1_000_000_000, size % 1_000_000_000);
                let sign = if self.0 < 0 { "-" } else { "" };
                if part == 0 {
                    return write!(to, "{sign}{whole}");
                }
                let mut digits = 9;
                while part % 10 == 0 {
                    (part, digits) = (part / 10, digits - 1);
                }
                write!(to, "{sign}{whole}.{part:0digits$}")
            }
            Scale::Money => {
                let digits = Money::from_ticks(self.0).rounded(15);
                to.write_str(digits.trim_end_matches('0').trim_end_matches('.'))
            }
        }
    }
}

impl Family {
    /// How many label sets a family tells apart by default: as many as an OpenTelemetry SDK does (specification, metrics
    /// SDK, "Cardinality limits").
    pub const LABEL_SETS: usize = 2_000;

    /// A metric without series. The unit is one of UCUM, or in braces: `s`, `{token}`, `USD`.
    pub fn new(
        name: impl Into<Name>,
        unit: impl Into<Name>,
        help: impl Into<Name>,
        kind: Kind,
        scale: Scale,
    ) -> Self {
        let (name, unit, help) = (name.into(), unit.into(), help.into());
        let (limit, places, series) = (Self::LABEL_SETS, HashMap::default(), Vec::new());
        Self { name, help, unit, kind, scale, limit, places, series }
    }

    /// Tells so many label sets apart. Default: [`Family::LABEL_SETS`].
    pub fn limit(mut self, label_sets: usize) -> Self {
        self.limit = label_sets;
        self
    }

    /// Its name, in the dotted form of OpenTelemetry.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it measures, in a sentence.
    pub fn help(&self) -> &str {
        &self.help
    }

    /// Its unit.
    pub fn unit(&self) -> &str {
        &self.unit
    }

    /// What it is.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// In what its amounts are counted.
    pub fn scale(&self) -> Scale {
        self.scale
    }

    /// Its series, in the order in which they came.
    pub fn series(&self) -> impl Iterator<Item = (&Labels, &Point)> {
        self.series.iter().map(|(labels, point)| (labels, point))
    }

    /// Adds to a counter, or a value to a histogram; sets a gauge.
    pub fn record(&mut self, labels: &Labels, amount: Amount, exemplar: Option<Exemplar>) {
        let exemplar = exemplar.map(|exemplar| Exemplar { amount, ..exemplar });
        let bucket = match &self.kind {
            Kind::Histogram(bounds) => {
                let value = amount.to_f64_lossy(self.scale);
                bounds.partition_point(|bound| *bound < value)
            }
            _ => 0,
        };
        let is_gauge = matches!(self.kind, Kind::Gauge | Kind::Info);
        match self.point(labels) {
            Point::Value { amount: sum, exemplar: last } => {
                if is_gauge {
                    *sum = Amount::default();
                }
                sum.add(amount);
                *last = exemplar.or(*last);
            }
            Point::Histogram(histogram) => {
                histogram.buckets[bucket] = histogram.buckets[bucket].saturating_add(1);
                histogram.sum.add(amount);
                histogram.count = histogram.count.saturating_add(1);
                let last = &mut histogram.exemplars[bucket];
                *last = exemplar.or(*last);
            }
        }
    }

    /// Adds values to a histogram that were counted in its buckets before, and their sum. What has another number of buckets
    /// is left out.
    pub(super) fn record_counted(&mut self, labels: &Labels, buckets: &[u64], sum: Amount) {
        let fits = |bounds: &Vec<f64>| bounds.len() + 1 == buckets.len();
        if !matches!(&self.kind, Kind::Histogram(bounds) if fits(bounds)) {
            return;
        }
        let count = buckets.iter().fold(0_u64, |sum, more| sum.saturating_add(*more));
        let (buckets, exemplars) = (buckets.to_vec(), vec![None; buckets.len()]);
        let more = Histogram { buckets, sum, count, exemplars };
        self.point(labels).merge(Point::Histogram(more), false);
    }

    /// Adds what another family of the same kind has gathered, the later one, and empties it: counts and sums are added up,
    /// gauges take its value. Families of other kinds are left as they are.
    pub fn merge(&mut self, later: &mut Self) {
        if self.kind != later.kind {
            return;
        }
        later.places.clear();
        let is_gauge = matches!(self.kind, Kind::Gauge | Kind::Info);
        for (labels, more) in later.series.drain(..) {
            self.point(&labels).merge(more, is_gauge);
        }
    }

    /// Whether another one is the same metric.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        (&self.name, &self.unit, &self.kind) == (&other.name, &other.unit, &other.kind)
    }

    /// An empty family that is the same in all else.
    pub(super) fn emptied(&self) -> Self {
        let Self { name, help, unit, kind, .. } = self;
        let new = Self::new(name.clone(), unit.clone(), help.clone(), kind.clone(), self.scale);
        new.limit(self.limit)
    }

    fn point(&mut self, labels: &Labels) -> &mut Point {
        let place = self.places.get(labels).copied().unwrap_or_else(|| {
            // The overflow is one of the series that there may be.
            let room = self.series.len() + 1 < self.limit;
            let labels = if room { labels.clone() } else { Labels::overflow() };
            *self.places.entry(labels.clone()).or_insert_with(|| {
                self.series.push((labels, Point::empty(&self.kind)));
                self.series.len() - 1
            })
        });
        &mut self.series[place].1
    }
}

impl Point {
    fn merge(&mut self, later: Self, is_gauge: bool) {
        match (self, later) {
            (Self::Value { amount, exemplar }, Self::Value { amount: more, exemplar: last }) => {
                if is_gauge {
                    *amount = Amount::default();
                }
                amount.add(more);
                *exemplar = last.or(*exemplar);
            }
            (Self::Histogram(sum), Self::Histogram(more)) => {
                for (bucket, more) in sum.buckets.iter_mut().zip(more.buckets) {
                    *bucket = bucket.saturating_add(more);
                }
                sum.sum.add(more.sum);
                sum.count = sum.count.saturating_add(more.count);
                for (exemplar, last) in sum.exemplars.iter_mut().zip(more.exemplars) {
                    *exemplar = last.or(*exemplar);
                }
            }
            _ => {}
        }
    }

    fn empty(kind: &Kind) -> Self {
        match kind {
            Kind::Histogram(bounds) => Self::Histogram(Histogram {
                buckets: vec![0; bounds.len() + 1],
                sum: Amount::default(),
                count: 0,
                exemplars: vec![None; bounds.len() + 1],
            }),
            _ => Self::Value { amount: Amount::default(), exemplar: None },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds() -> Family {
        let kind = Kind::Histogram(vec![0.5, 1.0]);
        Family::new("wait", "s", "How long it waited.", kind, Scale::Nanos)
    }

    #[test]
    fn a_value_on_a_bound_is_within_its_bucket() {
        let mut family = seconds();
        for millis in [499, 500, 501, 1_000, 1_001] {
            family.record(&Labels::default(), Amount::time(Duration::from_millis(millis)), None);
        }
        let (_, point) = family.series().next().unwrap();
        let Point::Histogram(histogram) = point else { panic!("{point:?}") };
        assert_eq!((histogram.buckets.as_slice(), histogram.count), ([2, 2, 1].as_slice(), 5));
        assert_eq!(histogram.sum, Amount::time(Duration::from_millis(3_501)));
    }

    #[test]
    fn above_the_limit_of_label_sets_the_sum_stays_whole() {
        let kind = Kind::Counter;
        let mut family = Family::new("calls", "{call}", "Calls.", kind, Scale::Whole).limit(10);
        for user in 0..1_000_u64 {
            let labels = Labels::new([("user", user.to_string())]);
            family.record(&labels, Amount::whole(user), None);
        }
        let mut sum = Amount::default();
        for (_, point) in family.series() {
            let Point::Value { amount, .. } = point else { panic!("{point:?}") };
            sum.add(*amount);
        }
        assert_eq!((family.series().count(), sum), (10, Amount::whole(499_500)));
        assert!(family.series().any(|(labels, _)| labels.get(Labels::OVERFLOW) == Some("true")));
    }

    #[test]
    fn merged_families_are_what_one_would_have_been() {
        let (mut one, mut first, mut second) = (seconds(), seconds(), seconds());
        for at in 0..40_u64 {
            let labels = Labels::new([("a", (at % 3).to_string())]);
            let value = Amount::time(Duration::from_millis(at * 60));
            one.record(&labels, value, None);
            let half = if at < 20 { &mut first } else { &mut second };
            half.record(&labels, value, None);
        }
        first.merge(&mut second);
        assert_eq!(first.series().collect::<Vec<_>>(), one.series().collect::<Vec<_>>());
        assert_eq!(second.series().count(), 0);
    }

    #[test]
    fn numbers_with_a_fraction_are_written_as_they_are() {
        let written = |number: f64| {
            let mut text = String::new();
            Amount::decimal(number).unwrap().write(Scale::Nanos, &mut text).unwrap();
            text
        };
        for (number, text) in
            [(0.0, "0"), (-0.5, "-0.5"), (12.25, "12.25"), (-3.0, "-3"), (1e-9, "0.000000001")]
        {
            assert_eq!(written(number), text);
        }
        assert_eq!((Amount::decimal(f64::NAN), Amount::decimal(f64::INFINITY)), (None, None));
    }

    #[test]
    fn a_gauge_is_set_and_a_counter_is_added_to() {
        let mut gauge = Family::new("open", "1", "Open.", Kind::Gauge, Scale::Whole);
        gauge.record(&Labels::default(), Amount::whole(5), None);
        gauge.record(&Labels::default(), Amount::whole(3), None);
        let (_, point) = gauge.series().next().unwrap();
        assert_eq!(*point, Point::Value { amount: Amount::whole(3), exemplar: None });
    }
}
