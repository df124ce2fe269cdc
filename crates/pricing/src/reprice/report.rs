//! What pricing a history again changes, and where.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{AddAssign, Sub};

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use taximeter_models::{CostOutcome, Currency, LlmCall, Money, Name, TokenUsage, Unit};

use super::{Repriced, Spread, Tokenizer, scale};

/// An amount that lies between two; one amount where both are the same.
///
/// ```
/// use taximeter_models::Money;
/// use taximeter_pricing::reprice::Span;
///
/// let span = Span { low: "1.5".parse()?, high: "2".parse()? };
/// assert_eq!(span.to_string(), "1.5 to 2");
/// assert_eq!(span.exact(), None); // there is no one amount to give
/// assert_eq!(Span::from(Money::ZERO).exact(), Some(Money::ZERO));
/// # Ok::<(), taximeter_models::ParseMoneyError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
pub struct Span {
    /// The least.
    pub low: Money,
    /// The most.
    pub high: Money,
}

impl Span {
    /// The amount, if it is one.
    pub fn exact(self) -> Option<Money> {
        (self.low == self.high).then_some(self.low)
    }
}

impl From<Money> for Span {
    fn from(amount: Money) -> Self {
        Self { low: amount, high: amount }
    }
}

impl AddAssign for Span {
    fn add_assign(&mut self, other: Self) {
        self.low += other.low;
        self.high += other.high;
    }
}

impl Sub<Money> for Span {
    type Output = Self;

    fn sub(self, amount: Money) -> Self {
        Self { low: self.low - amount, high: self.high - amount }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.exact() {
            Some(amount) => amount.fmt(f),
            None => write!(f, "{} to {}", self.low, self.high),
        }
    }
}

/// The money of some calls in one currency, before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Change {
    /// What they cost as recorded, as far as that is known.
    pub before: Money,
    /// The calls of which something is known before.
    pub calls_before: u64,
    /// What they cost priced again, as far as that is known.
    pub after: Span,
    /// The calls of which something is known after.
    pub calls_after: u64,
    /// How much more those calls cost that can be compared.
    difference: Span,
    /// The calls that can be compared.
    pub compared: u64,
}

impl Change {
    /// How much more the calls cost now that can be compared: those whose cost is known before and after, or lacks the
    /// same units before and after, in one currency. None where there is no such call: between currencies, and
    /// between a price and none, there is no difference.
    pub fn difference(&self) -> Option<Span> {
        (self.compared > 0).then_some(self.difference)
    }
}

/// Some calls, with their money by currency. What has no known price is in no amount.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Group {
    /// How many calls.
    pub calls: u64,
    /// Their money.
    pub amounts: BTreeMap<Currency, Change>,
    /// The calls whose amount before is none, or not the whole; those without a usage are not among them.
    pub unpriced_before: u64,
    /// The calls whose amount after is none, or not the whole; those without a usage are not among them.
    pub unpriced_after: u64,
}

impl Group {
    /// The money in US dollars.
    pub fn usd(&self) -> Change {
        self.amounts.get(&Currency::USD).copied().unwrap_or_default()
    }

    /// Counts a call, or what it has in one class of token.
    fn add(&mut self, parts: &[Part], compared: bool) {
        self.calls += 1;
        let mut counted = Vec::with_capacity(1);
        for part in parts {
            let change = self.amounts.entry(part.currency).or_default();
            change.before += part.before.unwrap_or_default();
            change.after += part.after.unwrap_or_default();
            if compared {
                let (before, after) = (part.before.unwrap_or_default(), part.after);
                change.difference += after.unwrap_or_default() - before;
            }
            if !counted.contains(&part.currency) {
                counted.push(part.currency);
                let same = || parts.iter().filter(|other| other.currency == part.currency);
                change.calls_before += u64::from(same().any(|part| part.before.is_some()));
                change.calls_after += u64::from(same().any(|part| part.after.is_some()));
                change.compared += u64::from(compared);
            }
        }
    }
}

/// What became of a call that was priced again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// It costs the same.
    Unchanged,
    /// It costs something else.
    Changed,
    /// It had no price, or not for all of it, and has one now.
    NewlyPriced,
    /// It had a price, and has none now, or not for all of it.
    NoLongerPriced,
    /// It has no price, or not for all of it, before and after.
    Unpriced,
    /// It told no usage, so that no book can price it.
    WithoutUsage,
    /// Its cost is what the provider reported or another program recorded, and stays.
    LeftAlone,
}

