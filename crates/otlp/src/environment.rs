//! The environment variables of OpenTelemetry.
//!
//! Source: OpenTelemetry specification, "OpenTelemetry Protocol Exporter" and "Environment Variable Specification".

use std::time::Duration;

use percent_encoding::percent_decode_str;
use taximeter::otlp::{Convention, Resource};
use thiserror::Error;

use crate::protocol::{Endpoint, Protocol, Signal};
use crate::transport::Target;

/// A variable of the environment that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("reading the environment variable {name}: {why}")]
pub struct EnvironmentError {
    name: String,
    why: String,
}

/// What the environment says.
#[derive(Debug)]
pub(crate) struct Environment {
    pub(crate) resource: Resource,
    pub(crate) convention: Convention,
    pub(crate) traces: Option<Target>,
    pub(crate) metrics: Option<Target>,
    pub(crate) every: Option<Duration>,
    pub(crate) delay: Option<Duration>,
    pub(crate) queue: Option<usize>,
    pub(crate) batch: Option<usize>,
}

impl Environment {
    /// Reads what the variables say, of which `variable` gives the values; the empty ones are as good as unset.
    pub(crate) fn read(
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, EnvironmentError> {
        let get = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let program = std::env::current_exe().ok();
        let program = program.as_deref().and_then(|path| path.file_stem()?.to_str());
        let disabled =
            get("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let wanted = |name: &str| !disabled && get(name).is_none_or(|value| value.trim() != "none");
        let milliseconds = |name: &str| Ok(number(name, get(name))?.map(Duration::from_millis));
        let target =
            |signal, switch: &str| wanted(switch).then(|| target(signal, &get)).transpose();
        let size = |name: &str| {
            Ok(number(name, get(name))?.map(|number| usize::try_from(number).unwrap_or(usize::MAX)))
        };
        Ok(Self {
            resource: Resource::of_environment(program.unwrap_or("taximeter"), get),
            convention: Convention::Current,
            traces: target(Signal::Traces, "OTEL_TRACES_EXPORTER")?,
            metrics: target(Signal::Metrics, "OTEL_METRICS_EXPORTER")?,
            every: milliseconds("OTEL_METRIC_EXPORT_INTERVAL")?,
            delay: milliseconds("OTEL_BSP_SCHEDULE_DELAY")?,
            queue: size("OTEL_BSP_MAX_QUEUE_SIZE")?,
            batch: size("OTEL_BSP_MAX_EXPORT_BATCH_SIZE")?,
        })
    }
}

fn target(
    signal: Signal,
    get: &impl Fn(&str) -> Option<String>,
) -> Result<Target, EnvironmentError> {
    // What is said of a signal wins over what is said of all.
    let own = format!("OTEL_EXPORTER_OTLP_{}_", signal.name().to_ascii_uppercase());
    let said = |what: &str| {
        let names = [format!("{own}{what}"), format!("OTEL_EXPORTER_OTLP_{what}")];
        names.into_iter().find_map(|name| get(&name).map(|value| (name, value)))
    };
    let protocol = match said("PROTOCOL") {
        Some((name, told)) => {
            Protocol::named(told.trim()).ok_or_else(|| unspoken(name, told.trim()))?
        }
        None => Protocol::default(),
    };
    let is_insecure = || said("INSECURE").is_some_and(|(_, value)| value.trim() == "true");
    let url = |told: &str| match told.trim() {
        // An endpoint of gRPC may be a name and a port, and no more.
        told if !protocol.is_grpc() || told.contains("://") => told.to_owned(),
        told if is_insecure() => format!("http://{told}"),
        told => format!("https://{told}"),
    };
    let endpoint = match said("ENDPOINT") {
        Some((name, told)) if name.starts_with(&own) => Endpoint::Own(url(&told)),
        Some((_, told)) => Endpoint::OfAll(url(&told)),
        None => Endpoint::Usual,
    };
    let mut target = Target::new(signal, endpoint);
    target.protocol = protocol;
    if let Some((name, headers)) = said("HEADERS") {
        target.headers = read_headers(&headers).ok_or_else(|| EnvironmentError {
            name,
            why: "it is no list of name=value".to_owned(),
        })?;
    }
    if let Some((name, timeout)) = said("TIMEOUT") {
        target.timeout =
            number(&name, Some(timeout))?.map_or(target.timeout, Duration::from_millis);
    }
    #[cfg(feature = "tls")]
    {
        let file = |what: &str| said(what).map(read_file).transpose();
        target.trust.roots = file("CERTIFICATE")?;
        target.trust.chain = file("CLIENT_CERTIFICATE")?;
        target.trust.key = file("CLIENT_KEY")?;
    }
    if let Some((name, compression)) = said("COMPRESSION") {
        target.gzip = match compression.trim() {
            "gzip" => true,
            "none" => false,
            other => {
                let why = format!("{other:?} is no compression; gzip and none are");
                return Err(EnvironmentError { name, why });
            }
        };
    }
    Ok(target)
}

/// The bytes of the file that a variable names.
#[cfg(feature = "tls")]
fn read_file((name, path): (String, String)) -> Result<Vec<u8>, EnvironmentError> {
    let path = path.trim();
    std::fs::read(path)
        .map_err(|error| EnvironmentError { name, why: format!("reading {path:?}: {error}") })
}

/// A protocol that is not spoken here, or not without a feature.
fn unspoken(name: String, protocol: &str) -> EnvironmentError {
    let why = match protocol {
        "http/json" => "http/json needs the feature `json`".to_owned(),
        "grpc" => "grpc needs the feature `grpc`; or set it to http/protobuf, and the endpoint to its port".to_owned(),
        other => format!("{other:?} is no protocol; http/protobuf, http/json and grpc are"),
    };
    EnvironmentError { name, why }
}

fn number(name: &str, value: Option<String>) -> Result<Option<u64>, EnvironmentError> {
    let Some(value) = value else { return Ok(None) };
    let why = |_| format!("{:?} is no whole number", value.chars().take(64).collect::<String>());
    value
        .trim()
        .parse()
        .map(Some)
        .map_err(why)
        .map_err(|why| EnvironmentError { name: name.to_owned(), why })
}

/// `name=value` with commas between them, values in percent encoding. What they say may be secret, so it is told nobody.
fn read_headers(text: &str) -> Option<Vec<(String, String)>> {
    let header = |member: &str| {
        let (name, value) = member.split_once('=')?;
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let name = name.trim().to_ascii_lowercase();
        let good =
            !name.is_empty() && name.bytes().all(is_name) && !value.chars().any(char::is_control);
        good.then(|| (name, value.into_owned()))
    };
    text.split(',').map(str::trim).filter(|member| !member.is_empty()).map(header).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that meets with an error shall panic")]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Environment, EnvironmentError> {
        Environment::read(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn without_any_it_goes_to_the_collector_on_this_machine() {
        let environment = read(&[]).unwrap();
        let (traces, metrics) = (environment.traces.unwrap(), environment.metrics.unwrap());
        assert_eq!(traces.url(), "http://localhost:4318/v1/traces");
        assert_eq!(
            (metrics.url(), metrics.timeout),
            ("http://localhost:4318/v1/metrics".to_owned(), Duration::from_secs(10))
        );
        assert!(!traces.gzip && traces.headers.is_empty());
    }

    #[test]
    fn a_signals_own_variables_win_and_its_endpoint_is_used_as_it_is() {
        let environment = read(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:1/base/"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://one:2/own"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Basic%20abc, x-a = b"),
            ("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "250"),
            ("OTEL_SERVICE_NAME", "answers"),
        ])
        .unwrap();
        let (traces, metrics) = (environment.traces.unwrap(), environment.metrics.unwrap());
        assert_eq!(
            [traces.url(), metrics.url()],
            ["http://one:2/own", "http://all:1/base/v1/metrics"]
        );
        let headers = [("authorization", "Basic abc"), ("x-a", "b")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(traces.headers, headers);
        assert_eq!(
            (traces.gzip, metrics.gzip, traces.timeout),
            (false, true, Duration::from_millis(250))
        );
        assert_eq!(environment.resource.get("service.name"), Some("answers"));
    }

    #[cfg(feature = "json")]
    #[test]
    fn each_signal_has_its_protocol() {
        let environment = read(&[
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
        ])
        .unwrap();
        let (traces, metrics) = (environment.traces.unwrap(), environment.metrics.unwrap());
        assert_eq!(
            (traces.protocol, metrics.protocol),
            (Protocol::HttpJson, Protocol::HttpProtobuf)
        );
    }

    #[cfg(feature = "grpc")]
    #[test]
    fn over_grpc_an_endpoint_has_no_path_and_may_have_no_scheme() {
        let urls = |variables: &[(&str, &str)]| {
            let grpc = [("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")];
            let environment = read(&[&grpc, variables].concat()).unwrap();
            [environment.traces.unwrap(), environment.metrics.unwrap()].map(|target| target.url())
        };
        assert_eq!(urls(&[]), ["http://localhost:4317"; 2]);
        let endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT";
        assert_eq!(urls(&[(endpoint, "http://all:1/")]), ["http://all:1"; 2]);
        assert_eq!(urls(&[(endpoint, "all:1")]), ["https://all:1"; 2]);
        let insecure = ("OTEL_EXPORTER_OTLP_INSECURE", "true");
        let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "one:2");
        assert_eq!(urls(&[(endpoint, "all:1"), own, insecure]), ["http://one:2", "http://all:1"]);
    }

    #[test]
    fn what_is_switched_off_is_not_sent() {
        let disabled = read(&[("OTEL_SDK_DISABLED", "TRUE")]).unwrap();
        assert!(disabled.traces.is_none() && disabled.metrics.is_none());
        let spans_only = read(&[("OTEL_METRICS_EXPORTER", "none")]).unwrap();
        assert!(spans_only.traces.is_some() && spans_only.metrics.is_none());
    }

    #[test]
    fn what_cannot_be_followed_is_said_by_its_name_and_never_its_secret() {
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "udp"),
            ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "brotli"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "sk-secret"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "-1"),
        ] {
            let error = read(&[(name, value)]).unwrap_err().to_string();
            assert!(error.contains(name) && !error.contains("sk-secret"), "{error}");
        }
    }
}
