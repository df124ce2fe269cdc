//! What changed from one book to another, at one moment.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::Serialize;
use taximeter_models::{Money, Unit};
use taximeter_pricing::{Model, PriceBook, RateCard, Selectors, UnitPrice};

/// The difference between two books.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Difference {
    /// Names that only the new book knows, as `provider/name`.
    pub came: Vec<String>,
    /// Names that only the old book knows. A name that is known must not vanish: old calls have it.
    pub vanished: Vec<String>,
    /// LLMs whose status changed: name, old and new word.
    pub statuses: Vec<(String, String, String)>,
    /// Prices that changed.
    pub prices: Vec<PriceChange>,
}

/// A price that differs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PriceChange {
    /// The provider and the LLM's name.
    pub name: String,
    /// How a call is served, as `selector=value`; empty for the standard way.
    pub when: String,
    /// What is counted.
    pub unit: Unit,
    /// The number of prompt tokens above which it holds; none for the price of small requests.
    pub above: Option<u64>,
    /// The price of the usual number before; none where there was none.
    pub old: Option<String>,
    /// The price after; none where there is none.
    pub new: Option<String>,
    /// The new price in hundredths of the old one, where both are there and neither is zero.
    pub per_cent: Option<i64>,
}

impl PriceChange {
    /// Whether it became more than 20 times dearer or cheaper: a unit may have been mistaken.
    pub fn is_doubtful(&self) -> bool {
        self.per_cent.is_some_and(|share| !(5..=2_000).contains(&share))
    }
}

/// Compares two books by the names of the old one, at a moment.
///
/// ```
/// use chrono::Utc;
/// use taximeter_pricing::PriceBook;
/// use taximeter_sources::diff::difference;
///
/// let book = |id: &str, input: &str| PriceBook::from_json(&format!(
///     r#"{{"models": [{{"provider": "p", "id": "{id}", "cards": [{{"rates": {{"input": "{input}"}}}}]}}]}}"#
/// ));
/// let change = difference(&book("m", "2")?, &book("m", "3")?, Utc::now());
/// assert_eq!((change.prices[0].per_cent, change.vanished.len()), (Some(150), 0));
/// assert_eq!(difference(&book("m", "2")?, &book("n", "2")?, Utc::now()).vanished, ["p/m"]);
/// # Ok::<(), taximeter_pricing::BookError>(())
/// ```
pub fn difference(old: &PriceBook, new: &PriceBook, at: DateTime<Utc>) -> Difference {
    let (before, after) = (names(old), names(new));
    let mut difference = Difference {
        came: after.difference(&before).cloned().collect(),
        vanished: before.difference(&after).cloned().collect(),
        ..Difference::default()
    };
    for model in old.models() {
        let Some(successor) = new.find_exact(&model.provider, &model.id) else { continue };
        let name = format!("{}/{}", model.provider, model.id);
        if model.status != successor.status {
            let word = |model: &Model| format!("{:?}", model.status).to_lowercase();
            difference.statuses.push((name.clone(), word(model), word(successor)));
        }
        difference.prices.extend(changes(&name, model, successor, at));
    }
    difference.prices.sort();
    difference
}

fn names(book: &PriceBook) -> BTreeSet<String> {
    let of = |model: &Model| -> Vec<String> {
        model
            .names()
            .map(|name| format!("{}/{}", model.provider, name.to_ascii_lowercase()))
            .collect()
    };
    book.models().flat_map(of).collect()
}

/// How a price is selected: way of serving, size, unit.
type Key = (String, Option<u64>, Unit);

fn changes(name: &str, old: &Model, new: &Model, at: DateTime<Utc>) -> Vec<PriceChange> {
    let (before, after) = (prices(old, at), prices(new, at));
    let keys: BTreeSet<&Key> = before.keys().chain(after.keys()).collect();
    let changed = keys.into_iter().filter(|key| before.get(key) != after.get(key));
    let change = |key: &Key| {
        let (old, new) = (before.get(key).copied(), after.get(key).copied());
        PriceChange {
            name: name.to_owned(),
            when: key.0.clone(),
            above: key.1,
            unit: key.2,
            old: old.map(|price| price.to_string()),
            new: new.map(|price| price.to_string()),
            per_cent: old.zip(new).and_then(|(old, new)| per_cent(old, new)),
        }
    };
    changed.map(change).collect()
}