impl Kind {
    /// Every kind, in the order in which reports list them.
    pub const ALL: [Self; 7] = [
        Self::Unchanged,
        Self::Changed,
        Self::NewlyPriced,
        Self::NoLongerPriced,
        Self::Unpriced,
        Self::WithoutUsage,
        Self::LeftAlone,
    ];

    /// The word for it, such as `newly_priced`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::Changed => "changed",
            Self::NewlyPriced => "newly_priced",
            Self::NoLongerPriced => "no_longer_priced",
            Self::Unpriced => "unpriced",
            Self::WithoutUsage => "without_usage",
            Self::LeftAlone => "left_alone",
        }
    }

    pub(super) fn of(call: &LlmCall, low: &CostOutcome, high: &CostOutcome) -> Self {
        let before = &call.cost;
        match (before.is_known(), low.is_known() && high.is_known()) {
            (true, true) if before.amount() == low.amount() && low.amount() == high.amount() => {
                Self::Unchanged
            }
            (true, true) => Self::Changed,
            (false, true) => Self::NewlyPriced,
            (true, false) => Self::NoLongerPriced,
            (false, false) if call.usage.is_none() => Self::WithoutUsage,
            (false, false) => Self::Unpriced,
        }
    }
}

/// What pricing calls again would change: the whole, and by what it can be told apart.
///
/// The groups of each table add up to the total, to the last tick: before, after and difference.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Repricing {
    /// All calls.
    pub total: Group,
    /// By what became of them.
    pub by_kind: BTreeMap<Kind, Group>,
    /// By provider and LLM, as recorded.
    pub by_model: BTreeMap<(Name, Name), Group>,
    /// By day, in UTC.
    pub by_day: BTreeMap<NaiveDate, Group>,
    /// By class of token; under none stands what was reported or recorded as a whole.
    pub by_class: BTreeMap<Option<Unit>, Group>,
    /// Units that were billed at the price of another, as (unit, other), with the calls in which they were.
    pub stand_ins: BTreeMap<(Unit, Unit), u64>,
    /// Units without a price, with the calls in which they were.
    pub missing: BTreeMap<Unit, u64>,
    /// Why calls that told their usage have no price at all after, as [`CostOutcome::as_str`] says it, with the calls.
    pub reasons: BTreeMap<&'static str, u64>,
    /// From which tokenizer to which tokens had to be estimated, by how much, with the calls.
    pub tokens: BTreeMap<(Tokenizer, Tokenizer), (Spread, u64)>,
    /// Calls with tokens of sound or pictures in an estimate; those tokens were taken as they are.
    pub other_modalities: u64,
}

/// One class of token of one call; an amount that is not known is none.
#[derive(Debug, Clone, Copy)]
struct Part {
    unit: Option<Unit>,
    currency: Currency,
    before: Option<Money>,
    after: Option<Span>,
}

impl Repricing {
    /// How many calls became that.
    pub fn calls(&self, kind: Kind) -> u64 {
        self.by_kind.get(&kind).map_or(0, |group| group.calls)
    }

    /// Whether every call that told its usage has a known cost after.
    pub fn is_complete(&self) -> bool {
        self.calls(Kind::NoLongerPriced) == 0 && self.calls(Kind::Unpriced) == 0
    }

    pub(super) fn add(&mut self, call: &LlmCall, at: DateTime<Utc>, repriced: &Repriced) {
        let (parts, compared) = (parts(&call.cost, repriced), can_be_compared(call, repriced));
        let provider = call.provider.clone().unwrap_or_else(|| Name::from("unknown"));
        let model = (provider, Name::from(call.model()));
        let day = call.started_at.unwrap_or(at).date_naive();
        let told = call.usage.is_some();
        let open_before = told && !call.cost.is_known();
        let open_after = told && !(repriced.low.is_known() && repriced.high.is_known());
        for group in [
            &mut self.total,
            self.by_kind.entry(repriced.kind).or_default(),
            self.by_model.entry(model).or_default(),
            self.by_day.entry(day).or_default(),
        ] {
            group.add(&parts, compared);
            group.unpriced_before += u64::from(open_before);
            group.unpriced_after += u64::from(open_after);
        }
        for class in parts.chunk_by(|one, other| one.unit == other.unit) {
            let group = self.by_class.entry(class[0].unit).or_default();
            group.add(class, compared);
            let none = |known: fn(&Part) -> bool| !class.iter().any(known);
            group.unpriced_before += u64::from(open_before && none(|part| part.before.is_some()));
            group.unpriced_after += u64::from(open_after && none(|part| part.after.is_some()));
        }
        if repriced.kind != Kind::LeftAlone {
            self.note(call, repriced);
        }
    }

