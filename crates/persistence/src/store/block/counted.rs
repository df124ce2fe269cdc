//! Columns of a block that sums are counted from: how many errors, which usage, what a call adds to costs.

use taximeter_models::{Charge, CostOutcome, Money, TokenUsage, Unit};

use super::column::{ColumnId, ErrorColumns, component, llm, tool};
use super::costs::Costs;
use super::error::{BlockError, Broken};
use super::picked::{Picked, Units};
use super::reader::Reader;
use crate::store::columns::Values;
use crate::store::{Block, Table};

impl Reader<'_> {
    /// Those that are listed, and those that were only counted.
    pub(super) fn faults(
        &mut self,
        picked: &Picked,
        listed: ColumnId,
        unlisted: ColumnId,
    ) -> Result<Values, BlockError> {
        if picked.table != Table::Operations {
            return Ok(picked.numbers(|_, _| Block::NONE));
        }
        let listed = self.numbers_of(listed, self.meta.rows)?;
        let unlisted = self.numbers_of(unlisted, self.meta.rows)?;
        Ok(picked.numbers(|_, row| listed.get(row).saturating_add(unlisted.get(row))))
    }

    pub(super) fn timed_out(&mut self, picked: &Picked) -> Result<Values, BlockError> {
        if picked.table != Table::ToolCalls {
            return Ok(picked.numbers(|_, _| Block::NONE));
        }
        let mask = self.numbers_of(tool::MASK, self.count(tool::MASK))?;
        let is_late = |mask: u64| u64::from(mask & tool::bit::STATUS == TIMEOUT);
        Ok(Values::Numbers(mask.of(&picked.rows, is_late)))
    }

    pub(super) fn runs(&mut self, picked: &Picked) -> Result<Values, BlockError> {
        if picked.table != Table::Components {
            return Ok(picked.numbers(|_, _| Block::NONE));
        }
        let counts = self.numbers_of(component::COUNT, self.count(component::MASK))?;
        Ok(Values::Numbers(counts.of(&picked.rows, |count| count)))
    }

    pub(super) fn finish_reasons(&mut self, picked: &Picked) -> Result<Values, BlockError> {
        if picked.table != Table::LlmCalls {
            return Ok(picked.no_keys());
        }
        let mask = self.numbers_of(llm::MASK, self.count(llm::MASK))?;
        let texts = self.some_texts(llm::FINISH, &mask, llm::bit::FINISH)?;
        Ok(picked.own_keys(&texts))
    }

    /// The components in which errors arose.
    pub(super) fn error_components(&mut self, picked: &Picked) -> Result<Values, BlockError> {
        let columns = ErrorColumns::OPERATIONS;
        let mask = self.numbers_of(columns.mask(), self.count(columns.mask()))?;
        let texts = self.some_texts(columns.component(), &mask, ErrorColumns::COMPONENT_BIT)?;
        Ok(picked.own_keys(&texts))
    }

    pub(super) fn usage(&mut self, picked: &Picked) -> Result<Values, BlockError> {
        if picked.table != Table::LlmCalls {
            return Ok(Values::Usage { told: vec![false; picked.rows.len()], units: Vec::new() });
        }
        let mask = self.numbers_of(llm::MASK, self.count(llm::MASK))?;
        let told = picked.map(|_, row| mask.get(row) & llm::bit::USAGE != 0);
        let own = |(unit, numbers): (Unit, super::presence::SomeNumbers)| {
            (unit, numbers.of(&picked.rows, 0, |count| count))
        };
        Ok(Values::Usage { told, units: self.units(|_| true)?.into_iter().map(own).collect() })
    }

    pub(super) fn charges(&mut self, picked: &Picked) -> Result<Values, BlockError> {
        if picked.table != Table::LlmCalls {
            let none = Charge::of(&CostOutcome::NoUsage, None);
            return Ok(Values::Charges(vec![none; picked.rows.len()]));
        }
        let costs = Costs::read(self, self.count(llm::MASK))?;
        let mask = self.numbers_of(llm::MASK, self.count(llm::MASK))?;
        let units = Units::of(self.units(|_| true)?);
        let plain = costs.plain(&units);
        let charge = |row: usize| {
            if let Some(plain) = &plain[costs.form(row)] {
                return plain.charge(row);
            }
            let count = |unit| units.count(unit, row);
            let told = mask.get(row) & llm::bit::USAGE != 0;
            let usage = || TokenUsage::of_sum(Unit::ALL.iter().map(|unit| (*unit, count(*unit))));
            costs.charge(row, &count, || told.then(usage))
        };
        let charges: Option<Vec<Charge>> = picked.rows.iter().map(charge).collect();
        charges
            .map(Values::Charges)
            .ok_or_else(|| Broken("a cost cannot be counted").at(Some(llm::COST)))
    }

    pub(super) fn bills(&mut self, picked: &Picked) -> Result<Values, BlockError> {
        if picked.table != Table::LlmCalls {
            return Ok(Values::Bills(Vec::new()));
        }
        let costs = Costs::read(self, self.count(llm::MASK))?;
        let units = Units::of(self.units(|_| true)?);
        let plain = costs.plain(&units);
        let mut bills: Vec<(Unit, Vec<Money>)> = Vec::new();
        for (at, row) in picked.rows.iter().enumerate() {
            let mut put = |unit: Unit, amount: Money| {
                let place = bills.iter().position(|(known, _)| *known == unit);
                let place = place.unwrap_or_else(|| {
                    bills.push((unit, vec![Money::ZERO; picked.rows.len()]));
                    bills.len() - 1
                });
                bills[place].1[at] += amount;
            };
            let counted = match &plain[costs.form(row)] {
                Some(plain) => plain.bill(row, &mut put),
                None => costs.bill(row, &|unit| units.count(unit, row), &mut put),
            };
            counted.ok_or_else(|| Broken("a cost cannot be counted").at(Some(llm::COST)))?;
        }
        Ok(Values::Bills(bills))
    }
}

/// The status of a call that took too long.
const TIMEOUT: u64 = 2;
