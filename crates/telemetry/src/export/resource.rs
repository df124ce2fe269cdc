//! The process that sends: its attributes, out of the environment of OpenTelemetry.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1;

use super::attributes::Attributes;
use crate::context::Baggage;

/// The attributes of the process that sends, such as `service.name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource(BTreeMap<String, String>);

/// The address of the conventions' names in the version that is written.
pub(super) const SCHEMA: &str = "https://opentelemetry.io/schemas/1.41.0";

impl Resource {
    /// A service of that name.
    pub fn named(service: impl Into<String>) -> Self {
        Self(BTreeMap::new()).with("service.name", service).with("telemetry.sdk.name", "taximeter")
    }

    /// By `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`, of which `variable` gives the values; else the service is
    /// called by that name. Attributes that are malformed are left out all together, as the specification asks.
    ///
    /// Source: OpenTelemetry specification, resource SDK, "Specifying resource information via an environment variable".
    ///
    /// ```
    /// use taximeter_telemetry::export::Resource;
    ///
    /// let variables = |name: &str| match name {
    ///     "OTEL_RESOURCE_ATTRIBUTES" => Some("service.name=a,deployment.environment.name=on%20call".to_owned()),
    ///     _ => None,
    /// };
    /// let resource = Resource::of_environment("program", variables);
    /// assert_eq!(resource.get("service.name"), Some("a"));
    /// assert_eq!(resource.get("deployment.environment.name"), Some("on call"));
    /// assert_eq!(Resource::of_environment("program", |_| None).get("service.name"), Some("unknown_service:program"));
    /// ```
    pub fn of_environment(program: &str, variable: impl Fn(&str) -> Option<String>) -> Self {
        let mut resource = Self::named(format!("unknown_service:{program}"));
        // The text has the form of a baggage without properties.
        let told = variable("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
        let told = Baggage::read([told.as_str()]);
        if told.left_out() == 0 {
            for entry in told.entries() {
                resource = resource.with(entry.key.as_str(), entry.value.as_str());
            }
        }
        match variable("OTEL_SERVICE_NAME").filter(|name| !name.is_empty()) {
            Some(name) => resource.with("service.name", name),
            None => resource,
        }
    }

    /// With one more attribute, or another value of one that is there.
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.insert(key.into(), value.into());
        self
    }

    /// The value of an attribute.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// All attributes, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    pub(super) fn to_proto(&self) -> v1::Resource {
        let mut attributes = Attributes::default();
        self.iter().for_each(|(key, value)| attributes.text(key, value));
        v1::Resource { attributes: attributes.into_inner(), ..v1::Resource::default() }
    }
}

/// Who made the spans and the points.
pub(super) fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "taximeter".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}
