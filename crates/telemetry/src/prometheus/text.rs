//! Families as lines of text.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::names::unit_word;
use super::{Format, label_name, metric_name};
use crate::metrics::{Amount, Exemplar, Family, Histogram, Kind, Labels, Point, Scale};

/// The answer to a scrape: the value of `Content-Type`, and the body. What was asked for is the value of `Accept`.
pub fn answer<'f>(
    accept: Option<&str>,
    families: impl IntoIterator<Item = &'f Family>,
) -> (&'static str, String) {
    let format = Format::negotiate(accept);
    (format.content_type(), render(families, format))
}

/// Families as text; those without series are left out. Of two families of one name, only the first is written, since
/// a scraper takes neither otherwise.
///
/// Sources: Prometheus, "Exposition formats", text-based format; OpenMetrics 1.0, section 4.
///
/// ```
/// use taximeter_telemetry::metrics::{Amount, Family, Kind, Labels, Scale};
/// use taximeter_telemetry::prometheus::{Format, render};
///
/// let mut seats = Family::new("seats", "{seat}", "Seats taken.", Kind::Gauge, Scale::Whole);
/// seats.record(&Labels::new([("hall", "a \"b\"")]), Amount::whole(3), None);
/// let text = render([&seats], Format::Text);
/// assert_eq!(text, "# HELP seats Seats taken.\n# TYPE seats gauge\nseats{hall=\"a \\\"b\\\"\"} 3\n");
/// ```
pub fn render<'f>(families: impl IntoIterator<Item = &'f Family>, format: Format) -> String {
    let mut text = String::new();
    let mut written = std::collections::BTreeSet::new();
    for family in families {
        let name = metric_name(family.name(), family.unit(), family.kind());
        if family.series().next().is_some() && written.insert(name.clone()) {
            Writer { text: &mut text, family, name, format }.family();
        }
    }
    if format.is_open_metrics() {
        text.push_str("# EOF\n");
    }
    text
}

struct Writer<'w, 'f> {
    text: &'w mut String,
    family: &'f Family,
    name: String,
    format: Format,
}

/// Writing into a string does not fail.
macro_rules! put {
    ($to:expr, $($what:tt)*) => { let _ = write!($to, $($what)*); };
}

impl Writer<'_, '_> {
    fn family(&mut self) {
        self.head();
        // In one order, so that the same numbers are the same text.
        let series: BTreeMap<_, _> = self.family.series().collect();
        for (labels, point) in series {
            let labels = pairs(labels);
            match point {
                Point::Value { amount, exemplar } => {
                    let ending = if *self.family.kind() == Kind::Counter { "_total" } else { "" };
                    self.sample(ending, &labels, *amount, exemplar.as_ref());
                }
                Point::Histogram(histogram) => self.histogram(&labels, histogram),
            }
        }
    }

    fn head(&mut self) {
        let open = self.format.is_open_metrics();
        let kind = match self.family.kind() {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        // The classic format knows a counter by the name of its samples.
        let total = if kind == "counter" && !open { "_total" } else { "" };
        let (name, help) = (&self.name, escaped(self.family.help(), open));
        if open {
            put!(self.text, "# TYPE {name} {kind}\n");
            let unit = unit_word(self.family.unit(), self.family.kind());
            if !unit.is_empty() && name.ends_with(&*unit) {
                put!(self.text, "# UNIT {name} {unit}\n");
            }
            put!(self.text, "# HELP {name} {help}\n");
        } else {
            put!(self.text, "# HELP {name}{total} {help}\n# TYPE {name}{total} {kind}\n");
        }
    }

    fn histogram(&mut self, labels: &str, histogram: &Histogram) {
        let Kind::Histogram(bounds) = self.family.kind() else { return };
        let mut below = 0_u64;
        let bounds = bounds.iter().copied().chain([f64::INFINITY]);
        for (at, bound) in bounds.enumerate() {
            below = below.saturating_add(histogram.buckets[at]);
            let exemplar = histogram.exemplars[at].as_ref();
            self.line("_bucket", labels, Some(bound));
            put!(self.text, "{below}");
            self.end_of_line(exemplar);
        }
        self.sample("_sum", labels, histogram.sum, None);
        self.line("_count", labels, None);
        put!(self.text, "{}\n", histogram.count);
    }

    fn sample(&mut self, ending: &str, labels: &str, amount: Amount, exemplar: Option<&Exemplar>) {
        self.line(ending, labels, None);
        let _ = amount.write(self.family.scale(), self.text);
        self.end_of_line(exemplar);
    }

    /// All that stands before the value.
    fn line(&mut self, ending: &str, labels: &str, bound: Option<f64>) {
        self.text.push_str(&self.name);
        self.text.push_str(ending);
        if !labels.is_empty() || bound.is_some() {
            self.text.push('{');
            self.text.push_str(labels);
            if let Some(bound) = bound {
                let comma = if labels.is_empty() { "" } else { "," };
                put!(self.text, "{comma}le=\"{}\"", Bound(bound));
            }
            self.text.push('}');
        }
        self.text.push(' ');
    }

    fn end_of_line(&mut self, exemplar: Option<&Exemplar>) {
        if let Some(exemplar) = exemplar.filter(|_| self.format.is_open_metrics()) {
            let Exemplar { trace_id, span_id, .. } = exemplar;
            put!(self.text, " # {{trace_id=\"{trace_id}\",span_id=\"{span_id}\"}} ");
            let _ = exemplar.amount.write(self.family.scale(), self.text);
            let at = exemplar.at.timestamp_nanos_opt().and_then(|nanos| u64::try_from(nanos).ok());
            if let Some(nanos) = at {
                self.text.push(' ');
                let at = Amount::time(std::time::Duration::from_nanos(nanos));
                let _ = at.write(Scale::Nanos, self.text);
            }
        }
        self.text.push('\n');
    }
}

/// A bound of a bucket in its canonical form: with a decimal point, or `+Inf` (OpenMetrics 1.0, "Considerations:
/// Canonical Numbers").
struct Bound(f64);

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_infinite() { f.write_str("+Inf") } else { write!(f, "{:?}", self.0) }
    }
}

/// Labels without their braces. Names that become the same are one label, its values joined by `;` in the order of the
/// names (OpenTelemetry specification, "Prometheus and OpenMetrics Compatibility", metric attributes).
fn pairs(labels: &Labels) -> String {
    let mut joined = BTreeMap::<String, String>::new();
    for (name, value) in labels.iter() {
        let text = joined.entry(label_name(name)).or_default();
        if !text.is_empty() {
            text.push(';');
        }
        text.push_str(value);
    }
    let mut text = String::new();
    for (name, value) in &joined {
        let comma = if text.is_empty() { "" } else { "," };
        put!(text, "{comma}{name}=\"{}\"", escaped(value, true));
    }
    text
}

/// A text on one line. The help of the classic format has its quotation marks as they are.
fn escaped(text: &str, quotes: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '"' if quotes => escaped.push_str("\\\""),
            letter => escaped.push(letter),
        }
    }
    escaped
}
