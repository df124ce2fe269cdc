//! By what the numbers of a period are told apart.

use std::fmt;
use std::str::FromStr;

use taximeter_analysis::{Dimension, UnknownDimension};
use taximeter_persistence::store::Level;
use thiserror::Error;

/// By what the numbers of a period are told apart: something that operations and calls have, or time.
///
/// ```
/// use taximeter::analysis::Dimension;
/// use taximeter::history::By;
///
/// assert_eq!("model".parse::<By>()?, By::Dimension(Dimension::Llm)); // what people say for LLM
/// assert_eq!("tag:team".parse::<By>()?.to_string(), "tag:team");
/// assert!("team".parse::<By>().unwrap_err().to_string().contains("day"));
/// # Ok::<(), taximeter::history::UnknownBy>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// By this dimension.
    Dimension(Dimension),
    /// By the hour or the day of UTC, or the minute.
    Time(Level),
    /// By what LLM calls are paid for: see [`CostKind`](super::CostKind).
    Kind,
}

/// A text that names nothing to tell numbers apart by.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{why}; or kind, minute, hour or day")]
pub struct UnknownBy {
    why: UnknownDimension,
}

impl FromStr for By {
    type Err = UnknownBy;

    /// # Errors
    /// Where the text is none of the names.
    fn from_str(text: &str) -> Result<Self, UnknownBy> {
        Ok(match text {
            "minute" => Self::Time(Level::Minute),
            "hour" => Self::Time(Level::Hour),
            "day" => Self::Time(Level::Day),
            "kind" => Self::Kind,
            "model" => Self::Dimension(Dimension::Llm),
            text => Self::Dimension(text.parse().map_err(|why| UnknownBy { why })?),
        })
    }
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dimension(dimension) => dimension.fmt(f),
            Self::Kind => f.write_str("kind"),
            Self::Time(Level::Minute) => f.write_str("minute"),
            Self::Time(Level::Hour) => f.write_str("hour"),
            Self::Time(Level::Day) => f.write_str("day"),
        }
    }
}

impl serde::Serialize for By {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for By {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "By".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": "By what is told apart, such as `operation`, `llm`, `tag:team` or `hour`." })
    }
}
