//! Prices without the noise of floats.

use taximeter_models::{Money, Rounding, Unit};
use taximeter_pricing::form::{Amount, CardForm, PerForm, PriceForm, Rates};

use crate::Number;

/// More digits than this are noise.
const DIGITS: u32 = 12;

/// A price that somebody made has no more digits than this.
const SHORT: usize = 8;

/// Takes the noise from all prices of a card: `0.18000000000000002` was `0.18`.
pub(super) fn card(card: &mut CardForm) {
    rates(&mut card.rates);
    card.tiers.iter_mut().for_each(|tier| rates(&mut tier.rates));
}

fn rates(rates: &mut Rates) {
    for price in rates.values_mut().flatten() {
        let (PriceForm::Plain(amount) | PriceForm::Per(PerForm { amount, .. })) = price;
        clean(amount);
    }
}

fn clean(amount: &mut Amount) {
    let Ok(number) = amount.0.parse::<Number>() else { return };
    if number.significant_digits() <= DIGITS as usize {
        return;
    }
    let short = number.rounded(DIGITS);
    if let Some(short) = short.filter(|short| short.significant_digits() <= SHORT) {
        amount.0 = short.to_string();
        return;
    }
    // A fraction that has no end is given back its end: a twelfth is written as 1/12.
    for below in [3_u32, 6, 9, 12] {
        let above = number.times(Number::from(below));
        if let Some(short) = above.rounded(DIGITS)
            && short.significant_digits() <= 6
            && let Some((num, den)) = short.as_fraction()
            && let Some((exact, Rounding::Exact)) =
                Money::ratio(num.into(), i128::from(den) * i128::from(below))
        {
            amount.0 = exact.to_string();
            return;
        }
    }
    if let Some(short) = short {
        amount.0 = short.to_string();
    }
}

/// The dearest million tokens that were ever sold cost 600 dollars; what costs more than this is the price of fewer
/// tokens, of which one table has a whole provider.
const DEAREST_MILLION: u32 = 1_000;

/// Why a card is not believed, if it is not.
pub(super) fn mistaken(card: &CardForm) -> Option<String> {
    let all = card.rates.iter().chain(card.tiers.iter().flat_map(|tier| &tier.rates));
    all.filter(|(unit, _)| Unit::named(unit).is_some_and(counts_tokens)).find_map(|(unit, price)| {
        let Some(PriceForm::Plain(amount)) = price else { return None };
        let number = amount.0.parse::<Number>().ok()?;
        let dear = number > Number::from(DEAREST_MILLION);
        dear.then(|| format!("a million of {unit} costs {number}, above {DEAREST_MILLION}; a unit is mistaken"))
    })
}

fn counts_tokens(unit: Unit) -> bool {
    unit.is_input_tokens() || unit.is_output_tokens() || unit == Unit::Reasoning
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(written: &str, cleaned: &str) {
        let mut amount = Amount(written.to_owned());
        clean(&mut amount);
        assert_eq!(amount.0, cleaned, "{written}");
    }

    #[test]
    fn a_million_tokens_for_thousands_of_dollars_is_a_mistake() {
        let card = |unit: &str, price: &str| CardForm {
            rates: Rates::from([(unit.to_owned(), Some(price.into()))]),
            ..CardForm::default()
        };
        assert!(mistaken(&card("input", "10000")).is_some());
        assert!(mistaken(&card("output", "600")).is_none());
        assert!(mistaken(&card("image", "10000")).is_none());
    }

    #[test]
    fn noise_goes_and_digits_stay() {
        check("0.18000000000000002", "0.18");
        check("0.40000000000000003", "0.4");
        check("0.083333333333333333", "1/12");
        check("33.333333333333333", "100/3");
        check("8.99997", "8.99997");
        check("0.123456789012", "0.123456789012");
    }
}
