//! Which operations are meant, as people write it: `llm=openai/gpt-4o`, `tag:version=2`, `48h..24h`.

use chrono::{DateTime, Utc};
use serde_json::Value;
use taximeter_analysis::Window;
use taximeter_models::{Name, Outcome};
use taximeter_persistence::store::{Condition, Query};
use thiserror::Error;

use super::{Period, PeriodError};

/// Operations of a period that fulfil conditions, separated by commas.
///
/// | Written | Means the operations |
/// |---|---|
/// | `operation=qa_response`, `user=ann`, `session=s1` | of this name, for this user, of this conversation |
/// | `tag:team=search`, `metadata:top_k=5` | with this tag or metadata |
/// | `tool=web_search`, `component=retrieval` | that called this tool, have this component |
/// | `llm=gpt-4o`, `llm=openai/gpt-4o`, `provider=openai` | that asked this LLM or provider |
/// | `outcome=failure`, `error=timeout`, `longer=2s` | that ended so, have such an error, took so long or longer |
/// | `24h`, `2026-11-01..2026-11-08` | of this [`Period`] |
/// | `user=Ann\, of Kent` | for this user: a comma that ends no condition has a backslash before it |
///
/// ```
/// use taximeter::history::Selection;
///
/// let now = "2026-11-23T18:00:00Z".parse()?;
/// let selection = Selection::read("llm=openai/gpt-4o,tag:version=2,24h", now)?;
/// assert_eq!((selection.conditions.len(), selection.period.is_some()), (3, true)); // provider, LLM and tag
///
/// let error = Selection::read("colour=red", now).unwrap_err().to_string();
/// assert!(error.contains("colour") && error.contains("operation="), "{error}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Selection {
    /// What must all be true.
    pub conditions: Vec<Condition>,
    /// When they began; none where no period was named.
    pub period: Option<Period>,
    text: String,
}

/// A text that says of no operations which are meant.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SelectionError {
    /// The part before the `=` is none that is known.
    #[error(
        "reading {text:?}: there is no {key}=; expected operation=, user=, session=, tag:NAME=, metadata:NAME=, tool=, \
         component=, llm=, provider=, outcome=, error= or longer="
    )]
    Key {
        /// The condition.
        text: String,
        /// What is not known.
        key: String,
    },
    /// The part behind it cannot be.
    #[error("reading {text:?}: {why}")]
    Value {
        /// The condition.
        text: String,
        /// What is wrong.
        why: String,
    },
    /// It is no condition, and no period either.
    #[error(transparent)]
    Period(#[from] PeriodError),
}

impl Selection {
    /// Reads conditions and periods, separated by commas.
    ///
    /// # Errors
    /// Says which part of the text is wrong, and what is expected.
    pub fn read(text: &str, now: DateTime<Utc>) -> Result<Self, SelectionError> {
        let mut selection = Self { text: text.to_owned(), ..Self::default() };
        for part in Self::parts(text) {
            match part.split_once('=') {
                Some((key, value)) => selection.conditions.extend(conditions(&part, key, value)?),
                None => selection.period = Some(Period::read(&part, now)?),
            }
        }
        Ok(selection)
    }

    /// The conditions and periods of a text, one by one, as they are without the backslashes.
    ///
    /// ```
    /// use taximeter::history::Selection;
    ///
    /// assert_eq!(Selection::parts(r"user=Ann\, of Kent, 24h"), ["user=Ann, of Kent", "24h"]);
    /// assert_eq!(Selection::part("user", "Ann, of Kent"), r"user=Ann\, of Kent");
    /// assert!(Selection::parts(" ,, ").is_empty());
    /// ```
    pub fn parts(text: &str) -> Vec<String> {
        let mut parts = vec![String::new()];
        let mut letters = text.chars().peekable();
        while let Some(letter) = letters.next() {
            match (letter, letters.peek()) {
                (',', _) => parts.push(String::new()),
                (letter, next) => {
                    let is_escape = letter == '\\' && matches!(next, Some(',' | '\\'));
                    let kept = if is_escape { letters.next() } else { Some(letter) };
                    if let Some(part) = parts.last_mut() {
                        part.extend(kept);
                    }
                }
            }
        }
        let trimmed = parts.iter().map(|part| part.trim().to_owned());
        trimmed.filter(|part| !part.is_empty()).collect()
    }

    /// A condition as it is written in a text that is [read](Self::read).
    pub fn part(key: &str, value: &str) -> String {
        format!("{key}={value}").replace('\\', r"\\").replace(',', r"\,")
    }

    /// The operations of this, of that period where it names none itself.
    pub fn query(&self, period: Period) -> Query {
        let mut query = self.period.unwrap_or(period).query();
        query.conditions.clone_from(&self.conditions);
        query
    }

    /// The same with a further condition, of which key and value are at hand: `("tag:team", "search")`.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn with(mut self, key: &str, value: &str) -> Result<Self, SelectionError> {
        let text = format!("{key}={value}");
        self.conditions.extend(conditions(&text, key, value)?);
        if !self.text.is_empty() {
            self.text.push(',');
        }
        self.text.push_str(&Self::part(key, value));
        Ok(self)
    }

    /// The same conditions, whatever the period.
    pub(super) fn whenever(&self) -> Self {
        Self { period: None, ..self.clone() }
    }

    /// The same with a further condition.
    pub fn and(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }
}

impl std::fmt::Display for Selection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(if self.text.is_empty() { "all" } else { &self.text })
    }
}

/// One condition as it is written; an LLM with its provider makes two.
fn conditions(text: &str, key: &str, value: &str) -> Result<Vec<Condition>, SelectionError> {
    let wrong = |why: String| SelectionError::Value { text: text.to_owned(), why };
    let name = || Name::from(value);
    Ok(vec![match key {
        "operation" => Condition::Operation(name()),
        "user" => Condition::User(name()),
        "session" => Condition::Session(name()),
        "tool" => Condition::Tool(name()),
        "component" => Condition::Component(name()),
        "provider" => Condition::Provider(name()),
        "llm" | "model" => {
            let Some((provider, model)) = value.split_once('/') else {
                return Ok(vec![Condition::Llm(name())]);
            };
            return Ok(vec![Condition::Provider(provider.into()), Condition::Llm(model.into())]);
        }
        "outcome" => Condition::Outcome(outcome(value).map_err(wrong)?),
        "error" => Condition::Error(value.parse().map_err(|why| wrong(format!("{why}")))?),
        "longer" => Condition::AtLeastNanos(nanos(value).map_err(wrong)?),
        key => match key.split_once(':') {
            Some(("tag", tag)) if !tag.is_empty() => Condition::Tag(tag.into(), name()),
            Some(("metadata", field)) if !field.is_empty() => {
                // What is no JSON is a text.
                let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
                Condition::Metadata(field.into(), value)
            }
            _ => {
                let (text, key) = (text.to_owned(), key.chars().take(32).collect());
                return Err(SelectionError::Key { text, key });
            }
        },
    }])
}

fn outcome(value: &str) -> Result<Outcome, String> {
    [Outcome::Success, Outcome::Failure, Outcome::Abandoned]
        .into_iter()
        .find(|outcome| outcome.as_str() == value)
        .ok_or_else(|| "expected success, failure or abandoned".into())
}

/// A duration such as `250ms`, `2s`, `5m`.
fn nanos(value: &str) -> Result<u64, String> {
    let time = Window::time(value).map_err(|_| "expected a time such as 250ms, 2s or 5m")?;
    Ok(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}
