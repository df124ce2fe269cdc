//! What a text leads to: an operation by its id, a trace, a name, a user, a session, or operations with it in an error.

use std::ops::ControlFlow;

use serde::Serialize;
use taximeter_analysis::Dimension;
use taximeter_models::{Name, OperationId, OperationRecord};
use taximeter_persistence::StoreError;
use taximeter_persistence::store::Order;

use super::{By, History, Line, LookedAt, Period, VERSION};

/// What a text leads to.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Found {
    /// The version of the document.
    pub taximeter_version: u32,
    /// `found`.
    pub document: &'static str,
    /// The text that was looked for.
    pub text: String,
    /// The period; an operation is found by its whole id whenever it was.
    #[serde(flatten)]
    pub period: Period,
    /// The operation of that id.
    pub operation: Option<OperationId>,
    /// Operations, tools, LLMs, users and sessions that are called so, or have it in their name: the former first.
    pub names: Vec<FoundName>,
    /// How many more of these there are.
    pub more_names: u64,
    /// Operations whose id begins so, or that are of that trace, the newest first.
    pub by_id: Vec<Line>,
    /// Operations that have it in the text of an error or a warning, or of a call's error, the newest first.
    pub by_error: Vec<Line>,
    /// How many operations were looked at for ids, traces and errors: the newest ones.
    pub looked_at: LookedAt,
}

/// A name that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct FoundName {
    /// What it is the name of.
    pub by: Dimension,
    /// The name.
    pub key: Name,
    /// Whether it is the text, and not only has it.
    pub exact: bool,
    /// How many operations or calls there are of it.
    pub count: u64,
}

/// So many names, and so many operations, are told.
const MOST: usize = 50;
/// So many characters of a text are looked for.
const LONGEST: usize = 200;
/// An id is not looked for by less of it.
const ID: usize = 6;

impl History {
    /// What a text leads to. Upper and lower case are the same.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use taximeter::history::{History, Period};
    /// use taximeter::store::MemoryStore;
    /// use taximeter::OperationRecord;
    ///
    /// let history = History::new(Arc::new(MemoryStore::default()));
    /// let mut answer = OperationRecord::new("answer");
    /// answer.user = Some("ann".into());
    /// history.append(vec![answer])?;
    /// let found = history.search("Ann", Period::ALL)?;
    /// assert_eq!((found.names[0].by.to_string(), found.names[0].exact), ("user".into(), false));
    /// assert!(history.search("nobody", Period::ALL)?.is_empty());
    /// # Ok::<(), taximeter::StoreError>(())
    /// ```
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn search(&self, text: &str, period: Period) -> Result<Found, StoreError> {
        let text: String = text.trim().chars().take(LONGEST).collect();
        let mut found = Found {
            taximeter_version: VERSION,
            document: "found",
            text,
            period,
            operation: None,
            names: Vec::new(),
            more_names: 0,
            by_id: Vec::new(),
            by_error: Vec::new(),
            looked_at: LookedAt::default(),
        };
        if found.text.is_empty() {
            return Ok(found);
        }
        if let Ok(id) = found.text.parse::<OperationId>() {
            found.operation = self.store.get(id)?.map(|record| record.id);
        }
        self.find_names(&mut found)?;
        self.find_operations(&mut found)?;
        Ok(found)
    }

    fn find_names(&self, found: &mut Found) -> Result<(), StoreError> {
        let sought = Sought::new(&found.text);
        let mut names = Vec::new();
        for by in [Dimension::Operation, Dimension::Tool, Dimension::Llm] {
            for group in self.groups(&By::Dimension(by.clone()), found.period)? {
                names.extend(
                    group.key.as_ref().and_then(|key| sought.name(&by, key, group.count())),
                );
            }
        }
        for by in [Dimension::User, Dimension::Session] {
            for one in self.count_sessions(&by, &found.period.query())?.sessions {
                names.extend(sought.name(&by, &one.key, one.errors.of));
            }
        }
        names.sort_by(|one, other| {
            let first = (other.exact, other.count).cmp(&(one.exact, one.count));
            first.then_with(|| (&one.by, &one.key).cmp(&(&other.by, &other.key)))
        });
        found.more_names = names.len().saturating_sub(MOST) as u64;
        names.truncate(MOST);
        found.names = names;
        Ok(())
    }

