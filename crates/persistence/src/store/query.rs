//! What is asked of a store.

use chrono::{DateTime, Utc};
use serde_json::Value;
use taximeter_models::{ErrorCategory, Name, Outcome};

/// Which operations are meant: those that began within a time and fulfil every condition.
///
/// ```
/// use taximeter_persistence::store::{Condition, Order, Query};
///
/// let query = Query::default()
///     .since("2026-11-23T00:00:00Z".parse()?)
///     .until("2026-11-24T00:00:00Z".parse()?) // not included
///     .and(Condition::Operation("qa_response".into()))
///     .order(Order::Slowest)
///     .limit(10);
/// assert_eq!(query.conditions.len(), 1);
/// # Ok::<(), chrono::ParseError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Query {
    /// The first moment; none is the beginning.
    pub since: Option<DateTime<Utc>>,
    /// The moment after the last; none is the end.
    pub until: Option<DateTime<Utc>>,
    /// What must all be true.
    pub conditions: Vec<Condition>,
    /// In what order they are shown. Default: the oldest first.
    pub order: Order,
    /// How many are shown at most. Default: all.
    pub limit: Option<usize>,
    /// In how many sealed pieces of the store they are looked for at most where the newest come first: those that are older
    /// than these are left out then, and [`Scanned::broken_off`](super::Scanned::broken_off) says so. Default: in all.
    pub pieces: Option<usize>,
    /// How much of each is read. Default: all of it.
    pub detail: Detail,
}

/// How much of an operation is read where it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Detail {
    /// All of it.
    #[default]
    Whole,
    /// All but metadata, of its calls too.
    WithoutMetadata,
    /// What tells it in a line: metadata, components, warnings, the parent and the trace may be left out, and when its calls
    /// began and their first tokens came.
    Line,
}

impl Query {
    /// Those that began at this moment or later.
    pub fn since(mut self, since: DateTime<Utc>) -> Self {
        self.since = Some(since);
        self
    }

    /// Those that began before this moment.
    pub fn until(mut self, until: DateTime<Utc>) -> Self {
        self.until = Some(until);
        self
    }

    /// Those of which this is true too.
    pub fn and(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }

    /// In this order.
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// All of them, in the order in which they come soonest.
    pub(crate) fn anyhow(mut self) -> Self {
        (self.order, self.limit) = (Order::OldestFirst, None);
        self
    }

    /// So much of each.
    pub fn detail(mut self, detail: Detail) -> Self {
        self.detail = detail;
        self
    }

    /// So many at most.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }
}

/// Something that is true of an operation or is not.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Condition {
    /// It has this name.
    Operation(Name),
    /// It ran for this user.
    User(Name),
    /// It was part of this conversation.
    Session(Name),
    /// It has this tag with this value.
    Tag(Name, Name),
    /// It has this metadata at its top level, equal to this value.
    Metadata(Name, Value),
    /// It ended so.
    Outcome(Outcome),
    /// It called this tool.
    Tool(Name),
    /// It asked an LLM of this provider.
    Provider(Name),
    /// It asked this LLM, by the name by which calls are grouped: [`LlmCall::model`](taximeter_models::LlmCall::model).
    Llm(Name),
    /// It has this component.
    Component(Name),
    /// It, or a call of it, has an error of this category.
    Error(ErrorCategory),
    /// It took this many nanoseconds or more.
    AtLeastNanos(u64),
}

/// In what order operations are shown. Among equals, the oldest comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Order {
    /// By their beginning.
    #[default]
    OldestFirst,
    /// By their beginning, backwards.
    NewestFirst,
    /// By their duration, the longest first.
    Slowest,
    /// By what is known of their cost in US dollars, the dearest first.
    Dearest,
}

/// What a row of columns is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Table {
    /// An operation.
    Operations,
    /// A call of a tool.
    ToolCalls,
    /// A call of an LLM.
    LlmCalls,
    /// A component of an operation.
    Components,
    /// An error of an operation itself, as far as it was kept. Its name is the component in which it arose.
    Errors,
}
