//! A record as rows: whether a query means it, where it stands in an order, and what it has in each column.

use std::time::Duration;

use chrono::{DateTime, Utc};
use taximeter_models::{ErrorCategory, LlmCall, Money, OperationId, OperationRecord, Outcome};

use super::{Block, Condition, Order, Query};

/// An instant in nanoseconds since 1970; one beyond the years 1677 to 2262 is the nearest that fits.
pub(crate) fn nanos(instant: DateTime<Utc>) -> i64 {
    let beyond = if instant < DateTime::UNIX_EPOCH { i64::MIN } else { i64::MAX };
    instant.timestamp_nanos_opt().unwrap_or(beyond)
}

/// A duration in nanoseconds; the longest is one less than [`Block::NONE`].
pub(crate) fn duration_nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).min(Block::NONE - 1)
}

impl Query {
    /// Whether one that began between these moments, both included, may be meant.
    #[cfg(feature = "sqlite")]
    pub(crate) fn touches(&self, from_ns: i64, to_ns: i64) -> bool {
        self.since.is_none_or(|since| to_ns >= nanos(since))
            && self.until.is_none_or(|until| from_ns <= nanos(until))
    }

    /// Whether everything between these moments, both included, is within the time.
    #[cfg(feature = "sqlite")]
    pub(crate) fn holds_all(&self, from_ns: i64, to_ns: i64) -> bool {
        // What nanoseconds do not hold may have been at any time beyond.
        i64::MIN < from_ns
            && to_ns < i64::MAX
            && self.since.is_none_or(|since| from_ns >= nanos(since))
            && self.until.is_none_or(|until| to_ns < nanos(until))
    }

    /// Whether this operation may be meant, as far as its components, calls and errors do not matter.
    #[cfg(feature = "sqlite")]
    pub(crate) fn may_hold(&self, record: &OperationRecord) -> bool {
        self.is_in_time(record)
            && self.conditions.iter().all(|condition| match condition {
                Condition::Tool(_)
                | Condition::Provider(_)
                | Condition::Llm(_)
                | Condition::Component(_)
                | Condition::Error(_) => true,
                own => own.holds(record),
            })
    }

    /// Whether this operation is meant.
    pub(crate) fn holds(&self, record: &OperationRecord) -> bool {
        self.is_in_time(record) && self.conditions.iter().all(|condition| condition.holds(record))
    }

    /// By nanoseconds, as sealed operations are told apart: times that these do not hold are the nearest that fits.
    fn is_in_time(&self, record: &OperationRecord) -> bool {
        let started_ns = nanos(record.started_at);
        self.since.is_none_or(|since| started_ns >= nanos(since))
            && self.until.is_none_or(|until| started_ns < nanos(until))
    }
}

impl Condition {
    pub(crate) fn holds(&self, record: &OperationRecord) -> bool {
        match self {
            Self::Operation(name) => record.name == *name,
            Self::User(name) => record.user.as_ref() == Some(name),
            Self::Session(name) => record.session.as_ref() == Some(name),
            Self::Tag(key, value) => {
                record.tags.get(key.as_str()).is_some_and(|is| **is == **value)
            }
            Self::Metadata(key, value) => record.metadata.get(key.as_str()) == Some(value),
            Self::Outcome(outcome) => record.outcome == *outcome,
            Self::Tool(name) => record.tool_calls.iter().any(|call| call.name == *name),
            Self::Provider(name) => {
                record.llm_calls.iter().any(|call| call.provider.as_ref() == Some(name))
            }
            Self::Llm(name) => record.llm_calls.iter().any(|call| call.model() == name.as_str()),
            Self::Component(name) => record.components.iter().any(|timing| timing.name == *name),
            Self::Error(category) => has_error(record, *category),
            Self::AtLeastNanos(least) => duration_nanos(record.duration) >= *least,
        }
    }
}

fn has_error(record: &OperationRecord, category: ErrorCategory) -> bool {
    record.errors.iter().any(|error| error.category == category)
        || record.tool_calls.iter().any(|call| call.error_category() == Some(category))
        || record.llm_calls.iter().any(|call| llm_error(call) == Some(category))
}

pub(super) fn llm_error(call: &LlmCall) -> Option<ErrorCategory> {
    call.error.as_ref().map(|error| error.category)
}

