//! From a book to the table.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use taximeter_models::{Currency, Money, Name, Unit};

use super::record::{
    BASES, FIRST_DAY, Head, PackedCard, PackedDay, PackedModel, PackedMoney, PackedMultiplier,
    PackedOffer, PackedPrice, PackedProvider, PackedSchedule, PackedSource, PackedTier, STATUSES,
};
use super::{ALIAS, hash};
use crate::form::usual_per;
use crate::{
    BookError, Model, Multiplier, PriceBook, Provider, RateCard, Schedule, Selectors, Source, Tier,
    TierBound, TierMetric, TierScope, UnitPrice,
};

/// The bytes of a book.
///
/// # Errors
/// Where the book is too large for the numbers of the table.
pub(crate) fn pack(book: &PriceBook) -> Result<Vec<u8>, BookError> {
    let mut packer = Packer::default();
    packer.add_texts(book);
    packer.models(book)?;
    packer.write(book)
}

#[derive(Default)]
struct Packer {
    text: String,
    /// Where a text, or a part of one that stands between separators, lies in the pool.
    placed: HashMap<String, usize>,
    names: Vec<u8>,
    /// The text of each name.
    named: Vec<String>,
    records: Vec<Vec<u8>>,
    offers: Shared<Vec<u8>>,
    offer_bytes: Vec<u8>,
    read_at: Shared<Name>,
    whens: Shared<Vec<(Name, Name)>>,
    schedules: Vec<PackedSchedule>,
}

/// Things that are kept once, by their number.
#[derive(Default)]
struct Shared<T> {
    numbers: BTreeMap<T, usize>,
    all: Vec<T>,
}

impl<T: Ord + Clone> Shared<T> {
    fn number(&mut self, thing: T) -> usize {
        if let Some(number) = self.numbers.get(&thing) {
            return *number;
        }
        self.numbers.insert(thing.clone(), self.all.len());
        self.all.push(thing);
        self.all.len() - 1
    }
}

impl Packer {
    /// Lays all names into the pool, the longest first, so that a name that is a part of another one needs no room.
    fn add_texts(&mut self, book: &PriceBook) {
        let mut texts: Vec<&str> = book.models().flat_map(Model::names).collect();
        texts.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
        for text in texts {
            if self.placed.contains_key(text) {
                continue;
            }
            let begin = self.text.len();
            self.text.push_str(text);
            let separator = |(at, byte): (usize, u8)| b"/.:@-_".contains(&byte).then_some(at);
            let cuts: Vec<usize> = text.bytes().enumerate().filter_map(separator).collect();
            let begins = std::iter::once(0).chain(cuts.iter().map(|cut| cut + 1));
            for from in begins {
                let ends = cuts.iter().copied().filter(|cut| *cut > from);
                for until in ends.chain(std::iter::once(text.len())) {
                    self.placed.entry(text[from..until].to_owned()).or_insert(begin + from);
                }
            }
        }
    }

    /// Packs the LLMs, by provider.
    fn models(&mut self, book: &PriceBook) -> Result<(), BookError> {
        for (provider, described) in book.providers().enumerate() {
            for model in book.models().filter(|model| model.provider == described.id) {
                let packed = self.model(model, provider)?;
                self.records.push(bytes(&packed)?);
            }
        }
        Ok(())
    }

    fn model(&mut self, model: &Model, provider: usize) -> Result<PackedModel, BookError> {
        let first = self.named.len();
        let number = small(self.records.len(), "LLMs")?;
        if number >= ALIAS {
            return Err(too_large("LLMs"));
        }
        for (at, name) in model.names().enumerate() {
            let begin = u32::try_from(self.placed.get(name).copied().unwrap_or_default());
            let begin =
                begin.ok().filter(|begin| *begin < 1 << 24).ok_or_else(|| too_large("texts"))?;
            let length = u8::try_from(name.len()).map_err(|_| too_large("letters in a name"))?;
            self.names.extend(&begin.to_le_bytes()[..3]);
            self.names.push(length);
            self.names.extend(small(provider, "providers")?.to_le_bytes());
            self.names.extend((number | if at > 0 { ALIAS } else { 0 }).to_le_bytes());
            self.named.push(name.to_owned());
        }
        let cards = model.cards.iter().map(|card| self.card(card));
        let cards = cards.collect::<Result<_, _>>()?;
        Ok(PackedModel {
            name: small(first, "names")?,
            names: small(self.named.len() - first, "names")?,
            patterns: model.patterns.clone(),
            dated_ids: model.dated_ids,
            status: place(&STATUSES, &model.status)?,
            retired_at: model.retired_at.map(packed_day).transpose()?,
            cards,
        })
    }

