//! Which protocol is spoken, and where each signal goes by it.

use taximeter::otlp::Encoding;

/// By which protocol it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Protocol {
    /// OTLP over HTTP, in protobuf: `http/protobuf`.
    #[default]
    HttpProtobuf,
    /// OTLP over HTTP, in JSON: `http/json`. Needs the feature `json`.
    #[cfg(feature = "json")]
    HttpJson,
    /// OTLP over gRPC: `grpc`. Needs the feature `grpc`.
    #[cfg(feature = "grpc")]
    Grpc,
}

impl Protocol {
    /// The protocol by its name in the environment; none where it is not known, or its feature not on.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "http/protobuf" => Some(Self::HttpProtobuf),
            #[cfg(feature = "json")]
            "http/json" => Some(Self::HttpJson),
            #[cfg(feature = "grpc")]
            "grpc" => Some(Self::Grpc),
            _ => None,
        }
    }

    /// How requests are written down.
    pub(crate) const fn encoding(self) -> Encoding {
        match self {
            #[cfg(feature = "json")]
            Self::HttpJson => Encoding::Json,
            _ => Encoding::Protobuf,
        }
    }

    /// Whether it is gRPC, whose methods have paths of their own.
    pub(crate) const fn is_grpc(self) -> bool {
        match self {
            #[cfg(feature = "grpc")]
            Self::Grpc => true,
            _ => false,
        }
    }
}

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Signal {
    Traces,
    Metrics,
}

impl Signal {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
        }
    }

    /// Its method of gRPC.
    #[cfg(feature = "grpc")]
    pub(crate) const fn method(self) -> &'static str {
        match self {
            Self::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Self::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        }
    }
}

/// An endpoint as it was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// Nothing was told: the collector on this machine.
    Usual,
    /// Of all signals: over HTTP each has its path behind it.
    OfAll(String),
    /// Of this signal: used as it is.
    Own(String),
}

impl Endpoint {
    /// Where a signal goes (OpenTelemetry specification, "Endpoint URLs for OTLP/HTTP").
    pub(crate) fn url(&self, signal: Signal, protocol: Protocol) -> String {
        let base = match self {
            Self::Own(url) => return url.clone(),
            Self::OfAll(url) => url.trim_end_matches('/'),
            Self::Usual if protocol.is_grpc() => "http://localhost:4317",
            Self::Usual => "http://localhost:4318",
        };
        if protocol.is_grpc() { base.to_owned() } else { format!("{base}/v1/{}", signal.name()) }
    }
}
