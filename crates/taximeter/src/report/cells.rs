//! Numbers as they stand in a cell of a table: short, with their unit, and a dash where nothing is known.

use taximeter_analysis::Part;
use taximeter_models::{CostTotals, Currency, Money, Rate};

use super::words::{count, counted, money, seconds};

/// Stands for what is not known or not there.
pub const NONE: &str = "–";

/// Seconds with the unit that suits them.
pub fn took(value: Option<f64>) -> String {
    value.map_or_else(|| NONE.into(), seconds)
}

/// A share in percent; its denominator stands in another cell.
///
/// ```
/// use taximeter::{Rate, report};
///
/// assert_eq!(report::share(Rate { hits: 39, of: 40 }), "97.5 %");
/// assert_eq!(report::share(Rate::default()), report::NONE); // of nothing there is no share
/// ```
pub fn share(rate: Rate) -> String {
    rate.percent().map_or_else(|| NONE.into(), |percent| format!("{percent:.1} %"))
}

/// A share from 0 to 1 in percent.
pub fn part(value: Option<f64>) -> String {
    value.map_or_else(|| NONE.into(), |part| format!("{:.1} %", part * 100.0))
}

/// A mean amount, or that there is none.
pub fn each(amount: Option<Money>) -> String {
    amount.map_or_else(|| NONE.into(), money)
}

/// An amount; one of which some is not known has a plus behind it, and what is not known at all is no zero.
///
/// ```
/// use taximeter::{Money, report};
///
/// assert_eq!(report::spend("1.5".parse()?, 2), "$1.5000+");
/// assert_eq!(report::spend(Money::ZERO, 0), "$0.00");
/// assert_eq!(report::spend(Money::ZERO, 2), "unpriced");
/// # Ok::<(), taximeter::models::ParseMoneyError>(())
/// ```
pub fn spend(amount: Money, unpriced: u64) -> String {
    match (amount.is_zero(), unpriced > 0) {
        (true, true) => "unpriced".into(),
        (true, false) => "$0.00".into(),
        (false, true) => format!("{}+", money(amount)),
        (false, false) => money(amount),
    }
}

/// An amount with its sign.
pub fn signed(amount: Money) -> String {
    let (sign, size) = if amount.is_negative() { ("-", -amount) } else { ("+", amount) };
    // What is less than a ten-thousandth of a cent rounds to nothing.
    let text = money(size);
    if text.trim_start_matches(['$', '0', '.']).is_empty() {
        "$0.00".into()
    } else {
        format!("{sign}{text}")
    }
}

/// What a cost does not know, or only assumes; empty where all is exact.
pub fn unpriced(cost: &CostTotals) -> String {
    let mut parts = Vec::new();
    for (currency, amounts) in &cost.amounts {
        if *currency != Currency::USD {
            parts.push(format!("{} {currency} beside it", amounts.total().rounded(4)));
        } else if !amounts.estimated.is_zero() {
            parts.push(format!("{} of it estimated", money(amounts.estimated)));
        }
    }
    if cost.unpriced_calls > 0 {
        parts.push(format!("{} unpriced", counted(cost.unpriced_calls, "call")));
    }
    if cost.calls_without_usage > 0 {
        parts.push(format!("{} told no usage", counted(cost.calls_without_usage, "call")));
    }
    parts.join(", ")
}

/// The change from one number to another in percent, or how many times as much it is; nothing where the first is none or
/// zero.
pub fn change(before: Option<f64>, now: f64) -> String {
    match before {
        Some(before) if before > 0.0 => {
            let percent = (now / before - 1.0) * 100.0;
            if percent.abs() < 0.5 {
                "0 %".into()
            } else if percent.abs() >= 1_000.0 {
                format!("×{}", count(rounded(now / before)))
            } else {
                format!("{percent:+.0} %")
            }
        }
        _ => String::new(),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a factor above ten, cut where it is beyond all sense"
)]
fn rounded(value: f64) -> u64 {
    value.round() as u64
}

/// A part of an operation, with what it is: `LLM gpt-4o`, `tool web_search`, `document_retrieval`.
pub fn part_name(part: &Part) -> String {
    match part {
        Part::Llm(name) => format!("LLM {name}"),
        Part::Tool(name) => format!("tool {name}"),
        Part::Operation(name) => format!("op {name}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_against_something() {
        assert_eq!(change(Some(2.0), 3.0), "+50 %");
        assert_eq!(change(Some(2.0), 1.0), "-50 %");
        assert_eq!(change(Some(1.0), 25.0), "×25");
        assert_eq!(
            (change(Some(2.0), 1.999).as_str(), change(Some(2.0), 2.0).as_str()),
            ("0 %", "0 %")
        );
        assert_eq!((change(Some(0.0), 1.0), change(None, 1.0)), (String::new(), String::new()));
    }

    #[test]
    fn amounts_say_what_they_lack() {
        assert_eq!(spend("1.5".parse().unwrap(), 2), "$1.5000+");
        assert_eq!(
            (spend(Money::ZERO, 2), spend(Money::ZERO, 0)),
            ("unpriced".into(), "$0.00".into())
        );
        assert_eq!(signed("-0.25".parse().unwrap()), "-$0.2500");
        assert_eq!(unpriced(&CostTotals::default()), "");
    }

    #[test]
    fn parts_say_what_they_are() {
        assert_eq!(part_name(&Part::Tool("web_search".into())), "tool web_search");
        assert_eq!(part_name(&Part::Component("retrieval".into())), "retrieval");
        assert_eq!(part_name(&Part::Own), "own time");
    }
}