    fn card(&mut self, card: &RateCard) -> Result<PackedCard, BookError> {
        let schedule = match &card.schedule {
            Some(schedule) => self.schedule(schedule)?,
            None => 0,
        };
        Ok(PackedCard {
            from: card.from.map(seconds).transpose()?,
            until: card.until.map(seconds).transpose()?,
            when: self.when(&card.when)?,
            schedule,
            basis: place(&BASES, &card.reference.basis)?,
            read_at: small(self.read_at.number(card.reference.source.clone()), "sources")?,
            checked_on: card.reference.checked_on.map(packed_day).transpose()?,
            offer: self.offer(card)?,
        })
    }

    fn when(&mut self, when: &Selectors) -> Result<u16, BookError> {
        let pairs = when.iter().map(|(key, value)| (Name::from(key.as_str()), Name::from(value)));
        small(self.whens.number(pairs.collect()), "conditions")
    }

    fn schedule(&mut self, schedule: &Schedule) -> Result<u16, BookError> {
        let packed = PackedSchedule(
            schedule.windows.iter().map(|window| String::from(*window)).collect(),
            schedule
                .weekdays
                .iter()
                .map(|day| day.num_days_from_monday().to_le_bytes()[0])
                .collect(),
            schedule.except.iter().map(|day| packed_day(*day)).collect::<Result<_, _>>()?,
        );
        let known = self.schedules.iter().position(|known| *known == packed);
        let at = known.unwrap_or_else(|| {
            self.schedules.push(packed);
            self.schedules.len() - 1
        });
        small(at + 1, "schedules")
    }

    /// Where the card's prices lie among those that are shared.
    fn offer(&mut self, card: &RateCard) -> Result<u32, BookError> {
        let offer = PackedOffer {
            currency: (card.currency != Currency::USD).then(|| card.currency.to_string()),
            rates: packed_prices(&card.rates)?,
            tiers: card.tiers.iter().map(packed_tier).collect::<Result<_, _>>()?,
            multipliers: card
                .multipliers
                .iter()
                .map(|factor| self.multiplier(factor))
                .collect::<Result<_, _>>()?,
            minimums: card
                .minimums
                .iter()
                .map(|minimum| Ok((packed_unit(minimum.unit)?, minimum.quantity)))
                .collect::<Result<_, BookError>>()?,
        };
        let packed = bytes(&offer)?;
        if let Some(begin) = self.offers.numbers.get(&packed) {
            return u32::try_from(*begin).map_err(|_| too_large("prices"));
        }
        let begin = self.offer_bytes.len();
        self.offer_bytes.extend(&packed);
        self.offers.numbers.insert(packed, begin);
        u32::try_from(begin).map_err(|_| too_large("prices"))
    }

    fn multiplier(&mut self, factor: &Multiplier) -> Result<PackedMultiplier, BookError> {
        Ok(PackedMultiplier {
            when: self.when(&factor.when)?,
            num: factor.num,
            den: factor.den,
            units: factor.units.iter().map(|unit| packed_unit(*unit)).collect::<Result<_, _>>()?,
        })
    }

    /// The hash table: numbers of names, from 1, at the first free slot from the one of their hash.
    fn slots(&self) -> Result<Vec<u8>, BookError> {
        let count = (self.named.len() * 4 / 3 + 1).next_power_of_two();
        let mut slots = vec![0_u16; count];
        for (at, name) in self.named.iter().enumerate() {
            let mut slot = hash(name.as_bytes()) & (count - 1);
            while slots[slot] != 0 {
                slot = (slot + 1) & (count - 1);
            }
            slots[slot] = small(at + 1, "names")?;
        }
        Ok(slots.into_iter().flat_map(u16::to_le_bytes).collect())
    }

