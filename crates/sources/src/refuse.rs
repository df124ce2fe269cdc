//! Prices that no table may bring into the book.

use rust_decimal::Decimal;
use taximeter_models::Unit;
use taximeter_pricing::form::usual_per;

use crate::draft::Draft;
use crate::{NoteKind, Number};

/// More digits than this are the noise of a float, or a fraction without an end.
const DIGITS: usize = 12;

/// Whether the price of `per` of a unit can be right. One that cannot is noted as refused; one whose digits tell of
/// a float is noted as doubted, and kept.
pub(crate) fn is_believed(
    unit: Unit,
    number: Number,
    per: u64,
    place: &str,
    draft: &mut Draft,
) -> bool {
    if number.is_negative() {
        draft.note(
            NoteKind::Refused,
            place,
            format!("the price of {unit} is {number}, below zero"),
        );
        return false;
    }
    let is_token = usual_per(unit) == 1_000_000 && !unit.as_str().ends_with("character");
    if is_token && number.0 > Decimal::new(5, 2) * Decimal::from(per) {
        let why = format!(
            "the price of {unit} is {number} for {per}, above 0.05 a token; a unit is mistaken"
        );
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
