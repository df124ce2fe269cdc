//! What a receiver says of a request that it took: all of it, or not.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;

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
        (rejected > 0 || !message.is_empty()).then_some(Self { rejected, message })
    }
}
