//! What is answered: the messages of OTLP's responses, in the encoding of the request.

use serde_json::json;

use super::compression::Encoding;
use super::wire::{put_bytes, put_number};

/// The kinds of telemetry that are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Points of metrics.
    Metrics,
    /// Log records.
    Logs,
}

impl Signal {
    /// The end of its path over HTTP, such as `/v1/traces`.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Traces => "/v1/traces",
            Self::Metrics => "/v1/metrics",
            Self::Logs => "/v1/logs",
        }
    }

    /// The signal of a gRPC method, such as `/opentelemetry.proto.collector.trace.v1.TraceService/Export`.
    pub fn of_grpc(method: &str) -> Option<Self> {
        let service = method.strip_prefix("/opentelemetry.proto.collector.")?;
        match service.strip_suffix("/Export")? {
            "trace.v1.TraceService" => Some(Self::Traces),
            "metrics.v1.MetricsService" => Some(Self::Metrics),
            "logs.v1.LogsService" => Some(Self::Logs),
            _ => None,
        }
    }

    const fn rejected(self) -> &'static str {
        match self {
            Self::Traces => "rejectedSpans",
            Self::Metrics => "rejectedDataPoints",
            Self::Logs => "rejectedLogRecords",
        }
    }
}

/// How a request is written, and so its response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// `application/x-protobuf`.
    Protobuf,
    /// `application/json`.
    Json,
}

impl Format {
    /// The format of a `Content-Type`, whatever parameters it has.
    pub(crate) fn of(content_type: &str) -> Option<Self> {
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        match kind.to_ascii_lowercase().as_str() {
            "application/x-protobuf" => Some(Self::Protobuf),
            "application/json" => Some(Self::Json),
            _ => None,
        }
    }

    /// Its `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }
}

/// Which telemetry a request brings, and how its body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Address {
    /// What is brought.
    pub signal: Signal,
    /// How it is written.
    pub format: Format,
    pub(super) encoding: Encoding,
}

impl Address {
    /// The address of a request over HTTP, by its headers.
    ///
    /// # Errors
    /// The response to a request in a format or an encoding that is not understood.
    pub fn of_http(
        signal: Signal,
        content_type: Option<&str>,
        content_encoding: Option<&str>,
    ) -> Result<Self, Response> {
        let Some(format) = content_type.and_then(Format::of) else {
            let why = "telemetry is application/x-protobuf or application/json";
            return Err(Response::plain(415, why));
        };
        let Some(encoding) = Encoding::named(content_encoding.unwrap_or_default()) else {
            let why = format!("the body may be compressed by {}, or not at all", Encoding::NAMES);
            return Err(Response::plain(415, &why).with("accept-encoding", Encoding::NAMES));
        };
        Ok(Self { signal, format, encoding })
    }

    /// The address of a message over gRPC, by `grpc-encoding`.
    ///
    /// # Errors
    /// The refusal of a message that is compressed in a way that is not understood.
    pub fn of_grpc(signal: Signal, encoding: &str) -> Result<Self, Refusal> {
        let encoding = Encoding::named(encoding).ok_or_else(|| {
            let why = format!("a message may be compressed by {}, or not at all", Encoding::NAMES);
            Refusal::new(Code::Unimplemented, why)
        })?;
        Ok(Self { signal, format: Format::Protobuf, encoding })
    }

    /// The name of the encoding, as `Content-Encoding` has it.
    pub const fn encoding(self) -> &'static str {
        self.encoding.name()
    }
}

/// What became of a request that could be read.
///
/// All of it was taken if nothing was refused; a message with nothing refused is a warning.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Taken {
    /// Spans, points or records that were refused, and are not to be sent again.
    pub rejected: u64,
    /// Why they were refused, or what was left out of those that were taken.
    pub message: String,
}

