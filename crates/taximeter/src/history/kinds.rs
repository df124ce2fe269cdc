//! What was spent on each kind of token: to the last digit, by the lines of the prices.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;
use taximeter_analysis::statistics::Proportion;
use taximeter_models::{Money, Rate, Unit};
use taximeter_persistence::StoreError;
use taximeter_persistence::store::{Block, Column, Level, Table, Usages};

use super::counting::Counting;
use super::{Group, History, Period, Selection};

/// What an LLM call is paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub enum CostKind {
    /// Text input that came from no cache and went into none.
    Input,
    /// Input that was read from a cache.
    CacheRead,
    /// Input that was written into a cache.
    CacheWrite,
    /// Text output without reasoning.
    Output,
    /// Reasoning. Where it has no price of its own, it is its part of the output.
    Reasoning,
    /// Sound, pictures, and what is paid by the piece.
    Other,
    /// What providers told as one amount.
    Untold,
}

impl CostKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Input,
        Self::CacheRead,
        Self::CacheWrite,
        Self::Output,
        Self::Reasoning,
        Self::Other,
        Self::Untold,
    ];

    /// Its name, such as `cache_read`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::CacheRead => "cache_read",
            Self::CacheWrite => "cache_write",
            Self::Output => "output",
            Self::Reasoning => "reasoning",
            Self::Other => "other",
            Self::Untold => "untold",
        }
    }

    fn of(unit: Unit) -> Self {
        use Unit::{CacheRead, CacheReadExplicit, Input, Output, Reasoning};
        match unit {
            Input => Self::Input,
            CacheRead | CacheReadExplicit => Self::CacheRead,
            Output => Self::Output,
            Reasoning => Self::Reasoning,
            unit if unit.as_str().starts_with("cache_write") => Self::CacheWrite,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for CostKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What was spent on one kind, over one stretch of time.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct KindSpent {
    /// When the stretch begins; none where it is the whole period.
    pub start: Option<DateTime<Utc>>,
    /// The kind.
    pub kind: CostKind,
    /// The calls that consumed any of it, and how many of them succeeded.
    pub success: Rate,
    /// How much of it they consumed: tokens, and whatever else is counted.
    pub consumed: u64,
    /// What is known of its cost, in US dollars.
    pub total_cost: Money,
    /// Those of the calls whose cost is not known, or not whole.
    pub unpriced_calls: u64,
}

const COLUMNS: [(Table, &[Column]); 2] = [
    (Table::Operations, &[Column::StartedAt]),
    (
        Table::LlmCalls,
        &[
            Column::Owner,
            Column::Outcome,
            Column::Usage,
            Column::Bill,
            Column::CostUsd,
            Column::Unpriced,
        ],
    ),
];

impl History {
    /// What was spent on each kind of token by some operations, for each window of a level where one is named; by time and
    /// kind, and without what there is nothing of. It is counted over the columns of the LLM calls.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use taximeter::history::{CostKind, History, Period, Selection};
    /// use taximeter::store::MemoryStore;
    /// use taximeter::{LlmCall, OperationRecord, TokenUsage};
    ///
    /// let history = History::new(Arc::new(MemoryStore::default()));
    /// let mut answer = OperationRecord::new("answer");
    /// let usage = TokenUsage::inclusive(1_000, 100).cache_read(800).build()?;
    /// answer.llm_calls.push(LlmCall::new("openai", "gpt-4o").using(usage));
    /// history.append(vec![answer])?;
    /// let kinds = history.kinds(&Selection::default(), Period::ALL, None)?;
    /// let told: Vec<_> = kinds.iter().map(|one| (one.kind, one.consumed)).collect();
    /// assert_eq!(told, [(CostKind::Input, 200), (CostKind::CacheRead, 800), (CostKind::Output, 100)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn kinds(
        &self,
        only: &Selection,
        period: Period,
        each: Option<Level>,
    ) -> Result<Vec<KindSpent>, StoreError> {
        let period = self.whole(period);
        let part = self.part_of(only, period)?;
        let counting = Counting {
            tables: &COLUMNS,
            nothing: &|| Counts { each, steps: BTreeMap::new() },
            add: &|counts: &mut Counts, blocks: &[Block<'_>]| counts.add(blocks),
            take: None,
        };
        let store = &part.as_ref().unwrap_or(self).store;
        let (counts, _) = counting.of(&**store, &period.query())?;
        Ok(counts.into_iter().reduce(Counts::merged).map_or_else(Vec::new, Counts::finish))
    }

    /// The same as groups.
    pub(super) fn groups_by_kind(&self, period: Period) -> Result<Vec<Group>, StoreError> {
        let group = |one: KindSpent| {
            use CostKind::{CacheRead, CacheWrite, Input, Output, Reasoning};
            let of = |kinds: &[CostKind]| if kinds.contains(&one.kind) { one.consumed } else { 0 };
            let (input_tokens, cached) = (of(&[Input, CacheRead, CacheWrite]), of(&[CacheRead]));
            Group {
                key: Some(one.kind.as_str().into()),
                start: None,
                success: Proportion::of(one.success),
                duration_seconds: None,
                input_tokens,
                output_tokens: of(&[Output, Reasoning]),
                cache_read: Rate { hits: cached, of: input_tokens },
                total_cost: one.total_cost,
                unpriced_calls: one.unpriced_calls,
            }
        };
        Ok(self.kinds(&Selection::default(), period, None)?.into_iter().map(group).collect())
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    success: Rate,
    consumed: u64,
    usd: Money,
    unpriced: u64,
}

type Kinds = [Count; CostKind::ALL.len()];

struct Counts {
    each: Option<Level>,
    /// By the second in which a window begins.
    steps: BTreeMap<i64, Kinds>,
}

impl Counts {
    fn add(&mut self, blocks: &[Block<'_>]) {
        let [operations, calls] = blocks else { return };
        let (Some(usage), Some(bills)) = (calls.usage(), calls.bills()) else { return };
        let numbers = |column| calls.numbers(&column).unwrap_or_default();
        let (outcomes, unpriced) = (numbers(Column::Outcome), numbers(Column::Unpriced));
        let money = calls.money(&Column::CostUsd).unwrap_or_default();
        let starts = operations.numbers(&Column::StartedAt).unwrap_or_default();
        for (row, owner) in numbers(Column::Owner).iter().enumerate() {
            let start = usize::try_from(*owner).ok().and_then(|owner| starts.get(owner));
            let second = start.map_or(0, |start| start.cast_signed().div_euclid(1_000_000_000));
            let step = self.each.map_or(0, |level| level.start(second));
            let kinds = self.steps.entry(step).or_default();
            let own = call(usage, bills, row, money[row]);
            for (count, (consumed, usd)) in kinds.iter_mut().zip(own) {
                if consumed > 0 || !usd.is_zero() {
                    count.success.record(outcomes[row] == 0);
                    count.consumed = count.consumed.saturating_add(consumed);
                    count.usd += usd;
                    count.unpriced += unpriced[row];
                }
            }
        }
    }

    fn merged(mut self, other: Self) -> Self {
        for (step, kinds) in other.steps {
            for (ours, theirs) in self.steps.entry(step).or_default().iter_mut().zip(kinds) {
                ours.success += theirs.success;
                ours.consumed = ours.consumed.saturating_add(theirs.consumed);
                ours.usd += theirs.usd;
                ours.unpriced += theirs.unpriced;
            }
        }
        self
    }

    fn finish(self) -> Vec<KindSpent> {
        let each = self.each;
        let step = |(step, kinds): (i64, Kinds)| {
            let start = each.and_then(|_| DateTime::from_timestamp(step, 0));
            let spent = move |(kind, count): (CostKind, Count)| KindSpent {
                start,
                kind,
                success: count.success,
                consumed: count.consumed,
                total_cost: count.usd,
                unpriced_calls: count.unpriced,
            };
            let there = CostKind::ALL.into_iter().zip(kinds).filter(|(_, one)| one.success.of > 0);
            there.map(spent).collect::<Vec<_>>()
        };
        self.steps.into_iter().flat_map(step).collect()
    }
}

/// What a call consumed of each kind, and what it pays for that.
fn call(
    usage: Usages<'_>,
    bills: &[(Unit, Vec<Money>)],
    row: usize,
    usd: Money,
) -> [(u64, Money); CostKind::ALL.len()] {
    let mut own = [(0_u64, Money::ZERO); CostKind::ALL.len()];
    for (unit, counts) in usage.units {
        let (consumed, _) = &mut own[CostKind::of(*unit) as usize];
        *consumed = consumed.saturating_add(counts[row]);
    }
    let mut untold = usd;
    for (unit, amounts) in bills {
        own[CostKind::of(*unit) as usize].1 += amounts[row];
        untold -= amounts[row];
    }
    own[CostKind::Untold as usize].1 = untold;
    let (output, reasoning) = (own[CostKind::Output as usize], own[CostKind::Reasoning as usize]);
    if reasoning.0 > 0 {
        // Reasoning is a part of the output, and is paid as such where it has no price of its own.
        let part = Some(output.1).filter(|_| reasoning.1.is_zero() && output.0 > 0);
        let part = part.and_then(|usd| {
            let ticks = usd.ticks().checked_mul(reasoning.0.into())?;
            Some(Money::from_ticks(ticks / i128::from(output.0)))
        });
        let part = part.unwrap_or_default();
        own[CostKind::Output as usize] = (output.0.saturating_sub(reasoning.0), output.1 - part);
        own[CostKind::Reasoning as usize].1 += part;
    }
    own
}
