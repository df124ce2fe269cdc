//! The prices of today with those of yesterday before them.

use chrono::{DateTime, NaiveDate, Utc};
use taximeter_models::CardBasis;
use taximeter_pricing::Selectors;
use taximeter_pricing::form::{CardForm, ModelForm};

use super::choose::{Choice, Rule, Table};
use super::{Known, Shelf, day_text, moment, undated};

/// All cards of a name, by the table that was chosen for today.
pub(super) fn cards(known: &Known<'_>, choice: &Choice, shelf: &Shelf) -> Vec<CardForm> {
    let own = match choice.table {
        Table::ModelPrices => {
            return known.model_prices.map(|model| model.cards.clone()).unwrap_or_default();
        }
        Table::Older => return observed(known, &[]),
        Table::Genai => known.genai,
        Table::Litellm => known.litellm,
    };
    let Some(own) = own else { return Vec::new() };
    if let Some(dated) = known.model_prices.filter(|model| !model.cards.is_empty()) {
        return after(own, dated, choice, shelf);
    }
    let dated =
        known.genai.filter(|_| choice.table == Table::Litellm && choice.rule == Rule::Majority);
    match dated {
        _ if choice.table == Table::Genai => own.cards.clone(),
        Some(dated) if dated.cards.iter().any(|card| card.until.is_some()) => {
            after(own, dated, choice, shelf)
        }
        _ => observed(known, &own.cards),
    }
}

/// Prices of today behind those of a table that dates its own.
fn after(own: &ModelForm, dated: &ModelForm, choice: &Choice, shelf: &Shelf) -> Vec<CardForm> {
    let later = choice.rule == Rule::DatedLater;
    let mut cards: Vec<CardForm> = Vec::new();
    for card in own.cards.iter().filter(|card| !is_over(card, shelf.at)) {
        let mut card = card.clone();
        if !later && card.from.as_deref().and_then(moment).is_none_or(|from| from <= shelf.at) {
            if let Some(known) = open(dated, &card.when, shelf.at) {
                card.from.clone_from(&known.from);
                // Only who says the same price can say since when it holds.
                if choice.confirmed
                    || choice.table == Table::Litellm
                        && choice.rule == Rule::Majority
                        && dated.id == own.id
                {
                    card.basis = known.basis;
                    card.source.clone_from(&known.source);
                    card.checked_on = known.checked_on;
                }
            }
        } else if later && card.from.is_none() {
            card.from = own.cards.iter().filter_map(|other| other.from.clone()).max();
        }
        cards.push(card);
    }
    let begin = |when: &Selectors| {
        let froms = cards
            .iter()
            .filter(|card| card.when == *when)
            .map(|card| card.from.as_deref().and_then(moment));
        froms.min()
    };
    let mut before = Vec::new();
    for old in &dated.cards {
        match begin(&old.when) {
            // The table of today does not know this way of serving.
            None => before.push(old.clone()),
            // It has always cost what it costs today.
            Some(None) => {}
            Some(Some(begin)) => before.extend(ended(old, begin)),
        }
    }
    before.extend(cards);
    before
}

/// The card of that way of serving that holds today, whatever the hour.
fn open<'t>(model: &'t ModelForm, when: &Selectors, at: DateTime<Utc>) -> Option<&'t CardForm> {
    let holds = |card: &&CardForm| {
        !is_over(card, at) && card.from.as_deref().and_then(moment).is_none_or(|from| from <= at)
    };
    let of = |when: &Selectors| {
        model.cards.iter().filter(holds).find(|card| card.when == *when && card.schedule.is_none())
    };
    of(when).or_else(|| of(&Selectors::new()))
}

fn is_over(card: &CardForm, at: DateTime<Utc>) -> bool {
    card.until.as_deref().and_then(moment).is_some_and(|until| until <= at)
}

/// An old card that ends, at the latest, when the prices of today begin; none where nothing is left of it.
fn ended(old: &CardForm, begin: DateTime<Utc>) -> Option<CardForm> {
    if old.from.as_deref().and_then(moment).is_some_and(|from| from >= begin) {
        return None;
    }
    let mut old = old.clone();
    if old.until.as_deref().and_then(moment).is_none_or(|until| until > begin) {
        old.until = Some(begin.to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
    }
    Some(old)
}

/// Prices as older tables show them, each from the day on which it was first seen; those of today come last.
fn observed(known: &Known<'_>, today: &[CardForm]) -> Vec<CardForm> {
    let mut periods: Vec<(Option<NaiveDate>, &[CardForm])> = Vec::new();
    let older = known.older.iter().map(|(day, model)| (Some(*day), model.cards.as_slice()));
    let all = older.chain(std::iter::once((None, today))).filter(|(_, cards)| !cards.is_empty());
    for (day, cards) in all {
        match periods.last_mut() {
            // The same price, perhaps told in more of its parts.
            Some((_, last)) if same(last, cards) => *last = cards,
            Some(_) => periods.push((day.or_else(|| checked(cards)), cards)),
            None => periods.push((None, cards)),
        }
    }
    let mut dated = Vec::new();
    for (at, (from, cards)) in periods.iter().enumerate() {
        let until = periods.get(at + 1).and_then(|(from, _)| *from);
        if from.is_some() && from == &until {
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
