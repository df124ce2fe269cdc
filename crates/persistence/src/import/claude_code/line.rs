//! The lines of a Claude Code log, as far as something is taken of them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use taximeter_models::{Money, TokenUsage, Unit};

use crate::import::error::Why;
use crate::import::json::{Status, Text};

/// What kind of line it is; the others of its fields are read where the kind is known.
#[derive(Deserialize)]
pub(super) struct Kind<'a> {
    #[serde(default, rename = "type", borrow)]
    kind: Option<Text<'a>>,
    #[serde(default, borrow)]
    message: Option<&'a RawValue>,
}

impl Kind<'_> {
    /// The type; without one, the role of the message, if that says what it is.
    pub(super) fn name(&self) -> String {
        #[derive(Deserialize)]
        struct Role<'a> {
            #[serde(borrow)]
            role: Text<'a>,
        }

        let of_role = || serde_json::from_str::<Role<'_>>(self.message?.get()).ok();
        match (&self.kind, &self.message) {
            (Some(kind), _) => kind.to_string(),
            (None, Some(_)) => of_role().map_or_else(String::new, |found| found.role.to_string()),
            (None, None) => String::new(),
        }
    }
}

/// A line that is part of the conversation.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Line<'a> {
    pub(super) timestamp: Option<DateTime<Utc>>,
    #[serde(default, borrow)]
    pub(super) uuid: Option<Text<'a>>,
    #[serde(default, borrow)]
    pub(super) parent_uuid: Option<Text<'a>>,
    #[serde(default, borrow)]
    pub(super) session_id: Option<Text<'a>>,
    #[serde(default)]
    pub(super) is_sidechain: Option<bool>,
    #[serde(default, borrow)]
    pub(super) agent_id: Option<Text<'a>>,
    #[serde(default, borrow)]
    pub(super) cwd: Option<Text<'a>>,
    #[serde(default, borrow)]
    pub(super) git_branch: Option<Text<'a>>,
    #[serde(default, borrow)]
    pub(super) version: Option<Text<'a>>,
    #[serde(default, borrow)]
    pub(super) request_id: Option<Text<'a>>,
    #[serde(default, borrow)]
    pub(super) message: Option<Message<'a>>,
    /// What the program itself computed; only older versions wrote it.
    #[serde(default, rename = "costUSD")]
    pub(super) cost_usd: Option<Money>,
    #[serde(default)]
    pub(super) is_meta: Option<bool>,
    #[serde(default)]
    pub(super) is_compact_summary: Option<bool>,
    #[serde(default)]
    pub(super) is_visible_in_transcript_only: Option<bool>,
    #[serde(default)]
    pub(super) is_api_error_message: Option<bool>,
    #[serde(default)]
    pub(super) api_error_status: Status,
    #[serde(default, borrow)]
    pub(super) tool_use_result: Option<&'a RawValue>,
    /// Of a line of the type `system`; an attempt at the API that failed is an `api_error`.
    #[serde(default, borrow)]
    pub(super) subtype: Option<Text<'a>>,
    #[serde(default, borrow)]
    pub(super) error: Option<&'a RawValue>,
    #[serde(default)]
    pub(super) cause: Cause,
}

/// Whether a line is of a sub-agent.
pub(super) fn is_sidechain(line: &Line<'_>) -> bool {
    line.is_sidechain == Some(true)
}

/// What a failed attempt says of its error.
#[derive(Deserialize, Default)]
pub(super) struct ApiError {
    #[serde(default)]
    pub(super) status: Status,
    #[serde(default)]
    pub(super) cause: Cause,
}

/// The code of what went wrong below HTTP, such as `ECONNRESET`.
#[derive(Default)]
pub(super) struct Cause(pub(super) Option<String>);

impl<'de> Deserialize<'de> for Cause {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let code = value.get("code").unwrap_or(&value).as_str();
        Ok(Self(code.map(|code| code.chars().take(200).collect())))
    }
}

/// The message of a prompt or of a reply.
#[derive(Deserialize)]
pub(super) struct Message<'a> {
    #[serde(default, borrow)]
    pub(super) id: Option<Text<'a>>,
    #[serde(default, borrow)]
    pub(super) model: Option<Text<'a>>,
    #[serde(default, borrow)]
    pub(super) stop_reason: Option<Text<'a>>,
    #[serde(default)]
    pub(super) usage: Option<Usage>,
    #[serde(default, borrow)]
    pub(super) content: Option<&'a RawValue>,
}

/// What was used, in the words of Anthropic's API: input excludes what was read from and written to a cache.
#[derive(Deserialize)]
pub(super) struct Usage {
    #[serde(default)]
    input_tokens: Option<u64>,
    #[serde(default)]
    output_tokens: Option<u64>,
    #[serde(default)]
    cache_creation_input_tokens: Option<u64>,
    #[serde(default)]
    cache_read_input_tokens: Option<u64>,
    #[serde(default)]
    cache_creation: Option<CacheCreation>,
    #[serde(default)]
    server_tool_use: Option<ServerToolUse>,
    #[serde(default)]
    pub(super) service_tier: Option<String>,
    #[serde(default)]
    pub(super) speed: Option<String>,
    #[serde(default)]
    pub(super) inference_geo: Option<String>,
    /// The inferences behind one reply. Those of an advisor are in no total: they are of another LLM.
    #[serde(default)]
    pub(super) iterations: Option<Vec<Iteration>>,
}

