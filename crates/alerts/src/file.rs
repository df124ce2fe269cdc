//! The file of rules: read as a whole or not at all, with the line of what is wrong.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;
use taximeter::pricing::exact_toml::{Refused, read};
use taximeter::{BudgetPlan, Name};
use thiserror::Error;

use crate::written::{WrittenBudget, WrittenReceiver, WrittenRule};
use crate::{Kind, Receiver, Rule};

/// What a file says: rules, budgets and receivers.
///
/// ```
/// use taximeter_alerts::Rules;
///
/// let rules: Rules = r#"
///     [[rule]]
///     name = "tools fail"
///     kind = "threshold"
///     quantity = "error_rate"
///     by = "tool"
///     above = 0.1
///     clear = 0.05
///     window = "15m"
///     for = "5m"
/// "#.parse()?;
/// assert_eq!(rules.rules[0].to_string(), "error_rate over 15m above 10.0 %, by tool, for 5m");
///
/// let wrong = "[[rule]]\nname = \"x\"\nkind = \"threshold\"\ntreshold = 1".parse::<Rules>().unwrap_err();
/// assert!(wrong.to_string().contains("line 4") && wrong.to_string().contains("treshold"), "{wrong}");
/// # Ok::<(), taximeter_alerts::RulesError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Rules {
    /// The rules, in their order.
    pub rules: Vec<Rule>,
    /// The budgets, in their order.
    pub budgets: Vec<BudgetPlan>,
    /// Who is told.
    pub receivers: Vec<Receiver>,
    /// The file that they are from; none where they were given as text.
    pub path: Option<PathBuf>,
}

/// Why there are no rules.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RulesError {
    /// The file cannot be read.
    #[error("reading the rules in {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is no TOML of this form, or something in it cannot be.
    #[error("reading the rules{}, line {line}: {why}", named(.path.as_deref()))]
    Wrong {
        /// The file, if they are from one.
        path: Option<PathBuf>,
        /// The line, from 1.
        line: usize,
        /// What is wrong, and what is expected.
        why: String,
    },
}

impl RulesError {
    /// The same, of the rules in a file.
    pub(crate) fn of(self, path: &Path) -> Self {
        match self {
            Self::Wrong { line, why, .. } => Self::Wrong { path: Some(path.to_owned()), line, why },
            other @ Self::File { .. } => other,
        }
    }
}

fn named(path: Option<&Path>) -> String {
    path.map_or_else(String::new, |path| format!(" in {}", path.display()))
}

const FILE_VARIABLE: &str = "TAXIMETER_ALERTS";
const DEFAULT_FILE: &str = "taximeter.alerts.toml";
/// A larger file is none of rules.
const MOST_BYTES: u64 = 4 << 20;

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    rule: Vec<toml::Spanned<WrittenRule>>,
    #[serde(default)]
    budget: Vec<toml::Spanned<WrittenBudget>>,
    #[serde(default)]
    receiver: Vec<toml::Spanned<WrittenReceiver>>,
}

impl Rules {
    /// No rules yet, where there is no file: the first one that is [put](crate::Alerts::put_rule) among them makes
    /// `taximeter.alerts.toml` in the working directory.
    pub fn none_yet() -> Self {
        Self { path: Some(DEFAULT_FILE.into()), ..Self::default() }
    }

    /// Where the rules are: the file that `TAXIMETER_ALERTS` names, or `taximeter.alerts.toml` in the working directory.
    /// None where there is none.
    pub fn find() -> Option<PathBuf> {
        let named = std::env::var_os(FILE_VARIABLE).filter(|path| !path.is_empty());
        let here = || Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.exists());
        named.map(PathBuf::from).or_else(here)
    }

    /// The rules of a file.
    ///
    /// # Errors
    /// Where it cannot be read, is not of this form, or a rule cannot be; the error says on which line.
    pub fn load(path: &Path) -> Result<Self, RulesError> {
        let failed = |source| RulesError::File { path: path.to_owned(), source };
        let length = fs::metadata(path).map_err(failed)?.len();
        if length > MOST_BYTES {
            let why = format!("{length} bytes are no rules; {MOST_BYTES} are the most");
            return Err(failed(std::io::Error::other(why)));
        }
        let text = fs::read_to_string(path).map_err(failed)?;
        let mut rules = text.parse::<Self>().map_err(|error| error.of(path))?;
        rules.path = Some(path.to_owned());
        Ok(rules)
    }

    /// The rule of that name.
    pub fn rule(&self, name: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| *rule.name == *name)
    }

    /// The budget of that name.
    pub fn budget(&self, name: &str) -> Option<&BudgetPlan> {
        self.budgets.iter().find(|plan| **plan.name() == *name)
    }

    /// The receivers of a rule.
    pub fn receivers_of<'r>(&'r self, rule: &'r Rule) -> impl Iterator<Item = &'r Receiver> {
        let is_told = |receiver: &&Receiver| rule.to.is_empty() || rule.to.contains(&receiver.name);
        self.receivers.iter().filter(is_told)
    }
}

