//! What a price book must not say.

use std::collections::BTreeSet;

use taximeter_models::{Money, Unit};

use crate::index::{Index, Taken};
use crate::{BookError, Model, Provider, RateCard, UnitPrice};

/// The dearest token that is believed, in ticks: 0.05 of a unit of currency. The dearest one on sale is under
/// 0.001; above this a price is almost surely given by the token where the million was meant.
const DEAREST_TOKEN: i128 = Money::TICKS_PER_UNIT / 20;

/// Checks a whole book, and hands out its index.
pub(crate) fn book(providers: &[Provider], models: &[Model]) -> Result<Index, BookError> {
    for model in models {
        check_model(model)?;
    }
    let (index, duplicates) = Index::new(providers, models);
    if let Some(Taken { at, name }) = duplicates.providers.first() {
        let place = format!("provider {}", providers[*at].id);
        let why = format!("the name {name:?} is given twice; remove one of them");
        return Err(BookError::invalid(place, why));
    }
    if let Some(Taken { at, name }) = duplicates.models.first() {
        let why = format!(
            "another LLM of this provider has the name {name:?}; remove it from one of them"
        );
        return Err(BookError::invalid(place(&models[*at]), why));
    }
    Ok(index)
}

fn place(model: &Model) -> String {
    format!("{}/{}", model.provider, model.id)
}

fn check_model(model: &Model) -> Result<(), BookError> {
    if model.names().any(|name| name.trim().is_empty()) {
        return Err(BookError::invalid(place(model), "a name is empty; give it a name"));
    }
    if model.patterns.iter().any(|pattern| pattern.starts_with('*') || !pattern.contains('*')) {
        let why = "a pattern begins with a part of the name and has a `*` after it; correct it";
        return Err(BookError::invalid(place(model), why));
    }
    for (number, card) in model.cards.iter().enumerate() {
        let clash =
            model.cards[..number].iter().find(|o| o.same_conditions(card) && o.overlaps(card));
        let checked = match clash {
            Some(other) => Err(format!(
                "it overlaps with the card from {}; end one where the other begins, or give them other conditions",
                since(other)
            )),
            None => check_card(card),
        };
        checked.map_err(|why| {
            BookError::invalid(format!("{}, card from {}", place(model), since(card)), why)
        })?;
    }
    Ok(())
}

fn since(card: &RateCard) -> String {
    card.from.map_or_else(|| "the beginning".to_owned(), |from| from.to_rfc3339())
}

fn check_card(card: &RateCard) -> Result<(), String> {
    if card.from.zip(card.until).is_some_and(|(from, until)| from >= until) {
        return Err("it ends before it begins; `until` must be later than `from`".to_owned());
    }
    if card.rates.is_empty() {
        return Err("it has no prices; give it `rates`, or remove it".to_owned());
    }
    card.rates.iter().try_for_each(check_price)?;
    for pair in card.tiers.windows(2) {
        if pair[0].bound.number() >= pair[1].bound.number() {
            return Err("its tiers do not ascend; order them by their bounds".to_owned());
        }
    }
    for tier in &card.tiers {
        tier.rates.iter().try_for_each(check_price)?;
        if let Some(price) = tier.rates.iter().find(|price| card.rate(price.unit).is_none()) {
            return Err(format!("a tier has a price of {}, the card itself has none", price.unit));
        }
    }
    if card.multipliers.iter().any(|factor| factor.den == 0) {
        return Err("a multiplier has the denominator 0; a factor of one is 1/1".to_owned());
    }
    let mut units = BTreeSet::new();
    match card.minimums.iter().find(|minimum| !units.insert(minimum.unit)) {
        Some(twice) => Err(format!("it has two minimums of {}; remove one", twice.unit)),
        None => Ok(()),
    }
}

fn check_price(price: &UnitPrice) -> Result<(), String> {
    let UnitPrice { unit, amount, per, .. } = price;
    if *per == 0 {
        return Err(format!("the price of {unit} is for 0 of them; `per` is at least 1"));
    }
    if amount.is_negative() {
        return Err(format!(
            "the price of {unit} is {amount}; no price is below zero, leave out what has none"
        ));
    }
    let counts_tokens = unit.is_input_tokens()
        || unit.is_output_tokens()
        || matches!(unit, Unit::Reasoning | Unit::Citation);
    if counts_tokens && amount.ticks() / i128::from(*per) > DEAREST_TOKEN {
        return Err(format!(
            "the price of {unit} is {amount} for {per} of them, above 0.05 a token; a bare number is the price of \
             a million tokens"
        ));
    }
    Ok(())
}
