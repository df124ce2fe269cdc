//! What who watches a store asks: the sums of each group over a stretch of time, and what was spent for each.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use chrono::{DateTime, Utc};
use taximeter_analysis::{Dimension, RollupConfig, Rollups, Step, Sums};
use taximeter_models::{KnownUsd, Name};
use taximeter_persistence::StoreError;
use taximeter_persistence::store::{Block, Column, Keys, Level, Table};

use super::levels::Reach;
use super::{History, Period, Summed, windows};

/// The sums of one group, over the whole period or over one step of it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct GroupSums {
    /// What the group has in common; none for those that did not tell it, and where nothing is told apart.
    pub key: Option<Name>,
    /// When the step begins; none where no steps were asked for.
    pub start: Option<DateTime<Utc>>,
    /// The sums.
    pub sums: Sums,
}

/// What was spent for one group, over the whole period or over one step of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Spending {
    /// What the group has in common; none for those that did not tell it, and where nothing is told apart.
    pub key: Option<Name>,
    /// When the step begins; none where no steps were asked for.
    pub start: Option<DateTime<Utc>>,
    /// What is known of it in US dollars, and what that leaves out.
    pub spent: KnownUsd,
}

impl History {
    /// The sums of each group of a period, for each of its steps where a level is named, in the order of time and key.
    ///
    /// They are those of just that period: where the sums that are kept do not meet its ends, and for sessions and tags,
    /// of which none are kept, whole records are added up. Of users, and whatever else has no end, the store keeps the
    /// 256 busiest apart in each minute, and the others together as `_other`.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use taximeter::analysis::Dimension;
    /// use taximeter::history::{History, Period, Windows};
    /// use taximeter::store::MemoryStore;
    /// use taximeter::{OperationRecord, ToolCall, ToolStatus};
    ///
    /// let history = History::new(Arc::new(MemoryStore::summarizing(Arc::new(Windows))));
    /// let mut answer = OperationRecord::new("qa_response");
    /// answer.tool_calls.push(ToolCall::new("search", ToolStatus::Success));
    /// answer.tool_calls.push(ToolCall::new("search", ToolStatus::Timeout));
    /// history.append(vec![answer])?;
    /// let tools = history.sums_by(&Dimension::Tool, Period::ALL, None)?;
    /// assert_eq!(tools[0].sums.success.to_string(), "50.0 % (1 of 2)");
    /// # Ok::<(), taximeter::StoreError>(())
    /// ```
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn sums_by(
        &self,
        by: &Dimension,
        period: Period,
        each: Option<Level>,
    ) -> Result<Vec<GroupSums>, StoreError> {
        match kept(by) {
            // Of users no sums are counted of some operations alone.
            Some(dimension)
                if self.reach()?.meets(period, each)
                    && (self.part.is_none() || dimension != windows::USER) =>
            {
                let sums = self.sums(dimension, period, each)?;
                let group = |Summed { start, key, sums }| GroupSums { key, start, sums };
                Ok(sums.into_iter().map(group).collect())
            }
            _ => self.added_up(by, period, each),
        }
    }

