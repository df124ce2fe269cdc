//! A form of costs as it is read: what a row of it costs, out of its usage and its numbers.

use taximeter_models::{
    Charge, CostEstimate, CostLine, CostOutcome, Currency, Money, TokenUsage, Unit,
};

use super::bytes::unzigzag;
use super::cost::{Billed, PICO, amount, each};
use super::error::Broken;
use super::picked::Units;
use super::presence::SomeNumbers;

/// A form as it is read.
#[derive(Debug)]
pub(super) struct Recipe {
    form: CostOutcome,
    billed: Billed,
    /// The ticks of one of each line, where they are a whole number.
    each: Vec<Option<i128>>,
    /// How many numbers are written of each row of this form.
    pub(super) numbers: usize,
    /// Whether what a row of this form costs is not known, not known whole, or in another currency.
    pub(super) unpriced: bool,
}

impl Recipe {
    pub(super) fn read(json: &str) -> Result<Self, Broken> {
        let form: CostOutcome =
            serde_json::from_str(json).map_err(|_| Broken("the form of a cost is none"))?;
        let lines = form.estimate().map_or(&[][..], |cost| &cost.lines);
        let missing = match &form {
            CostOutcome::PartlyUnpriced { missing, .. } => missing.as_slice(),
            _ => &[],
        };
        let billed = Billed::of(lines, missing);
        let each = lines.iter().map(each).collect();
        let unpriced = form.known_usd().is_none();
        let mut recipe = Self { form, billed, each, numbers: 0, unpriced };
        let mut asked = 0;
        let mut count = || {
            asked += 1;
            Some(0)
        };
        recipe.fill(&|_| 0, 0, &mut count).ok_or(Broken("the form of a cost is none"))?;
        recipe.numbers = asked;
        Ok(recipe)
    }

    /// The cost of a row: from what it consumed, its input tokens, and the numbers that are written of it.
    pub(super) fn fill(
        &self,
        count: &impl Fn(Unit) -> u64,
        input: u64,
        numbers: &mut impl FnMut() -> Option<u64>,
    ) -> Option<CostOutcome> {
        let mut cost = self.form.clone();
        match &mut cost {
            CostOutcome::Priced(priced) => self.fill_estimate(priced, count, input, numbers)?,
            CostOutcome::PartlyUnpriced { priced, missing } => {
                self.fill_estimate(priced, count, input, numbers)?;
                for (unit, quantity) in missing {
                    *quantity =
                        self.number(*quantity, numbers, || self.billed.quantity(*unit, count))?;
                }
            }
            CostOutcome::ProviderReported(cost) | CostOutcome::Recorded(cost) => {
                for amount in [Some(&mut cost.total), cost.input.as_mut(), cost.output.as_mut()]
                    .into_iter()
                    .flatten()
                {
                    *amount = written(*amount, numbers)?;
                }
            }
            _ => {}
        }
        Some(cost)
    }

    fn fill_estimate(
        &self,
        cost: &mut CostEstimate,
        count: &impl Fn(Unit) -> u64,
        input: u64,
        numbers: &mut impl FnMut() -> Option<u64>,
    ) -> Option<()> {
        for line in &mut cost.lines {
            line.quantity =
                self.number(line.quantity, numbers, || self.billed.quantity(line.unit, count))?;
            line.amount = match line.amount {
                Money::ZERO => amount(line)?,
                placeholder => written(placeholder, numbers)?,
            };
        }
        if let Some(tier) = &mut cost.tier {
            tier.value = self.number(tier.value, numbers, || input)?;
        }
        Some(())
    }

    #[expect(clippy::unused_self, reason = "it reads as a part of the recipe")]
    fn number(
        &self,
        placeholder: u64,
        numbers: &mut impl FnMut() -> Option<u64>,
        derived: impl FnOnce() -> u64,
    ) -> Option<u64> {
        match placeholder {
            0 => Some(derived()),
            1 => numbers(),
            _ => None,
        }
    }

    /// What is known of the cost of a row in US dollars, without the rest of it.
    pub(super) fn usd(
        &self,
        count: &impl Fn(Unit) -> u64,
        numbers: &mut impl FnMut() -> Option<u64>,
    ) -> Option<Money> {
        let Some(cost) = self.form.estimate() else {
            let cost = self.fill(count, 0, numbers)?;
            let amount = cost.amount().filter(|(_, currency)| *currency == Currency::USD);
            return Some(amount.map_or(Money::ZERO, |(amount, _)| amount));
        };
        if cost.currency != Currency::USD {
            return Some(Money::ZERO);
        }
        let mut total = Money::ZERO;
        for (line, each) in cost.lines.iter().zip(&self.each) {
            total += self.amount(line, *each, count, numbers)?;
        }
        Some(total)
    }

    /// What a row adds to totals.
    pub(super) fn charge(
        &self,
        count: &impl Fn(Unit) -> u64,
        usage: impl FnOnce() -> Option<TokenUsage>,
        numbers: &mut impl FnMut() -> Option<u64>,
    ) -> Option<Charge> {
        match &self.form {
            CostOutcome::Priced(cost) if !cost.is_estimate() => {
                let (mut input, mut output) = (Money::ZERO, Money::ZERO);
                for (line, each) in cost.lines.iter().zip(&self.each) {
                    let amount = self.amount(line, *each, count, numbers)?;
                    *(if line.unit.is_output() { &mut output } else { &mut input }) += amount;
                }
                Some(Charge::exact(input, output, cost.currency))
            }
            _ => {
                let usage = usage();
                let input = usage.as_ref().map_or(0, TokenUsage::input_tokens);
                Some(Charge::of(&self.fill(count, input, numbers)?, usage.as_ref()))
            }
        }
    }