    /// Notes what had to be assumed.
    fn note(&mut self, call: &LlmCall, repriced: &Repriced) {
        let mut seen = Vec::new();
        for line in repriced.low.estimate().map_or(&[][..], |cost| &cost.lines) {
            let Some(other) = line.billed_as.filter(|_| !seen.contains(&line.unit)) else {
                continue;
            };
            seen.push(line.unit);
            *self.stand_ins.entry((line.unit, other)).or_default() += 1;
        }
        if let CostOutcome::PartlyUnpriced { missing, .. } = &repriced.low {
            for (unit, _) in missing {
                *self.missing.entry(*unit).or_default() += 1;
            }
        }
        if call.usage.is_some() && repriced.low.amount().is_none() {
            *self.reasons.entry(repriced.low.as_str()).or_default() += 1;
        }
        if let Some((from, to, spread)) = repriced.tokens {
            self.tokens.entry((from, to)).or_insert((spread, 0)).1 += 1;
            let mut units = call.usage.iter().flat_map(TokenUsage::iter);
            let other = units.any(|(unit, _)| scale::is_other_modality(unit));
            self.other_modalities += u64::from(other);
        }
    }
}

/// Whether a difference says something: both costs are whole, or lack the same, in one currency.
fn can_be_compared(call: &LlmCall, repriced: &Repriced) -> bool {
    let lacks = |cost: &CostOutcome| match cost {
        CostOutcome::PartlyUnpriced { missing, .. } => {
            Some(missing.iter().map(|(unit, _)| *unit).collect())
        }
        known => known.is_known().then(Vec::new),
    };
    let (before, low, high) = (lacks(&call.cost), lacks(&repriced.low), lacks(&repriced.high));
    let currencies = currency(&call.cost).zip(currency(&repriced.low));
    before.is_some()
        && before == low
        && low == high
        && currencies.is_none_or(|(before, after)| before == after)
}

/// The currency of a cost; what is free is free in any.
fn currency(cost: &CostOutcome) -> Option<Currency> {
    let free = matches!(cost, CostOutcome::Free { .. });
    cost.amount().filter(|_| !free).map(|(_, currency)| currency)
}

/// The amounts of a cost by class of token.
fn lines(cost: &CostOutcome) -> Vec<(Option<Unit>, Money)> {
    match cost {
        CostOutcome::ProviderReported(whole) | CostOutcome::Recorded(whole) => {
            vec![(None, whole.total)]
        }
        other => other.estimate().map_or_else(Vec::new, |cost| {
            cost.lines.iter().map(|line| (Some(line.unit), line.amount)).collect()
        }),
    }
}

/// The amounts before and after by class of token, those of one class side by side.
fn parts(before: &CostOutcome, repriced: &Repriced) -> Vec<Part> {
    let mut parts = BTreeMap::<(Option<Unit>, Currency), Part>::new();
    let mut add = |cost: &CostOutcome, set: fn(&mut Part, Money)| {
        let Some(currency) = currency(cost) else { return };
        for (unit, amount) in lines(cost) {
            let empty = Part { unit, currency, before: None, after: None };
            set(parts.entry((unit, currency)).or_insert(empty), amount);
        }
    };
    add(before, |part, amount| *part.before.get_or_insert_default() += amount);
    add(&repriced.low, |part, amount| part.after.get_or_insert_default().low += amount);
    add(&repriced.high, |part, amount| part.after.get_or_insert_default().high += amount);
    for part in parts.values_mut() {
        if has_zero(before, part) {
            part.before.get_or_insert_default();
        }
        if has_zero(&repriced.low, part) && has_zero(&repriced.high, part) {
            part.after.get_or_insert_default();
        }
    }
    parts.into_values().collect()
}

/// Whether a class that is not among the lines of a cost is known to cost nothing.
fn has_zero(cost: &CostOutcome, part: &Part) -> bool {
    let explained = matches!(cost, CostOutcome::Priced(_) | CostOutcome::Free { .. });
    explained && part.unit.is_some() && currency(cost).is_none_or(|own| own == part.currency)
}
