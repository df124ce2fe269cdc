//! One operation, with all that ran within it, in the order of time.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use taximeter_analysis::{Part, TimeSpent, time_spent};
use taximeter_models::{LlmCall, Money, Name, OperationId, OperationRecord, ToolCall};
use taximeter_persistence::StoreError;
use taximeter_persistence::store::{Order, Query};

use super::windows::seconds;
use super::{History, HistoryError, VERSION};

/// One operation, taken apart.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Shown {
    /// The version of the document.
    pub taximeter_version: u32,
    /// `operation`.
    pub document: &'static str,
    /// The operation; the cost of each LLM call says why it is that.
    pub operation: OperationRecord,
    /// What ran in it, in the order of time.
    pub waterfall: Vec<Waterfall>,
    /// Where its time goes.
    pub time_spent: Option<TimeSpent>,
}

/// What a line of a waterfall is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum WaterfallKind {
    /// A component.
    Component,
    /// A call of a tool.
    Tool,
    /// A call of an LLM.
    Llm,
    /// An operation within it.
    Operation,
}

/// A line of a waterfall.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Waterfall {
    /// What it is.
    pub kind: WaterfallKind,
    /// Its name.
    pub name: Name,
    /// The id of an operation within it; none of what is no operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<OperationId>,
    /// How long after the operation it began, in seconds; none where that was not told.
    pub start_seconds: Option<f64>,
    /// How long it took, in seconds; none where that was not told.
    pub seconds: Option<f64>,
    /// What all of its name take of the critical path, in seconds.
    pub critical_seconds: f64,
    /// Why it failed; none where it succeeded.
    pub error: Option<String>,
    /// The tokens of an LLM call.
    pub tokens: Option<u64>,
    /// What is known of the cost of an LLM call, in US dollars.
    pub cost: Option<Money>,
}

/// So many operations are looked at for those that ran within one.
const MOST_WITHIN: usize = 10_000;

impl History {
    /// The operation whose id begins so, taken apart.
    ///
    /// # Errors
    /// Where there is none, or more than one, or the store cannot be read.
    pub fn show(&self, id: &str) -> Result<Shown, HistoryError> {
        let operation = self.find(id)?;
        let mut all = self.within(&operation)?;
        let children: Vec<OperationRecord> =
            all.iter().filter(|child| child.parent == Some(operation.id)).cloned().collect();
        all.push(operation.clone());
        // Others of its name may run within it; of these nothing is asked.
        let spent = {
            let mut alone = all;
            alone.retain(|record| record.id == operation.id || record.name != operation.name);
            time_spent(&alone, &operation.name)
        };
        let waterfall = waterfall(&operation, &children, spent.as_ref());
        Ok(Shown {
            taximeter_version: VERSION,
            document: "operation",
            operation,
            waterfall,
            time_spent: spent,
        })
    }

    fn find(&self, id: &str) -> Result<OperationRecord, HistoryError> {
        let range = Range::of(id).ok_or_else(|| HistoryError::NoId { id: shown(id) })?;
        if let Some(whole) = range.whole() {
            let found = self.store.get(whole)?;
            return found.ok_or_else(|| HistoryError::NoOperation { id: shown(id) });
        }
        // An id of version 7 begins with its time, so that most prefixes say when to look; others are looked for
        // everywhere.
        let mut found = self.begun_so(range.query(), range)?;
        if found.is_empty() {
            found = self.begun_so(Query::default(), range)?;
        }
        match (found.pop(), found.pop()) {
            (Some(one), None) => Ok(one),
            (Some(one), Some(other)) => {
                let (one, other) = (one.id, other.id);
                Err(HistoryError::SeveralOperations { id: shown(id), one, other })
            }
            _ => Err(HistoryError::NoOperation { id: shown(id) }),
        }
    }

    /// Two at most.
    fn begun_so(&self, query: Query, range: Range) -> Result<Vec<OperationRecord>, StoreError> {
        use std::ops::ControlFlow::{Break, Continue};

        let mut found = Vec::new();
        self.store.scan(&query.order(Order::NewestFirst), &mut |record| {
            if range.holds(record.id) {
                found.push(record);
            }
            if found.len() < 2 { Continue(()) } else { Break(()) }
        })?;
        Ok(found)
    }

    /// The operations that ran within this one, and within those.
    fn within(&self, operation: &OperationRecord) -> Result<Vec<OperationRecord>, StoreError> {
        let mut query = Query::default().since(operation.started_at).limit(MOST_WITHIN);
        query.until = operation.ended_at().checked_add_signed(TimeDelta::milliseconds(1));
        let mut all = Vec::new();
        self.scan(&query, |record| all.push(record))?;
        let mut within = std::collections::HashSet::from([operation.id]);
        // They come in the order of their beginning, so that whoever is within comes after.
        all.retain(|record| {
            let is = record.parent.is_some_and(|parent| within.contains(&parent));
            is && within.insert(record.id)
        });
        Ok(all)
    }
}

