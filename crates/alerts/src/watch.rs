//! The watch: looks at every rule when its time has come, remembers what fires, and tells each of it once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use taximeter::history::{History, Period};
use taximeter::{Name, StoreError};
use thiserror::Error;

use crate::ask::{Asked, ask};
use crate::event::{Event, look};
use crate::judge::{Firing, Seen, Step};
use crate::ledger::{Fate, Ledger, LedgerError, Letter};
use crate::overview::{FiringNow, Overview, ReceiverNow, RuleNow};
use crate::receiver::{Receiver, ReceiverKind};
use crate::rule::Rule;
use crate::send::{Came, Client};
use crate::source::Source;
use crate::{Kind, Place, Rules};

/// Rules over a history, and what is known of them.
///
/// Two loops keep it going: one calls [`evaluate`](Self::evaluate) every few seconds, another
/// [`deliver`](Self::deliver). Nothing in it looks at a clock: the moment is an argument.
///
/// ```
/// use std::sync::Arc;
/// use taximeter::history::{History, Windows};
/// use taximeter::store::MemoryStore;
/// use taximeter::{OperationRecord, Outcome};
/// use taximeter_alerts::{Alerts, Rules};
///
/// let history = History::new(Arc::new(MemoryStore::summarizing(Arc::new(Windows))));
/// let mut answer = OperationRecord::new("qa_response");
/// answer.started_at = "2026-11-23T11:50:00Z".parse()?;
/// answer.outcome = Outcome::Failure;
/// history.append(vec![answer])?;
///
/// let rules: Rules = r#"
///     [[rule]]
///     name = "answers fail"
///     kind = "threshold"
///     quantity = "error_rate"
///     by = "operation"
///     above = 0.5
///     window = "15m"
///     minimum = 1
/// "#.parse()?;
/// let alerts = Alerts::open(rules, history, None)?; // no file: nothing outlives the process
/// alerts.evaluate("2026-11-23T12:00:40Z".parse()?)?;
/// let firing = alerts.overview().firing;
/// assert_eq!(firing[0].text, "error_rate over 15m is 100.0 % of 1 (limit: above 50.0 %)");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Alerts {
    rules: RwLock<Arc<Rules>>,
    history: History,
    client: Client,
    ledger: Mutex<Ledger>,
    looked: Mutex<BTreeMap<Name, Looked>>,
    /// When the Alertmanagers were last told what fires.
    refreshed: Mutex<Option<DateTime<Utc>>>,
}

/// What was last seen by a rule.
#[derive(Debug, Clone, Default)]
struct Looked {
    at: Option<DateTime<Utc>>,
    seen: Vec<Seen>,
    overflow: usize,
    error: Option<String>,
}

/// What a watch could not do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AlertsError {
    /// The file of what is known cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The history cannot be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no such rule.
    #[error("looking for the rule {name:?}: there is none; `taximeter alerts check` lists them")]
    NoRule {
        /// The name.
        name: String,
    },
    /// There is no such receiver.
    #[error(
        "looking for the receiver {name:?}: there is none; `taximeter alerts check` lists them"
    )]
    NoReceiver {
        /// The name.
        name: String,
    },
    /// The receiver did not take it.
    #[error("telling the receiver {name:?}: {why}")]
    NotTaken {
        /// The receiver.
        name: Name,
        /// What it said.
        why: String,
    },
}

/// Operations are in the store some seconds after they began or ended: what is younger is not looked at yet.
const SETTLES: TimeDelta = TimeDelta::seconds(30);
/// The pause before the second try; it doubles with each, up to the longest.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// The longest pause that a receiver may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(3_600);
/// For so long a letter is tried.
const PATIENCE: TimeDelta = TimeDelta::days(1);
/// So often Alertmanagers are told again what fires.
const REFRESH: TimeDelta = TimeDelta::minutes(1);

impl Alerts {
    /// A watch; what was known before is read from the file, where one is named.
    ///
    /// # Errors
    /// Where the file cannot be read, is damaged or of a newer version.
    pub fn open(rules: Rules, history: History, state: Option<&Path>) -> Result<Self, AlertsError> {
        Ok(Self::over(rules, history, Ledger::open(state)?))
    }

    /// A watch without rules, which never tells anything.
    pub fn idle(history: History) -> Self {
        Self::over(Rules::default(), history, Ledger::in_memory())
    }

