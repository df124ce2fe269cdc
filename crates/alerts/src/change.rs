//! Rules made, changed and taken out while they are watched, in their file too.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use taximeter::Name;
use thiserror::Error;

use crate::disk::{Turn, replace};
use crate::{Alerts, Rules, RulesError, edit};

/// A rule as it stands in its file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuleText {
    /// The rule, from its header to its last line.
    pub toml: String,
    /// By this it is told whether the rule was changed meanwhile.
    pub mark: String,
}

/// Why a rule could not be changed. The file is as it was.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// The rules are of no file.
    #[error("changing the rules: they are of no file; name one by --alerts or TAXIMETER_ALERTS")]
    NoFile,
    /// It is no rule, or not with the others of the file.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// It is not one rule.
    #[error(
        "reading the rule: one [[rule]] and nothing else is expected; {found} rules and {budgets} budgets were found"
    )]
    NotOne {
        /// The rules.
        found: usize,
        /// The budgets.
        budgets: usize,
    },
    /// There is no such rule under a header of its own.
    #[error(
        "looking for the rule {name:?} in {path}: there is none under a [[rule]] of its own; it may be gone by now"
    )]
    NoRule {
        /// The name.
        name: String,
        /// The file.
        path: PathBuf,
    },
    /// Somebody else changed it.
    #[error("changing the rule {name:?}: it was changed in {path} meanwhile; look at it again")]
    Meanwhile {
        /// The name.
        name: String,
        /// The file.
        path: PathBuf,
    },
    /// More than this rule would be another.
    #[error(
        "changing the rule {name:?} in {path}: other parts of the file stand within it; change it by hand"
    )]
    Tangled {
        /// The name.
        name: String,
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read or written.
    #[error("{doing} the rules in {path}: {source}")]
    File {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Alerts {
    /// A rule as it stands in its file.
    ///
    /// # Errors
    /// Where the rules are of no file, it cannot be read, or has no such rule.
    pub fn rule_text(&self, name: &str) -> Result<RuleText, ChangeError> {
        let path = self.file()?;
        RuleText::of(&read(&path)?, name, &path).map(|(_, text)| text)
    }

    /// Puts a rule into the file, at its end; or in place of the one that `was` there by a name and a
    /// [mark](RuleText::mark). It holds from now on. Comments and all else of the file stay as they are; what others have
    /// written there meanwhile holds, too.
    ///
    /// ```
    /// use taximeter::history::History;
    /// use taximeter::store::MemoryStore;
    /// use taximeter_alerts::{Alerts, Rules};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("rules.toml");
    /// std::fs::write(&path, "# Ours.\n[[rule]]\nname = 'quiet'\nkind = 'no_data'\nwindow = '1h'\n")?;
    /// let history = History::new(std::sync::Arc::new(MemoryStore::default()));
    /// let alerts = Alerts::open(Rules::load(&path)?, history, None)?;
    ///
    /// let quiet = alerts.rule_text("quiet")?;
    /// alerts.put_rule(Some(("quiet", &quiet.mark)), &quiet.toml.replace("1h", "2h"))?;
    /// assert_eq!(alerts.rules().rule("quiet").map(ToString::to_string).as_deref(), Some("nothing for 2h"));
    /// assert!(std::fs::read_to_string(&path)?.starts_with("# Ours.\n"));
    /// // Who looked at it before the change may not undo it.
    /// assert!(alerts.put_rule(Some(("quiet", &quiet.mark)), &quiet.toml).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Where it is no rule, the file cannot be written, or the rule was changed meanwhile: then all is as it was.
    pub fn put_rule(&self, was: Option<(&str, &str)>, toml: &str) -> Result<Name, ChangeError> {
        let path = self.file()?;
        let _turn = Turn::of(&path).map_err(failed("writing", &path))?;
        let (text, old) = there(&path)?;
        // Wrong lines are told by their number in what was written here.
        let put = old.and_of(toml)?;
        let budgets = put.budgets.len().saturating_sub(old.budgets.len());
        let [rule] = put.rules.as_slice() else {
            return Err(ChangeError::NotOne { found: put.rules.len(), budgets });
        };
        if budgets > 0 {
            return Err(ChangeError::NotOne { found: 1, budgets });
        }
        let changed = match was {
            None => edit::with(&text, toml),
            Some((name, mark)) => {
                let (place, there) = RuleText::of(&text, name, &path)?;
                if there.mark != mark {
                    return Err(ChangeError::Meanwhile { name: name.into(), path });
                }
                edit::replaced(&text, place, toml)
            }
        };
        self.change(&old, &changed, &[was.map_or("", |(name, _)| name), &rule.name], &path)?;
        Ok(rule.name.clone())
    }

    /// Takes a rule out of the file. What fires of it is over.
    ///
    /// # Errors
    /// Where there is no such rule, or the file cannot be written: then all is as it was.
    pub fn remove_rule(&self, name: &str) -> Result<(), ChangeError> {
        let path = self.file()?;
        let _turn = Turn::of(&path).map_err(failed("writing", &path))?;
        let (text, old) = there(&path)?;
        let (place, _) = RuleText::of(&text, name, &path)?;
        self.change(&old, &edit::without(&text, place), &[name], &path)
    }

    /// The file itself, where its name is a link to it.
    fn file(&self) -> Result<PathBuf, ChangeError> {
        let path = self.rules().path.clone().ok_or(ChangeError::NoFile)?;
        Ok(fs::canonicalize(&path).unwrap_or(path))
    }

    /// Writes the file and goes by it, where nothing in it is another but the rules of these names.
    fn change(
        &self,
        old: &Rules,
        text: &str,
        names: &[&str],
        path: &Path,
    ) -> Result<(), ChangeError> {
        let mut new: Rules = text.parse::<Rules>().map_err(|error| error.of(path))?;
        new.path.clone_from(&self.rules().path);
        if !is_else_as_before(old, &new, names) {
            let name = names.iter().find(|name| !name.is_empty()).copied().unwrap_or_default();
            return Err(ChangeError::Tangled { name: name.into(), path: path.to_owned() });
        }
        let permissions = fs::metadata(path).ok().map(|file| file.permissions());
        replace(path, text.as_bytes(), permissions).map_err(failed("writing", path))?;
        self.go_by(new);
        Ok(())
    }
}

impl RuleText {
    fn of(
        text: &str,
        name: &str,
        path: &Path,
    ) -> Result<(std::ops::Range<usize>, Self), ChangeError> {
        let none = || ChangeError::NoRule { name: name.into(), path: path.to_owned() };
        let place = edit::place(text, name).ok_or_else(none)?;
        let toml = text[place.clone()].to_owned();
        let digest = Sha256::digest(toml.as_bytes());
        let mark = BASE64_URL_SAFE_NO_PAD.encode(&digest[..9]);
        Ok((place, Self { toml, mark }))
    }
}

/// What is in the file, which may be none yet.
fn there(path: &Path) -> Result<(String, Rules), ChangeError> {
    let text = read(path)?;
    let rules = text.parse::<Rules>().map_err(|error| error.of(path))?;
    Ok((text, rules))
}

fn read(path: &Path) -> Result<String, ChangeError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(none) if none.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(source) => Err(failed("reading", path)(source)),
    }
}

fn failed(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> ChangeError + use<> {
    let path = path.to_owned();
    move |source| ChangeError::File { doing, path: path.clone(), source }
}

fn is_else_as_before(old: &Rules, new: &Rules, names: &[&str]) -> bool {
    let others = |rules: &Rules| -> Vec<_> {
        rules.rules.iter().filter(|rule| !names.contains(&rule.name.as_str())).cloned().collect()
    };
    let (before, after) = (others(old), others(new));
    before.len() == after.len()
        && before.iter().zip(&after).all(|(one, other)| one.is_as(other))
        && (&old.budgets, &old.receivers) == (&new.budgets, &new.receivers)
}
