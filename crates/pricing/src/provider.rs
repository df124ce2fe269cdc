//! Who serves LLMs, and how it builds their names.

use serde::{Deserialize, Serialize};
use taximeter_models::Name;

/// A provider of LLMs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Provider {
    /// Its name, in lower case.
    pub id: Name,
    /// Other names of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<Name>,
    /// How it builds the names of its LLMs.
    #[serde(default, skip_serializing_if = "is_default")]
    pub grammar: Grammar,
    /// Whether it is a server on a machine of one's own, which bills nothing for any LLM.
    #[serde(default, skip_serializing_if = "is_default")]
    pub is_local: bool,
    /// Whether it made the LLMs that it serves. Only such a provider is inferred from an LLM's name.
    #[serde(default, skip_serializing_if = "is_default")]
    pub first_party: bool,
    /// The region whose prices hold where none is said; none if its prices are the same everywhere.
    #[serde(default, skip_serializing_if = "is_default")]
    pub default_region: Option<Name>,
}

impl Provider {
    /// A provider of which only the name is known.
    pub fn named(id: &str) -> Self {
        Self {
            id: Name::from(id.to_ascii_lowercase()),
            aliases: Vec::new(),
            grammar: Grammar::default(),
            is_local: false,
            first_party: false,
            default_region: None,
        }
    }

    /// Its id, then its aliases.
    pub fn names(&self) -> impl Iterator<Item = &str> + '_ {
        std::iter::once(&self.id).chain(&self.aliases).map(Name::as_str)
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// How a provider builds the names of its LLMs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Grammar {
    /// A name is a name.
    #[default]
    Plain,
    /// As OpenAI: a fine-tuned LLM is `ft:base:organisation:name:id`.
    #[serde(rename = "openai")]
    OpenAi,
    /// As Google's Gemini API: a name may stand behind `models/`.
    Gemini,
    /// As Amazon Bedrock: ARNs, geographic prefixes such as `us.`, regions before a slash, `-v1:0` at the end.
    Bedrock,
    /// As Google Vertex AI: `@20250805` and `@default` at the end, `publishers/anthropic/models/` before.
    Vertex,
    /// As Azure: a region before a slash, `gpt-35` for `gpt-3.5`.
    Azure,
    /// As OpenRouter: `vendor/model:variant`.
    #[serde(rename = "openrouter")]
    OpenRouter,
    /// As Fireworks: a name may stand behind `accounts/fireworks/models/`.
    Fireworks,
}
