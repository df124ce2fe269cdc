//! The work behind the HTTP: checks a request, composes its completion, and counts both.

use std::time::Duration;

use super::extract::{self, Extract};
use super::ledger::{Exchange, Ledger, Outcome, Served, ServedTokens};
use super::prefix_cache::PrefixCache;
use super::request::ChatRequest;
use super::settings::{Fault, StandInConfig};
use super::tokens;

/// The models served, with the dated names that a provider answers under, and whether they reason.
pub(super) const MODELS: [(&str, &str, bool); 5] = [
    ("gpt-4o-mini", "gpt-4o-mini-2024-07-18", false),
    ("gpt-4o", "gpt-4o-2024-08-06", false),
    ("gpt-4.1-mini", "gpt-4.1-mini-2025-04-14", false),
    ("o3-mini", "o3-mini-2025-01-31", true),
    ("o4-mini", "o4-mini-2025-04-16", true),
];

/// A real model's times, before scaling: until the prompt is taken in, and for each token after that.
const BASE: Duration = Duration::from_millis(120);
const PER_PROMPT_TOKEN: Duration = Duration::from_micros(60);
const PER_CACHED_TOKEN: Duration = Duration::from_micros(6);
const PER_TOKEN: Duration = Duration::from_millis(9);

/// All that the requests share.
#[derive(Debug)]
pub(super) struct Desk {
    config: StandInConfig,
    api_key: String,
    ledger: Ledger,
    cache: PrefixCache,
}

/// A completion that is ready to be sent.
#[derive(Debug)]
pub(super) struct Completion {
    pub(super) number: u64,
    pub(super) model: &'static str,
    pub(super) text: String,
    pub(super) finish_reason: &'static str,
    pub(super) tokens: ServedTokens,
    pub(super) invented_citation: bool,
    /// The time until the first token of the text.
    pub(super) prefill: Duration,
    /// The time from there to the last.
    pub(super) decode: Duration,
}

impl Desk {
    pub(super) fn new(config: StandInConfig) -> Self {
        Self {
            api_key: format!("sk-stand-in-{:016x}", config.seed),
            ledger: Ledger::default(),
            cache: PrefixCache::new(config.cache_threshold),
            config,
        }
    }

    pub(super) fn api_key(&self) -> &str {
        &self.api_key
    }

    pub(super) fn served(&self) -> Served {
        self.ledger.served()
    }

    pub(super) fn stall(&self) -> Duration {
        self.config.stall
    }

    /// Opens the next request, and decides what goes wrong with it.
    pub(super) fn open(&self) -> (u64, Exchange, Option<Fault>) {
        let (number, exchange) = self.ledger.open();
        let fault = self.config.faults.draw(&mut self.config.rng(number));
        (number, exchange, fault)
    }

    pub(super) fn accepts(&self, authorization: Option<&str>) -> bool {
        authorization.and_then(|value| value.strip_prefix("Bearer ")) == Some(self.api_key())
    }

    /// Composes the completion; `None` when the model is not served.
    pub(super) fn complete(&self, number: u64, request: &ChatRequest) -> Option<Completion> {
        let (_, model, reasons) =
            *MODELS.iter().find(|(alias, dated, _)| [*alias, *dated].contains(&&*request.model))?;
        let mut rng = self.config.rng(number);
        // The first number of the stream has decided on the fault.
        rng.f64();
        let Extract { mut text, thoughts } = extract::answer(&request.last_question(), &mut rng);
        let invented_citation = rng.f64() < self.config.faults.invented_citation;
        if invented_citation {
            text.push_str(" It is said elsewhere, too [97].");
        }
        let reasoning = if reasons { tokens::count(&thoughts) } else { 0 };
        let (text, said, finish_reason) = limit(text, reasoning, request.max_completion_tokens);
        let prompt = tokens::of_prompt(&request.messages);
        let cached = self.cache.look_up(model, &prompt);
        let tokens = ServedTokens {
            prompt: prompt.len() as u64,
            cached: cached as u64,
            completion: (reasoning + said) as u64,
            reasoning: reasoning as u64,
        };
        let pace = self.config.latency_scale * (0.7 + 0.8 * rng.f64());
        Some(Completion {
            number,
            model,
            text,
            finish_reason,
            prefill: prefill(tokens).mul_f64(pace),
            decode: times(PER_TOKEN, said as u64).mul_f64(pace),
            tokens,
            invented_citation,
        })
    }
}

impl Completion {
    pub(super) fn outcome(&self) -> Outcome {
        Outcome::Answered { tokens: self.tokens, invented_citation: self.invented_citation }
    }
}

/// Cuts the text where the limit on all generated tokens says so.
fn limit(text: String, reasoning: usize, limit: Option<usize>) -> (String, usize, &'static str) {
    let said = tokens::count(&text);
    match limit.map(|limit| limit.saturating_sub(reasoning)) {
        Some(left) if left < said => (tokens::truncate(&text, left), left, "length"),
        _ => (text, said, "stop"),
    }
}

fn prefill(tokens: ServedTokens) -> Duration {
    BASE + times(PER_PROMPT_TOKEN, tokens.prompt - tokens.cached)
        + times(PER_CACHED_TOKEN, tokens.cached)
        + times(PER_TOKEN, tokens.reasoning)
}

fn times(each: Duration, count: u64) -> Duration {
    each.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX))
}
