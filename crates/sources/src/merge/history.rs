//! The prices of today with those of yesterday before them.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use taximeter_models::CardBasis;
use taximeter_pricing::Selectors;
use taximeter_pricing::form::{CardForm, ModelForm};

use super::choose::{Choice, Rule, Table};
use super::{Known, Shelf, complete, day_text, moment, undated};

/// All cards of a name, by the table that was chosen for today.
pub(super) fn cards(known: &Known<'_>, choice: &Choice, shelf: &Shelf) -> Vec<CardForm> {
    let (own, other) = match choice.table {
        Table::ModelPrices => (known.model_prices, None),
        Table::Genai => (known.genai, known.litellm),
        Table::Litellm => (known.litellm, known.genai),
        Table::Older => return observed(known, &[]),
    };
    let Some(own) = own else { return Vec::new() };
    let mut today = own.cards.clone();
    if let Some(other) = other.filter(|_| choice.agreed) {
        complete::with(&mut today, &other.cards, shelf.at);
    }
    let dated = known.model_prices.filter(|model| !model.cards.is_empty());
    for card in &mut today {
        complete::drop_hours(own, card);
    }
    if let Some(dated) = dated.filter(|_| choice.confirmed) {
        complete::mend(&mut today, &dated.cards, shelf.at);
    }
    let cards = match (choice.table, dated) {
        (Table::ModelPrices, _) => today,
        (_, Some(dated)) => after(today, dated, choice, shelf),
        (Table::Litellm, None) => observed(known, &today),
        _ => today,
    };
    joined(cards)
}

/// Prices of today behind those of a table that dates its own.
fn after(today: Vec<CardForm>, dated: &ModelForm, choice: &Choice, shelf: &Shelf) -> Vec<CardForm> {
    let later = choice.rule == Rule::DatedLater;
    let latest = today.iter().filter_map(|card| card.from.clone()).max();
    let mut cards: Vec<CardForm> = Vec::new();
    for mut card in today.into_iter().filter(|card| !is_over(card, shelf.at)) {
        let begun = begin(&card).is_none_or(|from| from <= shelf.at);
        if later && card.from.is_none() {
            card.from.clone_from(&latest);
        } else if !later
            && begun
            && let Some(known) = open(dated, &card.when, shelf.at)
        {
            card.from.clone_from(&known.from);
            // Only who says the same price can say since when it holds.
            if choice.confirmed {
                card.basis = known.basis;
                card.source.clone_from(&known.source);
                card.checked_on = known.checked_on;
            }
        }
        cards.push(card);
    }
    let first = |when: &Selectors| cards.iter().filter(|card| card.when == *when).map(begin).min();
    let mut before = Vec::new();
    for old in &dated.cards {
        let mut old = old.clone();
        complete::drop_hours(dated, &mut old);
        match first(&old.when) {
            // The table of today does not know this way of serving.
            None => before.push(old),
            // It has always cost what it costs today.
            Some(None) => {}
            Some(Some(from)) => before.extend(ended(&old, from)),
        }
    }
    before.extend(cards);
    before
}

/// The card of that way of serving that holds today, whatever the hour; or else that of the standard way.
fn open<'t>(model: &'t ModelForm, when: &Selectors, at: DateTime<Utc>) -> Option<&'t CardForm> {
    let holds = |card: &&CardForm| !is_over(card, at) && begin(card).is_none_or(|from| from <= at);
    let of = |when: &Selectors| {
        model.cards.iter().filter(holds).find(|card| card.when == *when && card.schedule.is_none())
    };
    of(when).or_else(|| of(&Selectors::new()))
}

fn begin(card: &CardForm) -> Option<DateTime<Utc>> {
    card.from.as_deref().and_then(moment)
}

fn end(card: &CardForm) -> Option<DateTime<Utc>> {
    card.until.as_deref().and_then(moment)
}

pub(super) fn is_over(card: &CardForm, at: DateTime<Utc>) -> bool {
    end(card).is_some_and(|until| until <= at)
}

/// An old card that ends, at the latest, when the prices of today begin; none where nothing is left of it.
pub(super) fn ended(old: &CardForm, from: DateTime<Utc>) -> Option<CardForm> {
    if begin(old).is_some_and(|begin| begin >= from) {
        return None;
    }
    let mut old = old.clone();
    if end(&old).is_none_or(|until| until > from) {
        old.until = Some(from.to_rfc3339_opts(SecondsFormat::Secs, true));
    }
    Some(old)
}

