//! From a rate card and a usage to the lines of a bill, in exact arithmetic.

use taximeter_models::{CostLine, Money, Name, TierHit, TokenUsage, Unit};

use crate::{RateCard, Selectors, Tier, TierMetric, TierScope, UnitPrice};

/// What a card makes of a usage.
#[derive(Debug)]
pub(crate) struct Bill {
    pub(crate) lines: Vec<CostLine>,
    /// Units and quantities without a price.
    pub(crate) missing: Vec<(Unit, u64)>,
    pub(crate) tier: Option<TierHit>,
}

/// The bill; none where a sum leaves the range of [`Money`].
pub(crate) fn bill(card: &RateCard, usage: &TokenUsage, selectors: &Selectors) -> Option<Bill> {
    let pricing = Pricing { card, tier: whole_request_tier(card, usage), selectors };
    let mut bill = Bill {
        lines: Vec::with_capacity(4),
        missing: Vec::new(),
        tier: tier_hit(card, usage, pricing.tier),
    };
    for (unit, quantity) in pricing.quantities(usage) {
        match pricing.price_of(unit) {
            Some(price) => pricing.add_lines(&mut bill.lines, unit, quantity, price)?,
            // What only decides on a tier costs nothing by itself.
            None if pricing.decides_on_a_tier(unit) => {}
            None => bill.missing.push((unit, quantity)),
        }
    }
    let mut amounts = bill.lines.iter().map(|line| line.amount.ticks());
    amounts.try_fold(0_i128, i128::checked_add)?;
    Some(bill)
}

/// What goes in and what comes out of a plain bill, without its lines; none where a price is missing, the card has more to
/// it than prices and tiers, or a sum leaves the range of [`Money`]. The amounts are those of [`bill`] to the tick.
pub(crate) fn input_and_output(
    card: &RateCard,
    usage: &TokenUsage,
    selectors: &Selectors,
) -> Option<(Money, Money)> {
    let marginal = card.tiers.iter().any(|tier| tier.scope == TierScope::Marginal);
    let factors = card.multipliers.iter().any(|factor| factor.when.all_hold_in(selectors));
    if marginal || factors || !card.minimums.is_empty() {
        return None;
    }
    let pricing = Pricing { card, tier: whole_request_tier(card, usage), selectors };
    let reasoning = pricing.own_price(Unit::Reasoning).map_or(0, |_| usage.get(Unit::Reasoning));
    let (mut input, mut output) = (0_i128, 0_i128);
    for (unit, quantity) in usage.iter() {
        let quantity = match unit {
            Unit::Reasoning => reasoning,
            Unit::Output => quantity.saturating_sub(reasoning),
            _ => quantity,
        };
        match pricing.price_of(unit) {
            _ if quantity == 0 => {}
            Some(price) => {
                let ticks = if unit.is_output() { &mut output } else { &mut input };
                *ticks = ticks.checked_add(price.each?.checked_mul(quantity.into())?)?;
            }
            None if pricing.decides_on_a_tier(unit) => {}
            None => return None,
        }
    }
    if usage.get(Unit::Request) == 0
        && let Some(price) = pricing.own_price(Unit::Request)
    {
        input = input.checked_add(price.each?)?;
    }
    input.checked_add(output)?;
    Some((Money::from_ticks(input), Money::from_ticks(output)))
}

/// The prices of a card by which text is billed alike whatever there is of it: of each unit the ticks for one, where that is a
/// whole number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flat {
    input: Option<i128>,
    cache_read: Option<i128>,
    output: Option<i128>,
}

impl Flat {
    /// None of a card that has more to it.
    pub(crate) fn of(card: &RateCard) -> Option<Self> {
        let selectors = &Selectors::new();
        let factors = card.multipliers.iter().any(|factor| factor.when.all_hold_in(selectors));
        let pricing = Pricing { card, tier: None, selectors };
        let by_request = pricing.own_price(Unit::Request).is_some();
        if factors || by_request || !card.tiers.is_empty() || !card.minimums.is_empty() {
            return None;
        }
        let each = |unit| pricing.price_of(unit).and_then(|price| price.each);
        let [input, cache_read, output] = [Unit::Input, Unit::CacheRead, Unit::Output].map(each);
        Some(Self { input, cache_read, output })
    }

