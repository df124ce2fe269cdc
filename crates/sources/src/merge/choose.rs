//! Whose price is taken.

use std::collections::BTreeMap;

use super::{Known, Shelf, moment};
use crate::Number;
use serde::Serialize;
use taximeter_models::{Money, Unit};
use taximeter_pricing::form::{ModelForm, usual_per};
use taximeter_pricing::{Model, RateCard, Selectors, UnitPrice};

/// A table that may be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    /// LiteLLM's, of today.
    Litellm,
    /// That of genai-prices.
    Genai,
    /// That of model-prices.
    ModelPrices,
    /// An older one of LiteLLM's form.
    Older,
}

/// Why a table is believed. The first rule that decides is taken, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// No other table has a price.
    OnlyOne,
    /// It was looked into, and the other one is wrong; `CORRECTIONS` says by what evidence.
    Corrected,
    /// All others say zero. A price that is not known must not become free.
    NotZero,
    /// LiteLLM and genai-prices agree.
    Majority,
    /// genai-prices dates its price after the snapshot of model-prices.
    DatedLater,
    /// model-prices agrees with it.
    Confirmed,
    /// model-prices has looked at the provider's page.
    Documented,
    /// genai-prices, because third tables agree with it more often than with LiteLLM.
    MoreOftenRight,
}

/// What was decided for one name.
pub(super) struct Choice {
    pub(super) table: Table,
    pub(super) rule: Rule,
    /// Whether model-prices says the same.
    pub(super) confirmed: bool,
    /// Whether LiteLLM and genai-prices say the same, so that each may complete the other.
    pub(super) agreed: bool,
}

/// Prices of one name that differ from table to table.
#[derive(Debug, Clone, Serialize)]
pub struct Conflict {
    /// The provider.
    pub provider: String,
    /// The name.
    pub name: String,
    /// What each table says: US dollars for the usual number of each unit.
    pub prices: BTreeMap<Table, BTreeMap<Unit, String>>,
    /// The table whose price was taken.
    pub taken: Table,
    /// Why.
    pub rule: Rule,
    /// The dearest price of a unit divided by the cheapest, where that is more than 20: one of the tables has
    /// mistaken a unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factor: Option<u64>,
    /// The table that both others contradict by such a factor, which is not asked any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outlier: Option<Table>,
    /// Units that one table gives away and another one charges for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub zero: Vec<Unit>,
}

/// Prices that differ by more than this factor are not two opinions: a unit was mistaken.
const BEYOND_BELIEF: u64 = 20;

/// The digits with which prices are told.
const DIGITS: u8 = 8;

/// Providers whose prices one table is known to have wrong, with the evidence.
const CORRECTIONS: [(&str, Table, &str); 1] = [(
    "ovhcloud",
    Table::Genai,
    "LiteLLM's numbers are 7 to 20 % lower throughout, as the list prices in euros are; models.dev agrees with genai-prices",
)];

pub(super) fn choose(known: &Known<'_>, provider: &str, name: &str, shelf: &Shelf) -> Choice {
    let cards = Cards::of(provider, name, shelf);
    let confirms = |table: Table| match (cards.get(table), cards.model_prices) {
        (Some(one), Some(two)) => agree(one, two),
        _ => false,
    };
    let (table, rule) = decide(known, provider, shelf, &cards, &confirms);
    let agreed = cards.litellm.zip(cards.genai).is_some_and(|(one, two)| agree(one, two));
    Choice { table, rule, confirmed: confirms(table), agreed }
}

