//! From entries with dates, hours and ways of serving to rate cards.

use chrono::NaiveDate;
use taximeter_models::CardBasis;
use taximeter_pricing::form::CardForm;
use taximeter_pricing::{Schedule, Selectors};

use super::rates;
use super::table::{Constraint, Model, Prices};
use crate::draft::Draft;
use crate::{ImportError, NoteKind, Origin};

/// All cards of an LLM: those for the usual way of serving, then those for others.
pub(super) fn of(
    model: &Model,
    place: &str,
    origin: &Origin,
    draft: &mut Draft,
) -> Result<Vec<CardForm>, ImportError> {
    let usual = periods(usual_entries(model, place, draft)?);
    let mut cards: Vec<CardForm> =
        usual.iter().filter_map(|period| period.card(&Selectors::new(), origin)).collect();
    for (when, entries) in variants(model, place, draft)? {
        for variant in periods(entries) {
            let merged = usual.iter().filter_map(|period| variant.over(period));
            cards.extend(merged.filter_map(|period| period.card(&when, origin)));
        }
    }
    Ok(cards)
}

/// Prices and when they hold; of several the last one that holds wins.
type Entries = Vec<(Option<Constraint>, Prices)>;

fn usual_entries(model: &Model, place: &str, draft: &mut Draft) -> Result<Entries, ImportError> {
    let mut entries = Entries::with_capacity(model.prices.len());
    for entry in &model.prices {
        entries.push((entry.constraint, usual_prices(&entry.prices, place, draft)?));
    }
    Ok(entries)
}

/// The prices of an entry. One whose every price is refused stays empty, and makes no card: it is not free.
fn usual_prices(prices: &Prices, place: &str, draft: &mut Draft) -> Result<Prices, ImportError> {
    if prices.is_empty() {
        if !place.ends_with(":free") {
            draft.note(NoteKind::Doubted, place, "it has no prices and is taken for free");
        }
        return Ok(rates::free());
    }
    let good = rates::judged(prices, place, draft)?;
    let Some(more) = rates::with_free_output(prices, &good) else { return Ok(good) };
    draft.note(NoteKind::Doubted, place, "only input has a price; output is taken for free");
    Ok(more)
}

/// The variants by their way of serving, in the order of their dates.
fn variants(
    model: &Model,
    place: &str,
    draft: &mut Draft,
) -> Result<Vec<(Selectors, Entries)>, ImportError> {
    let mut sorted: Vec<_> = model.price_variants.iter().collect();
    sorted.sort_by_key(|variant| variant.constraint.map(|since| since.start_date));
    let mut groups: Vec<(Selectors, Entries)> = Vec::new();
    for variant in sorted {
        let prices = rates::judged(&variant.prices, place, draft)?;
        if variant.when.is_empty() {
            // `service_tier: default` is the usual way, and says no more than that.
            if !prices.is_empty() {
                draft.note(NoteKind::LeftOut, place, "a variant for the usual way of serving");
            }
            continue;
        }
        if prices.len() < variant.prices.len() {
            // Half a variant would bill the rest of the call at the usual price.
            draft.note(NoteKind::LeftOut, place, "a variant of which a price was refused");
            continue;
        }
        let since = variant.constraint.map(|since| Constraint::Since(since.start_date));
        match groups.iter_mut().find(|(when, _)| *when == variant.when) {
            Some((_, entries)) => entries.push((since, prices)),
            None => groups.push((variant.when.clone(), vec![(since, prices)])),
        }
    }
    Ok(groups)
}

/// Prices and the days and hours at which no later entry replaces them.
#[derive(Debug)]
struct Period {
    from: Option<NaiveDate>,
    until: Option<NaiveDate>,
    schedule: Option<Schedule>,
    prices: Prices,
}

/// When each entry holds. Hours of the day go before an entry without any, in the table as in a book; so only
/// dates end an earlier entry.
fn periods(entries: Entries) -> Vec<Period> {
    let mut periods = Vec::with_capacity(entries.len());
    let mut until: Option<NaiveDate> = None;
    for (constraint, prices) in entries.into_iter().rev() {
        let (from, schedule) = match constraint {
            None => (None, None),
            Some(Constraint::Since(day)) => (Some(day), None),
            Some(Constraint::Daily(window)) => {
                (None, Some(Schedule { windows: vec![window], ..Schedule::default() }))
            }
        };
        let has_hours = schedule.is_some();
        let period = Period { from, until, schedule, prices };
        if period.is_ever() {
            periods.push(period);
        }
        if !has_hours {
            let Some(from) = from else { break };
            until = Some(until.map_or(from, |until| until.min(from)));
        }
    }
    periods.reverse();
    periods
}

impl Period {
    fn is_ever(&self) -> bool {
        self.from.zip(self.until).is_none_or(|(from, until)| from < until)
    }

    /// These prices in the place of some of the usual ones, while both hold.
    fn over(&self, usual: &Self) -> Option<Self> {
        let mut prices = usual.prices.clone();
        prices.extend(self.prices.clone());
        let both = Self {
            from: self.from.max(usual.from),
            until: [self.until, usual.until].into_iter().flatten().min(),
            schedule: usual.schedule.clone(),
            prices,
        };
        both.is_ever().then_some(both)
    }

    /// The card; none without any price.
    fn card(&self, when: &Selectors, origin: &Origin) -> Option<CardForm> {
        let card = CardForm {
            from: self.from.map(|day| day.to_string()),
            until: self.until.map(|day| day.to_string()),
            when: when.clone(),
            schedule: self.schedule.clone(),
            // The table's dates are those of changes to it, unless a comment says more.
            basis: self.from.map(|_| CardBasis::SourceCommit),
            source: Some(origin.name()),
            checked_on: origin.checked_on,
            rates: rates::base(&self.prices),
            tiers: rates::tiers(&self.prices),
            ..CardForm::default()
        };
        (!card.rates.is_empty()).then_some(card)
    }
}