    fn find_operations(&self, found: &mut Found) -> Result<(), StoreError> {
        let sought = Sought::new(&found.text);
        let query = found.period.query().order(Order::NewestFirst).limit(super::MOST_RECORDS + 1);
        let (by_id, by_error) = (&mut found.by_id, &mut found.by_error);
        let mut looked = 0;
        let mut more = false;
        let scanned = self.store.scan(&query, &mut |record| {
            if looked == super::MOST_RECORDS {
                more = true;
                return ControlFlow::Break(());
            }
            looked += 1;
            if sought.is_id(&record) {
                by_id.push(Line::of(&record));
            } else if sought.is_in_error(&record) {
                by_error.push(Line::of(&record));
            }
            // More than that nobody reads.
            let is_full = by_id.len() >= MOST || by_error.len() >= MOST;
            if is_full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        let is_full = found.by_id.len() >= MOST || found.by_error.len() >= MOST;
        found.looked_at =
            LookedAt { records: looked as u64, more: more || is_full, damaged: scanned.damaged };
        Ok(())
    }
}

impl Found {
    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.operation.is_none()
            && self.names.is_empty()
            && self.by_id.is_empty()
            && self.by_error.is_empty()
    }
}

/// A text in the two ways in which it is looked for.
struct Sought<'t> {
    text: &'t str,
    lower: String,
    /// The same where it may be the beginning of an id, without hyphens.
    id: Option<String>,
}

impl<'t> Sought<'t> {
    fn new(text: &'t str) -> Self {
        let lower = text.to_lowercase();
        let id = lower.replace('-', "");
        let is_id = id.len() >= ID && id.bytes().all(|letter| letter.is_ascii_hexdigit());
        Self { text, lower, id: is_id.then_some(id) }
    }

    fn name(&self, by: &Dimension, key: &Name, count: u64) -> Option<FoundName> {
        let exact = key.as_str() == self.text;
        let holds = || key.to_lowercase().contains(&self.lower);
        (exact || holds()).then(|| FoundName { by: by.clone(), key: key.clone(), exact, count })
    }

    fn is_id(&self, record: &OperationRecord) -> bool {
        let Some(id) = &self.id else { return false };
        let begins = |text: String| text.replace('-', "").starts_with(id.as_str());
        begins(record.id.to_string()) || begins(record.trace_id.to_string())
    }

    fn is_in_error(&self, record: &OperationRecord) -> bool {
        let holds = |text: String| text.to_lowercase().contains(&self.lower);
        let of_llms = record.llm_calls.iter().filter_map(|call| call.error.as_ref());
        let of_tools = record.tool_calls.iter().filter_map(|call| call.error.as_ref());
        let errors = record.errors.iter().chain(of_llms).chain(of_tools);
        errors.map(ToString::to_string).any(holds)
            || record.warnings.iter().any(|warning| holds(warning.message.clone()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use taximeter_models::{ErrorCategory, ErrorRecord, ToolCall, ToolStatus, TraceId};
    use taximeter_persistence::store::MemoryStore;

    use super::super::Windows;
    use super::*;

    fn history() -> (History, Vec<OperationRecord>) {
        let history = History::new(Arc::new(MemoryStore::summarizing(Arc::new(Windows))));
        let mut records: Vec<_> =
            ["answer", "Answer all", "plan"].map(OperationRecord::new).into_iter().collect();
        for (number, record) in (1_u128..).zip(&mut records) {
            record.id = OperationId::from_bits(0xabcd_ef00_u128 << 96 | number);
            record.trace_id = TraceId::from_bits(0xfeed_u128 << 112 | number);
        }
        records[0].user = Some("answer".into());
        records[1].session = Some("s-answer".into());
        let mut call = ToolCall::new("search", ToolStatus::Error);
        call.error = Some(ErrorRecord::new(ErrorCategory::Server, "The index is GONE"));
        records[2].tool_calls.push(call);
        history.append(records.clone()).unwrap();
        (history, records)
    }

    #[test]
    fn names_are_found_in_part_and_those_that_are_the_text_come_first() {
        let (history, _) = history();
        let found = history.search(" answer ", Period::ALL).unwrap();
        let names: Vec<_> = found
            .names
            .iter()
            .map(|one| (one.by.to_string(), one.key.as_str(), one.exact))
            .collect();
        let told = |by: &str, key: &'static str, exact| (by.to_owned(), key, exact);
        assert_eq!(
            names,
            [
                told("operation", "answer", true),
                told("user", "answer", true),
                told("operation", "Answer all", false),
                told("session", "s-answer", false),
            ]
        );
        assert!(found.by_id.is_empty() && found.by_error.is_empty());
        assert!(history.search("", Period::ALL).unwrap().is_empty());
    }

    #[test]
    fn ids_traces_and_errors_lead_to_operations() {
        let (history, records) = history();
        let id = records[2].id.to_string();
        let found = history.search(&id.to_uppercase(), Period::ALL).unwrap();
        assert_eq!(found.by_id[0].operation_id, records[2].id);
        assert_eq!(history.search(&id, Period::ALL).unwrap().operation, Some(records[2].id));
        let trace = records[0].trace_id.to_string();
        let found = history.search(&trace, Period::ALL).unwrap();
        assert_eq!((found.by_id.len(), found.by_id[0].operation_id), (1, records[0].id));
        assert_eq!(history.search("abcdef00-", Period::ALL).unwrap().by_id.len(), 3);
        let found = history.search("index is gone", Period::ALL).unwrap();
        assert_eq!(found.by_error.len(), 1);
        assert_eq!(found.by_error[0].operation_id, records[2].id);
        assert_eq!(found.looked_at.records, 3);
    }
}
