//! What calls would cost if they were others: of another LLM, read from a cache, shorter, in a batch.

use std::collections::HashMap;

use taximeter_models::{
    Coverage, KnownUsd, LlmCall, Money, Name, OperationRecord, Saving, TokenUsage, Unit,
};

use super::super::prices::{moved, shorter};
use super::{Case, Looked, Saved, times};
use crate::bottlenecks::{Prefixes, begin, is_background, is_batch};

impl Looked<'_> {
    /// The LLM on which the most money goes, exchanged for the one with which the most is saved for sure.
    pub(super) fn cheaper(&self) -> Option<Saving> {
        let mut spent = HashMap::<String, Money>::new();
        for call in self.own.iter().flat_map(|operation| &operation.llm_calls) {
            *spent.entry(call.llm_key()).or_default() += KnownUsd::of([call]).usd;
        }
        let (dearest, _) = spent.into_iter().max_by_key(|(llm, usd)| (*usd, llm.clone()))?;
        let seen = self.all.iter().flat_map(|operation| &operation.llm_calls);
        let mut others: Vec<(Name, Name)> = seen
            .filter_map(|call| Some((call.provider.clone()?, call.model().into())))
            .chain(self.prices.alternatives())
            .collect();
        others.sort();
        others.dedup();
        let saved = |other: &(Name, Name), operation: &OperationRecord| {
            let calls = operation.llm_calls.iter().filter(|call| call.llm_key() == dearest);
            let one = |call: &LlmCall| {
                let mut instead = call.clone();
                (instead.provider, instead.request_model) =
                    (Some(other.0.clone()), Some(other.1.clone()));
                instead.response_model = None;
                self.difference(operation, call, &instead)
            };
            calls.map(one).sum::<KnownUsd>()
        };
        let total = |other: &(Name, Name)| {
            self.own.iter().map(|operation| saved(other, operation)).sum::<KnownUsd>().usd
        };
        let (best, _) = others
            .iter()
            .map(|other| (other, total(other)))
            .filter(|(_, usd)| *usd > Money::ZERO)
            .max_by_key(|(other, usd)| (*usd, *other))?;
        let assuming =
            format!("the calls to {dearest} go to {}/{} (half of them to all)", best.0, best.1);
        self.made_of(assuming, |case, operation| {
            (0.0, times(saved(best, operation), case.of(0.5, 1.0, 1.0)))
        })
    }

    /// By how much a call is cheaper if it is another one. It is left out where one of the prices is not known.
    fn difference(
        &self,
        operation: &OperationRecord,
        call: &LlmCall,
        instead: &LlmCall,
    ) -> KnownUsd {
        if call.usage.is_none() {
            return left_out(call);
        }
        let at = begin(operation, call);
        let usd = |call| self.prices.usd(call, at);
        let known = usd(call).zip(usd(instead)).map(|(usd, then)| saving(usd - then));
        known.unwrap_or_else(|| left_out(call))
    }

    /// As long as the shortest prompt that begins so, what they have in common can be at most.
    pub(super) fn prompt_cache(&self, llm: &Name) -> Option<Saving> {
        let mut shortest = HashMap::<u64, u64>::new();
        let calls = self.own.iter().flat_map(|operation| &operation.llm_calls);
        for call in calls.filter(|call| call.llm_key() == **llm) {
            if let (Some(hash), Some(usage)) = (call.prompt_prefix_hash, &call.usage) {
                let input = shortest.entry(hash).or_insert(u64::MAX);
                *input = (*input).min(usage.input_tokens());
            }
        }
        let saved = |case: Case| {
            let mut prefixes = Prefixes::default();
            let mut saved = Vec::<Saved>::new();
            for operation in self.own {
                let mut sum = KnownUsd::default();
                for call in operation.llm_calls.iter().filter(|call| call.llm_key() == **llm) {
                    let again = prefixes.again(operation, call, self.thresholds.cache_seconds);
                    let Some((again, hash)) = again.zip(call.prompt_prefix_hash) else { continue };
                    let alike = shortest.get(&hash).copied().unwrap_or_default();
                    let tokens = part_of(alike, case.of(0.5, 0.8, 1.0));
                    sum += self.cached(operation, call, again, tokens);
                }
                saved.push((0.0, sum));
            }
            saved
        };
        let assuming =
            "four fifths of the shortest prompt that begins alike are cached (half to all)";
        self.estimated(assuming, &saved(Case::Low), &saved(Case::Likely), &saved(Case::High))
    }

    /// The first prompt writes the cache, where that has a price; those after it read from it.
    fn cached(
        &self,
        operation: &OperationRecord,
        call: &LlmCall,
        again: bool,
        tokens: u64,
    ) -> KnownUsd {
        let bucket = if again { Unit::CacheRead } else { Unit::CacheWrite5m };
        let as_cached = |usage: &TokenUsage| {
            let missing = tokens.saturating_sub(usage.get(Unit::CacheRead));
            moved(usage, Unit::Input, bucket, missing)
        };
        let Some(usage) = call.usage.as_ref().and_then(as_cached) else { return left_out(call) };
        let instead = call.clone().using(usage);
        let saved = self.difference(operation, call, &instead);
        let is_priced = self.prices.usd(call, begin(operation, call)).is_some();
        if !again && is_priced && !saved.coverage.is_complete() {
            return saving(Money::ZERO);
        }
        saved
    }

    pub(super) fn shorter_replies(&self, llm: &Name) -> Option<Saving> {
        self.made_of("replies are a quarter shorter (a tenth to four tenths)", |case, operation| {
            let part = case.of(0.1, 0.25, 0.4);
            let mut sum = Saved::default();
            for call in operation.llm_calls.iter().filter(|call| call.llm_key() == **llm) {
                let whole = call.duration.unwrap_or_default();
                let first = call.time_to_first_token.unwrap_or_default();
                sum.0 += whole.saturating_sub(first).as_secs_f64() * part;
                let usage = call.usage.as_ref().and_then(|usage| shorter(usage, part));
                sum.1 += usage.map_or_else(
                    || left_out(call),
                    |usage| self.difference(operation, call, &call.clone().using(usage)),
                );
            }
            sum
        })
    }

    pub(super) fn batch(&self, operation: &OperationRecord) -> KnownUsd {
        if !is_background(operation, self.thresholds) {
            return KnownUsd::default();
        }
        let calls = operation.llm_calls.iter().filter(|call| !is_batch(call));
        let batched = |call: &LlmCall| {
            self.difference(operation, call, &call.clone().served_as("processing", "batch"))
        };
        calls.map(batched).sum()
    }
}

/// What one call saves, of which that is known.
fn saving(usd: Money) -> KnownUsd {
    KnownUsd { usd, coverage: Coverage { calls: 1, ..Coverage::default() } }
}

/// A call of which it is not known what it would save.
fn left_out(call: &LlmCall) -> KnownUsd {
    let without_usage = u64::from(call.usage.is_none());
    let coverage = Coverage {
        calls: 1,
        unpriced_calls: 1 - without_usage,
        calls_without_usage: without_usage,
        ..Coverage::default()
    };
    KnownUsd { usd: Money::ZERO, coverage }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a part of a count is a count"
)]
fn part_of(count: u64, part: f64) -> u64 {
    (count as f64 * part).round() as u64
}
