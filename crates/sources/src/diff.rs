//! What changed from one book to another, at one moment.

mod text;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::Serialize;
use taximeter_models::{Money, Unit};
use taximeter_pricing::form::usual_per;
use taximeter_pricing::{Model, PriceBook, RateCard, Selectors, TierBound, UnitPrice};

pub use text::text;

/// The difference between two books.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Difference {
    /// Names that only the new book knows, as `provider/name`.
    pub came: Vec<String>,
    /// Names that only the old book knows. A name that is known must not vanish: old calls have it.
    pub vanished: Vec<String>,
    /// LLMs whose status changed: name, old and new word.
    pub statuses: Vec<(String, String, String)>,
    /// Prices that changed, by the name of their LLM.
    pub prices: Vec<PriceChange>,
    /// Cards that only one of the books has, of LLMs that both know.
    pub cards: Vec<CardChange>,
}

/// A price that differs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PriceChange {
    /// The provider and the LLM's name.
    pub name: String,
    /// How and at what hours a call is served, as `selector=value`; empty for the standard way.
    pub when: String,
    /// What is counted.
    pub unit: Unit,
    /// The size of a request from which it holds, such as `prompt_tokens above 200000`; none for the price of small
    /// requests.
    pub size: Option<String>,
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

/// A card that came or went.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct CardChange {
    /// The provider and the LLM's name.
    pub name: String,
    /// How and at what hours a call is served; empty for the standard way.
    pub when: String,
    /// The first moment at which it holds; none if it is not known since when.
    pub from: Option<DateTime<Utc>>,
    /// Whether the new book has it, and not the old one.
    pub came: bool,
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
        for (successor, name) in successors(model, new) {
            let name = format!("{}/{name}", model.provider);
            if model.status != successor.status {
                let word = |model: &Model| format!("{:?}", model.status).to_lowercase();
                difference.statuses.push((name.clone(), word(model), word(successor)));
            }
            difference.cards.extend(card_changes(&name, model, successor));
            difference.prices.extend(price_changes(&name, model, successor, at));
        }
    }
    difference.statuses.sort();
    difference.prices.sort();
    difference.cards.sort();
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

/// The LLMs to which the names of an old one lead, each with the first of these names. An alias may have become an
/// LLM of its own, with other prices.
fn successors<'a>(old: &'a Model, new: &'a PriceBook) -> Vec<(&'a Model, &'a str)> {
    let mut found: Vec<(&Model, &str)> = Vec::new();
    for name in old.names() {
        if let Some(model) = new.find_exact(&old.provider, name)
            && !found.iter().any(|(known, _)| known.id == model.id)
        {
            found.push((model, name));
        }
    }
    found
}

fn card_changes(name: &str, old: &Model, new: &Model) -> Vec<CardChange> {
    let cards = |model: &Model| -> BTreeSet<(String, Option<DateTime<Utc>>)> {
        model.cards.iter().map(|card| (way(card, None), card.from)).collect()
    };
    let (before, after) = (cards(old), cards(new));
    let changed = before.symmetric_difference(&after).cloned();
    let change = |(when, from): (String, _)| CardChange {
        came: after.contains(&(when.clone(), from)),
        name: name.to_owned(),
        when,
        from,
    };
    changed.map(change).collect()
}

/// How a price is selected: way of serving, size, unit.
type Key = (String, Option<String>, Unit);