fn decide(
    known: &Known<'_>,
    provider: &str,
    shelf: &Shelf,
    cards: &Cards<'_>,
    confirms: &dyn Fn(Table) -> bool,
) -> (Table, Rule) {
    let has = |model: Option<&ModelForm>| model.is_some_and(|model| !model.cards.is_empty());
    let mut candidates = Vec::new();
    for (table, model) in [
        (Table::Litellm, known.litellm),
        (Table::Genai, known.genai),
        (Table::ModelPrices, known.model_prices),
    ] {
        if has(model) {
            candidates.push(table);
        }
    }
    match candidates[..] {
        [] => return (Table::Older, Rule::OnlyOne),
        [only] => return (only, Rule::OnlyOne),
        _ => {}
    }
    if let Some((_, table, _)) =
        CORRECTIONS.iter().find(|(id, table, _)| *id == provider && candidates.contains(table))
    {
        return (*table, Rule::Corrected);
    }
    // A price that is not known must not become free, and one with a mistaken unit must not decide.
    let all = candidates.clone();
    candidates.retain(|table| !cards.get(*table).is_some_and(is_zero));
    if let [only] = candidates[..] {
        return (only, Rule::NotZero);
    }
    if candidates.is_empty() {
        candidates = all;
    }
    let outlier = outlier(&cards.told());
    candidates.retain(|table| Some(*table) != outlier);
    let asked = |table: Table| candidates.contains(&table);
    if let (Some(one), Some(two)) = (cards.litellm, cards.genai)
        && asked(Table::Litellm)
        && asked(Table::Genai)
        && agree(one, two)
    {
        let table =
            if weight(known.genai) > weight(known.litellm) { Table::Genai } else { Table::Litellm };
        return (table, Rule::Majority);
    }
    if asked(Table::Genai) && asked(Table::ModelPrices) && dated_after(known.genai, shelf) {
        return (Table::Genai, Rule::DatedLater);
    }
    for table in [Table::Litellm, Table::Genai] {
        if asked(table) && confirms(table) {
            return (table, Rule::Confirmed);
        }
    }
    if asked(Table::ModelPrices) && cards.model_prices.is_some() {
        return (Table::ModelPrices, Rule::Documented);
    }
    let table = if asked(Table::Genai) { Table::Genai } else { Table::Litellm };
    (table, Rule::MoreOftenRight)
}

/// The standard card of today in each table.
struct Cards<'s> {
    litellm: Option<&'s RateCard>,
    genai: Option<&'s RateCard>,
    model_prices: Option<&'s RateCard>,
}

impl<'s> Cards<'s> {
    fn of(provider: &str, name: &str, shelf: &'s Shelf) -> Self {
        let card = |model: Option<&'s Model>| {
            model.and_then(|model| model.card_at(shelf.at, &Selectors::new()))
        };
        Self {
            litellm: card(shelf.litellm.model(provider, name)),
            genai: card(shelf.genai.model(provider, name)),
            model_prices: card(shelf.model_prices.model(provider, name)),
        }
    }

    /// The cards that there are, with their tables.
    fn told(&self) -> Vec<(Table, &'s RateCard)> {
        let tables = [Table::Litellm, Table::Genai, Table::ModelPrices];
        tables.into_iter().filter_map(|table| Some((table, self.get(table)?))).collect()
    }

    fn get(&self, table: Table) -> Option<&'s RateCard> {
        match table {
            Table::Litellm => self.litellm,
            Table::Genai => self.genai,
            Table::ModelPrices => self.model_prices,
            Table::Older => None,
        }
    }
}

/// Whether two cards say the same of everything that both have a price for, tiers included.
fn agree(one: &RateCard, two: &RateCard) -> bool {
    let units =
        Unit::ALL.iter().filter_map(|unit| Some((*unit, one.rate(*unit)?, two.rate(*unit)?)));
    let mut shared = 0;
    for (unit, first, second) in units {
        if each(first.amount, first.per) != each(second.amount, second.per) {
            return false;
        }
        shared +=
            usize::from(matches!(unit, Unit::Input | Unit::Output | Unit::Request | Unit::Image));
    }
    let tier = |card: &RateCard| {
        let first = card.tiers.first();
        first.map(|tier| {
            tier.rates
                .iter()
                .map(|price| (price.unit, each(price.amount, price.per)))
                .collect::<Vec<_>>()
        })
    };
    // A table that knows no tiers does not speak against them.
    let tiers = match (tier(one), tier(two)) {
        (Some(one), Some(two)) => one.iter().all(|(unit, price)| {
            two.iter().find(|(other, _)| other == unit).is_none_or(|(_, other)| other == price)
        }),
        _ => true,
    };
    tiers && (shared > 0 || one.rates.iter().all(|price| two.rate(price.unit).is_some()))
}

fn each(amount: Money, per: u64) -> Option<Money> {
    let below = i128::from(per).checked_mul(Money::TICKS_PER_UNIT)?;
    Money::ratio(amount.ticks(), below).map(|(each, _)| each)
}

fn is_zero(card: &RateCard) -> bool {
    card.rates.iter().all(|price| price.amount.is_zero())
}

