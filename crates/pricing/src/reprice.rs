//! A history priced again: by another book, or at the prices of another LLM. Nothing is changed unless it is applied.

mod report;
mod scale;
#[cfg(test)]
mod tests;
mod tokenizer;

use chrono::{DateTime, Utc};
use taximeter_models::{CostOutcome, LlmCall, Name, TokenUsage};
use thiserror::Error;

pub use report::{Change, Group, Kind, Repricing, Span};
pub use tokenizer::{Basis, Spread, Tokenizer};

use crate::{PriceBook, Query, Selectors};

/// Whose prices a history is priced at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Target {
    /// Those of the LLM that answered, as the book has them.
    #[default]
    SamePrices,
    /// Those of this LLM, whatever LLM answered: a what-if.
    At {
        /// Who serves it.
        provider: Name,
        /// The LLM.
        model: Name,
    },
}

/// Prices calls that were recorded again, by a book.
///
/// What a provider reported and what another program recorded is the truth of a bill: priced again at the same
/// prices, it is left alone, unless [`Repricer::also_reported`] says otherwise. A what-if prices every call.
///
/// A what-if is for the same text. Where the other LLM has another tokenizer, the text is another number of tokens,
/// and its cost is a [`Span`] that says between which amounts; see [`Tokenizer`]. That another LLM would also answer
/// in more words or fewer is beyond any price book.
///
/// ```
/// use taximeter_models::{LlmCall, TokenUsage};
/// use taximeter_pricing::PriceBook;
/// use taximeter_pricing::reprice::{Repricer, Target};
///
/// let at = "2026-11-20T12:00:00Z".parse()?;
/// let mut call = LlmCall::new("openai", "gpt-4o").using(TokenUsage::new(1_000_000, 100_000));
/// call.cost = PriceBook::embedded().price_call(&call, at);
///
/// // A contract with other prices: first a look, then the change.
/// let book = PriceBook::from_json(
///     r#"{"models": [{"provider": "openai", "id": "gpt-4o", "cards": [{"rates": {"input": "2", "output": "8"}}]}]}"#,
/// )?;
/// let repricer = Repricer::new(&book);
/// let report = repricer.report([(&call, at)]);
/// assert_eq!(report.total.usd().difference().expect("one currency").to_string(), "-0.7");
/// repricer.apply(&mut call, at)?;
/// assert_eq!(call.cost.amount().expect("a price").0.to_string(), "2.8");
///
/// // What it would have cost elsewhere is a range, and nothing to put into a record.
/// let target = Target::At { provider: "anthropic".into(), model: "claude-opus-4-5".into() };
/// let elsewhere = Repricer::new(PriceBook::embedded()).target(target);
/// let report = elsewhere.report([(&call, at)]);
/// assert_eq!(report.total.usd().after.to_string(), "7.5 to 10.125");
/// assert!(elsewhere.apply(&mut call, at).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Repricer<'b> {
    book: &'b PriceBook,
    target: Target,
    at: Option<DateTime<Utc>>,
    also_reported: bool,
}

/// One call, priced again.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repriced {
    /// What became of it.
    pub kind: Kind,
    /// Its cost at the fewest tokens that its text can be.
    pub low: CostOutcome,
    /// Its cost at the most tokens that its text can be; the same as `low` where the tokens are known.
    pub high: CostOutcome,
    /// From which tokenizer to which, where the two may differ.
    pub tokens: Option<(Tokenizer, Tokenizer, Spread)>,
}

/// A what-if was to be written into records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "applying a what-if: what a call would have cost at another LLM is not what it cost; a report shows it"
)]
pub struct WhatIfError;

impl<'b> Repricer<'b> {
    /// Prices by this book, at the prices of the LLM that answered and of the moment of each call.
    pub fn new(book: &'b PriceBook) -> Self {
        Self { book, target: Target::SamePrices, at: None, also_reported: false }
    }

    /// Says whose prices are asked for.
    pub fn target(mut self, target: Target) -> Self {
        self.target = target;
        self
    }

    /// Takes the prices of this moment, and not those of the moment of each call.
    pub fn prices_of(mut self, at: DateTime<Utc>) -> Self {
        self.at = Some(at);
        self
    }

    /// Prices also what a provider reported and what another program recorded.
    pub fn also_reported(mut self) -> Self {
        self.also_reported = true;
        self
    }

    /// Prices one call, as of a moment that stands in where the call has none.
    pub fn reprice(&self, call: &LlmCall, at: DateTime<Utc>) -> Repriced {
        let (low, high, tokens) = match &self.target {
            Target::SamePrices => {
                if self.leaves_alone(&call.cost) {
                    let (low, high) = (call.cost.clone(), call.cost.clone());
                    return Repriced { kind: Kind::LeftAlone, low, high, tokens: None };
                }
                let cost = self.same_prices(call, at);
                (cost.clone(), cost, None)
            }
            Target::At { provider, model } => self.what_if(call, at, provider, model),
        };
        Repriced { kind: Kind::of(call, &low, &high), low, high, tokens }
    }