    fn write(self, book: &PriceBook) -> Result<Vec<u8>, BookError> {
        let slots = self.slots()?;
        let head = Head {
            as_of: book.as_of().map(packed_day).transpose()?,
            sources: book.sources().iter().map(packed_source).collect::<Result<_, _>>()?,
            providers: book.providers().map(packed_provider).collect(),
            count: self.records.len(),
            read_at: self.read_at.all,
            whens: self.whens.all,
            schedules: self.schedules,
        };
        let mut begin = self.records.len() * 4;
        let mut records = Vec::new();
        for record in &self.records {
            records.extend(u32::try_from(begin).map_err(|_| too_large("LLMs"))?.to_le_bytes());
            begin += record.len();
        }
        records.extend(self.records.concat());
        let mut table = Vec::new();
        let parts =
            [bytes(&head)?, self.text.into_bytes(), self.names, slots, records, self.offer_bytes];
        for part in parts {
            table.extend(u32::try_from(part.len()).map_err(|_| too_large("bytes"))?.to_le_bytes());
            table.extend(part);
        }
        Ok(table)
    }
}

fn packed_provider(provider: &Provider) -> PackedProvider {
    PackedProvider(
        provider.id.clone(),
        provider.aliases.clone(),
        provider.grammar,
        provider.is_local,
        provider.first_party,
        provider.default_region.clone(),
        provider.makes.clone(),
    )
}

fn packed_source(source: &Source) -> Result<PackedSource, BookError> {
    let checked_on = source.checked_on.map(packed_day).transpose()?;
    Ok(PackedSource(
        source.id.clone(),
        source.version.clone(),
        source.licence.clone(),
        source.url.clone(),
        checked_on,
    ))
}

fn packed_tier(tier: &Tier) -> Result<PackedTier, BookError> {
    Ok(PackedTier {
        metric: match tier.metric {
            TierMetric::PromptTokens => 0,
            TierMetric::Of(unit) => packed_unit(unit)? + 1,
        },
        bound: tier.bound.number(),
        from: matches!(tier.bound, TierBound::From(_)),
        marginal: tier.scope == TierScope::Marginal,
        rates: packed_prices(&tier.rates)?,
    })
}

fn packed_prices(prices: &[UnitPrice]) -> Result<Vec<PackedPrice>, BookError> {
    let packed = prices.iter().map(|price| {
        Ok(PackedPrice {
            unit: packed_unit(price.unit)?,
            per: if price.per == usual_per(price.unit) { 0 } else { price.per },
            amount: packed_money(price.amount),
        })
    });
    packed.collect()
}

fn packed_money(amount: Money) -> PackedMoney {
    let text = amount.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    match (format!("{whole}{fraction}").parse(), u8::try_from(fraction.len())) {
        (Ok(digits), Ok(places)) => PackedMoney::Decimal(digits, places),
        _ => PackedMoney::Text(text),
    }
}

fn packed_unit(unit: Unit) -> Result<u8, BookError> {
    place(Unit::ALL, &unit)
}

fn packed_day(day: NaiveDate) -> Result<PackedDay, BookError> {
    PackedDay::try_from((day - FIRST_DAY).num_days()).map_err(|_| too_large("days since 2020"))
}

fn seconds(moment: DateTime<Utc>) -> Result<i64, BookError> {
    let whole = moment.timestamp_subsec_nanos() == 0;
    whole.then(|| moment.timestamp()).ok_or_else(|| too_large("parts of a second"))
}

fn place<T: PartialEq>(all: &[T], one: &T) -> Result<u8, BookError> {
    let at = all.iter().position(|known| known == one).and_then(|at| u8::try_from(at).ok());
    at.ok_or_else(|| too_large("kinds"))
}

fn small(number: usize, of: &str) -> Result<u16, BookError> {
    u16::try_from(number).map_err(|_| too_large(of))
}

fn too_large(of: &str) -> BookError {
    BookError::invalid(
        "the compact table",
        format!("there are too many {of}; widen the numbers of the table"),
    )
}

fn bytes(record: &impl Serialize) -> Result<Vec<u8>, BookError> {
    postcard::to_allocvec(record)
        .map_err(|error| BookError::invalid("the compact table", error.to_string()))
}
