//! Calls that an operation made: of tools, and of LLMs.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{CostOutcome, ErrorCategory, ErrorRecord, Name, TokenUsage};

/// What the program wanted to keep with a record, by key.
pub type Metadata = BTreeMap<String, Value>;

/// How a tool call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ToolStatus {
    /// It did what it was asked to.
    Success,
    /// It ran, and said that it could not do it.
    Failure,
    /// It took too long.
    Timeout,
    /// It broke.
    Error,
}

impl ToolStatus {
    /// The name on the wire, such as `success`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Timeout => "timeout",
            Self::Error => "error",
        }
    }

    /// The status of a call that ended with this error.
    pub fn of_error(category: ErrorCategory) -> Self {
        if category == ErrorCategory::Timeout { Self::Timeout } else { Self::Error }
    }
}

/// One call of a tool.
///
/// ```
/// use std::time::Duration;
/// use taximeter_models::{ErrorCategory, ToolCall, ToolStatus};
///
/// let call = ToolCall::new("web_search", ToolStatus::Timeout)
///     .lasting(Duration::from_secs(30))
///     .failed_with(ErrorCategory::Timeout, "no answer after 30 s");
/// assert!(!call.is_success());
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ToolCall {
    /// The tool.
    pub name: Name,
    /// How the call ended.
    pub status: ToolStatus,
    /// When it began; none if only its duration was told.
    pub started_at: Option<DateTime<Utc>>,
    /// How long it took, by a monotonic clock; none if that was not told.
    pub duration: Option<Duration>,
    /// What went wrong, if something did.
    pub error: Option<ErrorRecord>,
    /// Which try this was, counted from 1.
    pub attempt: u32,
    /// A hash of the arguments, to find calls that repeat.
    pub arguments_hash: Option<u64>,
    /// What the program wanted to keep with it.
    pub metadata: Metadata,
}

impl ToolCall {
    /// A call of a tool that ended so.
    pub fn new(name: impl Into<Name>, status: ToolStatus) -> Self {
        Self {
            name: name.into(),
            status,
            started_at: None,
            duration: None,
            error: None,
            attempt: 1,
            arguments_hash: None,
            metadata: Metadata::new(),
        }
    }

    /// Says how long it took.
    pub fn lasting(mut self, duration: Duration) -> Self {
        self.duration = Some(duration);
        self
    }

    /// Says what went wrong.
    pub fn failed_with(mut self, category: ErrorCategory, message: impl Into<String>) -> Self {
        self.error = Some(ErrorRecord::new(category, message));
        self
    }

    /// Says which try this was, counted from 1.
    pub fn attempt(mut self, attempt: u32) -> Self {
        self.attempt = attempt;
        self
    }

    /// Keeps a value with it.
    pub fn with(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Whether it did what it was asked to.
    pub fn is_success(&self) -> bool {
        self.status == ToolStatus::Success
    }

    /// When it ended, if it is known when it began and how long it took.
    pub fn ended_at(&self) -> Option<DateTime<Utc>> {
        crate::time::after(self.started_at?, self.duration?)
    }

    /// The category of its error; a failure of which no more is known is [`ErrorCategory::Unknown`].
    pub fn error_category(&self) -> Option<ErrorCategory> {
        match (&self.error, self.status) {
            (Some(error), _) => Some(error.category),
            (None, ToolStatus::Success) => None,
            (None, ToolStatus::Timeout) => Some(ErrorCategory::Timeout),
            (None, _) => Some(ErrorCategory::Unknown),
        }
    }
}

/// One call of an LLM.
///
/// ```
/// use taximeter_models::{CostOutcome, LlmCall, TokenUsage};
///
/// let call = LlmCall::new("openai", "gpt-4o").using(TokenUsage::new(1_200, 350));
/// assert_eq!(call.cost, CostOutcome::Pending); // until a price book has seen it
/// assert_eq!(call.model(), "gpt-4o");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct LlmCall {
    /// Who serves the LLM; none if that was not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<Name>,
    /// The LLM that was asked for; none if that was not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_model: Option<Name>,
    /// The LLM that answered, if the reply said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_model: Option<Name>,
    /// What was consumed; none if the reply did not say, which is not zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<TokenUsage>,
    /// What it cost, or why that is not known.
    #[serde(default)]
    pub cost: CostOutcome,
    /// Why the LLM stopped, in the provider's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<Name>,
    /// When it began; none if that was not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<DateTime<Utc>>,
    /// How long it took, by a monotonic clock; none if that was not told.
    #[serde(
        default,
        rename = "duration_ns",
        with = "crate::time::nanos",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<u64>"))]
    pub duration: Option<Duration>,
    /// How long the first token took.
    #[serde(
        default,
        rename = "time_to_first_token_ns",
        with = "crate::time::nanos",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<u64>"))]
    pub time_to_first_token: Option<Duration>,
    /// Whether the reply was streamed.
    #[serde(default)]
    pub streamed: bool,
    /// Which try this was, counted from 1.
    #[serde(default = "first")]
    pub attempt: u32,
    /// The service tier that served it, as the reply said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served_tier: Option<Name>,
    /// How else it was served, as far as that changes its price: `processing` is `batch`, or by `speed`, `region`,
    /// `mode`, `endpoint`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub served_as: BTreeMap<Name, Name>,
    /// A hash of the beginning of the prompt, to see what a prompt cache could hold.
    #[serde(default, with = "crate::time::hash", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub prompt_prefix_hash: Option<u64>,
    /// A hash of all arguments, to find calls that repeat.
    #[serde(default, with = "crate::time::hash", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub arguments_hash: Option<u64>,
    /// The size of the LLM's context window in tokens, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_window: Option<u64>,
    /// What went wrong, if something did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorRecord>,
    /// What the program wanted to keep with it.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
}