/// Where an operation stands in an order: the smaller comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank(i128, i64, OperationId);

impl Rank {
    pub(crate) fn of(record: &OperationRecord, order: Order) -> Self {
        let cost = if order == Order::Dearest { record.cost().usd() } else { Money::ZERO };
        let (started, duration) = (nanos(record.started_at), duration_nanos(record.duration));
        Self::new(order, started, duration, cost, record.id)
    }

    /// What decides first, before the beginning and the id.
    pub(crate) fn decisive(order: Order, started_ns: i64, duration_ns: u64, cost: Money) -> i128 {
        match order {
            Order::OldestFirst => 0,
            Order::NewestFirst => -i128::from(started_ns),
            Order::Slowest => -i128::from(duration_ns),
            Order::Dearest => cost.ticks().saturating_neg(),
        }
    }

    /// When the operation began, in nanoseconds since 1970.
    #[cfg(feature = "sqlite")]
    pub(crate) fn started_ns(&self) -> i64 {
        self.1
    }

    /// What does not come after any that began no sooner, took no longer and cost no more.
    #[cfg(feature = "sqlite")]
    pub(crate) fn first_of(order: Order, first_ns: i64, longest_ns: u64, dearest: Money) -> Self {
        Self::new(order, first_ns, longest_ns, dearest, OperationId::from_bits(0))
    }

    pub(crate) fn new(
        order: Order,
        started_ns: i64,
        duration_ns: u64,
        cost: Money,
        id: OperationId,
    ) -> Self {
        Self::decided(Self::decisive(order, started_ns, duration_ns, cost), started_ns, id)
    }

    /// Of what [decides first](Self::decisive), and what decides among equals.
    pub(crate) fn decided(decisive: i128, started_ns: i64, id: OperationId) -> Self {
        Self(decisive, started_ns, id)
    }
}

/// The best of many, without keeping the others: a limit needs no more memory than what it shows.
#[derive(Debug)]
pub(crate) struct Best<T> {
    limit: usize,
    kept: Vec<(Rank, T)>,
    /// What does not come before this is not among the best.
    bound: Option<Rank>,
}

impl<T> Best<T> {
    pub(crate) fn new(limit: Option<usize>) -> Self {
        Self { limit: limit.unwrap_or(usize::MAX), kept: Vec::new(), bound: None }
    }

    /// Whether what stands there, or after it, is not among the best.
    pub(crate) fn is_beyond(&self, rank: Rank) -> bool {
        self.limit == 0 || self.bound.is_some_and(|bound| rank >= bound)
    }

    /// Whether anything of which this decides first can be among the best.
    #[cfg(feature = "sqlite")]
    pub(crate) fn may_take(&self, decisive: i128) -> bool {
        self.limit > 0 && self.bound.is_none_or(|bound| decisive <= bound.0)
    }

    pub(crate) fn offer(&mut self, rank: Rank, what: impl FnOnce() -> T) {
        if self.is_beyond(rank) {
            return;
        }
        self.kept.push((rank, what()));
        // Sorting when twice the limit is there costs less than keeping every one in its place.
        if self.kept.len() >= self.limit.saturating_mul(2).max(16) {
            self.cut();
        }
    }

    pub(crate) fn into_sorted(mut self) -> impl Iterator<Item = T> {
        self.cut();
        self.kept.into_iter().map(|(_, what)| what)
    }

    fn cut(&mut self) {
        self.kept.sort_by_key(|(rank, _)| *rank);
        self.kept.truncate(self.limit);
        if self.kept.len() == self.limit {
            self.bound = self.kept.last().map(|(rank, _)| *rank);
        }
    }
}

pub(crate) fn outcome_number(outcome: Outcome) -> u64 {
    match outcome {
        Outcome::Success => 0,
        Outcome::Failure => 1,
        Outcome::Abandoned => 2,
    }
}

/// What is known of the cost of a call in US dollars.
pub(crate) fn cost_usd(call: &LlmCall) -> Money {
    let dollars =
        call.cost.amount().filter(|(_, currency)| *currency == taximeter_models::Currency::USD);
    dollars.map_or(Money::ZERO, |(amount, _)| amount)
}
