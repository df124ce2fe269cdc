//! From where on something stands out: the limits that findings are measured against.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize};
use taximeter_models::{Money, Name};
use thiserror::Error;

/// From where on something stands out.
///
/// In a configuration file the names that are given under `named` are put on top of the four defaults; every other
/// setting that is left out has its default, and one that does not exist is an error. A limit that
/// [`check`](Self::check) refuses alarms nobody.
///
/// ```
/// use taximeter_analysis::Thresholds;
///
/// let mut thresholds = Thresholds::default();
/// assert_eq!(thresholds.for_operation("qa_response"), 3.0);
/// assert_eq!(thresholds.for_operation("import"), 5.0);
/// assert_eq!(thresholds.for_component("citation_processing"), 1.0);
/// thresholds.named.insert("import".into(), 60.0);
/// assert_eq!(thresholds.check(), Ok(()));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Thresholds {
    /// Mean durations in seconds, for operations and components of these names alike. Default: `qa_response` 3.0,
    /// `vector_search` 0.5, `llm_inference` 2.0, `embedding_generation` 1.0.
    #[serde(deserialize_with = "on_top_of_the_defaults")]
    pub named: BTreeMap<Name, f64>,
    /// The mean duration in seconds of operations that are not named. Default: 5.0.
    pub operation_seconds: f64,
    /// The mean time in seconds of components that are not named. Default: 1.0.
    pub component_seconds: f64,
    /// The share of operations that do not succeed, 0 to 1. Default: 0.1.
    pub error_rate: f64,
    /// With fewer operations than this no error rate stands out: 1 of 2 proves nothing. Default: 10.
    pub error_minimum_operations: u64,
    /// The mean cost of an operation in US dollars. Default: 0.10.
    pub cost_usd: Money,
    /// The share of LLM calls that repeat an earlier one, 0 to 1. Default: 0.2.
    pub repeated_share: f64,
    /// With fewer hashed LLM calls than this no repetition stands out. Default: 10.
    pub repeated_minimum_calls: u64,
    /// With fewer calls of a tool or LLM than this nothing of the following stands out. Default: 20.
    pub minimum_calls: u64,
    /// The share of calls that try again, 0 to 1. Default: 0.1.
    pub retry_share: f64,
    /// The share of calls that are refused for a rate limit, 0 to 1. Default: 0.01.
    pub rate_limited_share: f64,
    /// The share of calls that take too long and are given up, 0 to 1. Default: 0.01.
    pub timeout_share: f64,
    /// So many calls of a tool with the same arguments within one operation are a loop. Default: 4.
    pub loop_calls: u64,
    /// The share of operations with such a loop, 0 to 1. Default: 0.02.
    pub loop_share: f64,
    /// The share of replies that reach the limit of their length, 0 to 1. Default: 0.02.
    pub truncated_share: f64,
    /// A prompt that fills more of the context window than this hardly fits, 0 to 1. Default: 0.8.
    pub context_filled: f64,
    /// The share of such prompts, 0 to 1. Default: 0.05.
    pub context_share: f64,
    /// The share of prompts that begin like one shortly before, 0 to 1. Default: 0.3.
    pub prefix_share: f64,
    /// A cache is cold where less than this of the input of such prompts comes from it, 0 to 1. Default: 0.2.
    pub cached_share: f64,
    /// So many seconds after its last use a provider's cache forgets. Default: 300.
    pub cache_seconds: u64,
    /// With fewer input tokens than this, in the mean, providers do not cache. Default: 1024.
    pub cache_minimum_tokens: u64,
    /// A reply of so many tokens, in the mean, is long. Default: 1000.
    pub reply_tokens: u64,
    /// The part of the cost that is for replies, from which on long ones stand out, 0 to 1. Default: 0.6.
    pub reply_cost_share: f64,
    /// The names of operations that nobody waits for. Default: none.
    pub background: BTreeSet<Name>,
}

/// A setting that cannot be.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum ThresholdsError {
    /// A time is not a number of seconds.
    #[error(
        "threshold {setting}: {value} is not a time; a finite number of seconds, 0 or more, is expected"
    )]
    NotSeconds {
        /// The setting, such as `named.qa_response`.
        setting: String,
        /// Its value.
        value: f64,
    },
    /// A share is not within 0 and 1.
    #[error(
        "threshold {setting}: {value} is not a share; a number from 0 to 1 is expected (0.1 for 10 %)"
    )]
    NotAShare {
        /// The setting, such as `error_rate`.
        setting: String,
        /// Its value.
        value: f64,
    },
    /// An amount of money is below zero.
    #[error(
        "threshold {setting}: ${value} is below zero; an amount of US dollars, 0 or more, is expected"
    )]
    NegativeMoney {
        /// The setting, such as `cost_usd`.
        setting: String,
        /// Its value.
        value: Money,
    },
}

const NAMED: [(&str, f64); 4] = [
    ("qa_response", 3.0),
    ("vector_search", 0.5),
    ("llm_inference", 2.0),
    ("embedding_generation", 1.0),
];

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            named: NAMED.into_iter().map(|(name, seconds)| (name.into(), seconds)).collect(),
            operation_seconds: 5.0,
            component_seconds: 1.0,
            error_rate: 0.1,
            error_minimum_operations: 10,
            cost_usd: Money::from_ticks(Money::TICKS_PER_UNIT / 10),
            repeated_share: 0.2,
            repeated_minimum_calls: 10,
            minimum_calls: 20,
            retry_share: 0.1,
            rate_limited_share: 0.01,
            timeout_share: 0.01,
            loop_calls: 4,
            loop_share: 0.02,
            truncated_share: 0.02,
            context_filled: 0.8,
            context_share: 0.05,
            prefix_share: 0.3,
            cached_share: 0.2,
            cache_seconds: 300,
            cache_minimum_tokens: 1_024,
            reply_tokens: 1_000,
            reply_cost_share: 0.6,
            background: BTreeSet::new(),
        }
    }
}