/// One inference behind a reply.
#[derive(Deserialize)]
pub(super) struct Iteration {
    #[serde(default, rename = "type")]
    pub(super) kind: Option<String>,
    #[serde(default)]
    pub(super) model: Option<String>,
    #[serde(default)]
    input_tokens: Option<u64>,
    #[serde(default)]
    output_tokens: Option<u64>,
    #[serde(default)]
    cache_creation_input_tokens: Option<u64>,
    #[serde(default)]
    cache_read_input_tokens: Option<u64>,
    #[serde(default)]
    cache_creation: Option<CacheCreation>,
}

#[derive(Deserialize)]
struct CacheCreation {
    #[serde(default)]
    ephemeral_5m_input_tokens: Option<u64>,
    #[serde(default)]
    ephemeral_1h_input_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct ServerToolUse {
    #[serde(default)]
    web_search_requests: Option<u64>,
}

impl Usage {
    /// The usage in our buckets.
    pub(super) fn tokens(&self) -> Result<TokenUsage, Why> {
        let searches = self.server_tool_use.as_ref().and_then(|used| used.web_search_requests);
        buckets(
            [self.input_tokens, self.output_tokens, self.cache_read_input_tokens],
            self.cache_creation_input_tokens,
            self.cache_creation.as_ref(),
            searches.unwrap_or_default(),
        )
    }

    /// What an advisor used behind this reply: its LLM, and the tokens.
    pub(super) fn advice(&self) -> impl Iterator<Item = (Option<&str>, Result<TokenUsage, Why>)> {
        let all = self.iterations.iter().flatten();
        all.filter(|one| one.kind.as_deref() == Some("advisor_message")).map(|one| {
            let counts = [one.input_tokens, one.output_tokens, one.cache_read_input_tokens];
            let written = one.cache_creation_input_tokens;
            (one.model.as_deref(), buckets(counts, written, one.cache_creation.as_ref(), 0))
        })
    }
}

/// Disjoint buckets of input, output and cache reads, and of what was written to caches. Where the split by time to
/// live is there, it is taken, and what the whole has above it is of unknown time to live.
fn buckets(
    [input, output, read]: [Option<u64>; 3],
    written: Option<u64>,
    split: Option<&CacheCreation>,
    searches: u64,
) -> Result<TokenUsage, Why> {
    let written = written.unwrap_or_default();
    let short = split.and_then(|split| split.ephemeral_5m_input_tokens).unwrap_or_default();
    let long = split.and_then(|split| split.ephemeral_1h_input_tokens).unwrap_or_default();
    let of_split = short.saturating_add(long);
    if of_split > written && written > 0 {
        return Err(Why::DoesNotFit(format!(
            "{of_split} tokens were written to caches by time to live, but {written} in all"
        )));
    }
    TokenUsage::exclusive(input.unwrap_or_default(), output.unwrap_or_default())
        .cache_read(read.unwrap_or_default())
        .cache_write_5m(short)
        .cache_write_1h(long)
        .cache_write(written.saturating_sub(of_split))
        .unit(Unit::WebSearch, searches)
        .build()
        .map_err(Why::Usage)
}

/// What a message says: only tools are taken of it, and how a text begins.
pub(super) enum Content<'a> {
    /// A text, by its beginning, as JSON has it.
    Text(&'a str),
    Blocks(Vec<Block<'a>>),
}

impl<'a> Content<'a> {
    pub(super) fn of(message: &Message<'a>) -> Result<Self, Why> {
        let json = message.content.map_or("", RawValue::get);
        if json.starts_with('[') {
            return serde_json::from_str(json).map(Self::Blocks).map_err(|error| Why::json(&error));
        }
        Ok(Self::Text(json.trim_start_matches('"')))
    }

    pub(super) fn blocks(&self) -> &[Block<'a>] {
        match self {
            Self::Text(_) => &[],
            Self::Blocks(blocks) => blocks,
        }
    }

    pub(super) fn has_tool_result(&self) -> bool {
        self.blocks().iter().any(|block| &*block.kind == "tool_result")
    }

    /// The text, or the first of its texts, as JSON has it.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Blocks(blocks) => {
                let first = blocks.iter().find_map(|block| block.text);
                first.map_or("", |text| text.get().trim_start_matches('"'))
            }
        }
    }
}

/// A block of a message.
#[derive(Deserialize)]
pub(super) struct Block<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Text<'a>,
    #[serde(default, borrow)]
    pub(super) id: Option<Text<'a>>,
    #[serde(default, borrow)]
    pub(super) name: Option<Text<'a>>,
    #[serde(default, borrow)]
    pub(super) text: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) input: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) tool_use_id: Option<Text<'a>>,
    #[serde(default)]
    pub(super) is_error: Option<bool>,
    #[serde(default, borrow)]
    pub(super) content: Option<&'a RawValue>,
}

/// What the program noted of a tool's result: which sub-agent it was, if it was one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Agent<'a> {
    #[serde(borrow)]
    pub(super) agent_id: Text<'a>,
    #[serde(default, borrow)]
    pub(super) agent_type: Option<Text<'a>>,
}
