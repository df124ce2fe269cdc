//! The lines of a Codex rollout, as far as something is taken of them.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;
use taximeter_models::{ErrorCategory, TokenUsage, UsageError};

use crate::import::json::Text;

/// Any line: what is in it depends on its type.
#[derive(Deserialize)]
pub(super) struct Line<'a> {
    #[serde(default)]
    pub(super) timestamp: Option<DateTime<Utc>>,
    #[serde(rename = "type", default, borrow)]
    pub(super) kind: Option<Text<'a>>,
    #[serde(default, borrow)]
    pub(super) payload: Option<&'a RawValue>,
}

/// The first line of a session, and of each session whose history was copied into it.
#[derive(Deserialize)]
pub(super) struct SessionMeta {
    pub(super) id: String,
    #[serde(default)]
    pub(super) forked_from_id: Option<String>,
    #[serde(default)]
    pub(super) timestamp: Option<DateTime<Utc>>,
    #[serde(default)]
    pub(super) cwd: Option<String>,
    #[serde(default)]
    pub(super) cli_version: Option<String>,
    #[serde(default)]
    pub(super) model_provider: Option<String>,
    /// A word, or for a sub-agent an object that says what sent it out.
    #[serde(default)]
    pub(super) source: Value,
    #[serde(default, alias = "agent_type")]
    pub(super) agent_role: Option<String>,
    #[serde(default)]
    pub(super) git: Option<Git>,
}

#[derive(Deserialize)]
pub(super) struct Git {
    #[serde(default)]
    pub(super) branch: Option<String>,
}

impl SessionMeta {
    /// The session that sent this one out as a sub-agent.
    pub(super) fn parent(&self) -> Option<&str> {
        self.source.pointer("/subagent/thread_spawn/parent_thread_id")?.as_str()
    }

    pub(super) fn is_agent(&self) -> bool {
        self.source.get("subagent").is_some()
    }
}

/// What holds for a turn.
#[derive(Deserialize)]
pub(super) struct TurnContext {
    #[serde(default)]
    pub(super) turn_id: Option<String>,
    #[serde(default)]
    pub(super) cwd: Option<String>,
    #[serde(default)]
    pub(super) model: Option<String>,
    #[serde(default)]
    pub(super) effort: Option<String>,
    #[serde(default)]
    pub(super) service_tier: Option<String>,
}

/// The type of an event or of an item of the conversation.
#[derive(Deserialize)]
pub(super) struct Kind<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Text<'a>,
}

/// An event that begins or ends a turn.
#[derive(Deserialize)]
pub(super) struct TurnEvent {
    #[serde(default)]
    pub(super) turn_id: Option<String>,
    #[serde(default)]
    pub(super) message: Option<String>,
}

/// What was used so far, and by the last request.
#[derive(Deserialize)]
pub(super) struct TokenCount {
    #[serde(default)]
    pub(super) info: Option<Info>,
}

#[derive(Deserialize)]
pub(super) struct Info {
    #[serde(default)]
    pub(super) total_token_usage: Option<Tokens>,
    #[serde(default)]
    pub(super) last_token_usage: Option<Tokens>,
    #[serde(default)]
    pub(super) model_context_window: Option<u64>,
    #[serde(default)]
    pub(super) model: Option<String>,
}

/// Tokens in the words of OpenAI's API: input includes what is cached, output what was reasoning.
#[derive(Deserialize, Debug, Clone, Copy, PartialEq, Eq, Default)]
#[serde(default)]
pub(super) struct Tokens {
    #[serde(rename = "input_tokens")]
    input: u64,
    #[serde(rename = "cached_input_tokens")]
    cached: u64,
    #[serde(rename = "cache_write_input_tokens")]
    written: u64,
    #[serde(rename = "output_tokens")]
    output: u64,
    #[serde(rename = "reasoning_output_tokens")]
    reasoning: u64,
    #[serde(rename = "total_tokens")]
    total: u64,
}

impl Tokens {
    /// What came on top of an earlier total; where the total was set back, all of it.
    pub(super) fn since(self, before: Self) -> Self {
        let difference = || {
            Some(Self {
                input: self.input.checked_sub(before.input)?,
                cached: self.cached.checked_sub(before.cached)?,
                written: self.written.checked_sub(before.written)?,
                output: self.output.checked_sub(before.output)?,
                reasoning: self.reasoning.checked_sub(before.reasoning)?,
                total: self.total.checked_sub(before.total)?,
            })
        };
        difference().unwrap_or(self)
    }

    /// Whether nothing was used. A total that was set to the size of the context window has no parts.
    pub(super) fn is_empty(self) -> bool {
        self.input == 0 && self.output == 0
    }

