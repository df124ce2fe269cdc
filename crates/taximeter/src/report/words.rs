//! Numbers as people read them, each with its unit.

use std::time::Duration;

use taximeter_models::{Money, Rate, TrendDirection};

use super::cells::NONE;

/// A duration with the unit that suits it: `1.23 s`, `45.6 ms`, `2 min 3 s`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it was rounded, and is above 120 and below 2^64"
)]
pub fn seconds(seconds: f64) -> String {
    match seconds.abs() {
        1e-9..1e-6 => format!("{:.0} ns", seconds * 1e9),
        1e-6..1e-3 => format!("{:.0} µs", seconds * 1e6),
        1e-3..1.0 => format!("{:.1} ms", seconds * 1e3),
        120.0.. => format!("{} min {} s", seconds.round() as u64 / 60, seconds.round() as u64 % 60),
        _ => format!("{seconds:.2} s"),
    }
}

/// A duration with the unit that suits it.
pub fn duration(duration: Duration) -> String {
    seconds(duration.as_secs_f64())
}

/// An amount in US dollars, rounded once, to a cent or, where it is small, to a ten-thousandth of one.
pub fn money(amount: Money) -> String {
    let cents = Money::TICKS_PER_UNIT / 100;
    let places = if amount.ticks().abs() >= 1_000 * cents {
        2
    } else if amount.ticks().abs() >= cents {
        4
    } else {
        6
    };
    format!("${}", amount.rounded(places))
}

/// An amount as by [`money`], with a plus where some of it is not known.
pub fn at_least(amount: Money, is_whole: bool) -> String {
    format!("{}{}", money(amount), if is_whole { "" } else { "+" })
}

/// A count with separators: `1,234,567`.
pub fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// So many of something, in the singular for one: `1 call`, `20 calls`.
pub fn counted(number: u64, what: &str) -> String {
    format!("{} {what}{}", count(number), if number == 1 { "" } else { "s" })
}

/// A share with its denominator: `97.5 % of 40`.
pub fn percent(rate: Rate) -> String {
    rate.percent().map_or_else(
        || "no cases".into(),
        |percent| format!("{percent:.1} % of {}", count(rate.of)),
    )
}

/// A number without a unit, by four digits that say something: `0.625`, `12.5`, `1.2e7`.
pub fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size.is_finite() && (1e-3..1e6).contains(&size) => {
            let places = if size >= 1_000.0 {
                0
            } else if size >= 100.0 {
                1
            } else if size >= 10.0 {
                2
            } else {
                4
            };
            let text = format!("{value:.places$}");
            if text.contains('.') {
                text.trim_end_matches('0').trim_end_matches('.').to_owned()
            } else {
                text
            }
        }
        size if size.is_finite() => format!("{value:.3e}"),
        _ => NONE.to_owned(),
    }
}

/// Where values go of which nobody said whether more is better: `rises +12.0 %`.
pub fn goes(direction: TrendDirection, percent: Option<f64>) -> String {
    let word = match direction {
        TrendDirection::Declining => "rises",
        TrendDirection::Improving => "falls",
        TrendDirection::Stable => return "stable".to_owned(),
        TrendDirection::InsufficientData => return "too few to say".to_owned(),
    };
    percent.map_or_else(|| word.to_owned(), |percent| format!("{word} {percent:+.1} %"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_easy_to_read() {
        let numbers = [0.0, 0.000_12, 0.625, 12.5, 123.45, 1_234.5, 12e6, f64::NAN];
        assert_eq!(
            numbers.map(number),
            ["0", "1.200e-4", "0.625", "12.5", "123.5", "1234", "1.200e7", "–"]
        );
        assert_eq!(goes(TrendDirection::Declining, Some(12.0)), "rises +12.0 %");
        assert_eq!(count(0), "0");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(seconds(0.0), "0.00 s");
        assert_eq!(seconds(0.000_012), "12 µs");
        assert_eq!(seconds(0.0456), "45.6 ms");
        assert_eq!(seconds(59.5), "59.50 s");
        assert_eq!(seconds(123.4), "2 min 3 s");
        assert_eq!(money("0.000325".parse().unwrap()), "$0.000325");
        assert_eq!(money("1.5".parse().unwrap()), "$1.5000");
        assert_eq!(money("1234.567".parse().unwrap()), "$1234.57");
        assert_eq!(at_least("2".parse().unwrap(), false), "$2.0000+");
        assert_eq!(percent(Rate { hits: 39, of: 40 }), "97.5 % of 40");
        assert_eq!(percent(Rate::default()), "no cases");
    }
}
