//! From the table's price fields to prices of units, and what is refused or doubted on the way.

use std::collections::BTreeSet;

use rust_decimal::Decimal;
use taximeter_models::Unit;
use taximeter_pricing::form::{PriceForm, Rates, TierForm, usual_per};

use super::TABLE;
use super::table::{Price, Prices};
use crate::draft::Draft;
use crate::{ImportError, NoteKind, Number, refuse};

/// Every price field with its unit, and how many of it the price is for; none for a million, which is the usual
/// number of tokens and characters. Hours become milliseconds.
const FIELDS: &[(&str, Unit, Option<u64>)] = &[
    (INPUT, Unit::Input, None),
    (OUTPUT, Unit::Output, None),
    ("cache_read_mtok", Unit::CacheRead, None),
    ("cache_write_mtok", Unit::CacheWrite, None),
    ("cache_write_5m_mtok", Unit::CacheWrite5m, None),
    ("cache_write_1h_mtok", Unit::CacheWrite1h, None),
    ("input_audio_mtok", Unit::InputAudio, None),
    ("output_audio_mtok", Unit::OutputAudio, None),
    ("cache_audio_read_mtok", Unit::CacheReadAudio, None),
    ("cache_audio_write_mtok", Unit::CacheWriteAudio, None),
    ("input_image_mtok", Unit::InputImage, None),
    ("output_image_mtok", Unit::OutputImage, None),
    ("cache_image_read_mtok", Unit::CacheReadImage, None),
    ("input_video_mtok", Unit::InputVideo, None),
    ("output_video_mtok", Unit::OutputVideo, None),
    ("cache_video_read_mtok", Unit::CacheReadVideo, None),
    ("output_reasoning_mtok", Unit::Reasoning, None),
    ("output_citation_mtok", Unit::Citation, None),
    ("input_mchars", Unit::InputCharacter, None),
    ("web_searches_kcount", Unit::WebSearch, Some(THOUSAND)),
    ("storage_searches_kcount", Unit::StorageSearch, Some(THOUSAND)),
    ("rerank_searches_kcount", Unit::RerankQuery, Some(THOUSAND)),
    ("requests_kcount", Unit::Request, Some(THOUSAND)),
    ("input_text_messages_kcount", Unit::TextMessage, Some(THOUSAND)),
    ("input_document_kpages", Unit::Page, Some(THOUSAND)),
    ("input_annotated_document_kpages", Unit::AnnotatedPage, Some(THOUSAND)),
    ("audio_hours", Unit::AudioMillisecond, Some(HOUR)),
    ("input_audio_hours", Unit::InputAudioMillisecond, Some(HOUR)),
    ("output_audio_hours", Unit::OutputAudioMillisecond, Some(HOUR)),
];

const INPUT: &str = "input_mtok";
const OUTPUT: &str = "output_mtok";
const THOUSAND: u64 = 1_000;
/// The milliseconds of an hour.
const HOUR: u64 = 3_600_000;

/// The prices that can be right, with notes about the others. A price goes with all of its tiers: without the
/// dearer tier a large request would look cheap.
pub(super) fn judged(
    prices: &Prices,
    place: &str,
    draft: &mut Draft,
) -> Result<Prices, ImportError> {
    let mut good = Prices::new();
    for (field, price) in prices {
        let (unit, per) = unit_of(field, place)?;
        let at = format!("{place} {field}");
        if let Some(why) = price.amounts().find_map(|amount| refuse::refusal(unit, amount, per)) {
            draft.note(NoteKind::Refused, at, why);
            continue;
        }
        if let Some(long) = price.amounts().find(|it| it.significant_digits() > refuse::DIGITS) {
            draft.note(NoteKind::Doubted, at, format!("{long} has the digits of a float"));
        }
        good.insert(field.clone(), price.clone());
    }
    Ok(good)
}

/// The unit of a field, and how many of it the price is for.
fn unit_of(field: &str, place: &str) -> Result<(Unit, u64), ImportError> {
    let known = FIELDS.iter().find(|(name, ..)| *name == field);
    let unknown = || ImportError::UnknownField {
        table: TABLE,
        place: place.to_owned(),
        field: field.to_owned(),
    };
    let (_, unit, per) = known.ok_or_else(unknown)?;
    Ok((*unit, per.unwrap_or(usual_per(*unit))))
}

/// The prices for requests of any size, by unit.
pub(super) fn base(prices: &Prices) -> Rates {
    rates(prices, |price| Some(price.base))
}

/// The prices for large requests. Each tier names the prices of all units that have reached one, since a request
/// is billed by one tier alone.
pub(super) fn tiers(prices: &Prices) -> Vec<TierForm> {
    let starts: BTreeSet<u64> =
        prices.values().flat_map(|price| &price.tiers).map(|tier| tier.start).collect();
    let tier = |start| TierForm {
        metric: "prompt_tokens".to_owned(),
        above: Some(start),
        rates: rates(prices, |price| reached(price, start)),
        ..TierForm::default()
    };
    starts.into_iter().map(tier).collect()
}

/// The price in the highest tier that begins no later.
fn reached(price: &Price, start: u64) -> Option<Number> {
    price.tiers.iter().rfind(|tier| tier.start <= start).map(|tier| tier.price)
}

fn rates(prices: &Prices, choose: impl Fn(&Price) -> Option<Number>) -> Rates {
    let rate = |(field, unit, per): &(&str, Unit, Option<u64>)| {
        let amount = choose(prices.get(*field)?)?;
        Some((unit.as_str().to_owned(), Some(form(amount, *per))))
    };
    FIELDS.iter().filter_map(rate).collect()
}

fn form(amount: Number, per: Option<u64>) -> PriceForm {
    per.map_or_else(|| amount.plain(), |per| amount.per(per))
}

/// The prices of an LLM that the table has without any: it is free.
pub(super) fn free() -> Prices {
    [INPUT, OUTPUT].map(|field| (field.to_owned(), zero())).into()
}

/// What of these prices is `good`, and a free output where only input is billed: so the table writes of embeddings,
/// rerankers and classifiers. None where that is not so.
pub(super) fn with_free_output(prices: &Prices, good: &Prices) -> Option<Prices> {
    let has_output = prices.keys().any(|field| field.starts_with("output_"));
    let mut more = good.clone();
    more.insert(OUTPUT.to_owned(), zero());
    (good.contains_key(INPUT) && !has_output).then_some(more)
}

fn zero() -> Price {
    Price::flat(Number(Decimal::ZERO))
}
