//! Rules, budgets and receivers made, changed and taken out while they are watched, in their file too.

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::BuildHasher;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use taximeter::{BudgetPlan, Name};
use thiserror::Error;

use crate::disk::{Turn, replace};
use crate::draft::{Values, of_budget, written_into};
use crate::{Alerts, Receiver, ReceiverDraft, Rule, Rules, RulesError, edit};

/// What a file has several of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Entry {
    /// A rule.
    Rule,
    /// A budget.
    Budget,
    /// A receiver.
    Receiver,
}

impl Entry {
    /// The name of its header: `rule`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Budget => "budget",
            Self::Receiver => "receiver",
        }
    }
}

/// A rule or a budget as it stands in its file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EntryText {
    /// It, from its header to its last line.
    pub toml: String,
    /// By this it is told whether it was changed meanwhile.
    pub mark: String,
}

/// Why something could not be changed. The file is as it was.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// The rules are of no file.
    #[error("changing the rules: they are of no file; name one by --alerts or TAXIMETER_ALERTS")]
    NoFile,
    /// It is none, or not with the others of the file.
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
    /// There is none under a header of its own.
    #[error(
        "looking for the {kind} {name:?} in {path}: there is none under a [[{kind}]] of its own; it may be gone by now"
    )]
    NoEntry {
        /// What was looked for.
        kind: &'static str,
        /// The name.
        name: String,
        /// The file.
        path: PathBuf,
    },
    /// Somebody else changed it.
    #[error("changing the {kind} {name:?}: it was changed in {path} meanwhile; look at it again")]
    Meanwhile {
        /// What was to be changed.
        kind: &'static str,
        /// The name.
        name: String,
        /// The file.
        path: PathBuf,
    },
    /// More than this would be another.
    #[error(
        "changing the {kind} {name:?} in {path}: other parts of the file stand within it; change it by hand"
    )]
    Tangled {
        /// What was to be changed.
        kind: &'static str,
        /// The name.
        name: String,
        /// The file.
        path: PathBuf,
    },
    /// A new address, and no word on the secrets that go to the old one.
    #[error(
        "changing the receiver {name:?}: a new address gets no secret that was meant for the old one; give its secret and token anew, or take them out"
    )]
    OldSecrets {
        /// The name.
        name: String,
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
    /// A rule or a budget as it stands in its file; of a receiver, which may hold secrets, its mark alone.
    ///
    /// # Errors
    /// Where the rules are of no file, it cannot be read, or has no such entry.
    pub fn text_of(&self, entry: Entry, name: &str) -> Result<EntryText, ChangeError> {
        let path = self.file()?;
        let (_, mut text) = EntryText::of(&read(&path)?, entry, name, &path)?;
        if entry == Entry::Receiver {
            text.toml.clear();
        }
        Ok(text)
    }

    /// Puts a rule into the file, at its end; or in place of the one that `was` there by a name and a
    /// [mark](EntryText::mark). It holds from now on. Comments and all else of the file stay as they are; what others have
    /// written there meanwhile holds, too.
    ///
    /// ```
    /// use taximeter::history::History;
    /// use taximeter::store::MemoryStore;
    /// use taximeter_alerts::{Alerts, Entry, Rules};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("rules.toml");
    /// std::fs::write(&path, "# Ours.\n[[rule]]\nname = 'quiet'\nkind = 'no_data'\nwindow = '1h'\n")?;
    /// let history = History::new(std::sync::Arc::new(MemoryStore::default()));
    /// let alerts = Alerts::open(Rules::load(&path)?, history, None)?;
    ///
    /// let quiet = alerts.text_of(Entry::Rule, "quiet")?;
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
            Some(was) => edit::replaced(&text, at(&text, Entry::Rule, was, &path)?.0, toml),
        };
        let names = [was.map_or("", |(name, _)| name), &*rule.name];
        self.change(&old, &changed, Change { entry: Entry::Rule, names }, &path)?;
        Ok(rule.name.clone())
    }

    /// Puts a budget into the file, or changes the one that `was` there, as [`put_rule`](Self::put_rule) does.
    ///
    /// # Errors
    /// As for that.
    pub fn put_budget(
        &self,
        was: Option<(&str, &str)>,
        plan: &BudgetPlan,
    ) -> Result<(), ChangeError> {
        self.put_values(Entry::Budget, was, plan.name(), &of_budget(plan), |_| Ok(()))
    }

    /// Puts a receiver into the file, or changes the one that `was` there. What its draft does not name stays as it is.
    ///
    /// Secrets are written, and nothing gives them back. Where its address becomes another, no secret of the file goes
    /// along, for it was meant for the old one.
    ///
    /// ```
    /// use taximeter::history::History;
    /// use taximeter::store::MemoryStore;
    /// use taximeter_alerts::{Alerts, Entry, ReceiverDraft, ReceiverKind, Rules};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("rules.toml");
    /// std::fs::write(&path, "")?;
    /// let history = History::new(std::sync::Arc::new(MemoryStore::default()));
    /// let alerts = Alerts::open(Rules::load(&path)?, history, None)?;
    ///
    /// let mut draft = ReceiverDraft::new("ops", ReceiverKind::Webhook);
    /// (draft.url, draft.token) = (Some("http://127.0.0.1:9/hook".into()), Some("s3cret".into()));
    /// alerts.put_receiver(None, &draft)?;
    /// assert_eq!(alerts.rules().receivers[0].host, "http://127.0.0.1:9");
    ///
    /// // Its token does not go to another address.
    /// let mark = alerts.text_of(Entry::Receiver, "ops")?.mark;
    /// let mut moved = ReceiverDraft::new("ops", ReceiverKind::Webhook);
    /// moved.url = Some("http://127.0.0.1:8/other".into());
    /// assert!(alerts.put_receiver(Some(("ops", &mark)), &moved).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As for [`put_rule`](Self::put_rule), and where a new address says nothing of the secrets of the old one.
    pub fn put_receiver(
        &self,
        was: Option<(&str, &str)>,
        draft: &ReceiverDraft,
    ) -> Result<(), ChangeError> {
        self.put_values(Entry::Receiver, was, &draft.name, &draft.values(), |old| {
            was.map_or(Ok(()), |(name, _)| draft.check_secrets(old, name))
        })
    }

    fn put_values(
        &self,
        entry: Entry,
        was: Option<(&str, &str)>,
        name: &Name,
        values: &Values,
        check: impl FnOnce(&Rules) -> Result<(), ChangeError>,
    ) -> Result<(), ChangeError> {
        let path = self.file()?;
        let _turn = Turn::of(&path).map_err(failed("writing", &path))?;
        let (text, old) = there(&path)?;
        check(&old)?;
        let (place, found) = match was {
            None => (None, format!("[[{}]]\n", entry.as_str())),
            Some(was) => {
                let (place, found) = at(&text, entry, was, &path)?;
                (Some(place), found.toml)
            }
        };
        let names = [was.map_or("", |(name, _)| name), &**name];
        let meant = Change { entry, names };
        let put = written_into(&found, entry.as_str(), values);
        let put = put.ok_or_else(|| meant.is_tangled(&path))?;
        let changed = match place {
            None => edit::with(&text, &put),
            Some(place) => edit::replaced(&text, place, &put),
        };
        self.change(&old, &changed, meant, &path)
    }

    /// Takes an entry out of the file. What fires of a rule is over then.
    ///
    /// # Errors
    /// Where there is none, a rule still needs it, or the file cannot be written: then all is as it was.
    pub fn remove(&self, entry: Entry, name: &str) -> Result<(), ChangeError> {
        let path = self.file()?;
        let _turn = Turn::of(&path).map_err(failed("writing", &path))?;
        let (text, old) = there(&path)?;
        let (place, _) = EntryText::of(&text, entry, name, &path)?;
        let names = [name, ""];
        self.change(&old, &edit::without(&text, place), Change { entry, names }, &path)
    }

    /// The file itself, where its name is a link to it.
    fn file(&self) -> Result<PathBuf, ChangeError> {
        let path = self.rules().path.clone().ok_or(ChangeError::NoFile)?;
        Ok(fs::canonicalize(&path).unwrap_or(path))
    }

    /// Writes the file and goes by it, where nothing in it is another but what was to be.
    fn change(
        &self,
        old: &Rules,
        text: &str,
        meant: Change<'_>,
        path: &Path,
    ) -> Result<(), ChangeError> {
        let mut new: Rules = text.parse::<Rules>().map_err(|error| error.of(path))?;
        new.path.clone_from(&self.rules().path);
        if !meant.is_all(old, &new) {
            return Err(meant.is_tangled(path));
        }
        let permissions = fs::metadata(path).ok().map(|file| file.permissions());
        replace(path, text.as_bytes(), permissions).map_err(failed("writing", path))?;
        self.go_by(new);
        Ok(())
    }
}

