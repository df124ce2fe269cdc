//! What a call cost and why, or why that is not known.

use std::ops::AddAssign;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::charge::ChargeKind;
use crate::{AmountsByCurrency, Charge, Currency, Money, Name, TokenUsage, Unit};

/// The cost of one call, or the reason why there is none. A price that is not known is never zero.
///
/// ```
/// use taximeter_models::CostOutcome;
///
/// let unknown = CostOutcome::UnknownModel { nearest: vec!["gpt-4o".into()] };
/// assert_eq!(unknown.amount(), None);
/// assert!(!unknown.is_known());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "outcome", rename_all = "snake_case")]
#[non_exhaustive]
pub enum CostOutcome {
    /// Nobody has looked for a price yet.
    #[default]
    Pending,
    /// The price book has a price for all of it.
    Priced(Box<CostEstimate>),
    /// It costs nothing.
    Free {
        /// Why.
        reason: FreeReason,
    },
    /// The provider said what it cost.
    ProviderReported(ReportedCost),
    /// Another program computed the cost and wrote it down; its prices are not known here.
    Recorded(ReportedCost),
    /// There is no such provider in the price book, or none was named and the LLM's name fits several.
    UnknownProvider {
        /// The provider as it was given, if it was.
        provider: Option<Name>,
    },
    /// The provider has no LLM of that name in the price book.
    UnknownModel {
        /// The names that come nearest, the nearest first.
        nearest: Vec<Name>,
    },
    /// The LLM had no price at that moment.
    NoPriceAt {
        /// When the first known price begins.
        first: Option<DateTime<Utc>>,
    },
    /// Some of what was consumed has no price.
    PartlyUnpriced {
        /// The cost of the rest.
        priced: Box<CostEstimate>,
        /// What has no price: units and quantities.
        missing: Vec<(Unit, u64)>,
    },
    /// The usage cannot be: its parts do not add up.
    InvalidUsage {
        /// What is wrong with it.
        why: String,
    },
    /// The reply said nothing of what was consumed.
    NoUsage,
}

/// Why a call costs nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum FreeReason {
    /// The LLM runs on a machine of one's own.
    Local,
    /// The provider lists it as free.
    Listed,
}

/// An amount that somebody else computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReportedCost {
    /// The whole.
    pub total: Money,
    /// The part for what went in, if it was told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Money>,
    /// The part for what came out, if it was told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Money>,
    /// The currency of all three.
    #[serde(default)]
    pub currency: Currency,
}

/// A cost that explains itself: its lines, and how the price was found.
///
/// The total is not stored but is the sum of the lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CostEstimate {
    /// The currency in which the provider bills.
    pub currency: Currency,
    /// One line for each thing that has a price.
    pub lines: Vec<CostLine>,
    /// The rate card that was used.
    pub card: Arc<RateCardRef>,
    /// How the LLM's name led to the card.
    pub match_kind: MatchKind,
    /// The tier of the card that the size of the request selected, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<TierHit>,
    /// Whether the provider was inferred from the LLM's name.
    #[serde(default, skip_serializing_if = "is_false")]
    pub provider_inferred: bool,
    /// The region that was assumed because none was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region_assumed: Option<Name>,
    /// Selectors of the call that the card knows nothing of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context_ignored: Vec<Name>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

/// One line of a cost: `amount = quantity × rate × multiplier / per`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CostLine {
    /// What was consumed.
    pub unit: Unit,
    /// How much of it.
    pub quantity: u64,
    /// The price of `per` of it.
    pub rate: Money,
    /// How many the rate is for: 1,000,000 for most tokens.
    pub per: u64,
    /// A factor on top, as numerator and denominator: (11, 10) for a region that costs a tenth more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multiplier: Option<(u64, u64)>,
    /// The unit whose rate served, where this unit has none of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billed_as: Option<Unit>,
    /// The cost of this line.
    pub amount: Money,
}

/// Which rate card priced a call.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RateCardRef {
    /// The provider of the card.
    pub provider: Name,
    /// The LLM of the card.
    pub model: Name,
    /// When the card begins to be valid; none if that is not known.
    pub valid_from: Option<DateTime<Utc>>,
    /// How that date is known.
    pub basis: CardBasis,
    /// Where the price was read.
    pub source: Name,
    /// When it was read, as a date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_on: Option<chrono::NaiveDate>,
}

/// How the beginning of a rate card is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CardBasis {
    /// The provider says so.
    Documented,
    /// It is the date of a change to a public price table.
    SourceCommit,
    /// It is the day when the price was first seen.
    FirstObserved,
    /// It is not known.
    Unknown,
    /// The user set the price.
    Override,
}

