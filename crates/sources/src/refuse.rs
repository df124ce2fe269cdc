//! Prices that no table may bring into the book.

use rust_decimal::Decimal;
use taximeter_models::Unit;
use taximeter_pricing::form::usual_per;

use crate::draft::Draft;
use crate::{NoteKind, Number};

/// More digits than this are the noise of a float, or a fraction without an end.
pub(crate) const DIGITS: usize = 12;

/// The dearest one of anything that is no token, such as an image: the dearest on sale is under a dollar.
const DEAREST_THING: i64 = 100;

/// Whether the price of `per` of a unit can be right. One that cannot is noted as refused; one whose digits tell of
/// a float is noted as doubted, and kept.
pub(crate) fn is_believed(
    unit: Unit,
    number: Number,
    per: u64,
    place: &str,
    draft: &mut Draft,
) -> bool {
    if let Some(why) = refusal(unit, number, per) {
        draft.note(NoteKind::Refused, place, why);
        return false;
    }
    if number.significant_digits() > DIGITS {
        let why = format!(
            "the price of {unit} is {number}: its digits are the noise of a float, or have no end"
        );
        draft.note(NoteKind::Doubted, place, why);
    }
    true
}

/// Why the price of `per` of a unit cannot be right; none where it can be.
pub(crate) fn refusal(unit: Unit, number: Number, per: u64) -> Option<String> {
    let is_token = usual_per(unit) == 1_000_000;
    let dearest = if is_token { Decimal::new(5, 2) } else { Decimal::from(DEAREST_THING) };
    let why = if number.is_negative() {
        "below zero".to_owned()
    } else if stands_for_unknown(number) {
        "which stands for a price that is not known".to_owned()
    } else if number.0 > dearest * Decimal::from(per) {
        let one = if is_token { " a token" } else { " for one" };
        format!("above {dearest}{one}; a unit is mistaken")
    } else {
        return None;
    };
    let of = if per == 1 { String::new() } else { format!("{per} of ") };
    Some(format!("the price of {of}{unit} is {number}, {why}"))
}

/// Whether it is 999, 9999, 99999 and so on: such a number is put where none is known, so that nobody buys.
fn stands_for_unknown(number: Number) -> bool {
    let digits = number.to_string();
    digits.len() >= 3 && digits.bytes().all(|digit| digit == b'9')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(unit: Unit, number: &str, per: u64, why: Option<&str>) {
        let refused = refusal(unit, number.parse().unwrap(), per);
        assert!(
            refused.is_some() == why.is_some()
                && why.is_none_or(|why| refused.as_deref().unwrap().contains(why)),
            "{number} for {per} of {unit}: {refused:?}"
        );
    }

    #[test]
    fn what_cannot_be_a_price_is_refused() {
        check(Unit::Input, "-1", 1, Some("below zero"));
        check(Unit::Request, "-0.5", 1_000, Some("below zero"));
        check(Unit::Image, "999999", 1, Some("not known"));
        check(Unit::Input, "999", 1_000_000, Some("not known"));
        check(Unit::Output, "0.135", 1, Some("above 0.05 a token"));
        check(Unit::InputCharacter, "180", 1, Some("above 0.05 a token"));
        check(Unit::Output, "50001", 1_000_000, Some("above 0.05 a token"));
        check(Unit::WebSearch, "101", 1, Some("above 100 for one"));
    }

    #[test]
    fn what_is_dear_or_free_is_no_mistake() {
        check(Unit::Output, "600", 1_000_000, None);
        check(Unit::Input, "9.99999", 1_000_000, None);
        check(Unit::Input, "99", 1_000_000, None);
        check(Unit::Input, "0", 1, None);
        check(Unit::Request, "14", 1_000, None);
        check(Unit::Image, "0.6", 1, None);
    }
}
