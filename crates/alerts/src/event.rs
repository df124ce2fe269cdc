//! What receivers are told: that something began to fire, or that it is over.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use taximeter::Name;

use crate::evidence::Evidence;
use crate::judge::{Firing, Seen};
use crate::rule::{Rule, Severity};
use crate::sign;
use crate::{Amount, Unit};

/// Whether it begins or is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It began.
    Firing,
    /// It is over.
    Resolved,
}

/// One event: the body that a webhook gets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Event {
    /// The version of the document.
    pub taximeter_version: u32,
    /// `alert`.
    pub document: String,
    /// The same for the same event, however often it is told; that of firing and that of resolved are two.
    pub id: String,
    /// Whether it begins or is over.
    pub status: Status,
    /// The rule.
    pub rule: Name,
    /// Its kind.
    pub kind: String,
    /// How bad it is.
    pub severity: Severity,
    /// The labels of the rule.
    pub labels: BTreeMap<String, String>,
    /// By what its groups are told apart: `all`, `tool` and so on.
    pub by: String,
    /// The group; none where nothing is told apart, or its operations did not tell it.
    pub key: Option<Name>,
    /// Since when it is so.
    pub since: DateTime<Utc>,
    /// When it fired: `since`, and as long as the rule waits.
    pub fired_at: DateTime<Utc>,
    /// When it was over; none while it fires.
    pub resolved_at: Option<DateTime<Utc>>,
    /// What was seen; none where there was nothing to measure.
    pub value: Option<Amount>,
    /// The limit, in the same unit.
    pub limit: Option<Amount>,
    /// The unit of both.
    pub unit: Unit,
    /// Of how many operations or calls.
    pub of: u64,
    /// Whether it is at least that, because the cost of some calls is not known.
    pub at_least: bool,
    /// It in words.
    pub text: String,
    /// The command that shows the operations behind it.
    pub look: String,
    /// The same for a program; none where nothing is known.
    pub evidence: Option<Evidence>,
}

impl Event {
    /// What is told of a rule and a group.
    pub(crate) fn new(
        rule: &Rule,
        key: Option<&Name>,
        firing: &Firing,
        seen: &Seen,
        resolved_at: Option<DateTime<Utc>>,
    ) -> Self {
        let status = if resolved_at.is_some() { Status::Resolved } else { Status::Firing };
        let moment = firing.fired_at.to_rfc3339();
        let word = if resolved_at.is_some() { "resolved" } else { "firing" };
        // A group without a name is another than one whose name is empty.
        let named = key.map_or_else(|| "-".to_owned(), |key| format!("+{key}"));
        Self {
            taximeter_version: 1,
            document: "alert".into(),
            id: sign::id(&[&rule.name, &named, &moment, word]),
            status,
            rule: rule.name.clone(),
            kind: rule.kind.as_str().into(),
            severity: rule.severity,
            labels: rule.labels.clone(),
            by: rule.by.to_string(),
            key: key.cloned(),
            since: firing.since,
            fired_at: firing.fired_at,
            resolved_at,
            value: seen.value,
            limit: seen.limit,
            unit: seen.unit,
            of: seen.of,
            at_least: seen.at_least,
            text: seen.text.clone(),
            look: look(seen.evidence.as_ref()),
            evidence: seen.evidence.clone(),
        }
    }

    /// An event that tells of nothing: whether a receiver can be reached.
    pub(crate) fn test(now: DateTime<Utc>) -> Self {
        Self {
            taximeter_version: 1,
            document: "alert".into(),
            id: sign::id(&["test", &now.to_rfc3339()]),
            status: Status::Firing,
            rule: "test".into(),
            kind: "test".into(),
            severity: Severity::Info,
            labels: BTreeMap::new(),
            by: "all".into(),
            key: None,
            since: now,
            fired_at: now,
            resolved_at: None,
            value: None,
            limit: None,
            unit: Unit::Count,
            of: 0,
            at_least: false,
            text: "This is a test: nothing is wrong.".into(),
            look: look(None),
            evidence: None,
        }
    }

    /// What it is called: the rule, and the group where there is one.
    pub(crate) fn title(&self) -> String {
        match &self.key {
            Some(key) => format!("{} ({key})", self.rule),
            None => self.rule.to_string(),
        }
    }
}

/// The command that shows more.
pub(crate) fn look(evidence: Option<&Evidence>) -> String {
    evidence.map_or_else(|| "taximeter alerts status".into(), ToString::to_string)
}
