//! What the collector counted, as a metric: losses are shown wherever the numbers are.

use super::{Amount, Family, Kind, Labels, Scale};

/// The counts of a collector by name, such as `stored` and `queue_full`, as a gauge `taximeter.collected` with the label
/// `taximeter.what`. Counts of zero are shown too, so that the first loss is seen as a rise.
///
/// ```
/// use taximeter_telemetry::metrics::collected;
/// use taximeter_telemetry::prometheus::{Format, render};
///
/// let text = render([&collected([("stored", 3), ("queue_full", 0)])], Format::Text);
/// assert!(text.contains("taximeter_collected{taximeter_what=\"queue_full\"} 0\n"));
/// ```
pub fn collected<'c>(counts: impl IntoIterator<Item = (&'c str, u64)>) -> Family {
    let help = "Operations by what became of them, and what was cut or masked in them.";
    let mut family =
        Family::new("taximeter.collected", "{operation}", help, Kind::Gauge, Scale::Whole);
    for (what, count) in counts {
        family.record(&Labels::new([("taximeter.what", what)]), Amount::whole(count), None);
    }
    family
}

/// What the metrics are of, as the metric `target` of one series: the attributes of the resource as labels, such as
/// `service.name`.
///
/// Source: OpenTelemetry specification, "Prometheus and OpenMetrics Compatibility", resource attributes.
///
/// ```
/// use taximeter_telemetry::metrics::target;
/// use taximeter_telemetry::prometheus::{Format, render};
///
/// let text = render([&target([("service.name", "answers")])], Format::OpenMetrics);
/// assert!(text.contains("# TYPE target info\n"));
/// assert!(text.contains("target_info{service_name=\"answers\"} 1\n"));
/// ```
pub fn target<V: Into<taximeter_models::Name>>(
    attributes: impl IntoIterator<Item = (impl Into<std::borrow::Cow<'static, str>>, V)>,
) -> Family {
    let mut family =
        Family::new("target", "", "What the metrics are of.", Kind::Info, Scale::Whole);
    family.record(&Labels::new(attributes), Amount::whole(1), None);
    family
}