/// How much a table says of an LLM.
fn weight(model: Option<&ModelForm>) -> usize {
    let card = |card: &taximeter_pricing::form::CardForm| {
        card.rates.len()
            + card.tiers.iter().map(|tier| tier.rates.len()).sum::<usize>()
            + card.multipliers.len()
    };
    model.map_or(0, |model| model.cards.iter().map(card).sum())
}

fn dated_after(model: Option<&ModelForm>, shelf: &Shelf) -> bool {
    let Some(snapshot) = shelf.snapshot else { return false };
    let begun = model
        .into_iter()
        .flat_map(|model| &model.cards)
        .filter_map(|card| moment(card.from.as_deref()?));
    begun.filter(|from| *from <= shelf.at).any(|from| from.date_naive() > snapshot)
}

impl Choice {
    /// What is to be told where tables differ.
    pub(super) fn conflict(
        &self,
        provider: &str,
        name: &str,
        known: &Known<'_>,
        shelf: &Shelf,
    ) -> Option<Conflict> {
        if self.rule == Rule::OnlyOne {
            return None;
        }
        let told = Cards::of(provider, name, shelf).told();
        // A table that says less does not differ.
        let differ = |one, two| !agree(one, two) && !agree(two, one);
        let differ = told.iter().any(|(_, one)| told.iter().any(|(_, two)| differ(one, two)));
        let prices = told.iter().map(|(table, card)| {
            let prices = card.rates.iter().map(|price| (price.unit, usual_price(price)));
            (*table, prices.collect())
        });
        differ.then(|| Conflict {
            provider: provider.to_owned(),
            name: known.spelling.to_string(),
            prices: prices.collect(),
            taken: self.table,
            rule: self.rule,
            factor: told
                .iter()
                .flat_map(|(_, one)| told.iter().filter_map(|(_, two)| factor(one, two)))
                .max()
                .filter(|factor| *factor > BEYOND_BELIEF),
            outlier: outlier(&told),
            zero: zero(&told),
        })
    }
}

/// The price of the usual number of a unit, without the noise of floats.
fn usual_price(price: &UnitPrice) -> String {
    let below = i128::from(price.per).checked_mul(Money::TICKS_PER_UNIT);
    let usual = price.amount.checked_mul(usual_per(price.unit).into()).zip(below);
    let amount = usual.and_then(|(all, below)| Money::ratio(all.ticks(), below));
    let text = amount.map_or(price.amount, |(amount, _)| amount).to_decimal(DIGITS);
    let short = text.parse::<Number>().ok().and_then(|number| number.rounded(DIGITS.into()));
    short.map_or(text, |short| short.to_string())
}

/// How many times dearer one card is than another, in the unit in which that is most; none where no unit has a price
/// in both that is not zero.
fn factor(one: &RateCard, two: &RateCard) -> Option<u64> {
    let of = |price: &UnitPrice| {
        let other = two.rate(price.unit)?;
        let (mine, its) = (each(price.amount, price.per)?, each(other.amount, other.per)?);
        u64::try_from(mine.ticks().checked_div(its.ticks())?).ok()
    };
    one.rates.iter().filter_map(of).max()
}

/// The table that two others contradict beyond belief, while they do not contradict each other so.
fn outlier(told: &[(Table, &RateCard)]) -> Option<Table> {
    let [first, second, third] = *told else { return None };
    let far = |one: &RateCard, two: &RateCard| {
        factor(one, two).max(factor(two, one)).is_some_and(|factor| factor > BEYOND_BELIEF)
    };
    let orders = [(first, second, third), (second, first, third), (third, first, second)];
    let alone = orders.into_iter().find(|((_, one), (_, two), (_, three))| {
        far(one, two) && far(one, three) && !far(two, three)
    });
    alone.map(|((table, _), ..)| table)
}

/// The units that one table gives away and another one charges for.
fn zero(told: &[(Table, &RateCard)]) -> Vec<Unit> {
    let is = |unit: Unit, free: bool| {
        let mut prices = told.iter().filter_map(|(_, card)| card.rate(unit));
        prices.any(|price| price.amount.is_zero() == free)
    };
    Unit::ALL.iter().copied().filter(|unit| is(*unit, true) && is(*unit, false)).collect()
}
