//! What the LLM calls of a block used and cost: each by itself, or all of an operation together.

use taximeter_models::{Money, Unit};

use super::column::{Map, llm, operation};
use super::costs::Costs;
use super::error::{BlockError, Broken};
use super::picked::{Picked, Units};
use super::presence::{Ranges, SomeNumbers};
use super::read_maps::{MapColumn, MapValues, Shapes};
use super::reader::Reader;
use crate::store::columns::Values;
use crate::store::{Block, Table};

impl Reader<'_> {
    /// The sums of the buckets that count, of each LLM call, or of all of an operation.
    pub(super) fn tokens(
        &mut self,
        picked: &Picked,
        counts: fn(Unit) -> bool,
    ) -> Result<Values, BlockError> {
        if !matches!(picked.table, Table::Operations | Table::LlmCalls) {
            return Ok(picked.numbers(|_, _| Block::NONE));
        }
        let units = self.units(counts)?;
        let ranges = self.llm_ranges()?;
        if picked.table == Table::LlmCalls || ranges.is_one_each() {
            let mut sums = vec![0_u64; picked.rows.len()];
            for (_, numbers) in &units {
                for (sum, count) in sums.iter_mut().zip(numbers.of(&picked.rows, 0, |count| count))
                {
                    *sum = sum.saturating_add(count);
                }
            }
            return Ok(Values::Numbers(sums));
        }
        let counts = |call| units.iter().filter_map(move |(_, numbers)| numbers.get(call));
        let sum = |row| ranges.get(row).flat_map(counts).fold(0_u64, u64::saturating_add);
        Ok(picked.numbers(|_, row| sum(row)))
    }

    fn llm_ranges(&mut self) -> Result<Ranges, BlockError> {
        self.ranges(operation::LLM_CALLS, self.meta.rows, self.count(llm::MASK))
    }

    /// Those buckets of usage that count, as far as there are any.
    pub(super) fn units(
        &mut self,
        counts: fn(Unit) -> bool,
    ) -> Result<Vec<(Unit, SomeNumbers)>, BlockError> {
        let shapes = Shapes::read(self, Map::Usage, self.count(llm::MASK))?;
        let mut units = Vec::new();
        for place in 0..shapes.columns.len() {
            let unknown = Broken("it has a unit that is not known").at(Some(Map::Usage.shape()));
            let (_, kind, key) = &shapes.columns[place];
            let Some(unit) = Unit::named(key).filter(|_| kind.is_number()) else {
                return Err(unknown);
            };
            if !counts(unit) {
                continue;
            }
            let column = MapColumn::read(self, &shapes, place)?;
            let MapValues::Numbers(numbers) = column.values else { return Err(unknown) };
            units.push((unit, SomeNumbers { presence: column.presence, numbers }));
        }
        Ok(units)
    }

    pub(super) fn costs(&mut self, picked: &Picked) -> Result<Values, BlockError> {
        if !matches!(picked.table, Table::Operations | Table::LlmCalls) {
            return Ok(Values::Money(vec![Money::ZERO; picked.rows.len()]));
        }
        let costs = Costs::read(self, self.count(llm::MASK))?;
        let units = Units::of(self.units(|_| true)?);
        let plain = costs.plain(&units);
        let usd = |row: usize| match &plain[costs.form(row)] {
            Some(plain) => plain.usd(row),
            None => costs.usd(row, &|unit| units.count(unit, row)),
        };
        let wrong = || Broken("a cost cannot be counted").at(Some(llm::COST));
        let amounts: Option<Vec<Money>> = if picked.table == Table::LlmCalls {
            picked.rows.iter().map(usd).collect()
        } else {
            let ranges = self.llm_ranges()?;
            let sum = |row: usize| ranges.get(row).map(usd).sum::<Option<Money>>();
            picked.rows.iter().map(sum).collect()
        };
        amounts.map(Values::Money).ok_or_else(wrong)
    }

    pub(super) fn unpriced(&mut self, picked: &Picked) -> Result<Values, BlockError> {
        if !matches!(picked.table, Table::Operations | Table::LlmCalls) {
            return Ok(picked.numbers(|_, _| Block::NONE));
        }
        let costs = Costs::read(self, self.count(llm::MASK))?;
        if picked.table == Table::LlmCalls {
            return Ok(picked.numbers(|_, row| costs.is_unpriced(row).into()));
        }
        let ranges = self.llm_ranges()?;
        let count = |row| ranges.get(row).filter(|call| costs.is_unpriced(*call)).count() as u64;
        Ok(picked.numbers(|_, row| count(row)))
    }
}

/// Whether these are tokens that were read from a cache.
pub(super) fn is_cache_read(unit: Unit) -> bool {
    use Unit::{CacheRead, CacheReadAudio, CacheReadExplicit, CacheReadImage, CacheReadVideo};

    matches!(unit, CacheRead | CacheReadExplicit | CacheReadAudio | CacheReadImage | CacheReadVideo)
}
