//! The trace of a request, in the headers of HTTP.

use http::{HeaderMap, HeaderName, HeaderValue};
use taximeter::context::{self, HEADERS};
use taximeter::{Handle, RemoteParent};

/// Reads where a request comes from, for [`remote_parent`](taximeter::OperationBuilder::remote_parent). None where its
/// headers tell no trace, or malformed ones.
///
/// ```
/// use taximeter::Meter;
///
/// let mut headers = http::HeaderMap::new();
/// assert_eq!(taximeter_http::extract(&headers), None);
/// headers.insert("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse()?);
///
/// let meter = Meter::builder().build()?;
/// let op = meter.operation("answer").remote_parent(taximeter_http::extract(&headers)).start();
/// taximeter_http::inject(&op, &mut headers); // for a request to the next one
/// let own = op.id().expect("the meter is on").span_id();
/// assert_eq!(headers["traceparent"], format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{own}-01"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn extract(headers: &HeaderMap) -> Option<RemoteParent> {
    // One that is no text is no traceparent, and two of them are none either.
    if headers.get_all(HEADERS[0]).iter().any(|value| text(value).is_none()) {
        return None;
    }
    let all = |name: &'static str| {
        headers.get_all(name).iter().filter_map(move |value| Some((name, text(value)?)))
    };
    context::extract(HEADERS.into_iter().flat_map(all))
}

fn text(value: &HeaderValue) -> Option<&str> {
    std::str::from_utf8(value.as_bytes()).ok()
}

/// Writes what an operation tells to those that it asks into headers, in the place of whatever they had under these names.
/// Where nothing is recorded, they stay as they are.
pub fn inject(operation: &Handle, headers: &mut HeaderMap) {
    let mut out = context::inject(operation).peekable();
    if out.peek().is_none() {
        return;
    }
    for name in HEADERS {
        headers.remove(name);
    }
    for (name, value) in out {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}
