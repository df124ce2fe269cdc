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
