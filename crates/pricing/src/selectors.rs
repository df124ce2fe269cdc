//! How a call was served, as far as that changes its price.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use taximeter_models::{LlmCall, Name};

/// A thing about a call that may select another price.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Selector {
    /// The service tier that **served** the call, such as `flex` or `priority`.
    ServiceTier,
    /// How it was processed, such as `batch`.
    Processing,
    /// The speed that was paid for, such as `fast`.
    Speed,
    /// The region that served it, such as `us`.
    Region,
    /// The mode of the LLM, such as `thinking`.
    Mode,
    /// The kind of endpoint that served it, such as `regional`.
    Endpoint,
    /// Anything else, by its name.
    Other(Name),
}

impl Selector {
    /// The name on the wire, such as `service_tier`.
    pub fn as_str(&self) -> &str {
        match self {
            Self::ServiceTier => "service_tier",
            Self::Processing => "processing",
            Self::Speed => "speed",
            Self::Region => "region",
            Self::Mode => "mode",
            Self::Endpoint => "endpoint",
            Self::Other(name) => name,
        }
    }
}

impl From<&str> for Selector {
    fn from(name: &str) -> Self {
        match name.trim().to_ascii_lowercase().as_str() {
            "service_tier" => Self::ServiceTier,
            "processing" => Self::Processing,
            "speed" => Self::Speed,
            "region" => Self::Region,
            "mode" => Self::Mode,
            "endpoint" => Self::Endpoint,
            other => Self::Other(Name::from(other)),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Selectors with their values, at most one value each. Upper and lower case are the same.
///
/// The values `default` and `standard` say that nothing special was asked for, and are left out; the service tier
/// `batch`, as some providers report it, is the processing `batch`.
///
/// ```
/// use taximeter_pricing::{Selector, Selectors};
///
/// let selectors = Selectors::new().service_tier("Flex").region("us");
/// assert_eq!(selectors.get(&Selector::ServiceTier), Some("flex"));
/// assert!(Selectors::new().service_tier("default").is_empty());
/// assert_eq!(Selectors::new().service_tier("batch"), Selectors::new().batch());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, String>", into = "BTreeMap<String, String>")]
pub struct Selectors(Vec<(Selector, Name)>);

impl Selectors {
    /// No selectors: the standard price.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Says which service tier served the call.
    pub fn service_tier(self, tier: &str) -> Self {
        self.with(Selector::ServiceTier, tier)
    }

    /// Says that the call was processed in a batch.
    pub fn batch(self) -> Self {
        self.with(Selector::Processing, "batch")
    }

    /// Says which speed was paid for.
    pub fn speed(self, speed: &str) -> Self {
        self.with(Selector::Speed, speed)
    }

    /// Says which region served the call.
    pub fn region(self, region: &str) -> Self {
        self.with(Selector::Region, region)
    }

    /// Says in which mode the LLM ran.
    pub fn mode(self, mode: &str) -> Self {
        self.with(Selector::Mode, mode)
    }

    /// Sets any selector.
    pub fn with(mut self, selector: Selector, value: &str) -> Self {
        let value = value.trim().to_ascii_lowercase();
        let selector = match (selector, value.as_str()) {
            (Selector::ServiceTier, "batch") => Selector::Processing,
            (selector, _) => selector,
        };
        self.0.retain(|(known, _)| *known != selector);
        if !matches!(value.as_str(), "" | "default" | "standard") {
            self.0.push((selector, Name::from(value)));
            self.0.sort();
        }
        self
    }

    /// The value of a selector, in lower case.
    pub fn get(&self, selector: &Selector) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == selector).map(|(_, value)| value.as_str())
    }

    /// The selectors that are set, with their values.
    pub fn iter(&self) -> impl Iterator<Item = (&Selector, &str)> + '_ {
        self.0.iter().map(|(selector, value)| (selector, value.as_str()))
    }

    /// How many selectors are set.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no selector is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every one of these is set to the same value in `call`.
    ///
    /// A call whose `mode` is `batch`, `flex` or `fast` was served so, whichever selector a card asks for it by.
    ///
    /// ```
    /// use taximeter_pricing::Selectors;
    ///
    /// let batch = Selectors::new().batch();
    /// assert!(batch.all_hold_in(&Selectors::new().batch().region("us")));
    /// assert!(batch.all_hold_in(&Selectors::new().mode("batch")));
    /// assert!(!batch.all_hold_in(&Selectors::new().mode("flex")));
    /// ```
    pub fn all_hold_in(&self, call: &Self) -> bool {
        self.0.iter().all(|(selector, value)| call.answers(selector).any(|(_, said)| said == value))
    }

    /// What these say of a selector: its own value, and the mode, which stands for several selectors.
    pub(crate) fn answers(&self, asked: &Selector) -> impl Iterator<Item = &(Selector, Name)> {
        let by_mode =
            matches!(asked, Selector::ServiceTier | Selector::Processing | Selector::Speed);
        self.0
            .iter()
            .filter(move |(known, _)| known == asked || (by_mode && *known == Selector::Mode))
    }
}

impl From<&LlmCall> for Selectors {
    /// How a call was served, by its tier and by what else it tells.
    fn from(call: &LlmCall) -> Self {
        let tier = call.served_tier.iter().map(|tier| (Selector::ServiceTier, tier));
        let others =
            call.served_as.iter().map(|(key, value)| (Selector::from(key.as_str()), value));
        tier.chain(others).fold(Self::new(), |set, (selector, value)| set.with(selector, value))
    }
}

impl From<BTreeMap<String, String>> for Selectors {
    fn from(pairs: BTreeMap<String, String>) -> Self {
        pairs.iter().fold(Self::new(), |set, (key, value)| set.with(key.as_str().into(), value))
    }
}

impl From<Selectors> for BTreeMap<String, String> {
    fn from(selectors: Selectors) -> Self {
        selectors.iter().map(|(key, value)| (key.to_string(), value.to_owned())).collect()
    }
}