    /// As [`input_and_output`], of text alone.
    pub(crate) fn input_and_output(&self, usage: &TokenUsage) -> Option<(Money, Money)> {
        let amount = |unit, each: Option<i128>| match usage.get(unit) {
            0 => Some(0),
            quantity => each?.checked_mul(quantity.into()),
        };
        if !usage.further().is_empty() {
            return None;
        }
        let cached = amount(Unit::CacheRead, self.cache_read)?;
        let input = amount(Unit::Input, self.input)?.checked_add(cached)?;
        let output = amount(Unit::Output, self.output)?;
        input.checked_add(output)?;
        Some((Money::from_ticks(input), Money::from_ticks(output)))
    }
}

/// The prices that hold for one call.
struct Pricing<'c> {
    card: &'c RateCard,
    tier: Option<&'c Tier>,
    selectors: &'c Selectors,
}

impl<'c> Pricing<'c> {
    /// What is billed, in the order of the units. Reasoning is a part of the output: it is billed with it, or,
    /// where it has a price of its own, in its stead.
    fn quantities(&self, usage: &TokenUsage) -> Vec<(Unit, u64)> {
        let own_reasoning = self.own_price(Unit::Reasoning).is_some();
        let reasoning = usage.get(Unit::Reasoning);
        let mut billed: Vec<(Unit, u64)> = usage
            .iter()
            .filter(|(unit, _)| *unit != Unit::Reasoning || own_reasoning)
            .map(|(unit, quantity)| match unit {
                Unit::Output if own_reasoning => (unit, quantity.saturating_sub(reasoning)),
                _ => (unit, quantity),
            })
            .filter(|(_, quantity)| *quantity > 0)
            .collect();
        // A call is a request, whether or not its usage says so.
        if usage.get(Unit::Request) == 0 && self.own_price(Unit::Request).is_some() {
            billed.push((Unit::Request, 1));
        }
        billed.sort_unstable();
        billed
    }

    fn decides_on_a_tier(&self, unit: Unit) -> bool {
        self.card.tiers.iter().any(|tier| tier.metric == TierMetric::Of(unit))
    }

    fn own_price(&self, unit: Unit) -> Option<&'c UnitPrice> {
        self.tier.and_then(|tier| tier.rate(unit)).or_else(|| self.card.rate(unit))
    }

    /// The price of the unit, or of the first of those that stand in for it.
    fn price_of(&self, unit: Unit) -> Option<&'c UnitPrice> {
        let own = self.own_price(unit);
        own.or_else(|| stand_ins(unit).iter().find_map(|other| self.own_price(*other)))
    }

    fn add_lines(
        &self,
        lines: &mut Vec<CostLine>,
        unit: Unit,
        quantity: u64,
        price: &'c UnitPrice,
    ) -> Option<()> {
        let multiplier = self.multiplier(unit)?;
        let quantity = self.at_least(unit, quantity);
        let mut add = |quantity, price: &UnitPrice| {
            lines.push(CostLine {
                unit,
                quantity,
                rate: price.amount,
                per: price.per,
                multiplier,
                billed_as: (price.unit != unit).then_some(price.unit),
                amount: amount(quantity, price, multiplier.unwrap_or((1, 1)))?,
            });
            Some(())
        };
        if self.card.tiers.iter().any(|tier| tier.scope == TierScope::Marginal) {
            self.bands(quantity, price).into_iter().try_for_each(|(part, price)| add(part, price))
        } else {
            add(quantity, price)
        }
    }

    fn at_least(&self, unit: Unit, quantity: u64) -> u64 {
        let minimum = self.card.minimums.iter().find(|minimum| minimum.unit == unit);
        minimum.map_or(quantity, |minimum| quantity.max(minimum.quantity))
    }

    /// The quantity by marginal tiers: what lies below the first bound, then what lies between the bounds.
    fn bands(&self, quantity: u64, price: &'c UnitPrice) -> Vec<(u64, &'c UnitPrice)> {
        let marginal = self.card.tiers.iter().filter(|tier| tier.scope == TierScope::Marginal);
        let mut bands = Vec::with_capacity(1);
        let (mut below, mut price) = (0, price);
        for tier in marginal {
            let Some(dearer) = tier.rate(price.unit) else { continue };
            let bound = tier.bound.number().clamp(below, quantity);
            bands.push((bound - below, price));
            (below, price) = (bound, dearer);
        }
        bands.push((quantity - below, price));
        bands.retain(|(quantity, _)| *quantity > 0);
        bands
    }

    /// The product of all factors that hold for the unit; the outer none where it cannot be counted.
    #[expect(
        clippy::option_option,
        reason = "the outer one is an overflow, the inner one no factor"
    )]
    fn multiplier(&self, unit: Unit) -> Option<Option<(u64, u64)>> {
        let mut product: Option<(u64, u64)> = None;
        for factor in &self.card.multipliers {
            let for_unit = factor.units.is_empty() || factor.units.contains(&unit);
            if for_unit && factor.when.all_hold_in(self.selectors) {
                let (num, den) = product.unwrap_or((1, 1));
                product = Some((num.checked_mul(factor.num)?, den.checked_mul(factor.den)?));
            }
        }
        Some(product)
    }
}