impl Taken {
    /// `Export…ServiceResponse`, as bytes.
    pub fn encode(&self, signal: Signal, format: Format) -> Vec<u8> {
        let all_well = self.rejected == 0 && self.message.is_empty();
        match format {
            Format::Json if all_well => b"{}".to_vec(),
            // Numbers of 64 bits are texts in JSON.
            Format::Json => json!({"partialSuccess": {
                signal.rejected(): self.rejected.to_string(),
                "errorMessage": self.message,
            }})
            .to_string()
            .into_bytes(),
            Format::Protobuf => {
                let (mut partial, mut response) = (Vec::new(), Vec::new());
                put_number(&mut partial, 1, self.rejected);
                put_bytes(&mut partial, 2, self.message.as_bytes());
                put_bytes(&mut response, 1, &partial);
                response
            }
        }
    }
}

/// Why a request was refused as a whole, as `google.rpc.Code` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// It cannot be read; to send it again is of no use.
    InvalidArgument,
    /// It is too large; to send it again is of no use.
    ResourceExhausted,
    /// Nobody takes this here.
    Unimplemented,
    /// Too much waits to be taken away; to send it again later is what is asked for.
    Unavailable,
}

impl Code {
    /// Its number over gRPC.
    pub const fn number(self) -> u8 {
        match self {
            Self::InvalidArgument => 3,
            Self::ResourceExhausted => 8,
            Self::Unimplemented => 12,
            Self::Unavailable => 14,
        }
    }
}

/// A request that was refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct Refusal {
    /// Why.
    pub code: Code,
    /// What is wrong, and what to do.
    pub message: String,
    /// After how many seconds to try again; none where that is of no use.
    pub retry_after: Option<u32>,
}

impl Refusal {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after: None }
    }

    /// `google.rpc.Status`, as bytes: the body over HTTP, and `grpc-status-details-bin` over gRPC. With `RetryInfo`
    /// where to try again is asked for.
    pub fn encode(&self, format: Format) -> Vec<u8> {
        match format {
            Format::Json => json!({"code": self.code.number(), "message": self.message})
                .to_string()
                .into_bytes(),
            Format::Protobuf => {
                let mut status = Vec::new();
                put_number(&mut status, 1, u64::from(self.code.number()));
                put_bytes(&mut status, 2, self.message.as_bytes());
                if let Some(seconds) = self.retry_after {
                    let (mut delay, mut info, mut any) = (Vec::new(), Vec::new(), Vec::new());
                    put_number(&mut delay, 1, u64::from(seconds));
                    put_bytes(&mut info, 1, &delay);
                    put_bytes(&mut any, 1, b"type.googleapis.com/google.rpc.RetryInfo");
                    put_bytes(&mut any, 2, &info);
                    put_bytes(&mut status, 3, &any);
                }
                status
            }
        }
    }
}

/// A response over HTTP, for whatever server sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Response {
    /// The status, such as 200.
    pub status: u16,
    /// The headers, by their names in small letters.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// The response to a request that came to an address.
    pub fn of(address: Address, taken: &Result<Taken, Refusal>) -> Self {
        let format = address.format;
        let refusal = match taken {
            Ok(taken) => return Self::formatted(200, format, taken.encode(address.signal, format)),
            Err(refusal) => refusal,
        };
        let status = match refusal.code {
            Code::ResourceExhausted => 413,
            Code::Unavailable => 503,
            Code::InvalidArgument | Code::Unimplemented => 400,
        };
        let response = Self::formatted(status, format, refusal.encode(format));
        match refusal.retry_after {
            Some(seconds) => response.with("retry-after", seconds.to_string()),
            None => response,
        }
    }

    pub(crate) fn plain(status: u16, message: &str) -> Self {
        let headers = vec![("content-type", "text/plain; charset=utf-8".to_owned())];
        Self { status, headers, body: message.as_bytes().to_vec() }
    }

    pub(crate) fn formatted(status: u16, format: Format, body: Vec<u8>) -> Self {
        Self { status, headers: vec![("content-type", format.content_type().to_owned())], body }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The value of a header, by its name in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| *found == name).map(|(_, value)| value.as_str())
    }
}
