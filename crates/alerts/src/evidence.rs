//! Which operations are behind what was seen.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use taximeter::Name;
use taximeter::analysis::Dimension;

/// The operations behind what was seen: as `since` and `only` of the API mean them. Shown, it is the command that lists them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Evidence {
    /// The first moment.
    pub since: DateTime<Utc>,
    /// The moment after the last.
    pub until: DateTime<Utc>,
    /// The group, such as `tool` and `search`; none where nothing is told apart.
    pub group: Option<(String, Name)>,
    /// Whether only those that failed are meant.
    pub failed: bool,
}

impl Evidence {
    pub(crate) fn new(
        by: &Dimension,
        key: Option<&Name>,
        since: DateTime<Utc>,
        until: DateTime<Utc>,
        failed: bool,
    ) -> Self {
        Self { since, until, group: key.map(|key| (by.to_string(), key.clone())), failed }
    }

    /// The period, as `since` of the API takes it.
    pub fn period(&self) -> String {
        format!("{}..{}", time(self.since), time(self.until))
    }

    /// The conditions, as `only` of the API takes them. A comma ends a condition, so a group that has one in its name is
    /// left out.
    pub fn only(&self) -> String {
        let group = self.group.as_ref().filter(|(_, key)| !key.contains(','));
        let group = group.map(|(by, key)| format!("{by}={key}"));
        let failed = self.failed.then(|| "outcome=failure".to_owned());
        group.into_iter().chain(failed).collect::<Vec<_>>().join(",")
    }
}

/// The command.
impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "taximeter ops --since {} --until {}", time(self.since), time(self.until))?;
        if let Some((by, key)) = &self.group {
            match by.strip_prefix("tag:") {
                Some(tag) => write!(f, " --tag {}", quoted(&format!("{tag}={key}")))?,
                None => write!(f, " --{by} {}", quoted(key))?,
            }
        }
        if self.failed {
            f.write_str(" --failed")?;
        }
        Ok(())
    }
}

fn time(at: DateTime<Utc>) -> String {
    at.format("%FT%H:%M:%SZ").to_string()
}

/// A text that a shell takes for one word, whatever is in it.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:=@".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) && !text.starts_with('-') {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_does_nothing_but_list_whatever_a_name_holds() {
        let at = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let evidence = |by: Dimension, key: &str| {
            Evidence::new(&by, Some(&key.into()), at, at, true).to_string()
        };
        let plain = evidence(Dimension::Llm, "openai/gpt-4o");
        assert!(plain.ends_with(" --llm openai/gpt-4o --failed"), "{plain}");
        let hostile = evidence(Dimension::Tag("a b".into()), "'; rm -rf ~; '");
        assert!(hostile.contains(r"--tag 'a b='\''; rm -rf ~; '\'''"), "{hostile}");
    }
}
