//! Money as an exact integer.
//!
//! One unit of currency is 9 × 10²⁴ ticks. The factor 10²⁴ holds every decimal price per token that is published
//! (the finest are multiples of 10⁻¹⁵); the factor 9 holds prices per hour billed by the second, since
//! 3,600 = 2⁴ × 3² × 5². An `i128` of ticks reaches 1.8 × 10¹³ units of currency, so sums are exact in any order.

use std::cmp::Ordering;
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// An exact amount of some currency. The currency itself stands beside it, in [`Currency`].
///
/// Sums saturate at ±1.8 × 10¹³ units of currency; nothing that an LLM application can spend comes near.
///
/// In JSON it is text: a decimal such as `"0.0025"`, or a fraction such as `"1/36000"` where no finite decimal is
/// exact. A JSON number is read too, by its shortest decimal, for documents that others wrote.
///
/// ```
/// use taximeter_models::Money;
///
/// let per_call: Money = "0.1".parse()?;
/// let total: Money = std::iter::repeat_n(per_call, 10).sum();
/// assert_eq!(total.to_string(), "1"); // as floats the ten would make 0.9999999999999999
///
/// assert!("-".parse::<Money>().is_err());
/// assert!("1e99".parse::<Money>().is_err()); // out of range is an error, not infinity
/// # Ok::<(), taximeter_models::ParseMoneyError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Money(i128);

/// Whether an amount came out to the tick or had to be rounded to one (1/(9 × 10²⁴) of a unit of currency).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rounding {
    /// Exact.
    Exact,
    /// Rounded half to even, at the 25th decimal place.
    ToTick,
}

/// A text or number that is not an amount of money.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("reading {text:?} as an amount of money: {why}")]
pub struct ParseMoneyError {
    text: String,
    why: &'static str,
}

impl Money {
    /// No money at all. Unlike an unknown price, this is a price.
    pub const ZERO: Self = Self(0);
    /// The ticks of one unit of currency.
    pub const TICKS_PER_UNIT: i128 = 9 * DECIMAL;

    /// The amount of so many ticks.
    pub const fn from_ticks(ticks: i128) -> Self {
        Self(ticks)
    }

    /// The amount in ticks of 1/(9 × 10²⁴) of a unit of currency.
    pub const fn ticks(self) -> i128 {
        self.0
    }

    /// The amount `numerator / denominator` in units of currency; none where it is out of range or the
    /// denominator is zero.
    ///
    /// ```
    /// use taximeter_models::{Money, Rounding};
    ///
    /// let (fare, rounding) = Money::ratio(25, 10_000_000).expect("in range");
    /// assert_eq!((fare.to_string().as_str(), rounding), ("0.0000025", Rounding::Exact));
    /// assert_eq!(Money::ratio(1, 0), None);
    /// ```
    pub fn ratio(numerator: i128, denominator: i128) -> Option<(Self, Rounding)> {
        if denominator == 0 {
            return None;
        }
        let divisor = gcd(numerator.unsigned_abs(), denominator.unsigned_abs()).max(1);
        let divisor = i128::try_from(divisor).ok()?;
        let (numerator, denominator) = (numerator / divisor, denominator / divisor);
        let common = gcd(Self::TICKS_PER_UNIT.unsigned_abs(), denominator.unsigned_abs());
        let common = i128::try_from(common).ok()?;
        let scaled = numerator.checked_mul(Self::TICKS_PER_UNIT / common)?;
        let denominator = denominator / common;
        let (sign, scaled, denominator) = (
            if (scaled < 0) == (denominator < 0) { 1 } else { -1 },
            scaled.unsigned_abs(),
            denominator.unsigned_abs(),
        );
        let (whole, rest) = (scaled / denominator, scaled % denominator);
        let up = rest > denominator - rest || (rest == denominator - rest && whole % 2 == 1);
        let ticks = i128::try_from(whole + u128::from(up)).ok()? * sign;
        Some((Self(ticks), if rest == 0 { Rounding::Exact } else { Rounding::ToTick }))
    }

