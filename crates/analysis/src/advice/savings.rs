//! What an advice would save: each operation is looked at again as if it had been followed.

use std::collections::HashMap;

use chrono::TimeDelta;
use taximeter_models::{
    Advice, AdviceKind, ErrorCategory, Estimate, FindingKind, LlmCall, Money, Name,
    OperationRecord, Saving, Unit,
};

use super::prices::{Prices, moved, shorter};
use crate::Thresholds;
use crate::bottlenecks::known_call_usd as known_usd;
use crate::bottlenecks::{Call, Prefixes, begin, calls, is_background, is_batch, loops, question};
use crate::groups::llm_key;
use crate::statistics::Z_95;
use crate::time::{Part, saved_seconds};

/// How well an advice can be followed.
#[derive(Clone, Copy, PartialEq)]
enum Case {
    Low,
    Likely,
    High,
}

impl Case {
    const fn of<T: Copy>(self, low: T, likely: T, high: T) -> T {
        match self {
            Self::Low => low,
            Self::Likely => likely,
            Self::High => high,
        }
    }
}

/// What one operation would have saved: seconds, and US dollars if prices are known.
type Saved = (f64, Option<Money>);

/// Adds to each advice what it would have saved in these operations, where that can be told.
///
/// Each operation is looked at again as if the advice had been followed: without the calls that repeat an earlier one,
/// with a part of the prompt read from the cache, at the batch price, with a component twice as fast. What was assumed
/// stands beside it. The range covers two doubts: how well the advice works (a low and a high case of the assumption),
/// and chance (the 95 % interval of the mean over the operations). Where only a price book can tell, [`Prices`] is
/// asked.
///
/// ```
/// use std::time::Duration;
/// use taximeter_analysis::{NoPrices, Thresholds, advise, bottlenecks, with_savings};
/// use taximeter_models::OperationRecord;
///
/// let operations: Vec<_> = (0..30)
///     .map(|_| {
///         let mut answer = OperationRecord::new("answer");
///         answer.duration = Duration::from_secs(4);
///         answer.add_component("vector_search", Duration::from_secs(3));
///         answer
///     })
///     .collect();
/// let thresholds = Thresholds::default();
/// let advice = advise(&bottlenecks(&operations, &thresholds));
/// let advice = with_savings(advice, &operations, &thresholds, &NoPrices);
/// let saving = advice[0].saving.as_ref().unwrap();
/// assert_eq!(saving.assuming, "vector_search is twice as fast (1.25 to 4 times)");
/// assert!((saving.seconds.unwrap().likely - 1.5).abs() < 1e-9);
/// assert_eq!(saving.usd, None); // a faster search costs the same
/// ```
pub fn with_savings<'a>(
    advice: Vec<Advice>,
    operations: impl IntoIterator<Item = &'a OperationRecord>,
    thresholds: &Thresholds,
    prices: &dyn Prices,
) -> Vec<Advice> {
    let mut by_name = HashMap::<&Name, Vec<&OperationRecord>>::new();
    let mut all = Vec::new();
    for operation in operations {
        all.push(operation);
        by_name.entry(&operation.name).or_default().push(operation);
    }
    for own in by_name.values_mut() {
        own.sort_by_key(|operation| (operation.started_at, operation.id));
    }
    let with = |mut advice: Advice| {
        if let Some(own) = by_name.get(&advice.because.operation) {
            let looked = Looked { all: &all, own, thresholds, prices };
            advice.saving = looked.saving(&advice);
        }
        advice
    };
    advice.into_iter().map(with).collect()
}

/// What there is to look at.
struct Looked<'a> {
    all: &'a [&'a OperationRecord],
    /// Those of the name, in the order of time.
    own: &'a [&'a OperationRecord],
    thresholds: &'a Thresholds,
    prices: &'a dyn Prices,
}