/// Whose price serves for a unit that has none of its own, in this order.
///
/// Tokens that went through a cache went in, so the price of input serves; a published price for writing to a
/// cache of any life comes before it. The usual cache lives five minutes, so an unsaid life is taken for that.
fn stand_ins(unit: Unit) -> &'static [Unit] {
    match unit {
        // Images and films go in as tokens like any other, where a provider does not tell them apart.
        Unit::CacheRead | Unit::InputImage | Unit::InputVideo => &[Unit::Input],
        Unit::CacheReadExplicit => &[Unit::CacheRead, Unit::Input],
        Unit::CacheWrite => &[Unit::CacheWrite5m, Unit::Input],
        Unit::CacheWrite5m | Unit::CacheWrite30m | Unit::CacheWrite1h | Unit::CacheWrite12h => {
            &[Unit::CacheWrite, Unit::Input]
        }
        // What makes nothing but images, sounds or films reports them as its output.
        Unit::Output => &[Unit::OutputImage, Unit::OutputAudio, Unit::OutputVideo],
        Unit::OutputImage | Unit::OutputVideo => &[Unit::Output],
        Unit::CacheReadAudio | Unit::CacheWriteAudio => &[Unit::InputAudio],
        Unit::CacheReadImage => &[Unit::InputImage, Unit::CacheRead, Unit::Input],
        Unit::CacheReadVideo => &[Unit::InputVideo, Unit::CacheRead, Unit::Input],
        // Some providers bill all audio alike.
        Unit::InputAudioMillisecond | Unit::OutputAudioMillisecond => &[Unit::AudioMillisecond],
        _ => &[],
    }
}

fn measure(metric: TierMetric, usage: &TokenUsage) -> u64 {
    match metric {
        TierMetric::PromptTokens => usage.input_tokens(),
        TierMetric::Of(unit) => usage.get(unit),
    }
}

/// The highest tier for the whole request that its size reaches.
fn whole_request_tier<'c>(card: &'c RateCard, usage: &TokenUsage) -> Option<&'c Tier> {
    let whole = card.tiers.iter().filter(|tier| tier.scope == TierScope::WholeRequest);
    whole
        .filter(|tier| tier.bound.reached_by(measure(tier.metric, usage)))
        .max_by_key(|tier| tier.bound.number())
}

fn tier_hit(card: &RateCard, usage: &TokenUsage, whole: Option<&Tier>) -> Option<TierHit> {
    let marginal = || {
        let mut tiers = card.tiers.iter().filter(|tier| tier.scope == TierScope::Marginal);
        tiers.rfind(|tier| tier.bound.reached_by(measure(tier.metric, usage)))
    };
    let tier = whole.or_else(marginal)?;
    Some(TierHit {
        metric: Name::from(tier.metric.as_str()),
        bound: tier.bound.number(),
        value: measure(tier.metric, usage),
    })
}

/// `quantity × rate × multiplier / per`, exact wherever a tick is fine enough; none out of range.
fn amount(quantity: u64, price: &UnitPrice, (num, den): (u64, u64)) -> Option<Money> {
    if num == den
        && let Some(each) = price.each
    {
        return each.checked_mul(quantity.into()).map(Money::from_ticks);
    }
    let mut above = [i128::from(quantity), price.amount.ticks(), i128::from(num)];
    let mut below = [Money::TICKS_PER_UNIT, i128::from(price.per), i128::from(den)];
    // What cancels is taken out first, so that only amounts out of range overflow.
    for numerator in &mut above {
        for denominator in &mut below {
            let common = gcd(*numerator, *denominator);
            *numerator /= common;
            *denominator /= common;
        }
    }
    let product = |factors: [i128; 3]| factors.into_iter().try_fold(1_i128, i128::checked_mul);
    Money::ratio(product(above)?, product(below)?).map(|(amount, _)| amount)
}

/// The greatest common divisor of two numbers that are not negative; never zero.
fn gcd(mut a: i128, mut b: i128) -> i128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}
