//! The numbers of each group: out of the sums that are kept, or counted over columns where there are none.

use std::collections::HashMap;
use std::ops::ControlFlow;

use chrono::{DateTime, Utc};
use serde::Serialize;
use taximeter_analysis::statistics::{Distribution, Proportion};
use taximeter_analysis::{Dimension, Histogram, Sums, TokenSummary};
use taximeter_models::{Money, Name, Rate};
use taximeter_persistence::StoreError;
use taximeter_persistence::store::{Block, Column, Keys, Level, Query, Table};

use super::counting::Counting;
use super::windows::{self, unpriced};
use super::{By, History, Period, Summed};

/// The numbers of one group of operations or calls.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Group {
    /// What they have in common; none for those that did not tell it, and for stretches of time.
    pub key: Option<Name>,
    /// When the stretch of time begins, where they are told apart by time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<DateTime<Utc>>,
    /// Those that succeeded, of all, with an interval.
    pub success: Proportion,
    /// How long they took. Percentiles are within [`Histogram::ERROR`] of the exact ones.
    pub duration_seconds: Option<Distribution>,
    /// Input tokens of their LLM calls, the cached ones included.
    pub input_tokens: u64,
    /// Output tokens of their LLM calls.
    pub output_tokens: u64,
    /// Input tokens that were read from a cache, of all.
    pub cache_read: Rate,
    /// What is known of the cost of their LLM calls, in US dollars.
    pub total_cost: Money,
    /// LLM calls whose cost is not known, or not whole, or whose reply told no usage.
    pub unpriced_calls: u64,
}

impl Group {
    /// How many there are.
    pub fn count(&self) -> u64 {
        self.success.rate.of
    }

    /// Those that did not succeed, of all.
    pub fn errors(&self) -> Rate {
        self.success.rate.complement()
    }

    /// The mean of what is known of the cost; none of nothing.
    pub fn mean_cost(&self) -> Option<Money> {
        self.total_cost.mean(self.count())
    }

    /// A group for each sum.
    pub(super) fn each(sums: &[Summed]) -> Vec<Self> {
        sums.iter().map(|one| Self::of_sums(one.key.clone(), None, &one.sums)).collect()
    }

    pub(super) fn of_sums(key: Option<Name>, start: Option<DateTime<Utc>>, sums: &Sums) -> Self {
        let tokens = TokenSummary::of(&sums.usage);
        Self {
            key,
            start,
            success: Proportion::of(sums.success),
            duration_seconds: sums.nanos.distribution(1e-9),
            input_tokens: tokens.input_tokens,
            output_tokens: tokens.output_tokens,
            cache_read: tokens.cache_read,
            total_cost: sums.cost.usd(),
            unpriced_calls: unpriced(sums),
        }
    }
}

