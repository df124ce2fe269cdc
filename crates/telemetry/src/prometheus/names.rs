//! Names of OpenTelemetry as names of Prometheus.

use std::borrow::Cow;

use crate::metrics::Kind;

/// The name of a metric, without the `_total` of counters.
///
/// Source: OpenTelemetry specification, "Prometheus and OpenMetrics Compatibility", metric metadata. Units in braces are
/// left out; a unit that the name has already is not put there twice.
///
/// ```
/// use taximeter_telemetry::metrics::Kind;
/// use taximeter_telemetry::prometheus::metric_name;
///
/// assert_eq!(metric_name("gen_ai.execute_tool.duration", "s", &Kind::Gauge), "gen_ai_execute_tool_duration_seconds");
/// assert_eq!(metric_name("gen_ai.client.token.usage", "{token}", &Kind::Gauge), "gen_ai_client_token_usage");
/// assert_eq!(metric_name("taximeter.cost", "USD", &Kind::Counter), "taximeter_cost_USD");
/// assert_eq!(metric_name("2xx.share", "1", &Kind::Gauge), "_2xx_share_ratio");
/// ```
pub fn metric_name(name: &str, unit: &str, kind: &Kind) -> String {
    let mut translated = escaped(name, true);
    // A counter's own ending is put there by who writes it; twice would be once too often.
    if *kind == Kind::Counter
        && let Some(shorter) = translated.strip_suffix("_total")
    {
        translated.truncate(shorter.len());
    }
    let unit = unit_word(unit, kind);
    if !unit.is_empty() && !translated.split('_').any(|word| word == unit) {
        translated.push('_');
        translated.push_str(&unit);
    }
    translated
}

/// The unit as a word at the end of a name; empty where there is none.
pub(super) fn unit_word(unit: &str, kind: &Kind) -> Cow<'static, str> {
    Cow::Borrowed(match unit {
        "s" => "seconds",
        "ms" => "milliseconds",
        "us" => "microseconds",
        "ns" => "nanoseconds",
        "min" => "minutes",
        "h" => "hours",
        "d" => "days",
        "By" => "bytes",
        "KiBy" => "kibibytes",
        "MiBy" => "mebibytes",
        "%" => "percent",
        // A count of things has the same unit, and no name for it.
        "1" if *kind == Kind::Gauge => "ratio",
        "1" | "" => "",
        annotation if annotation.starts_with('{') => "",
        other => return Cow::Owned(escaped(other, false)),
    })
}

/// The name of a label.
///
/// ```
/// use taximeter_telemetry::prometheus::label_name;
///
/// assert_eq!(label_name("gen_ai.request.model"), "gen_ai_request_model");
/// assert_eq!(label_name("__reserved"), "_reserved"); // two underscores at the beginning are Prometheus' own
/// ```
pub fn label_name(name: &str) -> String {
    escaped(name, false)
}

/// Letters, digits and underscores, of which never two follow one another; no digit at the beginning.
fn escaped(name: &str, colons: bool) -> String {
    let mut text = String::with_capacity(name.len());
    for letter in name.chars() {
        let plain = letter.is_ascii_alphanumeric() || (colons && letter == ':');
        if letter.is_ascii_digit() && text.is_empty() {
            text.push('_');
        }
        if plain {
            text.push(letter);
        } else if !text.ends_with('_') {
            text.push('_');
        }
    }
    if text.is_empty() { "_".to_owned() } else { text }
}
