//! By what operations and calls can be told apart.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use taximeter_models::Name;
use thiserror::Error;

/// By what operations or calls are put into groups. It is written as its name: `operation`, `tag:team`.
///
/// ```
/// use taximeter_analysis::Dimension;
///
/// assert_eq!("llm".parse(), Ok(Dimension::Llm));
/// assert_eq!(Dimension::Tag("team".into()).to_string(), "tag:team");
/// assert!("tag:".parse::<Dimension>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Dimension {
    /// All operations together.
    All,
    /// Operations by their name.
    Operation,
    /// The operations with a component, by its name; the duration is the component's.
    Component,
    /// Tool calls by the tool.
    Tool,
    /// LLM calls by the provider.
    Provider,
    /// LLM calls by provider and LLM, such as `openai/gpt-4o`.
    Llm,
    /// Operations by the user for whom they ran.
    User,
    /// Operations by the conversation that they were part of.
    Session,
    /// Operations by the value of this tag.
    Tag(Name),
}

/// A text that names no dimension.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "reading {text:?} as a dimension: expected all, operation, component, tool, provider, llm, user, session or tag:NAME"
)]
pub struct UnknownDimension {
    text: String,
}

impl FromStr for Dimension {
    type Err = UnknownDimension;

    /// # Errors
    /// Where the text is none of the names.
    fn from_str(text: &str) -> Result<Self, UnknownDimension> {
        Ok(match text {
            "all" => Self::All,
            "operation" => Self::Operation,
            "component" => Self::Component,
            "tool" => Self::Tool,
            "provider" => Self::Provider,
            "llm" => Self::Llm,
            "user" => Self::User,
            "session" => Self::Session,
            _ => match text.strip_prefix("tag:") {
                Some(tag) if !tag.is_empty() => Self::Tag(tag.into()),
                _ => return Err(UnknownDimension { text: text.chars().take(64).collect() }),
            },
        })
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::All => "all",
            Self::Operation => "operation",
            Self::Component => "component",
            Self::Tool => "tool",
            Self::Provider => "provider",
            Self::Llm => "llm",
            Self::User => "user",
            Self::Session => "session",
            Self::Tag(tag) => return write!(f, "tag:{tag}"),
        })
    }
}

impl Serialize for Dimension {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Dimension {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Dimension {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Dimension".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": "What is told apart, such as `user` or `tag:team`." })
    }
}
