//! Reads the snapshot of model-prices: dated prices of the LLMs of those who make them.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc, Weekday};
use serde::Deserialize;
use serde_json::value::RawValue;
use taximeter_models::{CardBasis, Name, Unit};
use taximeter_pricing::form::{CardForm, ModelForm, Rates, TierForm};
use taximeter_pricing::{ModelStatus, Schedule, Selector, Selectors};

use crate::draft::Draft;
use crate::{Import, ImportError, NoteKind, Number, Origin, refuse};

const TABLE: &str = "the snapshot of model-prices";

/// By provider, LLM and way of serving, the intervals in their order.
type Prices<'t> = BTreeMap<String, BTreeMap<String, BTreeMap<String, Vec<Interval<'t>>>>>;

#[derive(Deserialize)]
struct Snapshot<'t> {
    #[serde(borrow)]
    prices: Prices<'t>,
    schedules: Schedules,
    status: BTreeMap<String, BTreeMap<String, String>>,
    aliases: Aliases,
    bases: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Interval<'t> {
    start: Option<DateTime<Utc>>,
    /// None where the LLM could not be had in this way.
    #[serde(borrow)]
    rates: Option<BTreeMap<&'t str, &'t RawValue>>,
}

#[derive(Deserialize)]
struct Aliases {
    models: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Schedules {
    schedule: Vec<Peaks>,
    holidays: BTreeMap<String, Holidays>,
}

#[derive(Deserialize)]
struct Holidays {
    dates: Vec<chrono::NaiveDate>,
}

/// Hours at which a factor holds.
#[derive(Deserialize)]
struct Peaks {
    provider: String,
    #[serde(default)]
    peak_hours_utc: Vec<(String, String)>,
    #[serde(default)]
    off_peak_hours_utc: Vec<(String, String)>,
    /// For all LLMs of the provider.
    peak_multiplier: Option<Number>,
    /// By LLM.
    off_peak_multiplier: Option<BTreeMap<String, Number>>,
    valid_from: DateTime<Utc>,
    valid_until: Option<DateTime<Utc>>,
    #[serde(default)]
    weekdays_only: bool,
    holidays: Option<String>,
}

/// Reads the snapshot.
///
/// An interval's prices hold from its beginning to that of the next one; those of the first one have always held.
/// `batch`, `flex`, `ultrafast` and `fast` become the selectors by which a call says how it was served, and hours at
/// which a factor holds become cards of their own.
///
/// # Errors
/// Where the text is not such a snapshot, or has a price field that is not known.
///
/// ```
/// use taximeter_pricing::PriceBook;
/// use taximeter_sources::{Origin, model_prices};
///
/// let origin = Origin { id: "model-prices".into(), version: None, url: None, checked_on: None };
/// let snapshot = |rates: &str| format!(
///     r#"{{"prices": {{"openai": {{"gpt-4o": {{"standard": [{{"start": null, "rates": {rates}}}]}}}}}},
///     "schedules": {{"schedule": [], "holidays": {{}}}}, "status": {{}}, "aliases": {{"models": {{}}}}, "bases": {{}}}}"#
/// );
/// let table = snapshot(r#"{"input": 2.5, "output": 10.0}"#);
/// let book = PriceBook::try_from(model_prices::read(&table, &origin)?.book)?;
/// assert!(book.find(Some("openai"), "gpt-4o").is_some());
///
/// assert!(model_prices::read(&snapshot(r#"{"input": 2.5, "smell": 1.0}"#), &origin).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read(text: &str, origin: &Origin) -> Result<Import, ImportError> {
    let snapshot: Snapshot<'_> =
        serde_json::from_str(text).map_err(|why| ImportError::Json { table: TABLE, why })?;
    let mut draft = Draft::default();
    for (provider, models) in &snapshot.prices {
        for (id, ways) in models {
            let mut model = ModelForm::new(provider, id);
            model.aliases = snapshot.other_names(provider, id);
            model.status = match snapshot
                .status
                .get(provider)
                .and_then(|known| known.get(id))
                .map(String::as_str)
            {
                Some("removed") => ModelStatus::Retired,
                Some("deprecated") => ModelStatus::Deprecated,
                _ => ModelStatus::Active,
            };
            for (way, intervals) in ways {
                model
                    .cards
                    .extend(snapshot.cards(provider, id, way, intervals, origin, &mut draft)?);
            }
            draft.add(model, None);
        }
    }
    draft.note(NoteKind::LeftOut, "estimates, plans", "neither is a price of tokens");
    Ok(draft.finish(origin))
}

