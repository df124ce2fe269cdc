//! How a request is written down.

use prost::Message;

/// How a request is written down, and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Encoding {
    /// Protobuf, which every receiver takes.
    #[default]
    Protobuf,
    /// JSON, in the words of protobuf's own mapping but for ids, which are hexadecimal (OpenTelemetry protocol, "JSON
    /// Protobuf Encoding"). Needs the feature `otlp-export-json`.
    #[cfg(feature = "otlp-export-json")]
    Json,
}

impl Encoding {
    /// The `Content-Type` of a body.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            #[cfg(feature = "otlp-export-json")]
            Self::Json => "application/json",
        }
    }

    #[cfg(feature = "otlp-export-json")]
    pub(super) fn write(self, request: &(impl Message + serde::Serialize)) -> Option<Vec<u8>> {
        match self {
            Self::Protobuf => Some(request.encode_to_vec()),
            // Nothing of it is a map whose keys are no texts, which is all that JSON could refuse.
            Self::Json => serde_json::to_vec(request).ok(),
        }
    }

    #[cfg(not(feature = "otlp-export-json"))]
    #[expect(clippy::unnecessary_wraps, reason = "JSON may refuse")]
    pub(super) fn write(self, request: &impl Message) -> Option<Vec<u8>> {
        match self {
            Self::Protobuf => Some(request.encode_to_vec()),
        }
    }
}
