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
    /// How the names of the LLMs begin that it made, in lower case. Where several providers have an LLM of a name and
    /// none was given, it is the one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub makes: Vec<Name>,
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
            makes: Vec::new(),
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
///
/// A name that is not in the book as it stands is read in the other ways of its provider, the most specific first, and
/// each is looked up exactly, with and without a date behind it. At every provider a name may stand behind the
/// provider's own name and a slash. A region that is taken off a name on the way selects the price, where the call
/// names no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Grammar {
    /// A name is a name.
    #[default]
    Plain,
    /// As OpenAI: the fine-tuned `ft:base:organisation:name:id` has the price of `ft:base`.
    #[serde(rename = "openai")]
    OpenAi,
    /// As Google's Gemini API: a name may stand behind `models/`. One behind `tunedModels/` is unknown.
    Gemini,
    /// As Amazon Bedrock: ARNs of foundation models and of AWS's inference profiles, geographic prefixes such as `us.`,
    /// regions before a slash, and `-v1:0`, `-v1` or `:0` at the end, or not.
    ///
    /// ARNs of what is one's own, other versions and context lengths such as `:200k` are unknown, if they are not in
    /// the book: they are billed in another way, or do not say which LLM they are.
    Bedrock,
    /// As Google Vertex AI: paths with a project, location and publisher; `@default`, `@latest`, `@001` or a date at
    /// the end, which may be written `@20250805` or `-20250805`. A project's own LLMs and endpoints are unknown.
    Vertex,
    /// As Azure: `eu/`, `us/`, `global/` and the like before the name, `gpt-35` for `gpt-3.5`. A deployment with a name
    /// of one's own is unknown, and so is a fine-tuned LLM, which is billed by the hour too.
    Azure,
    /// As OpenRouter: `vendor/model`, with `:nitro`, `:floor` or `:exacto` behind it, which change only who serves it.
    ///
    /// Other variants, `:free` above all, have prices of their own: they are found under their whole name, or unknown.
    #[serde(rename = "openrouter")]
    OpenRouter,
    /// As Fireworks: `accounts/fireworks/models/name` and `name` are the same. Other accounts' LLMs and deployments
    /// behind a `#` are unknown: they are billed by the second.
    Fireworks,
}
