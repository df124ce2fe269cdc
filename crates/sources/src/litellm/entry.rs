//! The fields of one LLM, as its rate cards.

use std::collections::BTreeMap;

use chrono::Weekday;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use taximeter_models::{CardBasis, Unit};
use taximeter_pricing::form::{CardForm, MultiplierForm, PriceForm, Rates, TierForm, usual_per};
use taximeter_pricing::{Schedule, Selector, Selectors, Window};

use super::field::{self, Above, Mode};
use super::{Fields, TABLE, place, text};
use crate::draft::Draft;
use crate::{ImportError, NoteKind, Number, Origin, refuse};

/// Prices of one way of serving: those of the smallest size under none, those of tiers under their bound.
type Sized = BTreeMap<Option<Above>, BTreeMap<Unit, Number>>;
/// How a call was served: the standard way under none.
type Served = Option<(&'static str, String)>;

/// All cards of an LLM.
pub(super) fn cards(
    key: &str,
    fields: &Fields<'_>,
    origin: &Origin,
    draft: &mut Draft,
) -> Result<Vec<CardForm>, ImportError> {
    let mut served = prices(key, fields, draft)?;
    let mut entry = Entry {
        key,
        fields,
        origin,
        from_bound: starts_at_its_bound(fields),
        multipliers: Vec::new(),
    };
    entry.nested(&mut served, draft)?;
    let standard = served.remove(&None).unwrap_or_default();
    let mut cards = vec![entry.card(&standard)];
    cards.extend(entry.off_peak(&standard, draft)?);
    for (when, own) in &served {
        let mut card = entry.card(&over(&standard, own));
        if let Some((selector, value)) = when {
            card.when = Selectors::new().with(Selector::from(*selector), value);
        }
        cards.push(card);
    }
    // What has prices of tiers only, or none that is believed, makes no card.
    cards.retain(|card| !card.rates.is_empty());
    Ok(cards)
}

/// xAI's tiers begin with their bound, all others' above it.
fn starts_at_its_bound(fields: &Fields<'_>) -> bool {
    text(fields, "litellm_provider").is_some_and(|label| label == "xai")
}

/// The prices that stand in fields of their own.
fn prices(
    key: &str,
    fields: &Fields<'_>,
    draft: &mut Draft,
) -> Result<BTreeMap<Served, Sized>, ImportError> {
    let mode = text(fields, "mode").unwrap_or_default();
    let mode =
        Mode { mode: &mode, prices_output_images: fields.contains_key("output_cost_per_image") };
    let mut served: BTreeMap<Served, Sized> = BTreeMap::new();
    let mut legacy = Vec::new();
    for (name, raw) in fields {
        let Some(field) = field::parse(name, mode) else {
            pass_over(key, name, raw, draft)?;
            continue;
        };
        let number: Number = match serde_json::from_str(raw.get()) {
            Ok(number) => number,
            // A price that is null is not published.
            Err(_) if raw.get() == "null" => continue,
            Err(why) => return Err(ImportError::Json { table: TABLE, why }),
        };
        let number = mended(key, number, place(key, name).as_str(), draft);
        if !refuse::is_believed(field.unit, number, 1, place(key, name).as_str(), draft) {
            continue;
        }
        let place = served.entry(field.when).or_default().entry(field.above).or_default();
        if field.legacy {
            legacy.push((field.unit, number));
        } else if let Some(other) = place.insert(field.unit, number)
            && other != number
            && !(number.is_zero() || other.is_zero())
        {
            draft.note(
                NoteKind::Doubted,
                super::place(key, name).as_str(),
                format!("{} has two prices, {other} and {number}", field.unit),
            );
        }
    }
    if let Some(standard) = served.get_mut(&None) {
        for (unit, number) in legacy {
            standard.entry(None).or_default().entry(unit).or_insert(number);
        }
    }
    bill_no_output(mode, &mut served);
    Ok(served)
}

/// A price of Weights & Biases as it was meant: versions of the table up to 1.90.3 have most of them 100,000 times too
/// high (BerriAI/litellm issue 23503), and later versions the same digits in the right place.
fn mended(key: &str, number: Number, place: &str, draft: &mut Draft) -> Number {
    let (dearest, factor) = (Number(Decimal::new(1, 3)), Number(Decimal::new(1, 5)));
    if !key.starts_with("wandb/") || number < dearest {
        return number;
    }
    draft.note(NoteKind::Doubted, place, format!("{number} is taken for {}", number.times(factor)));
    number.times(factor)
}

/// What embeds, ranks or moderates has no output that is billed, where the table says nothing else.
fn bill_no_output(mode: Mode<'_>, served: &mut BTreeMap<Served, Sized>) {
    if !matches!(mode.mode, "embedding" | "rerank" | "moderation") {
        return;
    }
    for sized in served.values_mut() {
        if let Some(smallest) = sized.get_mut(&None)
            && smallest.contains_key(&Unit::Input)
        {
            smallest.entry(Unit::Output).or_insert(Number::ZERO);
        }
    }
}

/// Fields without a plain price: known ones of another shape, known ones without a meaning here, and others, which
/// must not look like a price.
fn pass_over(key: &str, name: &str, raw: &RawValue, draft: &mut Draft) -> Result<(), ImportError> {
    const NESTED: [&str; 8] = [
        "tiered_pricing",
        "off_peak_pricing",
        "search_context_cost_per_query",
        "guardrail_cost_per_unit",
        "provider_specific_entry",
        "regional_endpoint_uplift_multiplier",
        "regional_processing_uplift_multiplier_eu",
        "regional_processing_uplift_multiplier_us",
    ];
    if NESTED.contains(&name) || !field::looks_like_a_price(name) || raw.get() == "null" {
        return Ok(());
    }
    match field::no_price(name) {
        Some(why) => draft.note(NoteKind::LeftOut, place(key, name).as_str(), why),
        None => {
            return Err(ImportError::UnknownField {
                table: TABLE,
                place: key.into(),
                field: name.into(),
            });
        }
    }
    Ok(())
}

/// The prices of a way of serving, laid over the standard ones, size by size.
fn over(standard: &Sized, own: &Sized) -> Sized {
    let mut all = standard.clone();
    for (above, prices) in own {
        all.entry(*above).or_default().extend(prices.iter().map(|(unit, number)| (*unit, *number)));
    }
    all
}

/// One LLM while its cards are made.
struct Entry<'e> {
    key: &'e str,
    fields: &'e Fields<'e>,
    origin: &'e Origin,
    /// Whether tiers begin with their bound, and not above it.
    from_bound: bool,
    multipliers: Vec<MultiplierForm>,
}