    fn over(rules: Rules, history: History, ledger: Ledger) -> Self {
        Self {
            rules: RwLock::new(Arc::new(rules)),
            history,
            client: Client::new(),
            ledger: Mutex::new(ledger),
            looked: Mutex::default(),
            refreshed: Mutex::default(),
        }
    }

    /// The rules, budgets and receivers, as they are now.
    pub fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Goes on with these rules. Those that are others than before, or of another budget, are looked at anew.
    pub(crate) fn go_by(&self, rules: Rules) {
        let mut now = self.rules.write().unwrap_or_else(PoisonError::into_inner);
        let budget = |of: &Rules, rule: &Rule| match &rule.kind {
            Kind::Forecast { budget, .. } => of.budget(budget).cloned(),
            _ => None,
        };
        let is_same = |name: &Name| {
            let both = now.rule(name).zip(rules.rule(name));
            both.is_some_and(|(a, b)| a.is_as(b) && budget(&now, a) == budget(&rules, b))
        };
        self.looked().retain(|name, _| is_same(name));
        *now = Arc::new(rules);
    }

    /// Looks at every rule whose time has come, and writes down what has changed with the letters that tell of it. Gives how
    /// many letters that were.
    ///
    /// # Errors
    /// Where what changed could not be written down, or a rule could not be looked at; all others were.
    pub fn evaluate(&self, now: DateTime<Utc>) -> Result<usize, AlertsError> {
        let (at, rules) = (minute(now - SETTLES), self.rules());
        self.ledger().follow();
        let (found, first_error) = self.look_at(&rules, at);
        let letters = self.go_on(&rules, &found, at, now)?;
        first_error.map_or(Ok(letters), |error| Err(error.into()))
    }

    /// Looks at every rule and remembers what is seen; no state goes on, nothing is written, nobody is told.
    ///
    /// # Errors
    /// Where a rule could not be looked at; all others were.
    pub fn look(&self, now: DateTime<Utc>) -> Result<(), StoreError> {
        self.look_at(&self.rules(), minute(now - SETTLES)).1.map_or(Ok(()), Err)
    }