    /// The amount that a decimal number of the program's stands for, by its shortest decimal text, rounded to 15
    /// significant digits (what an `f64` holds for sure) and to a tick; none for NaN, infinities and amounts out
    /// of range.
    ///
    /// Only for amounts that others computed as floats: our own never pass through one.
    pub fn from_f64_shortest(value: f64) -> Option<Self> {
        if !value.is_finite() {
            return None;
        }
        // Far below a tick nothing is left, and the decimal would have more places than can be computed with.
        if value.abs() < 1e-20 {
            return Some(Self::ZERO);
        }
        let (numerator, denominator) = decimal(&format!("{value:.14e}")).ok()?;
        Self::ratio(numerator, denominator).map(|(money, _)| money)
    }

    /// The amount as a float, for charts and for formats that know nothing else. It may be off in the 16th digit.
    #[expect(clippy::cast_precision_loss, reason = "the caller asked for a float")]
    pub fn to_f64_lossy(self) -> f64 {
        self.0 as f64 / Self::TICKS_PER_UNIT as f64
    }

    /// The amount as decimal text with so many places, rounded half to even: the one rounding, at display.
    ///
    /// ```
    /// # use taximeter_models::Money;
    /// let fare: Money = "0.00325".parse()?;
    /// assert_eq!(fare.rounded(4), "0.0032");
    /// assert_eq!(fare.rounded(2), "0.00");
    /// # Ok::<(), taximeter_models::ParseMoneyError>(())
    /// ```
    pub fn rounded(self, places: u8) -> String {
        let places = u32::from(places).min(PLACES);
        let ticks_per_step = 9 * 10_u128.pow(PLACES - places);
        let magnitude = self.0.unsigned_abs();
        let (whole, rest) = (magnitude / ticks_per_step, magnitude % ticks_per_step);
        let twice = rest * 2;
        let up = twice > ticks_per_step || (twice == ticks_per_step && whole % 2 == 1);
        let steps = whole + u128::from(up);
        let sign = if self.0 < 0 && steps > 0 { "-" } else { "" };
        let scale = 10_u128.pow(places);
        match places {
            0 => format!("{sign}{steps}"),
            _ => format!(
                "{sign}{}.{:0width$}",
                steps / scale,
                steps % scale,
                width = places as usize
            ),
        }
    }

    /// The exact amount as decimal text where that has an end; else the decimal with so many significant digits,
    /// rounded half to even, as other programs write it.
    ///
    /// ```
    /// # use taximeter_models::Money;
    /// assert_eq!("0.00325".parse::<Money>()?.to_decimal(28), "0.00325");
    /// assert_eq!("1/36000".parse::<Money>()?.to_decimal(5), "0.000027778");
    /// # Ok::<(), taximeter_models::ParseMoneyError>(())
    /// ```
    pub fn to_decimal(self, significant: u8) -> String {
        if self.0 % 9 == 0 {
            return self.to_string();
        }
        let one = Self::TICKS_PER_UNIT.unsigned_abs();
        let (whole, mut rest) = (self.0.unsigned_abs() / one, self.0.unsigned_abs() % one);
        let mut digits: Vec<u8> =
            if whole == 0 { Vec::new() } else { whole.to_string().into_bytes() };
        let (mut places, whole_digits) = (0, digits.len());
        for digit in &mut digits {
            *digit -= b'0';
        }
        // A remainder is never without an end here, so that there is no tie to round to even.
        while digits.len() < usize::from(significant.max(1)) {
            rest *= 10;
            let digit = u8::try_from(rest / one).unwrap_or_default();
            rest %= one;
            places += 1;
            if digit > 0 || !digits.is_empty() {
                digits.push(digit);
            }
        }
        if rest * 2 > one {
            round_up(&mut digits);
        }
        let digits: String = digits.iter().map(|digit| char::from(b'0' + digit)).collect();
        let padded = format!("{digits:0>width$}", width = places + whole_digits.max(1));
        let (whole, fraction) = padded.split_at(padded.len() - places);
        let sign = if self.0 < 0 { "-" } else { "" };
        format!("{sign}{whole}.{fraction}").trim_end_matches(['0']).trim_end_matches('.').to_owned()
    }

