//! Whose price is taken.

use std::collections::BTreeMap;

use super::{Known, Shelf, moment};
use serde::Serialize;
use taximeter_models::{Money, Unit};
use taximeter_pricing::form::ModelForm;
use taximeter_pricing::{Model, RateCard, Selectors};

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
    /// It was looked into, and the other one is wrong; `corrections.rs` says by what evidence.
    Corrected,
    /// The other one says zero. A price that is not known must not become free.
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
    /// The dearest divided by the cheapest, where a table differs by more than 20: one of them has mistaken a unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factor: Option<u64>,
}

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
    let with_price: Vec<Table> = candidates
        .iter()
        .copied()
        .filter(|table| !cards.get(*table).is_some_and(is_zero))
        .collect();
    if let [only] = with_price[..] {
        return (only, Rule::NotZero);
    }
    if let (Some(one), Some(two)) = (cards.litellm, cards.genai)
        && agree(one, two)
    {
        let table =
            if weight(known.genai) > weight(known.litellm) { Table::Genai } else { Table::Litellm };
        return (table, Rule::Majority);
    }
    if has(known.genai) && has(known.model_prices) && dated_after(known.genai, shelf) {
        return (Table::Genai, Rule::DatedLater);
    }
    for table in [Table::Litellm, Table::Genai] {
        if confirms(table) {
            return (table, Rule::Confirmed);
        }
    }
    if has(known.model_prices) && cards.model_prices.is_some() {
        return (Table::ModelPrices, Rule::Documented);
    }
    if has(known.genai) {
        (Table::Genai, Rule::MoreOftenRight)
    } else {
        (Table::Litellm, Rule::MoreOftenRight)
    }
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
        let cards = Cards::of(provider, name, shelf);
        let tables = [Table::Litellm, Table::Genai, Table::ModelPrices];
        let told: Vec<(Table, &RateCard)> =
            tables.into_iter().filter_map(|table| Some((table, cards.get(table)?))).collect();
        let differ = told.iter().any(|(_, one)| told.iter().any(|(_, two)| !agree(one, two)));
        let prices = told.iter().map(|(table, card)| {
            let prices = card.rates.iter().map(|price| (price.unit, price.amount.to_string()));
            (*table, prices.collect())
        });
        differ.then(|| Conflict {
            provider: provider.to_owned(),
            name: known.spelling.to_string(),
            prices: prices.collect(),
            taken: self.table,
            rule: self.rule,
            factor: factor(&told),
        })
    }
}

/// The dearest input price divided by the cheapest, where that is above 20.
fn factor(told: &[(Table, &RateCard)]) -> Option<u64> {
    let input = told
        .iter()
        .filter_map(|(_, card)| card.rate(Unit::Input))
        .filter(|price| !price.amount.is_zero());
    let prices: Vec<Money> = input.filter_map(|price| each(price.amount, price.per)).collect();
    let (low, high) = (prices.iter().min()?, prices.iter().max()?);
    let factor = high.ticks().checked_div(low.ticks())?;
    u64::try_from(factor).ok().filter(|factor| *factor > 20)
}
