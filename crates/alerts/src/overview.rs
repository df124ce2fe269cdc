//! What is known of the rules, as one document.

use chrono::{DateTime, Utc};
use serde::Serialize;
use taximeter::Name;

use crate::evidence::Evidence;
use crate::judge::Seen;
use crate::ledger::Delivery;
use crate::receiver::ReceiverKind;
use crate::rule::Severity;

/// What is known of the rules.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Overview {
    /// The version of the document.
    pub taximeter_version: u32,
    /// `alerts`.
    pub document: &'static str,
    /// What fires, the worst and oldest first.
    pub firing: Vec<FiringNow>,
    /// Every rule, in the order of the file.
    pub rules: Vec<RuleNow>,
    /// Who is told, in the order of the file.
    pub receivers: Vec<ReceiverNow>,
    /// Why what is known could not be written down, where it could not.
    pub error: Option<String>,
    /// Letters that wait for a receiver.
    pub waiting: usize,
    /// Letters that were refused, given up or dropped.
    pub lost: u64,
    /// What was told, the newest first.
    pub log: Vec<Delivery>,
}

/// Something that fires.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct FiringNow {
    /// The rule.
    pub rule: Name,
    /// How bad it is.
    pub severity: Severity,
    /// The group; none where nothing is told apart, or its operations did not tell it.
    pub key: Option<Name>,
    /// Since when it is so.
    pub since: DateTime<Utc>,
    /// When it fired.
    pub fired_at: DateTime<Utc>,
    /// Whether the receivers were told, or are about to be; else it was muted all the time.
    pub told: bool,
    /// What was last seen, in words.
    pub text: String,
    /// The command that shows the operations behind it.
    pub look: String,
    /// The same for a program; none where nothing is known.
    pub evidence: Option<Evidence>,
}

/// A receiver, as far as it may be shown: its address may be a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ReceiverNow {
    /// What it is called.
    pub name: Name,
    /// How it is told.
    pub kind: ReceiverKind,
    /// The scheme and host of its address.
    pub host: String,
    /// Whether what it gets is signed.
    pub signed: bool,
    /// Whether a token is sent along.
    pub token: bool,
}

/// A rule, with what was last seen.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct RuleNow {
    /// What it is called.
    pub name: Name,
    /// Its kind.
    pub kind: &'static str,
    /// What it says, in a sentence.
    pub says: String,
    /// How bad it is.
    pub severity: Severity,
    /// As of when it was last looked at; none where it was not yet.
    pub looked_at: Option<DateTime<Utc>>,
    /// What was seen of each group.
    pub seen: Vec<Seen>,
    /// Groups for which there was no room.
    pub overflow: usize,
    /// Groups that are beyond the limit and do not fire yet.
    pub pending: usize,
    /// Groups that fire.
    pub firing: usize,
    /// Until when it is muted by hand.
    pub muted_until: Option<DateTime<Utc>>,
    /// Why it could not be looked at, where it could not.
    pub error: Option<String>,
}
