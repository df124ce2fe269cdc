//! One metered operation: everything that it left behind.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    CostTotals, ErrorRecord, LlmCall, Metadata, Name, OperationId, SpanId, TokenUsage, ToolCall,
    TraceId,
};

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It did what it was meant to.
    Success,
    /// It failed.
    Failure,
    /// It was dropped without an end: cancelled, forgotten, or unwound.
    Abandoned,
}

impl Outcome {
    /// The name on the wire, such as `success`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Abandoned => "abandoned",
        }
    }
}

/// The time that one component of an operation took.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ComponentTiming {
    /// The component.
    pub name: Name,
    /// How long after the start of the operation it began; none if only its duration was told.
    #[serde(
        default,
        rename = "offset_ns",
        with = "crate::time::nanos",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<u64>"))]
    pub offset: Option<Duration>,
    /// How long it took in all.
    #[serde(rename = "duration_ns", with = "nanos")]
    #[cfg_attr(feature = "schema", schemars(with = "u64"))]
    pub duration: Duration,
    /// How many timings this stands for: 1, or more where an operation had too many to keep apart.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub count: u64,
}

const fn once() -> u64 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_once(count: &u64) -> bool {
    *count == 1
}

mod nanos {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        crate::time::to_nanos(*duration).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_nanos)
    }
}

/// A warning: something that was not as it should be, and yet the operation went on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Warning {
    /// What it said.
    pub message: String,
    /// The component in which it arose, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<Name>,
}

/// One metered operation.
///
/// Its parts are plain fields; what follows from them (counts, sums) is asked for by method. JSON has the field
/// names of the original system, and additions beside them: `docs/FORMATS.md` lists both.
///
/// ```
/// use std::time::Duration;
/// use taximeter_models::{LlmCall, OperationRecord, TokenUsage};
///
/// let mut operation = OperationRecord::new("qa_response");
/// operation.add_component("llm_inference", Duration::from_millis(800));
/// operation.add_component("llm_inference", Duration::from_millis(400));
/// operation.llm_calls.push(LlmCall::new("openai", "gpt-4o").using(TokenUsage::new(1_200, 350)));
///
/// let inference = &operation.component_totals()["llm_inference"];
/// assert_eq!((inference.duration, inference.count), (Duration::from_millis(1_200), 2));
/// assert_eq!(operation.usage().total_tokens(), 1_550);
/// assert!(!operation.cost().is_complete()); // no price book has seen it yet
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct OperationRecord {
    /// Its id.
    pub id: OperationId,
    /// What it is called; many operations share a name.
    pub name: Name,
    /// The operation within which it ran, if any.
    pub parent: Option<OperationId>,
    /// The span of another process within which it ran, if any: what a request's `traceparent` names.
    pub remote_parent: Option<SpanId>,
    /// The trace that it belongs to.
    pub trace_id: TraceId,
    /// When it began, by the wall clock.
    pub started_at: DateTime<Utc>,
    /// How long it took, by a monotonic clock.
    pub duration: Duration,
    /// The times of its components, in the order in which they ended.
    pub components: Vec<ComponentTiming>,
    /// The tools that it called, in the order in which the calls ended.
    pub tool_calls: Vec<ToolCall>,
    /// The LLMs that it called, in the order in which the calls ended.
    pub llm_calls: Vec<LlmCall>,
    /// How it ended.
    pub outcome: Outcome,
    /// Its errors, as far as they were kept; see [`OperationRecord::error_count`].
    pub errors: Vec<ErrorRecord>,
    /// Its warnings, as far as they were kept; see [`OperationRecord::warning_count`].
    pub warnings: Vec<Warning>,
    /// Errors that were counted but of which nothing more was told or kept.
    pub unlisted_errors: u64,
    /// Warnings that were counted but of which nothing more was told or kept.
    pub unlisted_warnings: u64,
    /// For whom it ran.
    pub user: Option<Name>,
    /// The conversation that it was part of.
    pub session: Option<Name>,
    /// Tags to group by.
    pub tags: BTreeMap<String, String>,
    /// What the program wanted to keep with it.
    pub metadata: Metadata,
}

/// The timings of one component, added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ComponentTotal {
    /// How long it took in all.
    pub duration: Duration,
    /// How many times it ran.
    pub count: u64,
}

impl Default for OperationRecord {
    fn default() -> Self {
        Self {
            id: OperationId::default(),
            name: Name::default(),
            parent: None,
            remote_parent: None,
            trace_id: TraceId::default(),
            started_at: DateTime::UNIX_EPOCH,
            duration: Duration::ZERO,
            components: Vec::new(),
            tool_calls: Vec::new(),
            llm_calls: Vec::new(),
            outcome: Outcome::Success,
            errors: Vec::new(),
            warnings: Vec::new(),
            unlisted_errors: 0,
            unlisted_warnings: 0,
            user: None,
            session: None,
            tags: BTreeMap::new(),
            metadata: Metadata::new(),
        }
    }
}

impl OperationRecord {
    /// A successful operation of that name with nothing in it yet.
    pub fn new(name: impl Into<Name>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Adds the time that a component took.
    pub fn add_component(&mut self, name: impl Into<Name>, duration: Duration) {
        self.components.push(ComponentTiming {
            name: name.into(),
            offset: None,
            duration,
            count: 1,
        });
    }

    /// The time of each component in all, by name.
    pub fn component_totals(&self) -> BTreeMap<Name, ComponentTotal> {
        let mut totals = BTreeMap::<Name, ComponentTotal>::new();
        for timing in &self.components {
            let total = totals.entry(timing.name.clone()).or_default();
            total.duration = total.duration.saturating_add(timing.duration);
            total.count = total.count.saturating_add(timing.count);
        }
        totals
    }

    /// When it ended: its start and its duration. A clock that was set meanwhile changes neither.
    pub fn ended_at(&self) -> DateTime<Utc> {
        crate::time::after(self.started_at, self.duration).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// Whether it did what it was meant to.
    pub fn is_success(&self) -> bool {
        self.outcome == Outcome::Success
    }

    /// All its errors, those that were only counted included.
    pub fn error_count(&self) -> u64 {
        (self.errors.len() as u64).saturating_add(self.unlisted_errors)
    }

    /// All its warnings, those that were only counted included.
    pub fn warning_count(&self) -> u64 {
        (self.warnings.len() as u64).saturating_add(self.unlisted_warnings)
    }

    /// What all its LLM calls consumed together.
    pub fn usage(&self) -> TokenUsage {
        let mut sum = TokenUsage::default();
        for usage in self.llm_calls.iter().filter_map(|call| call.usage.as_ref()) {
            sum += usage;
        }
        sum
    }

    /// What all its LLM calls cost together, with what is not known beside what is.
    pub fn cost(&self) -> CostTotals {
        let mut sum = CostTotals::default();
        for call in &self.llm_calls {
            sum.add(&call.cost, call.usage.as_ref());
        }
        sum
    }

    /// The LLMs that it used, each once.
    pub fn models(&self) -> BTreeSet<&str> {
        self.llm_calls.iter().map(LlmCall::model).collect()
    }
}
