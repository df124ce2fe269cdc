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
            let (names, bounds) = (BTreeMap::new(), Vec::new());
            Writer { text: &mut text, family, name, format, names, bounds }.family();
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
    /// The names of labels as Prometheus has them; a family has few, and many series.
    names: BTreeMap<&'f str, String>,
    /// The bounds of the buckets as text.
    bounds: Vec<String>,
}

/// Writing into a string does not fail.
macro_rules! put {
    ($to:expr, $($what:tt)*) => { let _ = write!($to, $($what)*); };
}

impl<'f> Writer<'_, 'f> {
    fn family(&mut self) {
        self.head();
        // In one order, so that the same numbers are the same text.
        let mut series: Vec<_> = self.family.series().collect();
        series.sort_unstable_by_key(|(labels, _)| *labels);
        if let Kind::Histogram(bounds) = self.family.kind() {
            let bounds = bounds.iter().copied().chain([f64::INFINITY]);
            self.bounds = bounds.map(|bound| Bound(bound).to_string()).collect();
        }
        let mut text = String::new();
        for (labels, point) in series {
            text.clear();
            self.pairs(labels, &mut text);
            match point {
                Point::Value { amount, exemplar } => {
                    let ending = match self.family.kind() {
                        Kind::Counter => "_total",
                        Kind::Info => "_info",
                        _ => "",
                    };
                    self.sample(ending, &text, *amount, exemplar.as_ref());
                }
                Point::Histogram(histogram) => self.histogram(&text, histogram),
            }
        }
    }

    fn head(&mut self) {
        let open = self.format.is_open_metrics();
        // The classic format knows a counter by the name of its samples, and no kind `info`.
        let (kind, ending) = match (self.family.kind(), open) {
            (Kind::Counter, true) => ("counter", ""),
            (Kind::Counter, false) => ("counter", "_total"),
            (Kind::Gauge, _) => ("gauge", ""),
            (Kind::Info, true) => ("info", ""),
            (Kind::Info, false) => ("gauge", "_info"),
            (Kind::Histogram(_), _) => ("histogram", ""),
        };
        let (name, help) = (&self.name, escaped(self.family.help(), open));
        if open {
            put!(self.text, "# TYPE {name} {kind}\n");
            let unit = unit_word(self.family.unit(), self.family.kind());
            if !unit.is_empty() && name.ends_with(&*unit) {
                put!(self.text, "# UNIT {name} {unit}\n");
            }
            put!(self.text, "# HELP {name} {help}\n");
        } else {
            put!(self.text, "# HELP {name}{ending} {help}\n# TYPE {name}{ending} {kind}\n");
        }
    }

    fn histogram(&mut self, labels: &str, histogram: &Histogram) {
        let mut below = 0_u64;
        for at in 0..self.bounds.len() {
            below = below.saturating_add(histogram.buckets[at]);
            self.line("_bucket", labels, Some(at));
            put!(self.text, "{below}");
            self.end_of_line(histogram.exemplars[at].as_ref());
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
    fn line(&mut self, ending: &str, labels: &str, bucket: Option<usize>) {
        let text = &mut *self.text;
        text.push_str(&self.name);
        text.push_str(ending);
        if !labels.is_empty() || bucket.is_some() {
            text.push('{');
            text.push_str(labels);
            if let Some(bucket) = bucket {
                text.push_str(if labels.is_empty() { "le=\"" } else { ",le=\"" });
                text.push_str(&self.bounds[bucket]);
                text.push('"');
            }
            text.push('}');
        }
        text.push(' ');
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

    /// Writes labels without their braces. Names that become the same are one label, its values joined by `;` in the order
    /// of the names (OpenTelemetry specification, "Prometheus and OpenMetrics Compatibility", metric attributes).
    fn pairs(&mut self, labels: &'f Labels, to: &mut String) {
        for (name, _) in labels.iter() {
            self.names.entry(name).or_insert_with(|| label_name(name));
        }
        let mut pairs: Vec<(&str, &str)> =
            labels.iter().map(|(name, value)| (self.names[name].as_str(), value)).collect();
        // A stable sort: values of one name stay in the order of the names that became it.
        pairs.sort_by_key(|(name, _)| *name);
        let mut last = None;
        for (name, value) in pairs {
            if last == Some(name) {
                to.truncate(to.len() - 1);
                to.push(';');
            } else {
                to.push_str(if last.is_some() { "," } else { "" });
                to.push_str(name);
                to.push_str("=\"");
            }
            escape(value, true, to);
            to.push('"');
            last = Some(name);
        }
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

/// A text on one line. The help of the classic format has its quotation marks as they are.
fn escaped(text: &str, quotes: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    escape(text, quotes, &mut escaped);
    escaped
}

fn escape(text: &str, quotes: bool, to: &mut String) {
    let special = |letter: char| letter == '\\' || letter == '\n' || (quotes && letter == '"');
    let mut rest = text;
    while let Some(at) = rest.find(special) {
        let (plain, from) = rest.split_at(at);
        to.push_str(plain);
        to.push_str(match from.as_bytes()[0] {
            b'\\' => "\\\\",
            b'\n' => "\\n",
            _ => "\\\"",
        });
        rest = &from[1..];
    }
    to.push_str(rest);
}