    pub(super) fn usage(self) -> Result<TokenUsage, UsageError> {
        TokenUsage::inclusive(self.input, self.output)
            .cache_read(self.cached)
            .cache_write(self.written)
            .reasoning(self.reasoning)
            .build()
    }

    pub(super) fn as_text(self) -> String {
        let Self { input, cached, written, output, reasoning, total } = self;
        format!("{input},{cached},{written},{output},{reasoning},{total}")
    }
}

/// An item of the conversation: a call of a tool, or its output.
#[derive(Deserialize)]
pub(super) struct Item<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Text<'a>,
    #[serde(default, borrow)]
    pub(super) call_id: Option<Text<'a>>,
    #[serde(default, borrow)]
    pub(super) id: Option<Text<'a>>,
    #[serde(default, borrow)]
    pub(super) name: Option<Text<'a>>,
    #[serde(default, borrow)]
    pub(super) namespace: Option<Text<'a>>,
    #[serde(default, borrow)]
    pub(super) arguments: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) input: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) action: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) output: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) status: Option<Text<'a>>,
}

/// What an output says of how its call ended.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Ended {
    pub(super) success: Option<bool>,
    pub(super) duration: Option<Duration>,
    /// The kind of error that its text suggests. The text itself may be content of the user's, and is not kept.
    pub(super) category: ErrorCategory,
}

impl Ended {
    /// Reads an output: a text, which may be JSON with `metadata` or begin with `Exit code: 0`, or an object with
    /// `success`.
    pub(super) fn of(output: &RawValue) -> Self {
        match serde_json::from_str::<Value>(output.get()) {
            Ok(Value::String(text)) => Self::of_text(&text),
            Ok(Value::Object(fields)) => {
                let inner = fields.get("content").and_then(Value::as_str).map(Self::of_text);
                let success = fields.get("success").and_then(Value::as_bool);
                let inner = inner.unwrap_or_default();
                Self { success: success.or(inner.success), ..inner }
            }
            _ => Self::default(),
        }
    }

    fn of_text(text: &str) -> Self {
        if text.starts_with('{')
            && let Ok(value) = serde_json::from_str::<Value>(text)
        {
            let code = value.pointer("/metadata/exit_code").and_then(Value::as_i64);
            let seconds = value.pointer("/metadata/duration_seconds").and_then(Value::as_f64);
            let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            let said = value.get("output").and_then(Value::as_str).unwrap_or_default();
            let category = ErrorCategory::from_message(said);
            return Self { success: code.map(|code| code == 0), duration, category };
        }
        let mut ended = Self { category: ErrorCategory::from_message(text), ..Self::default() };
        for line in text.lines().take(8).take_while(|line| !line.starts_with("Output:")) {
            let code = line
                .strip_prefix("Exit code: ")
                .or_else(|| line.strip_prefix("Process exited with code "));
            if let Some(code) = code.and_then(|code| code.trim().parse::<i64>().ok()) {
                ended.success = Some(code == 0);
            }
            let seconds = line.strip_prefix("Wall time: ").and_then(|rest| rest.split(' ').next());
            if let Some(seconds) = seconds.and_then(|seconds| seconds.parse::<f64>().ok()) {
                ended.duration = Duration::try_from_secs_f64(seconds).ok();
            }
        }
        ended
    }
}

/// An event that tells how a call of a tool ended.
#[derive(Deserialize)]
pub(super) struct EndEvent<'a> {
    #[serde(borrow)]
    pub(super) call_id: Text<'a>,
    #[serde(default)]
    exit_code: Option<i64>,
    #[serde(default)]
    success: Option<bool>,
    #[serde(default)]
    duration: Taken,
    #[serde(default)]
    result: Value,
}

impl EndEvent<'_> {
    pub(super) fn ended(&self) -> Ended {
        let of_result = match (&self.result.get("Ok"), self.result.get("Err")) {
            (Some(result), _) => {
                let failed = result.get("is_error").or_else(|| result.get("isError"));
                Some(!failed.and_then(Value::as_bool).unwrap_or_default())
            }
            (None, Some(_)) => Some(false),
            (None, None) => None,
        };
        let of_code = self.exit_code.map(|code| code == 0);
        Ended {
            success: self.success.or(of_code).or(of_result),
            duration: self.duration.0,
            category: ErrorCategory::Unknown,
        }
    }
}

/// A duration as its parts; in another form it is not known.
#[derive(Default)]
struct Taken(Option<Duration>);

impl<'de> Deserialize<'de> for Taken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let seconds = value.get("secs").and_then(Value::as_u64);
        let nanos = value.get("nanos").and_then(Value::as_u64).unwrap_or_default();
        let nanos = u32::try_from(nanos).unwrap_or_default().min(999_999_999);
        Ok(Self(seconds.map(|seconds| Duration::new(seconds, nanos))))
    }
}