    /// What a row pays for each unit in US dollars.
    pub(super) fn bill(
        &self,
        count: &impl Fn(Unit) -> u64,
        numbers: &mut impl FnMut() -> Option<u64>,
        each: &mut impl FnMut(Unit, Money),
    ) -> Option<()> {
        let estimate = self.form.estimate().filter(|cost| cost.currency == Currency::USD);
        let lines = estimate.map_or(&[][..], |cost| &cost.lines);
        for (line, price) in lines.iter().zip(&self.each) {
            each(line.unit, self.amount(line, *price, count, numbers)?);
        }
        Some(())
    }

    fn amount(
        &self,
        line: &CostLine,
        each: Option<i128>,
        count: &impl Fn(Unit) -> u64,
        numbers: &mut impl FnMut() -> Option<u64>,
    ) -> Option<Money> {
        let quantity =
            self.number(line.quantity, numbers, || self.billed.quantity(line.unit, count))?;
        match (line.amount, each) {
            (Money::ZERO, Some(each)) => times(each, quantity).map(Money::from_ticks),
            (Money::ZERO, None) => amount(&CostLine { quantity, ..line.clone() }),
            (placeholder, _) => written(placeholder, numbers),
        }
    }
}

/// What does not overflow is not checked: that is told by the size of both, and takes half of the time.
#[inline]
fn times(each: i128, quantity: u64) -> Option<i128> {
    let is_small = each.unsigned_abs() < 1 << 95 && quantity < 1 << 32;
    if is_small { Some(each * i128::from(quantity)) } else { each.checked_mul(quantity.into()) }
}

/// What a row costs whose every line follows from how much of one unit it consumed, which is nearly every one: counted in a
/// third of the time.
#[derive(Debug)]
pub(super) struct Plain<'u> {
    lines: Vec<PlainLine<'u>>,
    currency: Currency,
}

#[derive(Debug)]
struct PlainLine<'u> {
    consumed: Option<&'u SomeNumbers>,
    /// The ticks of one of it.
    each: i128,
    unit: Unit,
    is_output: bool,
}

impl Recipe {
    /// None where something else is to be looked at.
    pub(super) fn plain<'u>(&self, units: &'u Units) -> Option<Plain<'u>> {
        let CostOutcome::Priced(cost) = &self.form else { return None };
        if cost.is_estimate() {
            return None;
        }
        let line = |(line, each): (&CostLine, &Option<i128>)| {
            let is_own = line.unit != Unit::Request && !self.billed.is_less(line.unit);
            let follows = line.quantity == 0 && line.amount == Money::ZERO;
            let each = (*each).filter(|_| is_own && follows)?;
            let consumed = units.numbers(line.unit);
            Some(PlainLine { consumed, each, unit: line.unit, is_output: line.unit.is_output() })
        };
        let lines = cost.lines.iter().zip(&self.each).map(line).collect::<Option<_>>()?;
        Some(Plain { lines, currency: cost.currency })
    }
}

impl Plain<'_> {
    /// What a row adds to totals; none out of range.
    #[inline]
    pub(super) fn charge(&self, row: usize) -> Option<Charge> {
        let (mut input, mut output) = (Money::ZERO, Money::ZERO);
        for line in &self.lines {
            *(if line.is_output { &mut output } else { &mut input }) += line.amount(row)?;
        }
        Some(Charge::exact(input, output, self.currency))
    }

    /// What a row pays for each unit in US dollars; none out of range.
    #[inline]
    pub(super) fn bill(&self, row: usize, each: &mut impl FnMut(Unit, Money)) -> Option<()> {
        if self.currency == Currency::USD {
            for line in &self.lines {
                each(line.unit, line.amount(row)?);
            }
        }
        Some(())
    }

    /// What is known of the cost of a row in US dollars; none out of range.
    #[inline]
    pub(super) fn usd(&self, row: usize) -> Option<Money> {
        if self.currency != Currency::USD {
            return Some(Money::ZERO);
        }
        self.lines.iter().map(|line| line.amount(row)).sum()
    }
}

impl PlainLine<'_> {
    #[inline]
    fn amount(&self, row: usize) -> Option<Money> {
        let consumed = self.consumed.and_then(|numbers| numbers.get(row)).unwrap_or_default();
        times(self.each, consumed).map(Money::from_ticks)
    }
}

fn written(placeholder: Money, numbers: &mut impl FnMut() -> Option<u64>) -> Option<Money> {
    match placeholder.ticks() {
        1 => Some(Money::from_ticks(i128::from(unzigzag(numbers()?)) * PICO)),
        2 => {
            let (low, high) = (numbers()?, numbers()?);
            let bits = u128::from(low) | u128::from(high) << 64;
            Some(Money::from_ticks(bits.cast_signed()))
        }
        _ => None,
    }
}
