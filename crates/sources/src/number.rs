//! A number of a price table, exactly as it is written.

use std::fmt;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use taximeter_pricing::form::{Amount, PerForm, PriceForm};

/// A decimal from the text of a JSON number; it never was a float.
///
/// It can only be read from JSON text by `serde_json`, outside of untagged enums and flattened structs.
///
/// ```
/// use taximeter_sources::Number;
///
/// let price: Number = serde_json::from_str("4.0000000000000003e-07")?;
/// assert_eq!(price.times_ten_to(6).to_string(), "0.40000000000000003");
/// assert!(serde_json::from_str::<Number>("\"free\"").is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number(pub Decimal);

impl Number {
    /// None at all, which is a price: free.
    pub const ZERO: Self = Self(Decimal::ZERO);

    /// The number as a fraction of whole numbers; none where it is negative or they are too large.
    pub fn as_fraction(self) -> Option<(u64, u64)> {
        let number = self.normalized().0;
        let above = u64::try_from(number.mantissa()).ok()?;
        Some((above, 10_u64.checked_pow(number.scale())?))
    }

    /// The number with its decimal point moved to the right by so many places.
    pub fn times_ten_to(self, places: u32) -> Self {
        Self(self.0 * Decimal::from(10_u64.pow(places))).normalized()
    }

    /// The product.
    pub fn times(self, other: Self) -> Self {
        Self(self.0 * other.0).normalized()
    }

    /// Without zeros at its end.
    fn normalized(self) -> Self {
        Self(self.0.normalize())
    }

    /// The number rounded to so many significant digits.
    pub fn rounded(self, digits: u32) -> Option<Self> {
        Some(Self(self.0.round_sf(digits)?).normalized())
    }

    /// Whether it is 0.
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    /// Whether it is below 0.
    pub fn is_negative(self) -> bool {
        self.0.is_sign_negative() && !self.0.is_zero()
    }

    /// How many digits it has from the first one that is not 0 to the last one that is not 0. More than 12 are
    /// the noise of a float, or a fraction that has no end.
    pub fn significant_digits(self) -> usize {
        self.normalized().0.mantissa().unsigned_abs().to_string().trim_end_matches('0').len()
    }

    /// The price of the usual number of its unit: a million tokens or characters, one of anything else.
    pub fn plain(self) -> PriceForm {
        PriceForm::Plain(Amount(self.normalized().to_string()))
    }

    /// The price of so many.
    pub fn per(self, per: u64) -> PriceForm {
        PriceForm::Per(PerForm { amount: Amount(self.normalized().to_string()), per })
    }
}

impl From<u32> for Number {
    fn from(whole: u32) -> Self {
        Self(whole.into())
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl std::str::FromStr for Number {
    type Err = rust_decimal::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let number = if text.contains(['e', 'E']) {
            Decimal::from_scientific(text)?
        } else {
            Decimal::from_str_exact(text)?
        };
        Ok(Self(number).normalized())
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        raw.get()
            .parse()
            .map_err(|error| serde::de::Error::custom(format!("the number {}: {error}", raw.get())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, million: &str, digits: usize) {
        let number: Number = text.parse().unwrap();
        assert_eq!(number.times_ten_to(6).to_string(), million, "{text}");
        assert_eq!(number.significant_digits(), digits, "{text}");
    }

    #[test]
    fn text_is_taken_digit_by_digit() {
        check("2.5e-06", "2.5", 2);
        check("1e-06", "1", 1);
        check("3.3333333333333333e-05", "33.333333333333333", 17);
        check("0.18000000000000002", "180000.00000000002", 17);
        check("0", "0", 0);
        check("100", "100000000", 1);
        assert!("abc".parse::<Number>().is_err());
        assert!("1e99".parse::<Number>().is_err());
    }
}