    /// What pricing these calls again would change; nothing is changed. Each call stands with a moment that is
    /// taken where it has none: the beginning of its operation.
    ///
    /// ```
    /// use taximeter_models::LlmCall;
    /// use taximeter_pricing::PriceBook;
    /// use taximeter_pricing::reprice::{Kind, Repricer};
    ///
    /// let repricer = Repricer::new(PriceBook::embedded());
    /// assert_eq!(repricer.report([]).total.calls, 0);
    ///
    /// // A call that told no usage cannot be priced by any book, and is not counted as costing nothing.
    /// let silent = LlmCall::new("openai", "gpt-4o");
    /// let report = repricer.report([(&silent, chrono::Utc::now())]);
    /// assert_eq!(report.calls(Kind::WithoutUsage), 1);
    /// assert!(report.total.amounts.is_empty());
    /// ```
    pub fn report<'c>(
        &self,
        calls: impl IntoIterator<Item = (&'c LlmCall, DateTime<Utc>)>,
    ) -> Repricing {
        let mut report = Repricing::default();
        for (call, at) in calls {
            self.count(&mut report, call, at);
        }
        report
    }

    /// Adds one call to a report, for histories that are too long to be held at once.
    pub fn count(&self, report: &mut Repricing, call: &LlmCall, at: DateTime<Utc>) {
        report.add(call, at, &self.reprice(call, at));
    }

    /// Gives a call its new cost, and says what became of it. A cost that the book no longer knows stays as it was:
    /// known is better than unknown.
    ///
    /// # Errors
    /// Where the prices of another LLM are asked for: that is no bill.
    pub fn apply(&self, call: &mut LlmCall, at: DateTime<Utc>) -> Result<Kind, WhatIfError> {
        if self.target != Target::SamePrices {
            return Err(WhatIfError);
        }
        let repriced = self.reprice(call, at);
        if !matches!(repriced.kind, Kind::NoLongerPriced | Kind::LeftAlone) {
            call.cost = repriced.low;
        }
        Ok(repriced.kind)
    }

    fn leaves_alone(&self, cost: &CostOutcome) -> bool {
        let of_a_bill = matches!(cost, CostOutcome::ProviderReported(_) | CostOutcome::Recorded(_));
        of_a_bill && !self.also_reported
    }

    fn same_prices(&self, call: &LlmCall, at: DateTime<Utc>) -> CostOutcome {
        match self.at {
            Some(moment) => {
                let mut moved = call.clone();
                moved.started_at = Some(moment);
                self.book.price_call(&moved, moment)
            }
            None => self.book.price_call(call, at),
        }
    }

    fn what_if(
        &self,
        call: &LlmCall,
        at: DateTime<Utc>,
        provider: &Name,
        model: &Name,
    ) -> (CostOutcome, CostOutcome, Option<(Tokenizer, Tokenizer, Spread)>) {
        let Some(usage) = &call.usage else {
            return (CostOutcome::NoUsage, CostOutcome::NoUsage, None);
        };
        let at = self.at.or(call.started_at).unwrap_or(at);
        let selectors = selectors(call, provider);
        let price = |usage: &TokenUsage| {
            let query = Query { provider: Some(provider), model, at, usage, selectors: &selectors };
            self.book.price(&query)
        };
        let (from, to) = (Tokenizer::of(answered(call)), Tokenizer::of(model));
        let spread = self.spread(call, provider, model, from, to);
        if spread.is_exact() {
            let cost = price(usage);
            return (cost.clone(), cost, None);
        }
        let (low, high) =
            (price(&scale::down(usage, spread.low)), price(&scale::up(usage, spread.high)));
        // A card may be cheaper for large requests; the lower cost is then that of more tokens.
        let turned = low.amount() > high.amount();
        let (low, high) = if turned { (high, low) } else { (low, high) };
        (low, high, Some((from, to, spread)))
    }

    fn spread(
        &self,
        call: &LlmCall,
        provider: &str,
        model: &str,
        from: Tokenizer,
        to: Tokenizer,
    ) -> Spread {
        let asked = answered(call);
        let found = |provider, model| {
            self.book.find(provider, model).map(|model| (&model.provider, &model.id))
        };
        let known = found(Some(provider), model);
        let same = tokenizer::bare(asked) == tokenizer::bare(model)
            || (known.is_some() && known == found(call.provider.as_deref(), asked));
        if same { Spread::EXACT } else { from.spread_to(to) }
    }
}

/// The LLM whose tokenizer counted the tokens.
fn answered(call: &LlmCall) -> &str {
    call.response_model.as_deref().unwrap_or_else(|| call.model())
}

/// How a call was served means something at the provider that served it, and nothing at another.
fn selectors(call: &LlmCall, provider: &str) -> Selectors {
    let same = call.provider.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(provider));
    if same { Selectors::from(call) } else { Selectors::new() }
}
