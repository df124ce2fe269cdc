//! The costs of LLM calls, read from their columns.

use std::sync::Arc;

use taximeter_models::{Charge, CostOutcome, Money, TokenUsage, Unit};

use super::column::llm;

use super::error::{BlockError, Broken};
use super::numbers::Numbers;
use super::picked::Units;
use super::reader::Reader;
use super::recipe::{Plain, Recipe};
use super::texts::{List, Texts};

/// The costs of all rows.
#[derive(Debug)]
pub(super) struct Costs {
    forms: Arc<Texts>,
    recipes: Vec<Recipe>,
    numbers: Arc<Numbers>,
    /// Where the numbers of each row begin; none where there are none.
    begins: Option<Vec<u32>>,
}

impl Costs {
    pub(super) fn read(reader: &mut Reader<'_>, rows: usize) -> Result<Self, BlockError> {
        let forms = reader.texts_of(llm::COST, rows)?;
        let recipes = forms.list().iter().map(Recipe::read).collect::<Result<Vec<_>, _>>();
        let recipes = recipes.map_err(|broken| broken.at(Some(llm::COST)))?;
        let numbers = reader.numbers(llm::COST_NUMBERS)?;
        let begins = begins(&forms, &recipes, numbers.len());
        let begins = begins.map_err(|broken| broken.at(Some(llm::COST_NUMBERS)))?;
        Ok(Self { forms, recipes, numbers, begins })
    }

    /// The different forms.
    pub(super) fn forms(&self) -> &List {
        self.forms.list()
    }

    /// How many numbers are written of a row.
    pub(super) fn numbers_of(&self, row: usize) -> usize {
        self.recipe(row).numbers
    }

    /// The cost of a row that consumed this; none where the numbers do not fit together.
    pub(super) fn cost(&self, row: usize, usage: Option<&TokenUsage>) -> Option<CostOutcome> {
        let count = |unit| usage.map_or(0, |usage| usage.get(unit));
        let input = usage.map_or(0, TokenUsage::input_tokens);
        self.recipe(row).fill(&count, input, &mut self.numbers(row))
    }

    /// What is known of the cost of a row in US dollars.
    pub(super) fn usd(&self, row: usize, count: &impl Fn(Unit) -> u64) -> Option<Money> {
        self.recipe(row).usd(count, &mut self.numbers(row))
    }

    /// What a row adds to totals; none where the numbers do not fit together.
    pub(super) fn charge(
        &self,
        row: usize,
        count: &impl Fn(Unit) -> u64,
        usage: impl FnOnce() -> Option<TokenUsage>,
    ) -> Option<Charge> {
        self.recipe(row).charge(count, usage, &mut self.numbers(row))
    }

    /// Tells what a row pays for each unit in US dollars; nothing where it has no price for each.
    pub(super) fn bill(
        &self,
        row: usize,
        count: &impl Fn(Unit) -> u64,
        each: &mut impl FnMut(Unit, Money),
    ) -> Option<()> {
        self.recipe(row).bill(count, &mut self.numbers(row), each)
    }

    /// The recipe of each form that is [`Plain`].
    pub(super) fn plain<'u>(&self, units: &'u Units) -> Vec<Option<Plain<'u>>> {
        self.recipes.iter().map(|recipe| recipe.plain(units)).collect()
    }

    /// The place of the form of a row.
    #[inline]
    pub(super) fn form(&self, row: usize) -> usize {
        self.forms.key(row)
    }

    /// Whether the cost of a row is not known, not known whole, or in another currency.
    pub(super) fn is_unpriced(&self, row: usize) -> bool {
        self.recipe(row).unpriced
    }

    fn recipe(&self, row: usize) -> &Recipe {
        &self.recipes[self.forms.key(row)]
    }

    /// The numbers that are written of a row, one after the other; there are as many as its form asks for.
    fn numbers(&self, row: usize) -> impl FnMut() -> Option<u64> {
        let begin = self.begins.as_ref().map_or(0, |begins| begins[row] as usize);
        let mut places = begin..self.numbers.len();
        move || places.next().map(|place| self.numbers.get(place))
    }
}

fn begins(forms: &Texts, recipes: &[Recipe], numbers: usize) -> Result<Option<Vec<u32>>, Broken> {
    let wrong = Broken("it has other numbers than its forms ask for");
    if recipes.iter().all(|recipe| recipe.numbers == 0) {
        return if numbers == 0 { Ok(None) } else { Err(wrong) };
    }
    let mut begins = Vec::with_capacity(forms.len());
    let mut end = 0_usize;
    for row in 0..forms.len() {
        begins.push(u32::try_from(end).map_err(|_| wrong)?);
        end = end.saturating_add(recipes[forms.key(row)].numbers);
    }
    if end == numbers { Ok(Some(begins)) } else { Err(wrong) }
}
