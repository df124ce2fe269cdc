//! Costs: what calls at one price have in common is written once, and amounts that follow from usage and rates are not
//! written at all.
//!
//! A form is the cost as JSON, with placeholders where calls differ: 0 is a value that follows from the usage of the call,
//! 1 and 2 are values that are written, as one number or as two.

use std::borrow::Cow;
use std::collections::HashMap;

use foldhash::fast::RandomState;
use taximeter_models::{
    CostEstimate, CostLine, CostOutcome, Currency, MatchKind, Money, Name, RateCardRef,
    ReportedCost, TokenUsage, Unit,
};

use super::bytes::zigzag;

/// An amount in millionths of a millionth of a unit of currency, in ticks.
pub(super) const PICO: i128 = Money::TICKS_PER_UNIT / 1_000_000_000_000;

/// Where a value of a form comes from.
mod given {
    pub(super) const DERIVED: u8 = 0;
    pub(super) const WRITTEN: u8 = 1;
    pub(super) const WRITTEN_WHOLE: u8 = 2;
}

/// The costs of a column, as they grow row by row.
#[derive(Debug, Default)]
pub(super) struct CostSheet<'r> {
    pub(super) forms: Vec<String>,
    estimates: HashMap<Form<'r>, u64, RandomState>,
    others: HashMap<Cow<'static, str>, u64, RandomState>,
    /// The form of each row.
    pub(super) rows: Vec<u64>,
    /// What is written of the rows, in their order.
    pub(super) numbers: Vec<u64>,
}

