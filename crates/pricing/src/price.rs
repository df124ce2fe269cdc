//! From a call to its cost, or to the reason why there is none.

use chrono::{DateTime, Utc};
use taximeter_models::{
    CostEstimate, CostOutcome, Currency, FreeReason, LlmCall, MatchKind, Money, Name, TokenUsage,
};

use crate::bill::{Bill, bill, input_and_output};
use crate::lookup::Found;
use crate::{PriceBook, RateCard, Selector, Selectors};

/// What decides on the cost of a call.
#[derive(Debug, Clone, Copy)]
pub struct Query<'q> {
    /// Who served the LLM; none if that is not known, and is to be inferred from the LLM's name.
    pub provider: Option<&'q str>,
    /// The LLM.
    pub model: &'q str,
    /// When it was called.
    pub at: DateTime<Utc>,
    /// What was consumed.
    pub usage: &'q TokenUsage,
    /// How it was served.
    pub selectors: &'q Selectors,
}

impl PriceBook {
    /// The cost of a call, with its reasons, or why there is none.
    ///
    /// ```
    /// use chrono::{TimeZone, Utc};
    /// use taximeter_models::{CostOutcome, FreeReason, TokenUsage};
    /// use taximeter_pricing::{PriceBook, Query, Selectors};
    ///
    /// let (usage, selectors) = (TokenUsage::new(1_000, 100), Selectors::new());
    /// let at = Utc.with_ymd_and_hms(2026, 11, 1, 12, 0, 0).unwrap();
    /// let price = |provider, model| {
    ///     PriceBook::embedded().price(&Query { provider, model, at, usage: &usage, selectors: &selectors })
    /// };
    /// assert!(matches!(price(Some("anthropic"), "claude-opus-4-5"), CostOutcome::Priced(_)));
    /// assert_eq!(price(Some("ollama"), "llama3.2"), CostOutcome::Free { reason: FreeReason::Local });
    ///
    /// // What cannot be priced says why.
    /// assert!(matches!(price(Some("nobody"), "gpt-4o"), CostOutcome::UnknownProvider { .. }));
    /// assert!(matches!(price(Some("openai"), "claude-opus-4-5"), CostOutcome::UnknownModel { .. }));
    /// ```
    pub fn price(&self, query: &Query<'_>) -> CostOutcome {
        match self.look_up(query.provider, query.model, query.at) {
            Ok(found) => cost(&found, query),
            Err(miss) => self.unknown(query.provider, query.model, miss),
        }
    }

    /// The cost of a call where all of it is known, without the reasons: the amount and the currency that
    /// [`PriceBook::price`] gives, in a fraction of the time, and without an allocation where the name is exact.
    ///
    /// ```
    /// use chrono::Utc;
    /// use taximeter_models::{Currency, TokenUsage};
    /// use taximeter_pricing::{PriceBook, Query, Selectors};
    ///
    /// let (usage, selectors) = (TokenUsage::new(1_000, 100), Selectors::new());
    /// let price = |model| {
    ///     let query = Query { provider: Some("openai"), model, at: Utc::now(), usage: &usage, selectors: &selectors };
    ///     PriceBook::embedded().amount(&query)
    /// };
    /// assert_eq!(price("gpt-4o"), Some(("0.0035".parse()?, Currency::USD)));
    /// assert_eq!(price("gpt-4oo"), None); // unknown, which is not zero
    /// # Ok::<(), taximeter_models::ParseMoneyError>(())
    /// ```
    pub fn amount(&self, query: &Query<'_>) -> Option<(Money, Currency)> {
        let found = self.look_up(query.provider, query.model, query.at).ok()?;
        let quick = found
            .model
            .filter(|_| found.region.is_none() && found.provider.default_region.is_none());
        if let Some((model, _)) = quick {
            let card = model.card_at(query.at, query.selectors)?;
            if let Some((input, output)) = input_and_output(card, query.usage, query.selectors) {
                return Some((input + output, card.currency));
            }
        }
        let outcome = cost(&found, query);
        outcome.amount().filter(|_| outcome.is_known())
    }

    /// The cost of a call, at the prices of other providers where its own does not know the LLM.
    ///
    /// The first of the others that knows the LLM decides, whatever it says; whether one has the same LLM under the
    /// same name at the same price, only the caller can know. Its estimate has the
    /// [`MatchKind::ProviderFallback`], and its card names the provider.
    ///
    /// ```
    /// use chrono::Utc;
    /// use taximeter_models::{CostOutcome, MatchKind, TokenUsage};
    /// use taximeter_pricing::{PriceBook, Query, Selectors};
    ///
    /// let (usage, selectors) = (TokenUsage::new(1_000, 100), Selectors::new());
    /// let query = Query { provider: Some("my-proxy"), model: "gpt-4o", at: Utc::now(), usage: &usage, selectors: &selectors };
    /// let book = PriceBook::embedded();
    /// assert!(matches!(book.price(&query), CostOutcome::UnknownProvider { .. }));
    ///
    /// let cost = book.price_or_at(&query, &["anthropic", "openai"]);
    /// let estimate = cost.estimate().expect("a price");
    /// assert_eq!((estimate.match_kind, estimate.card.provider.as_str()), (MatchKind::ProviderFallback, "openai"));
    /// assert!(cost.is_estimated());
    /// ```
    pub fn price_or_at(&self, query: &Query<'_>, others: &[&str]) -> CostOutcome {
        let own = self.price(query);
        if !is_unknown(&own) {
            return own;
        }
        let elsewhere = |other: &&str| self.price(&Query { provider: Some(*other), ..*query });
        let mut known = others.iter().map(elsewhere).filter(|outcome| !is_unknown(outcome));
        match known.next() {
            Some(CostOutcome::Priced(mut estimate)) => {
                estimate.match_kind = MatchKind::ProviderFallback;
                CostOutcome::Priced(estimate)
            }
            Some(CostOutcome::PartlyUnpriced { mut priced, missing }) => {
                priced.match_kind = MatchKind::ProviderFallback;
                CostOutcome::PartlyUnpriced { priced, missing }
            }
            other => other.unwrap_or(own),
        }
    }