    /// The mean of so many amounts of which this is the sum, rounded half to even at the 18th decimal place; none of no
    /// amounts. A mean is the one figure here that is not exact, and so it is kept to a finite decimal.
    pub fn mean(self, count: u64) -> Option<Self> {
        const PLACE: i128 = 9 * 1_000_000;
        let divisor = i128::from(count).checked_mul(PLACE)?;
        let whole = self.0.checked_div_euclid(divisor)?;
        let twice = self.0.rem_euclid(divisor) * 2;
        let up = twice > divisor || (twice == divisor && whole % 2 != 0);
        (whole + i128::from(up)).checked_mul(PLACE).map(Self)
    }

    /// Whether this is no money at all.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Whether this is below zero.
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// The amount so many times over; none out of range.
    pub fn checked_mul(self, times: i128) -> Option<Self> {
        self.0.checked_mul(times).map(Self)
    }
}

/// The decimal places of an amount.
const PLACES: u32 = 24;
const DECIMAL: i128 = 10_i128.pow(PLACES);

/// Adds one to the last of these decimal digits.
fn round_up(digits: &mut Vec<u8>) {
    for digit in digits.iter_mut().rev() {
        if *digit < 9 {
            *digit += 1;
            return;
        }
        *digit = 0;
    }
    digits.insert(0, 1);
}

fn gcd(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

impl Add for Money {
    type Output = Self;

    #[inline]
    fn add(self, other: Self) -> Self {
        // To branch costs a quarter of what it costs to choose between the sum and the limit each time.
        match self.0.checked_add(other.0) {
            Some(sum) => Self(sum),
            None => self.limit(),
        }
    }
}

impl Money {
    /// Where a sum ends that does not fit: both parts of it have the sign of this one.
    #[cold]
    const fn limit(self) -> Self {
        Self(if self.0 < 0 { i128::MIN } else { i128::MAX })
    }
}

impl AddAssign for Money {
    #[inline]
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Money {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl SubAssign for Money {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Neg for Money {
    type Output = Self;

    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

/// The exact amount: a decimal where a finite one is exact, else a fraction.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 % 9 == 0 {
            let (sign, magnitude) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs() / 9);
            let decimal = DECIMAL.unsigned_abs();
            let (units, fraction) = (magnitude / decimal, magnitude % decimal);
            if fraction == 0 {
                return write!(f, "{sign}{units}");
            }
            let digits = format!("{fraction:0width$}", width = PLACES as usize);
            return write!(f, "{sign}{units}.{}", digits.trim_end_matches('0'));
        }
        let divisor = gcd(self.0.unsigned_abs(), Self::TICKS_PER_UNIT.unsigned_abs());
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(
            f,
            "{sign}{}/{}",
            self.0.unsigned_abs() / divisor,
            Self::TICKS_PER_UNIT.unsigned_abs() / divisor
        )
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Money {
    type Err = ParseMoneyError;

    /// Reads a decimal (`"0.0025"`, `"2.5e-3"`) or a fraction (`"1/36000"`).
    ///
    /// # Errors
    /// Where the text is neither, is finer than a tick, or is out of range.
    fn from_str(text: &str) -> Result<Self, ParseMoneyError> {
        let error = |why| ParseMoneyError { text: text.chars().take(64).collect(), why };
        let (numerator, denominator) = match text.split_once('/') {
            Some((above, below)) => (
                integer(above).ok_or_else(|| error(NEITHER))?,
                integer(below).ok_or_else(|| error(NEITHER))?,
            ),
            None => decimal(text).map_err(error)?,
        };
        match Self::ratio(numerator, denominator) {
            Some((money, Rounding::Exact)) => Ok(money),
            Some((_, Rounding::ToTick)) => {
                Err(error("it is finer than 1/(9 × 10²⁴) of a unit of currency"))
            }
            None => Err(error("it is out of range")),
        }
    }
}

const NEITHER: &str = "a decimal such as 0.0025 or a fraction such as 1/36000 expected";

fn integer(text: &str) -> Option<i128> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// A decimal text as a fraction.
fn decimal(text: &str) -> Result<(i128, i128), &'static str> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (
            mantissa,
            exponent.strip_prefix('+').unwrap_or(exponent).parse::<i32>().map_err(|_| NEITHER)?,
        ),
        None => (text, 0),
    };
    let (sign, unsigned) = mantissa.strip_prefix('-').map_or((1, mantissa), |rest| (-1, rest));
    let (units, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let fraction = fraction.trim_end_matches('0');
    let digits = format!("{units}{fraction}");
    if units.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NEITHER);
    }
    let value: i128 = digits.parse().map_err(|_| "it has too many digits")?;
    if value == 0 {
        return Ok((0, 1));
    }
    let places = i32::try_from(fraction.len()).map_err(|_| "it has too many digits")?;
    let power = exponent.checked_sub(places).ok_or("it is out of range")?;
    let factor = 10_i128.checked_pow(power.unsigned_abs()).ok_or("it is out of range")?;
    if power < 0 {
        Ok((sign * value, factor))
    } else {
        Ok((sign * value.checked_mul(factor).ok_or("it is out of range")?, 1))
    }
}