/// The ids that begin with some digits.
#[derive(Debug, Clone, Copy)]
struct Range {
    low: u128,
    high: u128,
}

impl Range {
    fn of(prefix: &str) -> Option<Self> {
        let digits: String = prefix.trim().chars().filter(|letter| *letter != '-').collect();
        let plain = (1..=32).contains(&digits.len())
            && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let bits = plain.then(|| u128::from_str_radix(&digits, 16).ok())??;
        let free = 4 * (32 - u32::try_from(digits.len()).ok()?);
        let low = bits.checked_shl(free)?;
        let rest = if free == 0 { 0 } else { u128::MAX >> (128 - free) };
        Some(Self { low, high: low | rest })
    }

    fn whole(self) -> Option<OperationId> {
        (self.low == self.high).then(|| OperationId::from_bits(self.low))
    }

    fn holds(self, id: OperationId) -> bool {
        (self.low..=self.high).contains(&id.bits())
    }

    /// The first 48 bits are milliseconds since 1970. A clock that was read twice may differ by a little.
    fn query(self) -> Query {
        let at = |bits: u128, slack: TimeDelta| -> Option<DateTime<Utc>> {
            DateTime::from_timestamp_millis(i64::try_from(bits >> 80).ok()?)?
                .checked_add_signed(slack)
        };
        let mut query = Query::default();
        query.since = at(self.low, TimeDelta::seconds(-2));
        query.until = at(self.high, TimeDelta::seconds(2));
        query
    }
}

fn shown(id: &str) -> String {
    id.chars().take(64).collect()
}

fn waterfall(
    operation: &OperationRecord,
    children: &[OperationRecord],
    spent: Option<&TimeSpent>,
) -> Vec<Waterfall> {
    let critical = |part: &Part| {
        let parts = spent.iter().flat_map(|spent| &spent.all.parts);
        parts.filter(|one| one.part == *part).map(|one| one.critical_seconds).sum::<f64>()
    };
    let since = |at: Option<DateTime<Utc>>| {
        let offset = (at? - operation.started_at).num_nanoseconds()?;
        #[expect(clippy::cast_precision_loss, reason = "an offset needs no more than 53 bits")]
        Some(offset as f64 * 1e-9)
    };
    let mut lines = Vec::new();
    for timing in &operation.components {
        lines.push(Waterfall {
            start_seconds: timing.offset.map(seconds),
            seconds: Some(seconds(timing.duration)),
            critical_seconds: critical(&Part::Component(timing.name.clone())),
            ..Waterfall::new(WaterfallKind::Component, timing.name.clone())
        });
    }
    for call in &operation.tool_calls {
        lines.push(Waterfall {
            start_seconds: since(call.started_at),
            critical_seconds: critical(&Part::Tool(call.name.clone())),
            ..tool(call)
        });
    }
    for call in &operation.llm_calls {
        let name = Name::from(call.model());
        lines.push(Waterfall {
            start_seconds: since(call.started_at),
            critical_seconds: critical(&Part::Llm(name.clone())),
            ..llm(call, name)
        });
    }
    for child in children {
        lines.push(Waterfall {
            id: Some(child.id),
            start_seconds: since(Some(child.started_at)),
            seconds: Some(seconds(child.duration)),
            critical_seconds: critical(&Part::Operation(child.name.clone())),
            error: (!child.is_success()).then(|| child.outcome.as_str().to_owned()),
            tokens: Some(child.usage().total_tokens()),
            cost: Some(child.cost().usd()),
            ..Waterfall::new(WaterfallKind::Operation, child.name.clone())
        });
    }
    let order = |line: &Waterfall| line.start_seconds.unwrap_or(f64::INFINITY);
    lines.sort_by(|one, other| order(one).total_cmp(&order(other)));
    lines
}

fn tool(call: &ToolCall) -> Waterfall {
    let error = call.error.as_ref().map(ToString::to_string);
    Waterfall {
        seconds: call.duration.map(|duration: Duration| seconds(duration)),
        error: error.or_else(|| (!call.is_success()).then(|| call.status.as_str().to_owned())),
        ..Waterfall::new(WaterfallKind::Tool, call.name.clone())
    }
}

fn llm(call: &LlmCall, name: Name) -> Waterfall {
    Waterfall {
        seconds: call.duration.map(seconds),
        error: call.error.as_ref().map(ToString::to_string),
        tokens: call.usage.as_ref().map(taximeter_models::TokenUsage::total_tokens),
        cost: call.cost.amount().map(|(amount, _)| amount),
        ..Waterfall::new(WaterfallKind::Llm, name)
    }
}

impl Waterfall {
    fn new(kind: WaterfallKind, name: Name) -> Self {
        Self {
            kind,
            name,
            id: None,
            start_seconds: None,
            seconds: None,
            critical_seconds: 0.0,
            error: None,
            tokens: None,
            cost: None,
        }
    }
}
