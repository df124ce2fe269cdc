//! What outlives the process: what fires, what is still to be told, what was told. A file that is replaced as a whole.
//!
//! A new state and the letters that tell of it are one replacement of one file, so that none is there without the other,
//! whenever the process is killed. It is written only where something changed, which is seldom, and it is small: so a file
//! does what a database would, anybody can read it, and no lock is held on the store.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use taximeter::Name;
use thiserror::Error;

use crate::disk::{Turn, replace};
use crate::event::{Event, Status};
use crate::judge::State;

/// Why the file cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// It cannot be read or written.
    #[error("{doing} the state of the alerts in {path}: {source}")]
    File {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is none of ours, or damaged.
    #[error(
        "reading the state of the alerts in {path}: {why}; move it away to begin anew: what fires then is told again"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// A group of a rule, with its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) key: Option<Name>,
    #[serde(flatten)]
    pub(crate) state: State,
}

/// Something that is still to be told to somebody.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Letter {
    pub(crate) receiver: Name,
    pub(crate) event: Event,
    /// How often it was tried.
    pub(crate) tries: u32,
    /// When it was written.
    pub(crate) at: DateTime<Utc>,
    /// Not before this it is tried again.
    pub(crate) next: DateTime<Utc>,
}

/// What became of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fate {
    /// It was taken.
    Delivered,
    /// It was refused, and will be whenever it is tried.
    Refused,
    /// It was tried for a day.
    GivenUp,
    /// There was no room for so many.
    Dropped,
    /// Its receiver is in the file no more.
    NoReceiver,
}

/// What was told, or could not be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Delivery {
    /// When its fate was known.
    pub at: DateTime<Utc>,
    /// To whom.
    pub receiver: Name,
    /// The id of the event.
    pub id: String,
    /// The rule, and the group where there is one.
    pub about: String,
    /// Whether it told that something fires or is over.
    pub status: Status,
    /// What became of it.
    pub fate: Fate,
    /// How often it was tried.
    pub tries: u32,
    /// What the receiver said last; none where it took it.
    pub said: Option<String>,
}

/// All that is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kept {
    taximeter_version: u32,
    document: String,
    /// What each rule remembers of its groups: those that are neither beyond a limit nor fire are not here.
    pub(crate) states: BTreeMap<Name, Vec<Group>>,
    /// Until when a rule is muted by hand.
    pub(crate) mutes: BTreeMap<Name, DateTime<Utc>>,
    /// The oldest first.
    pub(crate) outbox: VecDeque<Letter>,
    /// The oldest first.
    pub(crate) log: VecDeque<Delivery>,
    /// Letters that were dropped, refused or given up since the file was made.
    pub(crate) lost: u64,
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            taximeter_version: VERSION,
            document: "alerts_state".into(),
            states: BTreeMap::new(),
            mutes: BTreeMap::new(),
            outbox: VecDeque::new(),
            log: VecDeque::new(),
            lost: 0,
        }
    }
}

const VERSION: u32 = 1;
/// So many letters wait at most; then the oldest go.
const MOST_LETTERS: usize = 1_000;
/// So many deliveries are remembered.
const MOST_DELIVERIES: usize = 200;

impl Kept {
    fn of(path: &Path, written: &[u8]) -> Result<Self, LedgerError> {
        if written.is_empty() {
            return Ok(Self::default());
        }
        let damaged = |why: String| LedgerError::Damaged { path: path.to_owned(), why };
        let kept: Self = serde_json::from_slice(written).map_err(|why| damaged(why.to_string()))?;
        if kept.document != "alerts_state" || kept.taximeter_version > VERSION {
            let version = kept.taximeter_version;
            return Err(damaged(format!("it is of version {version}, and {VERSION} is read")));
        }
        Ok(kept)
    }

    /// Puts a letter at the end.
    pub(crate) fn post(&mut self, receiver: Name, event: Event, now: DateTime<Utc>) {
        if self.outbox.len() >= MOST_LETTERS
            && let Some(oldest) = self.outbox.pop_front()
        {
            self.remember(&oldest, Fate::Dropped, None, now);
        }
        self.outbox.push_back(Letter { receiver, event, tries: 0, at: now, next: now });
    }

    /// Notes what became of a letter.
    pub(crate) fn remember(
        &mut self,
        letter: &Letter,
        fate: Fate,
        said: Option<String>,
        now: DateTime<Utc>,
    ) {
        self.lost += u64::from(fate != Fate::Delivered);
        if self.log.len() >= MOST_DELIVERIES {
            self.log.pop_front();
        }
        self.log.push_back(Delivery {
            at: now,
            receiver: letter.receiver.clone(),
            id: letter.event.id.clone(),
            about: letter.event.title(),
            status: letter.event.status,
            fate,
            tries: letter.tries,
            said,
        });
    }

    /// The state of a group; a new one where there is none yet.
    pub(crate) fn state(&mut self, rule: &Name, key: Option<&Name>) -> &mut State {
        let groups = self.states.entry(rule.clone()).or_default();
        let place = groups.iter().position(|group| group.key.as_ref() == key);
        let place = place.unwrap_or_else(|| {
            groups.push(Group { key: key.cloned(), state: State::default() });
            groups.len() - 1
        });
        &mut groups[place].state
    }