impl Serialize for Money {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl serde::de::Visitor<'_> for Visitor {
            type Value = Money;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount of money as decimal text or a number")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Money, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Money, E> {
                Money::ratio(value.into(), 1)
                    .map(|(money, _)| money)
                    .ok_or_else(|| E::custom("out of range"))
            }

            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Money, E> {
                Money::ratio(value.into(), 1)
                    .map(|(money, _)| money)
                    .ok_or_else(|| E::custom("out of range"))
            }

            fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Money, E> {
                Money::from_f64_shortest(value)
                    .ok_or_else(|| E::custom("an amount of money that is out of range"))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// A currency by its three letters of ISO 4217.
///
/// ```
/// use taximeter_models::Currency;
///
/// assert_eq!(Currency::default(), Currency::USD);
/// assert_eq!("EUR".parse::<Currency>()?.to_string(), "EUR");
/// assert!("euro".parse::<Currency>().is_err());
/// # Ok::<(), taximeter_models::ParseMoneyError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency([u8; 4]);

/// By the letters. They are compared as one number, for which a fourth byte is kept, since each call of an LLM asks for its currency among the sums.
impl Ord for Currency {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        u32::from_be_bytes(self.0).cmp(&u32::from_be_bytes(other.0))
    }
}

impl PartialOrd for Currency {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Currency {
    /// The US dollar, in which most providers bill.
    pub const USD: Self = Self(*b"USD\0");

    /// The three letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0[..3]).unwrap_or("???")
    }
}

