//! What an advice would save: each operation is looked at again as if it had been followed.

mod repriced;

use std::cell::LazyCell;
use std::collections::HashMap;

use chrono::TimeDelta;
use taximeter_models::{
    Advice, AdviceKind, ErrorCategory, Estimate, FindingKind, KnownUsd, Money, Name,
    OperationRecord, Saving,
};

use super::prices::Prices;
use crate::Thresholds;
use crate::bottlenecks::{Call, begin, calls, loops, question};
use crate::statistics::Z_95;
use crate::time::{Children, Part, children, saved_seconds};

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

/// What one operation would have saved: seconds, and US dollars as far as they are known.
type Saved = (f64, KnownUsd);

/// Adds to each advice what it would have saved in these operations, where that can be told.
///
/// Each operation is looked at again as if the advice had been followed: without the calls that repeat an earlier one,
/// with a part of the prompt read from the cache, at the batch price, with a component twice as fast. What was assumed
/// stands beside it. The range covers two doubts: how well the advice works (a low and a high case of the assumption),
/// and chance (the 95 % interval of the mean over the operations). Where only a price book can tell, [`Prices`] is
/// asked. Money is saved as far as it is known: what a call without a known cost would save is left out, and counted in the
/// saving's `coverage`.
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
    let inner = LazyCell::new(|| children(all.iter().copied()));
    let with = |mut advice: Advice| {
        if let Some(own) = by_name.get(&advice.because.operation) {
            let looked = Looked { all: &all, own, inner: &|| &inner, thresholds, prices };
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
    /// The operations within others; the map is made once, for whoever asks first.
    inner: &'a dyn Fn() -> &'a Children<'a>,
    thresholds: &'a Thresholds,
    prices: &'a dyn Prices,
}

impl Looked<'_> {
    fn saving(&self, advice: &Advice) -> Option<Saving> {
        match (&advice.because.kind, advice.advice) {
            (FindingKind::SlowComponent { component, .. }, _) => self.faster(component),
            (
                FindingKind::SlowOperation { .. },
                AdviceKind::FasterLlmOrBetterPrompts | AdviceKind::BetterIndexOrChunking,
            ) => self.faster_operation(),
            (FindingKind::ExpensiveOperation { .. }, _) => self.cheaper(),
            (FindingKind::HighErrorRate { .. }, _) => self.made_of(
                "half of the failures do not happen (a quarter to all)",
                |case, operation| {
                    if operation.is_success() {
                        return Saved::default();
                    }
                    let part = case.of(0.25, 0.5, 1.0);
                    let usd = KnownUsd::of(&operation.llm_calls);
                    (operation.duration.as_secs_f64() * part, times(usd, part))
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
                    (seconds * part, times(usd, part))
                },
            ),
            (FindingKind::RateLimited { target, .. }, _) => {
                self.made_of("no call is refused", |_, operation| {
                    let refused = Some(ErrorCategory::RateLimit);
                    sum_of(operation, target, |call| call.error == refused)
                })
            }
            (
                FindingKind::Timeouts { target, success_p99_seconds: Some(p99), .. },
                AdviceKind::ShorterTimeout,
            ) => self.shorter_timeout(target, *p99),
            (FindingKind::ToolLoop { tool, .. }, _) => {
                self.made_of("no tool is called again with the same arguments", |_, operation| {
                    let found = loops(operation).remove(&**tool).unwrap_or_default();
                    (found.again.as_secs_f64(), KnownUsd::default())
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
        let seconds = |saved: &[Saved]| saved.iter().map(|saved| saved.0).collect::<Vec<_>>();
        let usd = |saved: &[Saved]| {
            saved.iter().map(|saved| saved.1.usd.to_f64_lossy()).collect::<Vec<_>>()
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
        saving.coverage = likely.iter().map(|saved| saved.1).sum::<KnownUsd>().coverage;
        (saving.seconds.is_some() || saving.usd.is_some()).then_some(saving)
    }

    fn faster(&self, component: &Name) -> Option<Saving> {
        let part = Part::Component(component.clone());
        let of = |speedup| {
            let saved = saved_seconds(self.own, (self.inner)(), &part, speedup);
            saved.into_iter().map(|seconds| (seconds, KnownUsd::default())).collect::<Vec<Saved>>()
        };
        let assuming = format!("{component} is twice as fast (1.25 to 4 times)");
        self.estimated(assuming, &of(1.25), &of(2.0), &of(4.0))
    }

    /// An operation that by its name is one call or one search.
    fn faster_operation(&self) -> Option<Saving> {
        let assuming = format!("{} is twice as fast (1.25 to 4 times)", self.own.first()?.name);
        self.made_of(assuming, |case, operation| {
            let left = case.of(1.25, 2.0, 4.0_f64).recip();
            (operation.duration.as_secs_f64() * (1.0 - left), KnownUsd::default())
        })
    }

    fn cached_answers(&self) -> Option<Saving> {
        let mut seen = HashMap::new();
        let mut saved = Vec::new();
        for operation in self.own {
            let (mut of_hour, mut of_all) = (Saved::default(), Saved::default());
            for (call, question) in operation.llm_calls.iter().filter_map(question) {
                let at = begin(operation, call);
                let Some(last) = seen.insert(question, at) else { continue };
                let seconds = call.duration.unwrap_or_default().as_secs_f64();
                let usd = KnownUsd::of([call]);
                of_all.0 += seconds;
                of_all.1 += usd;
                if at.signed_duration_since(last) <= TimeDelta::hours(1) {
                    of_hour.0 += seconds;
                    of_hour.1 += usd;
                }
            }
            saved.push((of_hour, of_all));
        }
        let (low, all): (Vec<Saved>, Vec<Saved>) = saved.into_iter().unzip();
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
            (waits.map(|wait| (wait.as_secs_f64() - limit).max(0.0)).sum(), KnownUsd::default())
        })
    }
}

/// The seconds and the money of the calls of one tool or LLM for which this holds.
fn sum_of(operation: &OperationRecord, target: &str, holds: impl Fn(&Call<'_>) -> bool) -> Saved {
    let those = calls(operation).filter(|call| call.target == target && holds(call));
    let mut sum = Saved::default();
    for call in those {
        sum.0 += call.duration.unwrap_or_default().as_secs_f64();
        sum.1 += call.usd;
    }
    sum
}

/// A part of an amount that is an estimate anyway.
fn times(known: KnownUsd, part: f64) -> KnownUsd {
    let usd = Money::from_f64_shortest(known.usd.to_f64_lossy() * part).unwrap_or_default();
    KnownUsd { usd, ..known }
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