    /// The cost of a call that was recorded, as of a moment that stands in where the call has none.
    ///
    /// The LLM that answered decides, where the book knows it, else the one that was asked for; and how it was served:
    /// by which tier, in a batch, at which speed, in which region. A call that failed and consumed nothing has [`CostOutcome::NoUsage`] too.
    ///
    /// ```
    /// use chrono::Utc;
    /// use taximeter_models::{CostOutcome, LlmCall, TokenUsage};
    /// use taximeter_pricing::PriceBook;
    ///
    /// let call = LlmCall::new("openai", "gpt-4o");
    /// assert_eq!(PriceBook::embedded().price_call(&call, Utc::now()), CostOutcome::NoUsage);
    /// let call = call.using(TokenUsage::new(1_000, 100));
    /// assert!(PriceBook::embedded().price_call(&call, Utc::now()).is_known());
    /// ```
    pub fn price_call(&self, call: &LlmCall, at: DateTime<Utc>) -> CostOutcome {
        let asked = call.request_model.as_deref();
        let Some(model) = call.response_model.as_deref().or(asked) else {
            return CostOutcome::UnknownModel { nearest: Vec::new() };
        };
        let Some(usage) = &call.usage else { return CostOutcome::NoUsage };
        let at = call.started_at.unwrap_or(at);
        let selectors = Selectors::from(call);
        let provider = call.provider.as_deref();
        let query = |model| Query { provider, model, at, usage, selectors: &selectors };
        let outcome = self.price(&query(model));
        match asked {
            Some(asked) if asked != model && is_unknown(&outcome) => {
                let second = self.price(&query(asked));
                if is_unknown(&second) { outcome } else { second }
            }
            _ => outcome,
        }
    }
}

/// Whether the book knows no such LLM, or not who serves it.
fn is_unknown(outcome: &CostOutcome) -> bool {
    matches!(outcome, CostOutcome::UnknownModel { .. } | CostOutcome::UnknownProvider { .. })
}

/// The cost of a call of an LLM that was found.
fn cost(found: &Found<'_, '_>, query: &Query<'_>) -> CostOutcome {
    let Some((model, match_kind)) = found.model else {
        return CostOutcome::Free { reason: FreeReason::Local };
    };
    let default = found.provider.default_region.as_ref();
    let region_given = query.selectors.get(&Selector::Region).is_some();
    // What the call says of its region comes before what the LLM's name says, and that before what is assumed.
    let named = found.region.filter(|_| !region_given);
    let with_named = named.map(|region| query.selectors.clone().region(region));
    let said = with_named.as_ref().unwrap_or(query.selectors);
    let assumed = default.filter(|_| !region_given && named.is_none());
    let with_region = assumed.map(|region| said.clone().region(region));
    let selectors = with_region.as_ref().unwrap_or(said);
    let Some(card) = model.card_at(query.at, selectors) else {
        return CostOutcome::NoPriceAt { first: model.first_price(selectors) };
    };
    let Some(Bill { lines, missing, tier }) = bill(card, query.usage, selectors) else {
        let why = "its cost is above what can be counted: no call consumes that much".to_owned();
        return CostOutcome::InvalidUsage { why };
    };
    if missing.is_empty() && card.is_free() {
        return CostOutcome::Free { reason: FreeReason::Listed };
    }
    let estimate = Box::new(CostEstimate {
        currency: card.currency,
        lines,
        card: card.reference.clone(),
        match_kind,
        tier,
        provider_inferred: found.provider_inferred,
        region_assumed: assumed.cloned(),
        context_ignored: ignored(card, said, default),
    });
    if missing.is_empty() {
        CostOutcome::Priced(estimate)
    } else {
        CostOutcome::PartlyUnpriced { priced: estimate, missing }
    }
}

/// The selectors of the call that neither the card nor a factor on it asked about, as `name=value`. The default region
/// is no such selector: its price is the one that asks for no region.
fn ignored(card: &RateCard, selectors: &Selectors, default: Option<&Name>) -> Vec<Name> {
    let known = |selector: &Selector| {
        let asks = |when: &Selectors| {
            when.iter().any(|(asked, _)| selectors.answers(asked).any(|(said, _)| said == selector))
        };
        asks(&card.when)
            || card.multipliers.iter().any(|m| asks(&m.when) && m.when.all_hold_in(selectors))
    };
    let is_default = |selector: &Selector, value: &str| {
        *selector == Selector::Region
            && default.is_some_and(|region| region.eq_ignore_ascii_case(value))
    };
    let unknown = selectors.iter().filter(|(s, value)| !known(s) && !is_default(s, value));
    unknown.map(|(selector, value)| Name::from(format!("{selector}={value}"))).collect()
}
