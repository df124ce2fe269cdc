//! Which operations a command is about: a period, and what must be true of them.

use std::error::Error;

use chrono::{DateTime, Utc};
use clap::Args;
use taximeter::history::{Period, PeriodError, Selection, SelectionError};

/// Above the options that say which operations are meant.
const WHICH: &str = "Which operations";

/// When they began.
#[derive(Args)]
pub(crate) struct PeriodArguments {
    /// Those that began at this time or later: a time ago (90s, 30m, 24h, 7d), a day, a moment, or `all`
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = moment, help_heading = WHICH)]
    pub(crate) since: String,
    /// Those that began before this time [default: now]
    #[arg(long, value_name = "TIME", value_parser = moment, help_heading = WHICH)]
    pub(crate) until: Option<String>,
}

/// A text that names a moment; which one it is, depends on when the command began.
pub(crate) fn moment(text: &str) -> Result<String, PeriodError> {
    Period::moment(text, Utc::now()).map(|_| text.to_owned())
}

impl PeriodArguments {
    pub(crate) fn read(&self, now: DateTime<Utc>) -> Result<Period, PeriodError> {
        let until = self.until.as_deref().unwrap_or("now");
        if self.since == "all" && self.until.is_none() {
            return Ok(Period::ALL);
        }
        Ok(Period::new(Period::moment(&self.since, now)?, Period::moment(until, now)?))
    }
}

/// When they began, and what must be true of them.
#[derive(Args)]
pub(crate) struct Which {
    #[command(flatten)]
    pub(crate) period: PeriodArguments,
    #[command(flatten)]
    only: Filters,
}

impl Which {
    pub(crate) fn read(&self, now: DateTime<Utc>) -> Result<(Period, Selection), Box<dyn Error>> {
        Ok((self.period.read(now)?, self.only.read()?))
    }
}

/// What must be true of them.
#[derive(Args)]
pub(crate) struct Filters {
    /// Only operations of this name
    #[arg(long, value_name = "NAME", help_heading = WHICH)]
    operation: Option<String>,
    /// Only those for this user
    #[arg(long, value_name = "NAME", help_heading = WHICH)]
    user: Option<String>,
    /// Only those of this conversation
    #[arg(long, value_name = "ID", help_heading = WHICH)]
    session: Option<String>,
    /// Only those with this tag
    #[arg(long = "tag", value_name = "NAME=VALUE", value_parser = pair, help_heading = WHICH)]
    tags: Vec<(String, String)>,
    /// Only those with this metadata; a value that is no JSON is a text
    #[arg(long = "metadata", value_name = "NAME=VALUE", value_parser = pair, help_heading = WHICH)]
    metadata: Vec<(String, String)>,
    /// Only those that called this tool
    #[arg(long, value_name = "NAME", help_heading = WHICH)]
    tool: Option<String>,
    /// Only those that asked an LLM of this provider
    #[arg(long, value_name = "NAME", help_heading = WHICH)]
    provider: Option<String>,
    /// Only those that asked this LLM
    #[arg(long, value_name = "[PROVIDER/]NAME", alias = "model", help_heading = WHICH)]
    llm: Option<String>,
    /// Only those with this component
    #[arg(long, value_name = "NAME", help_heading = WHICH)]
    component: Option<String>,
    /// Only those that ended so: success, failure, abandoned
    #[arg(long, value_name = "OUTCOME", conflicts_with = "failed", help_heading = WHICH)]
    outcome: Option<String>,
    /// Only those that failed
    #[arg(long, help_heading = WHICH)]
    failed: bool,
    /// Only those with an error of this category, such as timeout or `rate_limit`
    #[arg(long, value_name = "CATEGORY", help_heading = WHICH)]
    error: Option<String>,
    /// Only those that took so long or longer: 250ms, 2s, 5m
    #[arg(long, value_name = "TIME", help_heading = WHICH)]
    longer: Option<String>,
}

pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("NAME=VALUE expected, such as team=search")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Filters {
    pub(crate) fn read(&self) -> Result<Selection, SelectionError> {
        let plain = [
            ("operation", &self.operation),
            ("user", &self.user),
            ("session", &self.session),
            ("tool", &self.tool),
            ("provider", &self.provider),
            ("llm", &self.llm),
            ("component", &self.component),
            ("outcome", &self.outcome),
            ("error", &self.error),
            ("longer", &self.longer),
        ];
        let mut selection = Selection::default();
        for (key, value) in plain {
            if let Some(value) = value {
                selection = selection.with(key, value)?;
            }
        }
        for (kind, pairs) in [("tag", &self.tags), ("metadata", &self.metadata)] {
            for (name, value) in pairs {
                selection = selection.with(&format!("{kind}:{name}"), value)?;
            }
        }
        if self.failed { selection.with("outcome", "failure") } else { Ok(selection) }
    }
}

/// A moment as of which something is told.
pub(crate) fn at(text: Option<&str>, now: DateTime<Utc>) -> Result<DateTime<Utc>, Box<dyn Error>> {
    match text {
        Some(text) => Ok(Period::moment(text, now)?.unwrap_or(now)),
        None => Ok(now),
    }
}