impl Thresholds {
    /// The threshold in seconds for operations of that name.
    pub fn for_operation(&self, name: &str) -> f64 {
        self.named.get(name).copied().unwrap_or(self.operation_seconds)
    }

    /// The threshold in seconds for components of that name.
    pub fn for_component(&self, name: &str) -> f64 {
        self.named.get(name).copied().unwrap_or(self.component_seconds)
    }

    /// Lowers what counts cases so far that every case is found.
    pub(crate) fn find_everything(&mut self) {
        (self.error_minimum_operations, self.repeated_minimum_calls, self.minimum_calls) =
            (0, 0, 0);
        (self.error_rate, self.repeated_share, self.retry_share) = (0.0, 0.0, 0.0);
        (self.rate_limited_share, self.timeout_share, self.loop_share) = (0.0, 0.0, 0.0);
        (self.truncated_share, self.context_share) = (0.0, 0.0);
    }

    const fn shares(&self) -> [(&'static str, f64); 12] {
        [
            ("error_rate", self.error_rate),
            ("repeated_share", self.repeated_share),
            ("retry_share", self.retry_share),
            ("rate_limited_share", self.rate_limited_share),
            ("timeout_share", self.timeout_share),
            ("loop_share", self.loop_share),
            ("truncated_share", self.truncated_share),
            ("context_filled", self.context_filled),
            ("context_share", self.context_share),
            ("prefix_share", self.prefix_share),
            ("cached_share", self.cached_share),
            ("reply_cost_share", self.reply_cost_share),
        ]
    }

    /// Looks whether every setting can be meant.
    ///
    /// # Errors
    /// Names the first setting that is not a finite number of seconds of 0 or more, not a share from 0 to 1, or an
    /// amount of money below zero.
    pub fn check(&self) -> Result<(), ThresholdsError> {
        for (name, seconds) in &self.named {
            check_seconds(&format!("named.{name}"), *seconds)?;
        }
        check_seconds("operation_seconds", self.operation_seconds)?;
        check_seconds("component_seconds", self.component_seconds)?;
        for (setting, share) in self.shares() {
            check_share(setting, share)?;
        }
        if self.cost_usd.is_negative() {
            let setting = "cost_usd".to_owned();
            return Err(ThresholdsError::NegativeMoney { setting, value: self.cost_usd });
        }
        Ok(())
    }
}

/// Whether a limit is one that [`Thresholds::check`] accepts as a number; others never alarm.
pub(crate) fn is_limit(value: f64) -> bool {
    value.is_finite() && value >= 0.0
}

fn check_seconds(setting: &str, value: f64) -> Result<(), ThresholdsError> {
    let error = || ThresholdsError::NotSeconds { setting: setting.to_owned(), value };
    is_limit(value).then_some(()).ok_or_else(error)
}

fn check_share(setting: &str, value: f64) -> Result<(), ThresholdsError> {
    let error = || ThresholdsError::NotAShare { setting: setting.to_owned(), value };
    (0.0..=1.0).contains(&value).then_some(()).ok_or_else(error)
}

/// Whoever names one operation of their own does not want to lose the limits of the others.
fn on_top_of_the_defaults<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<Name, f64>, D::Error> {
    let mut named = Thresholds::default().named;
    named.extend(BTreeMap::<Name, f64>::deserialize(deserializer)?);
    Ok(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_has_its_default() {
        let read: Thresholds =
            serde_json::from_str(r#"{"named": {"import": 60.0}, "cost_usd": "0.25"}"#).unwrap();
        assert_eq!(
            (read.for_operation("import"), read.for_component("vector_search")),
            (60.0, 0.5)
        );
        assert_eq!(read.cost_usd.to_string(), "0.25");
        assert!((read.error_rate - 0.1).abs() < f64::EPSILON);
        assert!(serde_json::from_str::<Thresholds>(r#"{"eror_rate": 0.2}"#).is_err());
    }

    #[test]
    fn json_and_back() {
        let json = serde_json::to_string(&Thresholds::default()).unwrap();
        assert_eq!(serde_json::from_str::<Thresholds>(&json).unwrap(), Thresholds::default());
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_name() {
        let refused = |change: fn(&mut Thresholds)| {
            let mut thresholds = Thresholds::default();
            change(&mut thresholds);
            thresholds.check().unwrap_err().to_string()
        };
        assert!(refused(|t| t.operation_seconds = f64::NAN).contains("operation_seconds: NaN"));
        assert!(refused(|t| t.component_seconds = f64::INFINITY).contains("component_seconds"));
        assert!(
            refused(|t| t.named.extend([("x".into(), -1.0)])).starts_with("threshold named.x: -1")
        );
        assert!(refused(|t| t.error_rate = 10.0).contains("0.1 for 10 %"));
        assert!(refused(|t| t.repeated_share = -0.1).contains("repeated_share"));
        assert!(refused(|t| t.cost_usd = -t.cost_usd).contains("$-0.1 is below zero"));
    }
}