impl FromStr for Rules {
    type Err = RulesError;

    /// # Errors
    /// As for [`load`](Rules::load).
    fn from_str(text: &str) -> Result<Self, RulesError> {
        let (written, wrong) = Written::read(text)?;
        let mut receivers = Vec::new();
        for one in written.receiver {
            let at = one.span().start;
            receivers.push(one.into_inner().read().map_err(|why| wrong(at, why))?);
        }
        Self { receivers, ..Self::default() }.with(text, written.budget, written.rule)
    }
}

impl Rules {
    /// Rules as text, which may name budgets and receivers of these: so that a rule is tried before it stands in the file.
    /// They have no receivers of their own, and so nothing of the environment is read for them.
    ///
    /// # Errors
    /// As for [`load`](Rules::load), and where a receiver stands there.
    pub fn and_of(&self, text: &str) -> Result<Self, RulesError> {
        let (written, wrong) = Written::read(text)?;
        if let Some(one) = written.receiver.first() {
            return Err(wrong(one.span().start, "receivers are read from the file alone".into()));
        }
        let (budgets, receivers) = (self.budgets.clone(), self.receivers.clone());
        let none = Self { budgets, receivers, ..Self::default() };
        none.with(text, written.budget, written.rule)
    }

    fn with(
        mut self,
        text: &str,
        budgets: Vec<toml::Spanned<WrittenBudget>>,
        rules: Vec<toml::Spanned<WrittenRule>>,
    ) -> Result<Self, RulesError> {
        for one in budgets {
            let at = one.span().start;
            let plan = one.into_inner().read().map_err(|why| wrong(text, at, why))?;
            self.budgets.push(plan);
        }
        for one in rules {
            let at = one.span().start;
            let name = one.get_ref().name.clone();
            let in_it = |why| wrong(text, at, format!("rule {name:?}: {why}"));
            let rule = one.into_inner().read(line(text, at)).map_err(in_it)?;
            self.check(&rule).map_err(in_it)?;
            self.rules.push(rule);
        }
        self.check_names().map_err(|why| wrong(text, 0, why))?;
        Ok(self)
    }
}

impl Written {
    /// The file as it is written, and how to say what is wrong at a place in it.
    fn read(
        text: &str,
    ) -> Result<(Self, impl Fn(usize, String) -> RulesError + use<'_>), RulesError> {
        let refused = |Refused { at, why, .. }| wrong(text, at, why);
        let written = read::<Self>(text).map_err(refused)?;
        Ok((written, move |at, why| wrong(text, at, why)))
    }
}

impl Rules {
    /// What a rule names must be there.
    fn check(&self, rule: &Rule) -> Result<(), String> {
        let receivers = || self.receivers.iter().map(|receiver| &receiver.name);
        if let Some(unknown) = rule.to.iter().find(|name| !receivers().any(|one| one == *name)) {
            return Err(format!("to: there is no receiver {unknown:?}; {}", known(receivers())));
        }
        if let Kind::Forecast { budget, .. } = &rule.kind
            && self.budget(budget).is_none()
        {
            let budgets = self.budgets.iter().map(BudgetPlan::name);
            return Err(format!("budget: there is no budget {budget:?}; {}", known(budgets)));
        }
        Ok(())
    }

    fn check_names(&self) -> Result<(), String> {
        let twice = |what: &str, names: Vec<&Name>| {
            let mut seen = BTreeSet::new();
            let twice = names.into_iter().find(|name| !seen.insert(*name));
            twice.map_or(Ok(()), |name| {
                Err(format!("the {what} {name:?} stands there twice; each has a name of its own"))
            })
        };
        twice("rule", self.rules.iter().map(|rule| &rule.name).collect())?;
        twice("budget", self.budgets.iter().map(BudgetPlan::name).collect())?;
        twice("receiver", self.receivers.iter().map(|receiver| &receiver.name).collect())
    }
}

fn known<'n>(names: impl Iterator<Item = &'n Name>) -> String {
    let names: Vec<_> = names.map(|name| format!("{name:?}")).collect();
    if names.is_empty() {
        return "the file has none".into();
    }
    format!("the file has {}", names.join(", "))
}

fn wrong(text: &str, at: usize, why: String) -> RulesError {
    RulesError::Wrong { path: None, line: line(text, at), why }
}

fn line(text: &str, at: usize) -> usize {
    text.as_bytes()[..at.min(text.len())].split(|byte| *byte == b'\n').count()
}
