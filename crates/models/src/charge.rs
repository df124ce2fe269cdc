//! What one call adds to the money of many: found once, however many sums it counts in.

use crate::{CostEstimate, CostOutcome, Currency, Money, ReportedCost, TokenUsage};

/// What one call adds to the [totals](crate::CostTotals) of all in which it counts: found once, however many these are.
///
/// ```
/// use taximeter_models::{Charge, CostOutcome, CostTotals, FreeReason, Money};
///
/// let charge = Charge::of(&CostOutcome::Free { reason: FreeReason::Local }, None);
/// let (mut session, mut llm) = (CostTotals::default(), CostTotals::default());
/// session.add_charge(&charge);
/// llm.add_charge(&charge);
/// assert_eq!((session.free_calls, llm.free_calls), (1, 1));
/// assert_eq!(charge.known_usd(), Some(Money::ZERO));
/// assert_eq!(Charge::of(&CostOutcome::NoUsage, None).known_usd(), None); // which is not zero
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charge {
    pub(crate) kind: ChargeKind,
    /// What is known of the cost, if something is and it is not free.
    pub(crate) amount: Option<ReportedCost>,
    /// Whether something was assumed to find it.
    pub(crate) is_estimate: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChargeKind {
    Exact,
    Estimated,
    Free,
    Unpriced { tokens: u64 },
    WithoutUsage,
}

impl Charge {
    /// What a call with this cost and usage adds.
    pub fn of(cost: &CostOutcome, usage: Option<&TokenUsage>) -> Self {
        match cost {
            CostOutcome::Free { .. } => Self::nothing(ChargeKind::Free),
            CostOutcome::Priced(estimate) => Self::known(estimate.amount(), estimate.is_estimate()),
            CostOutcome::ProviderReported(cost) => Self::known(*cost, false),
            CostOutcome::Recorded(cost) => Self::known(*cost, true),
            _ if cost.is_without_usage(usage) => Self::nothing(ChargeKind::WithoutUsage),
            _ => {
                let kind =
                    ChargeKind::Unpriced { tokens: usage.map_or(0, TokenUsage::total_tokens) };
                match cost {
                    CostOutcome::PartlyUnpriced { priced, .. } => {
                        let (amount, is_estimate) = (Some(priced.amount()), priced.is_estimate());
                        Self { kind, amount, is_estimate }
                    }
                    _ => Self::nothing(kind),
                }
            }
        }
    }

    const fn nothing(kind: ChargeKind) -> Self {
        Self { kind, amount: None, is_estimate: false }
    }

    /// What a call adds whose whole cost follows from a price book, without anything that was assumed.
    ///
    /// ```
    /// use taximeter_models::{Charge, Currency, Money};
    ///
    /// let (input, output) = ("0.5".parse()?, "0.25".parse()?);
    /// assert_eq!(Charge::exact(input, output, Currency::USD).known_usd(), Some("0.75".parse()?));
    /// assert_eq!(Charge::exact(input, output, "EUR".parse().unwrap()).known_usd(), None); // of no dollar
    /// # Ok::<(), taximeter_models::ParseMoneyError>(())
    /// ```
    pub fn exact(input: Money, output: Money, currency: Currency) -> Self {
        let (total, input, output) = (input + output, Some(input), Some(output));
        Self::known(ReportedCost { total, input, output, currency }, false)
    }

    fn known(amount: ReportedCost, is_estimate: bool) -> Self {
        let kind = if is_estimate { ChargeKind::Estimated } else { ChargeKind::Exact };
        Self { kind, amount: Some(amount), is_estimate }
    }

    /// As [`CostOutcome::known_usd`]: the whole cost in US dollars, if it is known.
    #[inline]
    pub fn known_usd(&self) -> Option<Money> {
        match (self.kind, &self.amount) {
            (ChargeKind::Free, _) => Some(Money::ZERO),
            (ChargeKind::Exact | ChargeKind::Estimated, Some(amount)) => {
                (amount.currency == Currency::USD).then_some(amount.total)
            }
            _ => None,
        }
    }

    /// What is known of the cost in US dollars, whether or not that is all of it.
    #[inline]
    pub fn usd(&self) -> Money {
        let dollars = self.amount.filter(|amount| amount.currency == Currency::USD);
        dollars.map_or(Money::ZERO, |amount| amount.total)
    }

    /// Whether the whole cost is known, but in another currency than the US dollar.
    #[inline]
    pub fn is_in_another_currency(&self) -> bool {
        let is_known = matches!(self.kind, ChargeKind::Exact | ChargeKind::Estimated);
        is_known && self.amount.is_some_and(|amount| amount.currency != Currency::USD)
    }
}

impl CostEstimate {
    /// The sums of its lines.
    #[inline(never)]
    pub(crate) fn amount(&self) -> ReportedCost {
        let (mut input, mut output) = (Money::ZERO, Money::ZERO);
        for line in &self.lines {
            *(if line.unit.is_output() { &mut output } else { &mut input }) += line.amount;
        }
        let (total, currency) = (input + output, self.currency);
        ReportedCost { total, input: Some(input), output: Some(output), currency }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{CardBasis, CostLine, CostTotals, FreeReason, MatchKind, RateCardRef, Unit};

    fn reported(currency: &str, parts: Option<[i128; 2]>) -> ReportedCost {
        let [input, output] =
            [0, 1].map(|at| parts.map(|parts: [i128; 2]| Money::from_ticks(parts[at])));
        let total = Money::from_ticks(900);
        ReportedCost { total, input, output, currency: currency.parse().unwrap() }
    }

    fn estimate(match_kind: MatchKind) -> CostEstimate {
        let line = |unit, amount| CostLine {
            unit,
            quantity: 10,
            rate: Money::from_ticks(7),
            per: 1,
            multiplier: None,
            billed_as: None,
            amount: Money::from_ticks(amount),
        };
        let card = RateCardRef {
            provider: "openai".into(),
            model: "gpt-4o".into(),
            valid_from: None,
            basis: CardBasis::Unknown,
            source: "a page".into(),
            checked_on: None,
        };
        CostEstimate {
            currency: Currency::USD,
            lines: vec![line(Unit::Input, 30), line(Unit::Output, 40)],
            card: Arc::new(card),
            match_kind,
            tier: None,
            provider_inferred: false,
            region_assumed: None,
            context_ignored: vec![],
        }
    }

    /// Whether a cost is added as it stands or by its charge.
    #[test]
    fn a_charge_adds_what_its_cost_adds() {
        let usage = TokenUsage::new(10, 2);
        let missing = vec![(Unit::Reasoning, 3)];
        let costs = [
            CostOutcome::ProviderReported(reported("USD", None)),
            CostOutcome::ProviderReported(reported("EUR", Some([400, 500]))),
            CostOutcome::Recorded(reported("USD", Some([100, 800]))),
            CostOutcome::Priced(Box::new(estimate(MatchKind::Exact))),
            CostOutcome::Priced(Box::new(estimate(MatchKind::ProviderFallback))),
            CostOutcome::PartlyUnpriced { priced: Box::new(estimate(MatchKind::Exact)), missing },
            CostOutcome::Free { reason: FreeReason::Local },
            CostOutcome::UnknownModel { nearest: vec![] },
            CostOutcome::Pending,
            CostOutcome::NoUsage,
        ];
        let (mut by_cost, mut by_charge) = (CostTotals::default(), CostTotals::default());
        for cost in &costs {
            let charge = Charge::of(cost, Some(&usage));
            assert_eq!(by_cost.add(cost, Some(&usage)), cost.known_usd(), "{cost:?}");
            by_charge.add_charge(&charge);
            assert_eq!(by_cost, by_charge, "{cost:?}");
            assert_eq!(charge.known_usd(), cost.known_usd(), "{cost:?}");
            let known_elsewhere = cost.is_known() && cost.known_usd().is_none();
            assert_eq!(charge.is_in_another_currency(), known_elsewhere, "{cost:?}");
        }
        let counted = (by_cost.exact_calls, by_cost.estimated_calls, by_cost.unpriced_calls);
        assert_eq!((counted, by_cost.unpriced_tokens, by_cost.calls()), ((3, 2, 3), 36, 10));
        let usd = by_cost.amounts.get(&Currency::USD).copied().unwrap();
        let ticks = [usd.exact, usd.estimated, usd.input, usd.output].map(Money::ticks);
        assert_eq!(ticks, [900 + 70 + 70, 900 + 70, 100 + 90, 800 + 120]);
    }
}