    /// What was spent for each group of a period, for each of its steps where one is named: to the last digit.
    ///
    /// Operations, providers, LLMs and all together are answered out of kept sums; users, sessions and tags are counted
    /// over the columns of the LLM calls, so that none of them is among others.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn spending(
        &self,
        by: &Dimension,
        period: Period,
        each: Option<Step>,
    ) -> Result<Vec<Spending>, StoreError> {
        let column = match by {
            Dimension::User => Column::User,
            Dimension::Session => Column::Session,
            Dimension::Tag(tag) => Column::Tag(tag.clone()),
            _ => {
                let level = each.map(|step| match step {
                    Step::Hour => Level::Hour,
                    Step::Day => Level::Day,
                });
                let sums = self.sums_by(by, period, level)?.into_iter();
                let spent = |GroupSums { key, start, sums }: GroupSums| Spending {
                    key,
                    start,
                    spent: sums.known_usd(),
                };
                return Ok(sums.map(spent).collect());
            }
        };
        let columns = [column, Column::StartedAt, Column::CostUsd, Column::Unpriced];
        let mut bills = Bills { each, ..Bills::default() };
        self.store.columns(Table::LlmCalls, &period.query(), &columns, &mut |block| {
            bills.add(block, &columns);
            ControlFlow::Continue(())
        })?;
        Ok(bills.finish())
    }

    /// Out of whole records, one by one.
    fn added_up(
        &self,
        by: &Dimension,
        period: Period,
        each: Option<Level>,
    ) -> Result<Vec<GroupSums>, StoreError> {
        let mut config = RollupConfig::default();
        config.dimensions = vec![by.clone()];
        config.most_keys = usize::MAX;
        let mut steps = BTreeMap::<Option<i64>, Rollups>::new();
        self.scan(&period.query(), |record| {
            let step = each.map(|level| level.start(record.started_at.timestamp()));
            steps.entry(step).or_insert_with(|| Rollups::new(&config)).add(&record);
        })?;
        let mut all = Vec::new();
        for (step, rollups) in steps {
            let start = step.and_then(|step| DateTime::from_timestamp(step, 0));
            for (key, sums) in rollups.finish().into_iter().flat_map(|rollup| rollup.keys) {
                all.push(GroupSums { key, start, sums });
            }
        }
        Ok(all)
    }
}

impl Reach {
    /// Whether the sums that are kept begin and end where this period does, and are as short as the steps.
    fn meets(self, period: Period, each: Option<Level>) -> bool {
        let finest = self.finest(period);
        let ends = [period.since, period.until];
        let is_end = |at: &DateTime<Utc>| {
            at.timestamp().rem_euclid(finest.seconds()) == 0 && at.timestamp_subsec_nanos() == 0
        };
        ends.iter().flatten().all(is_end) && each.is_none_or(|level| finest <= level)
    }
}

/// The dimension under which sums are kept.
fn kept(by: &Dimension) -> Option<&'static str> {
    Some(match by {
        Dimension::All => windows::ALL,
        Dimension::Operation => windows::OPERATION,
        Dimension::Component => windows::COMPONENT,
        Dimension::Tool => windows::TOOL,
        Dimension::Provider => windows::PROVIDER,
        Dimension::Llm => windows::LLM,
        Dimension::User => windows::USER,
        _ => return None,
    })
}

/// What calls cost, by key and step.
#[derive(Default)]
struct Bills {
    each: Option<Step>,
    places: HashMap<(Option<i64>, Option<Name>), KnownUsd>,
}

impl Bills {
    fn add(&mut self, block: &Block<'_>, columns: &[Column; 4]) {
        let (Some(texts), Some(starts)) = (block.texts(&columns[0]), block.numbers(&columns[1]))
        else {
            return;
        };
        let (money, unpriced) = (block.money(&columns[2]), block.numbers(&columns[3]));
        for (row, key) in texts.keys.iter().enumerate() {
            let name = (*key != Keys::NONE).then(|| texts.names[*key as usize].clone());
            let step = self.each.zip(starts.get(row)).map(|(step, start)| {
                let second = start.cast_signed().div_euclid(1_000_000_000);
                second - second.rem_euclid(step.seconds())
            });
            let spent = self.places.entry((step, name)).or_default();
            spent.usd += money.and_then(|money| money.get(row)).copied().unwrap_or_default();
            spent.coverage.calls += 1;
            let is_unpriced = unpriced.and_then(|all| all.get(row)).is_some_and(|one| *one > 0);
            spent.coverage.unpriced_calls += u64::from(is_unpriced);
        }
    }

    fn finish(self) -> Vec<Spending> {
        let mut all: Vec<_> = self.places.into_iter().collect();
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        let start = |step: Option<i64>| step.and_then(|step| DateTime::from_timestamp(step, 0));
        let spending = |((step, key), spent)| Spending { key, start: start(step), spent };
        all.into_iter().map(spending).collect()
    }
}
