//! What calls add to totals, call after call at the same prices: each LLM is looked up once.

use chrono::{DateTime, Utc};
use taximeter_models::{Charge, LlmCall, MatchKind, Name};

use crate::bill::{Flat, input_and_output};
use crate::{Model, PriceBook, RateCard, Selectors};

/// So many LLMs are remembered; further ones are looked up each time.
const REMEMBERED: usize = 16;

/// Prices calls one after the other without the reasons, for a small part of what [`PriceBook::price_call`] takes: what an
/// LLM's name led to is remembered, and a plain bill is two multiplications.
///
/// ```
/// use chrono::Utc;
/// use taximeter_models::{Charge, LlmCall, TokenUsage};
/// use taximeter_pricing::{Charges, PriceBook};
///
/// let (book, now) = (PriceBook::embedded(), Utc::now());
/// let mut charges = Charges::at(book);
/// for model in ["gpt-4o", "gpt-4oo", "gpt-4o"] {
///     let call = LlmCall::new("openai", model).using(TokenUsage::new(1_000, 100));
///     let explained = book.price_call(&call, now);
///     assert_eq!(charges.of(&call, now), Charge::of(&explained, call.usage.as_ref()));
///     assert_eq!(explained.is_known(), model == "gpt-4o");
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Charges<'b> {
    book: &'b PriceBook,
    known: Vec<Known<'b>>,
}

/// What the name of an LLM led to.
#[derive(Debug, Clone)]
struct Known<'b> {
    provider: Option<Name>,
    request_model: Option<Name>,
    response_model: Option<Name>,
    /// None where each call has to be looked at closely.
    card: Option<Card<'b>>,
    /// The moments before and after which it may have been another card.
    from: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
}

/// Prices, and what is made of them once for the calls to come.
#[derive(Debug, Clone, Copy)]
struct Card<'b> {
    card: &'b RateCard,
    flat: Option<Flat>,
}

impl<'b> Charges<'b> {
    /// At the prices of this book.
    pub fn at(book: &'b PriceBook) -> Self {
        Self { book, known: Vec::new() }
    }

    /// What a call adds: to the tick as [`Charge::of`] the cost that [`PriceBook::price_call`] gives it, as of a moment that
    /// stands in where the call has none.
    pub fn of(&mut self, call: &LlmCall, at: DateTime<Utc>) -> Charge {
        self.plain(call, call.started_at.unwrap_or(at))
            .unwrap_or_else(|| Charge::of(&self.book.price_call(call, at), call.usage.as_ref()))
    }

    /// The charge of a call that was served in the usual way, by an LLM whose price needs no assumption.
    fn plain(&mut self, call: &LlmCall, at: DateTime<Utc>) -> Option<Charge> {
        if call.served_tier.is_some() || !call.served_as.is_empty() {
            return None;
        }
        let usage = call.usage.as_ref()?;
        let Card { card, flat } = self.card(call, at)?;
        let (input, output) = flat
            .and_then(|flat| flat.input_and_output(usage))
            .or_else(|| input_and_output(card, usage, &Selectors::new()))?;
        Some(Charge::exact(input, output, card.currency))
    }

    fn card(&mut self, call: &LlmCall, at: DateTime<Utc>) -> Option<Card<'b>> {
        if let Some(known) = self.known.iter().find(|known| known.is_of(call, at)) {
            return known.card;
        }
        let known = Known::of(self.book, call, at);
        let card = known.card;
        if self.known.len() < REMEMBERED {
            self.known.push(known);
        }
        card
    }
}

impl<'b> Known<'b> {
    fn of(book: &'b PriceBook, call: &LlmCall, at: DateTime<Utc>) -> Self {
        let (provider, request_model) = (call.provider.clone(), call.request_model.clone());
        let response_model = call.response_model.clone();
        let unknown =
            Self { provider, request_model, response_model, card: None, from: None, until: None };
        match plain_card(book, call, at) {
            Some((card, (from, until))) => {
                let card = Some(Card { card, flat: Flat::of(card) });
                Self { card, from, until, ..unknown }
            }
            None => unknown,
        }
    }

    fn is_of(&self, call: &LlmCall, at: DateTime<Utc>) -> bool {
        self.request_model == call.request_model
            && self.provider == call.provider
            && self.response_model == call.response_model
            && self.from.is_none_or(|from| from <= at)
            && self.until.is_none_or(|until| at < until)
    }
}

/// The moments from which and until which something holds.
type Period = (Option<DateTime<Utc>>, Option<DateTime<Utc>>);

/// Looks an LLM up. None where the answer may be another one for the next call: where something was assumed or taken off the
/// name, or where prices go by the hour; and where it costs nothing.
fn plain_card<'b>(
    book: &'b PriceBook,
    call: &LlmCall,
    at: DateTime<Utc>,
) -> Option<(&'b RateCard, Period)> {
    let model = call.response_model.as_deref().or(call.request_model.as_deref())?;
    let found = book.look_up(call.provider.as_deref(), model, at).ok()?;
    let (model, kind) = found.model?;
    let by_name = matches!(kind, MatchKind::Exact | MatchKind::Alias) && found.region.is_none();
    let assumed = found.provider_inferred || found.provider.default_region.is_some();
    let by_hour = model.cards.iter().any(|card| card.schedule.is_some());
    if !by_name || assumed || by_hour {
        return None;
    }
    let card = model.card_at(at, &Selectors::new()).filter(|card| !card.is_free())?;
    Some((card, unchanged(model, at)))
}

/// From when until when no card of the LLM begins or ends.
fn unchanged(model: &Model, at: DateTime<Utc>) -> Period {
    let bounds = || model.cards.iter().flat_map(|card| [card.from, card.until]).flatten();
    (bounds().filter(|bound| *bound <= at).max(), bounds().filter(|bound| *bound > at).min())
}