fn price_changes(name: &str, old: &Model, new: &Model, at: DateTime<Utc>) -> Vec<PriceChange> {
    let (before, after) = (prices(old, at), prices(new, at));
    let keys: BTreeSet<&Key> = before.keys().chain(after.keys()).collect();
    let changed = keys.into_iter().filter(|key| before.get(key) != after.get(key));
    let change = |key: &Key| {
        let (old, new) = (before.get(key).copied(), after.get(key).copied());
        PriceChange {
            name: name.to_owned(),
            when: key.0.clone(),
            size: key.1.clone(),
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

/// The prices of the usual numbers that hold on the day of a moment, factors included.
fn prices(model: &Model, at: DateTime<Utc>) -> BTreeMap<Key, Money> {
    let holds = |card: &&RateCard| {
        card.from.is_none_or(|from| from <= at) && card.until.is_none_or(|until| at < until)
    };
    let mut prices = BTreeMap::new();
    for card in model.cards.iter().filter(holds) {
        let when = way(card, None);
        for price in &card.rates {
            prices.insert((when.clone(), None, price.unit), usual(price));
        }
        for tier in &card.tiers {
            let bound = match tier.bound {
                TierBound::Above(number) => format!("above {number}"),
                TierBound::From(number) => format!("from {number}"),
            };
            let size = format!("{} {bound}", tier.metric.as_str());
            for price in &tier.rates {
                prices.insert((when.clone(), Some(size.clone()), price.unit), usual(price));
            }
        }
        for factor in &card.multipliers {
            let when = way(card, Some(&factor.when));
            let is_meant = |unit| factor.units.is_empty() || factor.units.contains(&unit);
            for price in card.rates.iter().filter(|price| is_meant(price.unit)) {
                // A card of its own for this way comes before the factor.
                let key = (when.clone(), None, price.unit);
                prices.entry(key).or_insert_with(|| times(usual(price), factor.num, factor.den));
            }
        }
    }
    prices
}

fn usual(price: &UnitPrice) -> Money {
    times(price.amount, usual_per(price.unit), price.per)
}

fn times(price: Money, num: u64, den: u64) -> Money {
    let den = i128::from(den).checked_mul(Money::TICKS_PER_UNIT);
    let all = price.checked_mul(num.into()).zip(den);
    all.and_then(|(all, den)| Money::ratio(all.ticks(), den)).map_or(price, |(price, _)| price)
}

/// How a call must be served for a card, and for a factor on it: selectors and hours.
fn way(card: &RateCard, factor: Option<&Selectors>) -> String {
    let selectors = card.when.iter().chain(factor.into_iter().flat_map(Selectors::iter));
    let mut parts: Vec<String> = selectors.map(|(key, value)| format!("{key}={value}")).collect();
    if let Some(schedule) = &card.schedule {
        parts.extend(schedule.windows.iter().map(|window| String::from(*window)));
        parts.extend(schedule.weekdays.iter().map(ToString::to_string));
    }
    parts.join(" ")
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
            let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "–".into());
            let (size, old, new) =
                (or_none(&change.size), or_none(&change.old), or_none(&change.new));
            format!("{} {} {size}: {old} {new} {:?}", change.when, change.unit, change.per_cent)
        };
        assert_eq!(change.prices.iter().map(told).collect::<Vec<_>>(), changes, "{old} {new}");
    }

    #[test]
    fn a_price_changes_by_way_size_and_unit() {
        let plain = r#"{"rates": {"input": "2", "output": "8"}}"#;
        check(plain, plain, &[]);
        check(plain, r#"{"rates": {"input": "2", "output": "4"}}"#, &[" output –: 8 4 Some(50)"]);
        check(
            plain,
            r#"{"rates": {"input": {"amount": "2000", "per": 1000000000}, "output": "8"}}"#,
            &[],
        );
        check(
            plain,
            r#"{"rates": {"input": "2", "output": "8"}, "tiers": [{"metric": "prompt_tokens", "above": 9, "rates": {"input": "4"}}]}"#,
            &[" input prompt_tokens above 9: – 4 None"],
        );
        check(
            plain,
            r#"{"rates": {"input": "2", "output": "8"}}, {"when": {"processing": "batch"}, "rates": {"input": "1"}}"#,
            &["processing=batch input –: – 1 None"],
        );
    }

    #[test]
    fn factors_and_hours_change_prices_too() {
        let plain = r#"{"rates": {"input": "2"}}"#;
        check(
            plain,
            r#"{"rates": {"input": "2"}, "multipliers": [{"when": {"region": "us"}, "num": 11, "den": 10}]}"#,
            &["region=us input –: – 2.2 None"],
        );
        let peak = |price: &str| {
            format!(
                r#"{plain}, {{"schedule": {{"windows": ["01:00-04:00"]}}, "rates": {{"input": "{price}"}}}}"#
            )
        };
        check(&peak("4"), &peak("6"), &["01:00-04:00 input –: 4 6 Some(150)"]);
    }

    #[test]
    fn an_alias_that_became_an_llm_is_compared() {
        let read = |models: &str| PriceBook::from_json(&format!(r#"{{"models": [{models}]}}"#));
        let cards = |price: &str| format!(r#""cards": [{{"rates": {{"input": "{price}"}}}}]"#);
        let old = format!(r#"{{"provider": "p", "id": "m", "aliases": ["m-1"], {}}}"#, cards("2"));
        let new = format!(
            r#"{{"provider": "p", "id": "m", {}}}, {{"provider": "p", "id": "m-1", "status": "retired", {}}}"#,
            cards("2"),
            cards("3")
        );
        let change = difference(&read(&old).unwrap(), &read(&new).unwrap(), Utc::now());
        assert_eq!((change.prices.len(), change.prices[0].name.as_str()), (1, "p/m-1"));
        assert_eq!(change.statuses, [("p/m-1".into(), "active".into(), "retired".into())]);
        assert!(change.vanished.is_empty() && change.came.is_empty());
    }

    #[test]
    fn cards_come_and_go() {
        let old =
            book(r#"{"rates": {"input": "2"}}, {"when": {"mode": "x"}, "rates": {"input": "1"}}"#);
        let new = book(
            r#"{"until": "2020-01-01", "rates": {"input": "9"}}, {"from": "2020-01-01", "rates": {"input": "2"}}"#,
        );
        let change = difference(&old, &new, Utc::now());
        let told: Vec<_> =
            change.cards.iter().map(|it| (it.when.as_str(), it.from.is_some(), it.came)).collect();
        assert_eq!(told, [("", true, true), ("mode=x", false, false)]);
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