impl EntryText {
    fn of(
        text: &str,
        entry: Entry,
        name: &str,
        path: &Path,
    ) -> Result<(Range<usize>, Self), ChangeError> {
        let none = || ChangeError::NoEntry {
            kind: entry.as_str(),
            name: name.into(),
            path: path.to_owned(),
        };
        let place = edit::place(text, entry.as_str(), name).ok_or_else(none)?;
        let toml = text[place.clone()].to_owned();
        // What the mark of a receiver is made of may be a secret, which must not be found by trying.
        let salt = if entry == Entry::Receiver { SALT.as_slice() } else { &[] };
        let digest = Sha256::new().chain_update(salt).chain_update(&toml).finalize();
        let mark = BASE64_URL_SAFE_NO_PAD.encode(&digest[..9]);
        Ok((place, Self { toml, mark }))
    }
}

/// Known to this process alone.
static SALT: LazyLock<[u8; 16]> = LazyLock::new(|| {
    let state = RandomState::new();
    let both = [state.hash_one(0), state.hash_one(1)];
    std::array::from_fn(|at| both[at / 8].to_le_bytes()[at % 8])
});

/// The entry that was there, where nobody has changed it since.
fn at(
    text: &str,
    entry: Entry,
    (name, mark): (&str, &str),
    path: &Path,
) -> Result<(Range<usize>, EntryText), ChangeError> {
    let found = EntryText::of(text, entry, name, path)?;
    if found.1.mark != mark {
        let kind = entry.as_str();
        return Err(ChangeError::Meanwhile { kind, name: name.into(), path: path.to_owned() });
    }
    Ok(found)
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

/// What is to be another: the entries of these names, before and after.
#[derive(Clone, Copy)]
struct Change<'n> {
    entry: Entry,
    names: [&'n str; 2],
}

impl Change<'_> {
    fn is_tangled(self, path: &Path) -> ChangeError {
        let name = self.names.into_iter().find(|name| !name.is_empty()).unwrap_or_default();
        let kind = self.entry.as_str();
        ChangeError::Tangled { kind, name: name.to_owned(), path: path.to_owned() }
    }

    /// Whether nothing else is.
    fn is_all(self, old: &Rules, new: &Rules) -> bool {
        let is_meant =
            |entry: Entry, name: &Name| entry == self.entry && self.names.contains(&&**name);
        let rules = |rules: &Rules| -> Vec<Rule> {
            rules.rules.iter().filter(|one| !is_meant(Entry::Rule, &one.name)).cloned().collect()
        };
        let budgets = |rules: &Rules| -> Vec<BudgetPlan> {
            let others = rules.budgets.iter().filter(|one| !is_meant(Entry::Budget, one.name()));
            others.cloned().collect()
        };
        let receivers = |rules: &Rules| -> Vec<Receiver> {
            let others = rules.receivers.iter().filter(|one| !is_meant(Entry::Receiver, &one.name));
            others.cloned().collect()
        };
        let (before, after) = (rules(old), rules(new));
        before.len() == after.len()
            && before.iter().zip(&after).all(|(one, other)| one.is_as(other))
            && budgets(old) == budgets(new)
            && receivers(old) == receivers(new)
    }
}