impl Entry<'_> {
    /// The prices that stand in lists and objects.
    fn nested(
        &mut self,
        served: &mut BTreeMap<Served, Sized>,
        draft: &mut Draft,
    ) -> Result<(), ImportError> {
        self.tiers(served.entry(None).or_default(), draft)?;
        if let Some(by_size) = self.object("search_context_cost_per_query")? {
            for (size, number) in by_size {
                let size = size.trim_start_matches("search_context_size_");
                let when = (size != "medium").then(|| ("search_context_size", size.to_owned()));
                self.put(served, when, Unit::WebSearch, number, draft);
            }
            drop_what_is_standard(served);
        }
        if let Some(by_policy) = self.object("guardrail_cost_per_unit")? {
            for (policy, number) in by_policy {
                self.put(
                    served,
                    Some(("policy", policy.to_ascii_lowercase())),
                    Unit::GuardrailUnit,
                    number,
                    draft,
                );
            }
        }
        self.factors(draft)
    }

    fn put(
        &self,
        served: &mut BTreeMap<Served, Sized>,
        when: Served,
        unit: Unit,
        number: Number,
        draft: &mut Draft,
    ) {
        if refuse::is_believed(unit, number, 1, self.key, draft) {
            served.entry(when).or_default().entry(None).or_default().insert(unit, number);
        }
    }

    fn parsed<T: DeserializeOwned>(&self, field: &str) -> Result<Option<T>, ImportError> {
        let Some(raw) = self.fields.get(field) else { return Ok(None) };
        serde_json::from_str(raw.get()).map_err(|why| ImportError::Json { table: TABLE, why })
    }

    fn object(&self, field: &str) -> Result<Option<BTreeMap<String, Number>>, ImportError> {
        self.parsed(field)
    }

    /// `tiered_pricing`: prices by a range of prompt tokens, or of results that are asked for.
    fn tiers(&self, standard: &mut Sized, draft: &mut Draft) -> Result<(), ImportError> {
        let tiers: Option<Vec<BTreeMap<String, Box<RawValue>>>> = self.parsed("tiered_pricing")?;
        let mode = text(self.fields, "mode").unwrap_or_default();
        let mode = Mode { mode: &mode, prices_output_images: false };
        for tier in tiers.into_iter().flatten() {
            let mut above = None;
            let mut prices = BTreeMap::new();
            for (name, raw) in &tier {
                let json = |why| ImportError::Json { table: TABLE, why };
                if name == "range" || name == "max_results_range" {
                    let (begin, _): (Number, Number) =
                        serde_json::from_str(raw.get()).map_err(json)?;
                    above = Above::begin(name == "range", begin);
                    continue;
                }
                let field = field::parse(name, mode).ok_or_else(|| ImportError::UnknownField {
                    table: TABLE,
                    place: self.key.into(),
                    field: format!("tiered_pricing.{name}"),
                })?;
                let number: Number = serde_json::from_str(raw.get()).map_err(json)?;
                if refuse::is_believed(field.unit, number, 1, self.key, draft) {
                    prices.insert(field.unit, number);
                }
            }
            standard.entry(above).or_default().extend(prices);
        }
        Ok(())
    }

    /// Factors for regions and speeds.
    fn factors(&mut self, draft: &mut Draft) -> Result<(), ImportError> {
        const UPLIFTS: [(&str, Selector, &str); 3] = [
            ("regional_processing_uplift_multiplier_eu", Selector::Region, "eu"),
            ("regional_processing_uplift_multiplier_us", Selector::Region, "us"),
            ("regional_endpoint_uplift_multiplier", Selector::Endpoint, "regional"),
        ];
        let mut factors = Vec::new();
        for (field, selector, value) in UPLIFTS {
            if let Some(number) = self.parsed::<Number>(field)? {
                factors.push((selector, value, number));
            }
        }
        let entries: Option<BTreeMap<String, Box<RawValue>>> =
            self.parsed("provider_specific_entry")?;
        for (name, raw) in entries.into_iter().flatten() {
            let selector = match name.as_str() {
                "us" => (Selector::Region, "us"),
                "fast" => (Selector::Speed, "fast"),
                _ => {
                    let field = format!("provider_specific_entry.{name}");
                    // Any other number may be a factor that is not known.
                    let is_number = serde_json::from_str::<Number>(raw.get()).is_ok();
                    if is_number && name != "minimax_free_input_images" {
                        return Err(ImportError::UnknownField {
                            table: TABLE,
                            place: self.key.into(),
                            field,
                        });
                    }
                    draft.note(
                        NoteKind::LeftOut,
                        place(self.key, &field).as_str(),
                        "it is no price",
                    );
                    continue;
                }
            };
            let number = serde_json::from_str(raw.get())
                .map_err(|why| ImportError::Json { table: TABLE, why })?;
            factors.push((selector.0, selector.1, number));
        }
        for (selector, value, number) in factors {
            let Some((num, den)) = number.as_fraction() else { continue };
            let when = Selectors::new().with(selector, value);
            self.multipliers.push(MultiplierForm { when, num, den, units: Vec::new() });
        }
        Ok(())
    }

    /// `off_peak_pricing`: other prices at some hours, each set of hours a card.
    fn off_peak(&self, standard: &Sized, draft: &mut Draft) -> Result<Vec<CardForm>, ImportError> {
        let Some(parts) = self.parsed::<BTreeMap<String, Box<RawValue>>>("off_peak_pricing")?
        else {
            return Ok(Vec::new());
        };
        let json = |why| ImportError::Json { table: TABLE, why };
        let mode = Mode { mode: "", prices_output_images: false };
        let mut prices = BTreeMap::new();
        let mut windows: Vec<Hours> = Vec::new();
        for (name, raw) in &parts {
            match (name.as_str(), field::parse(name, mode)) {
                ("windows", _) => windows = serde_json::from_str(raw.get()).map_err(json)?,
                // The hours are in UTC and so are the days here; the windows that are known come out the same.
                ("weekday_timezone", _) => {
                    draft.note(
                        NoteKind::Doubted,
                        place(self.key, name).as_str(),
                        "weekdays are taken in UTC",
                    );
                }
                (_, Some(field)) => {
                    let number: Number = serde_json::from_str(raw.get()).map_err(json)?;
                    if refuse::is_believed(field.unit, number, 1, self.key, draft) {
                        prices.insert(field.unit, number);
                    }
                }
                _ => {
                    let field = format!("off_peak_pricing.{name}");
                    return Err(ImportError::UnknownField {
                        table: TABLE,
                        place: self.key.into(),
                        field,
                    });
                }
            }
        }
        let own = over(standard, &Sized::from([(None, prices)]));
        let cards = windows.into_iter().map(|hours| {
            let schedule = hours.schedule().map_err(|why| ImportError::Json {
                table: TABLE,
                why: serde::de::Error::custom(format!("{}: off_peak_pricing: {why}", self.key)),
            })?;
            Ok(CardForm { schedule: Some(schedule), ..self.card(&own) })
        });
        cards.collect()
    }

    /// A card with these prices.
    fn card(&self, sized: &Sized) -> CardForm {
        let nothing = BTreeMap::new();
        let smallest = sized.get(&None).unwrap_or(&nothing);
        let tiers = sized.iter().filter_map(|(above, prices)| {
            // What only a tier has a price for has none below it.
            let rates = prices.iter().filter(|(unit, _)| smallest.contains_key(unit));
            let rates: Rates = rates.map(|(unit, number)| price(*unit, *number)).collect();
            let (metric, bound) = (*above)?.metric();
            let (above, from) =
                if self.from_bound { (None, Some(bound)) } else { (Some(bound), None) };
            (!rates.is_empty()).then_some(TierForm {
                metric: metric.to_owned(),
                above,
                from,
                marginal: false,
                rates,
            })
        });
        CardForm {
            basis: Some(CardBasis::Unknown),
            source: Some(self.origin.name()),
            checked_on: self.origin.checked_on,
            rates: smallest.iter().map(|(unit, number)| price(*unit, *number)).collect(),
            tiers: tiers.collect(),
            multipliers: self.multipliers.clone(),
            ..CardForm::default()
        }
    }
}