/// How an LLM's name led to a rate card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum MatchKind {
    /// The name is the card's, but for upper and lower case.
    Exact,
    /// The name is another name of the same LLM.
    Alias,
    /// The name follows the provider's grammar of names.
    Grammar,
    /// The name is the card's with a date behind it.
    DateStripped,
    /// The name fits a pattern from its beginning to its end.
    Pattern,
    /// Another provider's price was used, because the caller asked for that.
    ProviderFallback,
}

/// The tier that the size of a request selected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TierHit {
    /// The metric, such as `prompt_tokens`.
    pub metric: Name,
    /// The bound of the tier.
    pub bound: u64,
    /// The value of the metric in this call.
    pub value: u64,
}

impl CostOutcome {
    /// The cost as far as it is known, with its currency; zero only for what is free.
    pub fn amount(&self) -> Option<(Money, Currency)> {
        match self {
            Self::Priced(cost) | Self::PartlyUnpriced { priced: cost, .. } => {
                Some((cost.total(), cost.currency))
            }
            Self::ProviderReported(cost) | Self::Recorded(cost) => {
                Some((cost.total, cost.currency))
            }
            Self::Free { .. } => Some((Money::ZERO, Currency::USD)),
            _ => None,
        }
    }

    /// The whole cost in US dollars; none where a part of it is not known, or it is in another currency.
    ///
    /// ```
    /// use taximeter_models::{CostOutcome, FreeReason, Money};
    ///
    /// assert_eq!(CostOutcome::Free { reason: FreeReason::Local }.known_usd(), Some(Money::ZERO));
    /// assert_eq!(CostOutcome::NoUsage.known_usd(), None);
    /// ```
    pub fn known_usd(&self) -> Option<Money> {
        let (amount, currency) = self.amount().filter(|_| self.is_known())?;
        (currency == Currency::USD).then_some(amount)
    }

    /// Whether the whole cost is known, exactly or as an estimate.
    pub fn is_known(&self) -> bool {
        matches!(
            self,
            Self::Priced(_) | Self::ProviderReported(_) | Self::Recorded(_) | Self::Free { .. }
        )
    }

    /// Whether it is not known what a call with that usage consumed: most of these failed.
    pub(crate) fn is_without_usage(&self, usage: Option<&TokenUsage>) -> bool {
        matches!(self, Self::NoUsage) || (matches!(self, Self::Pending) && usage.is_none())
    }

    /// Whether something was assumed to find the cost.
    pub fn is_estimated(&self) -> bool {
        match self {
            Self::Priced(cost) | Self::PartlyUnpriced { priced: cost, .. } => cost.is_estimate(),
            Self::Recorded(_) => true,
            _ => false,
        }
    }

    /// The explained cost, where the price book gave one.
    pub fn estimate(&self) -> Option<&CostEstimate> {
        match self {
            Self::Priced(cost) | Self::PartlyUnpriced { priced: cost, .. } => Some(cost),
            _ => None,
        }
    }

    /// The parts for what went in and for what came out, where they are told apart.
    pub fn input_and_output(&self) -> Option<(Money, Money)> {
        match self {
            Self::Priced(cost) | Self::PartlyUnpriced { priced: cost, .. } => {
                Some((cost.input(), cost.output()))
            }
            Self::ProviderReported(cost) | Self::Recorded(cost) => cost.input.zip(cost.output),
            Self::Free { .. } => Some((Money::ZERO, Money::ZERO)),
            _ => None,
        }
    }

    /// The word for this outcome, such as `unknown_model`.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Priced(_) => "priced",
            Self::Free { .. } => "free",
            Self::ProviderReported(_) => "provider_reported",
            Self::Recorded(_) => "recorded",
            Self::UnknownProvider { .. } => "unknown_provider",
            Self::UnknownModel { .. } => "unknown_model",
            Self::NoPriceAt { .. } => "no_price_at",
            Self::PartlyUnpriced { .. } => "partly_unpriced",
            Self::InvalidUsage { .. } => "invalid_usage",
            Self::NoUsage => "no_usage",
        }
    }
}

impl CostEstimate {
    /// The whole cost: the sum of the lines.
    pub fn total(&self) -> Money {
        self.lines.iter().map(|line| line.amount).sum()
    }

    /// The cost of all that came out.
    pub fn output(&self) -> Money {
        self.lines.iter().filter(|line| line.unit.is_output()).map(|line| line.amount).sum()
    }

    /// The cost of all else: what went in, and what is billed by the request.
    pub fn input(&self) -> Money {
        self.lines.iter().filter(|line| !line.unit.is_output()).map(|line| line.amount).sum()
    }

    /// Whether something was assumed: a region, a provider, or a selector that had to be ignored.
    pub fn is_estimate(&self) -> bool {
        self.provider_inferred
            || self.region_assumed.is_some()
            || !self.context_ignored.is_empty()
            || self.match_kind == MatchKind::ProviderFallback
    }
}

