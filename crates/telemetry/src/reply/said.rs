//! What a reply said, whoever sent it.

use std::collections::BTreeMap;
use std::time::Duration;

use taximeter_models::{
    CostOutcome, ErrorRecord, LlmCall, Name, ReportedCost, TokenUsage, UsageError,
};

use super::Dialect;

/// What a reply said; what it did not say is none.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Reply {
    /// Whose fields it has.
    pub dialect: Dialect,
    /// Its id.
    pub id: Option<Name>,
    /// The LLM that answered.
    pub model: Option<Name>,
    /// Why the LLM stopped, in the provider's word.
    pub finish_reason: Option<Name>,
    /// The service tier that served it, in the provider's word.
    pub service_tier: Option<Name>,
    /// How else it was served, as far as that changes its price: by `region`, `speed`, `search_context_size`.
    pub served_as: BTreeMap<Name, Name>,
    /// What was consumed. None is unknown, and not zero; numbers that cannot be are an error.
    pub usage: Option<Result<TokenUsage, UsageError>>,
    /// By how many tokens the reply's own total is above the sum of its parts. Such tokens are in no bucket.
    pub unexplained_tokens: u64,
    /// What it cost, where the provider says so.
    pub cost: Option<ReportedCost>,
    /// The tools that the LLM asked to be called, at most 128 of them.
    pub tools: Vec<ToolRequest>,
    /// Calls of other LLMs that the provider made on the way and bills at their own prices, as for Anthropic's advisor.
    pub also: Vec<LlmCall>,
    /// How long the server says that it took.
    pub times: ServerTimes,
    /// What went wrong, if something did.
    pub error: Option<ErrorRecord>,
}

/// A call of a tool that the LLM asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ToolRequest {
    /// The tool.
    pub name: Name,
    /// The id under which its result is to be given.
    pub id: Option<Name>,
}

impl ToolRequest {
    pub(super) fn new(name: Name, id: Option<Name>) -> Self {
        Self { name, id }
    }
}

/// How long the server took, by its own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct ServerTimes {
    /// Waiting for its turn.
    pub queue: Option<Duration>,
    /// Loading the LLM.
    pub load: Option<Duration>,
    /// Reading the prompt.
    pub prompt: Option<Duration>,
    /// Making the output.
    pub output: Option<Duration>,
    /// All of it.
    pub total: Option<Duration>,
}

impl Reply {
    /// Puts what was said on the record of a call. What was not said leaves the record as it is.
    ///
    /// A usage that cannot be becomes [`CostOutcome::InvalidUsage`]. Under `tools_requested`, `unexplained_tokens` and
    /// `server_ms` the metadata hold what the record has no field for.
    ///
    /// ```
    /// use serde_json::json;
    /// use taximeter_models::{CostOutcome, ErrorCategory, LlmCall};
    /// use taximeter_telemetry::reply;
    ///
    /// let mut call = LlmCall::new("openrouter", "openai/gpt-4o");
    /// reply::read(&json!({"model": "openai/gpt-4o", "choices": [], "usage": {
    ///     "prompt_tokens": 194, "completion_tokens": 2, "total_tokens": 196, "cost": 0.00095}}))
    ///     .put_on(&mut call);
    /// assert_eq!(call.cost.amount().map(|(cost, _)| cost.to_string()).as_deref(), Some("0.00095"));
    ///
    /// reply::read(&json!({"error": {"message": "slow down", "type": "rate_limit_error"}})).put_on(&mut call);
    /// assert_eq!(call.error.map(|error| error.category), Some(ErrorCategory::RateLimit));
    /// ```
    pub fn put_on(&self, call: &mut LlmCall) {
        match &self.usage {
            Some(Ok(usage)) => call.usage = Some(usage.clone()),
            Some(Err(error)) => {
                call.cost = CostOutcome::InvalidUsage { why: error.to_string() };
            }
            None => {}
        }
        if let Some(cost) = self.cost {
            call.cost = CostOutcome::ProviderReported(cost);
        }
        for (said, kept) in [
            (&self.model, &mut call.response_model),
            (&self.finish_reason, &mut call.finish_reason),
            (&self.service_tier, &mut call.served_tier),
        ] {
            if said.is_some() {
                kept.clone_from(said);
            }
        }
        call.served_as.extend(self.served_as.clone());
        if self.error.is_some() {
            call.error.clone_from(&self.error);
        }
        self.put_metadata(call);
    }

    fn put_metadata(&self, call: &mut LlmCall) {
        let server = self.times.total.map(|total| total.as_millis());
        for (key, count) in [
            ("tools_requested", u64::try_from(self.tools.len()).ok()),
            ("unexplained_tokens", Some(self.unexplained_tokens)),
            ("server_ms", server.and_then(|millis| u64::try_from(millis).ok())),
        ] {
            if let Some(count) = count.filter(|count| *count > 0) {
                call.metadata.insert(key.to_owned(), count.into());
            }
        }
    }
}