    /// Forgets what is quiet.
    pub(crate) fn tidy(&mut self, now: DateTime<Utc>) {
        for groups in self.states.values_mut() {
            groups.retain(|group| !group.state.is_quiet());
        }
        self.states.retain(|_, groups| !groups.is_empty());
        self.mutes.retain(|_, until| *until > now);
    }
}

/// The file, and what it says.
#[derive(Debug)]
pub(crate) struct Ledger {
    path: Option<PathBuf>,
    written: Vec<u8>,
    pub(crate) kept: Kept,
    /// Why it could not be written, where it could not.
    pub(crate) trouble: Option<String>,
}

impl Ledger {
    /// Reads the file; where there is none, nothing is known yet. Without a path, nothing outlives the process.
    ///
    /// # Errors
    /// Where it cannot be read, is damaged, or of a newer version.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, LedgerError> {
        let Some(path) = path else {
            return Ok(Self::in_memory());
        };
        let written = read(path)?;
        let kept = Kept::of(path, &written)?;
        Ok(Self { path: Some(path.to_owned()), written, kept, trouble: None })
    }

    /// Of which nothing outlives the process.
    pub(crate) fn in_memory() -> Self {
        Self { path: None, written: Vec::new(), kept: Kept::default(), trouble: None }
    }

    /// Writes what has changed; a kill leaves the file from before, or the new one.
    ///
    /// # Errors
    /// Where it cannot be written; then the next one has the same and more.
    pub(crate) fn save(&mut self) -> Result<(), LedgerError> {
        self.change(|_| ())
    }

    /// Changes what is kept and writes it, with what other processes have muted meanwhile.
    ///
    /// # Errors
    /// As for [`save`](Self::save).
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut Kept)) -> Result<(), LedgerError> {
        let turn = self.path.as_deref().map(|path| Turn::of(path).map_err(failed("writing", path)));
        self.follow();
        change(&mut self.kept);
        let saved = turn.transpose().and_then(|_turn| self.write());
        self.trouble = saved.as_ref().err().map(ToString::to_string);
        saved
    }

    /// Takes over what another process has muted: `taximeter alerts mute` while a server runs. All else in the file is ours.
    pub(crate) fn follow(&mut self) {
        let Some(path) = &self.path else { return };
        // What cannot be read is told when it is opened, and when it is written.
        let Ok(written) = read(path) else { return };
        if written == self.written || written.is_empty() {
            return;
        }
        if let Ok(kept) = Kept::of(path, &written) {
            self.kept.mutes = kept.mutes;
            self.written = written;
        }
    }

    fn write(&mut self) -> Result<(), LedgerError> {
        let Some(path) = &self.path else { return Ok(()) };
        if self.written.is_empty() && self.kept == Kept::default() {
            return Ok(());
        }
        let failed = failed("writing", path);
        let written = serde_json::to_vec_pretty(&self.kept).map_err(|why| failed(why.into()))?;
        if written == self.written {
            return Ok(());
        }
        // What alerts hold is for its owner alone.
        replace(path, &written, None).map_err(failed)?;
        self.written = written;
        Ok(())
    }
}

/// What is in the file; nothing where there is none.
fn read(path: &Path) -> Result<Vec<u8>, LedgerError> {
    match fs::read(path) {
        Ok(written) => Ok(written),
        Err(none) if none.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(failed("reading", path)(source)),
    }
}

fn failed(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> LedgerError + use<> {
    let path = path.to_owned();
    move |source| LedgerError::File { doing, path: path.clone(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_damaged_or_newer_is_refused_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        for text in ["{", "[]", r#"{"taximeter_version":1}"#] {
            fs::write(&path, text).unwrap();
            let error = Ledger::open(Some(&path)).unwrap_err().to_string();
            assert!(error.contains("move it away"), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        let newer = Kept { taximeter_version: 2, ..Kept::default() };
        fs::write(&path, serde_json::to_vec(&newer).unwrap()).unwrap();
        assert!(Ledger::open(Some(&path)).unwrap_err().to_string().contains("version 2"));
    }

    #[test]
    fn what_another_process_mutes_is_taken_over_and_nothing_else() {
        let (folder, now) =
            (tempfile::tempdir().unwrap(), DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        let path = folder.path().join("state.json");
        let mut server = Ledger::open(Some(&path)).unwrap();
        server.save().unwrap();
        assert!(!path.exists(), "nothing is known, and nothing is written");
        server.change(|kept| kept.post("one".into(), Event::test(now), now)).unwrap();
        let mut other = Ledger::open(Some(&path)).unwrap();
        server.change(|kept| kept.post("two".into(), Event::test(now), now)).unwrap();
        other
            .change(|kept| {
                kept.mutes.insert("slow".into(), now);
            })
            .unwrap();
        server.follow();
        assert_eq!((server.kept.mutes.len(), server.kept.outbox.len()), (1, 2));
        server.save().unwrap();
        let kept = Ledger::open(Some(&path)).unwrap().kept;
        assert_eq!((kept.mutes["slow"], kept.outbox.len()), (now, 2));
    }

    #[test]
    fn the_outbox_and_the_log_are_bounded_and_what_goes_is_counted() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let mut kept = Kept::default();
        for _ in 0..MOST_LETTERS + 300 {
            kept.post("one".into(), Event::test(now), now);
        }
        assert_eq!((kept.outbox.len(), kept.log.len()), (MOST_LETTERS, MOST_DELIVERIES));
        assert_eq!(kept.lost, 300);
    }
}