/// The money of many calls, with what is not known beside what is.
///
/// ```
/// use taximeter_models::{CostOutcome, CostTotals, FreeReason};
///
/// let mut totals = CostTotals::default();
/// totals.add(&CostOutcome::Free { reason: FreeReason::Local }, None);
/// totals.add(&CostOutcome::UnknownModel { nearest: vec![] }, None);
/// assert_eq!((totals.free_calls, totals.unpriced_calls), (1, 1));
/// assert!(!totals.is_complete());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CostTotals {
    /// The amounts, by currency.
    #[cfg_attr(
        feature = "schema",
        schemars(with = "std::collections::BTreeMap<Currency, crate::Amounts>")
    )]
    pub amounts: AmountsByCurrency,
    /// Calls whose cost follows from the price book or from the provider's word.
    pub exact_calls: u64,
    /// Calls in whose cost something was assumed.
    pub estimated_calls: u64,
    /// Calls that cost nothing.
    pub free_calls: u64,
    /// Calls that consumed something whose price is not known, or only in part.
    pub unpriced_calls: u64,
    /// Calls of which it is not known what they consumed: most of them failed.
    #[serde(default)]
    pub calls_without_usage: u64,
    /// The tokens of the unpriced calls.
    pub unpriced_tokens: u64,
}

impl CostTotals {
    /// Counts one call, and gives its whole cost in US dollars, where that is known.
    #[inline]
    pub fn add(&mut self, cost: &CostOutcome, usage: Option<&TokenUsage>) -> Option<Money> {
        // What a provider reports is added from where it stands: to copy it would cost as much as to add it.
        let (reported, is_estimate) = match cost {
            CostOutcome::ProviderReported(cost) => (cost, false),
            CostOutcome::Recorded(cost) => (cost, true),
            CostOutcome::Priced(cost) => (&cost.amount(), cost.is_estimate()),
            _ => return self.add_other(cost, usage),
        };
        let calls = if is_estimate { &mut self.estimated_calls } else { &mut self.exact_calls };
        *calls = calls.saturating_add(1);
        self.add_amount(reported, is_estimate);
        (reported.currency == Currency::USD).then_some(reported.total)
    }

    /// Apart from the rest, which stays short.
    #[inline(never)]
    fn add_other(&mut self, cost: &CostOutcome, usage: Option<&TokenUsage>) -> Option<Money> {
        let charge = Charge::of(cost, usage);
        self.add_charge(&charge);
        charge.known_usd()
    }

    /// Counts one call, of which is known what it adds.
    #[inline]
    pub fn add_charge(&mut self, charge: &Charge) {
        let calls = match charge.kind {
            ChargeKind::Exact => &mut self.exact_calls,
            ChargeKind::Estimated => &mut self.estimated_calls,
            ChargeKind::Free => &mut self.free_calls,
            ChargeKind::Unpriced { tokens } => {
                self.unpriced_tokens = self.unpriced_tokens.saturating_add(tokens);
                &mut self.unpriced_calls
            }
            ChargeKind::WithoutUsage => &mut self.calls_without_usage,
        };
        *calls = calls.saturating_add(1);
        if let Some(amount) = &charge.amount {
            self.add_amount(amount, charge.is_estimate);
        }
    }

    #[inline]
    fn add_amount(&mut self, amount: &ReportedCost, is_estimate: bool) {
        let sums = self.amounts.in_currency(amount.currency);
        if is_estimate {
            sums.estimated += amount.total;
        } else {
            sums.exact += amount.total;
        }
        if let (Some(input), Some(output)) = (amount.input, amount.output) {
            sums.input += input;
            sums.output += output;
        }
    }

    /// The amount in US dollars, exact and estimated together.
    pub fn usd(&self) -> Money {
        self.amounts.get(&Currency::USD).copied().unwrap_or_default().total()
    }

    /// Calls of every kind.
    pub fn calls(&self) -> u64 {
        [
            self.exact_calls,
            self.estimated_calls,
            self.free_calls,
            self.unpriced_calls,
            self.calls_without_usage,
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }

    /// Whether the cost of every call is known.
    pub fn is_complete(&self) -> bool {
        self.unpriced_calls == 0 && self.calls_without_usage == 0
    }
}

impl AddAssign<&Self> for CostTotals {
    fn add_assign(&mut self, other: &Self) {
        for (currency, more) in &other.amounts {
            *self.amounts.in_currency(*currency) += *more;
        }
        for (ours, theirs) in [
            (&mut self.exact_calls, other.exact_calls),
            (&mut self.estimated_calls, other.estimated_calls),
            (&mut self.free_calls, other.free_calls),
            (&mut self.unpriced_calls, other.unpriced_calls),
            (&mut self.calls_without_usage, other.calls_without_usage),
            (&mut self.unpriced_tokens, other.unpriced_tokens),
        ] {
            *ours = ours.saturating_add(theirs);
        }
    }
}
