//! Sessions, and users: what each of them took and cost, over how long.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use taximeter_analysis::Dimension;
use taximeter_models::{Money, Name, Rate};
use taximeter_persistence::StoreError;
use taximeter_persistence::store::{Block, Column, Keys, Query, Table};

use super::counting::Counting;
use super::{History, LookedAt, Period, Selection, VERSION};

/// The sessions or the users of a period, some of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Sessions {
    /// The version of the document.
    pub taximeter_version: u32,
    /// `sessions`.
    pub document: &'static str,
    /// The period.
    #[serde(flatten)]
    pub period: Period,
    /// What these are: `session` or `user`.
    pub by: Dimension,
    /// How many operations were looked at, where conditions were named; else every one counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub looked_at: Option<LookedAt>,
    /// How many there are in all.
    pub of: u64,
    /// Operations that told none: they are in no row.
    pub untold: u64,
    /// Some of them, in the order that was asked for.
    pub sessions: Vec<Session>,
}

/// One session, or one user.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Session {
    /// Which.
    pub key: Name,
    /// Its operations, those within others included, and those of them that did not succeed.
    pub errors: Rate,
    /// When the first of them began.
    pub first_at: DateTime<Utc>,
    /// When the last of them began.
    pub last_at: DateTime<Utc>,
    /// How long they took, added up, in seconds.
    pub busy_seconds: f64,
    /// How long the longest of them took, in seconds.
    pub longest_seconds: f64,
    /// Input tokens, the cached ones included.
    pub input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// What is known of the cost, in US dollars.
    pub total_cost: Money,
    /// LLM calls whose cost is not known.
    pub unpriced_calls: u64,
}

/// Which sessions come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SessionOrder {
    /// Those that cost the most.
    #[default]
    Dearest,
    /// Those whose operations took the longest, added up.
    Slowest,
    /// Those that were the last.
    Newest,
}

impl History {
    /// The sessions of a period, or the users: so many of them, in an order. Others than these are no sessions.
    ///
    /// They are counted over the columns of the period's operations.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use taximeter::analysis::Dimension;
    /// use taximeter::history::{History, Period, Selection, SessionOrder};
    /// use taximeter::store::MemoryStore;
    /// use taximeter::{OperationId, OperationRecord};
    ///
    /// let history = History::new(Arc::new(MemoryStore::default()));
    /// let mut turns = vec![OperationRecord::new("turn"), OperationRecord::new("turn")];
    /// turns[0].id = OperationId::from_bits(1);
    /// turns[0].session = Some("s1".into());
    /// turns[0].duration = std::time::Duration::from_secs(2);
    /// history.append(turns)?;
    /// let only = Selection::default();
    /// let found = history.sessions(&Dimension::Session, Period::ALL, &only, SessionOrder::Slowest, 10)?;
    /// assert_eq!((found.of, found.untold, found.sessions[0].busy_seconds), (1, 1, 2.0));
    /// # Ok::<(), taximeter::StoreError>(())
    /// ```
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn sessions(
        &self,
        by: &Dimension,
        period: Period,
        only: &Selection,
        order: SessionOrder,
        most: usize,
    ) -> Result<Sessions, StoreError> {
        let period = only.period.unwrap_or(period);
        let (part, looked_at) = self.selected(only, period)?;
        let Counted { mut sessions, untold } = part.count_sessions(by, &period.query())?;
        let of = sessions.len() as u64;
        sort(&mut sessions, order);
        sessions.truncate(most);
        Ok(Sessions {
            taximeter_version: VERSION,
            document: "sessions",
            period,
            by: by.clone(),
            looked_at,
            of,
            untold,
            sessions,
        })
    }

    /// All of them, in no order.
    pub(super) fn count_sessions(
        &self,
        by: &Dimension,
        query: &Query,
    ) -> Result<Counted, StoreError> {
        let key = match by {
            Dimension::User => Column::User,
            _ => Column::Session,
        };
        if !self.is_told(&key, query)? {
            return Ok(Counted { sessions: Vec::new(), untold: 0 });
        }
        let columns = [
            key,
            Column::StartedAt,
            Column::Duration,
            Column::Outcome,
            Column::InputTokens,
            Column::OutputTokens,
            Column::CostUsd,
            Column::Unpriced,
        ];
        let counting = Counting {
            tables: &[(Table::Operations, &columns)],
            nothing: &Counts::default,
            add: &|counts: &mut Counts, blocks: &[Block<'_>]| {
                for block in blocks {
                    counts.add(block, &columns[0]);
                }
            },
            take: None,
        };
        let (counts, _) = counting.of(&*self.store, query)?;
        Ok(counts.into_iter().reduce(Counts::merged).unwrap_or_default().finish())
    }
}

/// What was counted.
pub(super) struct Counted {
    pub(super) sessions: Vec<Session>,
    pub(super) untold: u64,
}

pub(super) fn sort(sessions: &mut [Session], order: SessionOrder) {
    sessions.sort_by(|one, other| {
        let first = match order {
            SessionOrder::Dearest => other.total_cost.cmp(&one.total_cost),
            SessionOrder::Slowest => other.busy_seconds.total_cmp(&one.busy_seconds),
            SessionOrder::Newest => other.last_at.cmp(&one.last_at),
        };
        first.then_with(|| one.key.cmp(&other.key))
    });
}

/// What is counted of one of them.
#[derive(Clone, Copy)]
struct Count {
    errors: Rate,
    ends_ns: (i64, i64),
    nanos: u128,
    longest: u64,
    input: u64,
    output: u64,
    usd: Money,
    unpriced: u64,
}

