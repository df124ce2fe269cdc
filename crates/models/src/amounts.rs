//! The money of many costs, apart by currency.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use crate::{Currency, Money};

/// Money in one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Amounts {
    /// The part that is exact.
    pub exact: Money,
    /// The part in which something was assumed.
    pub estimated: Money,
    /// The part, of both, for what went in; costs that were not told apart are in neither.
    pub input: Money,
    /// The part, of both, for what came out.
    pub output: Money,
}

impl Amounts {
    /// Exact and estimated together.
    pub fn total(self) -> Money {
        self.exact + self.estimated
    }
}

impl AddAssign for Amounts {
    fn add_assign(&mut self, more: Self) {
        self.exact += more.exact;
        self.estimated += more.estimated;
        self.input += more.input;
        self.output += more.output;
    }
}

/// Money by currency, sorted by the letters of each; written as a map. Nearly always there is one currency, and what is asked
/// for with every call of an LLM is found at the first look.
///
/// ```
/// use taximeter_models::{AmountsByCurrency, Currency, Money};
///
/// let mut amounts = AmountsByCurrency::default();
/// amounts.in_currency(Currency::USD).exact += "0.5".parse::<Money>()?;
/// assert_eq!(amounts.get(&Currency::USD).map(|usd| usd.exact.to_string()).as_deref(), Some("0.5"));
/// assert_eq!(amounts.get(&"EUR".parse()?), None); // which is not zero
/// # Ok::<(), taximeter_models::ParseMoneyError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "BTreeMap<Currency, Amounts>", into = "BTreeMap<Currency, Amounts>")]
pub struct AmountsByCurrency(Vec<(Currency, Amounts)>);

impl AmountsByCurrency {
    /// The amounts in a currency, if there are any.
    pub fn get(&self, currency: &Currency) -> Option<&Amounts> {
        self.0.iter().find(|(own, _)| own == currency).map(|(_, amounts)| amounts)
    }

    /// The amounts in a currency, to be added to; they are there from then on.
    #[inline]
    pub fn in_currency(&mut self, currency: Currency) -> &mut Amounts {
        let at = match self.0.first() {
            Some((first, _)) if *first == currency => 0,
            _ => self.place(currency),
        };
        &mut self.0[at].1
    }

    #[inline(never)]
    fn place(&mut self, currency: Currency) -> usize {
        self.0.binary_search_by_key(&currency, |(own, _)| *own).unwrap_or_else(|at| {
            self.0.insert(at, (currency, Amounts::default()));
            at
        })
    }

    /// Each currency with its amounts.
    pub fn iter(&self) -> impl Iterator<Item = (&Currency, &Amounts)> {
        self.into_iter()
    }

    /// The currencies.
    pub fn keys(&self) -> impl Iterator<Item = &Currency> {
        self.iter().map(|(currency, _)| currency)
    }

    /// How many currencies there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no amount in any currency.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Goes through [`AmountsByCurrency`].
type Each<'a> = std::iter::Map<
    std::slice::Iter<'a, (Currency, Amounts)>,
    fn(&'a (Currency, Amounts)) -> (&'a Currency, &'a Amounts),
>;

impl<'a> IntoIterator for &'a AmountsByCurrency {
    type Item = (&'a Currency, &'a Amounts);
    type IntoIter = Each<'a>;

    fn into_iter(self) -> Each<'a> {
        self.0.iter().map(|(currency, amounts)| (currency, amounts))
    }
}

impl From<BTreeMap<Currency, Amounts>> for AmountsByCurrency {
    fn from(sorted: BTreeMap<Currency, Amounts>) -> Self {
        Self(sorted.into_iter().collect())
    }
}

impl From<AmountsByCurrency> for BTreeMap<Currency, Amounts> {
    fn from(amounts: AmountsByCurrency) -> Self {
        amounts.0.into_iter().collect()
    }
}

impl fmt::Debug for AmountsByCurrency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_whatever_order_currencies_come_they_stand_sorted_and_are_written_as_a_map() {
        let mut amounts = AmountsByCurrency::default();
        for code in ["USD", "EUR", "USD", "JPY", "CHF", "EUR"] {
            amounts.in_currency(code.parse().unwrap()).exact += Money::from_ticks(9);
        }
        let codes: Vec<_> = amounts.keys().map(Currency::as_str).collect();
        assert_eq!((codes.as_slice(), amounts.len()), (["CHF", "EUR", "JPY", "USD"].as_slice(), 4));
        assert_eq!(amounts.get(&Currency::USD).unwrap().exact, Money::from_ticks(18));
        let map: BTreeMap<Currency, Amounts> = amounts.clone().into();
        let json = serde_json::to_string(&amounts).unwrap();
        assert_eq!(json, serde_json::to_string(&map).unwrap());
        assert_eq!(serde_json::from_str::<AmountsByCurrency>(&json).unwrap(), amounts);
    }
}