/// All that calls at one price have in common.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Form<'r> {
    currency: Currency,
    lines: Vec<LineForm>,
    card: &'r RateCardRef,
    match_kind: MatchKind,
    tier: Option<(&'r Name, u64, u8)>,
    provider_inferred: bool,
    region_assumed: Option<&'r Name>,
    context_ignored: &'r [Name],
    /// None where all of it is priced.
    missing: Option<Vec<(Unit, u8)>>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct LineForm {
    unit: Unit,
    rate: Money,
    per: u64,
    multiplier: Option<(u64, u64)>,
    billed_as: Option<Unit>,
    quantity: u8,
    amount: u8,
}

/// A cost that would not be read back as it is.
#[derive(Debug)]
pub(super) struct NotExact;

impl<'r> CostSheet<'r> {
    /// Adds the cost of a row.
    pub(super) fn push(
        &mut self,
        cost: &'r CostOutcome,
        usage: Option<&TokenUsage>,
    ) -> Result<(), NotExact> {
        let row = match cost {
            CostOutcome::Pending => self.other(Cow::Borrowed(r#"{"outcome":"pending"}"#), cost)?,
            CostOutcome::Priced(estimate) => self.estimate(estimate, None, usage)?,
            CostOutcome::PartlyUnpriced { priced, missing } => {
                self.estimate(priced, Some(missing), usage)?
            }
            CostOutcome::ProviderReported(cost) => {
                let form = CostOutcome::ProviderReported(self.reported(cost));
                self.other(Cow::Owned(json(&form)?), &form)?
            }
            CostOutcome::Recorded(cost) => {
                let form = CostOutcome::Recorded(self.reported(cost));
                self.other(Cow::Owned(json(&form)?), &form)?
            }
            other => self.other(Cow::Owned(json(other)?), other)?,
        };
        self.rows.push(row);
        Ok(())
    }

    /// The number of a form that another block has.
    pub(super) fn form_of_json(&mut self, json: &str) -> u64 {
        let known = self.forms.iter().position(|form| form == json);
        let number = known.unwrap_or(self.forms.len());
        if known.is_none() {
            self.forms.push(json.to_owned());
        }
        number as u64
    }

    fn other(&mut self, json: Cow<'static, str>, cost: &CostOutcome) -> Result<u64, NotExact> {
        if let Some(row) = self.others.get(&json) {
            return Ok(*row);
        }
        let row = self.add(&json, cost)?;
        self.others.insert(json, row);
        Ok(row)
    }

    fn add(&mut self, json: &str, form: &CostOutcome) -> Result<u64, NotExact> {
        if serde_json::from_str::<CostOutcome>(json).ok().as_ref() != Some(form) {
            return Err(NotExact);
        }
        self.forms.push(json.to_owned());
        Ok(self.forms.len() as u64 - 1)
    }

    fn reported(&mut self, cost: &ReportedCost) -> ReportedCost {
        ReportedCost {
            total: placeholder(self.money(cost.total)),
            input: cost.input.map(|input| placeholder(self.money(input))),
            output: cost.output.map(|output| placeholder(self.money(output))),
            currency: cost.currency,
        }
    }

    fn money(&mut self, amount: Money) -> u8 {
        let ticks = amount.ticks();
        if let Some(pico) = i64::try_from(ticks / PICO).ok().filter(|_| ticks % PICO == 0) {
            self.numbers.push(zigzag(pico));
            return given::WRITTEN;
        }
        #[expect(clippy::cast_possible_truncation, reason = "the two halves are meant")]
        self.numbers.extend([ticks.cast_unsigned() as u64, (ticks.cast_unsigned() >> 64) as u64]);
        given::WRITTEN_WHOLE
    }

    fn number(&mut self, number: u64, derived: u64) -> u8 {
        if number == derived {
            return given::DERIVED;
        }
        self.numbers.push(number);
        given::WRITTEN
    }

    fn estimate(
        &mut self,
        cost: &'r CostEstimate,
        missing: Option<&'r Vec<(Unit, u64)>>,
        usage: Option<&TokenUsage>,
    ) -> Result<u64, NotExact> {
        let billed = Billed::of(&cost.lines, missing.map_or(&[], Vec::as_slice));
        let count = |unit| usage.map_or(0, |usage| usage.get(unit));
        let lines = cost.lines.iter().map(|line| LineForm {
            unit: line.unit,
            rate: line.rate,
            per: line.per,
            multiplier: line.multiplier,
            billed_as: line.billed_as,
            quantity: self.number(line.quantity, billed.quantity(line.unit, &count)),
            amount: if amount(line) == Some(line.amount) {
                given::DERIVED
            } else {
                self.money(line.amount)
            },
        });
        let lines = lines.collect();
        let input = usage.map_or(0, TokenUsage::input_tokens);
        let tier = cost.tier.as_ref();
        let tier = tier.map(|tier| (&tier.metric, tier.bound, self.number(tier.value, input)));
        let missing = missing.map(|missing| {
            let form = |(unit, quantity): &(Unit, u64)| {
                (*unit, self.number(*quantity, billed.quantity(*unit, &count)))
            };
            missing.iter().map(form).collect()
        });
        let form = Form {
            currency: cost.currency,
            lines,
            card: &cost.card,
            match_kind: cost.match_kind,
            tier,
            provider_inferred: cost.provider_inferred,
            region_assumed: cost.region_assumed.as_ref(),
            context_ignored: &cost.context_ignored,
            missing,
        };
        if let Some(row) = self.estimates.get(&form) {
            return Ok(*row);
        }
        let outcome = form.outcome(cost);
        let row = self.add(&json(&outcome)?, &outcome)?;
        self.estimates.insert(form, row);
        Ok(row)
    }
}

impl Form<'_> {
    /// A cost with placeholders.
    fn outcome(&self, cost: &CostEstimate) -> CostOutcome {
        let mut priced = Box::new(cost.clone());
        for (line, form) in priced.lines.iter_mut().zip(&self.lines) {
            line.quantity = form.quantity.into();
            line.amount = placeholder(form.amount);
        }
        if let (Some(tier), Some((_, _, value))) = (&mut priced.tier, self.tier) {
            tier.value = value.into();
        }
        match &self.missing {
            None => CostOutcome::Priced(priced),
            Some(missing) => {
                let missing = missing.iter().map(|(unit, given)| (*unit, u64::from(*given)));
                CostOutcome::PartlyUnpriced { priced, missing: missing.collect() }
            }
        }
    }
}

fn json(cost: &CostOutcome) -> Result<String, NotExact> {
    serde_json::to_string(cost).map_err(|_| NotExact)
}

fn placeholder(given: u8) -> Money {
    Money::from_ticks(given.into())
}

/// Which quantities a bill tells apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Billed {
    /// Reasoning is billed by itself, so that it is not within the output.
    reasoning: bool,
}

impl Billed {
    pub(super) fn of(lines: &[CostLine], missing: &[(Unit, u64)]) -> Self {
        let mut units =
            lines.iter().map(|line| line.unit).chain(missing.iter().map(|(unit, _)| *unit));
        Self { reasoning: units.any(|unit| unit == Unit::Reasoning) }
    }

    /// Whether less of a unit is billed than was consumed, because a part of it is billed by itself.
    pub(super) fn is_less(self, unit: Unit) -> bool {
        unit == Unit::Output && self.reasoning
    }

    /// The quantity that follows from a usage.
    pub(super) fn quantity(self, unit: Unit, count: &impl Fn(Unit) -> u64) -> u64 {
        match unit {
            _ if self.is_less(unit) => count(unit).saturating_sub(count(Unit::Reasoning)),
            // A call is a request, whether or not its usage says so.
            Unit::Request => count(unit).max(1),
            _ => count(unit),
        }
    }
}

/// `quantity × rate × multiplier / per`, exact wherever a tick is fine enough; none out of range.
pub(super) fn amount(line: &CostLine) -> Option<Money> {
    let (num, den) = line.multiplier.unwrap_or((1, 1));
    if num == den
        && let Some(each) = each(line)
    {
        return each.checked_mul(line.quantity.into()).map(Money::from_ticks);
    }
    let mut above = [i128::from(line.quantity), line.rate.ticks(), i128::from(num)];
    let mut below = [Money::TICKS_PER_UNIT, i128::from(line.per), i128::from(den)];
    // What cancels is taken out first, so that only amounts out of range overflow.
    for numerator in &mut above {
        for denominator in &mut below {
            let common = gcd(*numerator, *denominator)?;
            *numerator /= common;
            *denominator /= common;
        }
    }
    let product = |factors: [i128; 3]| factors.into_iter().try_fold(1_i128, i128::checked_mul);
    Money::ratio(product(above)?, product(below)?).map(|(amount, _)| amount)
}

/// The ticks of one of it, where that is a whole number and nothing comes on top.
pub(super) fn each(line: &CostLine) -> Option<i128> {
    let (rate, per) = (line.rate.ticks(), i128::from(line.per));
    let plain = line.multiplier.is_none_or(|(num, den)| num == den);
    (plain && per > 0 && rate % per == 0).then(|| rate / per)
}

/// The greatest common divisor; none where it cannot be counted or is zero.
fn gcd(a: i128, b: i128) -> Option<i128> {
    let (mut a, mut b) = (a.checked_abs()?, b.checked_abs()?);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    (a != 0).then_some(a)
}