/// Cards that follow one another and say the same become one: a table that records each change of its own file has
/// many such.
fn joined(mut cards: Vec<CardForm>) -> Vec<CardForm> {
    cards.sort_by_key(begin);
    let mut all: Vec<CardForm> = Vec::with_capacity(cards.len());
    for card in cards {
        let before = all.iter_mut().find(|old| {
            old.until.is_some()
                && end(old) == begin(&card)
                && old.when == card.when
                && old.schedule == card.schedule
        });
        match before {
            Some(old) if same_offer(old, &card) => {
                *old = CardForm { from: old.from.take(), basis: old.basis, ..card };
            }
            _ => all.push(card),
        }
    }
    all
}

/// Whether the two cards are one offer. Where the earlier one is known by a commit to models.dev alone and only
/// lacks prices of the later one, it is the same offer, recorded in part.
fn same_offer(old: &CardForm, new: &CardForm) -> bool {
    const COMMIT: &str = "https://github.com/sst/models.dev/commit/";
    if !old.source.as_ref().is_some_and(|source| source.starts_with(COMMIT)) {
        return (&old.rates, &old.tiers, &old.multipliers)
            == (&new.rates, &new.tiers, &new.multipliers);
    }
    let rates = old.rates.iter().all(|(unit, price)| new.rates.get(unit) == Some(price));
    let tiers = old.tiers.iter().all(|tier| {
        let same =
            new.tiers.iter().find(|other| (other.above, other.from) == (tier.above, tier.from));
        same.is_some_and(|other| {
            tier.rates.iter().all(|(unit, price)| other.rates.get(unit) == Some(price))
        })
    });
    // Long contexts that were not priced apart before may be a change of the offer, and not of the record.
    let new_tiers = old.tiers.is_empty() && !new.tiers.is_empty();
    rates && tiers && !new_tiers && old.currency == new.currency
}

/// Prices as older tables show them, each from the day on which it was first seen; those of today come last.
fn observed(known: &Known<'_>, today: &[CardForm]) -> Vec<CardForm> {
    let mut periods: Vec<(Option<NaiveDate>, &[CardForm])> = Vec::new();
    let last_day = known.older.last().map(|(day, _)| *day);
    let older = known.older.iter().map(|(day, model)| (Some(*day), model.cards.as_slice()));
    let all = older.chain(std::iter::once((None, today))).filter(|(_, cards)| !cards.is_empty());
    for (day, cards) in all {
        match periods.last_mut() {
            // The same price, perhaps told in more of its parts.
            Some((_, last)) if same(last, cards) => *last = cards,
            // A table of today without a day follows the last older one.
            Some(_) => periods.push((day.or_else(|| checked(cards)).or(last_day), cards)),
            None => periods.push((None, cards)),
        }
    }
    if let [(None, only)] = periods[..] {
        return only.to_vec();
    }
    let mut dated = Vec::new();
    for (at, (from, cards)) in periods.iter().enumerate() {
        let until = periods.get(at + 1).and_then(|(from, _)| *from);
        if from.is_some() && *from == until {
            continue;
        }
        dated.extend(cards.iter().map(|card| CardForm {
            from: from.map(day_text),
            until: until.map(day_text),
            basis: if from.is_some() { Some(CardBasis::FirstObserved) } else { card.basis },
            ..undated(card)
        }));
    }
    dated
}

fn checked(cards: &[CardForm]) -> Option<NaiveDate> {
    cards.iter().find_map(|card| card.checked_on)
}

/// Whether two tables say the same of every price of the standard way of serving that both have.
fn same(one: &[CardForm], two: &[CardForm]) -> bool {
    fn standard(cards: &[CardForm]) -> Option<&CardForm> {
        cards.iter().find(|card| card.when.is_empty() && card.schedule.is_none())
    }
    match (standard(one), standard(two)) {
        (Some(one), Some(two)) => {
            let differs = |(unit, price): (&String, &Option<_>)| {
                two.rates.get(unit).is_some_and(|other| other != price)
            };
            !one.rates.iter().any(differs)
        }
        _ => one == two,
    }
}
