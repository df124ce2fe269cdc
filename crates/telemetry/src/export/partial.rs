//! What a receiver says of a request that it took: all of it, or not.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use serde_json::Value;

/// What a receiver did not take of a request that it answered with 200, or a warning.
///
/// Such a request must not be sent again (OpenTelemetry protocol, "Partial success").
///
/// ```
/// use taximeter_telemetry::export::Partial;
///
/// assert_eq!(Partial::read(&[]), None); // it took all
/// let some = Partial::read(&[0x0a, 0x06, 0x08, 0x03, 0x12, 0x02, b'n', b'o']).expect("not all");
/// assert_eq!((some.rejected, some.message.as_str()), (3, "no"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Partial {
    /// How many spans or points it did not take; zero where it only warns.
    pub rejected: u64,
    /// Why, in its words.
    pub message: String,
}

impl Partial {
    /// Reads the body of an answer, to spans or to metrics: both have the same form. None where all was taken, or where
    /// the body is no such answer.
    pub fn read(body: &[u8]) -> Option<Self> {
        let partial = ExportTraceServiceResponse::decode(body).ok()?.partial_success?;
        let rejected = u64::try_from(partial.rejected_spans).unwrap_or_default();
        let message = partial.error_message;
        Self::of(rejected, message)
    }

    /// The same of an answer in JSON.
    ///
    /// ```
    /// use taximeter_telemetry::export::Partial;
    ///
    /// assert_eq!(Partial::read_json(b"{}"), None); // it took all
    /// let body = br#"{"partialSuccess":{"rejectedDataPoints":"3","errorMessage":"no"}}"#;
    /// let some = Partial::read_json(body).expect("not all");
    /// assert_eq!((some.rejected, some.message.as_str()), (3, "no"));
    /// ```
    pub fn read_json(body: &[u8]) -> Option<Self> {
        let answer: Value = serde_json::from_slice(body).ok()?;
        let partial = &answer["partialSuccess"];
        // Whole numbers of 64 bits are texts in this mapping, and numbers with some.
        let count = |count: &Value| count.as_u64().or_else(|| count.as_str()?.parse().ok());
        let rejected = ["rejectedSpans", "rejectedDataPoints"];
        let rejected = rejected.iter().find_map(|name| count(&partial[*name])).unwrap_or_default();
        Self::of(rejected, partial["errorMessage"].as_str().unwrap_or_default().to_owned())
    }

    fn of(rejected: u64, message: String) -> Option<Self> {
        (rejected > 0 || !message.is_empty()).then_some(Self { rejected, message })
    }
}