fn per_cent(old: Money, new: Money) -> Option<i64> {
    let share = new.ticks().checked_mul(100)?.checked_div(old.ticks())?;
    i64::try_from(share).ok().filter(|_| !new.is_zero())
}

/// The prices of the usual numbers that hold at a moment, whatever the hour.
fn prices(model: &Model, at: DateTime<Utc>) -> BTreeMap<Key, Money> {
    let holds = |card: &&RateCard| {
        card.schedule.is_none()
            && card.from.is_none_or(|from| from <= at)
            && card.until.is_none_or(|until| at < until)
    };
    let mut prices = BTreeMap::new();
    for card in model.cards.iter().filter(holds) {
        let when = way(&card.when);
        let mut add = |above, price: &UnitPrice| {
            let usual = i128::from(taximeter_pricing::form::usual_per(price.unit));
            let below = i128::from(price.per) * Money::TICKS_PER_UNIT;
            let of_usual =
                price.amount.checked_mul(usual).and_then(|all| Money::ratio(all.ticks(), below));
            prices.insert(
                (when.clone(), above, price.unit),
                of_usual.map_or(price.amount, |(amount, _)| amount),
            );
        };
        card.rates.iter().for_each(|price| add(None, price));
        for tier in &card.tiers {
            tier.rates.iter().for_each(|price| add(Some(tier.bound.number()), price));
        }
    }
    prices
}

fn way(when: &Selectors) -> String {
    let pairs: Vec<String> = when.iter().map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(cards: &str) -> PriceBook {
        let text = format!(r#"{{"models": [{{"provider": "p", "id": "m", "cards": [{cards}]}}]}}"#);
        PriceBook::from_json(&text).unwrap()
    }

    fn check(old: &str, new: &str, changes: &[&str]) {
        let change = difference(&book(old), &book(new), Utc::now());
        let told = |change: &PriceChange| {
            let PriceChange { when, unit, above, old, new, per_cent, .. } = change;
            format!("{when} {unit} {above:?} {old:?} {new:?} {per_cent:?}")
        };
        assert_eq!(change.prices.iter().map(told).collect::<Vec<_>>(), changes, "{old} {new}");
    }

    #[test]
    fn a_price_changes_by_way_size_and_unit() {
        let plain = r#"{"rates": {"input": "2", "output": "8"}}"#;
        check(plain, plain, &[]);
        check(
            plain,
            r#"{"rates": {"input": "2", "output": "4"}}"#,
            &[r#" output None Some("8") Some("4") Some(50)"#],
        );
        check(
            plain,
            r#"{"rates": {"input": {"amount": "2000", "per": 1000000000}, "output": "8"}}"#,
            &[],
        );
        check(
            plain,
            r#"{"rates": {"input": "2", "output": "8"}, "tiers": [{"metric": "prompt_tokens", "above": 9, "rates": {"input": "4"}}]}"#,
            &[r#" input Some(9) None Some("4") None"#],
        );
        check(
            plain,
            r#"{"rates": {"input": "2", "output": "8"}}, {"when": {"processing": "batch"}, "rates": {"input": "1"}}"#,
            &[r#"processing=batch input None None Some("1") None"#],
        );
    }

    #[test]
    fn prices_of_the_past_and_the_future_are_not_compared() {
        let dated = r#"{"until": "2020-01-01", "rates": {"input": "9"}}, {"from": "2020-01-01", "rates": {"input": "2"}}"#;
        check(r#"{"rates": {"input": "2"}}"#, dated, &[]);
    }

    #[test]
    fn a_factor_of_more_than_twenty_is_doubtful() {
        let change = difference(
            &book(r#"{"rates": {"input": "0.1"}}"#),
            &book(r#"{"rates": {"input": "3"}}"#),
            Utc::now(),
        );
        assert!(change.prices[0].is_doubtful());
    }
}