impl Snapshot<'_> {
    /// The names that the snapshot leads to this LLM, where no LLM has them for itself.
    fn other_names(&self, provider: &str, id: &str) -> Vec<Name> {
        let target = format!("{provider}/{id}");
        let aliases = self.aliases.models.iter().filter(|(_, leads_to)| **leads_to == target);
        let bases =
            self.bases.get(provider).into_iter().flatten().filter(|(_, leads_to)| *leads_to == id);
        let names = aliases.chain(bases).map(|(name, _)| name.as_str());
        let own = &self.prices[provider];
        names.filter(|name| !own.contains_key(*name)).map(Name::from).collect()
    }

    /// The cards of one way of serving.
    fn cards(
        &self,
        provider: &str,
        id: &str,
        way: &str,
        intervals: &[Interval<'_>],
        origin: &Origin,
        draft: &mut Draft,
    ) -> Result<Vec<CardForm>, ImportError> {
        let mut cards = Vec::new();
        for (at, interval) in intervals.iter().enumerate() {
            let Some(fields) = &interval.rates else { continue };
            let place = format!("{provider}/{id} {way}");
            let offer = Offer::read(fields, &place, draft)?;
            // An interval of which no price is believed has no price.
            if offer.rates.is_empty() {
                continue;
            }
            let until = intervals.get(at + 1).and_then(|next| next.start);
            let card = CardForm {
                from: interval.start.map(written),
                until: until.map(written),
                when: served(provider, way),
                basis: Some(basis(fields, interval.start)),
                source: Some(text(fields, "source").map_or_else(|| origin.name(), Name::from)),
                checked_on: origin.checked_on,
                ..offer.card()
            };
            if way == "standard" {
                cards.extend(self.at_hours(
                    provider,
                    id,
                    &card,
                    (interval.start, until),
                    &offer,
                )?);
            }
            cards.push(card);
        }
        Ok(cards)
    }

    /// The cards for hours at which a factor holds, within an interval.
    fn at_hours(
        &self,
        provider: &str,
        id: &str,
        card: &CardForm,
        (start, until): (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
        offer: &Offer,
    ) -> Result<Vec<CardForm>, ImportError> {
        let mut cards = Vec::new();
        for peaks in self.schedules.schedule.iter().filter(|peaks| peaks.provider == provider) {
            let from = start.map_or(peaks.valid_from, |start| start.max(peaks.valid_from));
            let end = [until, peaks.valid_until].into_iter().flatten().min();
            if end.is_some_and(|end| end <= from) {
                continue;
            }
            for (factor, hours) in peaks.factors(id) {
                cards.push(CardForm {
                    from: Some(written(from)),
                    until: end.map(written),
                    schedule: Some(self.schedule(peaks, hours)?),
                    rates: offer.times(factor).card().rates,
                    tiers: offer.times(factor).card().tiers,
                    ..card.clone()
                });
            }
        }
        Ok(cards)
    }

    fn schedule(&self, peaks: &Peaks, hours: &[(String, String)]) -> Result<Schedule, ImportError> {
        const WORKDAYS: [Weekday; 5] =
            [Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri];
        let json =
            |why: String| ImportError::Json { table: TABLE, why: serde::de::Error::custom(why) };
        let windows =
            hours.iter().map(|(from, until)| format!("{from}-{until}").parse().map_err(json));
        // The hours that are known lie within one day in UTC and where the holiday is, so that a holiday there is one
        // of the same date here.
        let holidays =
            peaks.holidays.as_ref().and_then(|country| self.schedules.holidays.get(country));
        Ok(Schedule {
            windows: windows.collect::<Result<_, _>>()?,
            weekdays: if peaks.weekdays_only { WORKDAYS.to_vec() } else { Vec::new() },
            except: holidays.map(|holidays| holidays.dates.clone()).unwrap_or_default(),
        })
    }
}

impl Peaks {
    /// The factors of an LLM, with their hours.
    fn factors(&self, id: &str) -> impl Iterator<Item = (Number, &[(String, String)])> {
        let off_peak = self.off_peak_multiplier.as_ref().and_then(|by_model| by_model.get(id));
        let peak = self.peak_multiplier.map(|factor| (factor, self.peak_hours_utc.as_slice()));
        let off_peak = off_peak.map(|factor| (*factor, self.off_peak_hours_utc.as_slice()));
        peak.into_iter().chain(off_peak).filter(|(_, hours)| !hours.is_empty())
    }
}

/// What one interval says.
struct Offer {
    rates: BTreeMap<Unit, Number>,
    /// By the number of prompt tokens above which they begin.
    tiers: BTreeMap<u64, BTreeMap<Unit, Number>>,
}

impl Offer {
    fn read(
        fields: &BTreeMap<&str, &RawValue>,
        place: &str,
        draft: &mut Draft,
    ) -> Result<Self, ImportError> {
        let json = |why| ImportError::Json { table: TABLE, why };
        let mut tiers = BTreeMap::new();
        let mut multiple = None;
        let mut rates = BTreeMap::new();
        for (field, raw) in fields {
            match *field {
                "source" | "valid_from" | "valid_from_basis" | "model" => {}
                "cache_write_1h_multiple" => {
                    multiple = Some(serde_json::from_str(raw.get()).map_err(json)?);
                }
                "tiers" => {
                    let written: Vec<BTreeMap<String, Number>> =
                        serde_json::from_str(raw.get()).map_err(json)?;
                    for tier in written {
                        let (above, prices) = tier_prices(tier, place, draft)?;
                        tiers.insert(above, prices);
                    }
                }
                _ => {
                    let number = serde_json::from_str(raw.get()).map_err(json)?;
                    add(&mut rates, field, number, place, draft)?;
                }
            }
        }
        if let Some(multiple) = multiple {
            add_hour(&mut rates, multiple);
            for prices in tiers.values_mut() {
                add_hour(prices, multiple);
            }
        }
        let mut offer = Self { rates, tiers };
        offer.fill_below_tiers(place, draft);
        Ok(offer)
    }

    /// A card must have a price of what its tiers have one of. What goes through a cache without a price costs what
    /// input does, and that is written down; anything else is left out of the tiers.
    fn fill_below_tiers(&mut self, place: &str, draft: &mut Draft) {
        let Self { rates, tiers } = self;
        for cached in [Unit::CacheRead, Unit::CacheWrite] {
            let only_in_tiers = tiers.values().any(|prices| prices.contains_key(&cached))
                && !rates.contains_key(&cached);
            if only_in_tiers {
                add_as_input(rates, cached);
                for prices in tiers.values_mut() {
                    add_as_input(prices, cached);
                }
            }
        }
        for prices in tiers.values_mut() {
            for unit in prices.keys().filter(|unit| !rates.contains_key(unit)) {
                let why = format!("only a tier has a price of {unit}");
                draft.note(NoteKind::LeftOut, place, why);
            }
            prices.retain(|unit, _| rates.contains_key(unit));
        }
    }

    fn times(&self, factor: Number) -> Self {
        let times = |prices: &BTreeMap<Unit, Number>| {
            prices.iter().map(|(unit, number)| (*unit, number.times(factor))).collect()
        };
        let tiers = self.tiers.iter().map(|(above, prices)| (*above, times(prices))).collect();
        Self { rates: times(&self.rates), tiers }
    }

    fn card(&self) -> CardForm {
        let written = |prices: &BTreeMap<Unit, Number>| -> Rates {
            prices
                .iter()
                .map(|(unit, number)| (unit.as_str().to_owned(), Some(number.plain())))
                .collect()
        };
        let tiers = self.tiers.iter().map(|(above, prices)| TierForm {
            metric: "prompt_tokens".to_owned(),
            above: Some(*above),
            rates: written(prices),
            ..TierForm::default()
        });
        CardForm { rates: written(&self.rates), tiers: tiers.collect(), ..CardForm::default() }
    }
}

/// What has no price of its own costs what input does.
fn add_as_input(prices: &mut BTreeMap<Unit, Number>, unit: Unit) {
    if let Some(input) = prices.get(&Unit::Input).copied() {
        prices.entry(unit).or_insert(input);
    }
}

/// Writing to a cache that lives an hour costs a multiple of plain input.
fn add_hour(prices: &mut BTreeMap<Unit, Number>, multiple: Number) {
    if let Some(input) = prices.get(&Unit::Input) {
        let hour = input.times(multiple);
        prices.insert(Unit::CacheWrite1h, hour);
    }
}

fn tier_prices(
    mut tier: BTreeMap<String, Number>,
    place: &str,
    draft: &mut Draft,
) -> Result<(u64, BTreeMap<Unit, Number>), ImportError> {
    let unknown =
        || ImportError::UnknownField { table: TABLE, place: place.into(), field: "tiers".into() };
    let above =
        tier.remove("above").and_then(|above| u64::try_from(above.0).ok()).ok_or_else(unknown)?;
    let mut prices = BTreeMap::new();
    for (field, number) in tier {
        add(&mut prices, &field, number, place, draft)?;
    }
    Ok((above, prices))
}

fn add(
    prices: &mut BTreeMap<Unit, Number>,
    field: &str,
    number: Number,
    place: &str,
    draft: &mut Draft,
) -> Result<(), ImportError> {
    let unit = match field {
        "input" => Unit::Input,
        "output" => Unit::Output,
        "cache_read" => Unit::CacheRead,
        "cache_write" => Unit::CacheWrite,
        _ => {
            return Err(ImportError::UnknownField {
                table: TABLE,
                place: place.into(),
                field: field.into(),
            });
        }
    };
    if refuse::is_believed(unit, number, 1_000_000, place, draft) {
        prices.insert(unit, number);
    }
    Ok(())
}

/// The selector by which a call of this provider says that it was served in this way.
fn served(provider: &str, way: &str) -> Selectors {
    match (provider, way) {
        (_, "standard") => Selectors::new(),
        (_, "batch") => Selectors::new().batch(),
        ("anthropic", "fast") => Selectors::new().speed("fast"),
        (_, "fast" | "flex" | "ultrafast") => Selectors::new().service_tier(way),
        _ => Selectors::new().with(Selector::Mode, way),
    }
}

fn basis(fields: &BTreeMap<&str, &RawValue>, start: Option<DateTime<Utc>>) -> CardBasis {
    match text(fields, "valid_from_basis").as_deref() {
        _ if start.is_none() => CardBasis::Unknown,
        Some("documented") => CardBasis::Documented,
        Some("first observed") => CardBasis::FirstObserved,
        Some(_) => CardBasis::SourceCommit,
        None => CardBasis::Unknown,
    }
}

fn text(fields: &BTreeMap<&str, &RawValue>, field: &str) -> Option<String> {
    serde_json::from_str(fields.get(field)?.get()).ok()
}

fn written(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Secs, true)
}
