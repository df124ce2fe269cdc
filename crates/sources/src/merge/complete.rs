//! What one table adds to another that says the same price.

use chrono::{DateTime, Utc};
use taximeter_models::Unit;
use taximeter_pricing::form::{CardForm, ModelForm};

use super::history::{ended, is_over};
use super::moment;

/// Adds to the cards of one table what only the other one knows: ways of serving, prices of more units, factors for
/// regions and speeds, and prices that are announced for a later day.
pub(super) fn with(own: &mut Vec<CardForm>, other: &[CardForm], at: DateTime<Utc>) {
    let multipliers =
        other.iter().map(|card| card.multipliers.clone()).find(|factors| !factors.is_empty());
    let ways: Vec<_> = own.iter().map(|card| card.when.clone()).collect();
    for card in other.iter().filter(|card| !is_over(card, at)) {
        if let Some(later) = card.from.as_deref().and_then(moment).filter(|from| *from > at) {
            announce(own, card, later);
        } else if !ways.contains(&card.when) {
            // A factor of one's own says it already.
            let said =
                |known: &CardForm| known.multipliers.iter().any(|factor| factor.when == card.when);
            if !own.iter().any(said) {
                own.push(card.clone());
            }
        } else if card.schedule.is_none() {
            add_units(own, card);
        }
    }
    mend(own, other, at);
    if let Some(mut multipliers) =
        multipliers.filter(|_| own.iter().all(|card| card.multipliers.is_empty()))
    {
        // What has a card of its own needs no factor on top.
        multipliers.retain(|factor| !own.iter().any(|card| card.when == factor.when));
        for card in own {
            card.multipliers.clone_from(&multipliers);
        }
    }
}

/// Takes the price of writing to a cache for an hour from LLMs whose makers sell no such thing: model-prices gives
/// those of OpenAI the multiple that Anthropic publishes for its own.
pub(super) fn drop_hours(model: &ModelForm, card: &mut CardForm) {
    if *model.provider == *"openai" {
        let hour = Unit::CacheWrite1h.as_str();
        card.rates.remove(hour);
        card.tiers.iter_mut().for_each(|tier| _ = tier.rates.remove(hour));
    }
}

/// Prices of a way of serving that one table only has from the standard way, and that the other one gives apart: a
/// table that lists half the price for a batch, but forgot to halve what writing to a cache costs, is so mended.
pub(super) fn mend(own: &mut [CardForm], other: &[CardForm], at: DateTime<Utc>) {
    let holds = |card: &CardForm| {
        let begun = card.from.as_deref().and_then(moment).is_none_or(|from| from <= at);
        begun && !is_over(card, at) && card.schedule.is_none()
    };
    let standard = |cards: &[CardForm]| {
        cards.iter().find(|card| holds(card) && card.when.is_empty()).map(|card| card.rates.clone())
    };
    let (Some(usual), Some(usual_of_other)) = (standard(own), standard(other)) else { return };
    for card in own.iter_mut().filter(|card| !card.when.is_empty()) {
        let Some(told) = other.iter().find(|told| holds(told) && told.when == card.when) else {
            continue;
        };
        for (unit, price) in &mut card.rates {
            let inherited = usual.get(unit) == Some(&*price);
            let own_price =
                told.rates.get(unit).filter(|price| usual_of_other.get(unit) != Some(*price));
            if let Some(apart) = own_price.filter(|_| inherited) {
                price.clone_from(apart);
            }
        }
    }
}

/// A price that is announced ends those that hold until then.
fn announce(own: &mut Vec<CardForm>, card: &CardForm, from: DateTime<Utc>) {
    if own.iter().any(|known| known.when == card.when && known.from == card.from) {
        return;
    }
    for known in own.iter_mut().filter(|known| known.when == card.when) {
        if let Some(until) = ended(known, from) {
            *known = until;
        }
    }
    own.push(card.clone());
}

/// Prices of units that the card of the same way of serving has none for. Where a tier gives the unit another price
/// the card's own tiers would not know of it, so those units stay out.
fn add_units(own: &mut [CardForm], card: &CardForm) {
    let same = own.iter_mut().filter(|known| known.when == card.when && known.schedule.is_none());
    for known in same.filter(|known| known.until.is_none()) {
        for (unit, price) in &card.rates {
            let in_tiers =
                |card: &CardForm| card.tiers.iter().any(|tier| tier.rates.contains_key(unit));
            if !in_tiers(card) {
                known.rates.entry(unit.clone()).or_insert_with(|| price.clone());
            }
        }
    }
}