    /// What each rule sees whose time has come, and the first error.
    fn look_at<'r>(
        &self,
        rules: &'r Rules,
        at: DateTime<Utc>,
    ) -> (Vec<(&'r Rule, Vec<Seen>)>, Option<StoreError>) {
        let source = Source::live(&self.history);
        let (mut first_error, mut found) = (None, Vec::new());
        for rule in rules.rules.iter().filter(|rule| self.is_due(rule, at)) {
            let firing = self.firing_keys(&rule.name);
            let asked = ask(rule, rules, &source, at, &|key| firing.contains(&key.cloned()));
            let mut looked = self.looked();
            let looked = looked.entry(rule.name.clone()).or_default();
            looked.at = Some(at);
            match asked {
                Ok(Asked { seen, overflow }) => {
                    (looked.seen, looked.overflow, looked.error) = (seen.clone(), overflow, None);
                    found.push((rule, seen));
                }
                Err(error) => {
                    looked.error = Some(error.to_string());
                    first_error.get_or_insert(error);
                }
            }
        }
        (found, first_error)
    }

    fn is_due(&self, rule: &Rule, at: DateTime<Utc>) -> bool {
        let every = rule.every.num_seconds().max(60);
        let step = |at: DateTime<Utc>| at.timestamp().div_euclid(every);
        let last = self.looked().get(&rule.name).and_then(|looked| looked.at);
        last.is_none_or(|last| step(last) != step(at))
    }

    fn firing_keys(&self, rule: &Name) -> BTreeSet<Option<Name>> {
        let ledger = self.ledger();
        let groups = ledger.kept.states.get(rule).into_iter().flatten();
        groups.filter(|group| group.state.firing.is_some()).map(|group| group.key.clone()).collect()
    }

    /// One step of every state, and the letters that follow: all in one write.
    fn go_on(
        &self,
        rules: &Rules,
        found: &[(&Rule, Vec<Seen>)],
        at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<usize, LedgerError> {
        let mut ledger = self.ledger();
        let before = ledger.kept.outbox.len();
        for (rule, seen) in found {
            let is_muted = rule.is_muted(now)
                || ledger.kept.mutes.get(&rule.name).is_some_and(|until| now < *until);
            let gone = gone(&ledger, rule, seen);
            for one in seen.iter().chain(&gone) {
                let state = ledger.kept.state(&rule.name, one.key.as_ref());
                let step = state.step(rule, one.place, at);
                let mut events = Vec::new();
                if let Some(Step::Resolved(firing)) = &step
                    && firing.told
                {
                    events.push(Event::new(rule, one.key.as_ref(), firing, one, Some(at)));
                }
                if let Some(firing) = state.firing.as_mut().filter(|f| !f.told && !is_muted) {
                    firing.told = true;
                    events.push(Event::new(rule, one.key.as_ref(), firing, one, None));
                }
                for event in events {
                    for receiver in rules.receivers_of(rule) {
                        ledger.kept.post(receiver.name.clone(), event.clone(), now);
                    }
                }
            }
        }
        end_of_rules(rules, &mut ledger, at, now);
        ledger.kept.tidy(now);
        let letters = ledger.kept.outbox.len().saturating_sub(before);
        ledger.save()?;
        Ok(letters)
    }

    /// Tells what is to be told and whose time has come: of each receiver the oldest letter, until one is not taken. Gives
    /// how many were.
    ///
    /// A letter whose receiver took it just before the process was killed is told again, with the same id.
    ///
    /// # Errors
    /// Where what came of it could not be written down; then it is told again, with the same id.
    pub fn deliver(&self, now: DateTime<Utc>) -> Result<usize, AlertsError> {
        let (mut taken, rules) = (0, self.rules());
        let mut done = BTreeSet::new();
        while let Some(letter) = self.next_letter(&done, now) {
            let receiver = rules.receivers.iter().find(|one| one.name == letter.receiver);
            let came = receiver.map(|receiver| self.client.tell(receiver, &letter.event, now));
            if came != Some(Came::Taken) && came.is_some() {
                done.insert(letter.receiver.clone());
            }
            taken += usize::from(came == Some(Came::Taken));
            self.note(&letter, came, now)?;
        }
        self.refresh(&rules, now);
        Ok(taken)
    }

    /// The oldest letter of a receiver, where its time has come.
    fn next_letter(&self, done: &BTreeSet<Name>, now: DateTime<Utc>) -> Option<Letter> {
        let ledger = self.ledger();
        let mut seen = done.clone();
        let mut first = ledger.kept.outbox.iter().filter(|one| seen.insert(one.receiver.clone()));
        first.find(|letter| letter.next <= now).cloned()
    }

    /// Writes down what came of a letter.
    fn note(
        &self,
        letter: &Letter,
        came: Option<Came>,
        now: DateTime<Utc>,
    ) -> Result<(), LedgerError> {
        let mut ledger = self.ledger();
        let is_it =
            |one: &Letter| one.receiver == letter.receiver && one.event.id == letter.event.id;
        let Some(place) = ledger.kept.outbox.iter().position(is_it) else { return Ok(()) };
        let Some(mut letter) = ledger.kept.outbox.remove(place) else { return Ok(()) };
        letter.tries = letter.tries.saturating_add(u32::from(came.is_some()));
        let (fate, said) = match came {
            Some(Came::Taken) => (Fate::Delivered, None),
            Some(Came::Refused(said)) => (Fate::Refused, Some(said)),
            None => (Fate::NoReceiver, None),
            Some(Came::Later(_, said)) if now - letter.at >= PATIENCE => {
                (Fate::GivenUp, Some(said))
            }
            Some(Came::Later(asked, _)) => {
                letter.next = now + pause(letter.tries, asked);
                ledger.kept.outbox.insert(place, letter);
                return ledger.save();
            }
        };
        ledger.kept.remember(&letter, fate, said, now);
        ledger.save()
    }

    /// Tells the Alertmanagers again what fires: without that they take it to be over after some minutes, and they forget
    /// it when they are started anew. What fails here comes with the next time.
    fn refresh(&self, rules: &Rules, now: DateTime<Utc>) {
        {
            let mut last = self.refreshed.lock().unwrap_or_else(PoisonError::into_inner);
            if last.is_some_and(|last| now >= last && now - last < REFRESH) {
                return;
            }
            *last = Some(now);
        }
        let is_one = |kind| kind == ReceiverKind::Alertmanager;
        for receiver in rules.receivers.iter().filter(|receiver| is_one(receiver.kind)) {
            let events: Vec<_> = self
                .told(rules)
                .into_iter()
                .filter(|(rule, _)| rules.receivers_of(rule).any(|one| one == receiver))
                .map(|(_, event)| event)
                .collect();
            if !events.is_empty() {
                self.client.alert(receiver, &events.iter().collect::<Vec<_>>(), now);
            }
        }
    }

    /// What fires and was told.
    fn told<'r>(&self, rules: &'r Rules) -> Vec<(&'r Rule, Event)> {
        let firing = self.all_firing(rules).into_iter().filter(|(_, _, firing, _)| firing.told);
        firing
            .map(|(rule, key, firing, seen)| {
                (rule, Event::new(rule, key.as_ref(), &firing, &seen, None))
            })
            .collect()
    }

    fn all_firing<'r>(&self, rules: &'r Rules) -> Vec<(&'r Rule, Option<Name>, Firing, Seen)> {
        let (ledger, looked) = (self.ledger(), self.looked());
        let mut all = Vec::new();
        for rule in &rules.rules {
            for group in ledger.kept.states.get(&rule.name).into_iter().flatten() {
                let Some(firing) = group.state.firing.clone() else { continue };
                let seen = looked.get(&rule.name).into_iter().flat_map(|looked| &looked.seen);
                let seen = seen.clone().find(|seen| seen.key == group.key).cloned();
                let seen = seen.unwrap_or_else(|| unknown(group.key.clone()));
                all.push((rule, group.key.clone(), firing, seen));
            }
        }
        all
    }

    /// Tells nobody of a rule until a moment. What fires then and still does is told.
    ///
    /// # Errors
    /// Where there is no such rule, or it could not be written down.
    pub fn mute(&self, rule: &str, until: DateTime<Utc>) -> Result<(), AlertsError> {
        let name = self.name(rule)?;
        Ok(self.ledger().change(|kept| {
            kept.mutes.insert(name, until);
        })?)
    }

    /// Ends what [`mute`](Self::mute) began.
    ///
    /// # Errors
    /// As for that.
    pub fn unmute(&self, rule: &str) -> Result<(), AlertsError> {
        let name = self.name(rule)?;
        Ok(self.ledger().change(|kept| {
            kept.mutes.remove(&name);
        })?)
    }

    fn name(&self, rule: &str) -> Result<Name, AlertsError> {
        let found = self.rules().rule(rule).map(|rule| rule.name.clone());
        found.ok_or_else(|| AlertsError::NoRule { name: rule.into() })
    }

    /// Tells a receiver that this is a test.
    ///
    /// # Errors
    /// Where there is none of this name, or it does not take it; the error says what it said.
    pub fn test(&self, receiver: &str, now: DateTime<Utc>) -> Result<(), AlertsError> {
        let rules = self.rules();
        let found = rules.receivers.iter().find(|one| *one.name == *receiver);
        let receiver = found.ok_or_else(|| AlertsError::NoReceiver { name: receiver.into() })?;
        match self.client.tell(receiver, &Event::test(now), now) {
            Came::Taken => Ok(()),
            Came::Later(_, why) | Came::Refused(why) => {
                Err(AlertsError::NotTaken { name: receiver.name.clone(), why })
            }
        }
    }

    /// All that is known: the rules with what was last seen, what fires, what was told.
    pub fn overview(&self) -> Overview {
        let all = self.rules();
        let firing = self.all_firing(&all).into_iter().map(|(rule, key, firing, seen)| FiringNow {
            rule: rule.name.clone(),
            severity: rule.severity,
            key,
            since: firing.since,
            fired_at: firing.fired_at,
            told: firing.told,
            text: seen.text,
            look: look(seen.evidence.as_ref()),
            evidence: seen.evidence,
        });
        let mut firing: Vec<_> = firing.collect();
        firing.sort_by_key(|one| (std::cmp::Reverse(one.severity), one.fired_at));
        let (ledger, looked) = (self.ledger(), self.looked());
        let rules = all.rules.iter().map(|rule| {
            let looked = looked.get(&rule.name).cloned().unwrap_or_default();
            let groups = ledger.kept.states.get(&rule.name).map_or(&[][..], Vec::as_slice);
            RuleNow {
                name: rule.name.clone(),
                kind: rule.kind.as_str(),
                says: rule.to_string(),
                severity: rule.severity,
                looked_at: looked.at,
                seen: looked.seen,
                overflow: looked.overflow,
                pending: groups.iter().filter(|group| group.state.pending.is_some()).count(),
                firing: groups.iter().filter(|group| group.state.firing.is_some()).count(),
                muted_until: ledger.kept.mutes.get(&rule.name).copied(),
                error: looked.error,
            }
        });
        Overview {
            taximeter_version: 1,
            document: "alerts",
            firing,
            rules: rules.collect(),
            receivers: all.receivers.iter().map(shown).collect(),
            error: ledger.trouble.clone(),
            waiting: ledger.kept.outbox.len(),
            lost: ledger.kept.lost,
            log: ledger.kept.log.iter().rev().cloned().collect(),
        }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn looked(&self) -> MutexGuard<'_, BTreeMap<Name, Looked>> {
        self.looked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn shown(receiver: &Receiver) -> ReceiverNow {
    ReceiverNow {
        name: receiver.name.clone(),
        kind: receiver.kind,
        host: receiver.host.clone(),
        signed: receiver.is_signed(),
        token: receiver.has_token(),
    }
}

/// What fires of a rule that is in the file no more is over.
fn end_of_rules(rules: &Rules, ledger: &mut Ledger, at: DateTime<Utc>, now: DateTime<Utc>) {
    let states = std::mem::take(&mut ledger.kept.states);
    let (kept, gone): (BTreeMap<_, _>, BTreeMap<_, _>) =
        states.into_iter().partition(|(name, _)| rules.rule(name).is_some());
    ledger.kept.states = kept;
    for (name, groups) in gone {
        for group in groups {
            let Some(firing) = group.state.firing.filter(|firing| firing.told) else {
                continue;
            };
            let rule = taken_out(&name);
            let mut seen = unknown(group.key.clone());
            seen.text = "the rule was taken out".into();
            let event = Event::new(&rule, group.key.as_ref(), &firing, &seen, Some(at));
            for receiver in &rules.receivers {
                ledger.kept.post(receiver.name.clone(), event.clone(), now);
            }
        }
    }
}

/// Groups that have a state and were not seen: there is no data of them.
fn gone(ledger: &Ledger, rule: &Rule, seen: &[Seen]) -> Vec<Seen> {
    let groups = ledger.kept.states.get(&rule.name).into_iter().flatten();
    let is_gone = |key: &Option<Name>| !seen.iter().any(|one| one.key == *key);
    groups.map(|group| group.key.clone()).filter(is_gone).map(unknown).collect()
}

pub(crate) fn unknown(key: Option<Name>) -> Seen {
    Seen {
        key,
        place: Place::Unknown,
        value: None,
        limit: None,
        unit: crate::Unit::Count,
        of: 0,
        at_least: false,
        text: "nothing is known of it".into(),
        evidence: None,
    }
}

/// Stands for a rule that is in the file no more.
fn taken_out(name: &Name) -> Rule {
    Rule {
        name: name.clone(),
        kind: Kind::NoData { window: TimeDelta::zero() },
        by: taximeter::analysis::Dimension::All,
        keys: Vec::new(),
        minimum: 0,
        lasting: TimeDelta::zero(),
        missing: crate::Missing::Ok,
        severity: crate::Severity::Info,
        labels: BTreeMap::new(),
        to: Vec::new(),
        mutes: Vec::new(),
        every: TimeDelta::minutes(1),
        most_groups: 1,
        line: 0,
    }
}

/// Between half of the pause and one and a half, so that senders do not come all at once; or what was asked for.
fn pause(tries: u32, asked: Option<Duration>) -> TimeDelta {
    let doubled = PAUSE.saturating_mul(1 << tries.saturating_sub(1).min(16)).min(LONGEST_PAUSE);
    let drawn = doubled.mul_f64(0.5 + fastrand::f64());
    let pause = asked.map_or(drawn, |asked| asked.min(LONGEST_ASKED));
    TimeDelta::from_std(pause).unwrap_or(TimeDelta::minutes(5))
}

/// The minute in which a moment is, as periods begin.
pub(crate) fn minute(at: DateTime<Utc>) -> DateTime<Utc> {
    Period::new(Some(at), None).since.unwrap_or(at)
}