/// A way of serving that costs just what the standard one does needs no card.
fn drop_what_is_standard(served: &mut BTreeMap<Served, Sized>) {
    let standard = served.get(&None).cloned().unwrap_or_default();
    served.retain(|when, own| when.is_none() || over(&standard, own) != standard);
}

/// The price of a unit by its usual number; the table gives that of one, or of a second.
fn price(unit: Unit, number: Number) -> (String, Option<PriceForm>) {
    let form = match unit {
        _ if usual_per(unit) == 1_000_000 => number.times_ten_to(6).plain(),
        _ if unit.as_str().ends_with("_ms") => number.per(1_000),
        _ => number.plain(),
    };
    (unit.as_str().to_owned(), Some(form))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hours {
    hours_utc: OneOrMore,
    #[serde(default)]
    weekdays: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl Hours {
    fn schedule(self) -> Result<Schedule, String> {
        let texts = match self.hours_utc {
            OneOrMore::One(text) => vec![text],
            OneOrMore::More(texts) => texts,
        };
        // From midnight to midnight is the whole day, which needs no window.
        let parts = texts.iter().filter(|text| *text != "00:00-00:00");
        let windows = parts.map(|text| text.parse::<Window>()).collect::<Result<_, _>>()?;
        let day = |number: &u8| {
            let monday_is_0 = number.checked_sub(1).ok_or("weekdays count from 1, Monday")?;
            Weekday::try_from(monday_is_0).map_err(|_| "weekdays count to 7, Sunday".to_owned())
        };
        let weekdays = self.weekdays.iter().map(day).collect::<Result<_, String>>()?;
        Ok(Schedule { windows, weekdays, except: Vec::new() })
    }
}