impl Count {
    const NOTHING: Self = Self {
        errors: Rate { hits: 0, of: 0 },
        ends_ns: (i64::MAX, i64::MIN),
        nanos: 0,
        longest: 0,
        input: 0,
        output: 0,
        usd: Money::ZERO,
        unpriced: 0,
    };

    fn merge(&mut self, other: Self) {
        self.errors += other.errors;
        self.ends_ns = (self.ends_ns.0.min(other.ends_ns.0), self.ends_ns.1.max(other.ends_ns.1));
        self.nanos += other.nanos;
        self.longest = self.longest.max(other.longest);
        self.input = self.input.saturating_add(other.input);
        self.output = self.output.saturating_add(other.output);
        self.usd += other.usd;
        self.unpriced += other.unpriced;
    }

    fn session(self, key: Name) -> Session {
        Session {
            key,
            errors: self.errors,
            first_at: DateTime::from_timestamp_nanos(self.ends_ns.0),
            last_at: DateTime::from_timestamp_nanos(self.ends_ns.1),
            busy_seconds: seconds(self.nanos),
            longest_seconds: seconds(self.longest.into()),
            input_tokens: self.input,
            output_tokens: self.output,
            total_cost: self.usd,
            unpriced_calls: self.unpriced,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds need no more than 53 bits")]
fn seconds(nanos: u128) -> f64 {
    nanos as f64 / 1e9
}

#[derive(Default)]
struct Counts {
    by_key: HashMap<Name, Count>,
    untold: u64,
}

impl Counts {
    /// A block has its own list of texts, so each of them is looked up once for a block and not once for a row.
    fn add(&mut self, block: &Block<'_>, key: &Column) {
        let Some(texts) = block.texts(key) else { return };
        let mut own = vec![Count::NOTHING; texts.names.len()];
        let of = |column| block.numbers(&column).unwrap_or_default();
        let (starts, nanos) = (of(Column::StartedAt), of(Column::Duration));
        let (outcomes, unpriced) = (of(Column::Outcome), of(Column::Unpriced));
        let (input, output) = (of(Column::InputTokens), of(Column::OutputTokens));
        let money = block.money(&Column::CostUsd).unwrap_or_default();
        let told = |all: &[u64], row: usize| {
            all.get(row).copied().filter(|number| *number != Block::NONE).unwrap_or_default()
        };
        for (row, key) in texts.keys.iter().enumerate() {
            if *key == Keys::NONE {
                self.untold += 1;
                continue;
            }
            let start = starts.get(row).copied().unwrap_or_default().cast_signed();
            let took = told(nanos, row);
            own[*key as usize].merge(Count {
                errors: Rate { hits: u64::from(told(outcomes, row) != 0), of: 1 },
                ends_ns: (start, start),
                nanos: took.into(),
                longest: took,
                input: told(input, row),
                output: told(output, row),
                usd: money.get(row).copied().unwrap_or_default(),
                unpriced: told(unpriced, row),
            });
        }
        // A block lists texts too that none of the rows has that are meant.
        for (name, count) in texts.names.iter().zip(own).filter(|(_, count)| count.errors.of > 0) {
            self.by_key.entry(name.clone()).or_insert(Count::NOTHING).merge(count);
        }
    }

    fn merged(mut self, other: Self) -> Self {
        self.untold += other.untold;
        for (key, count) in other.by_key {
            self.by_key.entry(key).or_insert(Count::NOTHING).merge(count);
        }
        self
    }

    fn finish(self) -> Counted {
        let session = |(key, count): (Name, Count)| count.session(key);
        Counted { sessions: self.by_key.into_iter().map(session).collect(), untold: self.untold }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use taximeter_models::{OperationId, OperationRecord, Outcome};
    use taximeter_persistence::store::MemoryStore;

    use super::*;

    #[test]
    fn sessions_come_in_the_order_that_is_asked_for_and_of_the_conditions_that_are_named() {
        let history = History::new(Arc::new(MemoryStore::default()));
        let turn = |session: &str, minute: i64, seconds: u64, user: &str| {
            let mut turn = OperationRecord::new("turn");
            turn.session = Some(session.into());
            turn.user = Some(user.into());
            turn.started_at += chrono::TimeDelta::minutes(minute);
            turn.duration = Duration::from_secs(seconds);
            turn
        };
        let mut records = vec![
            turn("long", 0, 3, "ann"),
            turn("long", 1, 4, "ann"),
            turn("late", 9, 5, "bob"),
            OperationRecord::new("alone"),
        ];
        for (number, record) in (1_u128..).zip(&mut records) {
            record.id = OperationId::from_bits(number);
        }
        records[1].outcome = Outcome::Failure;
        history.append(records).unwrap();
        let ask = |only: &str, by: &Dimension, order| {
            let only = Selection::read(only, Utc::now()).unwrap();
            history.sessions(by, Period::ALL, &only, order, 1).unwrap()
        };
        let found = ask("", &Dimension::Session, SessionOrder::Slowest);
        assert_eq!((found.of, found.untold, found.sessions.len()), (2, 1, 1));
        let long = &found.sessions[0];
        assert_eq!((&*long.key, long.errors), ("long", Rate { hits: 1, of: 2 }));
        assert_eq!((long.busy_seconds, long.longest_seconds), (7.0, 4.0));
        assert_eq!((long.last_at - long.first_at).num_seconds(), 60);
        let newest = ask("", &Dimension::Session, SessionOrder::Newest);
        assert_eq!(&*newest.sessions[0].key, "late");
        let users = ask("session=late", &Dimension::User, SessionOrder::Dearest);
        assert_eq!((users.of, &*users.sessions[0].key), (1, "bob"));
        assert_eq!(users.looked_at.map(|at| at.records), Some(1));
    }
}
