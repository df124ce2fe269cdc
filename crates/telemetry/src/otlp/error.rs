//! Why a request could not be read.

use thiserror::Error;

/// Why a request could not be read. Nothing of such a request was taken, and to send it again unchanged is of no use.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The body is not protobuf.
    #[error("reading the request as protobuf: {0}; send the Export…ServiceRequest of OTLP 1.x")]
    Protobuf(&'static str),
    /// The body is not JSON of the right shape.
    #[error("reading the request as JSON: {0}; send the Export…ServiceRequest of OTLP 1.x")]
    Json(String),
    /// Values lie within values, deeper than is allowed.
    #[error("reading the request: values lie more than {0} deep within each other; flatten them")]
    TooDeep(usize),
    /// It is a request, but of another signal than its path says.
    #[error("reading {0} where {1} belong; send them to their own path")]
    WrongSignal(&'static str, &'static str),
    /// The body does not decompress.
    #[error("decompressing the request by {encoding}: {why}; compress it anew")]
    Compression {
        /// The encoding as the request names it.
        encoding: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The body is larger than is allowed, compressed or not.
    #[error("reading the request: it is larger than {0} bytes; send smaller batches")]
    TooLarge(usize),
}

impl From<serde_json::Error> for DecodeError {
    fn from(error: serde_json::Error) -> Self {
        Self::Json(error.to_string())
    }
}