impl Default for Currency {
    fn default() -> Self {
        Self::USD
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Currency {
    type Err = ParseMoneyError;

    fn from_str(text: &str) -> Result<Self, ParseMoneyError> {
        match <[u8; 3]>::try_from(text.as_bytes()) {
            Ok(code @ [one, two, three]) if code.iter().all(u8::is_ascii_uppercase) => {
                Ok(Self([one, two, three, 0]))
            }
            _ => Err(ParseMoneyError {
                text: text.chars().take(64).collect(),
                why: "the three capital letters of an ISO 4217 code expected",
            }),
        }
    }
}

impl Serialize for Currency {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn money(text: &str) -> Money {
        text.parse().unwrap()
    }

    #[test]
    fn known_texts() {
        for (read, shown) in [
            ("0", "0"),
            ("-0.0", "0"),
            ("1.50", "1.5"),
            ("2.5e-3", "0.0025"),
            ("3E2", "300"),
            ("1/36000", "1/36000"),
            ("-1/3", "-1/3"),
            ("2/4", "0.5"),
            ("0.000000000000000001", "0.000000000000000001"),
        ] {
            assert_eq!(money(read).to_string(), shown, "{read}");
        }
        for wrong in [
            "", ".", "-", "+1", "1.2.3", "0x10", "1/0", "1e40", "1e-40", "NaN", "inf", "1_000",
            " 1",
        ] {
            assert!(wrong.parse::<Money>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn noise_of_floats_is_dropped() {
        assert_eq!(Money::from_f64_shortest(0.105_779_999_999_999_99), Some(money("0.10578")));
        assert_eq!(Money::from_f64_shortest(f64::NAN), None);
        assert_eq!(Money::from_f64_shortest(f64::INFINITY), None);
        assert_eq!(Money::from_f64_shortest(1e300), None);
        assert_eq!(Money::from_f64_shortest(1.234_567_890_123_45e-25), Some(Money::ZERO));
        assert!(Money::from_f64_shortest(1.234_567_890_123_45e-19).is_some());
    }

    #[test]
    fn rounds_once_half_to_even() {
        assert_eq!(money("0.125").rounded(2), "0.12");
        assert_eq!(money("0.375").rounded(2), "0.38");
        assert_eq!(money("-0.001").rounded(2), "0.00");
        assert_eq!(money("1/3").rounded(4), "0.3333");
        assert_eq!(money("2.5").rounded(0), "2");
    }

    #[test]
    fn a_decimal_without_an_end_is_cut_where_it_is_asked() {
        assert_eq!(money("37/9600").to_decimal(28), "0.003854166666666666666666666667");
        assert_eq!(money("5/48").to_decimal(28), "0.1041666666666666666666666667");
        assert_eq!(money("-100/3").to_decimal(4), "-33.33");
        assert_eq!(money("8/9").to_decimal(1), "0.9");
        assert_eq!(money("899999999/900000000").to_decimal(3), "1");
        assert_eq!(money("0.125").to_decimal(1), "0.125");
    }

    #[test]
    fn a_mean_is_a_finite_decimal() {
        assert_eq!(money("1").mean(3).unwrap().to_string(), "0.333333333333333333");
        assert_eq!(money("-2").mean(3).unwrap().to_string(), "-0.666666666666666667");
        assert_eq!(money("0.3").mean(2), Some(money("0.15")));
        assert_eq!(money("1").mean(0), None);
    }

    #[test]
    fn ten_million_costs_add_up_in_any_order() {
        // A cost of each kind: of tokens, of seconds billed by the hour, with the noise of a float, and a refund.
        let costs = ["0.00017355625", "1/36000", "0.00602280000000000043815", "-0.1"].map(money);
        let many = || (0..10_000_000_usize).map(|at| costs[at % 4]);
        let forwards: Money = many().sum();
        let backwards: Money = (0..10_000_000_usize).rev().map(|at| costs[at % 4]).sum();
        let by_kind: Money = costs.iter().map(|cost| cost.checked_mul(2_500_000).unwrap()).sum();
        assert_eq!((forwards, backwards), (by_kind, by_kind));
    }

    proptest! {
        #[test]
        fn text_and_back(ticks in -(i128::MAX / 1000)..(i128::MAX / 1000)) {
            let amount = Money::from_ticks(ticks);
            prop_assert_eq!(amount.to_string().parse::<Money>(), Ok(amount));
            let json = serde_json::to_string(&amount).unwrap();
            prop_assert_eq!(serde_json::from_str::<Money>(&json).unwrap(), amount);
        }

        #[test]
        fn order_of_a_sum_does_not_matter(mut parts in prop::collection::vec(any::<i64>(), 0..40), turn in 0_usize..40) {
            let sum = |parts: &[i64]| parts.iter().map(|&p| Money::from_ticks(p.into())).sum::<Money>();
            let before = sum(&parts);
            let turn = turn % parts.len().max(1);
            parts.rotate_left(turn);
            prop_assert_eq!(sum(&parts), before);
        }

        #[test]
        fn a_ratio_is_the_nearest_tick(above in -(1_i64 << 44)..(1_i64 << 44), below in 1_i64..1_000_000_000) {
            let (amount, rounding) = Money::ratio(above.into(), below.into()).unwrap();
            let error = amount.ticks() * i128::from(below) - i128::from(above) * Money::TICKS_PER_UNIT;
            prop_assert!(error.abs() * 2 <= i128::from(below));
            prop_assert_eq!(error == 0, rounding == Rounding::Exact);
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,60}") {
            let _ = text.parse::<Money>();
            let _ = text.parse::<Currency>();
        }
    }
}
