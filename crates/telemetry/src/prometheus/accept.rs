//! Which format a scraper wants.

/// A text format of Prometheus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Format {
    /// The classic text format, version 0.0.4.
    #[default]
    Text,
    /// The same in version 1.0.0, which differs only in what names may hold; ours need none of it.
    Text1,
    /// OpenMetrics, version 1.0.0.
    OpenMetrics,
    /// OpenMetrics by the number of its draft, 0.0.1, which older scrapers ask for.
    OpenMetricsDraft,
}

impl Format {
    /// The format with the most weight among those that there are; the classic one where none is asked for. Of formats
    /// with the same weight it is the one that is named first.
    ///
    /// Source: RFC 9110, section 12.5.1; Prometheus, "Scrape protocol content negotiation".
    ///
    /// ```
    /// use taximeter_telemetry::prometheus::Format;
    ///
    /// assert_eq!(Format::negotiate(None), Format::Text);
    /// assert_eq!(Format::negotiate(Some("application/json")), Format::Text); // there is no other answer
    /// let both = "text/plain;version=0.0.4;q=0.4, application/openmetrics-text;version=1.0.0;q=0.5";
    /// assert_eq!(Format::negotiate(Some(both)), Format::OpenMetrics);
    /// ```
    pub fn negotiate(accept: Option<&str>) -> Self {
        let mut best = (Self::Text, 0_u16);
        for range in accept.unwrap_or_default().split(',') {
            if let Some((format, weight)) = read_range(range)
                && weight > best.1
            {
                best = (format, weight);
            }
        }
        best.0
    }

    /// The value of `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::Text1 => "text/plain; version=1.0.0; charset=utf-8; escaping=underscores",
            Self::OpenMetrics => {
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"
            }
            Self::OpenMetricsDraft => "application/openmetrics-text; version=0.0.1; charset=utf-8",
        }
    }

    pub(super) const fn is_open_metrics(self) -> bool {
        matches!(self, Self::OpenMetrics | Self::OpenMetricsDraft)
    }
}

/// The format of one range with its weight in thousandths; none where it is no format of ours.
fn read_range(range: &str) -> Option<(Format, u16)> {
    let mut parts = range.split(';').map(str::trim);
    let media = parts.next()?.to_ascii_lowercase();
    let (mut version, mut weight) = (None, 1_000);
    for part in parts {
        let (name, value) = part.split_once('=')?;
        match name.trim().to_ascii_lowercase().as_str() {
            "version" => version = Some(value.trim().trim_matches('"')),
            "q" => weight = read_weight(value.trim())?,
            _ => {}
        }
    }
    let format = match (media.as_str(), version) {
        ("application/openmetrics-text", None | Some("1.0.0")) => Format::OpenMetrics,
        ("application/openmetrics-text", Some("0.0.1")) => Format::OpenMetricsDraft,
        ("text/plain", Some("1.0.0")) => Format::Text1,
        ("text/plain", None | Some("0.0.4")) | ("text/*" | "*/*", None) => Format::Text,
        _ => return None,
    };
    Some((format, weight))
}

/// A weight has three decimals at most (RFC 9110, section 12.4.2).
fn read_weight(text: &str) -> Option<u16> {
    let weight: f64 = text.parse().ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it lies between 0 and 1000"
    )]
    (0.0..=1.0).contains(&weight).then(|| (weight * 1_000.0).round() as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_scrapers_send_is_understood() {
        // Prometheus 2.42 and 3.x, a browser, curl, and what is malformed.
        let cases = [
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                 text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                Format::OpenMetrics,
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                 application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
                 text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
                Format::OpenMetrics,
            ),
            ("application/openmetrics-text;version=0.0.1", Format::OpenMetricsDraft),
            ("text/plain;version=1.0.0", Format::Text1),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Format::Text),
            ("*/*", Format::Text),
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily",
                Format::Text,
            ),
            ("application/openmetrics-text;version=2.0.0,text/plain;q=0.1", Format::Text),
            ("application/openmetrics-text;q=0,text/plain;q=0.1", Format::Text),
            ("application/openmetrics-text;q=nonsense", Format::Text),
            ("APPLICATION/OPENMETRICS-TEXT; VERSION=\"1.0.0\"", Format::OpenMetrics),
            (";;,,=", Format::Text),
        ];
        for (accept, format) in cases {
            assert_eq!(Format::negotiate(Some(accept)), format, "{accept}");
        }
    }
}