const fn first() -> u32 {
    1
}

impl Default for LlmCall {
    fn default() -> Self {
        Self {
            provider: None,
            request_model: None,
            response_model: None,
            usage: None,
            cost: CostOutcome::Pending,
            finish_reason: None,
            started_at: None,
            duration: None,
            time_to_first_token: None,
            streamed: false,
            attempt: first(),
            served_tier: None,
            served_as: BTreeMap::new(),
            prompt_prefix_hash: None,
            arguments_hash: None,
            context_window: None,
            error: None,
            metadata: Metadata::new(),
        }
    }
}

impl LlmCall {
    /// A call of this LLM at this provider.
    pub fn new(provider: impl Into<Name>, model: impl Into<Name>) -> Self {
        Self {
            provider: Some(provider.into()),
            request_model: Some(model.into()),
            ..Self::default()
        }
    }

    /// Says what was consumed.
    pub fn using(mut self, usage: TokenUsage) -> Self {
        self.usage = Some(usage);
        self
    }

    /// Says how long it took.
    pub fn lasting(mut self, duration: Duration) -> Self {
        self.duration = Some(duration);
        self
    }

    /// Says how it was served, as far as that changes its price: `("processing", "batch")`, `("region", "eu")`.
    pub fn served_as(mut self, selector: impl Into<Name>, value: impl Into<Name>) -> Self {
        self.served_as.insert(selector.into(), value.into());
        self
    }

    /// The LLM that was asked for, else the one that answered, else `unknown`. Calls are grouped by it: a call that
    /// failed has no answer, and belongs beside those that succeeded.
    #[inline]
    pub fn model(&self) -> &str {
        self.request_model.as_ref().or(self.response_model.as_ref()).map_or("unknown", Name::as_str)
    }

    /// The [LLM](Self::model) with its provider, such as `openai/gpt-4o`: the key by which calls are grouped by LLM.
    pub fn llm_key(&self) -> String {
        match &self.provider {
            Some(provider) => format!("{provider}/{}", self.model()),
            None => self.model().to_owned(),
        }
    }

    /// Whether it ended without an error.
    pub fn is_success(&self) -> bool {
        self.error.is_none()
    }

    /// Output tokens per second after the first token; none without usage and times, or where no time passed.
    #[expect(clippy::cast_precision_loss, reason = "a speed needs no more than 53 bits")]
    #[inline]
    pub fn output_tokens_per_second(&self) -> Option<f64> {
        let generating =
            self.duration?.checked_sub(self.time_to_first_token.unwrap_or_default())?.as_secs_f64();
        let tokens = self.usage.as_ref()?.output_tokens();
        (generating > 0.0).then(|| tokens as f64 / generating)
    }
}