impl History {
    /// The numbers of each group of a period: by time and by kind in their order, else those that cost the most first, then those that
    /// are the most.
    ///
    /// Operations, components, tools, providers, LLMs and time are answered out of kept sums; users, sessions, tags and kinds
    /// are counted over the columns of the period. A group of a kind is one of LLM calls.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn groups(&self, by: &By, period: Period) -> Result<Vec<Group>, StoreError> {
        let period = self.whole(period);
        let dimension = match by {
            By::Time(level) => return self.by_time(*level, period),
            By::Kind => return self.groups_by_kind(period),
            By::Dimension(dimension) => dimension,
        };
        let mut groups = match dimension {
            Dimension::All => self.kept(windows::ALL, period)?,
            Dimension::Operation => self.kept(windows::OPERATION, period)?,
            Dimension::Component => self.kept(windows::COMPONENT, period)?,
            Dimension::Tool => self.kept(windows::TOOL, period)?,
            Dimension::Provider => self.kept(windows::PROVIDER, period)?,
            Dimension::Llm => self.kept(windows::LLM, period)?,
            Dimension::User => self.counted(Column::User, &period.query())?,
            Dimension::Session => self.counted(Column::Session, &period.query())?,
            Dimension::Tag(tag) => self.counted(Column::Tag(tag.clone()), &period.query())?,
            _ => Vec::new(),
        };
        sort(&mut groups);
        Ok(groups)
    }

    /// Where the sums of minutes or hours are not kept any more, by hours or days.
    fn by_time(&self, level: Level, period: Period) -> Result<Vec<Group>, StoreError> {
        let period = self.whole(self.bounded(period)?);
        let level = level.max(self.reach()?.finest(period));
        let sums = self.sums(windows::ALL, period, Some(level))?;
        Ok(sums.into_iter().map(|at| Group::of_sums(None, at.start, &at.sums)).collect())
    }

    /// The groups whose sums are kept.
    pub(super) fn kept(&self, dimension: &str, period: Period) -> Result<Vec<Group>, StoreError> {
        Ok(Group::each(&self.sums(dimension, period, None)?))
    }

    /// Operations told apart by a column of texts.
    pub(super) fn counted(&self, key: Column, query: &Query) -> Result<Vec<Group>, StoreError> {
        let columns = [
            key,
            Column::Duration,
            Column::Outcome,
            Column::InputTokens,
            Column::CacheReadTokens,
            Column::OutputTokens,
            Column::CostUsd,
            Column::Unpriced,
        ];
        self.count(&columns, query)
    }

    /// The same, with what of them was spent alone: the rest of their numbers is nothing. None where no operation tells it.
    pub(super) fn spent_by(&self, key: Column, query: &Query) -> Result<Vec<Group>, StoreError> {
        if !self.is_told(&key, query)? {
            return Ok(Vec::new());
        }
        self.count(&[key, Column::CostUsd, Column::Unpriced], query)
    }

    pub(super) fn is_told(&self, key: &Column, query: &Query) -> Result<bool, StoreError> {
        let mut told = false;
        let columns = std::slice::from_ref(key);
        self.store.columns(Table::Operations, query, columns, &mut |block| {
            let texts = block.texts(key);
            told = texts.is_some_and(|texts| texts.keys.iter().any(|key| *key != Keys::NONE));
            if told { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(told)
    }

    /// The first column is the key.
    fn count(&self, columns: &[Column], query: &Query) -> Result<Vec<Group>, StoreError> {
        let counting = Counting {
            tables: &[(Table::Operations, columns)],
            nothing: &Counts::default,
            add: &|counts: &mut Counts, blocks: &[Block<'_>]| {
                for block in blocks {
                    counts.add(block, &columns[0]);
                }
            },
            take: None,
        };
        let (counts, _) = counting.of(&*self.store, query)?;
        let together = counts.into_iter().reduce(Counts::merged).unwrap_or_default();
        Ok(together.groups())
    }
}

/// Those that cost the most first, then those that are the most.
pub(super) fn sort(groups: &mut [Group]) {
    let size = |group: &Group| (group.total_cost, group.count());
    groups.sort_by(|one, other| size(other).cmp(&size(one)).then_with(|| one.key.cmp(&other.key)));
}

/// What is counted of one group.
#[derive(Default)]
struct Count {
    success: Rate,
    nanos: Histogram,
    input: u64,
    cached: u64,
    output: u64,
    usd: Money,
    unpriced: u64,
}

impl Count {
    fn merge(&mut self, other: &Self) {
        self.success += other.success;
        self.nanos.merge(&other.nanos);
        self.input += other.input;
        self.cached += other.cached;
        self.output += other.output;
        self.usd += other.usd;
        self.unpriced += other.unpriced;
    }
}

/// The groups by key.
#[derive(Default)]
struct Counts {
    places: HashMap<Option<Name>, usize>,
    counts: Vec<Count>,
}

impl Counts {
    /// A block has its own list of texts, so each of them is looked up once for a block and not once for a row.
    fn add(&mut self, block: &Block<'_>, key: &Column) {
        let Some(texts) = block.texts(key) else { return };
        let named: Vec<usize> =
            texts.names.iter().map(|name| self.place(Some(name.clone()))).collect();
        let mut unnamed = None;
        let of = |column| Told(block.numbers(&column).unwrap_or_default());
        let (outcome, nanos) = (of(Column::Outcome), of(Column::Duration));
        let (input, cached) = (of(Column::InputTokens), of(Column::CacheReadTokens));
        let (output, unpriced) = (of(Column::OutputTokens), of(Column::Unpriced));
        let money = block.money(&Column::CostUsd).unwrap_or_default();
        for (row, key) in texts.keys.iter().enumerate() {
            let place = if *key == Keys::NONE {
                *unnamed.get_or_insert_with(|| self.place(None))
            } else {
                named[*key as usize]
            };
            let count = &mut self.counts[place];
            count.success.record(outcome.at(row) == Some(0));
            if let Some(nanos) = nanos.at(row) {
                count.nanos.add(nanos);
            }
            count.input += input.at(row).unwrap_or_default();
            count.cached += cached.at(row).unwrap_or_default();
            count.output += output.at(row).unwrap_or_default();
            count.usd += money.get(row).copied().unwrap_or_default();
            count.unpriced += unpriced.at(row).unwrap_or_default();
        }
    }

    fn merged(mut self, other: Self) -> Self {
        for (key, place) in other.places {
            let own = self.place(key);
            self.counts[own].merge(&other.counts[place]);
        }
        self
    }

    fn place(&mut self, key: Option<Name>) -> usize {
        *self.places.entry(key).or_insert_with(|| {
            self.counts.push(Count::default());
            self.counts.len() - 1
        })
    }

    fn groups(self) -> Vec<Group> {
        let group = |(key, place): (Option<Name>, usize)| {
            let count = &self.counts[place];
            Group {
                key,
                start: None,
                success: Proportion::of(count.success),
                duration_seconds: count.nanos.distribution(1e-9),
                input_tokens: count.input,
                output_tokens: count.output,
                cache_read: Rate { hits: count.cached.min(count.input), of: count.input },
                total_cost: count.usd,
                unpriced_calls: count.unpriced,
            }
        };
        // A block lists texts too that none of the rows has that are meant.
        let is_there = |(_, place): &(Option<Name>, usize)| self.counts[*place].success.of > 0;
        self.places.into_iter().filter(is_there).map(group).collect()
    }
}

/// A column of numbers; empty where it was not asked for.
struct Told<'a>(&'a [u64]);

impl Told<'_> {
    fn at(&self, row: usize) -> Option<u64> {
        self.0.get(row).copied().filter(|number| *number != Block::NONE)
    }
}
