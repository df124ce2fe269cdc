//! Numbers as people read them, each with its unit.

use std::time::Duration;

use taximeter_models::{Money, Rate};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_easy_to_read() {
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
