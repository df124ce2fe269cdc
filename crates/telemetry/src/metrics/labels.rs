//! The labels of a series: names and values, ordered by name.

use std::borrow::Cow;
use std::fmt;

use taximeter_models::Name;

/// What tells one series of a family from another. Labels without a value are left out, as the conventions ask.
///
/// ```
/// use taximeter_telemetry::metrics::Labels;
///
/// let labels = Labels::new([("gen_ai.tool.name", "search"), ("error.type", "timeout")]);
/// assert_eq!(labels.get("error.type"), Some("timeout"));
/// assert_eq!(labels.to_string(), "error.type=timeout, gen_ai.tool.name=search");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Labels(Vec<(Cow<'static, str>, Name)>);

impl Labels {
    /// The label that stands on the one series for all label sets above the limit.
    ///
    /// Source: OpenTelemetry specification, metrics SDK, "Cardinality limits".
    pub const OVERFLOW: &'static str = "otel.metric.overflow";

    /// Labels of these names and values. Where a name comes twice, the last value counts.
    pub fn new<K, V>(labels: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<Cow<'static, str>>,
        V: Into<Name>,
    {
        let mut all = Self::default();
        for (name, value) in labels {
            all.put(name, value);
        }
        all
    }

    /// Puts one more label in, or another value to one that is there.
    pub fn put(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Name>) {
        let name = name.into();
        match self.0.binary_search_by(|(known, _)| known.as_ref().cmp(name.as_ref())) {
            Ok(place) => self.0[place].1 = value.into(),
            Err(place) => self.0.insert(place, (name, value.into())),
        }
    }

    /// The same with one label more.
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Name>) -> Self {
        self.put(name, value);
        self
    }

    /// The value of a label.
    pub fn get(&self, name: &str) -> Option<&str> {
        let place = self.0.binary_search_by(|(known, _)| known.as_ref().cmp(name)).ok()?;
        Some(self.0[place].1.as_str())
    }

    /// Names and values, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_str()))
    }

    /// The same within bounds: so many labels, the first by their names, with values of so many bytes.
    pub(super) fn bounded(mut self, most: usize, bytes: usize) -> Self {
        self.0.truncate(most);
        for (_, value) in self.0.iter_mut().filter(|(_, value)| value.len() > bytes) {
            let end = (0..=bytes).rev().find(|end| value.is_char_boundary(*end));
            *value = value[..end.unwrap_or_default()].into();
        }
        self
    }

    pub(crate) fn overflow() -> Self {
        Self::new([(Self::OVERFLOW, "true")])
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, value)) in self.0.iter().enumerate() {
            write!(f, "{}{name}={value}", if at > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}