impl Looked<'_> {
    fn saving(&self, advice: &Advice) -> Option<Saving> {
        match (&advice.because.kind, advice.advice) {
            (FindingKind::SlowComponent { component, .. }, _) => self.faster(component),
            (FindingKind::ExpensiveOperation { .. }, _) => self.cheaper(),
            (FindingKind::HighErrorRate { .. }, _) => self.made_of(
                "half of the failures do not happen (a quarter to all)",
                |case, operation| {
                    let part = case.of(0.25, 0.5, 1.0) * f64::from(u8::from(!operation.is_success()));
                    let usd = operation.llm_calls.iter().map(|call| known_usd(&call.cost)).sum();
                    (operation.duration.as_secs_f64() * part, Some(times(usd, part)))
                },
            ),
            (FindingKind::RepeatedCalls { .. }, _) => self.cached_answers(),
            (FindingKind::RetryStorm { target, .. }, _) => self.made_of(
                "of each call, only the first retry fails no more than once (half to all of the later failures)",
                |case, operation| {
                    let (seconds, usd) = sum_of(operation, target, |call| {
                        call.attempt > 1 && call.error.is_some()
                    });
                    let part = case.of(0.5, 1.0, 1.0);
                    (seconds * part, Some(times(usd, part)))
                },
            ),
            (FindingKind::RateLimited { target, .. }, _) => {
                self.made_of("no call is refused", |_, operation| {
                    let refused = Some(ErrorCategory::RateLimit);
                    let (seconds, usd) = sum_of(operation, target, |call| call.error == refused);
                    (seconds, Some(usd))
                })
            }
            (
                FindingKind::Timeouts { target, success_p99_seconds: Some(p99), .. },
                AdviceKind::ShorterTimeout,
            ) => self.shorter_timeout(target, *p99),
            (FindingKind::ToolLoop { tool, .. }, _) => {
                self.made_of("no tool is called again with the same arguments", |_, operation| {
                    let found = loops(operation).remove(&**tool).unwrap_or_default();
                    (found.again.as_secs_f64(), None)
                })
            }
            (FindingKind::ColdCache { llm, .. }, _) => self.prompt_cache(llm),
            (FindingKind::LongReplies { llm, .. }, _) => self.shorter_replies(llm),
            (FindingKind::BackgroundWork { .. }, _) => self.made_of(
                "all calls of work that nobody waits for go to the batch tier",
                |_, operation| (0.0, self.batch(operation)),
            ),
            _ => None,
        }
    }

    /// The saving of all operations together, in each case.
    fn made_of(
        &self,
        assuming: impl Into<String>,
        saved: impl Fn(Case, &OperationRecord) -> Saved,
    ) -> Option<Saving> {
        let of = |case| self.own.iter().map(|o| saved(case, o)).collect::<Vec<_>>();
        self.estimated(assuming, &of(Case::Low), &of(Case::Likely), &of(Case::High))
    }

    fn estimated(
        &self,
        assuming: impl Into<String>,
        low: &[Saved],
        likely: &[Saved],
        high: &[Saved],
    ) -> Option<Saving> {
        let seconds =
            |saved: &[Saved]| saved.iter().map(|(seconds, _)| *seconds).collect::<Vec<_>>();
        let usd = |saved: &[Saved]| {
            saved
                .iter()
                .filter_map(|(_, usd)| Some(usd.as_ref()?.to_f64_lossy()))
                .collect::<Vec<_>>()
        };
        let mut saving = Saving::new(self.own.len() as u64, assuming);
        saving.seconds = estimate(&seconds(low), &seconds(likely), &seconds(high));
        saving.usd = estimate(&usd(low), &usd(likely), &usd(high)).and_then(|usd| {
            let money = Money::from_f64_shortest;
            Some(Estimate {
                low: money(usd.low)?,
                likely: money(usd.likely)?,
                high: money(usd.high)?,
            })
        });
        (saving.seconds.is_some() || saving.usd.is_some()).then_some(saving)
    }

    fn faster(&self, component: &Name) -> Option<Saving> {
        let part = Part::Component(component.clone());
        let name = self.own.first()?.name.clone();
        let of = |speedup| {
            let saved = saved_seconds(self.all.iter().copied(), &name, &part, speedup);
            saved.into_iter().map(|seconds| (seconds, None)).collect::<Vec<Saved>>()
        };
        let assuming = format!("{component} is twice as fast (1.25 to 4 times)");
        self.estimated(assuming, &of(1.25), &of(2.0), &of(4.0))
    }

    /// The LLM on which the most money goes, exchanged for the cheapest that is known.
    fn cheaper(&self) -> Option<Saving> {
        let mut spent = HashMap::<String, Money>::new();
        for call in self.own.iter().flat_map(|operation| &operation.llm_calls) {
            *spent.entry(llm_key(call)).or_default() += known_usd(&call.cost);
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
            let mut sum = Money::ZERO;
            for call in operation.llm_calls.iter().filter(|call| llm_key(call) == dearest) {
                let mut instead = call.clone();
                (instead.provider, instead.request_model) =
                    (Some(other.0.clone()), Some(other.1.clone()));
                instead.response_model = None;
                sum += self.difference(operation, call, &instead)?;
            }
            Some(sum)
        };
        let total = |other: &(Name, Name)| {
            self.own.iter().map(|operation| saved(other, operation)).sum::<Option<Money>>()
        };
        let (best, _) = others
            .iter()
            .filter_map(|other| Some((other, total(other)?)))
            .filter(|(_, usd)| *usd > Money::ZERO)
            .max_by_key(|(other, usd)| (*usd, *other))?;
        let assuming =
            format!("the calls to {dearest} go to {}/{} (half of them to all)", best.0, best.1);
        self.made_of(assuming, |case, operation| {
            let usd = saved(best, operation).map(|usd| times(usd, case.of(0.5, 1.0, 1.0)));
            (0.0, usd)
        })
    }

    /// By how much a call is cheaper if it is another one; none where one of the prices is not known.
    fn difference(
        &self,
        operation: &OperationRecord,
        call: &LlmCall,
        instead: &LlmCall,
    ) -> Option<Money> {
        if call.usage.is_none() {
            return Some(Money::ZERO);
        }
        let at = begin(operation, call);
        Some(self.prices.usd(call, at)? - self.prices.usd(instead, at)?)
    }

    fn cached_answers(&self) -> Option<Saving> {
        let mut seen = HashMap::new();
        let mut saved = Vec::new();
        for operation in self.own {
            let (mut of_hour, mut of_all) = ((0.0, Money::ZERO), (0.0, Money::ZERO));
            for (call, question) in operation.llm_calls.iter().filter_map(question) {
                let at = begin(operation, call);
                let Some(last) = seen.insert(question, at) else { continue };
                let seconds = call.duration.unwrap_or_default().as_secs_f64();
                let usd = known_usd(&call.cost);
                of_all = (of_all.0 + seconds, of_all.1 + usd);
                if at.signed_duration_since(last) <= TimeDelta::hours(1) {
                    of_hour = (of_hour.0 + seconds, of_hour.1 + usd);
                }
            }
            saved.push((of_hour, of_all));
        }
        let low: Vec<Saved> = saved.iter().map(|(hour, _)| (hour.0, Some(hour.1))).collect();
        let all: Vec<Saved> = saved.iter().map(|(_, all)| (all.0, Some(all.1))).collect();
        self.estimated(
            "each answer is kept as long as was looked at (an hour at least)",
            &low,
            &all,
            &all,
        )
    }

    fn shorter_timeout(&self, target: &str, p99: f64) -> Option<Saving> {
        let assuming = format!(
            "{target} is given up after {:.3} s ({p99:.3} to {:.3} s)",
            2.0 * p99,
            4.0 * p99
        );
        self.made_of(assuming, |case, operation| {
            let limit = case.of(4.0, 2.0, 1.0) * p99;
            let given_up = calls(operation).filter(|call| call.target == target);
            let waits = given_up.filter(|call| call.error == Some(ErrorCategory::Timeout));
            let waits = waits.filter_map(|call| call.duration);
            (waits.map(|wait| (wait.as_secs_f64() - limit).max(0.0)).sum(), None)
        })
    }

    /// As long as the shortest prompt that begins so, what they have in common can be at most.
    fn prompt_cache(&self, llm: &Name) -> Option<Saving> {
        let mut shortest = HashMap::<u64, u64>::new();
        let calls = self.own.iter().flat_map(|operation| &operation.llm_calls);
        for call in calls.filter(|call| llm_key(call) == **llm) {
            if let (Some(hash), Some(usage)) = (call.prompt_prefix_hash, &call.usage) {
                let input = shortest.entry(hash).or_insert(u64::MAX);
                *input = (*input).min(usage.input_tokens());
            }
        }
        let saved = |case: Case| {
            let mut prefixes = Prefixes::default();
            let mut saved = Vec::new();
            for operation in self.own {
                let mut sum = Some(Money::ZERO);
                for call in operation.llm_calls.iter().filter(|call| llm_key(call) == **llm) {
                    let again = prefixes.again(operation, call, self.thresholds.cache_seconds);
                    let usd = again.map_or(Some(Money::ZERO), |again| {
                        let alike = shortest.get(&call.prompt_prefix_hash?).copied()?;
                        let tokens = part_of(alike, case.of(0.5, 0.8, 1.0));
                        self.cached(operation, call, again, tokens)
                    });
                    sum = sum.zip(usd).map(|(sum, usd)| sum + usd);
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
    ) -> Option<Money> {
        let usage = call.usage.as_ref()?;
        let missing = tokens.saturating_sub(usage.get(Unit::CacheRead));
        let bucket = if again { Unit::CacheRead } else { Unit::CacheWrite5m };
        let instead = call.clone().using(moved(usage, Unit::Input, bucket, missing)?);
        match (self.difference(operation, call, &instead), again) {
            (None, false) => Some(Money::ZERO),
            (usd, _) => usd,
        }
    }

    fn shorter_replies(&self, llm: &Name) -> Option<Saving> {
        self.made_of("replies are a quarter shorter (a tenth to four tenths)", |case, operation| {
            let part = case.of(0.1, 0.25, 0.4);
            let (mut seconds, mut sum) = (0.0, Some(Money::ZERO));
            for call in operation.llm_calls.iter().filter(|call| llm_key(call) == **llm) {
                let whole = call.duration.unwrap_or_default();
                let first = call.time_to_first_token.unwrap_or_default();
                seconds += whole.saturating_sub(first).as_secs_f64() * part;
                let usd = call.usage.as_ref().map_or(Some(Money::ZERO), |usage| {
                    let instead = call.clone().using(shorter(usage, part)?);
                    self.difference(operation, call, &instead)
                });
                sum = sum.zip(usd).map(|(sum, usd)| sum + usd);
            }
            (seconds, sum)
        })
    }

    fn batch(&self, operation: &OperationRecord) -> Option<Money> {
        let mut sum = Money::ZERO;
        if is_background(operation, self.thresholds) {
            for call in operation.llm_calls.iter().filter(|call| !is_batch(call)) {
                let instead = call.clone().served_as("processing", "batch");
                sum += self.difference(operation, call, &instead)?;
            }
        }
        Some(sum)
    }
}

/// The seconds and the money of the calls of one tool or LLM for which this holds.
fn sum_of(
    operation: &OperationRecord,
    target: &str,
    holds: impl Fn(&Call<'_>) -> bool,
) -> (f64, Money) {
    let those = calls(operation).filter(|call| call.target == target && holds(call));
    those.fold((0.0, Money::ZERO), |(seconds, usd), call| {
        (seconds + call.duration.unwrap_or_default().as_secs_f64(), usd + call.usd)
    })
}

/// A part of an amount that is an estimate anyway.
fn times(usd: Money, part: f64) -> Money {
    Money::from_f64_shortest(usd.to_f64_lossy() * part).unwrap_or_default()
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

/// The mean saving, from the lower bound of the low case to the upper bound of the high one; none where nothing is
/// saved, or where so few operations say nothing of chance.
fn estimate(low: &[f64], likely: &[f64], high: &[f64]) -> Option<Estimate<f64>> {
    let (low, likely, high) = (Mean::of(low)?, Mean::of(likely)?, Mean::of(high)?);
    (likely.mean > 0.0).then(|| Estimate {
        low: (low.mean - Z_95 * low.error).clamp(0.0, likely.mean),
        likely: likely.mean,
        high: (high.mean + Z_95 * high.error).max(likely.mean),
    })
}

/// A mean and its standard error.
pub(super) struct Mean {
    pub(super) mean: f64,
    pub(super) error: f64,
}

impl Mean {
    /// None of fewer than two values.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let spread = crate::statistics::Distribution::of(values.to_vec())?;
        let error = spread.std_deviation? / (values.len() as f64).sqrt();
        Some(Self { mean: spread.mean, error })
    }
}
